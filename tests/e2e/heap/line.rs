//! A line through samples of memory, and what it says about the hours to come.

use std::iter::repeat;

/// The memory of a server at some minute.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// Since the beginning of the load.
    pub minute: f64,
    pub kilobytes: f64,
}

/// The line after Theil and Sen: its slope is the median of the slopes between any two samples. Half of them would have to
/// rise for it to rise, which one step, or a hump, cannot do to them.
#[derive(Clone, Copy, Debug)]
pub struct Line {
    /// Kilobytes a minute.
    pub slope: f64,
    /// From the first sample to the last one.
    pub minutes: f64,
}

impl Line {
    /// The line through these samples, which are in order of time; none through fewer than ten, or where no time has passed.
    pub fn through(samples: &[Sample]) -> Option<Self> {
        let minutes = samples.last()?.minute - samples.first()?.minute;
        let pairs = samples.iter().enumerate().flat_map(|(index, sample)| samples[..index].iter().zip(repeat(sample)));
        let is_later = |(one, other): &(&Sample, &Sample)| one.minute < other.minute;
        let slope = |(one, other): (&Sample, &Sample)| (other.kilobytes - one.kilobytes) / (other.minute - one.minute);
        let mut slopes: Vec<f64> = pairs.filter(is_later).map(slope).collect();
        if samples.len() < 10 || slopes.is_empty() {
            return None;
        }
        let middle = slopes.len() / 2;
        let slope = *slopes.select_nth_unstable_by(middle, f64::total_cmp).1;
        Some(Self { slope, minutes })
    }

    /// How much the line rises from its first sample to its last one, in kilobytes.
    pub fn growth(&self) -> f64 {
        self.slope * self.minutes
    }
}

/// The last two thirds: what a server needs once, it has by then.
pub fn settled(samples: &[Sample]) -> &[Sample] {
    let end = samples.last().map_or(0.0, |sample| sample.minute);
    &samples[samples.partition_point(|sample| sample.minute < end / 3.0)..]
}

/// Judges the settled samples: the line, and an error where it rises by more than this, in kilobytes.
pub fn judge(samples: &[Sample], most: f64) -> Result<Line, String> {
    let line = Line::through(settled(samples)).ok_or("too few samples")?;
    if line.growth() > most {
        let month = line.slope * 60.0 * 24.0 * 30.0 / 1000.0;
        return Err(format!(
            "{:.0} kB more, {most:.0} at most; by {:.1} kB/min it is {month:.0} MB in a month",
            line.growth(),
            line.slope
        ));
    }
    Ok(line)
}

/// An hour of samples each 10 s, and what is known of them beforehand.
#[test]
fn a_leak_is_noticed_and_noise_is_not() {
    // As repeatable as a table: the same noise each time, of up to 1 MB, as of bodies that are in flight.
    let noise = |index: u32| f64::from(index.wrapping_mul(2_654_435_761) >> 16) / 65.536;
    // Until a third of the time is over: caches fill.
    let warms_up = |minute: f64| 20_000.0 * (minute / 20.0).min(1.0);
    let rows: [(&str, &dyn Fn(u32, f64) -> f64, f64, bool); 14] = [
        ("level", &|_, _| 30_000.0, 0.0, true),
        ("noise", &|index, _| 30_000.0 + noise(index), 0.0, true),
        ("it falls", &|_, minute| 90_000.0 - 500.0 * minute, -500.0, true),
        ("it warms up", &|index, minute| 30_000.0 + warms_up(minute) + noise(index), 0.0, true),
        ("peaks", &|index, _| if index % 30 == 0 { 60_000.0 } else { 30_000.0 }, 0.0, true),
        ("a step", &|_, minute| if minute < 40.0 { 30_000.0 } else { 30_700.0 }, 17.5, true),
        (
            "a step in some noise",
            &|index, minute| noise(index) / 10.0 + if minute < 40.0 { 0.0 } else { 700.0 },
            17.5,
            true,
        ),
        ("a hump", &|_, minute| if (45.0..58.0).contains(&minute) { 31_500.0 } else { 30_000.0 }, 0.0, true),
        ("a leak below what harms", &|index, minute| 30_000.0 + 15.0 * minute + noise(index), 15.0, true),
        ("a leak of 30 kB a minute", &|_, minute| 30_000.0 + 30.0 * minute, 30.0, false),
        ("the same in noise", &|index, minute| 30_000.0 + 30.0 * minute + noise(index), 30.0, false),
        ("the same after a warm-up", &|index, minute| warms_up(minute) + 30.0 * minute + noise(index), 30.0, false),
        ("the same after a hump", &|_, minute| 30.0 * minute + if minute < 30.0 { 1_500.0 } else { 0.0 }, 30.0, false),
        ("a leak in steps", &|_, minute| 30_000.0 + 400.0 * (minute / 10.0).floor(), 40.0, false),
    ];
    for (name, kilobytes, slope, is_fine) in rows {
        let sample = |index: u32| {
            let minute = f64::from(index) / 6.0;
            Sample { minute, kilobytes: kilobytes(index, minute) }
        };
        let samples: Vec<Sample> = (0..=360).map(sample).collect();
        let line = Line::through(settled(&samples)).unwrap();
        assert!((line.slope - slope).abs() < 5.0, "{name}: {line:?}");
        assert!((line.growth() - 40.0 * line.slope).abs() < 0.001, "{name}: {line:?}");
        assert_eq!(judge(&samples, 1_000.0).is_ok(), is_fine, "{name}: {line:?}");
    }
}

#[test]
fn without_samples_nothing_is_judged() {
    let sample = |minute| Sample { minute, kilobytes: 1.0 };
    for (name, samples) in
        [("none", vec![]), ("few", (0..9).map(f64::from).map(sample).collect()), ("one time", vec![sample(1.0); 20])]
    {
        assert_eq!(judge(&samples, 1_000.0).err().as_deref(), Some("too few samples"), "{name}");
    }
}

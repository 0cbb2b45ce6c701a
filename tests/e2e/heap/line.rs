//! A line through samples of memory, and what it says about the hours to come.

/// The memory of a server at some minute.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// Since the beginning of the load.
    pub minute: f64,
    pub kilobytes: f64,
}

/// The line by least squares.
#[derive(Clone, Copy, Debug)]
pub struct Line {
    /// Kilobytes a minute.
    pub slope: f64,
    /// Where it is at the first and the last sample, in kilobytes.
    pub ends: [f64; 2],
}

impl Line {
    /// The line through these samples, which are in order of time; none through fewer than ten, or where no time has passed.
    pub fn through(samples: &[Sample]) -> Option<Self> {
        let (first, last) = (samples.first()?, samples.last()?);
        let count = f64::from(u32::try_from(samples.len()).ok().filter(|count| *count >= 10)?);
        let mean = |of: fn(&Sample) -> f64| samples.iter().map(of).sum::<f64>() / count;
        let (minute, kilobytes) = (mean(|sample| sample.minute), mean(|sample| sample.kilobytes));
        let squares: f64 = samples.iter().map(|sample| (sample.minute - minute).powi(2)).sum();
        if squares <= 0.0 {
            return None;
        }
        let products = samples.iter().map(|sample| (sample.minute - minute) * (sample.kilobytes - kilobytes));
        let slope = products.sum::<f64>() / squares;
        let at = |sample: &Sample| kilobytes + slope * (sample.minute - minute);
        Some(Self { slope, ends: [at(first), at(last)] })
    }

    /// How much the line rises from its first sample to its last one, in kilobytes.
    pub fn growth(&self) -> f64 {
        self.ends[1] - self.ends[0]
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
    let rows: [(&str, &dyn Fn(u32, f64) -> f64, f64, bool); 10] = [
        ("level", &|_, _| 30_000.0, 0.0, true),
        ("noise", &|index, _| 30_000.0 + noise(index), 0.0, true),
        ("it falls", &|_, minute| 90_000.0 - 500.0 * minute, -500.0, true),
        ("it warms up", &|index, minute| 30_000.0 + warms_up(minute) + noise(index), 0.0, true),
        ("peaks", &|index, _| if index % 30 == 0 { 60_000.0 } else { 30_000.0 }, 0.0, true),
        ("a leak below what harms", &|index, minute| 30_000.0 + 15.0 * minute + noise(index), 15.0, true),
        ("a leak of 30 kB a minute", &|_, minute| 30_000.0 + 30.0 * minute, 30.0, false),
        ("the same in noise", &|index, minute| 30_000.0 + 30.0 * minute + noise(index), 30.0, false),
        ("the same after a warm-up", &|index, minute| warms_up(minute) + 30.0 * minute + noise(index), 30.0, false),
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

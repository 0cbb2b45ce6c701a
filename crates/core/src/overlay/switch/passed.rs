//! The trace of a switch that passed before there was a record of it. The webhook writes it, and the leader starts its
//! record from it.

use std::fmt;

use jiff::Timestamp;

use super::time::seconds;
use crate::gardener::network::{Phase, Reason, Record, SwitchStatus};
use crate::gardener::{Hibernation, SwitchFacts};

/// Why such a switch passed, and with which write: `forced 2026-11-20T10:00:00Z`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Passed {
    /// The reason.
    pub reason: Reason,
    /// gardenlet's stamp of the write that carried it, to the second; `None` where it had none.
    pub written: Option<Timestamp>,
}

impl Passed {
    /// Reads a trace. It is in an annotation, which others may write too: an unreadable part is ignored.
    pub fn read(text: &str) -> Self {
        let (word, time) = text.split_once(' ').unwrap_or((text, ""));
        Self { reason: word.parse().unwrap_or(Reason::Forced), written: time.parse().ok() }
    }

    /// The record to start with, from `record`, which is made of the Network. `latest` is gardenlet's newest stamp, for
    /// a trace without one.
    pub fn begin(self, record: Record, latest: Timestamp, now: Timestamp) -> Record {
        let written = self.written.unwrap_or(latest);
        Record {
            phase: Phase::Released,
            since: seconds(written).into(),
            // The clocks of gardenlet and the leader may differ.
            released: seconds(written.min(now)).into(),
            status: Some(SwitchStatus::waits(self.reason.name())),
            ..record
        }
    }

    /// Whether this record was started from this trace, which then only has to be removed.
    pub fn has_begun(self, record: &Record) -> bool {
        record.phase == Phase::Released
            && record.carried_out.is_empty()
            && record.status.as_ref().is_some_and(|status| status.because.value() == Some(self.reason))
            && self.written.is_none_or(|written| *record.since == seconds(written))
    }
}

impl fmt::Display for Passed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason.name())?;
        self.written.map_or(Ok(()), |written| write!(f, " {}", seconds(written)))
    }
}

/// Why a switch passed with gardenlet's own write, by its last status and the facts of its Shoot.
pub(super) fn carried(said: Option<&SwitchStatus>, shoot: Option<&SwitchFacts>) -> Reason {
    let said = said.and_then(|status| status.because.value());
    if said == Some(Reason::Forced) || shoot.is_some_and(|shoot| shoot.is_forced) {
        return Reason::Forced;
    }
    if said == Some(Reason::Hibernated) || shoot.is_some_and(|shoot| shoot.hibernation == Hibernation::Asleep) {
        return Reason::Hibernated;
    }
    said.unwrap_or(Reason::Routes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_read_as_far_as_possible() {
        let at: Timestamp = "2026-11-20T10:00:00Z".parse().unwrap();
        for (text, reason, written) in [
            ("forced", Reason::Forced, None),
            ("hibernated 2026-11-20T10:00:00Z", Reason::Hibernated, Some(at)),
            ("routes 2026-11-20T10:00:00Z", Reason::Routes, Some(at)),
            ("forced yesterday", Reason::Forced, None),
            ("", Reason::Forced, None),
            ("x y z", Reason::Forced, None),
        ] {
            let passed = Passed { reason, written };
            assert_eq!(Passed::read(text), passed, "{text}");
            assert_eq!(Passed::read(&passed.to_string()), passed, "{text}");
        }
    }

    #[test]
    fn it_begins_once() {
        let [early, late] = [600, 900].map(|second| Timestamp::from_second(second).unwrap());
        for written in [Some(early), None] {
            let passed = Passed { reason: Reason::Forced, written };
            // gardenlet's clock is ahead of the leader's.
            let now = Timestamp::from_second(500).unwrap();
            let begun = passed.begin(Record::default(), late, now);
            assert_eq!(*begun.since, seconds(written.unwrap_or(late)));
            assert_eq!(*begun.released, seconds(now));
            assert!(passed.has_begun(&begun));
            assert!(!Passed { written: Some(now), ..passed }.has_begun(&begun), "another write");
            assert!(!Passed { reason: Reason::Hibernated, ..passed }.has_begun(&begun), "for another reason");
            let carried_out = Record { carried_out: "x".into(), ..begun.clone() };
            assert!(!passed.has_begun(&carried_out), "the extension has carried that one out");
            assert!(!passed.has_begun(&Record { phase: Phase::Held, ..begun }));
        }
    }
}

//! Another installation that is registered under the same names: noticed and reported, not fought over.
//!
//! Whose a configuration is follows from where its webhooks are and whom API servers trust there. Whether the other
//! installation still exists is asked in the configuration itself: an annotation is added, and the leader that looks after the
//! configuration writes all of it again, without the annotation. That needs no further right, and works whatever cluster the
//! other server runs in.

use std::time::{Duration, Instant};

/// With this annotation an installation asks whether another one still looks after the configuration. Its value says who asks.
pub(super) const ASKED: &str = "network-guard.extensions.gardener.cloud/asked";

/// What is read of a question, in characters: the name of a Service with its namespace is shorter.
pub(super) const LONGEST: usize = 253;

/// How long an answer may take: a leader looks every ten seconds, and one that died has a successor after some 17
/// ([`super::super::lease`]).
const ANSWER: Duration = Duration::from_secs(45);

/// How long an answer holds.
const ASK_AGAIN: Duration = Duration::from_secs(10 * 60);

/// How long the owner remembers that it was asked: longer than the pause between two questions.
pub(super) const REMEMBERED: Duration = Duration::from_secs(15 * 60);

/// What a configuration says about the installation that looks after it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen<'s> {
    /// Whether its webhooks are somewhere else, where API servers trust none of this installation's CAs.
    pub(super) is_elsewhere: bool,
    /// Whether a server wrote it, and not Helm or a person.
    pub(super) is_managed: bool,
    /// Who asks, if an installation does.
    pub(super) asked: Option<&'s str>,
}

/// What to do about a configuration.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Move {
    /// It is this installation's: it is looked after.
    LookAfter,
    /// It is another installation's: it is left alone.
    StandBack,
    /// It is left alone, and the other installation is asked whether it still exists.
    Ask,
    /// The other installation did not answer, so this one takes the configuration.
    TakeOver,
}

/// What a leader remembers of one configuration.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Memory {
    /// Since when this installation's question is there.
    asked_at: Option<Instant>,
    /// When the other installation answered.
    answered_at: Option<Instant>,
    /// Since when a third installation's question is there.
    third_since: Option<Instant>,
}

impl Memory {
    /// Decides what to do; `us` is the value of this installation's question.
    pub(super) fn decide(&mut self, seen: Seen<'_>, us: &str, now: Instant) -> Move {
        if !seen.is_elsewhere {
            *self = Self::default();
            return Move::LookAfter;
        }
        // Helm or a person writes once, and answers nothing: a person has to decide.
        if !seen.is_managed {
            return Move::StandBack;
        }
        match seen.asked {
            Some(asked) if asked == us => {
                self.third_since = None;
                let since = *self.asked_at.get_or_insert(now);
                if now.duration_since(since) >= ANSWER { Move::TakeOver } else { Move::StandBack }
            }
            // Of two that ask one goes first; should it be gone too, the other one follows.
            Some(_) => {
                let since = *self.third_since.get_or_insert(now);
                if now.duration_since(since) >= 2 * ANSWER { Move::Ask } else { Move::StandBack }
            }
            None => {
                self.third_since = None;
                if self.asked_at.take().is_some() {
                    self.answered_at = Some(now);
                }
                match self.answered_at {
                    Some(at) if now.duration_since(at) < ASK_AGAIN => Move::StandBack,
                    _ => Move::Ask,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THEIRS: Seen<'_> = Seen { is_elsewhere: true, is_managed: true, asked: None };

    fn after(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    #[test]
    fn an_installation_that_answers_is_left_alone() {
        let (start, mut memory) = (Instant::now(), Memory::default());
        assert_eq!(memory.decide(THEIRS, "us", start), Move::Ask);
        let asked = Seen { asked: Some("us"), ..THEIRS };
        assert_eq!(memory.decide(asked, "us", after(start, 1)), Move::StandBack);
        // The answer: everything was written again.
        for seconds in [10, 20, 600] {
            assert_eq!(memory.decide(THEIRS, "us", after(start, seconds)), Move::StandBack, "{seconds} s");
        }
        assert_eq!(memory.decide(THEIRS, "us", after(start, 611)), Move::Ask);
    }

    #[test]
    fn one_that_does_not_answer_is_followed() {
        let (start, mut memory) = (Instant::now(), Memory::default());
        assert_eq!(memory.decide(THEIRS, "us", start), Move::Ask);
        let asked = Seen { asked: Some("us"), ..THEIRS };
        for (seconds, want) in [(1, Move::StandBack), (45, Move::StandBack), (46, Move::TakeOver)] {
            assert_eq!(memory.decide(asked, "us", after(start, seconds)), want, "{seconds} s");
        }
        // A leader that finds the question of its predecessor waits as long.
        let mut memory = Memory::default();
        for (seconds, want) in [(100, Move::StandBack), (145, Move::TakeOver)] {
            assert_eq!(memory.decide(asked, "us", after(start, seconds)), want, "{seconds} s");
        }
        let ours = Seen { is_elsewhere: false, ..THEIRS };
        assert_eq!(memory.decide(ours, "us", after(start, 146)), Move::LookAfter);
        assert_eq!(memory.decide(THEIRS, "us", after(start, 147)), Move::Ask, "nothing is remembered");
    }

    #[test]
    fn of_two_that_ask_one_goes_first() {
        let (start, mut memory) = (Instant::now(), Memory::default());
        let third = Seen { asked: Some("third"), ..THEIRS };
        for (seconds, want) in [(0, Move::StandBack), (89, Move::StandBack), (90, Move::Ask)] {
            assert_eq!(memory.decide(third, "us", after(start, seconds)), want, "{seconds} s");
        }
    }

    #[test]
    fn what_helm_wrote_is_never_taken() {
        let (start, mut memory) = (Instant::now(), Memory::default());
        for asked in [None, Some("us"), Some("third")] {
            let seen = Seen { is_managed: false, asked, ..THEIRS };
            for seconds in [0, 100, 10_000] {
                assert_eq!(memory.decide(seen, "us", after(start, seconds)), Move::StandBack, "{asked:?}");
            }
        }
    }
}

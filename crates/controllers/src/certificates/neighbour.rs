//! Another installation that is registered under the same names: detected and reported, not fought over.
//!
//! The owner of a configuration follows from the address of its webhooks and from the CAs that API servers trust there.
//! Trust in a CA of this installation counts only until the leader has seen its own address there: an address moves
//! once, from one release to the next, while two installations that know each other's CA would move it forever.
//!
//! Whether the other installation still exists is asked in the configuration itself: this installation adds an
//! annotation, and a leader that owns the configuration writes all of it again, without the annotation. That needs no
//! further right, and works whatever cluster the other server runs in.

use std::time::{Duration, Instant};

/// With this annotation an installation asks whether the owner of the configuration still exists. Its value names the
/// asking installation.
pub(super) const ASKED: &str = "network-guard.extensions.gardener.cloud/asked";

/// The part of a question that is read, in characters: the name of a Service with its namespace is shorter.
pub(super) const LONGEST: usize = 253;

/// How long an answer may take: a leader checks every ten seconds, and one that died has a successor after some 17 s
/// ([`network_guard_runtime::lease`]). A server that does not know the question answers too, when it writes again
/// ([`super::REWRITE`]), at the following check.
const ANSWER: Duration = Duration::from_secs(75);

/// How long an answer is valid.
const ASK_AGAIN: Duration = Duration::from_secs(10 * 60);

/// How long the owner remembers a question: longer than the pause between two questions.
pub(super) const REMEMBERED: Duration = Duration::from_secs(15 * 60);

/// What a configuration shows about the installation that owns it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen<'s> {
    /// The address of its webhooks.
    pub(super) place: Place,
    /// Whether a server wrote it, and not Helm or a person.
    pub(super) is_managed: bool,
    /// The installation that asks, if any.
    pub(super) asked: Option<&'s str>,
}

/// The address of the webhooks of a configuration.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Place {
    /// It has no webhooks.
    Nowhere,
    /// At least one is at this installation.
    Here,
    /// All are somewhere else.
    Elsewhere {
        /// Whether API servers trust a CA of this installation there.
        is_trusted: bool,
    },
}

/// The action for a configuration.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Move {
    /// It is this installation's, and is maintained.
    LookAfter,
    /// It is another installation's: it is left alone.
    StandBack,
    /// It is left alone, and the other installation is asked whether it still exists.
    Ask,
    /// The other installation did not answer, so this one takes the configuration.
    TakeOver,
}

/// The leader's memory of one configuration.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Memory {
    /// Whether it had this installation's address since this replica leads.
    was_here: bool,
    /// Since when this installation's question is there.
    asked_at: Option<Instant>,
    /// When the other installation answered.
    answered_at: Option<Instant>,
    /// Since when a third installation's question is there.
    third_since: Option<Instant>,
}

impl Memory {
    /// This leader wrote it: a later writer is another installation.
    pub(super) fn wrote(&mut self) {
        self.was_here = true;
    }

    /// Decides the action; `us` is the value of this installation's question.
    pub(super) fn decide(&mut self, seen: Seen<'_>, us: &str, now: Instant) -> Move {
        let is_ours = match seen.place {
            Place::Nowhere => true,
            Place::Here => {
                self.was_here = true;
                true
            }
            Place::Elsewhere { is_trusted } => is_trusted && !self.was_here,
        };
        if is_ours {
            *self = Self { was_here: self.was_here, ..Self::default() };
            return Move::LookAfter;
        }
        // Helm or a person writes once and never answers: a person has to decide.
        if !seen.is_managed {
            return Move::StandBack;
        }
        match seen.asked {
            Some(asked) if asked == us => {
                self.third_since = None;
                let since = *self.asked_at.get_or_insert(now);
                if now.duration_since(since) >= ANSWER { Move::TakeOver } else { Move::StandBack }
            }
            // Of two askers one goes first; if that one is gone too, the other follows.
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

    const THEIRS: Seen<'_> = Seen { place: Place::Elsewhere { is_trusted: false }, is_managed: true, asked: None };

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
    fn an_installation_that_does_not_answer_is_replaced() {
        let (start, mut memory) = (Instant::now(), Memory::default());
        assert_eq!(memory.decide(THEIRS, "us", start), Move::Ask);
        let asked = Seen { asked: Some("us"), ..THEIRS };
        for (seconds, want) in [(1, Move::StandBack), (75, Move::StandBack), (76, Move::TakeOver)] {
            assert_eq!(memory.decide(asked, "us", after(start, seconds)), want, "{seconds} s");
        }
        // A leader that finds the question of its predecessor waits as long as that one.
        let mut memory = Memory::default();
        for (seconds, want) in [(100, Move::StandBack), (174, Move::StandBack), (175, Move::TakeOver)] {
            assert_eq!(memory.decide(asked, "us", after(start, seconds)), want, "{seconds} s");
        }
        let ours = Seen { place: Place::Here, ..THEIRS };
        assert_eq!(memory.decide(ours, "us", after(start, 176)), Move::LookAfter);
        assert_eq!(memory.decide(THEIRS, "us", after(start, 177)), Move::Ask, "no question is remembered");
    }

    #[test]
    fn a_server_that_does_not_know_the_question_has_time_to_answer() {
        assert!(ANSWER > super::super::REWRITE + super::super::LOOK);
    }

    #[test]
    fn trust_counts_until_the_own_address_was_seen() {
        let start = Instant::now();
        let trusted = Seen { place: Place::Elsewhere { is_trusted: true }, ..THEIRS };
        let here = Seen { place: Place::Here, ..THEIRS };
        let nowhere = Seen { place: Place::Nowhere, ..THEIRS };
        for (written, seen, want) in [
            // The address moved with a release, or the Secret was taken along to another namespace.
            (false, [].as_slice(), Move::LookAfter),
            (false, &[trusted, nowhere], Move::LookAfter),
            // Another installation knows the CA too, and writes after this leader.
            (true, &[], Move::Ask),
            (false, &[here], Move::Ask),
            (false, &[here, nowhere], Move::Ask),
            (false, &[trusted, here], Move::Ask),
        ] {
            let mut memory = Memory::default();
            if written {
                memory.wrote();
            }
            for seen in seen {
                assert_eq!(memory.decide(*seen, "us", start), Move::LookAfter);
            }
            assert_eq!(memory.decide(trusted, "us", start), want, "{written} {seen:?}");
        }
    }

    #[test]
    fn of_two_askers_one_goes_first() {
        let (start, mut memory) = (Instant::now(), Memory::default());
        let third = Seen { asked: Some("third"), ..THEIRS };
        for (seconds, want) in [(0, Move::StandBack), (149, Move::StandBack), (150, Move::Ask)] {
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

//! The ask loop: a handler is called, its questions are answered, and it is called again, until there is a verdict.
//!
//! It never waits: who drives it fetches the answers. The server does so from an API server, `check` and the tests from what they
//! have.

use super::handler::{Handler, Stop};
use super::request::Request;
use super::verdict::Verdict;
use crate::gardener::FieldError;
use crate::landscape::{Answers, Questions, Snapshot, View};

/// The maximum number of rounds of questions: visibility, confirmation of denials, and what those answers raise.
const ROUNDS: usize = 6;

/// The most questions of one review, which is the last resort: handlers have lower limits of their own, which follow from the written
/// object. The webhooks of Shoots ask most; beside them it is compared with what those may ask.
pub const MOST_QUESTIONS: usize = 5_000;

/// The most questions of one review that are asked at the same time. All rounds have one deadline, that of the call: `timeout` in its
/// URL, less half a second.
pub const ASKED_AT_ONCE: usize = 16;

/// One review on its way to a verdict.
pub struct AskLoop<'r> {
    handler: &'r dyn Handler,
    request: &'r Request<'r>,
    cache: Option<&'r Snapshot>,
    answers: Answers,
    /// How many rounds there may still be.
    rounds: usize,
    /// How many questions may still be asked.
    room: usize,
    state: State,
}

enum State {
    Asks {
        /// What is asked.
        asked: Questions,
        /// What nobody is asked, because it is too much.
        beyond: Questions,
    },
    Ended(Result<Verdict, FieldError>),
}

/// Why a review ends without a verdict.
#[derive(Debug, thiserror::Error)]
pub enum NoVerdict {
    /// The object cannot be read as what it claims to be: its sender gets this as a 400.
    #[error("{0}")]
    Unreadable(FieldError),
    /// Questions are open. After all rounds that is a bug.
    #[error("the decision asks without end")]
    Asks(Questions),
}

impl<'r> AskLoop<'r> {
    /// Begins a review. There is no cache while that is stale.
    pub fn new(handler: &'r dyn Handler, request: &'r Request<'r>, cache: Option<&'r Snapshot>) -> Self {
        let (answers, room) = (Answers::default(), MOST_QUESTIONS);
        let state = review(handler, request, cache, &answers, room);
        Self { handler, request, cache, answers, rounds: ROUNDS, room, state }
    }

    /// What has to be answered next; `None` at the end.
    pub fn questions(&self) -> Option<&Questions> {
        match &self.state {
            State::Asks { asked, .. } if self.rounds > 0 => Some(asked),
            State::Asks { .. } | State::Ended(_) => None,
        }
    }

    /// Goes on with these answers. A question that has none here counts as unanswered.
    #[must_use]
    pub fn answered(mut self, given: Answers) -> Self {
        if let State::Asks { asked, beyond } = self.state {
            self.rounds = self.rounds.saturating_sub(1);
            self.room = self.room.saturating_sub(asked.len());
            self.answers.add(asked, given);
            self.answers.add(beyond, Answers::default());
            self.state = review(self.handler, self.request, self.cache, &self.answers, self.room);
        }
        self
    }

    /// The result, when there is nothing left to ask.
    ///
    /// # Errors
    ///
    /// When the object cannot be read, or a question is open.
    pub fn end(self) -> Result<Verdict, NoVerdict> {
        match self.state {
            State::Ended(result) => result.map_err(NoVerdict::Unreadable),
            State::Asks { asked, .. } => Err(NoVerdict::Asks(asked)),
        }
    }

    /// The result, with answers that are at hand.
    ///
    /// # Errors
    ///
    /// When the object cannot be read, or the handler asks without end.
    pub fn run(mut self, mut answer: impl FnMut(&Questions) -> Answers) -> Result<Verdict, NoVerdict> {
        while let Some(questions) = self.questions() {
            let given = answer(questions);
            self = self.answered(given);
        }
        self.end()
    }
}

/// One call of the handler.
fn review(
    handler: &dyn Handler,
    request: &Request<'_>,
    cache: Option<&Snapshot>,
    answers: &Answers,
    room: usize,
) -> State {
    let mut view = View::new(cache, answers);
    let result = handler.review(request, &mut view);
    let mut asked = view.into_questions();
    match result {
        Ok(verdict) if asked.is_empty() => State::Ended(Ok(verdict)),
        Err(Stop::Unreadable(error)) if asked.is_empty() => State::Ended(Err(error)),
        // Whatever was decided is not final.
        Ok(_) | Err(_) => {
            let beyond = asked.split_off(room);
            State::Asks { asked, beyond }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::super::handler::Resource;
    use super::super::request::UserInfo;
    use super::*;
    use crate::landscape::Answer;

    /// Asks for so many Seeds in each of the first calls, and would pass in any case.
    struct Asks {
        seeds: usize,
        calls: usize,
        called: AtomicUsize,
    }

    const SEEDS: Resource = Resource { group: "core.gardener.cloud", plural: "seeds" };

    impl Handler for Asks {
        fn name(&self) -> &'static str {
            "asks"
        }

        fn path(&self) -> &'static str {
            "/asks"
        }

        fn resource(&self) -> Resource {
            SEEDS
        }

        fn review(&self, _: &Request<'_>, view: &mut View<'_>) -> Result<Verdict, Stop> {
            let call = self.called.fetch_add(1, Ordering::Relaxed);
            if call < self.calls {
                for seed in 0..self.seeds {
                    view.seed(&format!("s{call}-{seed:04}"));
                }
            }
            Ok(Verdict::allow("passes"))
        }
    }

    #[test]
    fn there_is_a_verdict_when_nothing_is_open_and_an_end_in_any_case() {
        for (what, seeds, calls, ends, asked) in [
            ("nothing to ask", 0, 9, true, vec![]),
            ("once", 3, 1, true, vec![3]),
            ("as often as may be", 1, 6, true, vec![1; 6]),
            ("once more", 1, 7, false, vec![1; 6]),
            ("too much at once", 6_000, 1, true, vec![5_000]),
            ("too much in all", 2_000, 4, true, vec![2_000, 2_000, 1_000, 0]),
        ] {
            let handler = Asks { seeds, calls, called: AtomicUsize::new(0) };
            let user = UserInfo::default();
            let request = Request::creation(SEEDS, ("", "a"), "{}", &user).unwrap();
            let (nothing, mut rounds) = (Snapshot::default(), Vec::new());
            let result = AskLoop::new(&handler, &request, Some(&nothing)).run(|questions| {
                rounds.push(questions.len());
                let absent = questions.seeds.iter().map(|name| (name.clone(), Answer::Absent));
                Answers { seeds: absent.collect(), ..Answers::default() }
            });
            assert_eq!((result.is_ok(), rounds), (ends, asked), "{what}");
        }
    }
}

//! Questions that the snapshot cannot answer with certainty, and their answers.
//!
//! A decision never waits: what only an API server knows now is asked for as data, somebody fetches the answers, and the decision is
//! made again with them. A question that found no answer has an answer too.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::access::Grant;
use super::snapshot::ClusterRecord;
use crate::gardener::{SeedFacts, ShootFacts, ShootName};

/// Live reads that a decision needs.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Questions {
    /// Read this Cluster from the API server.
    pub cluster: Option<String>,
    /// May the requesting user see these Shoots?
    pub visibilities: BTreeSet<ShootName>,
    /// May the requesting user see all Shoots that are there, or ever will be? For rules about Shoots that the user did not
    /// name: how many there are, and who may be seen of them, shapes no question.
    pub grants: BTreeSet<Grant>,
    /// Read these Shoots from the API server.
    pub shoots: BTreeSet<ShootName>,
    /// Read these Seeds from the API server.
    pub seeds: BTreeSet<String>,
}

/// The answers to [`Questions`]; what is missing was not asked.
#[derive(Clone, Debug, Default)]
pub struct Answers {
    /// The Cluster that was asked for.
    pub cluster: Option<Answer<Arc<ClusterRecord>>>,
    /// Which Shoots the requesting user may see.
    pub visibilities: HashMap<ShootName, Visibility>,
    /// Where the requesting user may see all Shoots.
    pub grants: HashMap<Grant, Visibility>,
    /// Shoots as they are now.
    pub shoots: HashMap<ShootName, Answer<Arc<ShootFacts>>>,
    /// Seeds as they are now.
    pub seeds: HashMap<String, Answer<SeedFacts>>,
}

/// The answer to one question.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer<T> {
    /// It is there.
    Found(T),
    /// The API server says that there is no such object.
    Absent,
    /// There was no answer in time, or no permission; the text says which.
    Unanswered(String),
}

impl<T> Answer<T> {
    /// The same about what was made of the object.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Answer<U> {
        match self {
            Self::Found(value) => Answer::Found(f(value)),
            Self::Absent => Answer::Absent,
            Self::Unanswered(why) => Answer::Unanswered(why),
        }
    }

    /// The word used in metrics.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Found(_) => "found",
            Self::Absent => "absent",
            Self::Unanswered(_) => "unanswered",
        }
    }
}

/// Whether a user may see a Shoot, or all Shoots of some place.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Visibility {
    /// The user may read it.
    Visible,
    /// The user may not.
    Hidden,
    /// It is unknown; the text says why.
    Unanswered(String),
}

impl Questions {
    /// Whether nothing is asked.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// How many questions there are.
    pub fn len(&self) -> usize {
        usize::from(self.cluster.is_some())
            + self.grants.len()
            + self.visibilities.len()
            + self.shoots.len()
            + self.seeds.len()
    }

    /// Keeps the first so many of them, always the same ones, and returns the others.
    #[must_use]
    pub(crate) fn split_off(&mut self, most: usize) -> Self {
        fn beyond<T: Ord>(all: &mut BTreeSet<T>, room: &mut usize) -> BTreeSet<T> {
            let beyond = (*room..all.len()).filter_map(|_| all.pop_last()).collect();
            *room -= all.len();
            beyond
        }
        let mut room = most;
        let cluster = self.cluster.take_if(|_| room == 0);
        room -= usize::from(self.cluster.is_some());
        Self {
            cluster,
            grants: beyond(&mut self.grants, &mut room),
            visibilities: beyond(&mut self.visibilities, &mut room),
            shoots: beyond(&mut self.shoots, &mut room),
            seeds: beyond(&mut self.seeds, &mut room),
        }
    }
}

impl Answers {
    /// Adds answers; every question gets one, if only that there was none.
    pub(crate) fn add(&mut self, questions: Questions, mut answers: Self) {
        const NO_ANSWER: &str = "no answer";
        if questions.cluster.is_some() {
            self.cluster = Some(answers.cluster.unwrap_or_else(|| Answer::Unanswered(NO_ANSWER.to_owned())));
        }
        for name in questions.visibilities {
            let visibility = answers.visibilities.remove(&name);
            self.visibilities.insert(name, visibility.unwrap_or_else(|| Visibility::Unanswered(NO_ANSWER.to_owned())));
        }
        for grant in questions.grants {
            let visibility = answers.grants.remove(&grant);
            self.grants.insert(grant, visibility.unwrap_or_else(|| Visibility::Unanswered(NO_ANSWER.to_owned())));
        }
        for name in questions.shoots {
            let shoot = answers.shoots.remove(&name);
            self.shoots.insert(name, shoot.unwrap_or_else(|| Answer::Unanswered(NO_ANSWER.to_owned())));
        }
        for name in questions.seeds {
            let seed = answers.seeds.remove(&name);
            self.seeds.insert(name, seed.unwrap_or_else(|| Answer::Unanswered(NO_ANSWER.to_owned())));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_questions_are_always_the_same() {
        let name = |i: usize| ShootName::new("garden-a", &format!("s{i}"));
        let all = Questions {
            cluster: Some("c".to_owned()),
            grants: [Grant::Everywhere].into(),
            visibilities: (0..3).map(name).collect(),
            shoots: (0..2).map(name).collect(),
            seeds: ["a".to_owned(), "b".to_owned()].into(),
        };
        assert_eq!(all.len(), 9);
        for most in 0..11 {
            let mut asked = all.clone();
            let beyond = asked.split_off(most);
            assert_eq!((asked.len(), asked.len() + beyond.len()), (most.min(9), 9));
        }
        let mut asked = all;
        let beyond = asked.split_off(6);
        assert_eq!((asked.visibilities.len(), asked.shoots.first(), asked.seeds.len()), (3, Some(&name(0)), 0));
        assert_eq!((beyond.visibilities.len(), beyond.shoots.first(), beyond.seeds.len()), (0, Some(&name(1)), 2));
    }
}

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

    /// The first so many of them, always the same ones: [`Answers::add`] gives the others the answer that there was none.
    #[must_use]
    pub fn at_most(mut self, most: usize) -> Self {
        fn first<T: Ord>(all: &mut BTreeSet<T>, room: &mut usize) {
            if let Some(beyond) = all.len().checked_sub(*room).filter(|beyond| *beyond > 0) {
                (0..beyond).for_each(|_| drop(all.pop_last()));
            }
            *room -= all.len();
        }
        let mut room = most;
        self.cluster = self.cluster.filter(|_| room > 0);
        room -= usize::from(self.cluster.is_some());
        first(&mut self.grants, &mut room);
        first(&mut self.visibilities, &mut room);
        first(&mut self.shoots, &mut room);
        first(&mut self.seeds, &mut room);
        self
    }

    /// What is asked here and has no answer there.
    #[must_use]
    pub fn without(mut self, answers: &Answers) -> Self {
        self.cluster = self.cluster.filter(|_| answers.cluster.is_none());
        self.visibilities.retain(|name| !answers.visibilities.contains_key(name));
        self.grants.retain(|grant| !answers.grants.contains_key(grant));
        self.shoots.retain(|name| !answers.shoots.contains_key(name));
        self.seeds.retain(|name| !answers.seeds.contains_key(name));
        self
    }
}

impl Answers {
    /// Adds answers; every question gets one, if only that there was none.
    pub fn add(&mut self, questions: Questions, mut answers: Self) {
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
            let asked = all.clone().at_most(most);
            assert_eq!(asked.len(), most.min(9));
            let mut answers = Answers::default();
            answers.add(all.clone(), Answers::default());
            assert!(all.clone().without(&answers).is_empty(), "what was not asked is answered too");
        }
        let asked = all.at_most(6);
        assert_eq!(
            (asked.visibilities.len(), asked.shoots.into_iter().next(), asked.seeds.len()),
            (3, Some(name(0)), 0)
        );
    }
}

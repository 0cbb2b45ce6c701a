//! What is known while a request is decided, and what has to be asked.

use std::sync::Arc;

use super::access::Grant;
use super::questions::{Answer, Answers, Questions, Visibility};
use super::snapshot::Snapshot;
use super::target::Target;
use crate::gardener::{SeedFacts, ShootFacts, ShootName, is_dns_subdomain};

/// The snapshot and the answers so far; notes what is missing.
#[derive(Debug)]
pub struct View<'a> {
    snapshot: &'a Snapshot,
    answers: &'a Answers,
    /// Gardener's own components see everything, and nothing is asked on their behalf.
    sees_all: bool,
    unanswered: Option<&'a str>,
    /// What has to be asked before the decision.
    pub questions: Questions,
}

/// What is known of a Shoot.
enum Known<'a> {
    Found(&'a Arc<ShootFacts>),
    Absent,
    Unanswered(&'a str),
    Asked,
}

impl<'a> View<'a> {
    /// Begins a decision.
    pub fn new(snapshot: &'a Snapshot, answers: &'a Answers, sees_all: bool) -> Self {
        Self { snapshot, answers, sees_all, unanswered: None, questions: Questions::default() }
    }

    /// The snapshot.
    pub fn snapshot(&self) -> &'a Snapshot {
        self.snapshot
    }

    /// The Shoot of this name as the requesting user may know it; `None` when something has to be asked first.
    pub fn target(&mut self, name: &ShootName, subject: Option<&ShootName>) -> Option<Target> {
        let visibility = self.visibility(name);
        if visibility.is_none() && !self.snapshot.is_blind() {
            // The next call looks it up; this one only asks.
            return None;
        }
        let shoot = self.shoot(name);
        let visibility = visibility?;
        Some(match (visibility, shoot) {
            (_, Known::Asked) => return None,
            (Visibility::Unanswered(why), _) => Target::Unverified(why.clone()),
            (Visibility::Visible, Known::Found(facts)) => Target::Visible(Arc::clone(facts)),
            (Visibility::Visible, Known::Absent) => Target::Missing,
            (Visibility::Visible, Known::Unanswered(why)) => Target::Unverified(why.to_owned()),
            (Visibility::Hidden, Known::Found(facts)) => Target::hidden(Some(facts), subject),
            // A failed lookup would reveal that the Shoot exists.
            (Visibility::Hidden, Known::Absent | Known::Unanswered(_)) => Target::hidden(None, subject),
        })
    }

    /// Whether the requesting user may see this Shoot; `None` when it has to be asked first.
    pub fn visibility(&mut self, name: &ShootName) -> Option<&'a Visibility> {
        if self.sees_all {
            return Some(&Visibility::Visible);
        }
        let mut visibility = self.answers.visibilities.get(name);
        if visibility.is_none() {
            // A user who may see all of them may see this one.
            let holds = |(place, visibility): &(&Grant, &Visibility)| {
                **visibility == Visibility::Visible && place.covers(name.namespace())
            };
            visibility = self.answers.grants.iter().find(holds).map(|(_, visibility)| visibility);
        }
        if visibility.is_none() {
            self.questions.visibilities.insert(name.clone());
        }
        visibility
    }

    /// Whether the requesting user may see all Shoots there, and nothing of them need be hidden; `false` too while that
    /// has to be asked first. This is how rules find Shoots that the user did not name: asked about one by one, hidden ones
    /// would shape the answer by their number.
    pub(crate) fn sees_all_of(&mut self, place: Grant) -> bool {
        let visibility = self.answers.grants.get(&place);
        if visibility.is_none() && !self.sees_all {
            self.questions.grants.insert(place);
        }
        if let Some(Visibility::Unanswered(why)) = visibility {
            self.unanswered.get_or_insert(why);
        }
        self.sees_all || visibility == Some(&Visibility::Visible)
    }

    /// Why nobody answered whether the user may see all Shoots of a place, the first that was asked about: what was to be found
    /// there was not looked for. It depends on the request and the API server, and on no Shoot.
    pub fn unanswered(&self) -> Option<&'a str> {
        self.unanswered
    }

    fn shoot(&mut self, name: &ShootName) -> Known<'a> {
        match (self.answers.shoots.get(name), self.snapshot.shoots.get(name)) {
            (Some(Answer::Found(facts)), _) | (None, Some(facts)) => Known::Found(facts),
            (Some(Answer::Unanswered(why)), _) => Known::Unanswered(why),
            (None, None) if self.snapshot.is_blind() && self.sees_all => Known::Unanswered("not read"),
            (None, None) if self.snapshot.is_blind() => {
                self.questions.shoots.insert(name.clone());
                Known::Asked
            }
            (Some(Answer::Absent), _) | (None, None) => Known::Absent,
        }
    }

    /// What is known of a Shoot without asking for it: for those that the user did not name, and may see.
    pub fn known(&self, name: &ShootName) -> Option<&'a Arc<ShootFacts>> {
        self.known_or_why(name).ok().flatten()
    }

    /// The same, where `None` means that there is no such Shoot.
    ///
    /// # Errors
    ///
    /// Says why nothing is known of it.
    pub(crate) fn known_or_why(&self, name: &ShootName) -> Result<Option<&'a Arc<ShootFacts>>, &'a str> {
        match (self.answers.shoots.get(name), self.snapshot.shoots.get(name)) {
            (Some(Answer::Found(facts)), _) | (None, Some(facts)) => Ok(Some(facts)),
            (Some(Answer::Unanswered(why)), _) => Err(why),
            (None, None) if self.snapshot.is_blind() => Err("not read"),
            (Some(Answer::Absent), _) | (None, None) => Ok(None),
        }
    }

    /// Has a Shoot read again before something is refused because of it.
    pub fn confirm(&mut self, name: &ShootName) {
        if !self.is_confirmed(name) {
            self.questions.shoots.insert(name.clone());
        }
    }

    /// The Seed of this name. One that is not known is asked for, so that nobody is refused because a cache is behind.
    pub fn seed(&mut self, name: &str) -> Seed<'a> {
        match (self.answers.seeds.get(name), self.snapshot.seed(name)) {
            (Some(Answer::Found(facts)), _) | (None, Some(facts)) => Seed::Found(facts),
            (Some(Answer::Absent), _) => Seed::Absent,
            (Some(Answer::Unanswered(why)), _) => Seed::Unanswered(why),
            // A name that no object can have need not be asked for.
            (None, None) if self.sees_all || !is_dns_subdomain(name) => Seed::Absent,
            (None, None) => {
                self.questions.seeds.insert(name.to_owned());
                Seed::Asked
            }
        }
    }

    /// Has a Seed read again before something is refused because of what it is.
    pub(crate) fn confirm_seed(&mut self, name: &str) {
        if !self.sees_all && is_dns_subdomain(name) && !self.answers.seeds.contains_key(name) {
            self.questions.seeds.insert(name.to_owned());
        }
    }

    /// Whether anything was read again already.
    pub(crate) fn is_second_look(&self) -> bool {
        !self.answers.shoots.is_empty()
    }

    /// Whether this Shoot was read again already, or need not be.
    pub(crate) fn is_confirmed(&self, name: &ShootName) -> bool {
        self.sees_all || self.answers.shoots.contains_key(name)
    }
}

/// What is known of a Seed.
#[derive(Debug)]
pub enum Seed<'a> {
    /// It is there.
    Found(&'a SeedFacts),
    /// It is not there.
    Absent,
    /// Nobody answered.
    Unanswered(&'a str),
    /// It has to be asked for first.
    Asked,
}

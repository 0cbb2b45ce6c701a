//! What is known while a request is decided, and what has to be asked.

use std::sync::Arc;

use super::access::Grant;
use super::freshness::{Freshness, InCache};
use super::known::{Cluster, Known, Seed, WhyOld};
use super::questions::{Answer, Answers, Questions, Visibility};
use super::snapshot::Snapshot;
use super::target::Target;
use crate::gardener::{SeedFacts, ShootFacts, ShootName, VpcKey, is_dns_label, is_dns_subdomain};

/// The cache, the answers so far, and the questions that are still open.
///
/// Every look states how fresh the facts have to be, and only here it is decided whether the cache is enough: see [`Freshness`].
/// Facts of a Shoot are given only to those who may see it: as a [`Target`], or by a `SeesAll`.
#[derive(Debug)]
pub struct View<'a> {
    /// `None` while it is stale.
    cache: Option<&'a Snapshot>,
    answers: &'a Answers,
    sees_all: bool,
    unanswered: Option<&'a str>,
    questions: Questions,
}

/// Something has to be asked before the decision. Only a [`View`] says so, when it has noted a question.
#[derive(Debug)]
pub struct Asked(());

/// The right to know of all Shoots of a place. Only a [`View`] gives it, because the requesting user may see them all.
#[derive(Debug)]
pub(crate) struct SeesAll(Grant);

impl<'a> View<'a> {
    /// Begins a decision; without a cache while that is stale.
    pub(crate) fn new(cache: Option<&'a Snapshot>, answers: &'a Answers) -> Self {
        Self { cache, answers, sees_all: false, unanswered: None, questions: Questions::default() }
    }

    /// From now on everything may be seen and nothing is asked: for Gardener's own components.
    pub(crate) fn see_everything(&mut self) {
        self.sees_all = true;
    }

    /// Ends a decision that is not final, because something has to be asked first.
    ///
    /// # Errors
    ///
    /// When there is a question.
    pub(crate) fn settle(&self) -> Result<(), Asked> {
        if self.questions.is_empty() { Ok(()) } else { Err(Asked(())) }
    }

    /// What has to be asked before the decision.
    pub(crate) fn into_questions(self) -> Questions {
        self.questions
    }

    /// The Cluster of this name, which is that of the Shoot's control-plane namespace. A review is about one of them only.
    ///
    /// # Errors
    ///
    /// When it has to be asked for first. A name that no namespace has never is: it must not become part of a URL.
    pub fn cluster(&mut self, name: &str, freshness: Freshness) -> Result<Cluster<'a>, Asked> {
        let cached = self.cache.and_then(|cache| cache.cluster(name));
        let answer = &self.answers.cluster;
        if answer.is_none() && self.needs_live(freshness, cached.is_some()) && is_dns_label(name) {
            self.questions.cluster = Some(name.to_owned());
            return Err(Asked(()));
        }
        Ok(match (cached, answer) {
            (None, Some(Answer::Found(live))) => Cluster::Record(live, None),
            (Some(_), Some(Answer::Found(live))) if live.is_ok() => Cluster::Record(live, None),
            // The usual case: nothing was asked, or the answer is not usable.
            (Some(cached), answer) => {
                let why = match answer {
                    None => WhyOld::NotAsked,
                    Some(Answer::Unanswered(why)) => WhyOld::Unanswered(why),
                    Some(Answer::Absent) => WhyOld::Gone,
                    Some(Answer::Found(_)) => WhyOld::Unreadable,
                };
                Cluster::Record(cached, Some(why))
            }
            (None, Some(Answer::Absent)) => Cluster::Absent,
            (None, Some(Answer::Unanswered(why))) => Cluster::Unanswered(why),
            (None, None) if freshness == Freshness::Cached && self.cache.is_some() => Cluster::Absent,
            (None, None) => Cluster::Unknown,
        })
    }

    /// The Shoot of this name as the requesting user may know it; `None` when something has to be asked first.
    pub(crate) fn shoot(&mut self, name: &ShootName, freshness: Freshness) -> Option<Target> {
        self.as_seen(name, None, freshness)
    }

    /// The same of a Shoot that an entry of this subject names: it may consent to be judged. `Freshness::Cached`.
    pub fn target(&mut self, name: &ShootName, subject: Option<&ShootName>) -> Option<Target> {
        self.as_seen(name, subject, Freshness::Cached)
    }

    fn as_seen(&mut self, name: &ShootName, subject: Option<&ShootName>, freshness: Freshness) -> Option<Target> {
        let visibility = self.visibility(name);
        if visibility.is_none() && self.cache.is_some() {
            // The next call looks it up; this one only asks.
            return None;
        }
        let shoot = self.facts(name, freshness);
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
    fn visibility(&mut self, name: &ShootName) -> Option<&'a Visibility> {
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

    /// What is known of a Shoot, whether or not the requesting user may know it.
    fn facts(&mut self, name: &ShootName, freshness: Freshness) -> Known<'a, Arc<ShootFacts>> {
        let cached = self.cache.and_then(|cache| cache.shoots.get(name));
        match (self.answers.shoots.get(name), cached) {
            (None, _) if self.needs_live(freshness, cached.is_some()) => {
                self.questions.shoots.insert(name.clone());
                Known::Asked
            }
            (Some(Answer::Found(facts)), _) | (None, Some(facts)) => Known::Found(facts),
            (Some(Answer::Unanswered(why)), _) => Known::Unanswered(why),
            (None, None) if self.cache.is_none() => Known::Unanswered("not read"),
            (Some(Answer::Absent), _) | (None, None) => Known::Absent,
        }
    }

    /// Has a Shoot read again before something is refused because of it: `Freshness::Live`.
    pub fn confirm(&mut self, name: &ShootName) {
        self.facts(name, Freshness::Live);
    }

    /// Whether this Shoot was read again already, or need not be.
    pub(crate) fn is_confirmed(&self, name: &ShootName) -> bool {
        self.sees_all || self.answers.shoots.contains_key(name)
    }

    /// Whether anything was read again already.
    pub(crate) fn is_second_look(&self) -> bool {
        !self.answers.shoots.is_empty()
    }

    /// Whether the requesting user may see all Shoots there, and nothing of them need be hidden; `None` too while that
    /// has to be asked first. This is how rules find Shoots that the user did not name: asked about one by one, hidden ones
    /// would shape the answer by their number.
    pub(crate) fn sees_all_of(&mut self, place: Grant) -> Option<SeesAll> {
        let visibility = self.answers.grants.get(&place);
        if let Some(Visibility::Unanswered(why)) = visibility {
            self.unanswered.get_or_insert(why);
        }
        // Who may see all Shoots everywhere may see those.
        let is_visible = |visibility: Option<&Visibility>| visibility == Some(&Visibility::Visible);
        let sees = self.sees_all || is_visible(visibility) || is_visible(self.answers.grants.get(&Grant::Everywhere));
        if visibility.is_none() && !self.sees_all {
            self.questions.grants.insert(place.clone());
        }
        sees.then_some(SeesAll(place))
    }

    /// Why nobody answered whether the user may see all Shoots of a place, the first that was asked about: what was to be found
    /// there was not looked for. It depends on the request and the API server, and on no Shoot.
    pub fn unanswered(&self) -> Option<&'a str> {
        self.unanswered
    }

    /// The Shoots there that list this one, sorted by name.
    pub(crate) fn listers(
        &self,
        name: &ShootName,
        sees: &SeesAll,
    ) -> impl Iterator<Item = (&'a ShootName, &'a ShootFacts)> + use<'a> {
        let shoots = self.cache.map(|cache| &cache.shoots);
        let listers = shoots.map(|shoots| shoots.listers(name, &sees.0)).into_iter().flatten();
        listers.filter_map(move |lister| Some((lister, &**shoots?.get(lister)?)))
    }

    /// The Shoots there that are in this VPC, sorted by name.
    pub(crate) fn in_vpc(&self, vpc: &VpcKey, sees: &SeesAll) -> impl Iterator<Item = &'a ShootName> + use<'a> {
        let shoots = self.cache.map(|cache| &cache.shoots);
        shoots.map(|shoots| shoots.in_vpc(vpc, &sees.0)).into_iter().flatten()
    }

    /// The Seed of this name: `Freshness::Present`.
    pub fn seed(&mut self, name: &str) -> Seed<'a> {
        self.seed_as(name, Freshness::Present)
    }

    /// Has a Seed read again before something is refused because of what it is: `Freshness::Live`.
    pub(crate) fn confirm_seed(&mut self, name: &str) {
        self.seed_as(name, Freshness::Live);
    }

    fn seed_as(&mut self, name: &str, freshness: Freshness) -> Seed<'a> {
        let cached: Option<&SeedFacts> = self.cache.and_then(|cache| cache.seed(name));
        match (self.answers.seeds.get(name), cached) {
            // A name that no object can have need not be asked for.
            (None, _) if self.needs_live(freshness, cached.is_some()) && is_dns_subdomain(name) => {
                self.questions.seeds.insert(name.to_owned());
                Known::Asked
            }
            (Some(Answer::Found(facts)), _) | (None, Some(facts)) => Known::Found(facts),
            (Some(Answer::Unanswered(why)), _) => Known::Unanswered(why),
            (Some(Answer::Absent), _) | (None, None) => Known::Absent,
        }
    }

    /// Whether the API server has to be asked about an object, and may be.
    fn needs_live(&self, freshness: Freshness, is_cached: bool) -> bool {
        let cached = match self.cache {
            None => InCache::Stale,
            Some(_) if is_cached => InCache::Present,
            Some(_) => InCache::Absent,
        };
        !self.sees_all && freshness.needs_live(cached)
    }
}

//! Findings about the networks of a Shoot that is written.

use super::{check, is_untranslatable};
use crate::diagnostics::Finding;
use crate::diagnostics::ratchet::{self, Scope, compare};
use crate::gardener::Shoot;
use crate::gardener::shoot::StatusNetworking;
use crate::landscape::{Seed, View};

/// The findings about the networks of a Shoot that its writer caused, and the Seed that could not be looked up, with
/// the reason.
pub fn judge<'k>(scope: Scope<'_>, view: &mut View<'k>) -> (Vec<Finding>, Option<(String, &'k str)>) {
    let Scope { new, old } = scope;
    let mut unanswered = None;
    let mut check_with_seed = |shoot: &Shoot<'_>, stored: Option<&Shoot<'_>>| {
        let no_status = StatusNetworking::default();
        let status = stored.map_or(&no_status, |stored| &stored.status_networking);
        let seed = shoot.seed.as_deref().filter(|seed| !seed.is_empty()).and_then(|name| match view.seed(name) {
            Seed::Found(facts) => Some((name, facts)),
            Seed::Unanswered(why) => {
                unanswered = Some((name.to_owned(), why));
                None
            }
            Seed::Absent | Seed::Asked => None,
        });
        check(&shoot.networking, status, seed)
    };
    let stored = old.map_or_else(Vec::new, |old| check_with_seed(old, Some(old)));
    let (mut findings, stored) = compare(check_with_seed(new, old), &stored).split();
    // Nothing else reports this, and connections into the Shoot fail: a warning at every write that is judged, if not a
    // denial.
    findings.extend(stored.into_iter().filter(is_untranslatable).map(ratchet::as_stored));
    (findings, unanswered)
}

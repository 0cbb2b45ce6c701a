//! Findings about the networks of a Shoot that is written.

use super::{check, is_untranslatable, rules};
use crate::diagnostics::{Finding, Severity, without_stored};
use crate::gardener::Shoot;
use crate::gardener::shoot::StatusNetworking;
use crate::landscape::{Seed, View};

/// The findings about the networks of a Shoot that its writer caused, and the Seed that could not be looked up, with
/// the reason.
pub fn judge<'k>(
    new: &Shoot<'_>,
    old: Option<&Shoot<'_>>,
    view: &mut View<'k>,
) -> (Vec<Finding>, Option<(String, &'k str)>) {
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
    let found = check_with_seed(new, old);
    // Nothing else reports this, and connections into the Shoot fail: a warning at every write that is judged, if not a
    // denial.
    let lasting: Vec<Finding> = found.iter().filter(|finding| is_untranslatable(finding)).cloned().collect();
    let mut findings = without_stored(found, stored, is_same);
    for finding in lasting {
        if !findings.iter().any(|new| (new.rule, &new.path) == (finding.rule, &finding.path)) {
            findings.push(finding.at_most(Severity::Warn));
        }
    }
    (findings, unanswered)
}

/// Whether a finding is the same as a stored one, though it does not say the same: which of several networks has no room depends
/// on all of them; and which of them meets a Seed that is too wide first.
fn is_same(finding: &Finding, old: &Finding) -> bool {
    finding.rule == &rules::SEED_TOO_WIDE || finding.rule == &rules::DOES_NOT_FIT && old.path == finding.path
}

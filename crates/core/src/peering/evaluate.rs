//! Evaluates all rules on one Shoot: first those that need the Shoot only, then those that need its peers.

use crate::diagnostics::ratchet::{self, Touch};
use crate::diagnostics::{Finding, Severity};
use crate::gardener::shoot::Extension;
use crate::gardener::{Shoot, ShootName};
use crate::json::FieldPath;
use crate::landscape::{Target, View};

use super::config::{self, Config, Entry, Limits};
use super::pair_state::PairState;
use super::ruled::Ruled;
use super::rules::pair::{Pair, PairRule};
use super::rules::{PAIR_RULES, entry, graph, lifecycle, networks, own_nodes, reciprocal, target_seed, unverified};
use super::settings::Settings;
use super::subject::Subject;

/// The result for an enabled extension by itself: findings, all entries, and the entries that name a Shoot.
pub(super) struct Local<'a> {
    /// What is wrong.
    pub findings: Vec<Finding>,
    /// All entries that could be parsed.
    pub config: Config<'a>,
    /// Those that name a Shoot other than this one, each once.
    pub usable: Vec<Entry<'a>>,
    /// Whether a limit on entries or findings was reached.
    pub is_cut: bool,
}

/// The field path of an extension's configuration.
pub(super) fn config_path(extension: &Extension<'_>) -> FieldPath {
    FieldPath::from("spec.extensions").index(extension.index).field("providerConfig")
}

/// Judges the configuration of an enabled extension by itself, within the limits.
pub(super) fn local<'a>(shoot: &Shoot<'_>, extension: &Extension<'a>, limits: Limits) -> Local<'a> {
    let path = config_path(extension);
    let (config, mut findings) = config::decode(extension.provider_config, &path, limits);
    let is_cut = config.unread > 0 || findings.len() >= limits.findings;
    if !shoot.has_workers {
        findings.extend(lifecycle::no_workers(path.clone(), config.entries.len(), config.count));
    }
    let name = (!shoot.name.is_empty()).then(|| ShootName::new(&shoot.namespace, &shoot.name));
    let (of_entries, usable) = entry::check(&path, name.as_ref(), config.entries.clone());
    findings.extend(of_entries);
    Local { findings, config, usable, is_cut }
}

/// The maximum number of removed entries whose counterparts are looked up; each may give one warning.
const MOST_REMOVED: usize = 100;

/// Judges a Shoot together with its peers, as far as its writer changed anything about them. The findings are valid
/// only when `view` has no questions left.
pub(super) fn remote(subject: &Subject<'_>, settings: &Settings, view: &mut View<'_>) -> (Vec<Ruled>, Vec<PairState>) {
    // A new entry may conflict with a stored one, and a user who edits the list is warned about the rest of it. So in
    // both cases all entries are looked up.
    let (is_touched, is_edited) = (subject.is_touched(), subject.is_list_edited());
    let targets: Vec<Option<Target>> = subject
        .peers
        .iter()
        .map(|listed| {
            let is_looked_up = (is_touched || is_edited) && listed.is_looked_up;
            if is_looked_up { view.target(&listed.target, subject.name.as_ref()) } else { None }
        })
        .collect();

    let mut found: Vec<Ruled> = Vec::new();
    let mut states = Vec::new();
    let beyond = subject.peers.iter().filter(|listed| !listed.is_looked_up).count();
    if is_touched && beyond > 0 || subject.unread > 0 {
        let most = settings.looked_up();
        found.push(Ruled::by_targets(
            unverified::not_looked_up(subject.path.clone(), beyond + subject.unread, most),
            [],
        ));
    }
    for (listed, target) in subject.peers.iter().zip(&targets) {
        if listed.touch == Touch::Stored {
            if let Some(target) = target {
                let pair = Pair { subject, listed, target, settings, tells_stored: is_edited };
                stored(&pair, view, &mut found);
            }
            continue;
        }
        if !listed.is_looked_up {
            states.push(PairState::CannotBeVerified);
            continue;
        }
        // Asks for the Seed if it is unknown.
        let unknown = target_seed::seed_unknown(subject, listed, view);
        found.extend(unknown.map(|finding| Ruled::by_targets(finding, [])));
        let Some(target) = target else { continue };
        states.push(PairState::of(target, subject.name.as_ref()));
        let pair = Pair { subject, listed, target, settings, tells_stored: is_edited };
        for PairRule { check, cause, .. } in &PAIR_RULES {
            // For an entry that was stored before, only what the writer changed can be denied.
            let found_one = check(&pair).map(|finding| finding.at_most(listed.touch.most(*cause)));
            found.extend(found_one.map(|finding| Ruled::by_targets(finding, [&listed.target])));
        }
    }
    found.extend(graph::peers_overlap(subject, &targets, is_edited));
    found.extend(own_nodes::of_subject(subject, &targets, settings));
    found.extend(own_nodes::seed_nodes(subject, settings, view).map(Ruled::by_seed));
    found.extend(graph::peer_of_peer(subject, &targets, view));
    if let Some(name) = &subject.name {
        for removed in subject.removed.iter().take(MOST_REMOVED) {
            if let Some(Target::Visible(facts)) = view.target(removed, Some(name))
                && facts.lists(name)
            {
                found.push(Ruled::by_targets(lifecycle::left_one_sided(removed), [removed]));
            }
        }
    }
    (found, states)
}

/// Problems of an entry that is stored and unchanged. When the list is edited, its writer is warned about them, and
/// never denied because of them.
fn stored(pair: &Pair<'_>, view: &mut View<'_>, found: &mut Vec<Ruled>) {
    if !pair.tells_stored {
        return;
    }
    let rests_on = |finding: Finding| Ruled::by_targets(ratchet::as_stored(finding), [&pair.listed.target]);
    // If the right Seed is known, `SEED_WRONG` reports it.
    if pair.target.visible().is_none_or(|facts| facts.seed.is_none()) {
        found.extend(target_seed::seed_unknown(pair.subject, pair.listed, view).map(rests_on));
    }
    let rules = PAIR_RULES.iter().filter(|rule| rule.even_stored);
    found.extend(rules.filter_map(|rule| (rule.check)(pair)).map(rests_on));
}

/// Merges all warnings about missing reciprocal entries into one finding, because the user can do nothing else about
/// them. Denials stay separate, so that each has its own path. Runs after severities are configured.
pub(super) fn gather_awaited(found: &mut Vec<Ruled>, subject: &Subject<'_>, view: &mut View<'_>) {
    let is_awaited =
        |ruled: &Ruled| ruled.finding.rule == &reciprocal::NOT_RECIPROCAL && ruled.finding.severity == Severity::Warn;
    if found.iter().filter(|ruled| is_awaited(ruled)).count() < 2 {
        return;
    }
    let names: Vec<ShootName> =
        found.extract_if(.., |ruled| is_awaited(ruled)).flat_map(|ruled| ruled.rests_on).collect();
    let finding = reciprocal::all_awaited(subject, &names, view).at_most(Severity::Warn);
    found.push(Ruled::by_targets(finding, &names));
}

/// Of findings about the same problem, keeps only the most specific one. Runs after severities are configured.
pub(super) fn prefer_precise(found: &mut Vec<Ruled>) {
    // A wrong Seed that does not exist either is reported once: the right Seed is the more useful message.
    let precise: Vec<FieldPath> = found
        .iter()
        .filter(|ruled| ruled.finding.rule == &target_seed::SEED_WRONG && ruled.finding.severity == Severity::Deny)
        .map(|ruled| ruled.finding.path.clone())
        .collect();
    found.retain(|ruled| ruled.finding.rule != &target_seed::SEED_UNKNOWN || !precise.contains(&ruled.finding.path));
    // A Seed that does not exist is reported as such, and not as a guess too.
    let absent: Vec<FieldPath> = found
        .iter()
        .filter(|ruled| ruled.finding.rule == &target_seed::SEED_UNKNOWN)
        .map(|ruled| ruled.finding.path.clone())
        .collect();
    let is_guess =
        |finding: &Finding| finding.rule == &target_seed::SEED_WRONG && finding.help == target_seed::ASK_ITS_OWNER;
    found.retain(|ruled| !is_guess(&ruled.finding) || !absent.contains(&ruled.finding.path));
    // A denied network has no routes that could follow.
    let is_refused =
        |ruled: &Ruled| ruled.finding.rule == &networks::BREAKS_PEER && ruled.finding.severity == Severity::Deny;
    if found.iter().any(is_refused) {
        found.retain(|ruled| ruled.finding.rule != &own_nodes::PEERS_FOLLOW);
    }
}

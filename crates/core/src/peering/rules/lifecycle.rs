//! Rules about the life of a Shoot with peers: disabled, moved, deleted.

use std::fmt::Display;

use crate::diagnostics::{Finding, Rank, Severity, counted, rules};
use crate::gardener::ShootName;
use crate::json::FieldPath;

rules! {
    /// The extension is disabled and its configuration still lists peers. They are not connected, and the configuration
    /// is not checked.
    pub static SWITCHED_OFF = {
        name: "peering/switched-off",
        severity: Severity::Warn,
        up_to: Some(Severity::Warn),
        rank: Rank::Risk,
        fix: "Remove the entries, or enable the extension.",
        example: || switched_off(FieldPath::from("spec.extensions").index(0), 2).into_iter().collect(),
    };

    /// The Shoot has no workers, so it has no node network to join with others.
    pub static NO_WORKERS = {
        name: "peering/workerless",
        severity: Severity::Deny,
        up_to: Some(Severity::Deny),
        rank: Rank::Fault,
        fix: "Remove the entries.",
        example: || no_workers(super::example_config(), 1, 1).into_iter().collect(),
    };

    /// An entry was removed, and the other Shoot still lists this one.
    pub static LEFT_ONE_SIDED = {
        name: "peering/left-one-sided",
        severity: Severity::Warn,
        up_to: Some(Severity::Warn),
        rank: Rank::Notice,
        fix: "Have the entry on the other side removed too.",
        example: || vec![left_one_sided(&ShootName::new("garden-shop", "orders"))],
    };

    /// The deletion of a Shoot with peers was confirmed. Nobody removes the entries of its peers.
    pub static DELETION_CONFIRMED = {
        name: "peering/deletion-confirmed",
        severity: Severity::Warn,
        up_to: Some(Severity::Warn),
        rank: Rank::Notice,
        fix: "Remove the entries on both sides before the Shoot is deleted.",
        example: || vec![deletion_confirmed(2)],
    };

    /// A Shoot with peers is deleted. Its peers keep their entries for it. Those that it lists are named if the writer
    /// may see them, those of its project if the writer may see all Shoots there, and all others if the writer may see
    /// all Shoots.
    pub static DELETED = {
        name: "peering/deleted",
        severity: Severity::Warn,
        up_to: Some(Severity::Warn),
        rank: Rank::Notice,
        fix: "Remove the entries of its peers.",
        example: || vec![deleted(1, &[ShootName::new("garden-shop", "orders")])],
    };

    /// The control plane of the Shoot moves to another Seed: the `seed` of entries that name it becomes stale. Shoots
    /// with such entries are named as far as the writer may see all Shoots of the project, or all Shoots.
    pub static MIGRATED = {
        name: "peering/migrated",
        severity: Severity::Warn,
        up_to: Some(Severity::Warn),
        rank: Rank::Notice,
        fix: "Correct the entries of its peers.",
        example: || migrated("eu1-a", "eu1-b", &[ShootName::new("garden-shop", "orders")]).into_iter().collect(),
    };
}

/// The maximum number of Shoots named in one message.
const NAMES: usize = 5;

/// Names, limited to what fits on a line.
fn names<T: Display>(names: &[T]) -> String {
    let shown: Vec<String> = names.iter().take(NAMES).map(ToString::to_string).collect();
    match names.len().saturating_sub(NAMES) {
        0 => shown.join(", "),
        _ => format!("{}, and others", shown.join(", ")),
    }
}

/// The extension at this path is disabled and lists some peers.
pub fn switched_off(path: FieldPath, peers: usize) -> Option<Finding> {
    (peers > 0).then(|| {
        let message = format!("is disabled and still lists {}, not connected", counted(peers, "peer"));
        SWITCHED_OFF.finding(path, message, "remove them, or enable it")
    })
}

/// The Shoot has no workers and lists some peers, in so many entries.
pub fn no_workers(path: FieldPath, peers: usize, entries: usize) -> Option<Finding> {
    (peers > 0).then(|| {
        let message = "a Shoot without workers has no node network".to_owned();
        let finding = NO_WORKERS.finding(path.field("shootPeerings"), message, "remove the entries");
        finding.about("").magnitude(entries as u64)
    })
}

/// This Shoot removed its entry for the target, which still lists it.
pub fn left_one_sided(target: &dyn Display) -> Finding {
    LEFT_ONE_SIDED.finding(
        "",
        format!("{target} still lists this Shoot"),
        "its entry has no effect any more, have it removed",
    )
}

/// The deletion is confirmed.
pub fn deletion_confirmed(peers: usize) -> Finding {
    let message = format!("this Shoot still lists {}, and nobody removes entries for it", counted(peers, "peer"));
    DELETION_CONFIRMED.finding("metadata.annotations", message, "remove them on both sides first")
}

/// The Shoot is deleted, and these still list it.
pub fn deleted(peers: usize, listers: &[ShootName]) -> Finding {
    let message = if listers.is_empty() {
        format!("this Shoot lists {}, and any entries for it stay where they are", counted(peers, "peer"))
    } else {
        format!("still listing this Shoot: {}", names(listers))
    };
    DELETED.finding("", message, "have them removed")
}

/// The Shoot moves, and these list it.
pub fn migrated(old: &str, new: &str, listers: &[ShootName]) -> Option<Finding> {
    (!listers.is_empty()).then(|| {
        let message = format!("listing this Shoot with seed {old}: {}", names(listers));
        MIGRATED.finding("spec.seedName", message, format!("change it to {new} there"))
    })
}

//! The Shoot of the request, and what its writer changed.

use std::borrow::Cow;
use std::collections::HashSet;

use crate::diagnostics::ratchet::{Entries, Scope, Touch, added, are_edited};
use crate::gardener::facts::Networks;
use crate::gardener::shoot::StatusNetworking;
use crate::gardener::{Shoot, ShootName, is_dns_label};
use crate::json::FieldPath;
use crate::net::Cidr;

use super::config::{Config, Entry, tidy};

/// The Shoot of the request.
#[derive(Debug)]
pub(super) struct Subject<'a> {
    /// Its name; `None` while `generateName` is not resolved.
    pub name: Option<ShootName>,
    /// `spec.seedName`.
    pub seed: Option<&'a str>,
    /// The field path of its providerConfig.
    pub path: FieldPath,
    /// Its networks: those in its spec, and those in its stored status.
    pub networks: Networks,
    /// The node networks that are new.
    pub fresh_nodes: Vec<Cidr>,
    /// The stored Shoot; `None` for a new Shoot.
    pub old: Option<OldSubject>,
    /// Whether it has no workers.
    pub is_workerless: bool,
    /// Every entry that names a Shoot.
    pub peers: Vec<Listed<'a>>,
    /// The Shoots that it listed before and lists no more. Empty if some entries were not read, because these may be
    /// among them.
    pub removed: Vec<ShootName>,
    /// The number of entries beyond the limit, which were not read.
    pub unread: usize,
    /// Whether the list changed, other than in its order.
    is_list_edited: bool,
}

/// The stored Shoot.
#[derive(Debug)]
pub(super) struct OldSubject {
    /// The stored `spec.networking.nodes`, if it can be parsed.
    pub nodes: Option<Cidr>,
    /// `spec.networking.nodes` of the new object, if it can be parsed.
    pub new_nodes: Option<Cidr>,
    /// All its stored networks.
    pub networks: Networks,
}

/// An entry that names a Shoot.
#[derive(Clone, Debug)]
pub(super) struct Listed<'a> {
    /// The entry.
    pub entry: Entry<'a>,
    /// The target of the entry.
    pub target: ShootName,
    /// What the writer changed about it: its Seed is a field of it, and this Shoot's own networks are beside it.
    pub touch: Touch,
    /// Whether it is looked up; see [`Subject::look_up`].
    pub is_looked_up: bool,
}

/// Namespace and name of an entry, trimmed and in lower case.
type Named<'a> = (Cow<'a, str>, Cow<'a, str>);

/// The entries as written.
fn written<'a>(entries: &'a [Entry<'_>]) -> impl Iterator<Item = ((&'a str, &'a str), &'a str)> {
    entries.iter().map(|entry| ((&*entry.namespace, &*entry.name), &*entry.written_seed))
}

impl<'a> Subject<'a> {
    /// Compares a Shoot with the stored one.
    ///
    /// `config` is the new configuration, `usable` its entries that name a Shoot, and `old_config` the stored
    /// configuration; each only if the extension is enabled.
    pub(super) fn new(
        scope: Scope<'a>,
        path: FieldPath,
        usable: Vec<Entry<'a>>,
        config: Option<&Config<'_>>,
        old_config: Option<&Config<'_>>,
    ) -> Self {
        let Scope { new: shoot, old } = scope;
        // The writer controls the status in the request, but gardenlet wrote the stored one.
        let no_status = StatusNetworking::default();
        let mut networking = shoot.networking.clone();
        if networking.nodes.is_none() {
            // The field was removed, but the nodes keep their network.
            networking.nodes = old.and_then(|old| old.networking.nodes.as_deref()).map(|nodes| nodes.to_owned().into());
        }
        let networks = Networks::of(&networking, old.map_or(&no_status, |old| &old.status_networking));
        let old_networks = old.map(|old| Networks::of(&old.networking, &old.status_networking));
        let fresh_nodes = added(networks.nodes(), old_networks.as_ref().map_or(&[], Networks::nodes));
        let has_moved = scope.touches_networks();

        let entries = config.map(|config| &*config.entries).unwrap_or_default();
        let old_entries = old_config.map(|old| &*old.entries).unwrap_or_default();
        // The entries that were in effect: one with capitals named no Shoot.
        let stored = Entries::stored(written(old_entries));
        let peers: Vec<Listed<'_>> = usable
            .into_iter()
            .map(|entry| {
                let touch = stored.touch(&(&*entry.namespace, &*entry.name), &&*entry.written_seed, has_moved);
                let target = ShootName::new(&entry.namespace, &entry.name);
                Listed { target, entry, touch, is_looked_up: true }
            })
            .collect();
        // An entry that is misspelt now is not a removed entry.
        let listed: HashSet<Named<'_>> =
            entries.iter().map(|entry| (tidy(&entry.namespace), tidy(&entry.name))).collect();
        let mut removed: Vec<ShootName> = stored
            .keys()
            .filter(|(namespace, name)| is_dns_label(name) && is_dns_label(namespace))
            .filter(|(namespace, name)| !listed.contains(&(tidy(namespace), tidy(name))))
            .map(|(namespace, name)| ShootName::new(namespace, name))
            .collect();
        let is_list_edited = are_edited(written(entries), written(old_entries));
        let name = (!shoot.name.is_empty()).then(|| ShootName::new(&shoot.namespace, &shoot.name));
        let unread = config.map_or(0, |config| config.unread);
        removed.retain(|removed| unread == 0 && Some(removed) != name.as_ref());
        removed.sort_unstable();

        let nodes = |shoot: &Shoot<'_>| shoot.networking.nodes.as_ref().and_then(|text| text.parse().ok());
        Self {
            name,
            seed: shoot.seed.as_deref().filter(|seed| !seed.is_empty()),
            path,
            networks,
            fresh_nodes,
            old: old.zip(old_networks).map(|(old, networks)| OldSubject {
                nodes: nodes(old),
                new_nodes: nodes(shoot),
                networks,
            }),
            is_workerless: !shoot.has_workers,
            peers,
            removed,
            unread,
            is_list_edited,
        }
    }

    /// Limits the number of entries that are looked up. Entries that changed more come first, then in their order. The
    /// selection depends only on what the writer wrote.
    pub(super) fn look_up(&mut self, most: usize) {
        if self.peers.len() <= most {
            return;
        }
        let mut order: Vec<usize> = (0..self.peers.len()).collect();
        order.sort_by_key(|index| std::cmp::Reverse(self.peers[*index].touch));
        for index in &order[most..] {
            self.peers[*index].is_looked_up = false;
        }
    }

    /// The field path of an entry.
    pub(super) fn entry_path(&self, entry: &Entry<'_>) -> FieldPath {
        self.path.clone().field("shootPeerings").index(entry.index)
    }

    /// The path of a conflict with a peer: the entry if it is new, otherwise the node network.
    pub(super) fn peer_path(&self, peer: &Listed<'_>) -> FieldPath {
        if peer.touch == Touch::Added { self.entry_path(&peer.entry) } else { "spec.networking.nodes".into() }
    }

    /// Whether the writer changed any entry, or something that all entries depend on.
    pub(super) fn is_touched(&self) -> bool {
        self.peers.iter().any(|listed| listed.touch != Touch::Stored)
    }

    /// Whether the writer edited the list itself: an entry was added, removed or changed, whether it names a Shoot or
    /// not.
    pub(super) fn is_list_edited(&self) -> bool {
        self.is_list_edited
    }

    /// The stored node networks.
    pub(super) fn old_nodes(&self) -> &[Cidr] {
        self.old.as_ref().map_or(&[], |old| old.networks.nodes())
    }

    /// Whether it is new.
    pub(super) fn is_new(&self) -> bool {
        self.old.is_none()
    }
}

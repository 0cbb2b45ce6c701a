//! The Shoot of the request, and what its writer touched.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use crate::gardener::facts::Networks;
use crate::gardener::shoot::StatusNetworking;
use crate::gardener::{Shoot, ShootName, is_dns_label};
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
    pub path: String,
    /// Its networks: what is asked for, joined with what is stored in its status.
    pub networks: Networks,
    /// The node networks that it did not have before.
    pub fresh_nodes: Vec<Cidr>,
    /// The same from before; `None` for a new Shoot.
    pub old: Option<OldSubject>,
    /// Whether it has no workers.
    pub is_workerless: bool,
    /// Whom it lists: every entry that names a Shoot.
    pub peers: Vec<Listed<'a>>,
    /// Those whom it listed before and does not any more. None where entries were not read: they may be among these.
    pub removed: Vec<ShootName>,
    /// How many entries were not read, because there are so many.
    pub unread: usize,
    /// Whether the list says something else than before, but for its order.
    is_list_edited: bool,
}

/// The stored Shoot.
#[derive(Debug)]
pub(super) struct OldSubject {
    /// `spec.networking.nodes`, where it can be read.
    pub nodes: Option<Cidr>,
    /// The same of the new object.
    pub new_nodes: Option<Cidr>,
    /// All networks that it had.
    pub networks: Networks,
}

/// An entry that names a Shoot.
#[derive(Clone, Debug)]
pub(super) struct Listed<'a> {
    /// The entry.
    pub entry: Entry<'a>,
    /// Whom it names.
    pub target: ShootName,
    /// What the writer did to it.
    pub touch: Touch,
    /// Whether it is among those that are looked up: see [`Subject::look_up`].
    pub is_looked_up: bool,
}

/// What the writer of a request did to an entry.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Touch {
    /// Nothing: what is wrong with it was stored before.
    Stored,
    /// Nothing, but this Shoot's own networks changed.
    Moved,
    /// Another Seed, for a Shoot that was listed before.
    Reseeded,
    /// It is new, or newly enabled.
    Added,
}

/// Namespace and name of an entry, as they were meant.
type Named<'a> = (Cow<'a, str>, Cow<'a, str>);

/// What entries say, as it is written, in one order.
fn written<'a>(entries: Option<&'a [Entry<'_>]>) -> Vec<[&'a str; 3]> {
    let fields = |entry: &'a Entry<'_>| [&*entry.namespace, &*entry.name, &*entry.written_seed];
    let mut written: Vec<_> = entries.unwrap_or_default().iter().map(fields).collect();
    written.sort_unstable();
    written
}

impl<'a> Subject<'a> {
    /// Compares a Shoot with its stored self.
    ///
    /// `config` is the new configuration and `usable` its entries that name a Shoot, `old_config` the stored one, each if
    /// its extension is enabled.
    pub(super) fn new(
        shoot: &'a Shoot<'a>,
        old: Option<&Shoot<'_>>,
        path: String,
        usable: Vec<Entry<'a>>,
        config: Option<&Config<'_>>,
        old_config: Option<&Config<'_>>,
    ) -> Self {
        // The status of a request is what its sender likes; what is stored was written by gardenlet.
        let no_status = StatusNetworking::default();
        let mut networking = shoot.networking.clone();
        if networking.nodes.is_none() {
            // Nobody asks for it any more, and it is there all the same.
            networking.nodes = old.and_then(|old| old.networking.nodes.as_deref()).map(|nodes| nodes.to_owned().into());
        }
        let networks = Networks::of(&networking, old.map_or(&no_status, |old| &old.status_networking));
        let old_networks = old.map(|old| Networks::of(&old.networking, &old.status_networking));
        let was_there = |cidr: &Cidr| old_networks.as_ref().is_some_and(|old| old.nodes.contains(cidr));
        let fresh_nodes: Vec<Cidr> = networks.nodes.iter().copied().filter(|cidr| !was_there(cidr)).collect();
        let has_moved = old.is_some_and(|old| old.networking != shoot.networking);

        let old_entries = old_config.map(|old| &*old.entries).unwrap_or_default();
        // What was in effect: an entry with capitals named nobody. Of two for one Shoot either may be taken away.
        let mut stored: HashMap<(&str, &str), Vec<&str>> = HashMap::new();
        for old in old_entries {
            stored.entry((&*old.namespace, &*old.name)).or_default().push(&*old.written_seed);
        }
        let peers: Vec<Listed<'_>> = usable
            .into_iter()
            .map(|entry| {
                let touch = match stored.get(&(&*entry.namespace, &*entry.name)) {
                    None => Touch::Added,
                    Some(seeds) if !seeds.contains(&&*entry.written_seed) => Touch::Reseeded,
                    Some(_) if has_moved => Touch::Moved,
                    Some(_) => Touch::Stored,
                };
                let target = ShootName::new(&entry.namespace, &entry.name);
                Listed { target, entry, touch, is_looked_up: true }
            })
            .collect();
        // What is written wrongly now is not given up.
        let listed: HashSet<Named<'_>> = config
            .iter()
            .flat_map(|config| &config.entries)
            .map(|entry| (tidy(&entry.namespace), tidy(&entry.name)))
            .collect();
        let mut removed: Vec<ShootName> = stored
            .keys()
            .filter(|(namespace, name)| is_dns_label(name) && is_dns_label(namespace))
            .filter(|(namespace, name)| !listed.contains(&(tidy(namespace), tidy(name))))
            .map(|(namespace, name)| ShootName::new(namespace, name))
            .collect();
        let is_list_edited = written(config.map(|config| &*config.entries)) != written(Some(old_entries));
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

    /// Looks up no more than so many entries, those first whose writer did more to them, and otherwise in their order. What is
    /// looked up follows from what the writer wrote, and from nothing that somebody else did.
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
    pub(super) fn entry_path(&self, entry: &Entry<'_>) -> String {
        format!("{}.shootPeerings[{}]", self.path, entry.index)
    }

    /// Where its writer made a conflict with a peer: at the entry, if that is new, or else at the node network.
    pub(super) fn peer_path(&self, peer: &Listed<'_>) -> String {
        if peer.touch == Touch::Added { self.entry_path(&peer.entry) } else { "spec.networking.nodes".to_owned() }
    }

    /// Whether its writer touched any entry, or what all entries depend on.
    pub(super) fn is_touched(&self) -> bool {
        self.peers.iter().any(|listed| listed.touch != Touch::Stored)
    }

    /// Whether its writer edited the list itself: an entry came, went, or says something else, whether it names a Shoot or not.
    pub(super) fn is_list_edited(&self) -> bool {
        self.is_list_edited
    }

    /// The node networks that it had before.
    pub(super) fn old_nodes(&self) -> &[Cidr] {
        self.old.as_ref().map_or(&[], |old| &old.networks.nodes)
    }

    /// Whether it is new.
    pub(super) fn is_new(&self) -> bool {
        self.old.is_none()
    }
}

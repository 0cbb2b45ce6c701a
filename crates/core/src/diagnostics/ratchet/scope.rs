//! What a write touched of a Shoot.

use crate::gardener::Shoot;
use crate::gardener::shoot::Extension;
use crate::json;

/// A Shoot that is written and the stored one, for what its writer touched. Of a new Shoot that is everything that it has.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'s> {
    /// The Shoot that is written.
    pub new: &'s Shoot<'s>,
    /// The stored Shoot; `None` for a new one.
    pub old: Option<&'s Shoot<'s>>,
}

impl Scope<'_> {
    /// Whether nothing is touched that is judged: the write passes without a look-up.
    pub fn is_empty(self) -> bool {
        !self.touches_more_than_nodes() && !self.touches_nodes()
    }

    /// Whether more is touched of what is judged than how many nodes there may be, and where.
    pub fn touches_more_than_nodes(self) -> bool {
        self.touches_pairs()
            || self.is_other(|old, new| json::are_same(old.network_config, new.network_config))
            || self.is_other(|old, new| old.is_deletion_confirmed == new.is_deletion_confirmed)
    }

    /// Whether anything is touched that peerings depend on.
    pub fn touches_pairs(self) -> bool {
        self.touches_peerings()
            || self.touches_networks()
            || self.is_other(|old, new| old.has_workers == new.has_workers)
    }

    /// Whether the peering extension says something else; a new Shoot without one says nothing.
    pub fn touches_peerings(self) -> bool {
        let says_the_same = |old: &Extension<'_>, new: &Extension<'_>| {
            old.is_disabled == new.is_disabled && json::are_same(old.provider_config, new.provider_config)
        };
        match (self.old.and_then(|old| old.peering.as_ref()), &self.new.peering) {
            (None, None) => false,
            (Some(old), Some(new)) => !says_the_same(old, new),
            _ => true,
        }
    }

    /// Whether the addresses in `spec.networking` are others.
    pub fn touches_networks(self) -> bool {
        self.is_other(|old, new| old.networking == new.networking)
    }

    /// Whether Calico's configuration says something else, or may mean something else: it does so with another IP family.
    pub fn touches_overlay(self) -> bool {
        self.is_other(|old, new| {
            json::are_same(old.network_config, new.network_config)
                && old.networking.ip_families == new.networking.ip_families
        })
    }

    /// Whether there may be more nodes than before, or elsewhere, in a Shoot where they may have routes.
    pub fn touches_nodes(self) -> bool {
        self.is_other(|old, new| {
            let is_same_place = json::are_same(old.infrastructure_config, new.infrastructure_config);
            (is_same_place && new.max_nodes() <= old.max_nodes()) || !new.may_have_routes(Some(old))
        })
    }

    fn is_other(self, is_same: impl Fn(&Shoot<'_>, &Shoot<'_>) -> bool) -> bool {
        self.old.is_none_or(|old| !is_same(old, self.new))
    }
}

//! The overlay together with a second IP family: what Calico makes of it, and where no routes are made because of it.
//!
//! Calico supports two families only without an overlay. The table is from the code of
//! gardener-extension-networking-calico (v1.60.0-dev, `pkg/controller/actuator_reconcile.go`, `pkg/charts/utils.go`,
//! `charts/internal/calico/templates`):
//!
//! | `overlay` | with IPv6 in `ipFamilies` |
//! |---|---|
//! | not set | `setPoolMode(…, Never)`: the backend is `none`, nothing is encapsulated |
//! | `enabled: false` | the same; the IPv4 pool is configured so too, and routes of the tunnel are removed from nodes |
//! | `enabled: true` | `default-ipv4-ippool` has `ipipMode: Always`, but `FELIX_IPINIPENABLED` is `false` as soon as there is IPv6, so Felix makes no tunnel; with `vxlan.enabled` it does. `default-ipv6-ippool` has `Never` for both in any case |
//!
//! Until all nodes have both families, the controller cuts the list to its first one: while the Shoot's constraint
//! `DualStackNodesMigrationReady` is there and not `True`.

use crate::gardener::Provider;
use crate::gardener::providers::Addresses;

/// Whether a Shoot with two families gets no routes. Other providers ignore the families, or heed only a Shoot without
/// IPv4.
pub(super) fn has_no_routes_with_two_families(provider: &str) -> bool {
    Provider::of(provider).is_some_and(|provider| provider.addresses == Addresses::WithIpv6)
}

/// Why no routes will be made, whatever the Shoot asks for from now on.
pub(super) const TWO_NODE_NETWORKS: &str = "gcp makes no routes once the infrastructure has a second IP family, so none will come: keep the overlay, or replace all nodes, as new ones need no route, and force the switch";

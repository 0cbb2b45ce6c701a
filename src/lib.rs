//! network-guard: network admission for Gardener landscapes.
//!
//! Gardener runs Kubernetes clusters ("Shoots") whose control planes are in "Seed" clusters. This is an admission server, with
//! controllers beside it, for what goes wrong between their networks:
//!
//! **CIDR overlap.** A highly available Shoot may use the same IPv4 ranges as the Pods of its Seed. When it does, and only then,
//! its `kube-apiserver` Deployment gets an Envoy sidecar and an egress selector, so that the double NAT of vpn2 can tell
//! connections into the Shoot from connections inside the Seed: [`network_guard_core::vpn`], [`network_guard_nat`].
//!
//! **Shoot peering.** Two Shoots join their node networks by listing each other. The writer of a Shoot is told what cannot work,
//! as far as the writer may know it: [`network_guard_core::peering`], and `docs/reference/rules.md` for all rules.
//!
//! **Overlay switch.** Calico may give up its overlay only when every node has its route. The webhook for the Seed's `Network`
//! holds the change ([`network_guard_core::overlay`]), and a controller releases it
//! ([`network_guard_controllers::overlay_switch`]).
//!
//! **Certificates.** API servers trust the CA in a webhook configuration, so a server that makes its own certificates also
//! registers itself: each replica issues its leaf from a CA in a Secret that all replicas share, and the leader rotates that CA
//! without a call that fails ([`network_guard_core::certificates`], [`network_guard_controllers::certificates`]).
//!
//! # The program
//!
//! This package opens the door, and decides nothing. `docs/architecture.md` is the map of the crates, with the life of a review
//! and of a decision in a loop.
//!
//! | module | |
//! |---|---|
//! | [`cli`] | arguments, output, exit codes: one file for each command |
//! | [`wiring`] | what makes up a server: sources, webhooks, controllers, Leases; the loop that asks for what a webhook wants to know |
//! | [`config`] | the configuration file |

pub mod cli;
pub mod config;
pub mod wiring;

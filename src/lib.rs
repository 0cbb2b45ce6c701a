//! network-guard: network admission for Gardener landscapes.
//!
//! Gardener runs Kubernetes clusters ("Shoots") whose control planes live in "Seed" clusters. This program is an
//! admission server for what goes wrong between their networks:
//!
//! **CIDR overlap.** A highly available Shoot may use the same IPv4 ranges as the Pods of its Seed. When it does, and
//! only then, its `kube-apiserver` Deployment gets an Envoy sidecar and an egress selector, so that vpn2's double NAT
//! can tell connections into the Shoot from connections inside the Seed.
//!
//! **Shoot peering.** Two Shoots join their node networks by listing each other. The writer of a Shoot is told what
//! cannot work, as far as the writer may know it: see [`network_guard_core::peering`] for how that is ensured, and
//! `docs/rules.md` for all rules.
//!
//! **Overlay switch.** Calico may give up its overlay only when every node has its route. The change is held in admission
//! of the Seed's `Network` ([`network_guard_core::overlay`], [`network_guard_core::webhooks`]), and let through by a
//! controller ([`network_guard_controllers::overlay`]).
//!
//! **Certificates.** API servers trust the CAs in webhook configurations, so a server with self-managed certificates
//! also registers itself: each replica issues its leaf from a CA that all share in a Secret, and the leader rotates that
//! CA without a failed call ([`network_guard_core::certificates`], [`network_guard_controllers::certificates`]).
//!
//! # The life of a review
//!
//! ```text
//! API server ── AdmissionReview ──> server ── borrowed Request ──> handler ── Verdict ──> server ── answer
//!                                     │                             │  ^
//!                                     │ fetches, under one deadline │  │ Snapshot: an immutable value
//!                                     └────── Answers <── Questions ┘  │
//!                                                                      │
//!                          API server or folder ── sources ── Landscape┘
//! ```
//!
//! A handler never waits and never reads a clock: it decides from the request, a snapshot and answers, so every
//! decision is a function that a table can test.
//!
//! # Crates
//!
//! A crate uses only what is below it:
//!
//! | crate | |
//! |---|---|
//! | this one | [`cli`]: arguments, logging, exit codes; [`wiring`]: puts the server together; [`config`]: the configuration file |
//! | [`network_guard_controllers`] | loops that write (leader only); keys and certificates |
//! | [`network_guard_nat`] | the double NAT in a network namespace |
//! | [`network_guard_sources`] | the sources of the landscape, live reads |
//! | [`network_guard_runtime`] | HTTPS, limits, health, metrics, logs, stop; Leases and loops: it does not know core |
//! | [`network_guard_core`] | all decisions, as pure functions |

pub mod cli;
pub mod config;
pub mod wiring;

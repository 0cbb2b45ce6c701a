//! network-guard: network admission for Gardener landscapes.
//!
//! Gardener runs Kubernetes clusters ("Shoots") whose control planes live in "Seed" clusters. This crate is an
//! admission server for what goes wrong between their networks. What it does today:
//!
//! **CIDR overlap.** A highly available Shoot may use the same IPv4 ranges as the Pods of its Seed. When it does, and
//! only then, its `kube-apiserver` Deployment gets an Envoy sidecar and an egress selector, so that vpn2's double NAT
//! can tell connections into the Shoot from connections inside the Seed.
//!
//! **Shoot peering.** Two Shoots join their node networks by listing each other. Whoever applies a Shoot is told what
//! cannot work, as far as they may know it: see [`peering`] for how that is kept, and `docs/rules.md` for all rules.
//!
//! **Overlay switch.** Calico may give up its overlay only when every node has its route. The change is held in admission
//! of the Seed's `Network` ([`overlay`], [`webhooks`]), and let through by a controller ([`controllers`]).
//!
//! **Certificates.** API servers believe what webhook configurations tell them, so a server that makes its own certificates
//! also registers itself: each replica issues its leaf from a CA that all share in a Secret, and one of them rotates that CA
//! without a call that fails ([`certificates`], [`controllers::certificates`]).
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
//! # The house
//!
//! A module uses only what lies below it; `tests/it/architecture.rs` enforces it.
//!
//! | floor | modules | |
//! |---|---|---|
//! | 8 | [`cli`], `main` | arguments, logging, exit codes |
//! | 7 | [`wiring`] | what makes up a server: sources, webhooks, controllers, Leases; the ask loop |
//! | 6 | [`config`] | the configuration file |
//! | 5 | [`nat`] | the double NAT in a network namespace |
//! | 5 | [`controllers`] | loops that write (leader only); keys and certificates |
//! | 4 | [`sources`] | what feeds the landscape, live reads |
//! | 4 | [`runtime`] | HTTPS, limits, health, metrics, logs, stop; Leases and loops: it names no other module |
//! | 3 | [`webhooks`] | one file a webhook |

//! | 2 | [`certificates`], [`networks`], [`overlay`], [`peering`], [`vpn`] | decisions, one room each |
//! | 1 | [`admission`], [`landscape`], [`diagnostics`], [`gardener`] | protocol, snapshot, rules and findings, typed views |
//! | 0 | [`net`], [`json`] | CIDRs and the mapping into Gardener's reserved ranges; JSON without a tree |

pub mod cli;
pub mod config;
pub mod wiring;

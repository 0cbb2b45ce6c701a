//! Translates: the double NAT of the VPN in a network namespace, as text and as execution of what `vpn::nat` of the core plans.
//! The plan itself must never enter: both ends of a tunnel compute it from the core.
//!
//! ```text
//! Plan ── wanted ──────────────────────────────> Tables ──┐
//!                                                         ├── transition ──> input of iptables-restore
//! iptables-save ──────────── read ──────────> Tables ─────┘── drift ──> what is not as it should be
//! ```
//!
//! The rules are in separate chains, to which the built-in chains jump. So they can be told from the rules of others,
//! replaced at once, and removed without a trace.

mod agent;
mod firewall;
mod ip;
mod kernel;
mod lock;
mod monitor;
mod routes;
mod rule_text;
mod tables;

pub use agent::{Applied, Event, NatAgent, remove};
pub use firewall::{Backend, Iptables};
pub use ip::Routes;
pub use kernel::KernelSettings;
pub use rule_text::{match_text, rule_text};
pub use tables::{Drift, Place, Tables};

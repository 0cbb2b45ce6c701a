//! The double NAT in a network namespace: text and execution of what `vpn::nat` plans.
//!
//! ```text
//! Plan ── wanted ──────────────────────────────> Tables ──┐
//!                                                         ├── transition ──> input of iptables-restore
//! iptables-save ──────────── read ──────────> Tables ─────┘── drift ──> what is not as it should be
//! ```
//!
//! The rules live in chains of our own, to which the built-in ones jump, so they can be told from what others wrote,
//! replaced at once and taken away without a trace.

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

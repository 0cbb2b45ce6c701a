//! The double NAT as data: which rules, routes and kernel settings each end of the tunnel needs.
//!
//! ```text
//! Networks, End ── plan ──> Plan ── wanted ──> Tables ──┐
//!                                                        ├── transition ──> input of iptables-restore
//! iptables-save ──────────── read ──────────> Tables ────┘── drift ──> what is not as it should be
//! ```
//!
//! Seed and Shoot may both use, say, 10.250.0.0/16. Inside the tunnel neither does: the Seed's Pods appear in 241.0.0.0/8,
//! the Shoot's nodes, Services and Pods in 242, 243 and 244. Each end translates its own addresses and those that it uses
//! for the other, so no packet with an ambiguous address is ever sent through, and nobody outside sees a mapped one.
//!
//! The rules are those of vpn2 in effect (`tests/fixtures/vpn2`). They live in chains of our own, to which the built-in
//! ones jump, so they can be told from what others wrote, replaced at once and taken away without a trace.
//!
//! Who carries that out depends on the landscape's vpn2. A new one does, from its variables, which are kept right; beside
//! an old one run containers of ours.

mod own;
mod plan;
mod routes;
mod rule;
mod settings;
mod tables;
mod told;
mod variables;

pub use own::{CONTAINER, Containers, ContainersChange, INIT_CONTAINER, TakenName};
pub use plan::{CannotPlan, End, Networks, Plan, Route, Setting, Side, cannot_translate, plan};
pub use routes::{
    ASIDE_TABLE, HOLE_METRIC, KernelRoute, ROUTE_PROTOCOL, RouteChange, TakenRoute, Way, follow_routes, read_routes,
    routes_by, undo_routes,
};
pub use rule::{Device, Hook, Match, NotADevice, Rule, Table, Target};
pub use settings::{Mode, Own, Settings, ShootWebhook};
pub use tables::{Drift, Place, Tables};
pub use told::{Difference, differences, told};
pub use variables::{Correction, Found, NAMES, Variables, corrections};

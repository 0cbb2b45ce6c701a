//! The double NAT as data: which rules, routes and kernel settings each end of the tunnel needs, and who applies them.
//!
//! Seed and Shoot may both use, say, 10.250.0.0/16. Inside the tunnel neither does: the Seed's Pods appear in
//! 241.0.0.0/8, the Shoot's nodes, Services and Pods in 242, 243 and 244. Each end translates its own addresses and
//! those that it uses for the other, so no packet with an ambiguous address is ever sent through, and mapped addresses
//! are not visible outside.
//!
//! The rules have the effect of vpn2's (`tests/fixtures/vpn2`). Who applies them depends on the landscape's vpn2. A new
//! vpn2 does it itself, from its variables, which network-guard keeps correct. Beside an old vpn2 network-guard runs
//! its own containers.

mod own;
mod plan;
mod rule;
mod settings;
mod told;
mod translation;
mod variables;

pub use own::{CONTAINER, Containers, FLAGS, INIT_CONTAINER};
pub use plan::{End, Plan, Route, Setting, Side, plan};
pub use rule::{Device, Hook, Match, NotADevice, Rule, Table, Target};
pub use settings::{Mode, Own, Settings, ShootWebhook};
pub use told::{Difference, differences, told};
pub use translation::{KnownFacts, Translation};
pub use variables::{Correction, Found, NAMES, corrections};

//! How a change to native routing is held until every node has its route, released, and followed until it is rolled
//! out.
//!
//! The webhook calls [`decide`] for each write to a Network; for what it holds, the controller calls [`act`],
//! repeatedly:
//!
//! ```text
//! write ── decide ──> hold, keep, clear, release
//! Network, Shoot ── plan ──> nothing to observe, or: nodes ── RouteTracker ──> Progress ── act ──> Act
//! Act ── writes ──> what is sent to the API server, in this order
//! ```

mod act;
mod decide;
mod desired;
#[cfg(test)]
mod fixtures;
mod follow;
mod obstacle;
mod outcome;
mod passed;
mod plan;
mod record;
mod released;
mod relief;
mod risk;
mod rollout;
mod route_tracker;
mod routes;
mod settings;
mod status;
mod subset;
mod time;
mod writes;

pub use act::{Act, Nodes, act};
pub use decide::{APPROVAL, Decision, Held, decide};
pub use desired::{Desired, desired};
pub use follow::{Following, follow};
pub use outcome::{Outcome, outcome};
pub use passed::Passed;
pub use relief::Relief;
pub use rollout::{CalicoDaemonSet, CalicoPod, Rollout, rollout};
pub use route_tracker::{Missing, Progress, RouteTracker};
pub use settings::{HoldSettings, RouteTrackerSettings, SwitchSettings};
pub use status::{is_the_gates, newest_complaint};
pub use subset::{Subset, held};
pub use time::seconds;
pub use writes::{Patch, Precondition, Seen, Target, Write, writes};

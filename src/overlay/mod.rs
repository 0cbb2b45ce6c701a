//! Calico's overlay: whether a Shoot runs with one, what its owner should know before that changes, and how a change to
//! native routing is held until every node has its route.

mod act;
pub mod families;
#[cfg(test)]
mod fixtures;
mod hold;
pub mod limits;
mod outcome;
mod passed;
mod plan;
mod record;
mod relief;
mod risk;
mod rollout;
pub mod rules;
pub mod seed_rules;
mod status;
mod subset;
mod vigil;
pub mod vpc;
mod wish;

pub use crate::gardener::{Encapsulation, encapsulation};
pub use act::{Act, Nodes, SwitchSettings, act};
pub use hold::{APPROVAL, Decision, Held, HoldSettings, Released, decide, state};
pub use limits::GardenSettings;
pub use outcome::{Outcome, outcome};
pub use passed::Passed;
pub use plan::{Plan, Reason, held, may_write, plan, record, release_word, released_config, released_families};
pub use record::{Phase, Record};
pub use relief::Relief;
pub use risk::Replacement;
pub use rollout::{CalicoDaemonSet, CalicoPod, Rollout, longest_rollout, rollout};
pub use rules::{check, is_untouched};
pub use status::{MissingRoute, Routes, SwitchStatus, WaitsFor, is_the_gates, newest_complaint};
use subset::IPV6;
pub use subset::Subset;
pub use vigil::{Missing, Progress, Vigil, VigilSettings};
pub use wish::{Wish, wish};

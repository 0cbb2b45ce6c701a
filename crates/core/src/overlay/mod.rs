//! Calico's overlay: whether a Shoot runs with one, what its owner should know before that changes, and how a change to
//! native routing is held until every node has its route.
//!
//! What is known of infrastructure providers is [one table](crate::gardener::providers); the landscape's index of VPCs needs it too.

mod families;
pub mod rules;
mod switch;

pub use rules::GardenSettings;
pub use switch::*;

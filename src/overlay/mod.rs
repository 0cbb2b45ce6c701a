//! Calico's overlay: whether a Shoot runs with one, and what its owner should know before that changes.

mod encapsulation;
pub mod rules;

pub use encapsulation::{Encapsulation, encapsulation};
pub use rules::check;

//! Lean typed views of Gardener's resources: only the fields that we read.
//!
//! A view decides, it is never written back: what we return to an API server is raw JSON or a JSON Patch, so fields
//! that these types do not know survive.

pub mod cluster;
pub mod deployment;
pub mod members;
mod text;

pub use cluster::{ClusterFacts, ClusterSpec, ExpectedVpn, FieldError, ShootNetwork};
pub use deployment::Deployment;
pub use text::{Text, excerpt};

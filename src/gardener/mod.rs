//! Lean typed views of Gardener's resources: only the fields that we read.
//!
//! A view decides, it is never written back: what we return to an API server is raw JSON or a JSON Patch, so fields
//! that these types do not know survive.

mod bounded;
pub mod cluster;
pub mod deployment;
mod encapsulation;
mod env;
pub mod facts;
pub mod json;
pub mod list;
pub mod members;
mod name;
pub mod network;
pub mod node;
pub mod seed;
pub mod shoot;
mod switch;
mod text;
mod told;
mod uid;
pub mod vpc;

pub use cluster::{ClusterFacts, ClusterSpec, ExpectedVpn, FieldError, ShootNetwork, Unusable};
pub use deployment::Deployment;
pub use encapsulation::{CALICO, Encapsulation, encapsulation};
pub use env::EnvValue;
pub use facts::ShootFacts;
pub use name::{LONGEST_NAME, ShootName, is_dns_label, is_dns_subdomain};
pub use network::Network;
pub use seed::SeedFacts;
pub use shoot::Shoot;
pub use switch::{Hibernation, SwitchFacts};
pub use text::{Text, counted, excerpt};
pub use told::ToldNetworks;
pub use uid::ShootUid;
pub use vpc::{Vpc, VpcKey, Vpcs};

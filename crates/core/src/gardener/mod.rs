//! Lean typed views of Gardener's resources: only the fields that we read.
//!
//! A view decides, it is never written back: what we return to an API server is raw JSON or a JSON Patch, so fields
//! that these types do not know survive.
//!
//! Whose text it is decides how it is read:
//!
//! - [`AtMost`](crate::json::AtMost) and [`FirstOf`](crate::json::FirstOf) are for lists in the object of a review, which anybody with the right to write it may have made: Shoots,
//!   Networks, Deployments. The text is in memory already and has the limit of a body; decoded it must not become many times
//!   as large.
//! - [`list`] is for what the API server of a Shoot answers. It belongs to somebody else, and nothing limits what it sends,
//!   so no page of it is ever held as a whole.
//! - [`find`](crate::json::find) and [`is_same`](crate::json::is_same) are for configurations of other people's programs inside of such an object (`providerConfig`): one member is
//!   looked for, or two are compared, and no tree is made.

pub mod cluster;
pub mod deployment;
mod encapsulation;
mod env;
pub mod facts;
mod field_error;
pub mod list;
mod name;
pub mod network;
pub mod node;
mod pods;
pub mod pools;
pub mod providers;
pub mod seed;
pub mod shoot;
mod switch;
mod told_networks;
mod uid;
pub mod vpc;
pub mod vpn_containers;

pub use cluster::{ClusterFacts, ClusterSpec, ExpectedVpn, ShootNetwork, Unusable};
pub use deployment::Deployment;
pub use encapsulation::{CALICO, Encapsulation, encapsulation};
pub use env::EnvValue;
pub use facts::ShootFacts;
pub use field_error::FieldError;
pub use name::{LONGEST_NAME, ShootName, is_dns_label, is_dns_subdomain};
pub use network::Network;
pub use providers::{Key, Pods, Provider, Way};
pub use seed::SeedFacts;
pub use shoot::Shoot;
pub use switch::{Hibernation, SwitchFacts};
pub use told_networks::ToldNetworks;
pub use uid::ShootUid;
pub use vpc::{Vpc, VpcKey, Vpcs};

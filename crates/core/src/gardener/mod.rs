//! Lean typed views of the objects of Gardener and of its Shoots: only the fields that are read.
//!
//! A view is for decisions and is never written back: answers to an API server are raw JSON or a JSON Patch, so fields
//! that these types do not know survive.
//!
//! Who wrote a text decides how it is read:
//!
//! - [`AtMost`](crate::json::AtMost) and [`FirstOf`](crate::json::FirstOf) are for lists in the object of a review,
//!   which anybody with the right to write it may have made: Shoots, Networks, Deployments. The text is in memory
//!   already and has the limit of a body; decoded it must not become many times as large.
//! - [`list`] is for answers of the API server of a Shoot. It belongs to the Shoot's owner, and nothing limits what it
//!   sends, so no page is ever held as a whole.
//! - [`find`](crate::json::find) and [`is_same`](crate::json::is_same) are for configurations of other extensions
//!   inside of such an object (`providerConfig`): one member is searched, or two texts are compared, without building a
//!   tree.

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
mod operation;
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

pub use cluster::{ClusterFacts, ExpectedVpn, ShootNetwork, Unusable};
pub use deployment::Deployment;
pub use encapsulation::{CALICO, Encapsulation, encapsulation};
pub use env::EnvValue;
pub use facts::ShootFacts;
pub use field_error::FieldError;
pub use name::{LONGEST_NAME, ShootName, is_dns_label, is_dns_subdomain};
pub use network::Network;
pub use operation::{LastOperation, OperationKind, OperationState};
pub use providers::{Key, Pods, Provider, Way};
pub use seed::SeedFacts;
pub use shoot::Shoot;
pub use switch::{Hibernation, SwitchFacts};
pub use told_networks::ToldNetworks;
pub use uid::ShootUid;
pub use vpc::{Vpc, VpcKey, Vpcs};

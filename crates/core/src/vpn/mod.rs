//! Both ends of a Shoot's VPN, where the Shoot uses addresses of its Seed's Pods.
//!
//! ```text
//!                       ┌── decide ──> Decision ── sidecar::mutate ──> Patch      the kube-apiserver's Pod
//! ClusterFacts ── overlaps
//!                       └── nat::Translation ──> variables, containers ──> Patch  the same Pod, and vpn-shoot
//!
//! Networks ── nat::plan ──> nat::Plan                executed by `network_guard_nat`
//! ```
//!
//! Only the kube-apiserver Pods of highly available Shoots send into the tunnel from the Seed's Pod network without a
//! proxy of their own, and only IPv4 is translated. Where a Shoot's pods, services or nodes overlap the Seed's Pod
//! network, the API server sends its connections into the Shoot through Envoy: vpn2's rules translate what Envoy's
//! group sends, and only that, so no connection to a Seed address is mistaken for one to the Shoot.

mod change;
mod containers;
mod decision;
mod mapping;
pub mod nat;
mod networks;
mod overlap;
mod presence;
pub mod rules;
mod settle;
pub mod sidecar;
mod survey;

pub use change::{Change, Taken};
pub use containers::Vpn;
pub use decision::{Conflict, Decision, decide};
pub use mapping::{CannotPlan, cannot_translate};
pub use networks::{Networks, NotANetwork};
pub use overlap::{Overlap, overlaps, overlaps_text};
pub use presence::is_half_there;
pub use settle::{Settled, WantedSidecar, settle};
pub use survey::{Help, Survey, survey};

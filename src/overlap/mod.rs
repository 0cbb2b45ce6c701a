//! CIDR overlap: what a Shoot's `kube-apiserver` Deployment needs when the Shoot uses addresses of its Seed's Pods.
//!
//! ```text
//! Deployment, Cluster ── decide ──> Decision ── mutate ──> Patch
//!                                                  ^
//! Settings ── Injection (made once at start-up) ───┘
//! ```
//!
//! Only the kube-apiserver Pods of highly available Shoots talk into the tunnel from the Seed's Pod network without a
//! proxy of their own, and only IPv4 is translated. Where a Shoot's pods, services or nodes overlap the Seed's Pod
//! network, the API server sends its connections into the Shoot through Envoy: vpn2's rules translate what Envoy's
//! group sends, and only that, so no connection to a Seed address is mistaken for one to the Shoot.

mod decide;
mod egress;
mod envoy;
mod injection;
mod mutate;
mod names;
mod pieces;
pub mod rules;
mod sidecar;
mod survey;
mod vpn;

pub use decide::{Conflict, Decision, Overlap, decide, overlaps};
pub use injection::{Injection, Settings};
pub use mutate::{Change, Proxy, Taken, is_made_by, mutate, overlaps_text};
pub use names::{
    EGRESS_SELECTOR_ANNOTATION, ENVOY_CONFIG_ANNOTATION, ENVOY_CONTAINER, ENVOY_GROUP_ID, OVERLAPS_ANNOTATION,
    SOCKET_PATH,
};
pub use pieces::pieces;
pub use survey::{Help, Survey, survey};
pub use vpn::Vpn;

//! The sources of the landscape: watches on an API server, or a folder of manifests; and the live reads of one request.

mod cache;
pub mod files;
pub mod live;
pub mod manifests;
pub mod metrics;
pub mod objects;
pub mod vpn_networks;
pub mod watch;
pub mod yaml;

pub use cache::{Feed, LandscapeCache, STALE};

//! Sees: watches on an API server, folders of manifests, and the live reads of one request feed the landscape, which says how
//! fresh it is. What writes to an API server, and what decides, must never enter: metrics of the landscape
//! count what the core decides.

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

//! What feeds the landscape: watches on an API server, or a folder of manifests; the live reads of one request; and the
//! replica's own certificate.

mod cache;
pub mod clock;
pub mod files;
pub mod keeper;
pub mod live;
pub mod manifests;
pub mod objects;
pub mod supervise;
pub mod vpn_networks;
pub mod watch;
pub mod yaml;

pub use cache::{Feed, LandscapeCache, STALE};

//! Ports: connections come in, calls go to endpoints, and replies go out.
//!
//! ```text
//! accept ─ TLS ─ HTTP/1.1 ─ routes ─ body (limits) ─ Endpoint
//!   accept.rs  tls/         routes.rs   body.rs      endpoint.rs
//! ```
//!
//! `pool.rs` decides which connection has to go when there is no room for another one, `connections.rs` closes it;
//! `room.rs` decides the same of bodies in flight, `body.rs` ends them. The two plain ports are served by the same loop.

mod accept;
mod body;
mod connections;
mod descriptors;
mod endpoint;
#[cfg(feature = "bench")]
mod fixed;
mod limits;
mod metrics;
mod pool;
mod room;
mod routes;

pub use endpoint::{Call, Endpoint, Reply};
pub use limits::Limits;

pub(crate) use accept::{Acceptor, Plain, listen, serve};
pub(crate) use connections::Ports;
pub(crate) use descriptors::raise;
pub(crate) use metrics::HttpsMetrics;
pub(crate) use routes::routes;

//! HTTPS with its certificates, health, metrics, logs, and the supervision of tasks. This crate knows Kubernetes, and
//! must never know what network-guard decides, or about what.

pub mod backoff;
pub mod clock;
pub mod health;
pub mod https;
pub mod lease;
pub mod log;
pub mod metrics;
pub mod server;
pub mod stop;
pub mod supervise;
pub mod tls;
pub mod work;

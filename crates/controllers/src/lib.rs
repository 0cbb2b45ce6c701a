//! Control loops that write to an API server. Any number of replicas may run; a Lease decides which one works.

pub mod certificates;
pub mod overlay;
pub mod registration;
pub mod vpn_shoot;

//! Loops that write to an API server. Any number of replicas may run; a Lease says which one of them works.

pub mod certificates;
pub mod overlay;
pub mod registration;
pub mod vpn_shoot;

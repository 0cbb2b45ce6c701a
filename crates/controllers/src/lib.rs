//! Acts: loops that write to an API server. Any number of replicas may run; a Lease says which one of them works. Keys and
//! certificates are made here. What decides must never enter: the core says what should be.

pub mod certificates;
pub mod overlay_switch;
pub mod registration;
pub mod vpn_shoot;

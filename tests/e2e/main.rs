//! End to end, on real servers: etcd, kube-apiserver, gardener-apiserver, kubectl, Envoy and Gardener's own code
//! (`make tools`).
//!
//! Every test starts what it needs on free loopback ports with a data folder of its own, and everything ends with it.

#![allow(unreachable_pub, reason = "a test binary has no outside")]

// First, for its macro.
#[macro_use]
mod harness;

mod certificates;
mod charts;
mod commands;
mod configurations;
mod doctor;
mod drift;
mod envoy;
mod faults;
mod garden;
mod heap;
mod image;
mod lifecycle;
mod nat;
mod overlap;
mod overlay;
mod parity;
mod registration;
mod restarts;
mod reviews;
mod vpn_shoot;
mod yaml;

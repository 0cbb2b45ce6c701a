//! The data path on real packets: kube-apiserver, Envoy's socket, double NAT, the tunnel and the Shoot, whose addresses
//! are the Seed's own.
//!
//! Each test builds a laboratory of network namespaces ([`lab`]) and runs in it what the webhook made of gardenlet's
//! Deployment ([`pod`]). That needs root. Without it the tests say that they are skipped; where they must not be, in CI or
//! with `NETWORK_GUARD_REQUIRE_DATAPATH=1`, they fail instead.

#![allow(unreachable_pub, reason = "a test binary has no outside")]
#![allow(clippy::print_stdout, reason = "people may want to see the run")]

// First, for its macro.
#[macro_use]
#[path = "../e2e/harness/basics.rs"]
mod basics;

mod cluster;
mod direct;
mod firewall;
mod hops;
mod lab;
mod nat;
mod objects;
mod overlap;
mod own;
mod peer;
mod pipes;
mod pod;
#[path = "../e2e/harness/process.rs"]
mod process;
mod space;
mod speed;
mod streams;
mod watch;

//! The server in this process on real sockets, the program as a process, and the rules of the house.

#![allow(unreachable_pub, reason = "a test binary has no outside")]
#![allow(clippy::print_stdout, reason = "figures are for people")]

mod alive;
mod architecture;
mod cli;
mod counts;
mod descriptors;
mod disk;
mod documents;
mod files;
mod full;
mod fuzz;
mod garden;
mod http;
mod idle;
mod lookups;
mod output;
mod overload;
#[path = "../datapath/pipes.rs"]
mod pipes;
#[path = "../e2e/harness/ports.rs"]
mod ports;
mod process;
mod sbom;
mod silent;
mod stop;
mod stub;
mod support;
mod tasks;
mod tls;
mod watch;

//! The server in this process on real sockets, the program as a process, and the rules of the house.

#![allow(unreachable_pub, reason = "a test binary has no outside")]

mod architecture;
mod cli;
mod documents;
mod garden;
mod http;
mod idle;
mod lookups;
mod stop;
mod support;
mod tls;
mod watch;

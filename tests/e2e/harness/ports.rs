//! Ports for servers that are processes of their own.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

/// A loopback port that is free. It lies below those that the kernel gives to connections on their way out, one of which
/// would otherwise take it before the server does; and no two tests get the same.
pub fn free_port() -> u16 {
    const FIRST: u16 = 20_000;
    const COUNT: u16 = 12_000;
    static TAKEN: AtomicU16 = AtomicU16::new(0);
    // Where other tests run at the same time, they most likely begin elsewhere: also those with the next process id begin
    // further away than a long test takes ports.
    let count = u32::from(COUNT);
    let start = u16::try_from(std::process::id() % count * 7_417 % count).expect("less than COUNT");
    (0..COUNT)
        .map(|_| FIRST + (start + TAKEN.fetch_add(1, Ordering::Relaxed) % COUNT) % COUNT)
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .expect("one of twelve thousand ports is free")
}

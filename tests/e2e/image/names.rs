//! A name server for which every name is this machine.

use std::net::{Ipv4Addr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// Serves until the test ends.
pub struct NameServer {
    address: Ipv4Addr,
    asked: Arc<AtomicBool>,
}

impl NameServer {
    pub fn start() -> Self {
        // Names are served on this port only, so the address is one of the loopback that nobody else takes.
        let [.., high, low] = std::process::id().to_be_bytes();
        let address = Ipv4Addr::new(127, 77, high, low);
        let socket = UdpSocket::bind((address, 53)).unwrap();
        let asked = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&asked);
        thread::spawn(move || {
            let mut query = [0; 512];
            while let Ok((length, sender)) = socket.recv_from(&mut query) {
                seen.store(true, Ordering::Relaxed);
                if let Some(answer) = answer(&query[..length]) {
                    let _ = socket.send_to(&answer, sender);
                }
            }
        });
        Self { address, asked }
    }

    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    pub fn was_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }
}

/// The answer (RFC 1035): the question again, and behind it the address, if that was asked for.
fn answer(query: &[u8]) -> Option<Vec<u8>> {
    const HEADER: usize = 12;
    let name = query.get(HEADER..)?.iter().position(|byte| *byte == 0)?;
    let end = HEADER + name + 5;
    let kind = query.get(end - 4..end - 2)?;
    let is_address = kind == [0, 1];
    let mut answer = query[..2].to_vec();
    // An answer without error, to one question.
    answer.extend([0x81, 0x80, 0, 1, 0, u8::from(is_address), 0, 0, 0, 0]);
    answer.extend(&query[HEADER..end]);
    if is_address {
        // The name of the question, an address of the Internet, for a minute, of four bytes.
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
        answer.extend(Ipv4Addr::LOCALHOST.octets());
    }
    Some(answer)
}

//! A Service in front of our replicas: the API server knows one address, whichever replica answers.

use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::{io, thread};

/// A loopback port whose connections go to the first of several ports where somebody listens.
pub struct Service {
    port: u16,
}

impl Service {
    /// Starts it; it goes on until the test ends.
    pub fn start(backends: Vec<u16>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let connect = |port: &u16| TcpStream::connect((Ipv4Addr::LOCALHOST, *port)).ok();
                if let Some(server) = backends.iter().find_map(connect) {
                    pass_on(client.try_clone().unwrap(), server.try_clone().unwrap());
                    pass_on(server, client);
                }
            }
        });
        Self { port }
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }
}

fn pass_on(mut from: TcpStream, mut to: TcpStream) {
    thread::spawn(move || {
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Both);
        let _ = from.shutdown(Shutdown::Both);
    });
}

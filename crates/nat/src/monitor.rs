//! Changes of the routes of this network namespace, as the kernel reports them.

use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram as Datagrams;

use anyhow::Context as _;
use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, bind, recv, socket_with};
use tokio::io::Interest;
use tokio::net::UnixDatagram;

/// The multicast group of IPv4 routes: `RTMGRP_IPV4_ROUTE` in the kernel's `uapi/linux/rtnetlink.h`.
const IPV4_ROUTES: u32 = 0x40;

/// Reports every change of an IPv4 route in this namespace since it was started.
pub(super) struct RouteMonitor {
    /// A netlink socket. In safe code tokio waits only for kinds of sockets that it knows; this one is like it in what is
    /// used here: messages arrive.
    socket: UnixDatagram,
}

impl RouteMonitor {
    /// No change after this returns is missed: the kernel has the socket in the group by then.
    pub(super) fn start() -> anyhow::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        // No protocol is 0, which is `NETLINK_ROUTE`.
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)
            .and_then(|socket| bind(&socket, &SocketAddrNetlink::new(0, IPV4_ROUTES)).map(|()| socket))
            .context("the kernel does not report changes of routes")?;
        Ok(Self { socket: UnixDatagram::from_std(Datagrams::from(socket))? })
    }

    /// Waits for a change since the last call, and takes all that are there: the routes themselves tell what they are.
    pub(super) async fn changed(&self) -> anyhow::Result<()> {
        let (mut has_changed, mut interest) = (false, Interest::READABLE);
        loop {
            if !has_changed {
                // An error without a message says that some were lost; tokio clears one of the two at a time.
                let ready = self.socket.ready(Interest::READABLE | Interest::ERROR).await?;
                interest = if ready.is_error() { Interest::ERROR } else { Interest::READABLE };
            }
            // A message that does not fit is cut.
            let take = || Ok(recv(&self.socket, &mut [0_u8; 1], RecvFlags::empty())?);
            match self.socket.try_io(interest, take) {
                Ok(_) => has_changed = true,
                // There were more changes than the kernel keeps.
                Err(error) if error.raw_os_error() == Some(Errno::NOBUFS.raw_os_error()) => has_changed = true,
                Err(error) if error.kind() == ErrorKind::WouldBlock && has_changed => return Ok(()),
                Err(error) if [ErrorKind::WouldBlock, ErrorKind::Interrupted].contains(&error.kind()) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::os::fd::OwnedFd;
    use std::time::Duration;

    use super::*;

    /// As when the kernel could not keep a single message: nothing can be read, and somebody has to be told.
    #[tokio::test]
    async fn an_error_alone_is_heard() {
        let nobody = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(nobody).unwrap();
        socket.set_nonblocking(true).unwrap();
        let socket = UnixDatagram::from_std(Datagrams::from(OwnedFd::from(socket))).unwrap();
        // Nobody is there, which only the error of the socket tells.
        rustix::net::send(&socket, b"x", rustix::net::SendFlags::empty()).unwrap();
        let heard = tokio::time::timeout(Duration::from_secs(60), RouteMonitor { socket }.changed()).await;
        assert!(heard.expect("it is told").is_err());
    }

    /// A change between the start and the first look would be lost otherwise.
    #[tokio::test]
    async fn the_kernel_reports_from_the_start() {
        let monitor = RouteMonitor::start().unwrap();
        let ours: SocketAddrNetlink = rustix::net::getsockname(&monitor.socket).unwrap().try_into().unwrap();
        let sockets = std::fs::read_to_string("/proc/self/net/netlink").unwrap();
        let groups = sockets.lines().find_map(|line| {
            let columns: Vec<&str> = line.split_whitespace().collect();
            let is_ours = columns[1] == "0" && columns[2] == ours.pid().to_string();
            is_ours.then(|| u32::from_str_radix(columns[3], 16).unwrap())
        });
        assert_eq!(groups, Some(IPV4_ROUTES));
    }
}

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
        let mut has_changed = false;
        loop {
            if !has_changed {
                self.socket.readable().await?;
            }
            // A message that does not fit is cut.
            let take = || Ok(recv(&self.socket, &mut [0_u8; 1], RecvFlags::empty())?);
            match self.socket.try_io(Interest::READABLE, take) {
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
    use super::*;

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

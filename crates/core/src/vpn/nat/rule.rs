//! One rule of a firewall.

use std::fmt;

use crate::net::{Cidr, Family};

/// A table of iptables.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Table {
    /// Addresses are translated here.
    Nat,
    /// Packets are let through or dropped here.
    Filter,
    /// Packets are changed otherwise here.
    Mangle,
}

/// When a rule is evaluated in the life of a packet: a built-in chain.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Hook {
    /// The packet has just come in.
    Prerouting,
    /// It is for a process of this Pod.
    Input,
    /// It is forwarded.
    Forward,
    /// A process of this Pod sends it.
    Output,
    /// It is about to leave.
    Postrouting,
}

/// A pattern for names of network devices; a `+` at the end matches any rest.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Device(Box<str>);

/// The text is not a [`Device`].
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("is not the name of a network device, such as `tun0`, nor the beginning of one with a `+`, such as `bond0+`")]
pub struct NotADevice;

/// The longest name of a network device, in bytes (Linux `IFNAMSIZ` without the final zero).
const LONGEST_DEVICE: usize = 15;

/// A condition on a packet, for a rule to apply.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Match {
    /// It goes to this network.
    To(Cidr),
    /// It comes from this network.
    From(Cidr),
    /// It came in by this device.
    In(Device),
    /// It leaves by this device.
    Out(Device),
    /// A process of this group sends it.
    Group(u32),
    /// It belongs to a connection that was let through before.
    Established,
    /// It belongs to IPv6 itself, such as neighbour discovery.
    Icmpv6,
    /// It opens a TCP connection.
    TcpSyn,
}

/// What happens to a packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Target {
    /// Its address gets the prefix of this network and keeps its other bits. The first packet of a connection decides
    /// for all; answers are translated back.
    Netmap(Cidr),
    /// It is let through.
    Accept,
    /// It is dropped.
    Drop,
    /// It gets the address of the device by which it leaves.
    Masquerade,
    /// The announced size of TCP segments is limited to what the path carries.
    ClampMss,
}

/// A rule.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Rule {
    /// IPv4 and IPv6 have tables of their own.
    pub family: Family,
    /// The table.
    pub table: Table,
    /// The built-in chain.
    pub hook: Hook,
    /// All of these have to match.
    pub matches: Vec<Match>,
    /// What then happens.
    pub target: Target,
}

impl Table {
    /// All tables that network-guard has rules in.
    pub const ALL: [Self; 3] = [Self::Nat, Self::Filter, Self::Mangle];

    /// The name as iptables knows it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nat => "nat",
            Self::Filter => "filter",
            Self::Mangle => "mangle",
        }
    }
}

impl Hook {
    /// The name of the built-in chain.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Prerouting => "PREROUTING",
            Self::Input => "INPUT",
            Self::Forward => "FORWARD",
            Self::Output => "OUTPUT",
            Self::Postrouting => "POSTROUTING",
        }
    }
}

impl Device {
    /// The pattern's name without the `+`, and whether there was one.
    fn parts(&self) -> (&str, bool) {
        self.0.strip_suffix('+').map_or((&self.0, false), |name| (name, true))
    }

    /// Whether a device of this name matches.
    pub fn matches(&self, name: &str) -> bool {
        match self.parts() {
            (start, true) => name.starts_with(start),
            (exact, false) => name == exact,
        }
    }
}

impl std::str::FromStr for Device {
    type Err = NotADevice;

    fn from_str(text: &str) -> Result<Self, NotADevice> {
        let device = Self(text.into());
        let (name, _) = device.parts();
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
        if name.is_empty() || text.len() > LONGEST_DEVICE || name.starts_with('-') || !name.bytes().all(is_plain) {
            return Err(NotADevice);
        }
        Ok(device)
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices() {
        for (text, name, want) in [
            ("bond0+", "bond0-ip6tnl0", true),
            ("bond0+", "bond0", true),
            ("bond0+", "bond1", false),
            ("tun0", "tun0", true),
            ("tun0", "tun01", false),
        ] {
            assert_eq!(text.parse::<Device>().unwrap().matches(name), want, "{text} {name}");
        }
        for text in ["", "+", "a b", "-j", "bond0 -j ACCEPT", "x\n-F", "averylongdevicename", "bond0++", "ü"] {
            assert_eq!(text.parse::<Device>(), Err(NotADevice), "{text:?}");
        }
    }
}

//! A canonical IPv4 or IPv6 prefix.

use std::cmp::Ordering;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net};

/// An IP network whose host bits are zero by construction: `10.1.2.3/8` becomes `10.0.0.0/8`, as in Go's
/// `net.ParseCIDR` that Gardener and its VPN use. Two networks of different families are never related.
///
/// An IPv4 network that is written as an IPv6 one is the IPv4 network, also by construction:
/// `::ffff:10.250.0.0/112` becomes `10.250.0.0/16`, as in Go's `IPNet.Contains` and `IPNet.String`. By the first Gardener
/// decides what overlaps, by the second gardenlet tells the VPN which networks there are.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Cidr(IpNet);

/// The IP family of a [`Cidr`].
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Family {
    /// 32-bit addresses: the family that the double NAT translates.
    V4,
    /// 128-bit addresses: never translated.
    V6,
}

/// The length of the prefix `::ffff:0:0` under which IPv6 writes IPv4 addresses (RFC 4291, section 2.5.5.2). A shorter one
/// is an IPv6 network, and to Go contains none of them.
const MAPPED_PREFIX: u8 = 96;

/// Why a text is not a CIDR. The text itself is not repeated: the caller that reports the error names the field and
/// value.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ParseCidrError {
    /// An address alone, such as `10.0.0.1`.
    #[error("has no prefix length, write it as `{0}/{1}` if the single address is meant")]
    NoPrefix(IpAddr, u8),
    /// Anything else that is not `<address>/<prefix length>`.
    #[error("is not a CIDR such as `10.0.0.0/16` or `fd00:10::/64`")]
    Malformed,
}

impl Cidr {
    /// The network with this base address and prefix length, its host bits cleared; `None` when the prefix is longer
    /// than the address.
    pub fn new(address: IpAddr, prefix_len: u8) -> Option<Self> {
        let network = IpNet::new(address, prefix_len).ok()?.trunc();
        Some(Self(mapped(network).map_or(network, IpNet::V4)))
    }

    /// The IPv4 network with this base address, its host bits cleared; `None` for a prefix over 32.
    pub fn v4(base: u32, prefix_len: u8) -> Option<Self> {
        Self::new(IpAddr::V4(base.into()), prefix_len)
    }

    /// The family.
    pub fn family(self) -> Family {
        match self.0 {
            IpNet::V4(_) => Family::V4,
            IpNet::V6(_) => Family::V6,
        }
    }

    /// The lowest address.
    pub fn base(self) -> IpAddr {
        self.0.network()
    }

    /// The number of leading bits that all addresses share, 0 to 32 or 0 to 128.
    pub fn prefix_len(self) -> u8 {
        self.0.prefix_len()
    }

    /// Whether an address lies in this network; an IPv4 address may be written as an IPv6 one.
    pub fn contains(self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }

    /// Whether `text`, from which this network was read, writes an IPv4 network as an IPv6 one.
    pub fn is_written_as_ipv6(self, text: &str) -> bool {
        self.family() == Family::V4 && text.contains(':')
    }

    /// How this network relates to another one that it overlaps, for a message: `10.0.0.0/8 contains 10.1.0.0/16`.
    pub fn lies(self, other: Self) -> &'static str {
        match self.prefix_len().cmp(&other.prefix_len()) {
            Ordering::Less => "contains",
            Ordering::Equal => "is",
            Ordering::Greater => "is in",
        }
    }

    /// Whether any address lies in both. Two prefixes share an address if and only if one contains the other's base.
    pub fn overlaps(self, other: Self) -> bool {
        self.contains(other.base()) || other.contains(self.base())
    }
}

/// The IPv4 network of an IPv4-mapped IPv6 network; `None` for any other.
fn mapped(network: IpNet) -> Option<Ipv4Net> {
    let IpNet::V6(network) = network else { return None };
    let prefix_len = network.prefix_len().checked_sub(MAPPED_PREFIX)?;
    Ipv4Net::new(network.network().to_ipv4_mapped()?, prefix_len).ok()
}

impl FromStr for Cidr {
    type Err = ParseCidrError;

    fn from_str(text: &str) -> Result<Self, ParseCidrError> {
        // The address by the standard library, which like Go refuses the leading zeros that ipnet takes: `010.0.0.0`
        // is 8.0.0.0 to some programs and 10.0.0.0 to others.
        let (address, prefix_len) = match text.split_once('/') {
            Some((address, prefix_len)) => (address, Some(prefix_len)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| ParseCidrError::Malformed)?;
        match prefix_len {
            None => {
                let address = address.to_canonical();
                Err(ParseCidrError::NoPrefix(address, if address.is_ipv4() { 32 } else { 128 }))
            }
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => digits
                .parse()
                .ok()
                .and_then(|prefix_len| Self::new(address, prefix_len))
                .ok_or(ParseCidrError::Malformed),
            Some(_) => Err(ParseCidrError::Malformed),
        }
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_and_masks() {
        for (text, want) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("10.1.2.3/8", "10.0.0.0/8"),
            ("10.1.0.1/30", "10.1.0.0/30"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("192.168.1.1/32", "192.168.1.1/32"),
            ("fd00:10:0:0:1::1/64", "fd00:10::/64"),
            ("::/0", "::/0"),
        ] {
            assert_eq!(text.parse::<Cidr>().map(|c| c.to_string()), Ok(want.to_owned()), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_cidr() {
        for (text, want) in [
            ("", ParseCidrError::Malformed),
            ("10.0.0.0/33", ParseCidrError::Malformed),
            ("10.0.0.0/-1", ParseCidrError::Malformed),
            ("10.0.0.0/+8", ParseCidrError::Malformed),
            ("10.0.0.0/", ParseCidrError::Malformed),
            ("10.0.0.0/8/8", ParseCidrError::Malformed),
            ("10.0.0/8", ParseCidrError::Malformed),
            ("010.0.0.0/8", ParseCidrError::Malformed),
            (" 10.0.0.0/8", ParseCidrError::Malformed),
            ("10.0.0.0/8,10.1.0.0/16", ParseCidrError::Malformed),
            ("fd00::/129", ParseCidrError::Malformed),
            ("nodes", ParseCidrError::Malformed),
            ("10.0.0.1", ParseCidrError::NoPrefix("10.0.0.1".parse().unwrap(), 32)),
            ("fd00::1", ParseCidrError::NoPrefix("fd00::1".parse().unwrap(), 128)),
            ("::ffff:10.0.0.1", ParseCidrError::NoPrefix("10.0.0.1".parse().unwrap(), 32)),
        ] {
            assert_eq!(text.parse::<Cidr>(), Err(want), "{text:?}");
        }
    }

    #[test]
    fn families_never_overlap() {
        let (v4, v6) = ("0.0.0.0/0".parse::<Cidr>().unwrap(), "::/0".parse::<Cidr>().unwrap());
        assert!(!v4.overlaps(v6) && !v6.overlaps(v4));
        assert_eq!((v4.family(), v6.family()), (Family::V4, Family::V6));
    }

    /// The result of Gardener's own code for each text, and for each pair of them.
    #[test]
    fn agrees_with_gardener() {
        let mut networks: Vec<(&str, Cidr)> = Vec::new();
        for line in include_str!("../../../../tests/fixtures/cidrs/networks.txt").lines() {
            let (text, want) = line.split_once(" -> ").expect(line);
            let got = match text.parse::<Cidr>() {
                Err(_) => "refused".to_owned(),
                Ok(network) => {
                    networks.push((text, network));
                    format!("IP{:?} {network}", network.family()).replace("IPV", "IPv")
                }
            };
            let want: Vec<&str> = want.split(' ').take(2).collect();
            assert_eq!(got, want.join(" "), "{text}");
        }

        let recorded = include_str!("../../../../tests/fixtures/cidrs/overlaps.txt");
        assert_eq!(recorded.lines().count(), networks.len());
        for (i, line) in recorded.lines().enumerate() {
            let (text, want) = line.split_once(" -> ").expect(line);
            let (ours, network) = networks[i];
            assert_eq!(ours, text);
            let others = networks[i + 1..].iter().filter(|(_, other)| network.overlaps(*other));
            let got: Vec<&str> = others.map(|(text, _)| *text).collect();
            assert_eq!(got.join(","), want, "{text}");
        }
    }

    #[test]
    fn knows_in_which_notation_it_was_written() {
        for (text, want) in [
            ("::ffff:10.250.0.0/112", true),
            ("::FFFF:afa:0/112", true),
            ("10.250.0.0/16", false),
            ("::ffff:0:0/95", false),
            ("fd00::/64", false),
        ] {
            assert_eq!(text.parse::<Cidr>().unwrap().is_written_as_ipv6(text), want, "{text}");
        }
    }

    /// Addresses of a small window, so that overlaps are common and can be checked one by one.
    fn small_network() -> impl Strategy<Value = Cidr> {
        (0u32..1024, 22u8..=32).prop_map(|(base, len)| Cidr::v4(0x0a00_0000 + base, len).unwrap())
    }

    proptest! {
        #[test]
        fn overlap_is_symmetric_and_agrees_with_addresses(a in small_network(), b in small_network()) {
            let shared = (0u32..1024).any(|i| {
                let address = IpAddr::V4((0x0a00_0000 + i).into());
                a.contains(address) && b.contains(address)
            });
            prop_assert_eq!(a.overlaps(b), shared);
            prop_assert_eq!(a.overlaps(b), b.overlaps(a));
            prop_assert!(a.overlaps(a));
        }

        #[test]
        fn text_is_read_back(base in any::<u128>(), len in 0u8..=128) {
            let network = Cidr::new(IpAddr::V6(base.into()), len).unwrap();
            prop_assert_eq!(network.to_string().parse::<Cidr>(), Ok(network));
        }

        #[test]
        fn an_ipv4_network_has_one_form(base in any::<u32>(), len in 0u8..=32) {
            let plain = Cidr::v4(base, len).unwrap();
            let written = std::net::Ipv4Addr::from(base).to_ipv6_mapped();
            prop_assert_eq!(Cidr::new(written.into(), len + MAPPED_PREFIX), Some(plain));
            prop_assert_eq!(format!("{written}/{}", len + MAPPED_PREFIX).parse(), Ok(plain));
            prop_assert!(plain.contains(written.into()));
        }

        #[test]
        fn any_text_is_answered(text in ".{0,40}") {
            let _ = text.parse::<Cidr>();
        }
    }
}

//! CIDRs, and the ranges that they are mapped into. What is read is what plain arithmetic makes of the text.

use std::net::IpAddr;

use network_guard_core::net::{Cidr, Family, NetworkKind, clashing, fit_together, map_networks};

/// The most networks of one input: they are compared with each other.
const MOST: usize = 48;

/// A network as its first and its last address, of IPv4 or not.
type Range = (bool, u128, u128);

pub(super) fn law(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let mut networks: Vec<(Cidr, Range)> = Vec::new();
    for text in text.split(',').take(MOST) {
        let (read, expected) = (text.parse::<Cidr>().ok(), range(text));
        assert_eq!(read.map(of), expected, "{text:?}");
        networks.extend(read.zip(expected));
    }
    for (network, _) in &networks {
        assert_eq!(network.to_string().parse(), Ok(*network), "what is written is read");
    }
    let owned: Vec<(Cidr, usize)> =
        networks.iter().enumerate().map(|(owner, (network, _))| (*network, owner)).collect();
    let clashes = clashing(&owned);
    for (index, (one, range)) in networks.iter().enumerate() {
        let mut clash = false;
        for (other, (two, other_range)) in networks.iter().enumerate() {
            let shared = range.0 == other_range.0 && range.1 <= other_range.2 && other_range.1 <= range.2;
            assert_eq!(one.overlaps(*two), shared, "{one} and {two}");
            clash |= shared && other != index;
        }
        assert_eq!(clashes[index], clash, "{one}");
    }
    let networks: Vec<Cidr> = networks.into_iter().map(|(network, _)| network).collect();
    for kind in [NetworkKind::Nodes, NetworkKind::Services, NetworkKind::Pods] {
        mapped(kind, &networks);
    }
}

/// What a text says by the standard library and shifts alone.
fn range(text: &str) -> Option<Range> {
    let (address, length) = text.split_once('/')?;
    let address: IpAddr = address.parse().ok()?;
    if length.is_empty() || !length.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let length: u32 = length.parse().ok()?;
    let (address, bits): (u128, u32) = match address {
        IpAddr::V4(address) => (u128::from(u32::from(address)), 32),
        IpAddr::V6(address) => (u128::from(address), 128),
    };
    let hosts = u128::MAX.checked_shr(128 - bits.checked_sub(length)?).unwrap_or_default();
    let (first, last) = (address & !hosts, address | hosts);
    // RFC 4291 writes IPv4 addresses below this prefix.
    let is_mapped = bits == 128 && length >= 96 && first >> 32 == 0xffff;
    let low = u128::from(u32::MAX);
    Some(if is_mapped { (true, first & low, last & low) } else { (bits == 32, first, last) })
}

fn of(network: Cidr) -> Range {
    let text = network.to_string();
    range(&text).unwrap_or_else(|| panic!("{text} is no network"))
}

/// Blocks of their sizes in the range of their kind, of which no two share an address; and as many as there are IPv4 networks, if
/// together they are no larger than the range.
fn mapped(kind: NetworkKind, networks: &[Cidr]) {
    let ipv4 = || networks.iter().filter(|network| network.family() == Family::V4);
    let sum: u128 = ipv4().map(|network| 1 << (32 - network.prefix_len())).sum();
    let fits = sum <= 1 << 24;
    assert_eq!(fit_together(networks.iter().copied()), fits);
    let Ok(mapped) = map_networks(kind, networks) else { return assert!(!fits, "{networks:?}") };
    assert!(fits, "{networks:?}");
    let within = of(kind.mapping_range());
    assert!(within.1 >= 0xf000_0000 && within.2 - within.1 == 0xff_ffff, "a /8 of 240.0.0.0/4");
    let mut ranges: Vec<Range> = Vec::new();
    for one in &mapped {
        let (original, range) = (of(one.original), of(one.mapped));
        assert_eq!(original.2 - original.1, range.2 - range.1, "addresses keep their offset");
        assert!(range.0 && within.1 <= range.1 && range.2 <= within.2, "{one:?}");
        ranges.push(range);
    }
    ranges.sort_unstable();
    assert!(ranges.windows(2).all(|pair| pair[0].2 < pair[1].1), "two share addresses: {mapped:?}");
    let mut expected: Vec<Cidr> = ipv4().copied().collect();
    let mut originals: Vec<Cidr> = mapped.iter().map(|one| one.original).collect();
    expected.sort_unstable();
    expected.dedup();
    originals.sort_unstable();
    assert_eq!(originals, expected, "each once");
}

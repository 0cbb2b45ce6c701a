//! What the landscape keeps of every Shoot: a few hundred bytes.

use std::borrow::Cow;

use super::shoot::{Networking, Shoot, StatusNetworking};
use super::{LONGEST_NAME, ShootName, Vpc};
use crate::json::{self, Malformed, Members, Text};
use crate::net::{Cidr, NetworkKind, ParseCidrError};

/// What the landscape keeps of a Shoot. Unreadable parts are left out: a mistake in a Shoot is not reported to the
/// owners of others.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct ShootFacts {
    /// `spec.seedName`.
    pub seed: Option<Box<str>>,
    /// `status.seedName`, where it is another than in `spec`.
    pub old_seed: Option<Box<str>>,
    /// Whether it is being deleted.
    pub is_being_deleted: bool,
    /// Whether it has no workers, and so no node network.
    pub is_workerless: bool,
    /// Networks from spec and status, without duplicates, that in `spec` first.
    pub networks: Networks,
    /// Where it may share routes with others: only for a Shoot that has some, and whose Pod network is known.
    pub vpc: Vpc,
    /// Whether it has no overlay; `false` also where it shares no routes with others.
    pub is_native: bool,
    /// The Shoots that it lists as peers.
    pub peering: PeeringFacts,
    /// Whether there is a list of peers, which may be empty, in the configuration of its peering extension.
    pub has_peer_list: bool,
}

/// A Shoot's networks from spec and status, by kind, without duplicates, that in `spec` first.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Networks {
    /// Those of Pods, of Services, and of nodes. In one allocation: the landscape holds one for every Shoot.
    all: Box<[Cidr]>,
    /// Where those of Services begin.
    services: u32,
    /// Where those of nodes begin.
    nodes: u32,
}

/// The peering extension of a Shoot.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum PeeringFacts {
    /// It has none.
    #[default]
    Absent,
    /// It is switched off; these would be the peers.
    Disabled(Box<[Peer]>),
    /// These are the peers.
    Enabled(Box<[Peer]>),
}

/// An entry of `shootPeerings` that can be used.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Peer {
    /// The Shoot that it names.
    pub target: ShootName,
    /// The Seed that it says the target has; empty if it says none.
    pub seed: Box<str>,
}

impl Networks {
    /// The networks of this Shoot in `spec`, joined with those of a status: its own, or that which is stored.
    pub fn of(spec: &Networking<'_>, status: &StatusNetworking<'_>) -> Self {
        let networks = |kind| {
            let mut networks: Vec<Cidr> = Vec::new();
            for text in spec.get(kind).into_iter().chain(status.get(kind)) {
                if let Ok(cidr) = text.parse()
                    && !networks.contains(&cidr)
                {
                    networks.push(cidr);
                }
            }
            networks
        };
        Self::new(networks(NetworkKind::Pods), networks(NetworkKind::Services), networks(NetworkKind::Nodes))
    }

    /// These networks.
    pub fn new(mut pods: Vec<Cidr>, services: Vec<Cidr>, nodes: Vec<Cidr>) -> Self {
        let start = |count: usize| u32::try_from(count).expect("no text is so long");
        let starts = [start(pods.len()), start(pods.len() + services.len())];
        pods.extend(services.into_iter().chain(nodes));
        let [services, nodes] = starts;
        Self { all: pods.into(), services, nodes }
    }

    /// The networks of this kind as gardenlet passes them to the VPN: with their repetitions, of which vpn2 maps each.
    pub fn passed(spec: &Networking<'_>, status: &StatusNetworking<'_>, kind: NetworkKind) -> Vec<Cidr> {
        passed(spec, status, kind).filter_map(|(_, cidr)| cidr.ok()).collect()
    }

    /// The networks of this kind.
    pub fn get(&self, kind: NetworkKind) -> &[Cidr] {
        let (services, nodes) = (self.services as usize, self.nodes as usize);
        match kind {
            NetworkKind::Pods => &self.all[..services],
            NetworkKind::Services => &self.all[services..nodes],
            NetworkKind::Nodes => &self.all[nodes..],
        }
    }

    /// The networks of Pods.
    pub fn pods(&self) -> &[Cidr] {
        self.get(NetworkKind::Pods)
    }

    /// The networks of Services.
    pub fn services(&self) -> &[Cidr] {
        self.get(NetworkKind::Services)
    }

    /// The networks of nodes.
    pub fn nodes(&self) -> &[Cidr] {
        self.get(NetworkKind::Nodes)
    }
}

/// A network that cannot be read, with its text.
type Unreadable<'s> = (&'s str, ParseCidrError);

/// The networks of this kind as gardenlet passes them to the VPN, first that in `spec`, then each in `status` with its
/// place there. gardenlet leaves out a network of `status` because `spec` has it already (gardener `copyUniqueCIDRs`)
/// only where it is written exactly as gardenlet itself writes the one in `spec`. All other repetitions count.
pub(super) fn passed<'s>(
    spec: &'s Networking<'_>,
    status: &'s StatusNetworking<'_>,
    kind: NetworkKind,
) -> impl Iterator<Item = (Option<usize>, Result<Cidr, Unreadable<'s>>)> {
    let read = |text: &'s Text<'_>| text.parse::<Cidr>().map_err(|problem| (&**text, problem));
    let in_spec = spec.get(kind).map(read);
    let kept = in_spec.as_ref().and_then(|read| read.as_ref().ok().copied());
    let in_status = status.get(kind).iter().enumerate();
    let in_status = in_status.filter(move |(_, text)| kept.is_none_or(|cidr| cidr.to_string() != ***text));
    in_spec.into_iter().map(|read| (None, read)).chain(in_status.map(move |(at, text)| (Some(at), read(text))))
}

impl ShootFacts {
    /// What is kept of a Shoot that is stored.
    pub fn of(shoot: &Shoot<'_>) -> Self {
        Self::with_vpc(shoot, Some(shoot))
    }

    /// What would be kept of a Shoot if it were created now.
    pub fn of_new(shoot: &Shoot<'_>) -> Self {
        Self::with_vpc(shoot, None)
    }

    /// `stored` as for [`Shoot::pods`].
    fn with_vpc(shoot: &Shoot<'_>, stored: Option<&Shoot<'_>>) -> Self {
        let seed = shoot.seed.as_deref().filter(|seed| !seed.is_empty());
        let networks = Networks::of(&shoot.networking, &shoot.status_networking);
        let vpc = if networks.pods().is_empty() { Vpc::Absent } else { Vpc::of(shoot, stored) };
        let old_seed = shoot.status_seed.as_deref().filter(|old| !old.is_empty() && Some(*old) != seed);
        Self {
            seed: seed.map(Into::into),
            old_seed: old_seed.map(Into::into),
            is_being_deleted: shoot.is_being_deleted,
            is_workerless: !shoot.has_workers,
            is_native: vpc != Vpc::Absent && shoot.is_native(stored),
            vpc,
            networks,
            has_peer_list: shoot
                .peering
                .as_ref()
                .is_some_and(|extension| peer_list(extension.provider_config).is_some()),
            peering: match &shoot.peering {
                None => PeeringFacts::Absent,
                Some(extension) => {
                    let peers = peers(extension.provider_config);
                    if extension.is_disabled { PeeringFacts::Disabled(peers) } else { PeeringFacts::Enabled(peers) }
                }
            },
        }
    }

    /// All peers, whether or not the extension is disabled.
    pub(crate) fn peers_mut(&mut self) -> &mut [Peer] {
        match &mut self.peering {
            PeeringFacts::Enabled(peers) | PeeringFacts::Disabled(peers) => peers,
            PeeringFacts::Absent => &mut [],
        }
    }

    /// The same, to read.
    pub(crate) fn all_peers(&self) -> &[Peer] {
        match &self.peering {
            PeeringFacts::Enabled(peers) | PeeringFacts::Disabled(peers) => peers,
            PeeringFacts::Absent => &[],
        }
    }

    /// The peers that count: none while the extension is disabled.
    pub fn peers(&self) -> &[Peer] {
        match &self.peering {
            PeeringFacts::Enabled(peers) => peers,
            PeeringFacts::Absent | PeeringFacts::Disabled(_) => &[],
        }
    }

    /// Whether it lists this Shoot, with its extension enabled.
    pub fn lists(&self, name: &ShootName) -> bool {
        self.peers().iter().any(|peer| peer.target == *name)
    }

    /// Whether it would list this Shoot, if its extension were not disabled.
    pub(crate) fn would_list(&self, name: &ShootName) -> bool {
        matches!(&self.peering, PeeringFacts::Disabled(peers) if peers.iter().any(|peer| peer.target == *name))
    }
}

/// The text of the list of peers in a `providerConfig`.
fn peer_list(config: Option<&str>) -> Option<&str> {
    json::find(config?, &["shootPeerings"]).filter(|list| list.starts_with('['))
}

/// The most entries of one Shoot that count: far more than a configuration permits, and few enough that one Shoot
/// cannot use up the memory.
const PEERS: usize = 1_000;

/// The entries of a providerConfig that name a Shoot. Lenient: a stored configuration need not be one that
/// network-guard would accept, and the peering extension reads it in its own way.
pub fn peers(provider_config: Option<&str>) -> Box<[Peer]> {
    let mut peers = Vec::new();
    // A truncated list has no entries, like a text that is not JSON.
    if provider_config.is_some_and(|text| read_peers(text, &mut peers).is_err()) {
        peers.clear();
    }
    peers.into()
}

fn read_peers(text: &str, peers: &mut Vec<Peer>) -> Result<(), Malformed> {
    let Some(list) = peer_list(Some(text)) else { return Ok(()) };
    let mut entries = Members::of(list);
    entries.enter_array()?;
    for _ in 0..PEERS {
        if !entries.element()? {
            break;
        }
        peers.extend(peer(entries.skip()?));
    }
    Ok(())
}

/// The Shoot that an entry names, if it names one.
fn peer<'e>(entry: &'e str) -> Option<Peer> {
    let text = |field: &str| json::find(entry, &[field]).filter(|text| *text != "null");
    // A text that is longer than any name names no Shoot.
    let read =
        |text: &'e str| serde_json::from_str::<Cow<'_, str>>(text).ok().filter(|name| name.len() <= LONGEST_NAME);
    let seed = text("seed").map_or_else(|| Some(Cow::default()), read)?;
    let target = ShootName::new(&read(text("namespace")?)?, &read(text("name")?)?);
    Some(Peer { target, seed: (*seed).into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_are_read_leniently() {
        let named = r#"{"kind":"Other","shootPeerings":[{"namespace":"garden-a","name":"b","seed":"s","x":1},5,{"name":7},{"namespace":"garden-c","name":"d","seed":null}]}"#;
        let found: Vec<(String, String)> =
            peers(Some(named)).iter().map(|p| (p.target.to_string(), p.seed.to_string())).collect();
        assert_eq!(found, [("garden-a/b".to_owned(), "s".to_owned()), ("garden-c/d".to_owned(), String::new())]);
        for text in [None, Some("5"), Some("{}"), Some(r#"{"shootPeerings":null}"#), Some(r#"{"shootPeerings":"x"}"#)] {
            assert!(peers(text).is_empty(), "{text:?}");
        }
    }
}

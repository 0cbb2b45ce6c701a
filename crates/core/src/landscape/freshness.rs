//! Cached or live: how fresh facts have to be, for every kind of object and every webhook.

/// How fresh the facts have to be that a decision rests on. It is stated with every look at a [`View`](super::View), which asks for
/// what is not fresh enough.
///
/// The cache follows watches. One that has been silent for two minutes may have missed changes: then the cache is stale, and
/// nothing in it counts. What was read live in the same review always counts more than the cache; only a Cluster that could
/// not be read again, or not be used, leaves the cached one, which says so.
///
/// | freshness | in the cache | not in the cache | the cache is stale |
/// |---|---|---|---|
/// | [`Known`](Self::Known) | counts | nothing is known | nothing is known |
/// | [`Cached`](Self::Cached) | counts | there is none | asked |
/// | [`Present`](Self::Present) | counts | asked | asked |
/// | [`Live`](Self::Live) | asked | asked | asked |
///
/// | webhook | looks at | freshness | because |
/// |---|---|---|---|
/// | `kube-apiserver` | the Cluster, where there are containers of the VPN, or a proxy of gardenlet's that is replaced | `Present` | gardenlet has just written a new Cluster, and the watch may be behind |
/// | | the Cluster, elsewhere | `Known` | a missing Cluster must not stop what does not hinge on it |
/// | | the Cluster, where the VPN is told other networks than it has | `Live` | gardenlet may know of a change that the watch has not seen |
/// | `vpn-shoot` | the Cluster of the caller | `Cached` | no stranger makes us read |
/// | | the same, where the VPN is told other networks than it has | `Live` | as above |
/// | `network` | the Cluster of a write | `Known` | most writes hinge on nothing |
/// | | the Cluster of a switch that would be held | `Present` | the Shoot may want it otherwise |
/// | those of Shoots | Shoots of entries, and in the VPC | `Cached` | the watch is close behind, and there are many |
/// | | peers of peers, and Shoots that list one that leaves | `Known` | the writer did not name them, or is only warned |
/// | | Seeds | `Present` | nobody is refused because the cache is behind |
/// | | Shoots and Seeds that a denial rests on | `Live` | as above |
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Freshness {
    /// What is known already.
    Known,
    /// What the cache says, also that there is none.
    Cached,
    /// What the cache has. It may lack what is new.
    Present,
    /// What the API server says during this review.
    Live,
}

/// What the cache says of an object.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum InCache {
    /// It is there.
    Present,
    /// It is not.
    Absent,
    /// Nothing: it is stale.
    Stale,
}

impl Freshness {
    /// Whether the cache is not enough, and the API server has to be asked.
    pub(super) fn needs_live(self, cached: InCache) -> bool {
        match self {
            Self::Known => false,
            Self::Cached => cached == InCache::Stale,
            Self::Present => cached != InCache::Present,
            Self::Live => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_api_server_is_asked_as_the_table_says() {
        for (freshness, present, absent, stale) in [
            (Freshness::Known, false, false, false),
            (Freshness::Cached, false, false, true),
            (Freshness::Present, false, true, true),
            (Freshness::Live, true, true, true),
        ] {
            let asked = [InCache::Present, InCache::Absent, InCache::Stale].map(|cached| freshness.needs_live(cached));
            assert_eq!(asked, [present, absent, stale], "{freshness:?}");
        }
    }
}

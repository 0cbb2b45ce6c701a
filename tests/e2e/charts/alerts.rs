//! Every alert of both charts, with its fault: it is made with real parts, `/metrics` is recorded before and after, and the
//! alert fires on that recording, by Prometheus' own code.
//!
//! Time is the only thing that is played: what was recorded before is shown for an hour, what was recorded after for as long
//! as the alert waits. A recording is what one scrape got, and between two of them lie five minutes.

mod any;
mod formats;
mod garden;
mod pages;
pub(super) mod play;
mod seed;
mod self_managed;

use std::collections::BTreeSet;

use self::play::{Monitored, monitored};

/// Where the fault of an alert is made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Place {
    /// With a server that needs no API server: [`any`].
    Any,
    /// Where the chart of a Seed is installed.
    Seed,
    /// Where the charts of the garden are installed.
    Garden,
    /// In both.
    Both,
}

/// All of them. There is none whose fault cannot be made here.
const ALERTS: [(&str, Place); 29] = [
    ("NetworkGuardCallsFail", Place::Garden),
    ("NetworkGuardCertificateAuthorityExpires", Place::Both),
    ("NetworkGuardCertificateExpires", Place::Any),
    ("NetworkGuardCertificateRefused", Place::Any),
    ("NetworkGuardCertificateUnpublished", Place::Both),
    ("NetworkGuardCertificatesFail", Place::Both),
    ("NetworkGuardClockDiffers", Place::Both),
    ("NetworkGuardClustersUnreadable", Place::Seed),
    ("NetworkGuardConfigurationsDiffer", Place::Any),
    ("NetworkGuardDown", Place::Any),
    ("NetworkGuardErrors", Place::Any),
    ("NetworkGuardLandscapeStale", Place::Both),
    ("NetworkGuardLookupsUnanswered", Place::Garden),
    ("NetworkGuardNoLeader", Place::Both),
    ("NetworkGuardOneReplica", Place::Any),
    ("NetworkGuardOverlayNodesAtRisk", Place::Seed),
    ("NetworkGuardOverlayStale", Place::Seed),
    ("NetworkGuardOverlaySwitchFailed", Place::Seed),
    ("NetworkGuardOverlaySwitchSlow", Place::Seed),
    ("NetworkGuardOverloaded", Place::Any),
    ("NetworkGuardPanic", Place::Any),
    ("NetworkGuardPeeringsOverlap", Place::Garden),
    ("NetworkGuardPeersOfOneShootOverlap", Place::Garden),
    ("NetworkGuardRegistrationContested", Place::Both),
    ("NetworkGuardRegistrationGone", Place::Both),
    ("NetworkGuardShootWebhooksFail", Place::Seed),
    ("NetworkGuardSlow", Place::Both),
    ("NetworkGuardVpnNetworksDiffer", Place::Seed),
    ("NetworkGuardVpnNetworksStale", Place::Seed),
];

/// Those that are made in a place.
fn made_in(place: Place) -> BTreeSet<&'static str> {
    let is_there = |at: Place| at == place || (at == Place::Both && place != Place::Any);
    ALERTS.into_iter().filter(|(_, at)| is_there(*at)).map(|(name, _)| name).collect()
}

/// No alert of a chart is left out, and none is walked that no chart has.
#[test]
fn every_alert_has_its_fault() {
    let charts = monitored();
    let known: BTreeSet<&str> = ALERTS.into_iter().map(|(name, _)| name).collect();
    assert_eq!(known.len(), ALERTS.len());
    let has = |chart: &Monitored, name: &str| chart.alerts().any(|alert| alert == name);
    for chart in &charts {
        for alert in chart.alerts() {
            assert!(known.contains(alert), "{alert} of {} is not walked: make its fault", chart.name);
        }
    }
    let [seed, garden] = &charts;
    for (name, place) in ALERTS {
        let want = match place {
            Place::Any | Place::Both => (true, true),
            Place::Seed => (true, false),
            Place::Garden => (false, true),
        };
        assert_eq!((has(seed, name), has(garden, name)), want, "{name}: which charts have it");
    }
}

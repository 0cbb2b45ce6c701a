//! The networks: from a Cluster, or from lists.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};
use clap::{Args, ValueEnum};

use network_guard_core::gardener::ClusterFacts;
use network_guard_core::landscape::Snapshot;
use network_guard_core::net::Family;
use network_guard_core::vpn::Networks;
use network_guard_core::vpn::nat::{Device, End, FLAGS, Plan, Side, plan};
use network_guard_sources::files;
use network_guard_sources::manifests::{self, Again};

#[derive(Clone, Debug, Args)]
pub(super) struct Which {
    /// A file with the Shoot's Cluster, as `kubectl get cluster.extensions NAME -o yaml` prints it; `-` is standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["seed_pods", "shoot_pods", "shoot_services", "shoot_nodes"])]
    cluster: Option<PathBuf>,
    /// The Seed's Pod network: comma-separated CIDRs, at most one of each IP family
    #[arg(long, value_name = "CIDRS")]
    seed_pods: Option<String>,
    /// The Shoot's Pod networks: comma-separated CIDRs, in the order in which vpn2 gets them
    #[arg(long, value_name = "CIDRS")]
    shoot_pods: Option<String>,
    /// The Shoot's Service networks
    #[arg(long, value_name = "CIDRS")]
    shoot_services: Option<String>,
    /// The Shoot's node networks
    #[arg(long, value_name = "CIDRS")]
    shoot_nodes: Option<String>,
    /// The Shoot's IP families; without it IPv4, and IPv6 if it has such networks
    #[arg(long, value_name = "FAMILIES", value_delimiter = ',')]
    ip_families: Option<Vec<IpFamily>>,
    /// The devices of the tunnel; a `+` at the end matches any suffix
    #[arg(long, value_name = "DEVICE", default_value = "bond0+")]
    device: Device,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum IpFamily {
    #[value(name = "IPv4")]
    V4,
    #[value(name = "IPv6")]
    V6,
}

impl Which {
    /// The plan of this side for these networks.
    pub(super) fn plan(&self, networks: &Networks, side: Side) -> anyhow::Result<(Plan, End)> {
        let has = |family, default| self.ip_families.as_ref().map_or(default, |families| families.contains(&family));
        let (has_ipv4, has_ipv6) = (has(IpFamily::V4, true), has(IpFamily::V6, networks.has(Family::V6)));
        let end = End { side, tunnel: self.device.clone(), has_ipv4, has_ipv6 };
        let plan = plan(networks, &end).context("these networks cannot be translated")?;
        Ok((plan, end))
    }

    /// Whether the networks may change between two reads.
    pub(super) fn can_be_read_again(&self) -> bool {
        self.cluster.as_deref().is_some_and(|file| file != Path::new("-"))
    }

    /// The networks; standard input can be read only once.
    pub(super) fn networks(&self) -> anyhow::Result<Networks> {
        if let Some(file) = &self.cluster {
            return Ok(Networks::of(&cluster(file)?));
        }
        let shoot = [&self.shoot_pods, &self.shoot_services, &self.shoot_nodes];
        if self.seed_pods.is_none() || shoot.iter().all(|list| list.is_none()) {
            bail!(
                "which networks? give a Cluster with --cluster FILE, or --seed-pods and some of --shoot-pods, \
                 --shoot-services and --shoot-nodes"
            );
        }
        let lists = [&self.seed_pods, &self.shoot_pods, &self.shoot_services, &self.shoot_nodes];
        parse(lists.map(|list| list.as_deref().unwrap_or_default()))
    }
}

/// The networks of the flags, in the order of [`FLAGS`].
fn parse(lists: [&str; 4]) -> anyhow::Result<Networks> {
    Networks::parse(lists).map_err(|wrong| anyhow!("{}: {wrong}", FLAGS[wrong.list]))
}

/// The only Cluster of a file.
fn cluster(file: &Path) -> anyhow::Result<ClusterFacts> {
    let name = file.display();
    let read = if file == Path::new("-") { files::standard_input() } else { files::text(file) };
    let (text, _) = read.map_err(|problem| anyhow!("cannot read {problem}"))?;
    let mut snapshot = Snapshot::default();
    let remarks = manifests::read(&text, Again::Refuse, &mut snapshot);
    let lost: Vec<String> = remarks.iter().filter(|remark| remark.is_loss()).map(ToString::to_string).collect();
    if !lost.is_empty() {
        bail!("{name}: {}", lost.join("\n"));
    }
    let mut clusters = snapshot.clusters();
    let Some((cluster, record)) = clusters.next() else {
        bail!("{name}: there is no Cluster (extensions.gardener.cloud/v1alpha1) in this file");
    };
    if let Some((other, _)) = clusters.next() {
        bail!("{name}: there is more than one Cluster in this file, such as {cluster} and {other}; give one");
    }
    record.clone().map_err(|problems| {
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        anyhow!("{name}: Cluster {cluster} cannot be used: {}", problems.join("; "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists() {
        let read = |text| parse(["", "", "", text]).map(|all| all.nodes.len()).map_err(|error| error.to_string());
        assert_eq!((read(""), read(" ")), (Ok(0), Ok(0)));
        assert_eq!(read("10.0.0.0/8, fd00::/64"), Ok(2));
        for (text, want) in [
            ("10.0.0.0/8,", "--shoot-nodes: entry 2, \"\": is not a CIDR"),
            ("10.0.0.0/8,10.0.0/8", "--shoot-nodes: entry 2, \"10.0.0/8\": is not a CIDR"),
            ("10.0.0.1", "--shoot-nodes: entry 1, \"10.0.0.1\": has no prefix length"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.starts_with(want), "{text}: {error}");
        }
    }
}

//! The table of providers, as the documentation of the rules shows it.

use std::fmt::Write as _;

use super::{Addresses, NewKey, PROVIDERS, Provider, Reports, Routes};

/// The table as Markdown, with its sources.
pub fn markdown() -> String {
    let mut text = include_str!("providers.md").to_owned();
    for provider in &PROVIDERS {
        let Provider { name, reports, has_policy, .. } = provider;
        let _ = writeln!(
            text,
            "| `{name}` | {} | {} | {} | {} | {} | {} | {} | {} |",
            routes(provider),
            addresses(provider.addresses),
            live(provider),
            new(provider),
            provider.most_routes.map_or_else(String::new, |most| most.to_string()),
            if *reports == Reports::No { "" } else { "yes" },
            if *reports == Reports::UnlessFalse { "yes" } else { "" },
            if *has_policy { "yes" } else { "" },
        );
    }
    text.push_str("\nWhere this was read:\n\n");
    for provider in &PROVIDERS {
        let _ = writeln!(text, "- `{}`: {}", provider.name, provider.sources.join("; "));
    }
    text
}

fn routes(provider: &Provider) -> &'static str {
    match provider.routes {
        Routes::WhenOff => "the infrastructure, while `overlay.enabled` is `false`",
        Routes::UnlessOn { needs_config: true } => {
            "the infrastructure, unless `overlay.enabled` is `true` or there is no `providerConfig`"
        }
        Routes::UnlessOn { needs_config: false } => "the infrastructure, unless `overlay.enabled` is `true`",
        Routes::Always => "the infrastructure, always",
        Routes::Bgp => "each node itself, by BGP",
    }
}

fn addresses(addresses: Addresses) -> &'static str {
    match addresses {
        Addresses::Never => "",
        Addresses::WithIpv6 => "with IPv6",
        Addresses::OnlyIpv6 => "with IPv6 only",
    }
}

/// What Calico does in a stored Shoot without the key.
fn live(provider: &Provider) -> &'static str {
    match (provider.has_calico_overlay, provider.routes) {
        (false, _) => "no overlay: Calico has none there",
        (true, Routes::Bgp) => "what `backend` and `ipv4.mode` say",
        (true, Routes::WhenOff) => "an overlay, and no routes",
        (true, Routes::UnlessOn { .. } | Routes::Always) => "an overlay, and routes besides",
    }
}

fn new(provider: &Provider) -> &'static str {
    match (provider.new_key, provider.routes) {
        (NewKey::Off, _) => "`false`, by its admission",
        (NewKey::Flag, _) => "`true`, unless a flag of its admission was changed",
        (NewKey::Untouched, Routes::Bgp) => {
            "not set; without any `providerConfig`, `backend: none` and `ipv4.mode: Never`"
        }
        (NewKey::Untouched, _) => "not set",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::{Facts, reporting, silenced};
    use super::*;
    use crate::gardener::{Key, Way};

    #[test]
    fn every_row_has_a_name_and_a_source() {
        let names: BTreeSet<&str> = PROVIDERS.iter().map(|provider| provider.name).collect();
        assert_eq!(names.len(), PROVIDERS.len());
        for provider in &PROVIDERS {
            assert!(!provider.sources.is_empty(), "{}", provider.name);
            assert_eq!(Provider::of(provider.name).unwrap().name, provider.name);
            assert!(markdown().contains(&format!("\n| `{}` | ", provider.name)));
        }
        assert!(Provider::of("onmetal").is_none());
        assert_eq!(reporting(), ["aws", "gcp", "openstack", "alicloud"]);
        assert_eq!(silenced(), ["gcp", "openstack", "alicloud"]);
    }

    /// One row for each Shoot: which key counts where it is not set, and how Pods are reached.
    #[test]
    fn who_leads_to_pods() {
        use Key::{Absent, Off, On};
        use Way::{Addresses, Announced, Nowhere, Routes};
        let (v4, both, v6) = ((true, false), (true, true), (false, true));
        for (name, key, has_config, (has_v4, has_v6), want) in [
            ("aws", Off, true, v4, Routes),
            ("aws", Off, true, both, Routes),
            ("aws", Off, true, v6, Addresses),
            ("aws", On, true, v4, Nowhere),
            ("aws", Absent, false, v4, Nowhere),
            ("gcp", Off, true, v4, Routes),
            ("gcp", Off, true, both, Addresses),
            ("gcp", Absent, true, v4, Nowhere),
            ("openstack", Off, true, v4, Routes),
            ("openstack", Off, true, both, Routes),
            ("openstack", Absent, false, both, Nowhere),
            ("alicloud", Off, true, v4, Routes),
            ("alicloud", On, true, v4, Routes),
            ("azure", Absent, false, v4, Routes),
            ("metal", Absent, true, v4, Announced),
            ("ironcore", Absent, false, v4, Nowhere),
            ("ironcore", Absent, true, v4, Routes),
            ("ironcore", On, true, v4, Nowhere),
            ("ironcore-metal", Absent, false, v4, Routes),
            ("ironcore-metal", Off, true, v4, Routes),
            ("ironcore-metal", On, true, v4, Nowhere),
        ] {
            let facts = Facts { key, has_config, has_v4, has_v6, has_two_node_networks: false };
            assert_eq!(Provider::of(name).unwrap().way(facts), want, "{name} {facts:?}");
        }
        let leaving = Facts { key: Off, has_config: true, has_v4: true, has_v6: false, has_two_node_networks: true };
        assert_eq!(Provider::of("gcp").unwrap().way(leaving), Addresses, "its nodes still have both families");
    }

    #[test]
    fn what_an_absent_key_means() {
        use Key::{Absent, Off, On};
        for (name, new, stored_off) in [
            ("aws", Some(Off), Off),
            ("gcp", Some(Off), Off),
            ("alicloud", Some(Off), Off),
            ("openstack", None, Off),
            ("azure", Some(Absent), Absent),
            ("metal", Some(Absent), Absent),
            ("ironcore", Some(Absent), Absent),
        ] {
            let provider = Provider::of(name).unwrap();
            assert_eq!(provider.key(Absent, None), new, "{name}: a new Shoot");
            assert_eq!(provider.key(Absent, Some(Absent)), Some(Absent), "{name}: never set");
            assert_eq!(provider.key(Absent, Some(Off)), Some(stored_off), "{name}: taken out");
            assert_eq!(provider.key(On, Some(Off)), Some(On), "{name}: set");
        }
    }
}

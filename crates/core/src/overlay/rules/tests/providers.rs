//! Everything that a rule of `overlay/` says is true on every provider, in a model of its own of who leads packets to Pods.
//!
//! The model is written from the sources that the table of providers names, and knows nothing of the table.

mod truth;

use proptest::prelude::*;

use self::truth::{owed, verify};
use super::*;

/// What comes of a manifest, or of a review: the rules and texts of `overlay/`.
fn said_of(text: &str) -> Vec<(&'static str, String)> {
    let (old, new) = match serde_json::from_str::<Value>(text) {
        Ok(review) => (Some(review["request"]["oldObject"].clone()), review["request"]["object"].clone()),
        Err(_) => (None, serde_saphyr::from_str::<Value>(text).unwrap()),
    };
    let findings = Garden::of(&[]).findings(old.map(|old| old.to_string()).as_deref(), &new.to_string());
    findings.iter().map(|finding| (finding.rule.name, finding.to_string())).collect()
}

/// One row a Shoot of a landscape in which something untrue was said.
#[test]
fn right_answers() {
    let without = |provider: &str| {
        let message = format!(
            "spec.networking.providerConfig: `overlay` is not set: the admission of provider-{provider} makes that `enabled: \
             false`, so Calico will run without an overlay"
        );
        ("overlay/default-mode", message)
    };
    let limit = |nodes: u64, provider: &str, routes: u64| {
        let message = format!(
            "spec.provider.workers: may become {nodes} nodes with maxSurge, but {provider} permits {routes} routes, one for \
             each node; have the quota raised, or lower the maximum"
        );
        ("overlay/route-limit", message)
    };
    for (text, want) in [
        (include_str!("../../../../../../tests/fixtures/overlay/azure.yaml"), vec![]),
        (include_str!("../../../../../../tests/fixtures/overlay/azure-backend.yaml"), vec![]),
        (include_str!("../../../../../../tests/fixtures/overlay/metal.yaml"), vec![]),
        (include_str!("../../../../../../tests/fixtures/overlay/gcp-dual.yaml"), vec![]),
        (
            include_str!("../../../../../../tests/fixtures/overlay/aws-raw.yaml"),
            vec![without("aws"), limit(601, "aws", 500)],
        ),
        (include_str!("../../../../../../tests/fixtures/overlay/alicloud-raw.yaml"), vec![without("alicloud")]),
        (include_str!("../../../../../../tests/fixtures/overlay/alicloud-250.yaml"), vec![limit(251, "alicloud", 200)]),
        (include_str!("../../../../../../tests/fixtures/overlay/hibernated.json"), vec![]),
    ] {
        assert_eq!(said_of(text), want, "{text}");
    }
}

/// `overlay` as somebody writes it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Written {
    Absent,
    Null,
    Off,
    Empty,
    On,
}

#[derive(Clone, Copy, Debug)]
enum Extra {
    Nothing,
    BackendNone,
    ModeNever,
    Vxlan,
    CalicoIpam,
    PodRoutes,
    NoTunnel,
}

/// `maxSurge` as somebody writes it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Surge {
    Absent,
    Machines(u64),
    Percent(u64),
}

impl Surge {
    fn written(self) -> Value {
        match self {
            Self::Absent => Value::Null,
            Self::Machines(machines) => json!(machines),
            Self::Percent(percent) => json!(format!("{percent}%")),
        }
    }

    /// How many machines that are, of so many; a part of one is one.
    fn machines(self, maximum: u64) -> u64 {
        match self {
            Self::Absent => 1,
            Self::Machines(machines) => machines,
            Self::Percent(percent) => maximum * percent / 100 + u64::from(!(maximum * percent).is_multiple_of(100)),
        }
    }
}

/// One state of a Shoot.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
#[derive(Clone, Debug)]
struct State {
    overlay: Written,
    extra: Extra,
    /// No `providerConfig` at all, if nothing else is written.
    is_bare: bool,
    maximum: u64,
    surge: Surge,
    /// Its routes are in a table of its own, where the provider has such.
    has_own_table: bool,
    families: &'static [&'static str],
    /// Its status has a node network of each family.
    has_two_networks: bool,
    sleeps: bool,
}

impl State {
    /// Without anything special.
    fn plain(overlay: Written, families: &'static [&'static str]) -> Self {
        let (extra, is_bare, surge) = (Extra::Nothing, false, Surge::Absent);
        let (has_own_table, has_two_networks, sleeps) = (false, false, false);
        Self { overlay, extra, is_bare, maximum: 3, surge, has_own_table, families, has_two_networks, sleeps }
    }

    fn has(&self, family: &str) -> bool {
        self.families.contains(&family) || (family == "IPv4" && self.families.is_empty())
    }
}

/// A Shoot and what becomes of it.
#[derive(Clone, Debug)]
struct Case {
    provider: &'static str,
    network: &'static str,
    version: u32,
    /// Which of both halves of the opt-in to MutatingAdmissionPolicy it has.
    opts_in: (bool, bool),
    /// What the operator says of the provider's routes.
    limit: Option<u64>,
    old: Option<State>,
    new: State,
    /// A neighbour in its VPC, and whether that has a route table of its own.
    other: (&'static str, Written, bool),
}

fn state() -> impl Strategy<Value = State> {
    use Extra::{BackendNone, CalicoIpam, ModeNever, NoTunnel, Nothing, PodRoutes, Vxlan};
    let overlay = prop::sample::select(vec![
        Written::Absent,
        Written::Absent,
        Written::Null,
        Written::Off,
        Written::Off,
        Written::Empty,
        Written::On,
        Written::On,
    ]);
    let extra = prop::sample::select(vec![
        Nothing,
        Nothing,
        Nothing,
        BackendNone,
        ModeNever,
        Vxlan,
        CalicoIpam,
        PodRoutes,
        NoTunnel,
    ]);
    let maximum = prop::sample::select(vec![3u64, 199, 200, 299, 300, 499, 500, 2_000]);
    let families: Vec<&'static [&'static str]> =
        vec![&[], &["IPv4"], &["IPv4"], &["IPv4", "IPv6"], &["IPv4", "IPv6"], &["IPv6"]];
    let surge = prop_oneof![
        Just(Surge::Absent),
        (0u64..3).prop_map(Surge::Machines),
        prop::sample::select(vec![0u64, 1, 33, 100]).prop_map(Surge::Percent),
    ];
    let sometimes = || prop::bool::weighted(0.3);
    let places = (prop::sample::select(families), sometimes(), sometimes(), sometimes());
    (overlay, extra, any::<bool>(), maximum, surge, places).prop_map(
        |(overlay, extra, is_bare, maximum, surge, (families, has_two_networks, sleeps, has_own_table))| State {
            overlay,
            extra,
            is_bare,
            maximum,
            surge,
            has_own_table,
            families,
            has_two_networks,
            sleeps,
        },
    )
}

fn case() -> impl Strategy<Value = Case> {
    let providers =
        ["aws", "gcp", "openstack", "alicloud", "azure", "metal", "ironcore", "ironcore-metal", "onmetal", "cloud"];
    let other = (
        prop::sample::select(vec!["calico", "cilium", "other"]),
        prop::sample::select(vec![Written::Absent, Written::Off, Written::On]),
        prop::bool::weighted(0.3),
    );
    let shoot = (
        prop::sample::select(providers.to_vec()),
        prop::sample::select(vec!["calico", "calico", "calico", "cilium", "other"]),
        prop::sample::select(vec![21, 33, 34, 35, 36]),
        (prop::bool::weighted(0.7), prop::bool::weighted(0.7)),
        prop::option::weighted(0.3, prop::sample::select(vec![3u64, 250, 1_000])),
    );
    (shoot, prop::option::of(state()), state(), other).prop_map(
        |((provider, network, version, opts_in, limit), old, new, other)| Case {
            provider,
            network,
            version,
            opts_in,
            limit,
            old,
            new,
            other,
        },
    )
}

impl Case {
    fn config(state: &State) -> Value {
        let mut config = match state.extra {
            Extra::Nothing | Extra::PodRoutes => json!({}),
            Extra::BackendNone => json!({"backend": "none"}),
            Extra::ModeNever => json!({"ipv4": {"mode": "Never"}}),
            Extra::Vxlan => json!({"vxlan": {"enabled": true}}),
            Extra::CalicoIpam => json!({"ipam": {"type": "calico-ipam"}}),
            Extra::NoTunnel => json!({"tunnel": "disabled"}),
        };
        match state.overlay {
            Written::Absent => {}
            Written::Null => config["overlay"] = Value::Null,
            Written::Off => config["overlay"] = json!({"enabled": false}),
            Written::Empty => config["overlay"] = json!({}),
            Written::On => config["overlay"] = json!({"enabled": true}),
        }
        if matches!(state.extra, Extra::PodRoutes) && config["overlay"].is_object() {
            config["overlay"]["createPodRoutes"] = json!(true);
        }
        if state.is_bare && config.as_object().unwrap().values().all(Value::is_null) { Value::Null } else { config }
    }

    fn shoot(&self, state: &State) -> Value {
        let nodes: &[&str] = if state.has_two_networks { &["10.250.0.0/16", "fd00::/64"] } else { &["10.250.0.0/16"] };
        json!({
            "apiVersion": "core.gardener.cloud/v1beta1",
            "kind": "Shoot",
            "metadata": {"namespace": "garden-shop", "name": "web"},
            "spec": {
                "seedName": "eu1-a",
                "hibernation": {"enabled": state.sleeps},
                "kubernetes": {"version": format!("1.{}.1", self.version), "kubeAPIServer": {
                    "featureGates": {"MutatingAdmissionPolicy": self.opts_in.0},
                    "runtimeConfig": {"admissionregistration.k8s.io/v1beta1": self.opts_in.1},
                }},
                "networking": {
                    "type": self.network, "providerConfig": Self::config(state), "pods": "100.64.0.0/16",
                    "ipFamilies": state.families,
                },
                "provider": {
                    "type": self.provider,
                    "workers": [{"name": "w", "maximum": state.maximum, "maxSurge": state.surge.written()}],
                    "infrastructureConfig": {"networks": {
                        "vpc": {"id": "v", "name": "v", "useCustomRouteTable": state.has_own_table}, "router": {"id": "v"},
                    }},
                },
            },
            "status": {"hibernated": state.sleeps, "networking": {"nodes": nodes}},
        })
    }

    fn neighbour(&self) -> Value {
        let (network, overlay, has_own_table) = self.other;
        let state = State { has_own_table, ..State::plain(overlay, self.new.families) };
        let other = Case { network, ..self.clone() };
        with(other.shoot(&state), "/metadata/name", json!("orders"))
    }

    fn is_known(&self) -> bool {
        !["onmetal", "cloud"].contains(&self.provider)
    }

    /// What is written for good once the provider's admission has run; `None` is not set.
    fn settled(&self, state: &State, old: Option<&State>) -> Option<bool> {
        let plain = |written| match written {
            Written::Absent | Written::Null => None,
            Written::Off | Written::Empty => Some(false),
            Written::On => Some(true),
        };
        let written = plain(state.overlay);
        match (self.provider, written, old) {
            (_, Some(_), _) => written,
            // Once it is there, it cannot be taken out.
            ("aws" | "gcp" | "alicloud" | "openstack", None, Some(old)) => plain(old.overlay),
            ("aws" | "gcp" | "alicloud", None, None) => Some(false),
            // The flags of the admission as they are delivered.
            ("openstack", None, None) => Some(self.network == "calico" || self.network == "cilium"),
            _ => None,
        }
    }

    /// Whether each node gets a route.
    fn makes_routes(&self, key: Option<bool>, state: &State, has_two_networks: bool) -> bool {
        let has_config = !Self::config(state).is_null();
        match self.provider {
            "aws" => key == Some(false) && state.has("IPv4"),
            "gcp" => key == Some(false) && !state.has("IPv6") && !has_two_networks,
            "openstack" => key == Some(false),
            "alicloud" | "azure" => true,
            "ironcore" => has_config && key != Some(true),
            "ironcore-metal" => key != Some(true),
            _ => false,
        }
    }

    /// Whether Pods are reached although nobody makes routes: by addresses of the nodes, or by BGP.
    fn is_reached_anyhow(&self, state: &State, has_two_networks: bool) -> bool {
        match self.provider {
            "aws" => !state.has("IPv4"),
            "gcp" => state.has("IPv6") || has_two_networks,
            "metal" => true,
            _ => false,
        }
    }

    /// Whether there are tunnels; `None` where that is unknown.
    fn has_tunnels(&self, key: Option<bool>, state: &State) -> Option<bool> {
        let extra = state.extra;
        match (self.network, key) {
            ("calico", _) if self.provider == "azure" => Some(false),
            (_, Some(key)) => Some(key),
            ("calico", None) => Some(!state.has("IPv6") && !matches!(extra, Extra::BackendNone | Extra::ModeNever)),
            ("cilium", None) => Some(!matches!(extra, Extra::NoTunnel)),
            _ => None,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn every_sentence_is_true(case in case()) {
        let mut garden = Garden::of(&[case.neighbour()]);
        if let Some(limit) = case.limit {
            garden.settings.overlay.route_limits.insert(case.provider.to_owned(), limit);
        }
        let old = case.old.as_ref().map(|old| case.shoot(old).to_string());
        let findings = garden.findings(old.as_deref(), &case.shoot(&case.new).to_string());
        for finding in &findings {
            prop_assert_eq!(verify(&case, finding), Ok(()), "{}", finding);
        }
        for rule in owed(&case) {
            prop_assert!(findings.iter().any(|finding| finding.rule.name == rule), "{rule} is silent");
        }
    }
}

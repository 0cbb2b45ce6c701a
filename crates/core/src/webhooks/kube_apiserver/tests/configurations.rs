//! What another configuration or another release has written becomes what this one writes, in one pass.

use super::*;

const OTHER: &str = "warn vpn/other-configuration";

/// Settings as operators may choose them.
fn any_settings() -> impl Strategy<Value = Settings> {
    let resources = (prop::sample::select(vec!["20m", "1"]), prop::option::of(Just("200Mi")));
    let envoy = (prop::sample::select(vec!["envoy:1", "envoy:2"]), 1u8..4, 15_000u16..15_003);
    let limits = (1u32..3, 1u32..3, 1u32..3, 1u32..3, 1u32..3);
    let sidecar = prop::sample::select(vec![Sidecar::WhereMissing, Sidecar::Always]);
    let parts = (sidecar, envoy, resources, limits);
    parts.prop_map(|(sidecar, (image, concurrency, status_port), (cpu, memory_limit), limits)| Settings {
        sidecar,
        image: image.to_owned(),
        concurrency,
        cpu_request: cpu.to_owned(),
        memory_request: "100Mi".to_owned(),
        memory_limit: memory_limit.map(str::to_owned),
        status_port,
        max_hosts: limits.0,
        max_connections: limits.1,
        connect_timeout_seconds: limits.2,
        idle_timeout_seconds: limits.3,
        slow_milliseconds: limits.4,
    })
}

/// A case of Gardener's own code, and the Seed's Pod network.
fn any_case() -> impl Strategy<Value = (&'static str, &'static str)> {
    const CASES: [&str; 5] = ["ha", "ha-several-nodes", "ha-repeated-nodes", "ha-dual-stack", "non-ha"];
    (prop::sample::select(&CASES[..]), prop::sample::select(&["10.250.128.0/17", "10.0.0.0/8", "192.168.0.0/16"][..]))
}

impl Call {
    fn configured(self, settings: &Settings, nat: &Mode) -> Self {
        Self { settings: settings.clone(), nat: nat.clone(), ..self }
    }

    /// Writes an object as somebody sends it who read it before.
    fn sends(&self, object: &Value) -> Done {
        Self { object: object.clone(), ..self.clone() }.run()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    /// Two configurations and any Deployment: the second one makes of what the first one wrote what it makes of
    /// gardenlet's, and then nothing more.
    #[test]
    fn one_pass_converges(
        (case, pods) in any_case(),
        (a, b) in (any_settings(), any_settings()),
        (nat_a, nat_b) in (nat::any_mode(), nat::any_mode()),
    ) {
        let call = Call::new(case, case).cluster(|spec| spec["seed"]["spec"]["networks"]["pods"] = json!(pods)).live();
        let plain = call.object.clone();
        let (a, b) = (call.clone().configured(&a, &nat_a), call.configured(&b, &nat_b));
        let (first, want) = (a.sends(&plain), b.sends(&plain));
        let second = b.sends(&first.object);
        prop_assert_eq!(second.object.to_string(), want.object.to_string());
        prop_assert!(b.sends(&second.object).response.get("patch").is_none(), "a second time");

        // gardenlet never sends what was injected: what it says follows from what is stored.
        let repeated = b.clone().over(first.object.clone()).run();
        prop_assert_eq!(repeated.object.to_string(), want.object.to_string());
        let is_replaced = want.names("containers").contains(&"envoy-proxy".to_owned()) && first.object != want.object;
        prop_assert_eq!(repeated.rules().contains(&OTHER.to_owned()), is_replaced, "{:?}", repeated.rules());
        let settled = b.over(want.object.clone()).run();
        prop_assert!(!settled.rules().contains(&OTHER.to_owned()), "{:?}", settled.rules());
    }
}

/// What earlier releases wrote, by what has changed since.
const RELEASES: [(&str, &str); 1] = [(
    "without delayed_close_timeout",
    include_str!("../../../../../../tests/fixtures/releases/without-delayed-close.json"),
)];

#[test]
fn earlier_releases_converge() {
    for (name, patch) in RELEASES {
        let patch: json_patch::Patch = serde_json::from_str(patch).unwrap();
        let mut stored = plain();
        json_patch::patch(&mut stored, &patch).unwrap();
        assert_ne!(stored, injected(), "{name} says what is written today");

        // Somebody scales it, and gardenlet reconciles it.
        let mut scaled = stored.clone();
        scaled["spec"]["replicas"] = json!(3);
        for sent in [scaled, plain()] {
            let mut want = injected();
            want["spec"]["replicas"] = sent["spec"]["replicas"].clone();
            let done = Call { object: sent, ..Call::overlapping() }.over(stored.clone()).run();
            assert_eq!(done.object, want, "{name}");
            assert!(done.rules().contains(&OTHER.to_owned()), "{name}: {:?}", done.rules());
        }
        // A Shoot that overlaps no more.
        let gone = Call { object: told(stored, &fixture("ha", "cluster")), ..Call::new("ha", "ha") }.run();
        assert_eq!(without_empty(gone.object), without_empty(fixture("ha", "deployment")), "{name}");
    }
}

/// Networks follow the Shoot, whatever the configuration says.
#[test]
fn networks_are_no_configuration() {
    for nat in [Mode::VpnClient, Mode::Own(crate::vpn::nat::Own::new("guard:1"))] {
        let before = Call { nat: nat.clone(), ..Call::overlapping() }.live();
        let after = before.clone().cluster(|spec| {
            spec["shoot"]["status"]["networking"]["nodes"] = json!(["10.250.0.0/16", "10.64.0.0/16"]);
        });
        let stored = before.run().object;
        let done = after.live().over(stored.clone()).run();
        assert_ne!(done.object, stored);
        assert!(!done.rules().contains(&OTHER.to_owned()), "{nat:?}: {:?}", done.rules());
    }
}

//! What holds for any containers and any Cluster.

use proptest::prelude::*;

use super::*;

fn cidr() -> impl Strategy<Value = String> {
    let v4 = (0u8..4, 0u8..4, 9u8..=24).prop_map(|(a, b, length)| format!("{}.{}.0.0/{length}", a * 64 + 10, b * 64));
    let v6 = (0u8..4).prop_map(|a| format!("fd00:{a}::/64"));
    prop_oneof![6 => v4, 2 => v6]
}

/// Wrong values, and some correct ones.
fn value() -> impl Strategy<Value = Value> {
    let list = || prop::collection::vec(cidr(), 0..4).prop_map(|list| list.join(","));
    prop_oneof![
        6 => list().prop_map(|text| json!({"value": text})),
        1 => list().prop_map(|text| json!({"value": text + ", "})),
        1 => Just(json!({})),
        1 => Just(json!({"valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}})),
    ]
}

fn container() -> impl Strategy<Value = Value> {
    let name = prop::sample::select(vec!["vpn-client-0", "vpn-client-1", "vpn-path-controller", "kube-apiserver"]);
    let variable = (prop::sample::select(NAMES.to_vec()), value()).prop_map(|(name, mut value)| {
        value["name"] = name.into();
        value
    });
    (name, prop::option::of(prop::collection::vec(variable, 0..7))).prop_map(|(name, env)| match env {
        Some(env) => json!({"name": name, "env": env}),
        None => json!({"name": name}),
    })
}

proptest! {
    /// The patch applies, a second review finds nothing to correct, and IPv6 entries stay what they were.
    #[test]
    fn corrections_hold(
        containers in prop::collection::vec(container(), 0..4),
        seed_pods in prop::sample::select(vec!["", "10.0.0.0/8", "74.0.0.0/12", "fd00::/32"]),
        networks in prop::collection::vec(prop::collection::vec(cidr(), 0..3), 3),
    ) {
        let [pods, services, nodes] = [0, 1, 2].map(|kind| networks[kind].join(","));
        let facts = facts(seed_pods, &pods, &services, &nodes);
        let object = pod(&json!(containers), &Value::Null);
        let found = judge(&object, &facts);
        let after = corrected(&object, &found);
        let left = judge(&after, &facts);
        prop_assert!(left.iter().all(|left| !left.is_possible()), "{:?}", left);
        // A watch of the Deployment finds a difference where the webhook has something to correct, and nowhere else.
        for (object, is_wrong) in [(&object, found.iter().any(Correction::is_possible)), (&after, false)] {
            let text = object.to_string();
            let told = crate::vpn::nat::told(&Deployment::read(&text).unwrap());
            let differs = told.is_some_and(|told| !crate::vpn::nat::differences(&told, &facts).is_empty());
            prop_assert_eq!(differs, is_wrong);
        }
        let v6 = |object: &Value| object.to_string().matches("fd00:").count();
        let six_of = |text: &str| text.matches("fd00:").count();
        let lost: usize = found.iter().map(|found| match &found.found {
            // `SEED_POD_NETWORK` is one network, also where a list was written.
            Found::Value(_, Some(text)) if found.variable == NAMES[0] => six_of(text),
            _ => 0,
        }).sum();
        prop_assert_eq!(v6(&after) + lost, v6(&object));
    }
}

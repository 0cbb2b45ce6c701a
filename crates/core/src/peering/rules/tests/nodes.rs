//! What a landscape decides about node networks.

use super::pair::{a, b, no_peers, to_b};
use super::*;

#[test]
fn landscapes_with_default_networks_or_a_private_stack() {
    let mut garden = Garden::of(&[b("10.250.0.0/27")]);
    garden.settings.peering.default_node_networks = vec!["10.250.0.0/16".parse().unwrap()];
    garden.create(&a(&[to_b()])).warns(&["default-nodes"]);
    garden.create(&shoot(A, "10.250.1.0/27", &[to_b()])).warns(&["default-nodes", "default-nodes"]);

    let mut garden = Garden::of(&[b("10.5.0.32/27")]);
    let seed = SeedFacts { nodes: "10.5.0.0/24".parse().ok(), ..SeedFacts::default() };
    garden.snapshot.put_seed("eu1-a", seed);
    garden.create(&a(&[to_b()])).warns(&[]);
    garden.settings.peering.is_private_stack = true;
    garden.create(&a(&[to_b()])).warns(&["seed-nodes"]);
    garden.create(&with(no_peers(), "/spec/extensions", json!([]))).warns(&["seed-nodes"]);
    garden.update(&no_peers(), &a(&[to_b()])).warns(&[]);
}

/// A Shoot that sets no node network, in a landscape whose default is known.
#[test]
fn the_default_that_is_to_come() {
    let unset = |shoot: Value| with(shoot, "/spec/networking", json!({}));
    let garden = |target: Value, defaults: &[&str]| {
        let mut garden = Garden::of(&[target]);
        garden.settings.peering.default_node_networks = defaults.iter().map(|cidr| cidr.parse().unwrap()).collect();
        garden
    };
    let entry = "spec.extensions[0].providerConfig.shootPeerings[0]: ";
    let own = "spec.networking.nodes: is not set, so this Shoot gets the default 10.250.0.0/27, like every Shoot that does not \
               set it; set it to a network of its own";
    for (what, target, defaults, of_pair, of_own) in [
        ("another network", b("10.5.0.32/27"), &["10.250.0.0/27"][..], None, own),
        (
            "the same",
            b("10.250.0.0/27"),
            &["10.250.0.0/27"],
            Some(
                "the default 10.250.0.0/27 that this Shoot gets is identical to the node network of garden-shop/orders; \
                  set spec.networking.nodes",
            ),
            own,
        ),
        (
            "an overlapping one",
            b("10.250.0.0/24"),
            &["10.250.0.0/27"],
            Some(
                "the default 10.250.0.0/27 that this Shoot gets overlaps 10.250.0.0/24 of garden-shop/orders; \
                  set spec.networking.nodes",
            ),
            own,
        ),
        (
            "neither sets one",
            unset(b("10.250.0.0/27")),
            &["10.250.0.0/27"],
            Some(
                "this Shoot and garden-shop/orders set no node network, and both get the default 10.250.0.0/27; \
                  set spec.networking.nodes",
            ),
            own,
        ),
        (
            "several defaults",
            b("10.251.0.0/27"),
            &["10.250.0.0/27", "10.251.0.0/27"],
            Some(
                "the default 10.251.0.0/27 that this Shoot may get is identical to the node network of garden-shop/orders; \
                  set spec.networking.nodes",
            ),
            "spec.networking.nodes: is not set, so this Shoot gets one of the defaults 10.250.0.0/27, 10.251.0.0/27; \
             set it to a network of its own",
        ),
    ] {
        let said = garden(target, defaults).create(&unset(a(&[to_b()])));
        let texts: Vec<String> = said.texts.iter().filter(|text| !text.contains("is not known yet")).cloned().collect();
        let want: Vec<String> =
            of_pair.map(|text| format!("{entry}{text}")).into_iter().chain([of_own.to_owned()]).collect();
        assert_eq!((said.denied.len(), texts), (0, want), "{what}");
    }
    // The other one gets what this one has; of a hidden one that lists this Shoot only the verdict is told.
    let said = garden(unset(b("10.5.0.32/27")), &["10.250.0.0/27"]).create(&shoot(A, "10.250.0.0/27", &[to_b()]));
    said.says(&format!(
        "{entry}the default 10.250.0.0/27 that garden-shop/orders gets is identical to 10.250.0.0/27 of this Shoot; \
         set a node network there"
    ));
    let said = garden(b("10.250.0.0/24"), &["10.250.0.0/27"]).hiding(&[B]).create(&unset(a(&[to_b()])));
    said.says(&format!(
        "{entry}the default that this Shoot gets overlaps the node network of garden-shop/orders; \
         set spec.networking.nodes"
    ));
    let stranger = shoot(B, "10.250.0.0/24", &[]);
    let said = garden(stranger, &["10.250.0.0/27"]).hiding(&[B]).create(&unset(a(&[to_b()])));
    said.warns(&["target-hidden", "default-nodes"]);
    // How a network lies to a default one.
    for (nodes, lies) in [("10.250.0.0/27", "is"), ("10.250.0.0/28", "is in"), ("10.250.0.0/24", "contains")] {
        let said = garden(b("10.5.0.32/27"), &["10.250.0.0/27"]).create(&shoot(A, nodes, &[to_b()]));
        said.says(&format!(
            "spec.networking.nodes: {nodes} {lies} the default node network 10.250.0.0/27; routes may work in one direction only"
        ));
    }
}

/// What the platform does not permit is said of what is new, and mentioned of what is stored.
#[test]
fn prefixes_that_the_platform_does_not_permit() {
    let mut garden = Garden::of(&[b("10.9.0.0/27")]);
    let wide = shoot(A, "10.4.0.0/22", &[to_b()]);
    garden.create(&wide).warns(&[]);
    garden.settings.peering.node_prefixes = peering::NodePrefixes::new(23, 28);
    let said = garden.create(&wide);
    said.warns(&["nodes-prefix"]);
    said.says(
        "spec.networking.nodes: 10.4.0.0/22 is larger than a /23, the largest node network here; choose a /23 or a smaller one",
    );
    let said = garden.create(&shoot(A, "10.5.0.0/29", &[to_b()]));
    said.says(
        "spec.networking.nodes: 10.5.0.0/29 is smaller than a /28, the smallest node network here; choose a /28 or a larger one",
    );
    for nodes in ["10.4.0.0/23", "10.5.0.0/27", "10.5.0.0/28"] {
        garden.create(&shoot(A, nodes, &[to_b()])).warns(&[]);
    }
    // A network of IPv6, and a Shoot that lists nobody, are not meant.
    assert!(!garden.create(&shoot(A, "fd00::/64", &[to_b()])).warned.contains(&"nodes-prefix"));
    garden.create(&shoot(A, "10.4.0.0/22", &[])).warns(&[]);
    // Where operators refuse it, what is stored refuses nothing.
    garden.settings.policy.set(&peering::rules::defaults::PREFIX, Some(Severity::Deny));
    garden.create(&wide).denies(&["nodes-prefix"]);
    garden.update(&shoot(A, "10.4.0.0/22", &[]), &wide).warns(&["nodes-prefix"]);
    let grown = with(a(&[to_b()]), "/spec/networking/nodes", json!("10.4.0.0/22"));
    garden.update(&shoot(A, "10.4.0.0/23", &[to_b()]), &grown).denies(&["nodes-prefix"]);
    garden.update(&wide, &shoot(A, "10.4.0.0/23", &[to_b()])).warns(&["nodes-shrink", "peers-follow"]);
}

/// Which of several defaults a Shoot gets nobody knows: only what is so with each of them refuses anything.
#[test]
fn one_of_several_defaults_refuses_nothing() {
    let unset = |shoot: Value| with(shoot, "/spec/networking", json!({}));
    let refusing = |target: &Value, new: &Value, defaults: [&str; 2]| {
        let mut garden = Garden::of(std::slice::from_ref(target));
        garden.settings.peering.default_node_networks = defaults.map(|cidr| cidr.parse().unwrap()).into();
        garden.settings.policy.set(&peering::rules::defaults::DEFAULT_NODES, Some(Severity::Deny));
        let said = garden.create(new);
        let is_of_pair = |text: &&String| text.contains("shootPeerings") && text.contains("may get");
        assert_eq!(said.texts.iter().filter(is_of_pair).count(), 1, "{said:#?}");
        // That of the Shoot itself is another.
        said.denied.len() - usize::from(new.pointer("/spec/networking/nodes").is_none())
    };
    let (apart, both) = (["10.250.0.0/27", "10.251.0.0/27"], ["10.250.0.0/27", "10.250.0.0/26"]);
    let (to_get, to_b) = (unset(a(&[to_b()])), to_b());
    for (target, new) in [
        (b("10.250.0.0/27"), &to_get),
        (unset(b("10.250.0.0/27")), &to_get),
        (unset(b("10.250.0.0/27")), &shoot(A, "10.250.0.0/27", &[to_b])),
    ] {
        // The Shoot's own network in a default one is refused as it is.
        let own = usize::from(new.pointer("/spec/networking/nodes").is_some());
        assert_eq!(refusing(&target, new, apart), own, "{target}");
        assert_eq!(refusing(&target, new, both), own + 1, "{target}");
    }
}

//! Configurations that cannot be understood.

use super::*;

fn created(config: Value) -> Said {
    let b = shoot("garden-shop/orders", "10.5.0.32/27", &[peer(A, "eu1-a")]);
    let new = with(shoot(A, "10.5.0.0/27", &[]), "/spec/extensions/0/providerConfig", config);
    Garden::of(&[b]).create(&new)
}

/// One row a way to be wrong: the configuration, and all that is said, after the path of the configuration.
#[test]
fn says_what_is_wrong_and_what_to_do() {
    let good = || peer("garden-shop/orders", "eu1-a");
    let of = |entry: Value| config(&[entry]);
    for (config, want) in [
        (json!([]), vec![": [] is not an object; write an object"]),
        (json!("x"), vec![": \"x\" is not an object; write an object"]),
        (
            json!({}),
            vec![
                ".apiVersion: is missing; write `service.peering.extensions.osc.t-systems.com/v1`",
                ".kind: is missing; write `PeeringConfig`",
            ],
        ),
        (
            with(of(good()), "/apiVersion", json!("v1")),
            vec![".apiVersion: \"v1\" is not supported; write `service.peering.extensions.osc.t-systems.com/v1`"],
        ),
        (
            with(of(good()), "/kind", json!("Peering")),
            vec![".kind: \"Peering\" is not supported; write `PeeringConfig`"],
        ),
        (with(of(good()), "/kind", json!(5)), vec![".kind: 5 is not a string; write a string"]),
        (with(config(&[]), "/shootPeerings", json!({})), vec![".shootPeerings: {} is not a list; write a list"]),
        (of(json!("x")), vec![".shootPeerings[0]: \"x\" is not an object; write an object"]),
        (
            with(of(good()), "/shootPeering", json!([])),
            vec![".shootPeering: is an unknown field; write `shootPeerings` if that is meant, or remove it"],
        ),
        (
            with(of(good()), "/comment", json!("x")),
            vec![".comment: is an unknown field; remove it, known fields are apiVersion, kind, shootPeerings"],
        ),
        (
            of(with(good(), "/seedname", json!("x"))),
            vec![".shootPeerings[0].seedname: is an unknown field; write `seed` if that is meant, or remove it"],
        ),
        (
            of(with(good(), "/name", json!(""))),
            vec![".shootPeerings[0].name: is missing; write the metadata.name of the target"],
        ),
        (
            of(with(good(), "/name", Value::Null)),
            vec![".shootPeerings[0].name: is missing; write the metadata.name of the target"],
        ),
        (
            of(with(good(), "/name", json!("a.b"))),
            vec![".shootPeerings[0].name: \"a.b\" is not a valid Shoot name; write the metadata.name of the target"],
        ),
        (
            of(with(good(), "/name", json!("a--b"))),
            vec![".shootPeerings[0].name: \"a--b\" is not a valid Shoot name; write the metadata.name of the target"],
        ),
        (
            of(with(good(), "/namespace", json!(""))),
            vec![".shootPeerings[0].namespace: is missing; write the project namespace of the target"],
        ),
        (
            of(with(good(), "/namespace", json!("shop"))),
            vec![
                ".shootPeerings[0].namespace: \"shop\" is not a project namespace; write `garden` or one that begins with `garden-`",
            ],
        ),
        (
            of(with(good(), "/namespace", json!("garden-/x"))),
            vec![
                ".shootPeerings[0].namespace: \"garden-/x\" is not a project namespace; write `garden` or one that begins with `garden-`",
            ],
        ),
        (
            of(with(good(), "/seed", json!(" EU1-a"))),
            vec![".shootPeerings[0].seed: \" EU1-a\" has surrounding whitespace or capitals; write \"eu1-a\""],
        ),
        (
            of(with(good(), "/name", json!("Orders"))),
            vec![".shootPeerings[0].name: \"Orders\" has surrounding whitespace or capitals; write \"orders\""],
        ),
        (of(peer(A, "eu1-a")), vec![".shootPeerings[0]: names this Shoot itself, garden-sales/crm; remove the entry"]),
        (
            config(&[good(), with(good(), "/seed", json!("eu1-b"))]),
            vec![".shootPeerings[1]: garden-shop/orders is listed above already; remove one of them"],
        ),
        (
            config(&[peer(A, "eu1-a"), good(), good(), json!({"name": "", "namespace": "garden-x", "seed": "eu1-a"})]),
            vec![
                ".shootPeerings[0]: names this Shoot itself, garden-sales/crm; remove the entry",
                ".shootPeerings[2]: garden-shop/orders is listed above already; remove one of them",
                ".shootPeerings[3].name: is missing; write the metadata.name of the target",
            ],
        ),
    ] {
        let said = created(config.clone());
        let want: Vec<String> =
            want.into_iter().map(|text| format!("spec.extensions[0].providerConfig{text}")).collect();
        assert_eq!(said.texts, want, "{config}");
        assert!(!said.denied.is_empty() && said.warned.is_empty(), "{config}");
    }
    created(Value::Null).warns(&["no-config"]);
}

/// What JSON permits and a map cannot hold.
#[test]
fn a_field_that_is_there_twice() {
    let new = shoot(A, "10.5.0.0/27", &[peer("garden-shop/orders", "eu1-a")]).to_string();
    let twice = new.replacen("\"seed\":", "\"seed\":\"eu1-b\",\"seed\":", 1);
    assert_ne!(new, twice);
    let garden = Garden::of(&[shoot("garden-shop/orders", "10.5.0.32/27", &[peer(A, "eu1-a")])]);
    let map: Value = serde_json::from_str(&twice).unwrap();
    assert!(garden.create(&map).texts.is_empty(), "a map holds one of them");
    Said::of(&garden.findings(None, &twice), "").denies(&["duplicate-field"]);
}

#[test]
fn more_entries_than_are_looked_at() {
    let new = shoot(A, "10.5.0.0/27", &numbered(0..101));
    let garden = Garden::of(&[]);
    let said = garden.create(&new);
    said.denies(&["too-many"]);
    assert_eq!(garden.asked.take().visibilities.len(), 100, "those beyond the limit cost nothing");
    // Endless nonsense has an end.
    let nonsense: String = (0..10_000).map(|i| format!("\"x{i}\":1,")).collect();
    let text = new.to_string().replacen("\"apiVersion\":\"service", &format!("{nonsense}\"apiVersion\":\"service"), 1);
    let new: Value = serde_json::from_str(&text).unwrap();
    assert!(garden.create(&new).denied.len() < 200);
}

/// The name of a Shoot that is to be generated is not known before it is validated.
#[test]
fn a_name_that_is_generated() {
    let mut new = shoot(A, "10.5.0.0/27", &[peer("garden-shop/orders", "eu1-a")]);
    let metadata = new["metadata"].as_object_mut().unwrap();
    metadata.remove("name");
    metadata.insert("generateName".to_owned(), json!("crm-"));
    let b = shoot("garden-shop/orders", "10.5.0.32/27", &[peer(A, "eu1-a")]);
    let mut garden = Garden::of(&[b]);
    garden.create(&new).warns(&["not-reciprocal"]);
    garden.hidden = [ShootName::new("garden-shop", "orders")].into();
    garden.create(&new).warns(&["target-hidden"]);
}

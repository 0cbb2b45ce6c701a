//! Peerings between Shoots of one project: both sides, one after the other, and everything that is refused.

use serde_json::{Value, json};

use super::{apply, apply_dry, entries, get, peer, peers_of, place, refused, shoot, silent, warned};
use crate::harness::{Garden, Output};

const ORDERS: &str = "garden-shop/orders";
const CRM: &str = "garden-shop/crm";

#[test]
fn one_side_after_the_other() {
    let garden = Garden::start();
    let alice = garden.alice();
    place(&garden, "eu1-a", &shoot(ORDERS, "10.5.0.0/24", &[]));
    place(&garden, "eu1-b", &shoot(CRM, "10.5.1.0/24", &[]));
    garden.settle();

    // The first side is told what the other has to write.
    let first = apply(&alice, &shoot(CRM, "10.5.1.0/24", &[peer(ORDERS, "eu1-a")]));
    let help = "- {name: crm, namespace: garden-shop, seed: eu1-b}";
    warned(&first, &[&format!("shootPeerings[0]: garden-shop/orders does not list this Shoot; add there: {help}")]);
    assert_eq!(first.stdout, "shoot.core.gardener.cloud/crm configured\n");
    garden.settle();
    assert_eq!((&*entries(&garden, "one_sided"), &*entries(&garden, "reciprocal")), ("1", "0"));

    // An owner who copies it is done.
    let mut orders = shoot(ORDERS, "10.5.0.0/24", &[]);
    *peers_of(&mut orders) = serde_saphyr::from_str(help).unwrap();
    silent(&apply(&alice, &orders));
    garden.settle();
    assert_eq!((&*entries(&garden, "one_sided"), &*entries(&garden, "reciprocal")), ("0", "2"));
    assert_eq!(peers_of(&mut get(&alice, ORDERS)), &json!([peer(CRM, "eu1-b")]));

    // A Shoot without a Seed of its own yet, and one without a name yet.
    let mut generated = shoot("garden-shop/x", "10.5.2.0/24", &[peer(CRM, "eu1-b")]);
    generated["metadata"] = json!({"generateName": "gen-", "namespace": "garden-shop"});
    let output = alice.run(&["create", "-f", "-"], Some(&generated.to_string()));
    let name = output.stdout.trim().strip_prefix("shoot.core.gardener.cloud/").unwrap().replace(" created", "");
    let warning = format!(
        "shootPeerings[0]: garden-shop/crm does not list this Shoot; \
         add there: - {{name: {name}, namespace: garden-shop}}"
    );
    warned(&output, &[&warning]);

    // What the webhook needs, it was given; what it does not need, it does not have.
    assert!(!garden.guard.log().to_lowercase().contains("forbidden"), "{}", garden.guard.log());
    let admin = garden.admin();
    for (verb, resource) in [("get", "secrets"), ("update", "shoots.core.gardener.cloud"), ("list", "namespaces")] {
        let can = admin.run(&["auth", "can-i", verb, resource, "-A", "--as=network-guard"], None);
        assert_eq!(can.stdout, "no\n", "{verb} {resource}");
    }
}

/// The page for Shoot owners shows what kubectl really prints.
#[track_caller]
fn assert_in_page(output: &Output) {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/usage/peering.md")).unwrap();
    let printed = format!("{}{}", output.stderr, output.stdout).replace("\"STDIN\"", "\"crm.yaml\"");
    assert!(page.contains(&printed), "docs/usage/peering.md lacks\n{printed}");
}

#[test]
fn what_is_refused() {
    let garden = Garden::start();
    let alice = garden.alice();
    place(&garden, "eu1-a", &shoot(ORDERS, "10.5.0.0/24", &[]));
    garden.settle();

    // Overlap: the whole of what kubectl prints.
    let overlapping = shoot(CRM, "10.5.0.32/27", &[peer(ORDERS, "eu1-a")]);
    let output = apply(&alice, &overlapping);
    let error = "Error from server (Forbidden): error when creating \"STDIN\": admission webhook \
                 \"validator.admission-network-guard.extensions.gardener.cloud\" denied the request: \
                 Shoot garden-shop/crm is refused:\n\
                 - spec.extensions[0].providerConfig.shootPeerings[0]: node network 10.5.0.32/27 overlaps 10.5.0.0/24 \
                 of garden-shop/orders; choose disjoint node networks (peering/overlap)\n";
    let warning = "Warning: shootPeerings[0]: garden-shop/orders does not list this Shoot; add there: \
                   - {name: crm, namespace: garden-shop}\n";
    assert_eq!((output.ok, &*output.stdout, &*output.stderr), (false, "", &*format!("{warning}{error}")));
    assert_in_page(&output);
    let dry = apply_dry(&alice, &overlapping);
    assert_eq!((dry.ok, dry.stdout, dry.stderr), (output.ok, output.stdout, output.stderr));
    let stored = alice.run(&["get", "shoot", "crm", "-n", "garden-shop"], None);
    assert!(stored.stderr.contains("NotFound"), "{stored:?}");

    let path = "spec.extensions[0].providerConfig.shootPeerings";
    let misspelt = json!({"name": "orders", "namespace": "garden-shop", "seedname": "eu1-a"});
    let entries = [peer(CRM, "eu1-a"), peer(ORDERS, "eu1-a"), peer(ORDERS, "eu1-b"), peer("garden-shop/", "eu1-a")];
    for (nodes, entries, want) in [
        (
            "10.5.0.0/24",
            &[peer(ORDERS, "eu1-a")][..],
            vec![
                "[0]: node network 10.5.0.0/24 is identical to that of garden-shop/orders; choose disjoint node \
                 networks (peering/identical)",
            ],
        ),
        // All problems at once.
        (
            "10.5.1.0/24",
            &entries,
            vec![
                "[0]: names this Shoot itself, garden-shop/crm; remove the entry (peering/self)",
                "[2]: garden-shop/orders is listed above already; remove one of them (peering/duplicate)",
                "[3].name: is missing; write the metadata.name of the target (peering/name)",
            ],
        ),
        (
            "10.5.1.0/24",
            &[misspelt],
            vec![
                "[0].seedname: is an unknown field; write `seed` if that is meant, or remove it \
                 (peering/unknown-field)",
            ],
        ),
        (
            "10.5.1.0/24",
            &[peer(ORDERS, "eu1-b")],
            vec!["[0].seed: eu1-b is not the Seed of garden-shop/orders; write eu1-a (peering/seed-wrong)"],
        ),
    ] {
        let output = apply(&alice, &shoot(CRM, nodes, entries));
        let want: String = want.iter().map(|line| format!("- {path}{line}\n")).collect();
        assert_eq!(refused(&output), format!("Shoot garden-shop/crm is refused:\n{want}"));
        if want.contains("(peering/duplicate)") {
            assert_in_page(&output);
        }
    }
    // Without the problems it passes, and a refusal is counted.
    let output = apply(&alice, &shoot(CRM, "10.5.1.0/24", &[peer(ORDERS, "eu1-a")]));
    assert!(output.ok, "{output:?}");
    assert_in_page(&output);
    assert!(garden.guard.series("network_guard_findings_total", "rule=\"peering/overlap\",severity=\"deny\"") > 0.0);
}

#[test]
fn what_is_missing_is_filled_in() {
    let garden = Garden::start();
    let (admin, alice) = (garden.admin(), garden.alice());
    place(&garden, "eu1-a", &shoot(ORDERS, "10.5.0.0/24", &[]));
    place(&garden, "eu1-a", &shoot("garden-billing/ledger", "10.6.0.0/24", &[]));
    garden.settle();

    // The order of keys is the sender's. kubectl sorts what it sends, except here.
    let mut sent = shoot("garden-shop/web", "10.5.1.0/24", &[]);
    let config = r#"{"kind":"PeeringConfig","shootPeerings":[{"name":"orders"}],"apiVersion":"service.peering.extensions.osc.t-systems.com/v1"}"#;
    sent["spec"]["extensions"][0]["providerConfig"] = json!("CONFIG");
    let body = sent.to_string().replace("\"CONFIG\"", config);
    let path = "/apis/core.gardener.cloud/v1beta1/namespaces/garden-shop/shoots";
    let answer = alice.ok(&["create", "--raw", path, "-f", "-"], Some(&body));
    let filled = config.replace(r#""orders""#, r#""orders","namespace":"garden-shop","seed":"eu1-a""#);
    assert!(answer.contains(&filled), "{answer}");
    let stored = admin.ok(&["get", "--raw", &format!("{path}/web")], None);
    assert!(stored.contains(&filled), "{stored}");

    // A manifest without the two fields stays as it is, and so does what is stored.
    let manifest = shoot(CRM, "10.5.2.0/24", &[json!({"name": "orders"})]);
    let output = apply(&alice, &manifest);
    let said = "shootPeerings[0].namespace: was missing, garden-shop was filled in: the peer is garden-shop/orders";
    assert!(output.ok && output.stderr.contains(said), "{output:?}");
    assert_eq!(peers_of(&mut get(&alice, CRM)), &json!([peer(ORDERS, "eu1-a")]));
    let versions =
        |shoot: &Value| (shoot["metadata"]["generation"].clone(), shoot["metadata"]["resourceVersion"].clone());
    let before = get(&alice, CRM);
    silent(&apply(&alice, &manifest));
    assert_eq!(versions(&get(&alice, CRM)), versions(&before));

    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), manifest.to_string()).unwrap();
    let diff = alice.run(&["diff", "-f", &file.path().display().to_string()], None);
    assert!(diff.ok && diff.stdout.is_empty(), "{diff:?}");
    // The same when the server merges.
    let manifest = shoot("garden-shop/merged", "10.5.4.0/24", &[json!({"name": "orders"})]).to_string();
    let merge = || alice.run(&["apply", "--server-side", "-f", "-"], Some(&manifest));
    assert!(merge().ok);
    let before = get(&alice, "garden-shop/merged");
    assert_eq!(peers_of(&mut before.clone()), &json!([peer(ORDERS, "eu1-a")]));
    silent(&merge());
    assert_eq!(versions(&get(&alice, "garden-shop/merged")), versions(&before));

    // Of a Shoot that she may not see she learns no Seed.
    for target in ["ledger", "nothing"] {
        let entry = json!({"name": target, "namespace": "garden-billing"});
        let output = apply(&alice, &shoot("garden-shop/other", "10.5.3.0/24", &[entry]));
        assert_eq!(
            refused(&output),
            "Shoot garden-shop/other is refused:\n\
             - spec.extensions[0].providerConfig.shootPeerings[0].seed: is missing; write the spec.seedName of the \
             target (peering/seed-missing)\n"
        );
        assert!(!output.stderr.contains("eu1-a"), "{output:?}");
    }
}

/// As many peers as are permitted, and more of everything than anybody wants to read.
#[test]
fn a_hundred_peers() {
    let garden = Garden::start();
    let alice = garden.alice();
    let strangers =
        |count: usize| -> Vec<Value> { (0..count).map(|i| peer(&format!("garden-p{i}/stranger"), "eu1-a")).collect() };
    let output = apply(&alice, &shoot(CRM, "10.5.0.0/24", &strangers(100)));
    assert!(output.ok, "{output:?}");
    let lines: Vec<&str> = output.stderr.lines().collect();
    assert_eq!((lines.len(), lines[10]), (11, "Warning: and 90 more"));
    for (i, line) in lines[..10].iter().enumerate() {
        let target = format!("Warning: shootPeerings[{i}]: garden-p{i}/stranger cannot be verified");
        assert!(line.starts_with(&target), "{line}");
    }

    let output = apply(&alice, &shoot(ORDERS, "10.5.1.0/24", &strangers(101)));
    assert_eq!(
        refused(&output),
        "Shoot garden-shop/orders is refused:\n\
         - spec.extensions[0].providerConfig.shootPeerings: has 101 entries, more than the 100 that are permitted; remove some \
         (peering/too-many)\n"
    );
    let wrong: Vec<Value> = (0..30).map(|i| json!({"name": format!("Wrong{i}")})).collect();
    let output = apply(&alice, &shoot(ORDERS, "10.5.1.0/24", &wrong));
    let lines: Vec<&str> = refused(&output).lines().collect();
    assert_eq!((lines.len(), lines[21]), (22, "- and 40 more"));

    // Only a client that does not parse what it sends can send a field twice.
    let path = "/apis/core.gardener.cloud/v1beta1/namespaces/garden-shop/shoots";
    let mut twice = shoot(ORDERS, "10.5.1.0/24", &[]);
    *peers_of(&mut twice) = json!("PEERS");
    let entry = r#"[{"name":"a","name":"b","namespace":"garden-shop","seed":"eu1-a"}]"#;
    let output = alice.run(&["create", "--raw", path, "-f", "-"], Some(&twice.to_string().replace("\"PEERS\"", entry)));
    assert!(refused(&output).contains("shootPeerings[0].name: is a duplicate field; remove one of them"), "{output:?}");
}

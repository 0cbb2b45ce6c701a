//! A refusal rests on what is read live, and not on a cache: what is read for that, and that it ends.

use super::*;

/// What operators raise to a refusal still blocks no edit of something else, and rests on a live read.
#[test]
fn raised_rules_are_ratcheted_and_confirmed() {
    let strict = |shoots: &[Value]| {
        let mut garden = Garden::of(shoots);
        garden.settings.peering.default_node_networks = vec!["10.250.0.0/16".parse().unwrap()];
        for rule in peering::rules::RULES.iter().copied().flatten() {
            garden.settings.policy.set(rule, Some(Severity::Deny));
        }
        garden
    };
    let grown = with(a(), "/spec/networking/nodes", json!("10.5.0.0/28"));
    let states = [
        shoot(B, "10.5.0.32/27", &[]),
        with(b(), "/status", json!({"seedName": "eu1-b"})),
        with(b(), "/spec/extensions/0/disabled", json!(true)),
        with(b(), "/spec/networking/pods", json!("10.5.0.0/24")),
        shoot(B, "fd00::/64", &[peer(A, "eu1-a")]),
        shoot(B, "10.250.0.0/27", &[peer(A, "eu1-a")]),
    ];
    for target in states {
        let said = strict(std::slice::from_ref(&target)).update(&a(), &grown);
        assert!(said.denied.is_empty(), "{target}: {said:#?}");
    }
    let said = strict(&[b()]).hiding(&[B]).update(&a(), &grown);
    assert!(said.denied.is_empty(), "{said:#?}");

    let mut garden = strict(&[shoot(B, "10.250.0.0/27", &[peer(A, "eu1-a")])]);
    garden.live = vec![(ShootName::new("garden-shop", "orders"), Answer::Found(Arc::new(facts_of(&b()))))];
    garden.create(&a()).warns(&[]);
    // Out of the default network one may always go.
    let default = with(a(), "/spec/networking/nodes", json!("10.250.1.0/27"));
    let said = strict(&[b()]).update(&default, &a());
    assert!(said.denied.is_empty(), "{said:#?}");
}

/// Stale caches of many targets, each of which hides a conflict behind it, end in two reads.
#[test]
fn many_stale_targets_end_soon() {
    let name = |i: u32| format!("garden-shop/s{i}");
    let stale = |i: u32| shoot(&name(i), "10.5.0.0/27", &[peer(A, "eu1-a")]);
    let mut garden = Garden::of(&(0..20).map(stale).collect::<Vec<_>>());
    garden.live = (0..20)
        .map(|i| {
            let live = shoot(&name(i), &format!("10.9.{i}.0/27"), &[peer(A, "eu1-a")]);
            (name_of(&live), Answer::Found(Arc::new(facts_of(&live))))
        })
        .collect();
    garden.create(&listing(numbered(0..20).into())).warns(&[]);
}

/// A refusal that the live read confirms costs that read; all are read only where it brought something else to light.
#[test]
fn a_true_refusal_reads_only_what_it_rests_on() {
    let mut shoots = mutual(0..50);
    shoots.push(shoot(B, "10.5.0.0/27", &[peer(A, "eu1-a")]));
    let entries: Vec<Value> = numbered(0..50).into_iter().chain([peer(B, "eu1-a")]).collect();
    let new = listing(entries.into());
    let garden = Garden::of(&shoots);
    garden.create(&new).denies(&["identical"]);
    assert_eq!(garden.asked.take().shoots, [ShootName::new("garden-shop", "orders")].into());
    // What was read overlaps another one now: that one is read, and all others that may be seen, but not those that may not.
    let mut garden = Garden::of(&shoots).hiding(&["garden-shop/s49"]);
    let stranger = shoot("garden-shop/s49", "10.8.49.0/27", &[]);
    garden.snapshot.shoots.put(&name_of(&stranger), facts_of(&stranger));
    let moved = shoot(B, "10.8.7.0/27", &[peer(A, "eu1-a")]);
    garden.live = vec![(name_of(&moved), Answer::Found(Arc::new(facts_of(&moved))))];
    garden.create(&new).denies(&["peers-overlap"]);
    let asked = garden.asked.take().shoots;
    assert_eq!((asked.len(), asked.contains(&name_of(&stranger))), (50, false));
}

/// A denial rests on what is true now, not on what a cache remembers.
#[test]
fn a_denial_is_preceded_by_a_live_read() {
    let name = ShootName::new("garden-shop", "orders");
    let mut garden = Garden::of(&[pair::b("10.5.0.0/27")]);
    garden.live = vec![(name.clone(), Answer::Found(Arc::new(facts_of(&pair::b("10.5.0.32/27")))))];
    garden.create(&a()).warns(&[]);
    assert!(garden.asked.take().shoots.contains(&name));

    garden.live = vec![(name.clone(), Answer::Absent)];
    garden.create(&a()).warns(&["target-missing"]);
    garden.update(&pair::no_peers(), &a()).denies(&["target-missing"]);
    garden.live = vec![(name.clone(), Answer::Unanswered("no answer in time".to_owned()))];
    garden.create(&a()).warns(&["not-verified"]);

    let mut garden = Garden::of(&[]);
    garden.live = vec![(name.clone(), Answer::Found(Arc::new(facts_of(&pair::b("10.5.0.32/27")))))];
    garden.update(&pair::no_peers(), &a()).warns(&[]);

    let garden = Garden::of(&[pair::b("10.5.0.32/27")]);
    garden.create(&a()).warns(&[]);
    assert!(garden.asked.take().shoots.is_empty(), "what passes is not read live");
}

#[test]
fn a_failed_lookup_refuses_nobody() {
    let mut garden = Garden::of(&[pair::b("10.5.0.0/27")]);
    garden.is_down = true;
    let said = garden.update(&pair::no_peers(), &pair::a(&[peer(B, "eu9")]));
    said.warns(&["not-verified", "not-verified"]);
    said.says(
        "spec.extensions[0].providerConfig.shootPeerings[0]: garden-shop/orders was not verified: no answer in time; \
         apply again to have it checked",
    );
}

#[test]
fn with_a_stale_cache_everything_is_read_live() {
    let mut garden = Garden::of(&[]);
    garden.snapshot = Snapshot::default();
    garden.is_stale = true;
    let orders = ShootName::new("garden-shop", "orders");
    garden.live = vec![(orders.clone(), Answer::Found(Arc::new(facts_of(&pair::b("10.5.0.0/24")))))];
    let said = garden.update(&pair::no_peers(), &a());
    assert!(said.denied.contains(&"overlap"), "{said:#?}");
    // A stranger is hidden, whatever the live read shows.
    garden.hidden = [orders].into();
    garden.live = vec![];
    let said = garden.update(&pair::no_peers(), &a());
    assert!(said.warned.contains(&"target-hidden"), "{said:#?}");
}

//! Who may not be seen in a VPC shapes no answer, and no question.

use proptest::prelude::*;

use super::*;
use crate::overlay::rules::tests::{NEIGHBOUR, OWN, PODS, STRANGER, native, overlay};
use crate::overlay::rules::vpc::SHARED_VPC;

/// Whatever is the matter with a Shoot that cannot be seen: the same bytes as if it were not there, and the same questions.
#[test]
fn a_hidden_neighbour_is_none() {
    let own = native(OWN, PODS, "vpc-1");
    let without = with(own.clone(), "/spec/networking/pods", Value::Null);
    let visible = native(NEIGHBOUR, "100.64.0.0/24", "vpc-1");
    let stranger = |pods: &str| Some(native(STRANGER, pods, "vpc-1"));
    let down = |garden: &mut Garden| garden.is_down = true;
    for (request, old, new) in [
        ("create", None, &own),
        ("create without Pods", None, &without),
        ("the overlay goes", Some(overlay(own.clone())), &own),
        ("another VPC", Some(native(OWN, PODS, "vpc-2")), &own),
        ("another Pod network", Some(native(OWN, "100.70.0.0/16", "vpc-1")), &own),
    ] {
        for with_visible in [false, true] {
            for is_down in [false, true] {
                let told = |stranger: Option<Value>| {
                    let shoots: Vec<Value> =
                        stranger.into_iter().chain(with_visible.then(|| visible.clone())).collect();
                    let mut garden = Garden::of(&shoots).hiding(&[STRANGER]);
                    if is_down {
                        down(&mut garden);
                    }
                    let request = garden.request(old.as_ref(), Some(new));
                    let (verdict, bytes) = garden.call(&ValidateShoot::new(&garden.settings), &request);
                    let names = verdict.findings.iter().any(|finding| finding.message.contains(NEIGHBOUR));
                    assert_eq!(names, with_visible && !is_down);
                    (bytes, garden.asked.take())
                };
                let absent = told(None);
                assert_eq!(told(stranger(PODS)), absent, "{request}");
                assert_eq!(told(stranger("100.80.0.0/16")), absent, "{request}, disjoint");
                let deleting = stranger(PODS)
                    .map(|shoot| with(shoot, "/metadata/deletionTimestamp", json!("2026-01-01T00:00:00Z")));
                assert_eq!(told(deleting), absent, "{request}, deleting");
                assert_eq!(told(stranger(PODS).map(overlay)), absent, "{request}, with an overlay");
                assert_eq!(told(Some(native(STRANGER, PODS, "vpc-3"))), absent, "{request}, elsewhere");
            }
        }
    }
}

/// However many of them there are, they displace nobody of the own project, and their number is not told.
#[test]
fn hidden_neighbours_are_not_counted() {
    let hidden: Vec<String> = (0..200).map(|i| format!("garden-aa/s{i:03}")).collect();
    let told = |strangers: usize| {
        let mut shoots: Vec<Value> = hidden[..strangers].iter().map(|name| native(name, PODS, "vpc-1")).collect();
        shoots.push(native(NEIGHBOUR, PODS, "vpc-1"));
        let names: Vec<&str> = hidden.iter().map(String::as_str).collect();
        let garden = Garden::of(&shoots).hiding(&names);
        let said = garden.create(&native(OWN, PODS, "vpc-1"));
        (said.texts, garden.asked.take())
    };
    let alone = told(0);
    assert!(alone.0[0].contains("garden-shop/orders (100.64.0.0/16), without"), "{alone:?}");
    for strangers in [1, 63, 64, 65, 200] {
        assert_eq!(told(strangers), alone, "{strangers} strangers");
    }
}

/// More than are looked at: those who see them are told that there may be more. However many there are, two questions.
#[test]
fn many_neighbours_are_a_bounded_question() {
    let project = Grant::Namespace("garden-shop".into());
    for namespace in ["garden-shop", "garden-bank"] {
        let told = |count: usize| {
            let shoots: Vec<Value> =
                (0..count).map(|i| native(&format!("{namespace}/s{i:03}"), "100.80.0.0/16", "vpc-1")).collect();
            let garden = Garden::of(&shoots);
            let said = garden.create(&native(OWN, PODS, "vpc-1"));
            let grants = [project.clone(), Grant::Everywhere].into();
            assert_eq!(garden.asked.take(), Questions { grants, ..Questions::default() });
            said.texts
        };
        for count in [0, 63, 64] {
            assert_eq!(told(count), Vec::<String>::new(), "{count}");
        }
        for count in [65, 500] {
            let texts = told(count);
            let want = "was compared with 64 Shoots in the same VPC vpc-1, and there may be more";
            assert!(texts[0].contains(want), "{texts:?}");
        }
    }
}

/// Which Shoots count: one row what the writer may see, and which projects the Shoot names by its peers.
#[test]
fn whole_projects_are_seen_or_not() {
    let sales = "garden-sales/crm";
    let shoots = [NEIGHBOUR, STRANGER, sales].map(|name| native(name, PODS, "vpc-1"));
    // Those that the writer may not see need not be there.
    let nowhere = "garden-nowhere/x";
    for (what, hidden, peers, said) in [
        ("all", &[][..], &[][..], &[STRANGER, sales, NEIGHBOUR][..]),
        ("a member of all three", &[nowhere], &[], &[NEIGHBOUR]),
        ("the same, with a peer", &[nowhere], &["garden-sales/other"], &[sales, NEIGHBOUR]),
        ("the same, with two", &[nowhere], &["garden-sales/other", "garden-bank/other"], &[sales, STRANGER, NEIGHBOUR]),
        ("a member of one", &[STRANGER, sales], &["garden-sales/other", "garden-bank/other"], &[NEIGHBOUR]),
        ("some of a project", &["garden-sales/else"], &["garden-sales/other"], &[NEIGHBOUR]),
        ("some of the own project", &["garden-shop/else"], &[], &[]),
        ("the same, with a peer", &["garden-shop/else"], &["garden-sales/other"], &[sales]),
    ] {
        let peers: Vec<Value> = peers.iter().map(|name| peer(name, "eu1-a")).collect();
        let extension = json!([{"type": PEERING_TYPE, "providerConfig": config(&peers)}]);
        let own = with(native(OWN, PODS, "vpc-1"), "/spec/extensions", extension);
        let garden = Garden::of(&shoots).hiding(hidden);
        let told = garden.create(&own).texts.into_iter().find(|text| text.contains("same VPC")).unwrap_or_default();
        for name in [NEIGHBOUR, STRANGER, sales] {
            let is_among = told.contains(&format!("{name} (")) || told.contains("and others") && said.len() == 3;
            assert_eq!(is_among, said.contains(&name), "{what}: {name}: {told:?}");
        }
    }
}

/// What is asked does not grow with what the writer names.
#[test]
fn few_projects_are_asked_about() {
    let peers: Vec<Value> = (0..100).map(|i| peer(&format!("garden-p{i:02}/x"), "eu1-a")).collect();
    let extension = json!([{"type": PEERING_TYPE, "providerConfig": config(&peers)}]);
    let garden = Garden::of(&[]);
    garden.create(&with(native(OWN, PODS, "vpc-1"), "/spec/extensions", extension));
    let asked = garden.asked.take();
    assert_eq!((asked.visibilities.len(), asked.grants.len()), (100, 10));
    assert!(asked.grants.contains(&Grant::Namespace("garden-p07".into())), "the first 8: {asked:?}");
}

/// A neighbour in any state.
fn anybody() -> impl Strategy<Value = Value> {
    let names = ["garden-shop/a", "garden-shop/b", "garden-sales/c", "garden-bank/d", "garden-aa/e"];
    let pods = ["100.64.0.0/16", "100.64.1.0/24", "100.65.0.0/16", "fd00::/48", "nonsense"];
    let all = (prop::sample::select(names.to_vec()), prop::sample::select(pods.to_vec()), 1u8..3, 0u8..6);
    all.prop_map(|(name, pods, vpc, odd)| {
        let shoot = native(name, pods, &format!("vpc-{vpc}"));
        match odd {
            0 => overlay(shoot),
            1 => with(shoot, "/metadata/deletionTimestamp", json!("2026-01-01T00:00:00Z")),
            2 => with(shoot, "/spec/provider/workers", json!([])),
            _ => shoot,
        }
    })
}

proptest! {
    /// A Shoot that cannot be seen shapes nothing, whatever other Shoots there are; and a refusal by this rule rests on a live read.
    #[test]
    fn who_is_not_seen_shapes_nothing(
        all in prop::collection::vec(anybody(), 0..8),
        old in prop::option::of(prop::sample::select(vec![true, false])),
        is_strict in any::<bool>(),
    ) {
        let own = native(OWN, PODS, "vpc-1");
        let old = old.map(|was_overlay| {
            if was_overlay { overlay(own.clone()) } else { native(OWN, "100.70.0.0/16", "vpc-1") }
        });
        let is_hidden = |shoot: &Value| ["garden-bank", "garden-aa"].contains(&shoot["metadata"]["namespace"].as_str().unwrap());
        let seen: Vec<Value> = all.iter().filter(|shoot| !is_hidden(shoot)).cloned().collect();
        let told = |shoots: &[Value]| {
            let mut garden = Garden::of(shoots).hiding(&["garden-bank/d", "garden-aa/e"]);
            if is_strict {
                garden.settings.policy.set(&SHARED_VPC, Some(Severity::Deny));
            }
            let request = garden.request(old.as_ref(), Some(&own));
            let (verdict, bytes) = garden.call(&ValidateShoot::new(&garden.settings), &request);
            let is_refused = verdict.outcome == Outcome::Denied;
            let asked = garden.asked.take();
            assert!(!is_refused || !asked.shoots.is_empty());
            (bytes, asked)
        };
        prop_assert_eq!(told(&all), told(&seen));
    }
}

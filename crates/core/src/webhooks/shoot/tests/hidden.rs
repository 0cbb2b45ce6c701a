//! How many Shoots there are that a writer may not see, and what they are, shapes no answer and no question.

use proptest::prelude::*;

use super::*;

const OWN: &str = "garden-shop/web";
/// A neighbour in the project, and a peer in another one.
const NEIGHBOUR: &str = "garden-shop/orders";
const PEER: &str = "garden-sales/crm";
/// A peer of the peer.
const THIRD: &str = "garden-sales/leads";
/// Another one, which is on the network of the writer's Shoot.
const FOURTH: &str = "garden-sales/other";

/// Around every limit that there is, or was.
const COUNTS: [usize; 14] = [0, 1, 2, 8, 9, 63, 64, 65, 99, 100, 101, 127, 128, 129];

/// A Shoot without an overlay in `vpc-1`, with peers.
fn native(name: &str, pods: &str, nodes: &str, peers: &[Value]) -> Value {
    let networking = json!({
        "type": "calico", "providerConfig": {"overlay": {"enabled": false}}, "pods": pods, "nodes": nodes,
    });
    let provider = json!({
        "type": "aws", "workers": [{"name": "w", "maximum": 3}],
        "infrastructureConfig": {"networks": {"vpc": {"id": "vpc-1"}}},
    });
    with(with(shoot(name, nodes, peers), "/spec/networking", networking), "/spec/provider", provider)
}

/// Those that may be seen: all of them list the writer's Shoot and are in the way of it.
fn seen() -> Vec<Value> {
    let listing = |others: &[&str]| -> Vec<Value> {
        [&[OWN], others].concat().into_iter().map(|name| peer(name, "eu1-a")).collect()
    };
    vec![
        native(NEIGHBOUR, "100.64.1.0/24", "10.6.0.0/27", &listing(&[])),
        native(PEER, "100.64.2.0/24", "10.7.0.0/27", &listing(&[THIRD, FOURTH])),
        native(THIRD, "100.64.3.0/24", "10.5.0.32/27", &[peer(PEER, "eu1-a")]),
        native(FOURTH, "100.64.4.0/24", "10.5.0.0/28", &[peer(PEER, "eu1-a")]),
    ]
}

/// The writer's Shoot.
fn own(peers: &[&str]) -> Value {
    let peers: Vec<Value> = peers.iter().map(|name| peer(name, "eu1-a")).collect();
    native(OWN, "100.64.0.0/16", "10.5.0.0/27", &peers)
}

/// What hidden Shoots are like.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    /// In the way in every respect, and it lists somebody.
    InTheWay,
    /// In the same VPC, with other networks.
    Disjoint,
    /// It lists the writer's Shoot.
    Listing,
    /// On its way out.
    Deleting,
    /// With an overlay, and without peers.
    Elsewhere,
}

const KINDS: [Kind; 5] = [Kind::InTheWay, Kind::Disjoint, Kind::Listing, Kind::Deleting, Kind::Elsewhere];

impl Kind {
    fn facts(self) -> ShootFacts {
        let hidden = |pods, nodes, lists| native("x/x", pods, nodes, &[peer(lists, "eu1-a")]);
        let in_the_way = || hidden("100.64.0.0/16", "10.5.0.0/24", "garden-sales/nobody");
        facts_of(&match self {
            Self::InTheWay => in_the_way(),
            Self::Disjoint => hidden("100.80.0.0/16", "10.9.0.0/24", "garden-sales/nobody"),
            Self::Listing => hidden("100.64.0.0/16", "10.5.0.0/24", OWN),
            Self::Deleting => with(in_the_way(), "/metadata/deletionTimestamp", json!("2026-01-01T00:00:00Z")),
            Self::Elsewhere => shoot("x/x", "10.5.0.0/24", &[]),
        })
    }
}

/// Some hidden Shoots: how many of which kind, in which namespace.
type Crowd = Vec<(&'static str, Kind, usize)>;

/// The name of a hidden Shoot: in front of all others of its namespace.
fn hidden(namespace: &str, i: usize) -> String {
    format!("{namespace}/a{i:05}")
}

/// A garden with those that are seen, and such a crowd; every Shoot in these namespaces is hidden, or would be.
fn garden(seen: &[Value], namespaces: &[&str], crowd: &Crowd) -> Garden {
    let mut garden = Garden::of(seen);
    let shoots = &mut garden.snapshot.shoots;
    for (namespace, kind, count) in crowd {
        let facts = kind.facts();
        for i in 0..*count {
            let (namespace, name) =
                hidden(namespace, i).split_once('/').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
            shoots.put(&ShootName::new(&namespace, &name), facts.clone());
        }
    }
    let most = crowd.iter().map(|(.., count)| *count).max().unwrap_or_default().max(150);
    let names: Vec<String> = namespaces.iter().flat_map(|namespace| (0..most).map(|i| hidden(namespace, i))).collect();
    garden.hiding(&names.iter().map(String::as_str).collect::<Vec<_>>())
}

/// What came of all that a writer can do to a Shoot.
#[derive(Debug, Default, PartialEq)]
struct Told {
    bytes: Vec<Vec<u8>>,
    findings: Vec<String>,
    asked: Vec<Questions>,
}

fn told(garden: &Garden, old: &Value, new: &Value) -> Told {
    let settings = &garden.settings;
    let (mutate, validate) = (MutateShoot::new(settings), ValidateShoot::new(settings));
    let advise = AdviseShoot::new(settings);
    let mut moved = garden.request(Some(old), Some(&with(old.clone(), "/spec/seedName", json!("eu1-b"))));
    moved["subResource"] = json!("binding");
    let (created, updated) = (garden.request(None, Some(new)), garden.request(Some(old), Some(new)));
    let calls: [(&dyn Handler, &Value); 6] = [
        (&mutate, &created),
        (&mutate, &updated),
        (&validate, &created),
        (&validate, &updated),
        (&advise, &garden.request(Some(old), None)),
        (&advise, &moved),
    ];
    let mut told = Told::default();
    for (handler, request) in calls {
        let (verdict, bytes) = garden.call(handler, request);
        told.bytes.push(bytes);
        // Notes are for the log, which is the operators'.
        let told_of = verdict.findings.iter().filter(|finding| finding.severity != Severity::Note);
        told.findings.extend(told_of.map(ToString::to_string));
        told.asked.push(garden.asked.take());
    }
    told
}

/// One row a rule: which hidden Shoots could displace a visible one, what the writer does, and what must be said however
/// many of them there are.
#[test]
fn their_number_displaces_nobody() {
    let grown = |own: Value| with(own, "/spec/networking/nodes", json!("10.5.0.0/26"));
    let lists = own(&[PEER, NEIGHBOUR]);
    let alone = own(&[]);
    for (what, namespace, kind, old, new, said) in [
        (
            "strangers in the VPC, and a Shoot of a peer's project",
            "garden-aa",
            Kind::InTheWay,
            &lists,
            &lists,
            "overlaps Pods of garden-shop/orders (100.64.1.0/24), garden-sales/crm (100.64.2.0/24), and others",
        ),
        (
            "strangers in the VPC, and a neighbour",
            "garden-aa",
            Kind::InTheWay,
            &alone,
            &alone,
            "overlaps Pods of garden-shop/orders (100.64.1.0/24), without",
        ),
        (
            "peering Shoots on the network of a peer's peer",
            "garden-aa",
            Kind::InTheWay,
            &lists,
            &grown(lists.clone()),
            "10.5.0.0/26 overlaps 10.5.0.32/27 of garden-sales/leads, which is a peer of garden-sales/crm too",
        ),
        (
            "peering Shoots on the network of a peer's peer, when the entry comes",
            "garden-aa",
            Kind::InTheWay,
            &alone,
            &lists,
            "node network 10.5.0.0/27 overlaps 10.5.0.0/28 of garden-sales/other, which is a peer of garden-sales/crm too",
        ),
        (
            "strangers that list a Shoot which is deleted",
            "garden-aa",
            Kind::Listing,
            &alone,
            &alone,
            "still listing this Shoot: garden-shop/orders",
        ),
        (
            "strangers that list a Shoot which moves",
            "garden-aa",
            Kind::Listing,
            &alone,
            &alone,
            "listing this Shoot with seed eu1-a: garden-shop/orders",
        ),
    ] {
        let with = |count: usize| told(&garden(&seen(), &[namespace], &vec![(namespace, kind, count)]), old, new);
        let none = with(0);
        assert!(none.findings.iter().any(|finding| finding.contains(said)), "{what}: {none:#?}");
        for count in COUNTS.into_iter().chain([4_095, 4_096, 4_097]) {
            let some = with(count);
            assert_eq!(some.findings, none.findings, "{what}: {count} of them");
            assert!(some == none, "{what}: {count} of them change bytes or questions");
        }
    }
}

/// Who may see some Shoots of the own project only is told of none that were not named, rather than of some.
#[test]
fn hidden_neighbours_count_as_little() {
    let namespace = "garden-shop";
    for kind in KINDS {
        let with = |count: usize| {
            told(&garden(&seen(), &[namespace], &vec![(namespace, kind, count)]), &own(&[]), &own(&[PEER]))
        };
        let none = with(0);
        for count in COUNTS {
            let some = with(count);
            assert_eq!(some.findings, none.findings, "{count} of {kind:?}");
            assert!(some == none, "{count} of {kind:?} change bytes or questions");
        }
    }
}

/// Namespaces in which Shoots are hidden. The writer names some of the last one, so none there agrees to be known.
const HIDDEN: [&str; 3] = ["garden-aa", "garden-zz", "garden-bank"];

fn count() -> impl Strategy<Value = usize> {
    prop::sample::select(COUNTS.to_vec())
}

fn crowd() -> impl Strategy<Value = Crowd> {
    let namespaces = ["garden-aa", "garden-zz", "garden-bank", "garden-shop"];
    let some = (prop::sample::select(namespaces.to_vec()), prop::sample::select(KINDS.to_vec()), count());
    prop::collection::vec(
        some.prop_map(|(namespace, kind, count)| {
            let kind = if namespace == "garden-bank" && kind == Kind::Listing { Kind::InTheWay } else { kind };
            (namespace, kind, count)
        }),
        0..4,
    )
}

/// The writer's Shoot: whom it lists of those that are seen, how many hidden ones, and its networks.
fn any_own() -> impl Strategy<Value = Value> {
    let listed = prop::sample::subsequence(vec![NEIGHBOUR, PEER, THIRD, "garden-sales/nobody"], 0..4);
    let hidden_peers = prop_oneof![3 => Just(0), 1 => count()];
    let pods = prop::sample::select(vec![json!("100.64.0.0/16"), json!("100.80.0.0/16"), Value::Null]);
    let nodes = prop::sample::select(vec!["10.5.0.0/27", "10.5.0.0/26", "10.9.0.0/27"]);
    (listed, hidden_peers, pods, nodes, any::<bool>(), any::<bool>()).prop_map(
        |(listed, hidden_peers, pods, nodes, has_overlay, lacks_seeds)| {
            let hidden_peers: Vec<String> = (0..hidden_peers).map(|i| hidden("garden-bank", i)).collect();
            let listed: Vec<&str> = listed.into_iter().chain(hidden_peers.iter().map(String::as_str)).collect();
            let seed = if lacks_seeds { "" } else { "eu1-a" };
            let peers: Vec<Value> = listed.iter().map(|name| peer(name, seed)).collect();
            let own = native(OWN, "100.64.0.0/16", nodes, &peers);
            let own = with(own, "/spec/networking/pods", pods);
            with(own, "/spec/networking/providerConfig/overlay/enabled", json!(has_overlay))
        },
    )
}

/// Those that are seen: some of the usual ones, one of which lists hidden Shoots, and as many more of the own project.
fn any_seen() -> impl Strategy<Value = Vec<Value>> {
    (prop::sample::subsequence(vec![0, 1, 2, 3], 0..=4), count(), prop_oneof![Just(0), 62usize..66]).prop_map(
        |(usual, hidden_peers, more)| {
            let mut all = seen();
            let peers = all[1].pointer_mut("/spec/extensions/0/providerConfig/shootPeerings").unwrap();
            peers.as_array_mut().unwrap().extend((0..hidden_peers).map(|i| peer(&hidden("garden-bank", i), "eu1-a")));
            let more = (0..more).map(|i| {
                native(&format!("garden-shop/s{i:03}"), "100.80.0.0/16", "10.10.0.0/27", &[peer(OWN, "eu1-a")])
            });
            usual.into_iter().map(|i| all[i].clone()).chain(more).collect()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Hidden Shoots come, go and change, in any number and wherever they are: the same bytes, the same questions.
    #[test]
    fn they_shape_nothing(
        old in any_own(),
        new in any_own(),
        seen in any_seen(),
        (one, other) in (crowd(), crowd()),
        (is_strict, max_peers) in (any::<bool>(), prop::sample::select(vec![100, 2])),
        is_neighbour_hidden in any::<bool>(),
        (is_stale, is_down) in (prop::bool::weighted(0.2), prop::bool::weighted(0.1)),
        is_self_hosted in prop::bool::weighted(0.2),
    ) {
        let with = |crowd: &Crowd| {
            let mut namespaces = HIDDEN.to_vec();
            let mut crowd = crowd.clone();
            if is_neighbour_hidden {
                namespaces.push("garden-shop");
            } else {
                crowd.retain(|(namespace, ..)| *namespace != "garden-shop");
            }
            let mut garden = garden(&seen, &namespaces, &crowd);
            if is_strict {
                garden.settings.policy.set(&crate::overlay::rules::vpc::SHARED_VPC, Some(Severity::Deny));
                garden.settings.policy.set(&peering::rules::graph::PEER_OF_PEER, Some(Severity::Deny));
            }
            if is_self_hosted {
                garden.groups = vec!["gardener.cloud:system:shoots"];
            }
            garden.settings.peering.default_node_networks = vec!["10.5.0.0/28".parse().unwrap()];
            garden.settings.peering.node_prefixes = peering::NodePrefixes::new(27, 28);
            garden.settings.peering.max_peers = max_peers;
            garden.is_down = is_down;
            if is_stale {
                let live = garden.snapshot.shoots.iter();
                garden.live =
                    live.map(|(name, facts)| (name.clone(), Answer::Found(Arc::new(facts.clone())))).collect();
                garden.snapshot = Snapshot::default();
                garden.is_stale = true;
            }
            told(&garden, &old, &new)
        };
        let (one, other) = (with(&one), with(&other));
        prop_assert_eq!(&one.findings, &other.findings);
        prop_assert!(one == other, "other bytes or questions: {:#?}", (one.asked, other.asked));
    }
}

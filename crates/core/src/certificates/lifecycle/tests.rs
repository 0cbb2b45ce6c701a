use proptest::prelude::*;

use super::super::Fingerprint;
use super::super::fixtures::{self, issue};
use super::*;

const HOUR: i64 = 60 * 60;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

/// Thirty hours for a CA, seven for a leaf, and one for the margin.
fn lifetimes() -> Lifetimes {
    let hours = |hours: u64| Duration::from_secs(hours * 60 * 60);
    Lifetimes { ca: hours(30), leaf: hours(7), margin: hours(1) }
}

fn published(name: &str, bundle: &[&Ca]) -> Published {
    let bundle: Vec<Ca> = bundle.iter().map(|ca| (*ca).clone()).collect();
    Published { name: name.to_owned(), is_told: !bundle.is_empty(), bundle }
}

/// The decision, in a few words.
fn said(step: &Step) -> String {
    match step {
        Step::Begin { adopted, at_once } => format!("begin, adopt {}, at once {at_once}", adopted.len()),
        Step::Adopt { adopted, demote } => format!("adopt {}, demote {demote}", adopted.len()),
        Step::Wait { until, waiting } => {
            let hours = until.map(|until| (until.as_second() - at(0).as_second()) / HOUR);
            format!("wait {waiting:?} {hours:?}")
        }
        step => format!("{step:?}"),
    }
}

#[test]
fn goes_through_a_rotation() {
    let lifetimes = lifetimes();
    let mut material: Option<Material> = None;
    let mut configuration = published("seed", &[]);
    let mut story = Vec::new();
    // The hours of the leader's turns, and what it does about the configuration before the next turn.
    for (hour, publishes) in [
        (0, true),
        (1, true),
        (19, true),
        (20, false),
        (20, false),
        (20, true),
        (20, true),
        (20, false),
        (20, true),
        (21, true),
        (22, true),
        (27, true),
        (28, true),
        (28, false),
        (28, true),
        (28, true),
        (29, true),
    ] {
        let now = at(hour * HOUR);
        if publishes && let Some(material) = &material {
            configuration.bundle = material.bundle(now).into_iter().cloned().collect();
        } else if !publishes && hour == 20 && story.len() == 7 {
            configuration.bundle.pop();
        }
        configuration.is_told = !configuration.bundle.is_empty();
        let step = next_step(material.as_ref(), std::slice::from_ref(&configuration), now, &lifetimes);
        story.push(format!("{hour} h: {}", said(&step)));
        material = carried_out(step, material.as_ref(), now, &lifetimes, issue).unwrap().or(material);
    }
    insta::assert_snapshot!(story.join("\n"));
}

#[test]
fn decides_what_is_next() {
    let lifetimes = lifetimes();
    let pair = |hour: i64| issue(at(hour * HOUR), lifetimes.ca).unwrap();
    let (one, two, foreign) = (pair(0), pair(20), pair(0));
    let first = Material::first(one.clone());
    let rotating = |published_at: Option<i64>| Material {
        next: Some(Next { pair: two.clone(), published_at: published_at.map(|hour| at(hour * HOUR)) }),
        ..first.clone()
    };
    let retiring = |until: Option<i64>| Material {
        retired: vec![one.ca.clone()],
        retired_until: until.map(|hour| at(hour * HOUR)),
        ..Material::first(two.clone())
    };
    let lost = Material { signing: None, ..rotating(None) };
    let stranger = Material { confirmed: None, ..first.clone() };
    let (a, b, both) = ([&one.ca], [&two.ca], [&one.ca, &two.ca]);
    let (with_foreign, only_foreign) = ([&one.ca, &foreign.ca], [&foreign.ca]);
    let rows: Vec<(&str, Option<Material>, Vec<&[&Ca]>, i64, &str)> = vec![
        ("nothing at all", None, vec![], 0, "begin, adopt 0, at once true"),
        ("no bundle yet", None, vec![&[]], 0, "begin, adopt 0, at once true"),
        ("a Secret that is lost", None, vec![&a, &both], 21, "begin, adopt 2, at once false"),
        ("an expired CA is not adopted", None, vec![&a], 31, "begin, adopt 0, at once false"),
        ("nothing to do", Some(first.clone()), vec![&a], 1, "wait Renewal Some(20)"),
        ("not registered", Some(first.clone()), vec![], 1, "wait Renewal Some(20)"),
        ("somebody emptied a bundle", Some(first.clone()), vec![&[]], 1, "wait Renewal Some(20)"),
        ("two thirds have passed", Some(first.clone()), vec![&a], 20, "Issue(Due)"),
        ("requested", Some(Material { rotation_requested: true, ..first.clone() }), vec![&a], 1, "Issue(Asked)"),
        (
            "requested while the next one is waiting",
            Some(Material { rotation_requested: true, ..rotating(Some(20)) }),
            vec![&both],
            21,
            "Issue(Asked)",
        ),
        ("of unknown origin, and trusted", Some(stranger.clone()), vec![&a, &a], 1, "ConfirmTrust"),
        ("of unknown origin, and no bundle", Some(stranger.clone()), vec![&[]], 1, "ConfirmTrust"),
        ("of unknown origin, and not registered", Some(stranger.clone()), vec![], 1, "ConfirmTrust"),
        (
            "of unknown origin, and one does not trust it",
            Some(Material { retired: vec![two.ca.clone()], ..stranger.clone() }),
            vec![&a, &b],
            1,
            "adopt 0, demote true",
        ),
        ("expired", Some(first.clone()), vec![&a], 31, "Issue(NotValid)"),
        ("from the future", Some(first.clone()), vec![&a], -1, "Issue(NotValid)"),
        ("a foreign CA beside the own one", Some(first.clone()), vec![&with_foreign], 1, "adopt 1, demote false"),
        ("a foreign CA instead of the own one", Some(first.clone()), vec![&only_foreign], 1, "adopt 1, demote true"),
        (
            "instead of the own one, in one configuration",
            Some(first.clone()),
            vec![&only_foreign, &a],
            1,
            "adopt 1, demote false",
        ),
        ("missing in one", Some(rotating(None)), vec![&both, &a], 20, r#"wait Publication(["1"]) None"#),
        ("missing in all", Some(rotating(None)), vec![&[], &a], 20, r#"wait Publication(["0", "1"]) None"#),
        ("published", Some(rotating(None)), vec![&both, &both], 20, "Announce"),
        ("no configuration", Some(rotating(None)), vec![], 20, "Announce"),
        ("taken back", Some(rotating(Some(20))), vec![&both, &a], 20, "Recall"),
        ("in the margin", Some(rotating(Some(20))), vec![&both], 20, "wait Margin Some(21)"),
        ("after the margin", Some(rotating(Some(20))), vec![&both], 21, "Switch"),
        ("published in the future", Some(rotating(Some(25))), vec![&both], 21, "Announce"),
        ("the next one is old", Some(rotating(Some(20))), vec![&both], 40, "Issue(NextIsOld)"),
        ("the next one is from the future", Some(rotating(None)), vec![&both], 19, "Issue(NextIsOld)"),
        ("lost, and not published", Some(lost.clone()), vec![&a], 20, "adopt 1, demote false"),
        ("lost, and published", Some(Material { retired: vec![one.ca.clone()], ..lost }), vec![&both], 20, "Announce"),
        ("leaves of the old one", Some(retiring(Some(28))), vec![&both], 21, "wait LastLeaf Some(28)"),
        ("no leaf is left", Some(retiring(Some(28))), vec![&b, &both], 28, r#"wait Withdrawal(["1"]) Some(40)"#),
        ("taken out", Some(retiring(Some(28))), vec![&b, &b], 28, "Retire"),
        ("unknown since when", Some(retiring(None)), vec![&both], 21, "adopt 0, demote false"),
    ];
    for (name, material, bundles, hour, want) in rows {
        let published: Vec<Published> = (0..).zip(bundles).map(|(i, ca)| published(&i.to_string(), ca)).collect();
        let now = at(hour * HOUR);
        let step = next_step(material.as_ref(), &published, now, &lifetimes);
        assert_eq!(said(&step), want, "{name}");
        // The same step is not due a second time.
        if let Some(next) = carried_out(step.clone(), material.as_ref(), now, &lifetimes, issue).unwrap() {
            assert_ne!(said(&next_step(Some(&next), &published, now, &lifetimes)), want, "{name}: again");
        }
    }
}

#[test]
fn a_replica_knows_when_its_leaf_is_due() {
    let lifetimes = lifetimes();
    let (one, two) = (issue(at(0), lifetimes.ca).unwrap(), issue(at(20 * HOUR), lifetimes.ca).unwrap());
    let names = ["guard.example".to_owned()];
    let leaf = |pair: &CaPair, hour: i64| fixtures::leaf(pair, &names, at(hour * HOUR), lifetimes.leaf);
    let first = Material::first(one.clone());
    let switched = Material { retired: vec![one.ca.clone()], ..Material::first(two.clone()) };
    let foreign = Material::first(two.clone());
    let lost =
        Material { retired: vec![one.ca.clone()], ..Material::waiting(Some(Next { pair: two, published_at: None })) };
    let stranger = Material { confirmed: None, ..first.clone() };
    for (name, current, material, hour, want) in [
        ("none yet, and the leader has not confirmed", None, &stranger, 1, false),
        ("the leader has not confirmed", Some(leaf(&one, 0)), &stranger, 5, false),
        ("none yet", None, &first, 0, true),
        ("none yet, and the CA is from the future", None, &first, -1, false),
        ("none yet, and the CA has expired", None, &first, 31, false),
        ("none yet, and nothing may sign", None, &lost, 21, false),
        ("a new one", Some(leaf(&one, 0)), &first, 1, false),
        ("two thirds have passed", Some(leaf(&one, 0)), &first, 5, true),
        ("it cannot last longer than its CA", Some(leaf(&one, 27)), &first, 29, false),
        ("another CA signs now", Some(leaf(&one, 19)), &switched, 21, true),
        ("nothing may sign", Some(leaf(&one, 19)), &lost, 21, false),
        ("a Secret of somebody else", Some(leaf(&one, 19)), &foreign, 21, false),
        ("a Secret of somebody else, and no time left", Some(leaf(&one, 19)), &foreign, 26, true),
        ("from the future", Some(leaf(&one, 3)), &first, 1, true),
    ] {
        let now = at(hour * HOUR);
        assert_eq!(is_leaf_due(current.as_ref(), material, &names, now, Duration::ZERO), want, "{name}");
    }
    let other = ["other.example".to_owned()];
    assert!(is_leaf_due(Some(&leaf(&one, 0)), &first, &other, at(HOUR), Duration::ZERO), "other names");
    // A Secret that has not known the issuer for long is the current one.
    let unknown_issuer =
        |seconds| is_leaf_due(Some(&leaf(&one, 19)), &foreign, &names, at(21 * HOUR), Duration::from_secs(seconds));
    assert!(!unknown_issuer(59) && unknown_issuer(60));
}

// === A world of replicas and API servers ===

/// What may happen to it.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// Time passes, in minutes.
    Pass(i64),
    /// The leader reads everything and takes a step.
    Lead,
    /// The leader brings the configurations up to date.
    Publish,
    /// A replica reads the Secret.
    Read(usize),
    /// A replica restarts, without a leaf.
    Restart(usize),
    /// The Secret is deleted.
    Delete,
    /// The Secret is replaced by an older one.
    Restore,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => (1_i64..=20).prop_map(Event::Pass),
        1 => (60_i64..=300).prop_map(Event::Pass),
        6 => Just(Event::Lead),
        6 => Just(Event::Publish),
        4 => (0_usize..3).prop_map(Event::Read),
        1 => (0_usize..3).prop_map(Event::Restart),
        1 => Just(Event::Delete),
        1 => Just(Event::Restore),
    ]
}

#[derive(Default)]
struct World {
    minute: i64,
    secret: Option<Material>,
    backup: Option<Material>,
    configuration: Vec<Ca>,
    /// What API servers trust: the configuration of some minutes ago.
    history: Vec<(i64, Vec<Ca>)>,
    leaves: [Option<Leaf>; 3],
}

/// API servers receive a new configuration within this time, less than the margin. In minutes.
const LAG: i64 = 30;

impl World {
    fn now(&self) -> Timestamp {
        at(self.minute * 60)
    }

    /// The bundles that some API server may use at this moment.
    fn believed(&self) -> impl Iterator<Item = &Vec<Ca>> {
        let first = self.history.iter().rposition(|(minute, _)| *minute <= self.minute - LAG).unwrap_or(0);
        self.history[first..].iter().map(|(_, bundle)| bundle)
    }

    fn happens(&mut self, event: Event, lifetimes: &Lifetimes) {
        let now = self.now();
        match event {
            Event::Pass(minutes) => self.minute += minutes,
            Event::Lead => {
                let published = [published("seed", &self.configuration.iter().collect::<Vec<_>>())];
                let registered = if self.history.is_empty() { &[][..] } else { &published };
                let step = next_step(self.secret.as_ref(), registered, now, lifetimes);
                if let Some(next) = carried_out(step, self.secret.as_ref(), now, lifetimes, issue).unwrap() {
                    self.backup = self.secret.replace(next);
                }
            }
            Event::Publish => {
                // Like the leader, who publishes only when no step is due that changes the Secret.
                let published = [published("seed", &self.configuration.iter().collect::<Vec<_>>())];
                let registered = if self.history.is_empty() { &[][..] } else { &published };
                let step = next_step(self.secret.as_ref(), registered, now, lifetimes);
                // The webhook is registered only when a replica serves.
                let serves = !self.history.is_empty() || self.leaves.iter().any(Option::is_some);
                if let (Some(material), Step::Wait { .. }, true) = (&self.secret, step, serves) {
                    self.configuration = material.bundle(now).into_iter().cloned().collect();
                    self.history.push((self.minute, self.configuration.clone()));
                }
            }
            Event::Read(i) => {
                let names = ["guard".to_owned()];
                let Some(material) = &self.secret else { return };
                if is_leaf_due(self.leaves[i].as_ref(), material, &names, now, Duration::ZERO) {
                    let signing = material.signing.as_ref().unwrap();
                    self.leaves[i] = Some(fixtures::leaf(signing, &names, now, lifetimes.leaf));
                }
            }
            Event::Restart(i) => self.leaves[i] = None,
            Event::Delete => self.secret = None,
            // It does not have what the leader recorded later.
            Event::Restore => {
                self.secret = self.backup.clone().map(|backup| Material { confirmed: None, ..backup });
            }
        }
    }

    /// The replica that serves a valid leaf that some API server does not trust, if there is one.
    fn broken(&self) -> Option<(usize, Fingerprint)> {
        let now = self.now();
        let leaves = self.leaves.iter().enumerate().filter_map(|(i, leaf)| Some((i, leaf.as_ref()?)));
        let valid = leaves.filter(|(_, leaf)| now <= leaf.not_after);
        let mut unbelieved = valid.filter(|(_, leaf)| {
            let believes = |bundle: &Vec<Ca>| bundle.iter().any(|ca| ca.fingerprint == leaf.issuer);
            self.believed().any(|bundle| !believes(bundle))
        });
        unbelieved.next().map(|(i, leaf)| (i, leaf.issuer))
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Whatever happens in whatever order: no replica serves a valid leaf that an API server does not trust.
    #[test]
    fn what_is_served_is_trusted(events in prop::collection::vec(event(), 1..250)) {
        let lifetimes = lifetimes();
        let mut world = World::default();
        for event in [Event::Lead, Event::Read(0), Event::Publish].into_iter().chain(events) {
            world.happens(event, &lifetimes);
            prop_assert!(world.broken().is_none(), "after {event:?} in minute {}: {:?}", world.minute, world.broken());
        }
    }

    /// After any events: when leader and replicas work again, everything is consistent within one rotation.
    #[test]
    fn it_settles(events in prop::collection::vec(event(), 1..80)) {
        let lifetimes = lifetimes();
        let mut world = World::default();
        for event in events {
            world.happens(event, &lifetimes);
        }
        for _ in 0..400 {
            for event in [Event::Pass(10), Event::Lead, Event::Publish, Event::Read(0), Event::Read(1), Event::Read(2)] {
                world.happens(event, &lifetimes);
            }
        }
        let now = world.now();
        prop_assert!(world.leaves.iter().flatten().all(|leaf| now < leaf.not_after));
        prop_assert!(world.leaves.iter().all(Option::is_some));
        prop_assert!(world.broken().is_none());
        prop_assert!(world.configuration.len() <= 3, "{:?}", world.configuration);
    }
}

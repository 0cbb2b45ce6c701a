//! Watches in trouble: once it is over, what is known is the truth; and while it lasts nothing is accepted by what is out
//! of date.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use serde_json::json;
use tokio::runtime::Runtime;

use super::{CLUSTERS, Heart, cluster, namespace, runtime};
use crate::harness::{Api, ControlPlane, Decision, Fault, Faults, Replica, eventually, truth, until};
use crate::restarts::is_soak;

/// How long a silent landscape is trusted here.
const STALE: Duration = Duration::from_secs(2);

struct Case {
    name: &'static str,
    fault: Fault,
    faults: Faults,
    replica: Replica,
    /// Wrong decisions by what was known before it was too old, and while it was.
    young: usize,
    old: usize,
    refused: usize,
    right: usize,
    /// Rounds of decisions in which it knew that what it knows is too old.
    rounds_old: usize,
}

fn start(runtime: &Arc<Runtime>, control_plane: &ControlPlane, all: bool) -> (Faults, Replica) {
    let upstream = super::client(runtime, &control_plane.kubeconfig("network-guard", "webhooks"));
    let faults = Faults::start(runtime, upstream, if all { "" } else { "/clusters" });
    let replica = Replica::start(runtime, &faults, STALE);
    (faults, replica)
}

/// What is decided about each Shoot when everything is known.
fn wanted(overlaps: &BTreeMap<usize, bool>, shoot: usize) -> Decision {
    match overlaps.get(&shoot) {
        None => Decision::Refused,
        Some(true) => Decision::Injected,
        Some(false) => Decision::Untouched,
    }
}

#[test]
fn every_fault_ends_in_the_truth_and_accepts_nothing_wrong() {
    let runtime = runtime();
    let control_plane = ControlPlane::start();
    let api = Api::new(&control_plane.kubeconfig("admin", "system:masters"));
    let mut overlaps: BTreeMap<usize, bool> = (0..6).map(|shoot| (shoot, shoot % 2 == 0)).collect();
    for (shoot, overlap) in &overlaps {
        api.apply(CLUSTERS, &cluster(*shoot, *overlap));
    }

    let _heart = Heart::start(&control_plane.kubeconfig("admin", "system:masters"));
    let json = "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":5}}}\n";
    let rows = [
        ("410 in answer", Fault::Status(410), false),
        ("410 as an event", Fault::ErrorEvent(410), false),
        ("500 as an event", Fault::ErrorEvent(500), false),
        ("429", Fault::RetryAfter(429), false),
        ("500", Fault::Status(500), false),
        ("503", Fault::Status(503), false),
        ("403", Fault::Status(403), false),
        ("garbage", Fault::Bytes("garbage \u{1}\u{2}\n"), false),
        ("JSON of another shape", Fault::Bytes(json), false),
        ("half a line", Fault::Bytes("{\"type\":\"ADD"), false),
        ("cut", Fault::Cut, false),
        ("ends at once", Fault::Ends, false),
        ("no answer", Fault::Silent, false),
        ("no event", Fault::Mute, false),
        ("no answer to anything", Fault::Silent, true),
        ("503 to everything", Fault::Status(503), true),
        ("slow", Fault::Slow(Duration::from_millis(100)), false),
    ];
    let mut cases: Vec<Case> = rows
        .into_iter()
        .map(|(name, fault, all)| {
            let (faults, replica) = start(&runtime, &control_plane, all);
            Case { name, fault, faults, replica, young: 0, old: 0, refused: 0, right: 0, rounds_old: 0 }
        })
        .collect();
    let known = truth(&api.list(CLUSTERS));
    for case in &cases {
        until(case.name, || case.replica.knows(&known));
    }

    // The trouble begins, and everything changes.
    let before: Vec<usize> = cases.iter().map(|case| case.faults.requests()).collect();
    for case in &cases {
        case.faults.set(case.fault.clone());
    }
    let begun = Instant::now();
    for shoot in 0..4 {
        overlaps.insert(shoot, shoot % 2 == 1);
        api.apply(CLUSTERS, &cluster(shoot, shoot % 2 == 1));
    }
    api.delete(&format!("{CLUSTERS}/{}", namespace(4)));
    overlaps.remove(&4);
    overlaps.insert(6, true);
    api.apply(CLUSTERS, &cluster(6, true));

    // Decisions about all of them, all the time, until well after each knows that it knows nothing.
    // Each round takes as long as the one who waits in vain for an answer, and longer on a busy machine.
    while !cases.iter().all(|case| matches!(case.fault, Fault::Slow(_)) || case.rounds_old >= 20) {
        runtime.block_on(join_all(cases.iter_mut().map(|case| decide_all(case, &overlaps))));
        let rounds: Vec<_> = cases.iter().map(|case| (case.name, case.rounds_old)).collect();
        assert!(
            begun.elapsed() < Duration::from_secs(10 * 60),
            "not every one knows that it knows nothing: {rounds:?}"
        );
    }
    let lasted = begun.elapsed();
    for (case, before) in cases.iter().zip(before) {
        let Case { name, young, old, refused, right, .. } = case;
        let requests = case.faults.requests() - before;
        say!(
            "figure: watch: {name}: {right} right, {refused} refused, {young} out of date before {STALE:?}, \
             {old} after; {requests} requests in {lasted:.1?}"
        );
        assert_eq!(*old, 0, "{name}: accepted by what is out of date");
        assert!(matches!(case.fault, Fault::Slow(_)) || case.replica.landscape.is_stale(), "{name}: it does not know");
        // Half a second between two beginnings, and now and then a list and a watch that follows it.
        let most = 10 + 4 * usize::try_from(lasted.as_secs()).unwrap();
        assert!(requests < most, "{name}: {requests} requests in {lasted:.1?}: asked without any pause");
        // Where single objects can be read, decisions go on.
        assert!(*right > 0, "{name}: nothing was decided");
    }

    // It ends.
    let ended = Instant::now();
    for case in &cases {
        case.faults.set(Fault::Pass);
    }
    let known = truth(&api.list(CLUSTERS));
    let mut open: Vec<&Case> = cases.iter().collect();
    while !open.is_empty() {
        open.retain(|case| {
            let is_settled = case.replica.knows(&known);
            if is_settled {
                say!("figure: watch: {}: the truth again after {:.1?}", case.name, ended.elapsed());
            }
            !is_settled
        });
        let names: Vec<_> = open.iter().map(|case| case.name).collect();
        assert!(ended.elapsed() < Duration::from_secs(180), "not the truth: {names:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
    // All at once: on a busy machine an answer may come too late for one of them.
    loop {
        for case in &mut cases {
            (case.young, case.right) = (0, 0);
        }
        runtime.block_on(join_all(cases.iter_mut().map(|case| decide_all(case, &overlaps))));
        let decided: Vec<_> = cases.iter().map(|case| (case.name, case.young, case.right)).collect();
        assert!(decided.iter().all(|(_, young, _)| *young == 0), "{decided:?}");
        if decided.iter().all(|(_, _, right)| *right == 7) {
            break;
        }
        assert!(ended.elapsed() < Duration::from_secs(10 * 60), "{decided:?}");
    }
}

async fn decide_all(case: &mut Case, overlaps: &BTreeMap<usize, bool>) {
    let landscape = &case.replica.landscape;
    let (was_old, age, begun) = (landscape.is_stale(), landscape.age(), Instant::now());
    let decisions = (0..7).map(async |shoot| (shoot, case.replica.decide(&namespace(shoot)).await));
    let decisions = join_all(decisions).await;
    // A heartbeat may have come in between, and it may be too old again by now: on a busy machine a call takes that long.
    let is_old = was_old && begun.elapsed() + age <= landscape.age();
    case.rounds_old += usize::from(is_old);
    for (shoot, decision) in decisions {
        if decision == wanted(overlaps, shoot) {
            case.right += 1;
        } else if decision == Decision::Refused {
            case.refused += 1;
        } else if is_old {
            case.old += 1;
        } else {
            case.young += 1;
        }
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
}

/// The real API server ends and begins, objects change while nobody watches, and etcd forgets how: what was watched is
/// gone, and everything is listed again.
#[test]
fn api_servers_come_and_go_soak() {
    let runtime = runtime();
    let mut control_plane = ControlPlane::start();
    let admin = control_plane.kubeconfig("admin", "system:masters");
    let api = Api::new(&admin);
    for shoot in [0, 1, 2, 5] {
        api.apply(CLUSTERS, &cluster(shoot, true));
    }
    let _heart = Heart::start(&admin);
    let (faults, replica) = start(&runtime, &control_plane, false);
    let known = truth(&api.list(CLUSTERS));
    until("it is read", || replica.knows(&known));

    let rounds = if is_soak() { 50 } else { 3 };
    let (mut gone, mut longest) = (0, Duration::ZERO);
    for round in 0..rounds {
        // Every other time it sees all of it, and every other time it misses changes.
        let misses = round % 2 == 0;
        if misses {
            faults.set(Fault::Status(503));
            for shoot in 0..3 {
                api.apply(CLUSTERS, &cluster(shoot, (round + shoot) % 2 == 0));
            }
            api.apply(CLUSTERS, &cluster(10 + round, true));
            compact(&control_plane, &api);
        }
        control_plane.stop_api_server();
        control_plane.start_api_server();
        let up = Instant::now();
        let api = Api::new(&admin);
        if !misses {
            api.delete(&format!("{CLUSTERS}/{}", namespace(10 + round - 1)));
        }
        let before = faults.gone();
        faults.set(Fault::Pass);
        let known = truth(&api.list(CLUSTERS));
        eventually("the truth", || {
            replica.knows(&known).then_some(()).ok_or_else(|| format!("{:?}", replica.landscape.snapshot()))
        });
        longest = longest.max(up.elapsed());
        gone += faults.gone() - before;
    }
    say!(
        "figure: API server restarted {rounds} times: the truth again at most {longest:.1?} after each; \
         {gone} watches were gone"
    );
    assert!(gone > 0, "nothing was ever gone");
}

/// Makes etcd forget every revision but the last.
fn compact(control_plane: &ControlPlane, api: &Api) {
    let revision = api.get(&format!("{CLUSTERS}?limit=1")).unwrap()["metadata"]["resourceVersion"].clone();
    let body = json!({"revision": revision, "physical": true}).to_string();
    let output = std::process::Command::new("curl")
        .args(["-sS", "--fail", "-d", &body, &format!("{}/v3/kv/compaction", control_plane.etcd_url())])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}

//! Restarts and rotations that nobody notices: callers and writers that never stop, and not one call that fails.

#![allow(clippy::print_stdout, reason = "figures are for people, and a long run says where it is")]

mod mounted;
mod replicas;
mod self_managed;

use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use self::mounted::Mounted;
use self::replicas::Replicas;
use self::self_managed::SelfManaged;
use crate::harness::{Caller, CallerReport, ControlPlane, Guard, fixture, until};

/// The configuration of the webhooks, and the one of them that is called.
const CONFIGURATION: &str = "gardener-extension-network-guard";
const WEBHOOK: &str = "kube-apiserver.network-guard.extensions.gardener.cloud";

const WRITERS: usize = 4;

/// Endpoints take 1 s here, and longer on a busy machine, but not as long as this. What is waited for idle connections is as
/// it is by default: API servers keep them for 90 s here too.
const SERVER: &str = "server: {stopPropagationSeconds: 20}\n";
/// All as it is by default, in a run that is long anyway.
const DEFAULT_SERVER: &str = "server: {}\n";

/// Tests with a long version have `soak` in their names, by which `make soak` finds them.
pub fn is_soak() -> bool {
    std::env::var_os("NETWORK_GUARD_SOAK").is_some()
}

#[test]
fn nobody_notices_restarts_and_rotations_soak() {
    // What it has in common with self-managed certificates is seen there.
    let rounds = if is_soak() { 100 } else { 1 };
    let mut control_plane = ControlPlane::start();
    let namespaces = clusters(&control_plane);
    let mut mounted = Mounted::start(&control_plane, if is_soak() { DEFAULT_SERVER } else { SERVER });
    let mut traffic = Traffic::start(&control_plane, &namespaces);

    let begun = Instant::now();
    for round in 1..=rounds {
        mounted.replicas.replace();
        mounted.rotate_leaf();
        mounted.rotate_ca(&traffic.caller);
        traffic.assert_fine(round, begun, &mounted.replicas);
    }
    // And one that is the last: nothing comes after it but calls.
    mounted.replicas.replace();
    traffic.goes_on();
    let what = format!("{} restarts, {rounds} leaf and {rounds} CA rotations", rounds + 1);
    traffic.end(&what, rounds, begun, &mounted.replicas);

    // Who has no caller left goes, long before the time for idle connections is up. The API server keeps its own.
    control_plane.stop_api_server();
    until("all have gone", || {
        mounted.replicas.see_off();
        mounted.replicas.leaving() == 0
    });
}

/// The same with the server's own certificates: the leader rotates, and any replica is replaced at any time.
#[test]
fn nobody_notices_restarts_and_own_rotations_soak() {
    let (rounds, server) = if is_soak() { (100, DEFAULT_SERVER) } else { (3, SERVER) };
    let control_plane = ControlPlane::start();
    let namespaces = clusters(&control_plane);
    let mut own = SelfManaged::start(&control_plane, if is_soak() { 3 } else { 2 }, server);
    let mut traffic = Traffic::start(&control_plane, &namespaces);

    let (begun, mut leaders, mut without_leader) = (Instant::now(), 0, Duration::ZERO);
    for round in 1..=rounds {
        let old = own.begin_rotation();
        if round % 2 == 1 {
            // What one has begun, another one ends.
            without_leader = without_leader.max(own.replace_leader());
            leaders += 1;
        } else {
            own.replicas.replace();
        }
        own.end_rotation(&old);
        // Also without a new CA: in a short run once.
        let due = if is_soak() { usize::try_from(round).unwrap() } else { usize::from(round == rounds) };
        until("a leaf is renewed by the clock", || own.renewed().by_the_clock >= due);
        own.assert_fresh();
        traffic.assert_fine(round, begun, &own.replicas);
    }
    let renewed = own.renewed();
    let what = format!(
        "{rounds} restarts, {leaders} of them of the leader ({without_leader:?} without one at most), {rounds} rotations \
         of the own CA, {} own leaves renewed by the clock and {} for a new CA",
        renewed.by_the_clock, renewed.by_ca
    );
    traffic.end(&what, rounds, begun, &own.replicas);
}

/// Calls that are on their way to a leader that is killed may fail; its rotation goes on.
#[test]
fn a_rotation_outlives_its_leader() {
    let control_plane = ControlPlane::start();
    let namespaces = clusters(&control_plane);
    let mut own = SelfManaged::start(&control_plane, 2, SERVER);
    let mut traffic = Traffic::start(&control_plane, &namespaces);
    let leader = own.leader();
    let old = own.begin_rotation();
    let dead = own.replicas.kill_at(leader);
    let killed = Instant::now();
    // At once: as soon as its Lease has run out, another one goes on.
    assert!(!own.is_rotated(&old), "it was in the middle of it");
    own.replicas.make_up_for(&dead);
    until("there are two again", || own.replicas.all_known());
    traffic.goes_on();
    let at_the_kill = traffic.failed();

    own.end_rotation(&old);
    let rotated = killed.elapsed();
    // Leaves of the new CA, and calls to them.
    until("leaves of the new CA are served", || own.renewed().by_ca >= 2);
    traffic.goes_on();
    let failed = traffic.failed();
    say!("figure: leader killed in a rotation, which ended {rotated:?} later: {failed:?} calls and writes failed");
    assert_eq!(failed, at_the_kill, "what failed, failed at the kill: {:?}", traffic.caller.report());
}

/// Callers and writers that never stop.
struct Traffic {
    caller: Caller,
    gardenlets: Caller,
}

impl Traffic {
    fn start(control_plane: &ControlPlane, namespaces: &[String]) -> Self {
        let caller = call(control_plane, &[("workers", "16"), ("pause", "20ms")]);
        Self { caller, gardenlets: write(control_plane, namespaces) }
    }

    /// Ends when there were many more of both.
    fn goes_on(&mut self) {
        let counts = |traffic: &mut Self| (traffic.caller.report().calls, traffic.gardenlets.report().calls);
        let before = counts(self);
        until("calls and writes go on", || {
            let now = counts(self);
            now.0 >= before.0 + 500 && now.1 >= before.1 + 50
        });
    }

    /// How many calls and writes failed.
    fn failed(&mut self) -> (u64, u64) {
        (self.caller.report().failed, self.gardenlets.report().failed)
    }

    /// Nothing failed. A long run says where it is.
    fn assert_fine(&mut self, round: u64, begun: Instant, replicas: &Replicas) {
        let (calls, writes) = (self.caller.report(), self.gardenlets.report());
        if round.is_multiple_of(10) {
            say!(
                "{round} rounds in {:?}: {} calls, {} failed; {} writes, {} failed; {} replicas on their way out",
                begun.elapsed(),
                calls.calls,
                calls.failed,
                writes.calls,
                writes.failed,
                replicas.leaving()
            );
        }
        let slowest = replicas.balancer.slowest();
        assert_eq!((calls.failed, writes.failed), (0, 0), "{round}, news took {slowest:?}: {calls:?} {writes:?}");
    }

    /// Ends all, and prints what happened, none of which is a failure.
    fn end(self, what: &str, rounds: u64, begun: Instant, replicas: &Replicas) {
        let (calls, writes) = (self.caller.finish(), self.gardenlets.finish());
        say!(
            "figure: {what} in {:?}, news took {:?} at most: {}; through kube-apiserver: {}",
            begun.elapsed(),
            replicas.balancer.slowest(),
            figures(&calls),
            figures(&writes),
        );
        assert_eq!((calls.failed, writes.failed), (0, 0), "{calls:?} {writes:?}");
        assert!(calls.calls > 100 * rounds && writes.calls > 10 * rounds, "{calls:?} {writes:?}");
    }
}

/// The same instruments see it when something is not as it should be.
#[test]
fn what_is_wrong_is_noticed() {
    let control_plane = ControlPlane::start();
    clusters(&control_plane);
    let mut mounted = Mounted::start(&control_plane, SERVER);

    let mut caller = call(&control_plane, &[("workers", "16"), ("pause", "20ms")]);
    until("calls are made", || caller.report().calls > 100);
    assert_eq!(caller.report().failed, 0);
    mounted.replicas.kill();
    until("a replica that is killed costs calls", || caller.report().failed > 0);
    until("there are two again", || mounted.replicas.all_known());
    say!("figure: one replica killed: {}", figures(&caller.finish()));

    let mut caller = call(&control_plane, &[("workers", "16"), ("pause", "20ms")]);
    until("calls are made", || caller.report().calls > 100);
    assert_eq!(caller.report().failed, 0);
    // Connections that are there stay as they are, so something has to end them.
    mounted.mount_leaf_of_unknown_issuer();
    mounted.replicas.replace();
    until("a leaf whose CA was not published costs calls", || {
        caller.report().failures.unwrap_or_default().iter().any(|text| text.contains("unknown authority"))
    });
}

/// Calls with pauses around the time for which an API server keeps a connection.
#[test]
fn pauses_around_the_pool_time_soak() {
    if !is_soak() {
        say!("skipped: pauses of real length take minutes; make soak has them");
        return;
    }
    let control_plane = ControlPlane::start();
    clusters(&control_plane);
    let guard = Guard::start(&control_plane);
    guard.register(&control_plane);
    // Not more than the connections that are kept.
    let start = |spacing: &str| call(&control_plane, &[("workers", "25"), ("spacing", spacing)]);
    let spacings = ["29s", "31s", "60s", "89s", "89900ms", "90s", "91s", "119s", "120s", "121s"];
    let mut callers: Vec<(&str, Caller)> = Vec::new();
    for spacing in spacings {
        callers.push((spacing, start(spacing)));
        // Not all of them call at the same moment.
        thread::sleep(Duration::from_secs(3));
    }
    thread::sleep(Duration::from_secs(5 * 60 + 30));
    for (spacing, caller) in callers {
        let report = caller.finish();
        say!("figure: calls each {spacing}: {}", figures(&report));
        assert_eq!(report.failed, 0, "{spacing}: {report:?}");
        assert!(report.calls >= 75, "{spacing}: {report:?}");
    }
}

/// Clusters of Shoots that overlap their Seed: the one that calls are about, and one for each writer.
fn clusters(control_plane: &ControlPlane) -> Vec<String> {
    let mut cluster = fixture("ha", "cluster");
    cluster["spec"]["seed"]["spec"]["networks"]["pods"] = json!("10.0.0.0/8");
    control_plane.apply_cluster(&cluster);
    let namespaces: Vec<String> = (1..=WRITERS).map(|number| format!("shoot--local--w{number}")).collect();
    for namespace in &namespaces {
        cluster["metadata"]["name"] = json!(namespace);
        control_plane.apply_cluster(&cluster);
    }
    namespaces
}

fn call(control_plane: &ControlPlane, further: &[(&str, &str)]) -> Caller {
    let kubeconfig = control_plane.kubeconfig("admin", "system:masters").display().to_string();
    let review = format!("{}/tests/fixtures/reviews/create.json", env!("CARGO_MANIFEST_DIR"));
    let arguments: [(&str, &str); 4] =
        [("kubeconfig", &kubeconfig), ("name", CONFIGURATION), ("webhook", WEBHOOK), ("review", &review)];
    Caller::start("call", &[&arguments, further].concat())
}

fn write(control_plane: &ControlPlane, namespaces: &[String]) -> Caller {
    let kubeconfig = control_plane.kubeconfig("gardenlet", "gardenlets").display().to_string();
    let deployment = format!("{}/tests/fixtures/gardener/ha/deployment.json", env!("CARGO_MANIFEST_DIR"));
    let namespaces = namespaces.join(",");
    let arguments: [(&str, &str); 4] =
        [("kubeconfig", &kubeconfig), ("deployment", &deployment), ("namespaces", &namespaces), ("pause", "20ms")];
    Caller::start("write", &arguments)
}

fn figures(report: &CallerReport) -> String {
    // Those of a writer are the API server's.
    let connections = if report.dialled == 0 { String::new() } else { format!(" {} connections,", report.dialled) };
    format!(
        "{} calls, {} failed,{connections} {:.1} ms p50, {:.1} ms p99, {:.0} ms at most",
        report.calls, report.failed, report.p50_milliseconds, report.p99_milliseconds, report.max_milliseconds
    )
}

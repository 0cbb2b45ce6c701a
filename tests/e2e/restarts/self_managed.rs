//! Replicas that issue their certificates themselves, and register where they are.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::replicas::Replicas;
use crate::harness::{Api, Balancer, ControlPlane, Guard, Patch, until};

const SECRET: &str = "/api/v1/namespaces/garden/secrets/network-guard-certificates";

/// With this annotation somebody asks for a new CA.
const ROTATE: &str = "network-guard.extensions.gardener.cloud/rotate";

/// Replicas whose leader looks after their CA.
pub struct SelfManaged {
    pub replicas: Replicas,
    api: Api,
}

/// Leaves that took the place of another one while their replica ran.
#[derive(Debug, Default)]
pub struct Renewed {
    /// Because the old one had grown old.
    pub by_the_clock: usize,
    /// Because another CA signs.
    pub by_ca: usize,
}

impl SelfManaged {
    /// So many of them, registered at the address of the balancer. Their leaves live for so short that some are always due.
    pub fn start(control_plane: &ControlPlane, count: usize, server: &str) -> Self {
        let balancer = Balancer::start();
        let configuration = format!(
            "{server}certificates: {{namespace: garden, leafLifetimeSeconds: 30, marginSeconds: 5, \
             registration: {{url: '{}'}}}}\n",
            balancer.url()
        );
        let mut replicas = Replicas::start(control_plane, balancer, &configuration);
        // Alone, as long as it matters who is called.
        replicas.serving[0].wait_until_called(control_plane);
        (1..count).for_each(|_| replicas.add());
        until("all are known", || replicas.all_known());
        Self { replicas, api: Api::new(&control_plane.kubeconfig("admin", "system:masters")) }
    }

    /// Asks for a new CA, and ends when there is one that does not sign yet. Gives the one that does.
    pub fn begin_rotation(&self) -> String {
        let old = self.stored("ca.crt");
        self.api.patch(SECRET, Patch::Merge, &json!({"metadata": {"annotations": {ROTATE: ""}}}));
        until("there is a next CA", || !self.stored("next.crt").is_empty());
        assert_eq!(self.stored("ca.crt"), old, "it has to be published first");
        old
    }

    /// Whether another CA than this one signs. The old one is kept only until its last leaf has run out, and on a busy
    /// machine nobody may have looked by then.
    pub fn is_rotated(&self, old: &str) -> bool {
        let signs = self.stored("ca.crt");
        !signs.is_empty() && signs != old
    }

    /// Waits until another CA than this one signs.
    pub fn end_rotation(&self, old: &str) {
        until("another CA signs", || self.is_rotated(old));
    }

    /// Waits until one of those that serve leads, and says which one.
    pub fn leader(&self) -> usize {
        let mut leader = None;
        until("one leads", || {
            let leads = |guard: &Guard| guard.metric("network_guard_leader") > 0.0;
            leader = self.replicas.serving.iter().position(leads);
            leader.is_some()
        });
        leader.unwrap()
    }

    /// Replaces the leader, and says how long there was none.
    pub fn replace_leader(&mut self) -> Duration {
        let leader = self.leader();
        self.replicas.replace_at(leader);
        let begun = Instant::now();
        self.leader();
        begun.elapsed()
    }

    /// Nobody serves a leaf that has run out, also nobody who is on the way out.
    pub fn assert_fresh(&self) {
        for guard in self.replicas.running() {
            // One that has just gone says nothing.
            let metric = "network_guard_certificate_not_after_timestamp_seconds";
            let Some(not_after) = guard.metric_of_what_may_end(metric) else { continue };
            let now = Timestamp::now().as_duration().as_secs_f64();
            assert!(not_after > now, "{not_after} at {now}");
        }
    }

    /// How often leaves were renewed.
    pub fn renewed(&self) -> Renewed {
        let mut renewed = Renewed::default();
        for log in self.replicas.logs() {
            let issued: Vec<Value> = log
                .split_inclusive('\n')
                // The last line may be on its way.
                .filter(|line| line.contains("issued a leaf") && line.ends_with('\n'))
                .map(|line| serde_json::from_str(line).unwrap())
                .collect();
            let by_the_clock = issued.windows(2).filter(|pair| pair[0]["ca"] == pair[1]["ca"]).count();
            renewed.by_the_clock += by_the_clock;
            renewed.by_ca += issued.len().saturating_sub(1) - by_the_clock;
        }
        renewed
    }

    /// A text of the Secret; empty if there is none.
    fn stored(&self, key: &str) -> String {
        let secret = self.api.get(SECRET).unwrap_or_default();
        let text = STANDARD.decode(secret["data"][key].as_str().unwrap_or_default()).unwrap();
        String::from_utf8(text).unwrap()
    }
}

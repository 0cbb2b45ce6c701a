//! One held switch, from its first appearance until nothing is left of it.

mod complaints;
mod outcome;
mod release;
mod relief;
mod roll;

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;
use kube::api::{Api, Patch, PatchParams};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::access::Access;
use super::events::{Happened, report};
use super::{Context, WORKER};
use network_guard_core::gardener::SwitchFacts;
use network_guard_core::gardener::network::{Routes, SwitchState, SwitchStatus, SwitchingNetwork};
use network_guard_core::gardener::node::RouteCondition;
use network_guard_core::landscape::NetworkName;
use network_guard_core::overlay::{
    self, Act, Nodes, Progress, Relief, RouteTracker, Seen, Target, Write, act, newest_complaint, writes,
};
use network_guard_runtime::work::{self, Turn, Work};
use network_guard_sources::objects::NetworkObject;

/// The shortest interval between two events about progress.
const PROGRESS_EVENTS: Duration = Duration::from_secs(60);

/// The route controllers' complaints are read in every so many turns with nodes that lack a route.
const COMPLAINTS: u32 = 6;

pub(super) struct Worker {
    context: Arc<Context>,
    name: NetworkName,
    networks: Api<NetworkObject>,
    access: Access,
    tracker: RouteTracker,
    relief: Relief,
    /// How many nodes were to lose a condition so far.
    freed: usize,
    /// The first node by name that could not lose it.
    refused: Option<Box<str>>,
    /// The number of nodes when Calico's Pods were checked last.
    nodes: Option<usize>,
    /// Whether all of Calico's Pods were seen to be new.
    is_rolled_out: bool,
    /// The hold that was reported: since when it is.
    held: Option<String>,
    /// Since when the switch was held that may have passed unreported: its record was being written as released, and the writes
    /// did not end well, or their end is not known.
    unreported: Option<String>,
    is_resumed: bool,
    looks: u32,
    complaint: Option<String>,
    /// How many nodes had a route when that was last reported, and when.
    reported: Option<(usize, Instant)>,
    is_slow_reported: bool,
    /// The failure of the extension that was reported.
    failure: Option<Box<str>>,
    /// A moment, by the wall clock and by a monotonic clock.
    clock: (Timestamp, Instant),
}

/// Whether there is anything left to do.
#[derive(Eq, PartialEq)]
enum Left {
    Something,
    Nothing,
}

impl Work for Worker {
    async fn turn(&mut self) -> Turn {
        match self.look().await {
            Ok(Left::Nothing) => return Turn::Last,
            Ok(Left::Something) => {}
            // Another writer wrote in between: the next turn starts from the new version.
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            Err(error) => {
                self.context.metrics.failed();
                tracing::warn!(namespace = &*self.name.namespace, %error, "a turn about a held switch failed");
            }
        }
        self.access.rest();
        Turn::Again(self.pause())
    }
}

impl Worker {
    pub(super) fn new(context: Arc<Context>, name: NetworkName) -> Self {
        Self {
            networks: Api::namespaced(context.client.clone(), &name.namespace),
            access: Access::new(&context, &name),
            context,
            name,
            tracker: RouteTracker::default(),
            relief: Relief::default(),
            freed: 0,
            refused: None,
            nodes: None,
            is_rolled_out: false,
            held: None,
            unreported: None,
            is_resumed: false,
            looks: 0,
            complaint: None,
            reported: None,
            is_slow_reported: false,
            failure: None,
            clock: (Timestamp::now(), Instant::now()),
        }
    }

    pub(super) async fn run(mut self, first: Duration) {
        sleep(first).await;
        let context = Arc::clone(&self.context);
        work::run(&context.tasks, WORKER, &mut self).await;
        context.metrics.forget(&self.name);
    }

    /// A tenth more or less, so that Shoots that started together do not stay together.
    fn pause(&self) -> Duration {
        let poll = self.context.settings.poll;
        let random = RandomState::new().hash_one(self.looks) % 201;
        poll.mul_f64(0.9 + f64::from(u32::try_from(random).unwrap_or(0)) / 1_000.0)
    }

    /// The monotonic time: the window in which nothing may happen is measured with it.
    fn now(&self) -> Timestamp {
        let (then, since) = self.clock;
        SignedDuration::try_from(since.elapsed()).ok().and_then(|passed| then.checked_add(passed).ok()).unwrap_or(then)
    }

    async fn look(&mut self) -> Result<Left, kube::Error> {
        let Some(network) = self.context.switches.snapshot().switch(&self.name).cloned() else {
            self.access.remove().await?;
            return Ok(Left::Nothing);
        };
        if !self.is_resumed {
            self.is_resumed = true;
            if let Some(record) = network.record() {
                self.tracker = RouteTracker::resume(&record.since, &record.latched);
                self.complaint = record.status.as_ref().and_then(|status| status.complaint.clone());
                self.held = Some(record.since.to_string());
            }
        }
        let landscape = self.context.landscape.snapshot();
        let shoot = landscape.switch_facts(&self.name.namespace);
        let (act, progress) = self.act(&network, shoot).await;
        self.access.rest();
        match (&progress, act.status()) {
            // Reports and metrics have the same times, even if the switch was seen earlier.
            (_, Some(SwitchStatus { routes: Some(routes), replacement, .. })) => {
                self.context.metrics.saw(&self.name, routes, replacement.as_ref());
            }
            (Some(progress), _) => self.context.metrics.saw(&self.name, &Routes::from(progress), None),
            (None, _) => self.context.metrics.forget(&self.name),
        }
        if progress.is_none() {
            // No node was read, so no access is needed for now.
            self.access.close();
        }
        match act {
            Act::Look | Act::Remember(_) => {}
            Act::Nothing(why) => {
                tracing::debug!(namespace = &*self.name.namespace, why, "the held switch is not changed");
                self.access.remove().await?;
            }
            Act::Say { .. } => self.say(&network, shoot, &act, progress.as_ref()).await?,
            Act::Release(reason) => self.release(reason).await?,
            Act::Clear => self.clear(&network).await?,
            Act::Forget => self.forget(&network).await?,
            Act::Begin(passed) => self.begin(&network, passed).await?,
            Act::Carry => {
                let carried = self.carry(&network, shoot).await?;
                self.await_rollout(&carried, shoot).await?;
            }
            Act::AwaitRollout => self.await_rollout(&network, shoot).await?,
        }
        Ok(Left::Something)
    }

    /// The next action, after reading the nodes where that is needed.
    async fn act(&mut self, network: &SwitchingNetwork, shoot: Option<&SwitchFacts>) -> (Act, Option<Progress>) {
        let settings = self.context.settings.switches.clone();
        let now = self.now();
        let (first, progress) = act(network, shoot, &mut self.tracker, Nodes::Unseen, now, &settings);
        if first != Act::Look {
            if !matches!(first, Act::Begin(_) | Act::Carry | Act::AwaitRollout) {
                self.relief = Relief::default();
            }
            return (first, progress);
        }
        let nodes = self.access.nodes().await;
        let now = self.now();
        if nodes.is_err() {
            // Only consecutive observations count.
            self.relief = Relief::default();
        }
        match &nodes {
            Err(why) => act(network, shoot, &mut self.tracker, Nodes::Failed(why), now, &settings),
            Ok(nodes) => {
                if self.looks.is_multiple_of(COMPLAINTS) {
                    let is_missing =
                        nodes.iter().any(|node| !node.route.as_ref().is_some_and(RouteCondition::is_route_created));
                    if !is_missing {
                        self.complaint = None;
                    } else if let Some(newest) = self.complaint_since(since(network)).await {
                        self.complaint = newest_complaint(self.complaint.take(), newest);
                    }
                }
                self.looks = self.looks.wrapping_add(1);
                let seen = Nodes::Seen(nodes, self.complaint.as_deref());
                let (mut next, progress) = act(network, shoot, &mut self.tracker, seen, now, &settings);
                self.relieve(network, shoot, nodes, &mut next).await;
                (next, progress)
            }
        }
    }

    /// What this turn has seen.
    fn seen<'s>(
        &'s self,
        network: &'s SwitchingNetwork,
        shoot: Option<&'s SwitchFacts>,
        progress: Option<&'s Progress>,
    ) -> Seen<'s> {
        Seen { network, shoot, tracker: &self.tracker, progress, now: Timestamp::now() }
    }

    /// Sends the writes, and returns the Network as it is stored after the last one that succeeded.
    async fn execute(
        &self,
        network: &SwitchingNetwork,
        writes: &[Write],
    ) -> (SwitchingNetwork, Result<(), kube::Error>) {
        let (mut stored, name, parameters) = (network.clone(), &self.name.name, PatchParams::default());
        for write in writes {
            let patch = match write.patch(&stored.resource_version) {
                overlay::Patch::Merge(patch) => Patch::Merge(patch),
                overlay::Patch::Json(operations) => match serde_json::from_value(Value::Array(operations)) {
                    Ok(patch) => Patch::Json(patch),
                    Err(error) => return (stored, Err(kube::Error::SerdeError(error))),
                },
            };
            let written = match write.target {
                Target::Network => self.networks.patch(name, &parameters, &patch).await,
                Target::Status => self.networks.patch_status(name, &parameters, &patch).await,
            };
            match written {
                Ok(object) => {
                    let (uid, resource_version) = (stored.uid, object.resource_version().unwrap_or_default().into());
                    let switch = object.switch.unwrap_or_default();
                    stored = SwitchingNetwork { uid, resource_version, ..switch };
                }
                Err(error) => return (stored, Err(error)),
            }
        }
        (stored, Ok(()))
    }

    /// Writes the observation to the record, and to the annotations that people read.
    async fn say(
        &mut self,
        network: &SwitchingNetwork,
        shoot: Option<&SwitchFacts>,
        said: &Act,
        progress: Option<&Progress>,
    ) -> Result<(), kube::Error> {
        // The hold goes on.
        self.unreported = None;
        let seen = self.seen(network, shoot, progress);
        let now = seen.now;
        let writes = writes(said, &seen);
        let (stored, result) = self.execute(network, &writes).await;
        let message = match said.status() {
            Some(status) => status.message(),
            None => network.switch.message.as_deref().unwrap_or_default().to_owned(),
        };
        // What is recorded is reported, also if the annotations could not be written: the next turn does not take a
        // recorded state for news.
        if let Some(record) = stored.record() {
            if self.held.as_deref() != Some(&*record.since) {
                (self.reported, self.is_slow_reported) = (None, false);
                self.held = Some(record.since.to_string());
                self.report(network, Happened::Held, message.clone()).await;
            }
            let reported = network.record().filter(|before| before.since == record.since);
            let reported = reported.and_then(|before| before.status.as_ref()?.replacement.as_ref());
            if let Some(replacement) = record.status.as_ref().and_then(|status| status.replacement.as_ref())
                && replacement.is_news(reported, now)
            {
                self.report(network, Happened::NodesAtRisk, replacement.message()).await;
            }
        }
        result?;
        if writes.iter().any(|write| write.target == Target::Network) {
            let (namespace, state) = (&*self.name.namespace, stored.switch.state.as_deref());
            tracing::debug!(namespace, network = &*self.name.name, state, says = message, "a switch is held");
        }
        let [before, after] = [network, &stored].map(|network| network.switch.is(SwitchState::Approved));
        match (before, after) {
            (true, false) if stored.switch.is(SwitchState::Pending) => {
                self.report(network, Happened::Withdrawn, message.clone()).await;
            }
            (false, true) => self.report(network, Happened::Approved, message.clone()).await,
            _ => {}
        }
        if let Some(progress) = progress {
            let is_due = match self.reported {
                None => progress.ready > 0,
                Some((ready, at)) => ready != progress.ready && at.elapsed() >= PROGRESS_EVENTS,
            };
            if is_due {
                self.reported = Some((progress.ready, Instant::now()));
                self.report(network, Happened::Progress, message.clone()).await;
            }
        }
        let age = since(&stored).map(|since| now.duration_since(since));
        if !self.is_slow_reported && age.is_some_and(|age| age > self.context.settings.slow) {
            self.is_slow_reported = true;
            let minutes = age.unwrap_or_default().as_mins();
            self.report(network, Happened::Slow, format!("held for {minutes} minutes: {message}")).await;
        }
        Ok(())
    }

    /// Removes annotations, record, and all objects that were made for the switch.
    async fn forget(&mut self, network: &SwitchingNetwork) -> Result<(), kube::Error> {
        self.access.remove().await?;
        self.execute(network, &writes(&Act::Forget, &self.seen(network, None, None))).await.1?;
        (self.held, self.unreported) = (None, None);
        self.failure = None;
        self.tracker = RouteTracker::default();
        self.relief = Relief::default();
        (self.nodes, self.is_rolled_out) = (None, false);
        Ok(())
    }

    async fn report(&self, network: &SwitchingNetwork, what: Happened, note: String) {
        report(&self.context.recorder, &self.name, &network.uid, what, note).await;
    }
}

fn since(network: &SwitchingNetwork) -> Option<Timestamp> {
    network.switch.since.as_ref()?.value()
}

#[cfg(test)]
mod tests;

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
use serde_json::{Map, Value, json};
use tokio::time::{Instant, sleep};

use super::access::Access;
use super::events::{Happened, report};
use super::{Context, WORKER};
use network_guard_core::gardener::SwitchFacts;
use network_guard_core::gardener::network::{
    STATE_MEMBER, SWITCH_ANNOTATIONS, SWITCH_PASSED, SwitchState, SwitchingNetwork,
};
use network_guard_core::gardener::node::RouteCondition;
use network_guard_core::json::Written;
use network_guard_core::landscape::NetworkName;
use network_guard_core::overlay::{
    Act, Nodes, Phase, Progress, Record, Relief, RouteTracker, Routes, SwitchStatus, act, desired, newest_complaint,
    record, seconds,
};
use network_guard_runtime::work::{self, Turn, Work};
use network_guard_sources::objects::NetworkObject;

/// The shortest interval between two events about progress.
const PROGRESS_EVENTS: Duration = Duration::from_secs(60);

/// The age at which an approval is confirmed: well within the time for which it is valid.
const CONFIRM: SignedDuration = SignedDuration::from_mins(2);

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
    /// The record that was written last; `None` before the first turn, and when nothing was written.
    record: Option<Record>,
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
            record: None,
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
            self.record = network.record.as_deref().and_then(Record::read);
            if let Some(record) = &self.record {
                self.tracker = RouteTracker::resume(&record.since, &record.latched);
                self.complaint = record.status.as_ref().and_then(|status| status.complaint.clone());
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
            Act::Look => {}
            Act::Nothing(why) => {
                tracing::debug!(namespace = &*self.name.namespace, why, "the held switch is not changed");
                self.access.remove().await?;
            }
            Act::Say { state, status } => {
                self.say(&network, shoot, state, status.map(|status| *status), progress.as_ref()).await?;
            }
            Act::Release(reason) => self.release(reason).await?,
            Act::Clear => self.clear(&network).await?,
            Act::Forget => self.forget(&network).await?,
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
            if first != Act::AwaitRollout {
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

    /// Writes the observation to the record, and to the annotations that people read.
    async fn say(
        &mut self,
        network: &SwitchingNetwork,
        shoot: Option<&SwitchFacts>,
        state: SwitchState,
        status: Option<SwitchStatus>,
        progress: Option<&Progress>,
    ) -> Result<(), kube::Error> {
        let now = Timestamp::now();
        let before = network;
        let mut network = network.clone();
        let message = match &status {
            Some(status) => status.message(),
            None => network.switch.message.as_deref().unwrap_or_default().to_owned(),
        };
        let switch = &mut network.switch;
        switch.since.get_or_insert_with(|| seconds(now).into());
        // The operator's force applies to the change that was held then.
        if (state == SwitchState::Approved || switch.requested.is_none())
            && let Some(desired) = shoot.and_then(desired)
        {
            switch.requested = Some(desired.digest().into());
        }
        if state == SwitchState::Approved {
            let confirmed = switch.approved.as_ref().and_then(Written::value);
            if confirmed.is_none_or(|confirmed| now.duration_since(confirmed) > CONFIRM) {
                switch.approved = Some(seconds(now).into());
            }
        }
        switch.state = Some(state.name().into());
        switch.message = Some((*message).into());
        let pairs = before.switch.pairs().into_iter().zip(switch.pairs());
        let differing = pairs.filter(|(is, want)| is != want);
        let annotations: Map<String, Value> = differing.map(|(_, (key, want))| (key.to_owned(), json!(want))).collect();

        // First what must not be lost. Both writes apply to the object that was read, and to no other.
        let is_new = (self.record.as_ref()).is_none_or(|record| {
            record.phase != Phase::Held || Some(&*record.since) != network.switch.since.as_deref()
        });
        if is_new {
            (self.reported, self.is_slow_reported) = (None, false);
        }
        // Compared with what is stored: another writer may have removed it.
        let stored = network.record.as_deref().and_then(Record::read);
        let remembered = Record { latched: self.tracker.latched(), ..record(&network, stored.as_ref()) };
        let remembered = Record { status: status.or(remembered.status.clone()), ..remembered };
        let version = if stored.as_ref().is_some_and(|stored| remembered.is_stored(stored)) {
            network.resource_version.clone().into()
        } else {
            self.remember(Some(&remembered), &network).await?
        };
        let status = remembered.status.clone().unwrap_or_default();
        self.record = Some(remembered);
        // At once: the next turn does not take a recorded state for news.
        if is_new {
            self.report(&network, Happened::Held, message.clone()).await;
        }
        let reported = stored.filter(|stored| Some(&*stored.since) == network.switch.since.as_deref());
        let reported = reported.and_then(|stored| stored.status).and_then(|status| status.replacement);
        if let Some(replacement) = status.replacement
            && replacement.is_news(reported.as_ref(), now)
        {
            self.report(&network, Happened::NodesAtRisk, replacement.message()).await;
        }
        if !annotations.is_empty() {
            self.annotate(&annotations, &version).await?;
            let namespace = &*self.name.namespace;
            tracing::debug!(
                namespace,
                network = &*self.name.name,
                state = state.name(),
                says = message,
                "a switch is held"
            );
        }
        match (before.switch.is(SwitchState::Approved), state) {
            (true, SwitchState::Pending) => self.report(&network, Happened::Withdrawn, message.clone()).await,
            (false, SwitchState::Approved) => self.report(&network, Happened::Approved, message.clone()).await,
            _ => {}
        }
        if let Some(progress) = progress {
            let is_due = match self.reported {
                None => progress.ready > 0,
                Some((ready, at)) => ready != progress.ready && at.elapsed() >= PROGRESS_EVENTS,
            };
            if is_due {
                self.reported = Some((progress.ready, Instant::now()));
                self.report(&network, Happened::Progress, message.clone()).await;
            }
        }
        let age = since(&network).map(|since| now.duration_since(since));
        if !self.is_slow_reported && age.is_some_and(|age| age > self.context.settings.slow) {
            self.is_slow_reported = true;
            let minutes = age.unwrap_or_default().as_mins();
            self.report(&network, Happened::Slow, format!("held for {minutes} minutes: {message}")).await;
        }
        Ok(())
    }

    /// Removes annotations, record, and all objects that were made for the switch.
    async fn forget(&mut self, network: &SwitchingNetwork) -> Result<(), kube::Error> {
        self.access.remove().await?;
        let mut version = network.resource_version.to_string();
        if self.record.is_some() || network.record.is_some() {
            version = self.remember(None, network).await?;
        }
        if network.has_annotations() {
            let ours = SWITCH_ANNOTATIONS.into_iter().chain([SWITCH_PASSED]);
            let annotations: Map<String, Value> = ours.map(|key| (key.to_owned(), Value::Null)).collect();
            self.annotate(&annotations, &version).await?;
        }
        self.record = None;
        self.failure = None;
        self.tracker = RouteTracker::default();
        self.relief = Relief::default();
        (self.nodes, self.is_rolled_out) = (None, false);
        Ok(())
    }

    /// Writes the parts of the record that differ from the Network's into the status, if nobody wrote in between;
    /// returns the new resource version.
    async fn remember(&self, record: Option<&Record>, network: &SwitchingNetwork) -> Result<String, kube::Error> {
        let has_others =
            (self.context.switches.snapshot().switch(&self.name)).is_some_and(|network| network.has_other_state);
        let record = record.map(|record| record.patch(network.record.as_deref()));
        let state = if record.is_none() && !has_others { Value::Null } else { json!({STATE_MEMBER: record}) };
        let patch = json!({"metadata": {"resourceVersion": network.resource_version}, "status": {"state": state}});
        let network =
            self.networks.patch_status(&self.name.name, &PatchParams::default(), &Patch::Merge(patch)).await?;
        Ok(network.resource_version().unwrap_or_default())
    }

    /// Writes annotations, if nobody wrote in between; returns the new resource version.
    async fn annotate(&self, annotations: &Map<String, Value>, version: &str) -> Result<String, kube::Error> {
        let patch = json!({"metadata": {"resourceVersion": version, "annotations": annotations}});
        let network = self.networks.patch(&self.name.name, &PatchParams::default(), &Patch::Merge(patch)).await?;
        Ok(network.resource_version().unwrap_or_default())
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

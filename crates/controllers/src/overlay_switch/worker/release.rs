//! The end of a hold: the switch is let through, or is no longer requested.

use jiff::Timestamp;
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;

use super::super::events::Happened;
use super::{Worker, seconds, since};
use network_guard_core::gardener::network::{
    OPERATION, SWITCH_APPROVED, SWITCH_REQUESTED, SWITCH_STATE, SwitchingNetwork, family_name,
};
use network_guard_core::gardener::{Encapsulation, SwitchFacts};
use network_guard_core::overlay::{
    Act, Desired, Phase, Reason, Record, Routes, SwitchStatus, desired, record, release_word, released_config,
    released_families,
};
use network_guard_sources::objects::ClusterObject;

impl Worker {
    /// Reads everything once more, live, and writes the requested configuration. Every write applies to the object that
    /// was read: a concurrent writer wins, and the next turn starts from there.
    pub(super) async fn release(&mut self, reason: Reason) -> Result<(), kube::Error> {
        let Some(network) = self.networks.get(&self.name.name).await?.switch else { return Ok(()) };
        let Some(shoot) = self.live_shoot().await? else { return Ok(()) };
        let (again, progress) = self.act(&network, Some(&shoot)).await;
        let Some(desired) = desired(&shoot).filter(|_| again == Act::Release(reason)) else { return Ok(()) };
        let now = Timestamp::now();

        // A control plane that is being migrated must not be held again on the other Seed: all routes are known to
        // exist.
        let held = record(&network, self.record.as_ref());
        let routes = progress.as_ref().map(Routes::from);
        let status = match routes {
            Some(routes) => SwitchStatus { routes: Some(routes), ..SwitchStatus::default() },
            // The last state of the nodes, and why they were not waited for.
            None => {
                let routes = held.status.as_ref().and_then(|status| status.routes.clone());
                SwitchStatus { routes, ..SwitchStatus::waits(reason.name()) }
            }
        };
        let status = Some(status);
        let released = Record { phase: Phase::Released, released: seconds(now).into(), status, ..held.clone() };
        let version = self.remember(Some(&released), &network).await?;
        let routes = if progress.is_some() { released.message() } else { reason.name().to_owned() };
        self.record = Some(released);
        let written = self.write_release(&network, &desired, reason, version).await;
        if !matches!(written, Ok(true)) {
            // The switch did not happen. The next turn corrects the record.
            self.record = Some(held);
            tracing::warn!(namespace = &*self.name.namespace, "a switch was not let through, though it may pass");
            return written.map(|_| ());
        }
        let what = if reason == Reason::Forced { Happened::Forced } else { Happened::Released };
        self.report(&network, what, format!("Calico gives up its overlay: {routes}")).await;
        self.context.metrics.released(reason.name(), since(&network), now);
        Ok(())
    }

    /// Two writes: when other webhooks change the second one, the API server calls network-guard again, which then
    /// still finds the approval in the stored object. Returns whether the switch passed.
    async fn write_release(
        &self,
        network: &SwitchingNetwork,
        desired: &Desired,
        reason: Reason,
        version: String,
    ) -> Result<bool, kube::Error> {
        let word = release_word(network, desired, reason).name();
        let approval = json!({SWITCH_STATE: word, SWITCH_REQUESTED: desired.digest()});
        let version = self.annotate(approval.as_object().expect("it is one"), &version).await?;
        let config = match released_config(network, desired) {
            Some(config) => Some(json!({"op": "add", "path": "/spec/providerConfig", "value": config})),
            None => network.config.is_some().then(|| json!({"op": "remove", "path": "/spec/providerConfig"})),
        };
        let [operation, approved] =
            [OPERATION, SWITCH_APPROVED].map(|key| format!("/metadata/annotations/{}", key.replace('/', "~1")));
        let mut patch = vec![
            json!({"op": "replace", "path": "/metadata/resourceVersion", "value": version}),
            json!({"op": "add", "path": operation, "value": "reconcile"}),
            // To the nanosecond: a value that was never written before shows that the leader approves in this very
            // write.
            json!({"op": "add", "path": approved, "value": Timestamp::now().to_string()}),
        ];
        patch.extend(config);
        if let Some(families) = released_families(network, desired) {
            let names: Vec<&str> = families.iter().map(|family| family_name(*family)).collect();
            patch.push(json!({"op": "add", "path": "/spec/ipFamilies", "value": names}));
        }
        let patch: json_patch::Patch = serde_json::from_value(json!(patch)).expect("it is one");
        let stored = self.networks.patch(&self.name.name, &PatchParams::default(), &Patch::<()>::Json(patch)).await?;
        // A webhook of another version, or with another configuration, may have held it again.
        Ok(stored.switch.is_none_or(|switch| switch.switch.state.is_none()))
    }

    /// Reads the present Cluster.
    async fn live_shoot(&self) -> Result<Option<SwitchFacts>, kube::Error> {
        let clusters: Api<ClusterObject> = Api::all(self.context.client.clone());
        let record = clusters.get(&self.name.namespace).await?.record;
        Ok(record.ok().and_then(|facts| facts.switch).map(|switch| *switch))
    }

    /// Ends a hold that is no longer requested. Clusters and Networks arrive by different watches, so the desired
    /// configuration is read once more: the known one may be older than the hold.
    pub(super) async fn clear(&mut self, network: &SwitchingNetwork) -> Result<(), kube::Error> {
        let desired = self.live_shoot().await?.as_ref().and_then(desired);
        if desired.is_some_and(|desired| desired.encapsulation == Encapsulation::Overlay) {
            self.forget(network).await?;
        }
        Ok(())
    }
}

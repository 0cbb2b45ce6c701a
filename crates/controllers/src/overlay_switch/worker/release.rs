//! The end of a hold: the switch is let through, or is no longer requested.

use kube::api::Api;

use super::super::events::Happened;
use super::{Worker, since};
use network_guard_core::gardener::network::{Reason, Record, SwitchingNetwork};
use network_guard_core::gardener::{Encapsulation, SwitchFacts};
use network_guard_core::overlay::{Act, desired, writes};
use network_guard_sources::objects::ClusterObject;

impl Worker {
    /// Reads everything once more, live, and writes the requested configuration.
    pub(super) async fn release(&mut self, reason: Reason) -> Result<(), kube::Error> {
        let Some(network) = self.networks.get(&self.name.name).await?.switch else { return Ok(()) };
        let Some(shoot) = self.live_shoot().await? else { return Ok(()) };
        let (again, progress) = self.act(&network, Some(&shoot)).await;
        if again != Act::Release(reason) {
            return Ok(());
        }
        self.unreported = network.switch.since.as_deref().map(str::to_owned);
        let seen = self.seen(&network, Some(&shoot), progress.as_ref());
        let now = seen.now;
        let (stored, result) = self.execute(&network, &writes(&again, &seen)).await;
        // A webhook of another version, or with another configuration, may have held it again.
        if result.is_err() || stored.switch.state.is_some() {
            // The next turn corrects the record, or reports that gardenlet's own write carried the switch.
            tracing::warn!(namespace = &*self.name.namespace, "a switch was not let through, though it may pass");
            return result;
        }
        self.unreported = None;
        let routes = stored.record().filter(|_| progress.is_some()).map(Record::message);
        let routes = routes.unwrap_or_else(|| reason.name().to_owned());
        let what = if reason == Reason::Forced { Happened::Forced } else { Happened::Released };
        self.report(&network, what, format!("Calico gives up its overlay: {routes}")).await;
        self.context.metrics.released(reason.name(), since(&network), now);
        Ok(())
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

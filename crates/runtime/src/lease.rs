//! Leader election among all replicas by a `Lease`.
//!
//! For a moment there may be two leaders, so each of them writes with preconditions; the Lease limits how long both do
//! the same work.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease as LeaseObject, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::Api;
use kube::api::PostParams;
use prometheus_client::metrics::gauge::Gauge;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

/// How long a Lease is valid without being renewed. The three durations are client-go's defaults
/// (`k8s.io/client-go/tools/leaderelection`).
const DURATION: Duration = Duration::from_secs(15);

/// How long a leader that cannot renew its Lease goes on; shorter, so that it stops before another replica begins.
const RENEW_DEADLINE: Duration = Duration::from_secs(10);

/// The pause between two attempts.
const RETRY: Duration = Duration::from_secs(2);

/// Who holds a Lease, as far as the attempt to take it showed.
enum Holder {
    Us,
    SomebodyElse,
    Unknown,
}

/// Whether this replica leads; `false` again on every way out.
struct Leads(Gauge);

impl Leads {
    fn begin(gauge: Gauge) -> Self {
        gauge.set(1);
        Self(gauge)
    }
}

impl Drop for Leads {
    fn drop(&mut self) {
        self.0.set(0);
    }
}

/// A Lease, and the replica that competes for it.
pub struct Lease {
    api: Api<LeaseObject>,
    name: String,
    identity: String,
    /// Whether this replica holds it, for metrics.
    leads: Gauge,
    /// The content of the Lease when it last changed, and when this replica saw that: the clocks of others do not
    /// count.
    seen: Option<(Option<String>, Option<MicroTime>, Instant)>,
}

impl Lease {
    /// The Lease of this name, for a replica of this identity, and the flag for whether it leads.
    pub fn new(client: kube::Client, namespace: &str, name: &str, identity: String, leads: Gauge) -> Self {
        Self { api: Api::namespaced(client, namespace), name: name.to_owned(), identity, leads, seen: None }
    }

    /// Runs the work while this replica leads, and drops it at any point when the replica does not lead any more. Ends
    /// when it is told to, and then releases the Lease.
    pub async fn lead<F: Future<Output = ()>>(mut self, stop: CancellationToken, mut work: impl FnMut() -> F) {
        loop {
            tokio::select! {
                () = stop.cancelled() => {
                    // The Lease may just have been taken.
                    self.release().await;
                    return;
                }
                () = self.acquire() => {}
            }
            tracing::info!(lease = self.name, identity = self.identity, "leading");
            let leads = Leads::begin(self.leads.clone());
            let lost = tokio::select! {
                () = stop.cancelled() => false,
                () = self.keep() => true,
                () = work() => false,
            };
            drop(leads);
            if !lost {
                self.release().await;
                return;
            }
            tracing::warn!(lease = self.name, "not leading any more");
        }
    }

    /// Ends when this replica holds the Lease.
    async fn acquire(&mut self) {
        while !matches!(timeout(RENEW_DEADLINE, self.attempt()).await, Ok(Holder::Us)) {
            sleep(RETRY).await;
        }
    }

    /// Ends when another replica holds the Lease, or this one could not renew it for too long.
    async fn keep(&mut self) {
        let mut renewed = Instant::now();
        while renewed.elapsed() < RENEW_DEADLINE {
            sleep(RETRY).await;
            match timeout(RENEW_DEADLINE.saturating_sub(renewed.elapsed()), self.attempt()).await {
                Ok(Holder::Us) => renewed = Instant::now(),
                Ok(Holder::SomebodyElse) => return,
                Ok(Holder::Unknown) | Err(_) => {}
            }
        }
    }

    /// Takes or renews the Lease.
    async fn attempt(&mut self) -> Holder {
        self.try_attempt().await.unwrap_or_else(|error| {
            tracing::warn!(lease = self.name, %error, "the Lease cannot be written");
            Holder::Unknown
        })
    }

    async fn try_attempt(&mut self) -> Result<Holder, kube::Error> {
        let Some(mut lease) = self.api.get_opt(&self.name).await? else {
            let metadata = ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() };
            let lease = LeaseObject { metadata, spec: Some(self.spec(None)) };
            return written(self.api.create(&PostParams::default(), &lease).await);
        };
        let spec = lease.spec.take().unwrap_or_default();
        let holder = spec.holder_identity.clone().filter(|holder| !holder.is_empty());
        let is_ours = holder.as_deref() == Some(&*self.identity);
        let state = (spec.holder_identity.clone(), spec.renew_time.clone());
        let seen = match self.seen.take() {
            Some((holder, renewed, at)) if (&holder, &renewed) == (&state.0, &state.1) => at,
            _ => Instant::now(),
        };
        self.seen = Some((state.0, state.1, seen));
        if !is_ours && holder.is_some() && seen.elapsed() < DURATION {
            return Ok(Holder::SomebodyElse);
        }
        lease.spec = Some(self.spec(Some(&spec)));
        // With its resource version: of two replicas that take it at the same time one fails.
        written(self.api.replace(&self.name, &PostParams::default(), &lease).await)
    }

    fn spec(&self, old: Option<&LeaseSpec>) -> LeaseSpec {
        let now = MicroTime(Timestamp::now());
        let is_ours = old.and_then(|old| old.holder_identity.as_deref()) == Some(&*self.identity);
        let transitions = old.and_then(|old| old.lease_transitions).unwrap_or(0);
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
            acquire_time: old.filter(|_| is_ours).map_or(Some(now.clone()), |old| old.acquire_time.clone()),
            renew_time: Some(now),
            lease_transitions: Some(transitions + i32::from(old.is_some() && !is_ours)),
            ..LeaseSpec::default()
        }
    }

    /// Releases the Lease, so that another replica need not wait until it expires.
    async fn release(&self) {
        let release = async {
            let Some(mut lease) = self.api.get_opt(&self.name).await? else { return Ok(()) };
            match &mut lease.spec {
                Some(spec) if spec.holder_identity.as_deref() == Some(&*self.identity) => {
                    spec.holder_identity = Some(String::new());
                }
                _ => return Ok(()),
            }
            self.api.replace(&self.name, &PostParams::default(), &lease).await.map(|_| ())
        };
        if !matches!(timeout(RETRY, release).await, Ok(Ok(()))) {
            tracing::info!(lease = self.name, "the Lease was not released, it will expire");
        }
    }
}

/// Another replica was faster: that is no error, and the next attempt shows which one.
fn written<T>(result: Result<T, kube::Error>) -> Result<Holder, kube::Error> {
    match result {
        Ok(_) => Ok(Holder::Us),
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(Holder::Unknown),
        Err(error) => Err(error),
    }
}

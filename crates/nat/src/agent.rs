//! The agent for one end of the tunnel.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use anyhow::{Context as _, bail};

use super::firewall::{self, Backend, Iptables};
use super::ip::{self, Routes, wrong_routes};
use super::kernel::{self, KernelSettings, WrongSetting};
use super::lock::Lock;
use super::monitor::RouteMonitor;
use network_guard_core::vpn::nat::{End, Plan};

/// Brings rules, routes and kernel settings to what a plan wants, and keeps them there.
#[derive(Clone, Debug)]
pub struct NatAgent {
    /// Which iptables.
    pub iptables: Iptables,
    /// How kernel settings are handled.
    pub settings: KernelSettings,
    /// Which component sets the routes into the tunnel.
    pub routes: Routes,
}

/// What an agent reports while it works.
#[derive(Debug)]
pub enum Event {
    /// Everything is in place for the first time.
    Applied(Applied),
    /// This was wrong, and has been corrected.
    Repaired(String),
    /// Nothing has failed, but the operator should know.
    Warning(String),
    /// The networks cannot be read any more; the agent continues with the previous ones.
    KeepsNetworks(anyhow::Error),
    /// The agent could not apply the plan; it tries again.
    Failed(anyhow::Error),
}

/// The result of one application.
#[derive(Debug)]
pub struct Applied {
    /// The iptables backend.
    pub backend: Backend,
    /// Whether addresses are translated.
    pub translates: bool,
    /// What was wrong before.
    pub lines: Vec<String>,
}

impl NatAgent {
    /// Applies the first plan, and continues until `stop` if that is wanted: periodically, and with [`Routes::Follow`]
    /// also whenever a route changes, it plans and applies again. `replan` returns nothing where the networks stay the
    /// same.
    ///
    /// The first application has to succeed; later ones are tried again.
    pub async fn run(
        &self,
        every: Option<Duration>,
        (mut plan, mut end): (Plan, End),
        mut replan: impl FnMut() -> anyhow::Result<Option<(Plan, End)>>,
        stop: impl Future<Output = ()>,
        tell: &mut dyn FnMut(Event),
    ) -> anyhow::Result<()> {
        // No change from here on is missed.
        let is_watching = every.is_some() && self.routes == Routes::Follow;
        let monitor = is_watching.then(RouteMonitor::start).transpose()?;
        let applied = self.apply(&plan, &end, true, tell)?;
        tell(Event::Applied(applied));
        let Some(every) = every else { return Ok(()) };
        let mut stop = pin!(stop);
        loop {
            tokio::select! {
                () = tokio::time::sleep(every) => {}
                watched = changed(monitor.as_ref()) => watched?,
                () = &mut stop => return Ok(()),
            }
            // The networks of the Cluster may have changed.
            match replan() {
                Ok(Some(planned)) => (plan, end) = planned,
                Ok(None) => {}
                Err(error) => tell(Event::KeepsNetworks(error)),
            }
            match self.apply(&plan, &end, false, tell) {
                Ok(applied) => applied.lines.into_iter().for_each(|line| tell(Event::Repaired(line))),
                Err(error) => tell(Event::Failed(error)),
            }
        }
    }

    /// Settings first: where they cannot be set, the firewall stays as it is.
    fn apply(&self, plan: &Plan, end: &End, is_first: bool, tell: &mut dyn FnMut(Event)) -> anyhow::Result<Applied> {
        let _lock = Lock::take()?;
        let before = match self.settings {
            KernelSettings::Set => kernel::set(plan, end, tell)?,
            KernelSettings::Leave => {
                for wrong in kernel::wrong_settings(plan, end).iter().filter(|_| is_first) {
                    tell(Event::Warning(wrong.in_words()));
                }
                Vec::new()
            }
        };
        let applied = firewall::apply(plan, self.iptables).inspect_err(|_| kernel::set_back(&before, tell))?;
        for problem in applied.unknown.iter().filter(|_| is_first) {
            let warning = format!("whether old rules of network-guard are there too is unknown: {problem}");
            tell(Event::Warning(warning));
        }
        let routes = wrong_routes(plan, end, &self.routes)
            .and_then(|routes| routes.mend().map(|()| routes))
            .inspect_err(|_| kernel::set_back(&before, tell))
            .map_err(|error| match applied.take_back() {
                Ok(()) => error.context("nothing was changed"),
                Err(more) => error.context(format!("{more:#}; the previous state could not be restored")),
            })?;
        let mut lines: Vec<String> = before.iter().map(WrongSetting::in_words).collect();
        lines.extend(applied.repaired.iter().map(ToString::to_string));
        lines.extend(routes.lines());
        Ok(Applied { backend: applied.backend, translates: !plan.shoot.is_empty(), lines })
    }

    /// The deviations from the plan, one per line. Nothing is changed.
    pub fn verify(&self, plan: &Plan, end: &End) -> anyhow::Result<(Backend, Vec<String>)> {
        let _lock = Lock::take()?;
        let (backend, mut lines) = firewall::verify(plan, self.iptables)?;
        if self.settings == KernelSettings::Set {
            lines.extend(kernel::wrong_settings(plan, end).iter().map(WrongSetting::in_words));
        }
        lines.extend(wrong_routes(plan, end, &self.routes)?.lines());
        Ok((backend, lines))
    }
}

/// Waits for a change of a route; without a monitor for ever.
async fn changed(monitor: Option<&RouteMonitor>) -> anyhow::Result<()> {
    match monitor {
        Some(monitor) => monitor.changed().await.context("changes of routes cannot be seen any more"),
        None => std::future::pending().await,
    }
}

/// Removes all rules and routes of network-guard, whatever networks they were for. The backends that had rules are
/// reported before anything else can fail.
pub fn remove(iptables: Iptables, tell: impl FnOnce(&[Backend])) -> anyhow::Result<()> {
    let _lock = Lock::take()?;
    let (removed, problems) = firewall::remove(iptables)?;
    tell(&removed);
    if ip::is_installed() {
        ip::all_of_ours().and_then(|routes| routes.mend()).context("routes of network-guard may be left")?;
    }
    if !problems.is_empty() {
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        bail!("rules of network-guard may be left where they could not be read\n{}", problems.join("\n"));
    }
    Ok(())
}

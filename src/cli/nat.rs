//! `network-guard nat`: the double NAT of an overlapping Shoot, at either end of its tunnel.

mod networks;
mod show;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand, ValueEnum};
use tokio::signal::unix::{SignalKind, signal};

use self::networks::Which;
use super::output;
use network_guard_core::net::Family;
use network_guard_core::vpn::nat::{End, Plan, Side};
use network_guard_nat::{Applied, Backend, Event, Iptables, KernelSettings, NatAgent, Routes, Tables};

#[derive(Debug, Subcommand)]
pub(super) enum Nat {
    /// Print the mapping of networks, and the rules, routes and kernel settings for it
    ///
    /// Nothing is changed, and no rights are needed.
    Plan(PlanArgs),
    /// Apply the rules to this network namespace, and correct them
    ///
    /// The rules are in separate chains, NETWORK-GUARD-…; rules of others are never touched. A second call changes
    /// nothing. When anything fails, the firewall is as it was before. Needs the capability NET_ADMIN.
    #[command(after_help = "\
Examples:
  network-guard nat apply --side seed --cluster cluster.yaml
  network-guard nat apply --side shoot --cluster cluster.yaml --every 10")]
    Apply(Apply),
    /// Print deviations: missing, extra and reordered rules, kernel settings, routes
    ///
    /// Exit code 0 when there are none, 1 when there are some, 2 when it is unknown.
    Verify(Verify),
    /// Remove all rules and routes of network-guard, whatever networks they were for
    ///
    /// Kernel settings stay: others in the same Pod rely on them.
    Remove(Remove),
}

#[derive(Debug, Args)]
pub(super) struct PlanArgs {
    /// Which end of the tunnel; without it both, one after the other
    #[arg(long, value_name = "SIDE")]
    side: Option<SideName>,
    #[command(flatten)]
    which: Which,
    /// The output format
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    output: Format,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum SideName {
    /// The Pod of the Shoot's kube-apiserver
    Seed,
    /// The vpn-shoot Pod
    Shoot,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Format {
    /// Lines for people
    Table,
    /// JSON: an object for each side
    Json,
    /// Input for `iptables-restore --noflush`, for a namespace without rules of network-guard; needs --side
    Restore,
    /// The same for `ip6tables-restore --noflush`
    Restore6,
}

/// The iptables backend: the value of `--iptables`.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum BackendName {
    /// The one that has rules of network-guard; otherwise nft if it works here; otherwise legacy
    Auto,
    /// iptables-nft
    Nft,
    /// iptables-legacy; it also needs the capability `NET_RAW`
    Legacy,
}

/// How kernel settings are handled.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum SettingsName {
    /// They are set
    Set,
    /// They are left as they are; wrong ones are reported
    Leave,
}

#[derive(Debug, Args)]
struct Target {
    /// Which end of the tunnel this is
    #[arg(long, value_name = "SIDE")]
    side: SideName,
    #[command(flatten)]
    which: Which,
    /// The iptables backend
    #[arg(long, value_name = "BACKEND", default_value = "auto")]
    iptables: BackendName,
    /// How kernel settings are handled
    #[arg(long, value_name = "WHAT", default_value = "set")]
    settings: SettingsName,
    /// What sets the routes into the tunnel: `none` if vpn2 does, from v0.40.0 on; `follow` to follow the routes of an
    /// older vpn2; or the link of the tunnel
    #[arg(long, value_name = "LINK", default_value = "none")]
    routes: Routes,
}

#[derive(Debug, Args)]
pub(super) struct Apply {
    #[command(flatten)]
    target: Target,
    /// Keep running: check every so many seconds, with `--routes follow` also whenever a route changes, correct
    /// deviations, and read the Cluster's file again; SIGTERM ends it and leaves everything in place
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=3_600))]
    every: Option<u32>,
}

#[derive(Debug, Args)]
pub(super) struct Verify {
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Args)]
pub(super) struct Remove {
    /// The iptables backend; here `auto` means both
    #[arg(long, value_name = "BACKEND", default_value = "auto")]
    iptables: BackendName,
}

impl From<SideName> for Side {
    fn from(name: SideName) -> Self {
        match name {
            SideName::Seed => Self::Seed,
            SideName::Shoot => Self::Shoot,
        }
    }
}

impl From<BackendName> for Iptables {
    fn from(name: BackendName) -> Self {
        match name {
            BackendName::Auto => Self::Auto,
            BackendName::Nft => Self::Nft,
            BackendName::Legacy => Self::Legacy,
        }
    }
}

impl From<SettingsName> for KernelSettings {
    fn from(name: SettingsName) -> Self {
        match name {
            SettingsName::Set => Self::Set,
            SettingsName::Leave => Self::Leave,
        }
    }
}

impl Nat {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Plan(plan) => plan.run()?,
            Self::Apply(apply) => apply.run()?,
            Self::Verify(Verify { target }) => return target.verify(),
            Self::Remove(remove) => remove.run()?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl PlanArgs {
    fn run(&self) -> anyhow::Result<()> {
        let sides = self.side.map_or_else(|| vec![Side::Seed, Side::Shoot], |side| vec![side.into()]);
        let networks = self.which.networks()?;
        let plans = sides
            .into_iter()
            .map(|side| Ok(self.which.plan(&networks, side)?.0))
            .collect::<anyhow::Result<Vec<Plan>>>()?;
        output::print(&match self.output {
            Format::Table => plans.iter().map(show::table).collect::<Vec<_>>().join("\n"),
            Format::Json => {
                let plans: Vec<_> = plans.iter().map(show::json).collect();
                serde_json::to_string_pretty(&plans).context("values of our own")? + "\n"
            }
            Format::Restore | Format::Restore6 => {
                let (Some(_), [plan]) = (self.side, &plans[..]) else {
                    bail!("rules are for one end of the tunnel; say which with --side");
                };
                let family = if self.output == Format::Restore { Family::V4 } else { Family::V6 };
                Tables::default().transition(&Tables::wanted(plan, family)).unwrap_or_default()
            }
        })
    }
}

impl Apply {
    fn run(&self) -> anyhow::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            // First of all: the first process of a container gets no signal that it has no handler for.
            let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
            let stop = async move {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
            };
            let planned = self.target.plan()?;
            let replan = || self.target.which.can_be_read_again().then(|| self.target.plan()).transpose();
            let every = self.every.map(|seconds| Duration::from_secs(seconds.into()));
            let mut printed = Ok(());
            let mut tell = |event| match event {
                // All that there is to be said, unless it keeps running.
                Event::Applied(applied) if every.is_none() => printed = output::print(&in_words(&applied)),
                event => tell(event),
            };
            self.target.agent().run(every, planned, replan, stop, &mut tell).await?;
            printed
        })
    }
}

impl Remove {
    fn run(&self) -> anyhow::Result<()> {
        let mut text = String::new();
        let removed = network_guard_nat::remove(self.iptables.into(), |removed| text = removed_in_words(removed));
        // Also what was removed before something failed; which is the error of the two.
        let printed = output::print(&text);
        removed.and(printed)
    }
}

impl Target {
    fn plan(&self) -> anyhow::Result<(Plan, End)> {
        self.which.plan(&self.which.networks()?, self.side.into())
    }

    fn agent(&self) -> NatAgent {
        NatAgent { iptables: self.iptables.into(), settings: self.settings.into(), routes: self.routes.clone() }
    }

    fn verify(&self) -> anyhow::Result<ExitCode> {
        let (plan, end) = self.plan()?;
        let (backend, lines) = self.agent().verify(&plan, &end)?;
        if lines.is_empty() {
            output::print(&format!("{}: all is as it should be\n", backend.name()))?;
            return Ok(ExitCode::SUCCESS);
        }
        let count = match lines.len() {
            1 => "1 thing is".to_owned(),
            count => format!("{count} things are"),
        };
        output::print(&format!(
            "{}\n{}: {count} not as it should be; `network-guard nat apply` with the same flags corrects that\n",
            lines.join("\n"),
            backend.name(),
        ))?;
        Ok(ExitCode::from(1))
    }
}

fn tell(event: Event) {
    match event {
        Event::Applied(applied) => output::tell(in_words(&applied)),
        Event::Repaired(line) => output::tell(format!("repaired: {line}\n")),
        Event::Warning(warning) => output::warn(format!("warning: {warning}\n")),
        Event::KeepsNetworks(error) => {
            output::warn(format!("error: {error:#}; continuing with the previous networks\n"));
        }
        Event::Failed(error) => output::warn(format!("error: {error:#}\n")),
    }
}

fn in_words(Applied { backend, translates, lines }: &Applied) -> String {
    let what = if *translates { "addresses are translated" } else { "nothing is translated" };
    let changes = match lines.len() {
        0 => "all was in place".to_owned(),
        1 => "1 thing was corrected".to_owned(),
        count => format!("{count} things were corrected"),
    };
    format!("{}: {what}; {changes}\n", backend.name())
}

fn removed_in_words(removed: &[Backend]) -> String {
    let names: Vec<&str> = removed.iter().map(|backend| backend.name()).collect();
    match names.as_slice() {
        [] => "there was no rule of network-guard\n".to_owned(),
        names => format!("removed from {}\n", names.join(" and ")),
    }
}

//! Kernel settings and routes of this network namespace.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, anyhow, bail};
use clap::ValueEnum;

use crate::nat::{End, KernelRoute, Plan, ROUTE_PROTOCOL, RouteChange, Setting, follow_routes, read_routes, routes_by};
use crate::net::{Cidr, Family};

/// What becomes of kernel settings.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(super) enum Settings {
    /// They are set
    Set,
    /// They are left as they are; those that are wrong are told
    Leave,
}

/// Who sets the routes into the tunnel: what `--routes` says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Routes {
    /// vpn2 does.
    None,
    /// They follow those of a vpn2 that knows no overlap.
    Follow,
    /// They all go by this link.
    By(String),
}

impl std::str::FromStr for Routes {
    type Err = crate::nat::NotADevice;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "none" => Ok(Self::None),
            "follow" => Ok(Self::Follow),
            // A pattern is no link.
            _ if text.ends_with('+') => Err(crate::nat::NotADevice),
            link => link.parse::<crate::nat::Device>().map(|link| Self::By(link.to_string())),
        }
    }
}

// === settings ===

fn file(setting: &Setting) -> PathBuf {
    PathBuf::from("/proc/sys").join(setting.name.replace('.', "/"))
}

/// Settings that are not as the plan wants them, with their value.
pub(super) fn wrong_settings(plan: &Plan) -> Vec<(Setting, String)> {
    let wrong = |setting: &Setting| {
        // What this kernel does not have, such as IPv6, cannot be wrong.
        let value = fs::read_to_string(file(setting)).ok()?.trim().to_owned();
        (value != setting.value).then_some((*setting, value))
    };
    plan.settings.iter().filter_map(wrong).collect()
}

/// In words.
pub(super) fn setting_in_words((setting, value): &(Setting, String)) -> String {
    format!("kernel setting {} is {value} and should be {}: {}", setting.name, setting.value, setting.why)
}

/// Sets all that are wrong, or none; tells what was there before.
pub(super) fn set(plan: &Plan) -> anyhow::Result<Vec<(Setting, String)>> {
    let wrong = wrong_settings(plan);
    for (index, (setting, _)) in wrong.iter().enumerate() {
        if let Err(error) = fs::write(file(setting), setting.value) {
            set_back(&wrong[..index]);
            return Err(anyhow!(error).context(format!(
                "cannot set the kernel setting {} to {}: a container can only where it is privileged; if another \
                 container of the Pod sets it, as vpn2's does, use --settings leave",
                setting.name, setting.value
            )));
        }
    }
    Ok(wrong)
}

/// Back to what was there before.
pub(super) fn set_back(before: &[(Setting, String)]) {
    for (setting, value) in before {
        if let Err(error) = fs::write(file(setting), value) {
            eprintln!("warning: the kernel setting {} cannot be set back to {value}: {error}", setting.name);
        }
    }
}

// === routes ===

fn ip(arguments: &[&str]) -> anyhow::Result<String> {
    let output = Command::new("ip").args(arguments).output().map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => anyhow!("ip is not installed here; it comes with the package iproute2"),
        _ => anyhow!(error).context("cannot run ip"),
    })?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let hint = if said.contains("not permitted") { "\nroutes need the capability NET_ADMIN" } else { "" };
        bail!("`ip {}` failed: {}{hint}", arguments.join(" "), said.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

const fn family_flag(family: Family) -> &'static str {
    match family {
        Family::V4 => "-4",
        Family::V6 => "-6",
    }
}

/// What has to change so that the routes are right, and what there is.
#[derive(Default)]
pub(super) struct WrongRoutes {
    changes: Vec<RouteChange>,
    existing: Vec<KernelRoute>,
}

/// What has to change so that the routes are right.
pub(super) fn wrong_routes(plan: &Plan, end: &End, routes: &Routes) -> anyhow::Result<WrongRoutes> {
    if *routes == Routes::None {
        return Ok(WrongRoutes::default());
    }
    let mut existing = Vec::new();
    for family in [Family::V4, Family::V6] {
        let listed = ip(&[family_flag(family), "-json", "route", "show", "table", "main"])?;
        existing.extend(read_routes(&listed).context("ip prints routes that are not understood")?);
    }
    let changes = match routes {
        Routes::None => Vec::new(),
        Routes::Follow => follow_routes(plan, &end.tunnel, &existing),
        Routes::By(link) => routes_by(plan, link, &existing),
    };
    Ok(WrongRoutes { changes, existing })
}

impl WrongRoutes {
    /// In words.
    pub(super) fn lines(&self) -> impl Iterator<Item = String> + '_ {
        self.changes.iter().map(|change| match change {
            RouteChange::Set(to, device) => format!("route to {to} by {device} is missing"),
            RouteChange::Remove(to, device) => format!("route to {to} by {device} should not be"),
        })
    }

    /// Makes them right, all or none: first new ones, so that no packet is without a way.
    pub(super) fn mend(&self) -> anyhow::Result<()> {
        let is_new = |change: &&RouteChange| matches!(change, RouteChange::Set(..));
        let changes: Vec<&RouteChange> = self.changes.iter().filter(is_new).collect();
        let changes = [changes, self.changes.iter().filter(|change| !is_new(change)).collect()].concat();
        for (index, change) in changes.iter().enumerate() {
            let done = match change {
                RouteChange::Set(to, device) => replace(*to, device, true),
                RouteChange::Remove(to, device) => delete(*to, device),
            };
            if let Err(error) = done {
                for change in changes[..index].iter().rev() {
                    self.take_back(change).with_context(|| format!("{error:#}; and the old routes are not back"))?;
                }
                return Err(error);
            }
        }
        Ok(())
    }

    fn take_back(&self, change: &RouteChange) -> anyhow::Result<()> {
        let (RouteChange::Set(to, device) | RouteChange::Remove(to, device)) = change;
        match self.existing.iter().find(|route| route.to == *to) {
            Some(route) => replace(*to, &route.device, route.is_ours),
            None => delete(*to, device),
        }
    }
}

fn replace(to: Cidr, device: &str, is_ours: bool) -> anyhow::Result<()> {
    let network = to.to_string();
    // What others set has the number that iproute2 gives by itself.
    let protocol = if is_ours { ROUTE_PROTOCOL } else { "boot" };
    ip(&[family_flag(to.family()), "route", "replace", &network, "dev", device, "proto", protocol]).map(drop)
}

fn delete(to: Cidr, device: &str) -> anyhow::Result<()> {
    ip(&[family_flag(to.family()), "route", "del", &to.to_string(), "dev", device]).map(drop)
}

/// Takes away all routes of ours.
pub(super) fn remove_routes() -> anyhow::Result<()> {
    for family in [Family::V4, Family::V6] {
        ip(&[family_flag(family), "route", "flush", "table", "main", "proto", ROUTE_PROTOCOL])?;
    }
    Ok(())
}

//! Routes of this network namespace, by the program `ip` of iproute2.

use std::process::Command;

use anyhow::Context as _;

use super::routes::{
    BLACKHOLE_METRIC, KernelRoute, ROUTE_PROTOCOL, RouteChange, STASH_TABLE, Way, follow_routes, read_routes,
    routes_by, undo_routes,
};
use network_guard_core::net::{Cidr, Family};
use network_guard_core::vpn::nat::{Device, End, NotADevice, Plan};

/// Which component sets the routes into the tunnel: the value of `--routes`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Routes {
    /// vpn2 does.
    None,
    /// They follow those of a vpn2 that does not know the overlap.
    Follow,
    /// All of them use this link.
    By(String),
}

impl std::str::FromStr for Routes {
    type Err = NotADevice;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "none" => Ok(Self::None),
            "follow" => Ok(Self::Follow),
            // A pattern is no link.
            _ if text.ends_with('+') => Err(NotADevice),
            link => link.parse::<Device>().map(|link| Self::By(link.to_string())),
        }
    }
}

/// Why `ip` failed.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("ip is not installed here; it comes with the package iproute2")]
    NotInstalled,
    #[error("`ip {0}` failed: {1}{hint}", hint = if .1.contains("not permitted") { "\nroutes need the capability NET_ADMIN" } else { "" })]
    Failed(String, String),
}

fn ip(arguments: &[&str]) -> Result<String, Failure> {
    let line = || arguments.join(" ");
    let output = Command::new("ip").args(arguments).output().map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Failure::NotInstalled,
        _ => Failure::Failed(line(), error.to_string()),
    })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(Failure::Failed(line(), String::from_utf8_lossy(&output.stderr).trim().to_owned()))
}

const fn family_flag(family: Family) -> &'static str {
    match family {
        Family::V4 => "-4",
        Family::V6 => "-6",
    }
}

/// The routes in a table; a table that was never used does not exist.
fn list(family: Family, table: &str) -> anyhow::Result<Vec<KernelRoute>> {
    match ip(&[family_flag(family), "-json", "route", "show", "table", table]) {
        Ok(listed) => read_routes(&listed).context("ip prints routes that are not understood"),
        Err(Failure::Failed(_, said)) if said.contains("FIB table does not exist") => Ok(Vec::new()),
        Err(problem) => Err(problem.into()),
    }
}

/// The changes that correct the routes, and the existing routes.
#[derive(Default)]
pub(super) struct WrongRoutes {
    changes: Vec<RouteChange>,
    existing: Vec<KernelRoute>,
}

/// The changes that correct the routes.
pub(super) fn wrong_routes(plan: &Plan, end: &End, routes: &Routes) -> anyhow::Result<WrongRoutes> {
    if *routes == Routes::None {
        return Ok(WrongRoutes::default());
    }
    let mut existing = list(Family::V4, "main")?;
    if matches!(routes, Routes::By(_)) && plan.routes.iter().any(|route| route.to.family() == Family::V6) {
        existing.extend(list(Family::V6, "main")?);
    }
    let changes = match routes {
        Routes::None => Vec::new(),
        Routes::Follow => follow_routes(plan, &end.tunnel, &existing, &list(Family::V4, STASH_TABLE)?),
        Routes::By(link) => routes_by(plan, link, &existing)?,
    };
    Ok(WrongRoutes { changes, existing })
}

/// All routes of network-guard, as changes that remove them and restore those of others.
pub(super) fn all_of_ours() -> anyhow::Result<WrongRoutes> {
    let (mut existing, stashed) = (list(Family::V4, "main")?, list(Family::V4, STASH_TABLE)?);
    // A kernel without IPv6 has no such routes.
    existing.extend(list(Family::V6, "main").unwrap_or_default());
    Ok(WrongRoutes { changes: undo_routes(&existing, &stashed), existing })
}

/// Whether routes can be read here at all.
pub(super) fn is_installed() -> bool {
    !matches!(ip(&["-Version"]), Err(Failure::NotInstalled))
}

impl WrongRoutes {
    /// In words.
    pub(super) fn lines(&self) -> impl Iterator<Item = String> + '_ {
        self.changes.iter().map(|change| match change {
            RouteChange::Set(to, device) => format!("route to {to} by {device} is missing"),
            RouteChange::Remove(to, device) => format!("route to {to} by {device} should not be"),
            RouteChange::AddBlackhole(to) => format!("nothing keeps packets to {to} in while there is no tunnel"),
            RouteChange::RemoveBlackhole(to) => format!("packets to {to} are dropped without a reason"),
            RouteChange::Stash(to, device) => {
                format!("route to {to} by {device} takes addresses of this side into the tunnel")
            }
            RouteChange::Restore(to, device) => format!("route to {to} by {device} was stashed"),
        })
    }

    /// Carries out all changes or none: new routes first, so that no packet is without a route.
    pub(super) fn mend(&self) -> anyhow::Result<()> {
        for (index, change) in self.changes.iter().enumerate() {
            if let Err(error) = carry_out(change) {
                for change in self.changes[..index].iter().rev() {
                    self.take_back(change).with_context(|| format!("{error}; and the old routes are not back"))?;
                }
                return Err(error.into());
            }
        }
        Ok(())
    }

    fn take_back(&self, change: &RouteChange) -> Result<(), Failure> {
        let before = |to: &Cidr| {
            self.existing.iter().find_map(|route| match &route.way {
                Way::Device(device) if route.to == *to && route.is_ours => Some(device.clone()),
                _ => None,
            })
        };
        carry_out(&match change {
            RouteChange::Set(to, device) => match before(to) {
                Some(device) => RouteChange::Set(*to, device),
                None => RouteChange::Remove(*to, device.clone()),
            },
            RouteChange::Remove(to, device) => RouteChange::Set(*to, device.clone()),
            RouteChange::AddBlackhole(to) => RouteChange::RemoveBlackhole(*to),
            RouteChange::RemoveBlackhole(to) => RouteChange::AddBlackhole(*to),
            RouteChange::Stash(to, device) => RouteChange::Restore(*to, device.clone()),
            RouteChange::Restore(to, device) => RouteChange::Stash(*to, device.clone()),
        })
    }
}

fn carry_out(change: &RouteChange) -> Result<(), Failure> {
    let route = |verb: &str, to: &Cidr, rest: &[&str]| {
        let to_text = to.to_string();
        let blackhole = rest.first().is_some_and(|word| *word == "metric");
        let mut words = vec![family_flag(to.family()), "route", verb];
        words.extend(blackhole.then_some("blackhole"));
        words.push(&to_text);
        words.extend_from_slice(rest);
        ip(&words).map(drop)
    };
    let blackhole = ["metric", BLACKHOLE_METRIC, "proto", ROUTE_PROTOCOL];
    match change {
        RouteChange::Set(to, device) => route("replace", to, &["dev", device, "proto", ROUTE_PROTOCOL]),
        RouteChange::Remove(to, device) => route("del", to, &["dev", device, "proto", ROUTE_PROTOCOL]),
        RouteChange::AddBlackhole(to) => route("replace", to, &blackhole),
        RouteChange::RemoveBlackhole(to) => route("del", to, &blackhole),
        RouteChange::Stash(to, device) => {
            route("replace", to, &["dev", device, "proto", ROUTE_PROTOCOL, "table", STASH_TABLE])?;
            route("del", to, &["dev", device])
        }
        // In the form in which vpn2 sets them, so that it recognizes its own.
        RouteChange::Restore(to, device) => {
            route("replace", to, &["dev", device])?;
            route("del", to, &["dev", device, "table", STASH_TABLE])
        }
    }
}

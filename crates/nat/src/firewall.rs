//! The firewall of this network namespace, by iptables' own programs.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use anyhow::{Context as _, anyhow, bail};

use super::tables::{Drift, Tables};
use network_guard_core::net::Family;
use network_guard_core::vpn::nat::Plan;

/// Which iptables.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Iptables {
    /// The one that has rules of network-guard; otherwise nft if it works here; otherwise legacy. For removal: both.
    Auto,
    /// iptables-nft.
    Nft,
    /// iptables-legacy; it also needs the capability `NET_RAW`.
    Legacy,
}

/// One of the two implementations of iptables in Linux. Every packet passes through both.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Backend {
    /// `ip_tables`.
    Legacy,
    /// `nf_tables`.
    Nft,
}

const FAMILIES: [Family; 2] = [Family::V4, Family::V6];

/// The result.
#[derive(Debug)]
pub(super) struct Applied {
    pub(super) backend: Backend,
    /// What was wrong before.
    pub(super) repaired: Vec<Drift>,
    /// What could not be read.
    pub(super) unknown: Vec<Failure>,
    /// The previous state, where something was changed.
    before: Vec<(Backend, Family, Tables)>,
}

impl Applied {
    /// Restores the previous state.
    pub(super) fn take_back(&self) -> anyhow::Result<()> {
        let back = |(backend, family, before): &(Backend, Family, Tables)| take_back(*backend, *family, before);
        Ok(self.before.iter().rev().try_for_each(back)?)
    }
}

impl Backend {
    const ALL: [Self; 2] = [Self::Nft, Self::Legacy];

    /// The name of its program for IPv4.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Legacy => "iptables-legacy",
            Self::Nft => "iptables-nft",
        }
    }

    const fn other(self) -> Self {
        match self {
            Self::Legacy => Self::Nft,
            Self::Nft => Self::Legacy,
        }
    }

    fn program(self, family: Family, what: &str) -> String {
        let ip = if family == Family::V4 { "iptables" } else { "ip6tables" };
        let backend = if self == Self::Legacy { "legacy" } else { "nft" };
        format!("{ip}-{backend}{what}")
    }

    /// The backend for rules of these families. Only a probe shows for sure whether legacy works, but it makes the
    /// kernel load its tables.
    fn choose(choice: Iptables, families: &[Family], may_probe: bool) -> anyhow::Result<Self> {
        match choice {
            Iptables::Nft => return Ok(Self::Nft),
            Iptables::Legacy => return Ok(Self::Legacy),
            Iptables::Auto => {}
        }
        let has_ours =
            |backend: &Self| FAMILIES.iter().any(|family| backend.read(*family).is_ok_and(|tables| !tables.is_empty()));
        if let Some(backend) = Self::ALL.into_iter().find(has_ours) {
            return Ok(backend);
        }
        let mut problems = Vec::new();
        for backend in Self::ALL {
            let try_out =
                |family: &Family| if may_probe { backend.probe(*family) } else { backend.read(*family).map(drop) };
            match families.iter().try_for_each(try_out) {
                Ok(()) => return Ok(backend),
                Err(problem) => problems.push(format!("{}: {problem}", backend.name())),
            }
        }
        bail!("no iptables works here\n{}", problems.join("\n"))
    }

    /// Whether tables can be listed, which for the legacy backend implies that they can be written.
    fn probe(self, family: Family) -> Result<(), Failure> {
        run(&self.program(family, ""), &["-w", WAIT, "-t", "nat", "-n", "-L", "OUTPUT"], None).map(drop)
    }

    /// The tables of network-guard in the firewall.
    fn read(self, family: Family) -> Result<Tables, Failure> {
        Ok(Tables::read(&run(&self.program(family, "-save"), &[], None)?))
    }

    /// Restores tables from the text; with `is_test` it only checks whether that would succeed.
    fn restore(self, family: Family, text: &str, is_test: bool) -> Result<(), Failure> {
        let mut arguments = vec!["-w", WAIT, "--noflush"];
        arguments.extend(is_test.then_some("--test"));
        run(&self.program(family, "-restore"), &arguments, Some(text)).map(drop)
    }
}

/// How long another program may hold the lock, in seconds.
const WAIT: &str = "10";

/// The families in which something is wanted.
fn families(plan: &Plan) -> Vec<Family> {
    FAMILIES.into_iter().filter(|family| plan.rules.iter().any(|rule| rule.family == *family)).collect()
}

/// Brings the firewall to what the plan wants. When anything fails, it is as it was before.
pub(super) fn apply(plan: &Plan, choice: Iptables) -> anyhow::Result<Applied> {
    let backend = Backend::choose(choice, &families(plan), true)?;
    let (mut repaired, mut steps, mut unknown) = (Vec::new(), Vec::new(), Vec::new());
    for family in FAMILIES {
        let wanted = Tables::wanted(plan, family);
        let found = match backend.read(family) {
            Ok(found) => found,
            Err(problem) if wanted.is_empty() => {
                unknown.extend(problem.unless_not_installed());
                continue;
            }
            Err(problem) => return Err(problem.into()),
        };
        repaired.extend(found.drift(&wanted, family));
        if let Some(text) = found.transition(&wanted) {
            steps.push((family, found, text));
        }
    }
    carry_out(backend, &steps)?;
    let before = steps.into_iter().map(|(family, found, _)| (backend, family, found));
    let mut applied = Applied { backend, repaired, unknown, before: before.collect() };

    // Rules of network-guard in the other backend, such as those of an earlier image, would translate a second time.
    let other = backend.other();
    for family in FAMILIES {
        let found = match other.read(family) {
            Ok(found) => found,
            Err(problem) => {
                applied.unknown.extend(problem.unless_not_installed());
                continue;
            }
        };
        let nothing = Tables::default();
        applied.repaired.extend(found.drift(&nothing, family));
        if let Some(text) = found.transition(&nothing) {
            if let Err(error) = other.restore(family, &text, false) {
                applied.take_back()?;
                return Err(error.into());
            }
            applied.before.push((other, family, found));
        }
    }
    Ok(applied)
}

fn take_back(backend: Backend, family: Family, before: &Tables) -> Result<(), Failure> {
    match backend.read(family)?.transition(before) {
        Some(text) => backend.restore(family, &text, false),
        None => Ok(()),
    }
}

/// The deviations from the plan, in words.
pub(super) fn verify(plan: &Plan, choice: Iptables) -> anyhow::Result<(Backend, Vec<String>)> {
    let backend = Backend::choose(choice, &families(plan), false)?;
    let (mut lines, other) = (Vec::new(), backend.other());
    for family in FAMILIES {
        let wanted = Tables::wanted(plan, family);
        match backend.read(family) {
            Err(Failure::NotInstalled(_)) if wanted.is_empty() => {}
            found => lines.extend(found?.drift(&wanted, family).iter().map(ToString::to_string)),
        }
        match other.read(family) {
            Err(Failure::NotInstalled(_)) => {}
            found => {
                let drift = found
                    .context("rules of network-guard there would translate too")?
                    .drift(&Tables::default(), family);
                lines.extend(drift.iter().map(|drift| format!("{}: {drift}", other.name())));
            }
        }
    }
    Ok((backend, lines))
}

/// Removes all tables of network-guard, as far as they can be read. Returns the backends in which there was something,
/// and why some could not be read.
pub(super) fn remove(choice: Iptables) -> anyhow::Result<(Vec<Backend>, Vec<Failure>)> {
    let backends: &[Backend] = match choice {
        Iptables::Auto => &Backend::ALL,
        Iptables::Nft => &[Backend::Nft],
        Iptables::Legacy => &[Backend::Legacy],
    };
    let (mut removed, mut problems, mut missing) = (Vec::new(), Vec::new(), Vec::new());
    for &backend in backends {
        let mut steps = Vec::new();
        for family in FAMILIES {
            match backend.read(family) {
                Ok(found) => {
                    if let Some(text) = found.transition(&Tables::default()) {
                        steps.push((family, found, text));
                    }
                }
                Err(problem @ Failure::NotInstalled(_)) => missing.push(problem),
                Err(problem) => problems.push(problem),
            }
        }
        if !steps.is_empty() {
            carry_out(backend, &steps)?;
            removed.push(backend);
        }
    }
    // A backend that is not installed is not used; but where none is installed, nothing was checked.
    if missing.len() == FAMILIES.len() * backends.len() {
        problems.append(&mut missing);
    }
    Ok((removed, problems))
}

/// All steps or none: first everything is tried without effect, and when a step fails, the steps before it are undone.
fn carry_out(backend: Backend, steps: &[(Family, Tables, String)]) -> anyhow::Result<()> {
    for (family, _, text) in steps {
        backend.restore(*family, text, true).context("nothing was changed")?;
    }
    for (index, (family, _, text)) in steps.iter().enumerate() {
        let Err(error) = backend.restore(*family, text, false) else { continue };
        for (family, before, _) in steps[..=index].iter().rev() {
            take_back(backend, *family, before)
                .with_context(|| format!("{error:#}; and the previous state could not be restored"))?;
        }
        return Err(anyhow!(error).context("nothing was changed"));
    }
    Ok(())
}

/// Why a program of iptables failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("{0} is not installed here; it comes with the package iptables")]
    NotInstalled(String),
    #[error("cannot run {0}: {1}")]
    CannotRun(String, std::io::Error),
    #[error("{0} failed: {1}{hint}", hint = hint(.1))]
    Failed(String, String),
}

impl Failure {
    /// A program that is not installed has made no rules.
    fn unless_not_installed(self) -> Option<Self> {
        (!matches!(self, Self::NotInstalled(_))).then_some(self)
    }
}

fn run(program: &str, arguments: &[&str], input: Option<&str>) -> Result<String, Failure> {
    let output = start(program, arguments, input).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Failure::NotInstalled(program.to_owned()),
        _ => Failure::CannotRun(program.to_owned(), error),
    })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(Failure::Failed(program.to_owned(), String::from_utf8_lossy(&output.stderr).trim().to_owned()))
}

fn start(program: &str, arguments: &[&str], input: Option<&str>) -> std::io::Result<Output> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    if let (Some(mut stdin), Some(text)) = (child.stdin.take(), input) {
        // A program that ends without reading all of its input says why on standard error.
        let _ = stdin.write_all(text.as_bytes());
    }
    child.wait_with_output()
}

/// What to do about an error of iptables, whose own messages are rarely helpful.
fn hint(said: &str) -> &'static str {
    let has = |text: &str| said.contains(text);
    if has("Permission denied") || has("Operation not permitted") || has("you must be root") {
        "\nthis needs the capability NET_ADMIN (and for the legacy backend NET_RAW) in this network namespace: \
         run it as root, or add the capability to the container"
    } else if has("xtables.lock") {
        "\nthe lock of iptables-legacy cannot be made: name a file that can with the environment variable XTABLES_LOCKFILE"
    } else if has("do you need to insmod") || has("Table does not exist") || has("No chain/target/match by that name") {
        "\nthe kernel has no module for this: load ip_tables, iptable_nat, xt_NETMAP, xt_owner and xt_TCPMSS on the node, \
         or try the other backend with --iptables"
    } else if has("revision 0 not supported")
        || has("Couldn't load")
        || has("extension not found")
        || has("Can't find library")
    {
        "\nthe kernel or this iptables lacks an extension: NETMAP, owner, state and TCPMSS are needed"
    } else {
        ""
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints() {
        for (said, want) in [
            (
                "iptables v1.8.9 (legacy): can't initialize iptables table `nat': Permission denied (you must be root)",
                "NET_ADMIN",
            ),
            ("iptables-nft: Could not fetch rule set generation id: Permission denied (you must be root)", "NET_ADMIN"),
            ("can't initialize iptables table `nat': Table does not exist (do you need to insmod?)", "no module"),
            ("Warning: Extension NETMAP revision 0 not supported, missing kernel module?", "lacks an extension"),
            ("Couldn't load target `NETMAP':No such file or directory", "lacks an extension"),
            ("Fatal: can't open lock file /run/xtables.lock: Read-only file system", "XTABLES_LOCKFILE"),
            ("Error: target extension not found", "lacks an extension"),
        ] {
            assert!(hint(said).contains(want), "{said}: {}", hint(said));
        }
        assert_eq!(hint("line 3 failed"), "");
    }
}

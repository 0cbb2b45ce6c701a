//! The command line: one file for each subcommand.

mod certs;
mod check;
mod columns;
mod doctor;
mod log;
mod nat;
mod output;
mod overlaps;
mod serve;
mod served;
mod switches;
mod webhooks;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Network admission webhook for Gardener landscapes.
///
/// Exit codes: 0 fine, 1 findings, 2 failure.
#[derive(Debug, Parser)]
#[command(version, about, long_about = None, after_help = "\
Try it without Kubernetes:
  network-guard serve all --landscape examples/landscape
  network-guard check --landscape examples/landscape examples/landscape/garden/shop.yaml

Every flag of `serve` can also be set in the environment: --bind-address is NETWORK_GUARD_BIND_ADDRESS.")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the admission server
    #[command(subcommand)]
    Serve(serve::Serve),
    /// Check Shoots in files as `serve garden` would, without Kubernetes
    ///
    /// Exit code 1 when one of them would be refused, and 2 when a Shoot, a Seed or a Cluster in the files cannot be
    /// read: what is skipped is named, and the others are checked.
    Check(check::Check),
    /// List Shoots whose networks overlap the Pods of their Seed
    ///
    /// Print a table of all Shoots whose networks overlap the Pods of their Seed: which networks, where they appear in
    /// the tunnel, whether the kube-apiserver has the sidecar, and whether its VPN has the networks of the Cluster
    ///
    /// MISSING means that the API server needs the sidecar and does not have it: the next write with another Pod
    /// template adds it, if the webhook is registered. OTHER means that the VPN of the kube-apiserver has other
    /// networks than the Cluster, so the two ends of the tunnel may map differently until gardenlet writes the
    /// kube-apiserver again. Exit code 1 when there is such a Shoot, one whose networks cannot be translated, or a
    /// Cluster that cannot be used; 2 when something in the folder cannot be read, which is named.
    Overlaps(overlaps::Overlaps),
    /// List switches from Calico's overlay to native routing that a Seed holds
    ///
    /// Print a table of all held switches: how long they have been held, how many nodes have their routes, and what is
    /// missing
    ///
    /// A switch is held from when a Shoot asks for native routing until every node has its route. To let one through at
    /// once, annotate the Shoot: network-guard.extensions.gardener.cloud/overlay-switch=force
    Switches(switches::Switches),
    /// Plan, apply and verify the double NAT of an overlapping Shoot
    #[command(subcommand)]
    Nat(nat::Nat),
    /// Make certificates for development, and inspect those in use
    #[command(subcommand)]
    Certs(certs::Certs),
    /// Check whether an installed network-guard works, and show what to do where it does not
    #[command(subcommand)]
    Doctor(doctor::Doctor),
    /// Print the webhook configurations, ready for `kubectl apply`
    #[command(subcommand)]
    Webhooks(webhooks::Webhooks),
    /// Print the documentation of all rules, as Markdown
    Rules,
}

impl Args {
    /// Runs what the arguments of this process say.
    pub fn main() -> ExitCode {
        let result = match Self::try_parse() {
            Ok(args) => args.run(),
            // Help, and the version.
            Err(shown) if !shown.use_stderr() => output::written(shown.print()).map(|()| ExitCode::SUCCESS),
            Err(error) => {
                output::warn_by(move || drop(error.print()));
                return ExitCode::from(2);
            }
        };
        result.unwrap_or_else(|error| {
            output::warn(format!("error: {error:#}\n"));
            ExitCode::from(2)
        })
    }

    fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::Check(check) => return check.run(),
            Command::Doctor(doctor) => return doctor.run(),
            Command::Nat(nat) => return nat.run(),
            Command::Serve(serve) => serve.run()?,
            Command::Overlaps(overlaps) => return overlaps.run(),
            Command::Switches(switches) => switches.run()?,
            Command::Certs(certs) => return certs.run(),
            Command::Webhooks(webhooks) => webhooks.run()?,
            Command::Rules => output::print(&network_guard_core::webhooks::rules_markdown())?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn flags_are_consistent() {
        super::Args::command().debug_assert();
    }
}

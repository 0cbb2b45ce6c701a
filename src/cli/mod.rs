//! The door: one file a subcommand, which wires the rest together.

mod certs;
mod check;
mod columns;
mod doctor;
mod log;
mod nat;
mod overlap;
mod overlay;
mod serve;
mod served;
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
    /// Judge Shoots in files as `serve garden` would, without Kubernetes
    ///
    /// Exit code 1 when one of them would be refused, and 2 when a Shoot, a Seed or a Cluster in the files cannot be read: what is
    /// skipped is named, and the others are judged.
    Check(check::Check),
    /// Look at Shoots whose networks overlap the Pods of their Seed
    #[command(subcommand)]
    Overlap(overlap::Overlap),
    /// Look at switches from Calico's overlay to native routing that a Seed holds
    #[command(subcommand)]
    Overlay(overlay::Overlay),
    /// Plan, apply and verify the double NAT of an overlapping Shoot
    #[command(subcommand)]
    Nat(nat::Nat),
    /// Make certificates for development, and look at those that are used
    #[command(subcommand)]
    Certs(certs::Certs),
    /// Ask whether an installed network-guard works, and what to do where it does not
    #[command(subcommand)]
    Doctor(doctor::Doctor),
    /// Print the webhook configurations, ready for `kubectl apply`
    #[command(subcommand)]
    Webhooks(webhooks::Webhooks),
    /// Print the documentation of all rules, as Markdown
    Rules,
}

impl Args {
    /// Does what was asked for.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::Check(check) => return check.run(),
            Command::Doctor(doctor) => return doctor.run(),
            Command::Nat(nat) => return nat.run(),
            Command::Serve(serve) => serve.run()?,
            Command::Overlap(overlap) => return overlap.run(),
            Command::Overlay(overlay) => overlay.run()?,
            Command::Certs(certs) => return certs.run(),
            Command::Webhooks(webhooks) => webhooks.run()?,
            Command::Rules => print(&crate::handlers::rules_markdown()),
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Writes to standard output. A reader that went away, such as `head`, is no failure.
fn print(text: &str) {
    use std::io::Write as _;
    let _ = std::io::stdout().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn flags_are_consistent() {
        super::Args::command().debug_assert();
    }
}

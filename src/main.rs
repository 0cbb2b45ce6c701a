//! The program: allocator, crypto provider, exit code.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser;
use network_guard::cli::Args;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // One provider for all of rustls, before anything can ask for one: kube's client and our server share it.
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        eprintln!("error: another crypto provider is installed already");
        return ExitCode::from(2);
    }
    match Args::parse().run() {
        Ok(code) => code,
        Err(error) => {
            // Standard error may be closed.
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::from(2)
        }
    }
}

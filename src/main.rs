//! The program: allocator, crypto provider, exit code.

use std::process::ExitCode;

use network_guard::cli::Args;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // One provider for all of rustls, before anything can ask for one: kube's client and our server share it.
    rustls::crypto::aws_lc_rs::default_provider().install_default().expect("nothing ran before this");
    Args::main()
}

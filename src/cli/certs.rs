//! `network-guard certs`: certificates for development, and inspection of those in use.

mod inspect;

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Subcommand;
use jiff::Timestamp;

use network_guard_controllers::certificates::Authority;

#[derive(Debug, Subcommand)]
pub(super) enum Certs {
    /// Write a new CA and a server certificate: ca.crt, tls.crt and tls.key
    ///
    /// The CA's key is not kept: run again for another certificate, and give API servers the new ca.crt.
    Generate {
        /// The folder to write to; created if it does not exist; existing files are replaced
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// A DNS name or IP address under which clients call the server; may be repeated
        #[arg(long = "san", value_name = "NAME", default_values_t = default_names())]
        names: Vec<String>,
        /// How long the certificate is valid, in days
        #[arg(long, value_name = "DAYS", default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..=3650))]
        days: u32,
    },
    /// Inspect the Secret of the certificate, the CAs that API servers trust, and the certificate that is served
    ///
    /// In a Pod of the server, which has all rights already:
    ///   network-guard certs inspect --config /etc/network-guard/config/config.yaml --server 127.0.0.1:10250
    ///
    /// Exit code 1 when an API server would not trust the served certificate, or something cannot be used.
    #[command(verbatim_doc_comment)]
    Inspect(inspect::Inspect),
}

/// The names under which clients call a server on this machine.
pub(super) fn default_names() -> Vec<String> {
    ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec()
}

impl Certs {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let (out, names, days) = match self {
            Self::Generate { out, names, days } => (out, names, days),
            Self::Inspect(inspect) => return inspect.run(),
        };
        generate(&out, &names, Duration::from_secs(u64::from(days) * 24 * 60 * 60))?;
        super::output::print(&format!(
            "wrote ca.crt, tls.crt and tls.key to {}, valid for {days} days for {}\n",
            out.display(),
            names.join(", ")
        ))?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Writes a CA and a server certificate.
pub(super) fn generate(out: &Path, names: &[String], lifetime: Duration) -> anyhow::Result<()> {
    let now = Timestamp::now();
    let authority = Authority::new("network-guard development CA", now, lifetime)?;
    let server = authority.server(names, now, lifetime)?;
    fs::create_dir_all(out).with_context(|| format!("cannot make the folder {}", out.display()))?;
    replace(
        out,
        &[
            ("ca.crt", authority.certificate(), 0o644),
            ("tls.key", &server.key, 0o600),
            ("tls.crt", &server.certificate, 0o644),
        ],
    )
}

/// Replaces files of a folder, each atomically: a reader sees the old text or the new one. All of them are written before
/// the first one is replaced, so where there is no room for all, those that were there stay together. A rename needs no room,
/// but may fail for other reasons, as where a file is mounted: then files of both are there, and the error names the first old one.
fn replace(folder: &Path, files: &[(&str, &str, u32)]) -> anyhow::Result<()> {
    let path = |name: &str| folder.join(name);
    let beside = |name: &str| path(name).with_added_extension("new");
    let written = files.iter().try_for_each(|(name, text, mode)| {
        write_new(&beside(name), text, *mode).with_context(|| format!("cannot write {}", path(name).display()))
    });
    let replaced = written.and_then(|()| {
        files.iter().try_for_each(|(name, ..)| {
            fs::rename(beside(name), path(name)).with_context(|| format!("cannot replace {}", path(name).display()))
        })
    });
    if replaced.is_err() {
        for (name, ..) in files {
            let _ = fs::remove_file(beside(name));
        }
    }
    replaced
}

/// Writes a file that is new. The mode is set before there is any content.
fn write_new(path: &Path, text: &str, mode: u32) -> std::io::Result<()> {
    let _ = fs::remove_file(path);
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(text.as_bytes())?;
    // Some file systems say only here that there is no room.
    file.sync_all()
}

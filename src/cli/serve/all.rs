//! `serve all`: the default for trying out, on a folder of manifests.

use std::fmt::Write as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;

use super::Common;
use crate::cli::certs;
use crate::config::Configuration;
use crate::wiring;
use crate::wiring::webhook_server::Addresses;
use network_guard_core::webhooks::{
    ADVISE_SHOOT_PATH, KUBE_APISERVER_PATH, MUTATE_SHOOT_PATH, NETWORK_PATH, VALIDATE_SHOOT_PATH, VPN_SHOOT_PATH,
};
use network_guard_runtime::metrics::Metrics;

/// Serves a folder, with a temporary certificate unless one is given.
pub(super) fn serve(
    common: Common,
    landscape: PathBuf,
    configuration: &Configuration,
    metrics: Metrics,
) -> anyhow::Result<()> {
    wiring::readable(&landscape)?;
    let temporary = match &common.cert_dir {
        Some(_) => None,
        None => Some(temporary_certificate()?),
    };
    let listen = common.listen();
    let cert_dir = common.cert_dir.or_else(|| temporary.as_ref().map(|folder| folder.0.clone()));
    let cert_dir = cert_dir.expect("one of the two is there");
    wiring::All { listen, cert_dir, landscape }.serve(configuration, metrics, |addresses| {
        greet(addresses, temporary.as_ref());
    })
}

/// A folder that is removed when this is dropped.
struct TemporaryFolder(PathBuf);

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// How long a temporary certificate is valid: longer than any demo.
const TEMPORARY_LIFETIME: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// A review for trying out the server: a Deployment that gardenlet wrote, for a Shoot of the example landscape.
const EXAMPLE_REVIEW: &str = include_str!("../../../examples/admission-review.json");

/// Another one: a Shoot with impossible peerings.
const EXAMPLE_SHOOT_REVIEW: &str = include_str!("../../../examples/shoot-review.json");

fn temporary_certificate() -> anyhow::Result<TemporaryFolder> {
    let path = std::env::temp_dir().join(format!("network-guard-{}", std::process::id()));
    // Another user must neither have prepared it nor be able to read it.
    std::fs::DirBuilder::new().mode(0o700).create(&path).with_context(|| {
        let path = path.display();
        format!("cannot make the folder {path}; give a certificate with --cert-dir, or another folder with TMPDIR")
    })?;
    let folder = TemporaryFolder(path);
    certs::generate(&folder.0, &certs::default_names(), TEMPORARY_LIFETIME)?;
    for (name, text) in [("review.json", EXAMPLE_REVIEW), ("shoot-review.json", EXAMPLE_SHOOT_REVIEW)] {
        let path = folder.0.join(name);
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(folder)
}

/// Prints the addresses of the server, and how to call it.
fn greet(addresses: Addresses, temporary: Option<&TemporaryFolder>) {
    let port = addresses.webhooks.port();
    let mut text = format!(
        "network-guard is listening\n\
         \x20 webhooks  https://localhost:{port}{KUBE_APISERVER_PATH}\n\
         \x20           https://localhost:{port}{NETWORK_PATH}\n\
         \x20           https://localhost:{port}{VPN_SHOOT_PATH}/NAMESPACE/UID\n\
         \x20           https://localhost:{port}{MUTATE_SHOOT_PATH}\n\
         \x20           https://localhost:{port}{VALIDATE_SHOOT_PATH}\n\
         \x20           https://localhost:{port}{ADVISE_SHOOT_PATH}\n\
         \x20 health    http://localhost:{}/readyz\n\
         \x20 metrics   http://localhost:{}/metrics\n",
        addresses.health.port(),
        addresses.metrics.port(),
    );
    if let Some(TemporaryFolder(folder)) = temporary {
        let folder = folder.display();
        let _ = write!(
            text,
            "\nTry it: what an API server would ask about the kube-apiserver of a Shoot that overlaps its Seed.\n\n\
             curl -sS --cacert {folder}/ca.crt -H 'Content-Type: application/json' \\\n\
             \x20 --data-binary @{folder}/review.json https://localhost:{port}{KUBE_APISERVER_PATH} \\\n\
             \x20 | python3 -c 'import base64,json,sys; r=json.load(sys.stdin)[\"response\"]; \
             r[\"patch\"]=json.loads(base64.b64decode(r.get(\"patch\",\"W10=\"))); print(json.dumps(r,indent=2))'\n\n\
             And what alice is told, who creates a Shoot with peerings that cannot be.\n\n\
             curl -sS --cacert {folder}/ca.crt -H 'Content-Type: application/json' \\\n\
             \x20 --data-binary @{folder}/shoot-review.json https://localhost:{port}{VALIDATE_SHOOT_PATH} \\\n\
             \x20 | python3 -c 'import json,sys; r=json.load(sys.stdin)[\"response\"]; \
             print(*r.get(\"warnings\",[]),r.get(\"status\",{{}}).get(\"message\",\"accepted\"),sep=chr(10))'\n\n"
        );
    }
    crate::cli::output::tell(text);
}

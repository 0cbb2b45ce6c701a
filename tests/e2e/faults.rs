//! What breaks around our server: each test says what it costs, in lines that begin with `figure:`.

#![allow(clippy::print_stdout, reason = "figures are for people")]

mod outages;
mod quiet;
mod secrets;
mod watch;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::harness::{Api, Patch, fixture};

pub const CLUSTERS: &str = "/apis/extensions.gardener.cloud/v1alpha1/clusters";

pub fn runtime() -> Arc<Runtime> {
    // As in the program itself; another test of this process may have done it before.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    Arc::new(tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap())
}

/// An API server, as the user of a kubeconfig, for answers that take any time.
fn client(runtime: &Runtime, kubeconfig: &Path) -> kube::Client {
    let kubeconfig = kube::config::Kubeconfig::read_from(kubeconfig).unwrap();
    runtime.block_on(async {
        let options = kube::config::KubeConfigOptions::default();
        let mut config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await.unwrap();
        config.read_timeout = None;
        kube::Client::try_from(config).unwrap()
    })
}

fn namespace(shoot: usize) -> String {
    format!("shoot--local--f{shoot}")
}

/// Something happens several times a second, until this is dropped: where nothing ever does, a watch is silent for a
/// minute.
struct Heart(Arc<AtomicBool>, Option<JoinHandle<()>>);

impl Heart {
    fn start(kubeconfig: &Path) -> Self {
        let (api, stop) = (Api::new(kubeconfig), Arc::<AtomicBool>::default());
        let thread = std::thread::spawn({
            let stop = Arc::clone(&stop);
            move || {
                for beat in 0.. {
                    if stop.load(Ordering::SeqCst) {
                        return;
                    }
                    let changes = json!({"metadata": {"annotations": {"beat": beat.to_string()}}});
                    // The API server may be away for a while.
                    let _ = api.try_patch(&format!("{CLUSTERS}/{}", namespace(5)), Patch::Merge, &changes);
                    std::thread::sleep(Duration::from_millis(250));
                }
            }
        });
        Self(stop, Some(thread))
    }
}

impl Drop for Heart {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
        let _ = self.1.take().map(JoinHandle::join);
    }
}

/// A Cluster that overlaps its Seed, or does not.
pub fn cluster(shoot: usize, overlaps: bool) -> Value {
    let mut cluster = fixture("ha", "cluster");
    cluster["metadata"] = json!({"name": namespace(shoot)});
    if overlaps {
        cluster["spec"]["seed"]["spec"]["networks"]["pods"] = "10.0.0.0/8".into();
    }
    cluster
}

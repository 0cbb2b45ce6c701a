//! Changes of the routes of this network namespace, as `ip monitor` reports them.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use anyhow::anyhow;
use tokio::sync::Notify;

/// Reports every change of a route in this namespace, until it is dropped.
pub(super) struct RouteMonitor {
    monitor: Child,
    /// A change was reported.
    pub(super) changed: Arc<Notify>,
}

impl RouteMonitor {
    pub(super) fn start() -> anyhow::Result<Self> {
        let mut monitor = Command::new("ip")
            .args(["-4", "monitor", "route"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| anyhow!(error).context("cannot run ip, which tells of changes"))?;
        let changed = Arc::new(Notify::new());
        if let Some(lines) = monitor.stdout.take() {
            let changed = Arc::clone(&changed);
            std::thread::spawn(move || {
                for line in BufReader::new(lines).lines() {
                    if line.is_err() {
                        break;
                    }
                    changed.notify_one();
                }
            });
        }
        Ok(Self { monitor, changed })
    }
}

impl Drop for RouteMonitor {
    fn drop(&mut self) {
        let _ = self.monitor.kill();
        let _ = self.monitor.wait();
    }
}

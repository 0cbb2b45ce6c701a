//! The route controller of Kubernetes' cloud-controller-managers, in two versions, beside a Shoot.

use std::fs;
use std::path::PathBuf;

use super::{Process, Shoot, tool, until};

/// A real route controller with the fake cloud of its own tests.
pub struct RouteController {
    process: Process,
    refused: PathBuf,
}

impl RouteController {
    /// Kubernetes 1.35: compares nothing but the status of a node's condition.
    pub const V1_35: &str = "route-controller-0.35";
    /// Kubernetes 1.36: compares the reason as well.
    pub const V1_36: &str = "route-controller";

    /// Starts one of them, whose cloud makes no routes for these nodes.
    pub fn start(shoot: &Shoot, version: &str, refused: &[&str]) -> Self {
        let kubeconfig = shoot.kubeconfig();
        let folder = kubeconfig.parent().unwrap().to_owned();
        let file = folder.join("refused-routes");
        let arguments = [
            format!("-kubeconfig={}", kubeconfig.display()),
            "-cluster-cidr=100.96.0.0/11".to_owned(),
            // A round for each look of our server, as by default.
            "-route-reconciliation-period=1s".to_owned(),
            format!("-refused={}", file.display()),
            "-v=2".to_owned(),
        ];
        refuse(&file, refused);
        let mut process = Process::start(&folder, "route-controller", &tool(version), &arguments);
        until("the route controller has started", || {
            assert!(process.is_running(), "{}", process.last_words());
            process.output().contains("Starting route controller")
        });
        Self { process, refused: file }
    }

    /// From now on its cloud makes no routes for these nodes, and for all others.
    pub fn refuse(&self, nodes: &[&str]) {
        refuse(&self.refused, nodes);
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        self.process.output()
    }

    /// Pauses it.
    pub fn pause(&self) {
        self.process.signal("STOP");
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.process.signal("CONT");
    }
}

fn refuse(file: &PathBuf, nodes: &[&str]) {
    // In one step: it reads the file at any time.
    let next = file.with_extension("next");
    fs::write(&next, nodes.join("\n")).unwrap();
    fs::rename(next, file).unwrap();
}

//! A Seed and a Shoot, each with an API server of its own, and Gardener around them: gardenlet's component for Networks,
//! a network extension by Gardener's library, and gardener-resource-manager, which lets our server into the Shoot.

mod nodes;
mod resource_manager;
mod routes;
mod service;
mod shoot;
mod warnings;

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::Command;

pub use routes::RouteController;
use serde_json::{Value, json};
pub use service::Service;
pub use shoot::{Report, Shoot};

use super::{Api, ControlPlane, Guard, Process, control_plane, free_port, tool, until};

/// What is in front of the names of our annotations.
pub const PREFIX: &str = "network-guard.extensions.gardener.cloud";

/// Everything for one Shoot that switches its overlay off.
pub struct Switch {
    // Dropped in this order: clients go before servers.
    /// The Shoot.
    pub shoot: Shoot,
    /// Its Seed.
    pub seed: Seed,
}

/// A Seed with its network extension and, mostly, our server.
pub struct Seed {
    guard: Option<Guard>,
    extension: Process,
    /// Its API server, as an administrator.
    pub api: Api,
    /// Its API server.
    pub control_plane: ControlPlane,
}

impl Switch {
    /// Starts all of it, with our webhooks registered.
    pub fn start() -> Self {
        Self::start_with(&json!({}))
    }

    /// The same with more in the section `overlay` of our configuration.
    pub fn start_with(overlay: &Value) -> Self {
        Self::start_configured(overlay, "")
    }

    /// The same with further lines of configuration.
    pub fn start_configured(overlay: &Value, further: &str) -> Self {
        let port = free_port();
        let mut switch = Self::start_without_guard_at(port);
        switch.seed.start_guard(&format!("https://127.0.0.1:{port}"), overlay, further);
        switch
    }

    /// The same without our server: Gardener alone.
    pub fn start_without_guard() -> Self {
        Self::start_without_guard_at(free_port())
    }

    fn start_without_guard_at(port: u16) -> Self {
        Self::start_seed_with(&[], port)
    }

    /// The same with further arguments for the API server of the Seed, and our server as it is installed there by
    /// anyone who is told where the Shoot's API server is.
    pub fn start_installed(further: &[String], install: impl FnOnce(&ControlPlane, &str) -> Guard) -> Self {
        let port = free_port();
        let mut switch = Self::start_seed_with(further, port);
        let guard = install(&switch.seed.control_plane, &format!("https://127.0.0.1:{port}"));
        switch.seed.guard = Some(guard);
        switch
    }

    fn start_seed_with(further: &[String], port: u16) -> Self {
        let (seed, mut shoots) = ControlPlane::start_seed_and_shoots(further, &[(Ipv4Addr::LOCALHOST, port)]);
        let seed = Seed::start(seed);
        let shoot = Shoot::start(&seed, "shoot--local--aws", "aws", shoots.remove(0));
        Self { shoot, seed }
    }

    /// One Seed, and two Shoots whose API servers have one port at two addresses: their namespaces are these addresses.
    pub fn start_two() -> (Self, Shoot) {
        let port = free_port();
        let addresses = [Ipv4Addr::new(127, 0, 0, 2), Ipv4Addr::new(127, 0, 0, 3)];
        let (seed, mut shoots) = ControlPlane::start_seed_and_shoots(&[], &addresses.map(|address| (address, port)));
        let mut seed = Seed::start(seed);
        seed.start_guard(&format!("https://{{namespace}}:{port}"), &json!({}), "");
        let names = addresses.map(control_plane::address_as_name);
        let second = Shoot::start(&seed, &names[1], "second", shoots.remove(1));
        (Self { shoot: Shoot::start(&seed, &names[0], "first", shoots.remove(0)), seed }, second)
    }

    /// Our server.
    pub fn guard(&self) -> &Guard {
        self.seed.guard()
    }

    /// Waits until our server has had this many more looks at all switches that are held, one of them at a time, and checks
    /// something all the time.
    #[track_caller]
    pub fn after_looks(&self, count: u32, each: impl FnMut()) {
        self.guard().after_turns("overlay-switch", count, each);
    }

    /// Whether anything of network-guard that leads into the Shoot is left in its namespace.
    pub fn has_access(&self) -> bool {
        self.has_access_of(&self.shoot)
    }

    /// The same for another Shoot.
    pub fn has_access_of(&self, shoot: &Shoot) -> bool {
        let namespace = format!("namespaces/{}", shoot.namespace);
        [
            format!("/api/v1/{namespace}/secrets/shoot-access-network-guard"),
            format!("/api/v1/{namespace}/secrets/managedresource-network-guard-overlay"),
            format!("/apis/resources.gardener.cloud/v1alpha1/{namespace}/managedresources/network-guard-overlay"),
        ]
        .iter()
        .any(|path| self.seed.api.get(path).is_some())
    }

    /// What `network-guard switches` prints.
    pub fn switches(&self) -> String {
        self.switches_as("table")
    }

    /// The same for programs.
    pub fn switches_json(&self) -> String {
        self.switches_as("json")
    }

    fn switches_as(&self, format: &str) -> String {
        let kubeconfig = self.seed.control_plane.kubeconfig("admin", "system:masters");
        let mut command = Command::new(env!("CARGO_BIN_EXE_network-guard"));
        let arguments = ["switches", "--output", format, "--kubeconfig"];
        let output = command.args(arguments).arg(kubeconfig).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Moves the control plane of the Shoot to another Seed, where it asks for this. It is the same API server again,
    /// with nothing left of the Shoot and with new processes: nobody remembers anything.
    pub fn move_to_another_seed(&mut self, config: &Value) -> Report {
        let (seed, shoot) = (&mut self.seed, &self.shoot);
        let state = shoot.migrate();
        shoot.destroy().ok();
        seed.extension.kill();
        if let Some(guard) = &mut seed.guard {
            guard.kill();
        }
        for kind in ["/apis/resources.gardener.cloud/v1alpha1/NAMESPACE/managedresources", "/api/v1/NAMESPACE/secrets"]
        {
            let path = kind.replace("NAMESPACE", &format!("namespaces/{}", shoot.namespace));
            for object in seed.api.list(&path) {
                seed.api.delete(&format!("{path}/{}", object["metadata"]["name"].as_str().unwrap()));
            }
        }
        seed.extension = start_extension(&seed.control_plane);
        if seed.guard.is_some() {
            seed.restart_guard();
        }
        shoot.restore(config, &state)
    }
}

impl Seed {
    fn start(control_plane: ControlPlane) -> Self {
        let api = Api::new(&control_plane.kubeconfig("admin", "system:masters"));
        let extension = start_extension(&control_plane);
        Self { guard: None, extension, api, control_plane }
    }

    fn start_guard(&mut self, shoot_server: &str, further: &Value, lines: &str) {
        let mut overlay = json!({
            "providers": ["aws"], "pollSeconds": 1, "windowSeconds": 1, "notReadyMinutes": 10, "guardRollout": true,
            "shootServer": shoot_server, "leaseNamespace": "garden",
        });
        overlay.as_object_mut().unwrap().extend(further.as_object().unwrap().clone());
        let guard = Guard::start_configured(&self.control_plane, &format!("overlay: {overlay}\n{lines}"));
        guard.wait_until_ready();
        guard.register(&self.control_plane);
        self.guard = Some(guard);
    }

    /// Our server.
    pub fn guard(&self) -> &Guard {
        self.guard.as_ref().expect("it was started with our server")
    }

    /// The same for a test that looks after it by itself.
    pub fn take_guard(&mut self) -> Guard {
        self.guard.take().expect("it was started with our server")
    }

    /// Ends our server without a warning.
    pub fn kill_guard(&mut self) {
        self.guard.as_mut().expect("it was started with our server").kill();
    }

    /// Starts our server again without waiting.
    pub fn start_guard_again(&mut self) {
        self.guard.as_mut().expect("it was started with our server").start_again();
    }

    /// Starts our server again. Its Lease has run out by then: a test need not wait for that.
    pub fn restart_guard(&mut self) {
        // While it runs it takes the Lease again, and it has the ports of the next one.
        self.kill_guard();
        self.api.delete(&format!("{LEASES}/network-guard-overlay"));
        self.guard.as_mut().expect("it was started with our server").restart();
    }

    /// Starts our server again with another window, in seconds, for which all routes must be there.
    pub fn restart_guard_with_window(&mut self, seconds: u32) {
        self.kill_guard();
        self.guard().configure(|configuration| configuration["overlay"]["windowSeconds"] = json!(seconds));
        self.restart_guard();
    }

    /// Who leads, as the Lease says; empty while nobody does.
    pub fn leader(&self) -> String {
        let lease = self.api.get(&format!("{LEASES}/network-guard-overlay")).unwrap_or_default();
        lease["spec"]["holderIdentity"].as_str().unwrap_or_default().to_owned()
    }

    /// Pauses the extension: it renders nothing, and gardenlet waits for it.
    pub fn pause_extension(&self) {
        self.extension.signal("STOP");
    }

    /// Lets it go on.
    pub fn resume_extension(&self) {
        self.extension.signal("CONT");
    }

    /// From now on the extension has the feature gate SeamlessOverlaySwitch, and asks this Shoot.
    pub fn extension_gates(&self, shoot: &Shoot) {
        self.extension_behaves(&json!({"gateKubeconfig": shoot.kubeconfig()}));
    }

    /// From now on the extension renders whatever it is given, at once.
    pub fn extension_is_plain(&self) {
        self.extension_behaves(&json!({}));
    }

    fn extension_behaves(&self, behaviour: &Value) {
        // In one step: it reads the file at any time.
        let next = self.control_plane.folder().join("behaviour.next");
        std::fs::write(&next, behaviour.to_string()).unwrap();
        std::fs::rename(next, self.control_plane.folder().join(BEHAVIOUR)).unwrap();
    }

    fn gardenlet(&self) -> PathBuf {
        self.control_plane.kubeconfig("gardenlet", "gardenlets")
    }
}

fn start_extension(control_plane: &ControlPlane) -> Process {
    let path = |name: &str| control_plane.folder().join(name);
    let mut arguments = vec!["extension".to_owned(), "-types=calico,cilium".to_owned()];
    arguments.extend(
        [
            ("kubeconfig", control_plane.kubeconfig("extension", "system:masters")),
            ("record", path(shoot::RECORD)),
            ("behaviour", path(BEHAVIOUR)),
        ]
        .map(|(name, value)| format!("-{name}={}", value.display())),
    );
    Process::start(control_plane.folder(), "extension", &tool("network-driver"), &arguments)
}

/// The file that says how the extension behaves.
const BEHAVIOUR: &str = "behaviour.json";

const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/garden/leases";

//! A Shoot: its API server with nodes, gardener-resource-manager, and its objects on the Seed as gardenlet writes them.

use std::cell::{Cell, RefCell};
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::resource_manager::start_resource_manager;
use super::{Api, ControlPlane, PREFIX, Process, Seed, tool, until};
use crate::harness::fixture;

/// The file on the Seed's side to which the extension writes what it renders.
pub const RECORD: &str = "rendered.jsonl";

/// A Shoot with workers, its control plane on a Seed.
pub struct Shoot {
    /// The namespace of its control plane on the Seed.
    pub namespace: String,
    /// Its name, which is also that of its Network.
    pub name: String,
    /// The API server of its Seed, as an administrator.
    pub seed: Api,
    /// Its own API server, as an administrator.
    pub api: Api,
    seed_folder: PathBuf,
    gardenlet: PathBuf,
    cluster: RefCell<Value>,
    pub(super) nodes: Cell<u8>,
    resource_manager: Process,
    control_plane: ControlPlane,
}

/// What a call as gardenlet told.
#[derive(Debug, Deserialize)]
pub struct Report {
    /// The Network before.
    pub before: Option<Stored>,
    /// The Network after.
    pub after: Option<Stored>,
    /// Why it failed; none when it did not.
    pub error: Option<String>,
}

/// What gardenlet looks at in a stored Network.
#[derive(Clone, Debug, Deserialize)]
pub struct Stored {
    /// It counts changes of the specification.
    pub generation: i64,
    /// When gardenlet wrote it.
    #[serde(default)]
    pub timestamp: String,
    /// `status.state`, which goes along to another Seed.
    #[serde(default)]
    pub state: Value,
}

/// What Calico was given.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rendered {
    namespace: String,
    /// `reconcile`, `restore`, `migrate` or `delete`.
    pub operation: String,
    /// The NetworkConfig; null without one.
    pub provider_config: Value,
    /// The IP families.
    pub ip_families: Vec<String>,
}

/// A call as gardenlet that is under way.
pub struct Gardenlet(Child);

impl Gardenlet {
    /// Waits for its end.
    pub fn join(self) -> Report {
        let output = self.0.wait_with_output().unwrap();
        assert!(output.status.success(), "network-driver: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }
}

impl Report {
    /// It went well.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.error, None, "{self:?}");
        self
    }

    /// By how much the generation grew.
    pub fn grew(&self) -> i64 {
        let generation = |stored: &Option<Stored>| stored.as_ref().map_or(0, |stored| stored.generation);
        generation(&self.after) - generation(&self.before)
    }
}

impl Shoot {
    /// Puts a Shoot onto a Seed.
    pub fn start(seed: &Seed, namespace: &str, name: &str, control_plane: ControlPlane) -> Self {
        let api = Api::new(&control_plane.kubeconfig("admin", "system:masters"));
        until("the Shoot has its namespaces", || api.get("/api/v1/namespaces/kube-system").is_some());
        let shoot = Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            seed: seed.api.clone(),
            api,
            seed_folder: seed.control_plane.folder().to_owned(),
            gardenlet: seed.gardenlet(),
            cluster: RefCell::new(cluster(namespace, name)),
            nodes: Cell::new(0),
            resource_manager: start_resource_manager(seed, namespace, &control_plane),
            control_plane,
        };
        shoot.label_namespace("aws", "calico");
        shoot.update_cluster(|_| ());
        shoot
    }

    /// Its namespace with the labels by which webhooks choose.
    pub fn label_namespace(&self, provider: &str, network: &str) {
        self.seed.apply(
            "/api/v1/namespaces",
            &json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace, "labels": {
                "gardener.cloud/role": "shoot",
                "shoot.gardener.cloud/provider": provider,
                "networking.shoot.gardener.cloud/provider": network,
            }}}),
        );
    }

    // === the Cluster ===

    /// Changes the Shoot that its Cluster shows, as gardenlet syncs it.
    pub fn update_cluster(&self, change: impl FnOnce(&mut Value)) {
        let mut cluster = self.cluster.borrow_mut();
        change(&mut cluster["spec"]["shoot"]);
        self.seed.apply("/apis/extensions.gardener.cloud/v1alpha1/clusters", &cluster);
    }

    /// The Pod network of the Seed that its Cluster shows.
    pub fn seed_pods(&self, cidr: &str) {
        self.cluster.borrow_mut()["spec"]["seed"]["spec"]["networks"]["pods"] = json!(cidr);
        self.update_cluster(|_| ());
    }

    /// What its Cluster says of it.
    pub fn shoot(&self) -> Value {
        self.cluster.borrow()["spec"]["shoot"].clone()
    }

    /// The Shoot's last operation.
    pub fn last_operation(&self, kind: &str, state: &str) {
        self.update_cluster(|shoot| {
            shoot["status"]["lastOperation"] = json!({
                "type": kind, "state": state, "progress": if state == "Succeeded" { 100 } else { 50 },
                "description": "", "lastUpdateTime": Timestamp::now().round(jiff::Unit::Second).unwrap(),
            });
        });
    }

    /// The annotation with which operators let a switch pass at once; none removes it.
    pub fn force(&self, value: Option<&str>) {
        let name = format!("{PREFIX}/overlay-switch");
        self.update_cluster(|shoot| shoot["metadata"]["annotations"] = json!({name: value}));
    }

    // === as gardenlet ===

    /// Starts a reconciliation of the Shoot and gets as far as its Network. Null stands for no providerConfig.
    pub fn deploy(&self, config: &Value) -> Report {
        self.begin(config, "Reconcile");
        self.gardenlet("deploy", config, &[]).join()
    }

    /// Waits for the Network and ends the reconciliation of the Shoot.
    pub fn wait(&self) -> Report {
        let report = self.gardenlet("wait", &Value::Null, &[]).join();
        self.end("Reconcile", &report);
        report
    }

    /// A whole reconciliation of the Shoot.
    pub fn reconcile(&self, config: &Value) -> Report {
        let report = self.start_reconcile(config).join();
        self.end("Reconcile", &report);
        report
    }

    /// The same with further arguments of network-driver.
    pub fn reconcile_with(&self, config: &Value, further: &[&str]) -> Report {
        self.begin(config, "Reconcile");
        let report = self.gardenlet("deploy-wait", config, further).join();
        self.end("Reconcile", &report);
        report
    }

    /// A reconciliation that goes on while the test does something else. The Shoot stays in it until [`Self::ended`].
    pub fn start_reconcile(&self, config: &Value) -> Gardenlet {
        self.begin(config, "Reconcile");
        self.gardenlet("deploy-wait", config, &[])
    }

    /// The end of a reconciliation that was started.
    pub fn ended(&self, report: &Report) {
        self.end("Reconcile", report);
    }

    /// The old Seed's part of a move to another one; gives `status.state`.
    pub fn migrate(&self) -> Value {
        self.last_operation("Migrate", "Processing");
        let report = self.gardenlet("migrate", &Value::Null, &[]).join().ok();
        report.after.expect("it is deleted later").state
    }

    /// Deletes the Network and waits until it is gone.
    pub fn destroy(&self) -> Report {
        self.gardenlet("destroy", &Value::Null, &[]).join()
    }

    /// The new Seed's part of a move, with the state of the old one; null stands for none.
    pub fn restore(&self, config: &Value, state: &Value) -> Report {
        self.begin(config, "Restore");
        let file = self.seed_folder.join(format!("{}-state.json", self.name));
        fs::write(&file, state.to_string()).unwrap();
        let file = file.display().to_string();
        let further = if state.is_null() { vec![] } else { vec!["-state", &file] };
        let report = self.gardenlet("restore", config, &further).join();
        self.end("Restore", &report);
        report
    }

    fn begin(&self, config: &Value, kind: &str) {
        // gardenlet syncs the Cluster before it writes anything else, and again when all is done.
        self.update_cluster(|shoot| shoot["spec"]["networking"]["providerConfig"] = config.clone());
        self.last_operation(kind, "Processing");
    }

    fn end(&self, kind: &str, report: &Report) {
        self.last_operation(kind, if report.error.is_none() { "Succeeded" } else { "Error" });
    }

    fn gardenlet(&self, operation: &str, config: &Value, further: &[&str]) -> Gardenlet {
        let config = if config.is_null() { String::new() } else { config.to_string() };
        let mut command = Command::new(tool("network-driver"));
        command.arg(operation).arg("-kubeconfig").arg(&self.gardenlet);
        command.args(["-namespace", &self.namespace, "-name", &self.name, "-provider-config", &config]).args(further);
        Gardenlet(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
    }

    // === the Network, and what became of it ===

    /// The path of the Network.
    pub fn network_path(&self) -> String {
        format!("/apis/extensions.gardener.cloud/v1alpha1/namespaces/{}/networks/{}", self.namespace, self.name)
    }

    /// The Network as it is stored.
    pub fn network(&self) -> Value {
        self.seed.get(&self.network_path()).expect("there is a Network")
    }

    /// One of our annotations: `state`, `since`, `requested` or `message`; empty when it is not there.
    pub fn held(&self, what: &str) -> String {
        let name = format!("{PREFIX}/overlay-switch-{what}");
        self.network()["metadata"]["annotations"][name].as_str().unwrap_or_default().to_owned()
    }

    /// All that the extension rendered, the oldest first.
    pub fn calico_got(&self) -> Vec<Rendered> {
        let text = fs::read_to_string(self.seed_folder.join(RECORD)).unwrap_or_default();
        // The last line may be half written.
        let lines = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        let rendered = lines.map(|line| serde_json::from_str::<Rendered>(line).expect(line));
        rendered.filter(|rendered| rendered.namespace == self.namespace).collect()
    }

    /// The NetworkConfig that Calico runs with.
    pub fn calico(&self) -> Value {
        self.calico_got().last().map(|rendered| rendered.provider_config.clone()).unwrap_or_default()
    }

    /// The reasons of our Events on the Network, the oldest first.
    pub fn events(&self) -> Vec<String> {
        let mut events = self.seed.list(&format!("/apis/events.k8s.io/v1/namespaces/{}/events", self.namespace));
        events.retain(|event| event["regarding"]["kind"] == "Network" && event["regarding"]["name"] == *self.name);
        events.sort_by_key(|event| {
            let version = event["metadata"]["resourceVersion"].as_str().unwrap_or_default();
            version.parse::<u64>().unwrap_or_default()
        });
        events.iter().map(|event| event["reason"].as_str().unwrap_or_default().to_owned()).collect()
    }

    // === its API server ===

    /// Stops its API server, as hibernation does, or a failure.
    pub fn stop_api_server(&mut self) {
        self.control_plane.stop_api_server();
    }

    /// Starts its API server again.
    pub fn start_api_server(&mut self) {
        self.control_plane.start_api_server();
    }

    /// A kubeconfig of it for an administrator.
    pub fn kubeconfig(&self) -> PathBuf {
        self.control_plane.kubeconfig("admin", "system:masters")
    }

    /// A kubeconfig of it with this token, that trusts these CAs.
    pub fn kubeconfig_with(&self, token: &str, bundle: &str) -> PathBuf {
        let kubeconfig = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{"name": "test", "cluster": {
                "server": self.control_plane.url(), "certificate-authority-data": STANDARD.encode(bundle),
            }}],
            "users": [{"name": "test", "user": {"token": token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        });
        let path = self.control_plane.folder().join("kubeconfig-with-token");
        fs::write(&path, kubeconfig.to_string()).unwrap();
        path
    }

    /// Pauses gardener-resource-manager: nothing reaches the Shoot.
    pub fn pause_resource_manager(&self) {
        self.resource_manager.signal("STOP");
    }

    /// Lets it go on.
    pub fn resume_resource_manager(&self) {
        self.resource_manager.signal("CONT");
    }

    /// What gardener-resource-manager has logged.
    pub fn resource_manager_log(&self) -> String {
        self.resource_manager.output()
    }
}

/// The Cluster of a Shoot that runs Calico on AWS.
fn cluster(namespace: &str, name: &str) -> Value {
    let mut cluster = fixture("ha", "cluster");
    cluster["metadata"]["name"] = json!(namespace);
    let shoot = &mut cluster["spec"]["shoot"];
    shoot["metadata"]["name"] = json!(name);
    shoot["spec"]["provider"]["type"] = json!("aws");
    shoot["spec"]["networking"]["type"] = json!("calico");
    shoot["status"]["technicalID"] = json!(namespace);
    cluster
}

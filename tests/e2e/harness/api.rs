//! An API server without a process for each call: overlay switches are watched many times a second.

use std::path::Path;
use std::sync::Arc;

use http::Request;
use serde_json::Value;
use tokio::runtime::Runtime;

use super::eventually;

/// An API server, as the user of a kubeconfig.
#[derive(Clone)]
pub struct Api {
    client: kube::Client,
    runtime: Arc<Runtime>,
}

/// How a patch is meant.
#[derive(Clone, Copy, Debug)]
pub enum Patch {
    /// Objects are merged, lists replaced.
    Merge,
    /// Lists are merged by their keys, as those who write conditions of nodes do it.
    Strategic,
}

impl Api {
    /// As whom this kubeconfig says.
    pub fn new(kubeconfig: &Path) -> Self {
        // As in the program itself; another test of this process may have done it before.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let kubeconfig = kube::config::Kubeconfig::read_from(kubeconfig).unwrap();
        let client = runtime.block_on(async {
            let options = kube::config::KubeConfigOptions::default();
            let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await.unwrap();
            kube::Client::try_from(config).unwrap()
        });
        Self { client, runtime: Arc::new(runtime) }
    }

    /// The object at a path; none when there is none.
    pub fn get(&self, path: &str) -> Option<Value> {
        match self.send("GET", path, "application/json", None) {
            Ok(object) => Some(object),
            Err(kube::Error::Api(status)) if status.code == 404 => None,
            Err(error) => panic!("GET {path}: {error:?}"),
        }
    }

    /// The same for what may be refused.
    pub fn try_get(&self, path: &str) -> Result<Value, String> {
        self.send("GET", path, "application/json", None).map_err(|error| error.to_string())
    }

    /// Whether the API server says that it is ready, and otherwise what it says.
    pub fn is_ready(&self) -> Result<(), String> {
        let request = Request::get("/readyz").body(Vec::new()).unwrap();
        self.runtime.block_on(self.client.request_text(request)).map(drop).map_err(|error| error.to_string())
    }

    /// The items of a list.
    pub fn list(&self, path: &str) -> Vec<Value> {
        let list = self.get(path).unwrap_or_else(|| panic!("GET {path}: there is no such resource"));
        list["items"].as_array().cloned().unwrap_or_default()
    }

    /// Creates an object in a collection.
    #[track_caller]
    pub fn create(&self, path: &str, object: &Value) -> Value {
        self.send("POST", path, "application/json", Some(object)).unwrap_or_else(|error| panic!("POST {path}: {error}"))
    }

    /// Replaces an object, or creates it.
    #[track_caller]
    pub fn apply(&self, collection: &str, object: &Value) {
        let path = format!("{collection}/{}", object["metadata"]["name"].as_str().unwrap());
        // Somebody else may write it at the same time.
        eventually(&format!("PUT {path}"), || {
            let result = match self.get(&path) {
                Some(stored) => {
                    let mut object = object.clone();
                    object["metadata"]["resourceVersion"] = stored["metadata"]["resourceVersion"].clone();
                    self.send("PUT", &path, "application/json", Some(&object))
                }
                None => self.send("POST", collection, "application/json", Some(object)),
            };
            match result {
                Ok(_) => Ok(()),
                Err(kube::Error::Api(status)) if status.code == 409 => Err(status.message.clone()),
                Err(error) => panic!("PUT {path}: {error}"),
            }
        });
    }

    /// Creates an object that may be refused; the path may have parameters.
    pub fn try_create(&self, path: &str, object: &Value) -> Result<Value, String> {
        self.send("POST", path, "application/json", Some(object)).map_err(|error| error.to_string())
    }

    /// Replaces an object, which may be refused; the path may have parameters.
    pub fn try_replace(&self, path: &str, object: &Value) -> Result<Value, String> {
        self.send("PUT", path, "application/json", Some(object)).map_err(|error| error.to_string())
    }

    /// Patches an object.
    #[track_caller]
    pub fn patch(&self, path: &str, kind: Patch, changes: &Value) -> Value {
        self.try_patch(path, kind, changes).unwrap_or_else(|error| panic!("PATCH {path}: {error}"))
    }

    /// The same for a patch that may be refused.
    pub fn try_patch(&self, path: &str, kind: Patch, changes: &Value) -> Result<Value, String> {
        let kind = match kind {
            Patch::Merge => "application/merge-patch+json",
            Patch::Strategic => "application/strategic-merge-patch+json",
        };
        self.send("PATCH", path, kind, Some(changes)).map_err(|error| error.to_string())
    }

    /// Deletes an object, should it be there.
    #[track_caller]
    pub fn delete(&self, path: &str) {
        match self.send("DELETE", path, "application/json", None) {
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            result => drop(result.unwrap_or_else(|error| panic!("DELETE {path}: {error}"))),
        }
    }

    fn send(&self, method: &str, path: &str, kind: &str, body: Option<&Value>) -> Result<Value, kube::Error> {
        let body = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
        let send = || {
            let request = Request::builder().method(method).uri(path).header("Content-Type", kind).body(body.clone());
            self.runtime.block_on(self.client.request(request.unwrap()))
        };
        match send() {
            // It took longer than a minute: see `Kubectl::ok`.
            Err(kube::Error::Api(status)) if method == "GET" && status.code == 504 => {
                say!("GET {path}, which is repeated: {}", status.message);
                send()
            }
            result => result,
        }
    }
}

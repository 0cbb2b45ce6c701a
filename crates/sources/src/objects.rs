//! Objects of an API server in reduced form: what is not needed is skipped while it is decoded, and never kept.

macro_rules! resource {
    ($object:ty, $scope:ty, $kind:literal, $plural:literal, $group:literal, $version:literal) => {
        impl kube::Resource for $object {
            type DynamicType = ();
            type Scope = $scope;

            fn kind((): &()) -> std::borrow::Cow<'_, str> {
                $kind.into()
            }

            fn group((): &()) -> std::borrow::Cow<'_, str> {
                $group.into()
            }

            fn version((): &()) -> std::borrow::Cow<'_, str> {
                $version.into()
            }

            fn plural((): &()) -> std::borrow::Cow<'_, str> {
                $plural.into()
            }

            fn meta(&self) -> &ObjectMeta {
                &self.metadata
            }

            fn meta_mut(&mut self) -> &mut ObjectMeta {
                &mut self.metadata
            }
        }
    };
}

mod garden;
mod watched;

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::runtime::watcher;
use serde::{Deserialize, Deserializer, de};
use serde_json::value::RawValue;

pub use self::garden::{SeedObject, ShootObject};
pub use self::watched::Watched;
use network_guard_core::gardener::network::SwitchingNetwork;
use network_guard_core::gardener::{ClusterFacts, Deployment, ToldNetworks};
use network_guard_core::json::Members;
use network_guard_core::landscape::{ClusterRecord, NetworkName, Snapshot};
use network_guard_core::vpn::nat;

/// The metadata that network-guard and its watches read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireMetadata {
    name: Option<String>,
    namespace: Option<String>,
    resource_version: Option<String>,
}

impl From<WireMetadata> for ObjectMeta {
    fn from(wire: WireMetadata) -> Self {
        let WireMetadata { name, namespace, resource_version } = wire;
        Self { name, namespace, resource_version, ..Self::default() }
    }
}

/// The metadata of an object. What follows it, which is nearly all, is for its view.
fn metadata<E: de::Error>(object: &RawValue) -> Result<ObjectMeta, E> {
    let mut members = Members::of(object.get());
    members.enter().map_err(E::custom)?;
    while let Some(key) = members.key().map_err(E::custom)? {
        let value = members.skip().map_err(E::custom)?;
        if &*key == "metadata" {
            return serde_json::from_str(value).map(WireMetadata::into).map_err(E::custom);
        }
    }
    Err(E::missing_field("metadata"))
}

/// A `Cluster`.
#[derive(Clone, Debug)]
pub struct ClusterObject {
    metadata: ObjectMeta,
    /// Its facts, or why they cannot be used.
    pub record: ClusterRecord,
}

resource!(
    ClusterObject,
    k8s_openapi::ClusterResourceScope,
    "Cluster",
    "clusters",
    "extensions.gardener.cloud",
    "v1alpha1"
);

impl<'de> Deserialize<'de> for ClusterObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Wire {
            metadata: WireMetadata,
            spec: Option<Box<RawValue>>,
        }

        let wire = Wire::deserialize(deserializer)?;
        // A Cluster that cannot be used is kept with its reason: one bad object must not stop the whole list.
        let record = ClusterFacts::parse(wire.spec.as_deref().map_or("{}", RawValue::get));
        Ok(Self { metadata: wire.metadata.into(), record })
    }
}

impl Watched for ClusterObject {
    type Item = (Arc<str>, ClusterRecord);

    fn into_item(self) -> Self::Item {
        (self.metadata.name.unwrap_or_default().into(), self.record)
    }

    fn put(snapshot: &mut Snapshot, (name, record): Self::Item) {
        snapshot.put_cluster(&name, record);
    }

    fn remove(snapshot: &mut Snapshot, (name, _): Self::Item) {
        snapshot.remove_cluster(&name);
    }

    fn take(snapshot: &mut Snapshot, listed: Snapshot) {
        snapshot.take_clusters(listed);
    }
}

/// A `Network`.
#[derive(Clone, Debug)]
pub struct NetworkObject {
    metadata: ObjectMeta,
    /// What is kept of it if it has a switch of the overlay.
    pub switch: Option<SwitchingNetwork>,
}

resource!(
    NetworkObject,
    k8s_openapi::NamespaceResourceScope,
    "Network",
    "networks",
    "extensions.gardener.cloud",
    "v1alpha1"
);

impl<'de> Deserialize<'de> for NetworkObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Box::<RawValue>::deserialize(deserializer)?;
        // An object that cannot be read has no switch; one bad object must not stop the whole list.
        let switch = SwitchingNetwork::read(text.get()).unwrap_or_default();
        Ok(Self { switch, metadata: metadata(&text)? })
    }
}

impl Watched for NetworkObject {
    type Item = (NetworkName, Option<SwitchingNetwork>);

    fn into_item(self) -> Self::Item {
        let (namespace, name) = (self.metadata.namespace.unwrap_or_default(), self.metadata.name.unwrap_or_default());
        (NetworkName { namespace: namespace.into(), name: name.into() }, self.switch)
    }

    fn put(snapshot: &mut Snapshot, (name, switch): Self::Item) {
        snapshot.put_switch(name, switch);
    }

    fn remove(snapshot: &mut Snapshot, (name, _): Self::Item) {
        snapshot.put_switch(name, None);
    }

    fn take(snapshot: &mut Snapshot, listed: Snapshot) {
        snapshot.take_switches(listed);
    }
}

/// The Deployment of a kube-apiserver.
#[derive(Clone, Debug)]
pub struct ApiServerObject {
    metadata: ObjectMeta,
    /// The networks that its VPN is given, if it has a highly available one.
    pub told: Option<ToldNetworks>,
}

resource!(ApiServerObject, k8s_openapi::NamespaceResourceScope, "Deployment", "deployments", "apps", "v1");

/// The most bytes that are kept of a VPN's networks: enough for some fifty networks. More is not compared.
const LONGEST_TOLD: usize = 1 << 10;

impl<'de> Deserialize<'de> for ApiServerObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Box::<RawValue>::deserialize(deserializer)?;
        // An object that cannot be read has no networks; one bad object must not stop the whole list.
        let told = Deployment::read(text.get()).ok().and_then(|deployment| nat::told(&deployment));
        Ok(Self { told: told.filter(|told| told.bytes() <= LONGEST_TOLD), metadata: metadata(&text)? })
    }
}

impl Watched for ApiServerObject {
    type Item = (Arc<str>, Option<ToldNetworks>);

    // Nothing waits for it, and the right may be missing permanently.
    const LONGEST_PAUSE: Duration = Duration::from_secs(60);

    fn choose(settings: watcher::Config) -> watcher::Config {
        // With this field selector, a right to the name is enough. A Deployment is ten times as long as a Cluster.
        settings.labels("app=kubernetes,role=apiserver").fields("metadata.name=kube-apiserver").page_size(20)
    }

    fn into_item(self) -> Self::Item {
        (self.metadata.namespace.unwrap_or_default().into(), self.told)
    }

    fn put(snapshot: &mut Snapshot, (namespace, told): Self::Item) {
        snapshot.put_told(namespace, told);
    }

    fn remove(snapshot: &mut Snapshot, (namespace, _): Self::Item) {
        snapshot.put_told(namespace, None);
    }

    fn take(snapshot: &mut Snapshot, listed: Snapshot) {
        snapshot.take_told(listed);
    }
}

#[cfg(test)]
mod tests {
    use kube::api::WatchEvent;
    use kube::core::ObjectList;
    use serde_json::{Value, json};

    use super::*;
    use network_guard_core::gardener::{Shoot, Vpc};

    const NATIVE: &str = r#"{"spec":{"networking":{"type":"calico","providerConfig":{"overlay":{"enabled":false}}},"provider":{"type":"aws","workers":[{}],"infrastructureConfig":{"networks":{"vpc":{"id":"vpc-1"}}}}}}"#;

    fn cluster(name: &str, nodes: &Value) -> Value {
        json!({
            "apiVersion": "extensions.gardener.cloud/v1alpha1",
            "kind": "Cluster",
            "metadata": {"name": name, "resourceVersion": "7", "managedFields": [{"manager": "gardenlet"}]},
            "spec": {
                "cloudProfile": {},
                "seed": {"spec": {"networks": {"pods": "10.0.0.0/8"}}},
                "shoot": {"spec": {"networking": {"nodes": nodes}}},
            },
        })
    }

    fn event<T: Watched>(object: &Value) -> T {
        let event = format!(r#"{{"type":"ADDED","object":{object}}}"#);
        match serde_json::from_str::<WatchEvent<T>>(&event).unwrap() {
            WatchEvent::Added(object) => object,
            _ => panic!("not an addition"),
        }
    }

    /// kube reads lists and events through its own types; this one has raw JSON inside, which not every wrapper
    /// supports.
    #[test]
    fn are_read_from_lists_and_events() {
        let list = json!({
            "apiVersion": "extensions.gardener.cloud/v1alpha1",
            "kind": "ClusterList",
            "metadata": {"resourceVersion": "9"},
            "items": [cluster("a", &json!("10.250.0.0/16")), cluster("b", &json!(5)), {"metadata": {"name": "c"}}],
        });
        let list: ObjectList<ClusterObject> = serde_json::from_str(&list.to_string()).unwrap();
        let good: Vec<bool> = list.items.iter().map(|object| object.record.is_ok()).collect();
        assert_eq!(good, [true, false, false], "a bad object keeps its place and its reason");
        let object: ClusterObject = event(&cluster("a", &json!("10.250.0.0/16")));
        assert_eq!(object.metadata.resource_version.as_deref(), Some("7"));
        assert!(object.metadata.managed_fields.is_none());

        let shoot = json!({
            "kind": "Shoot",
            "metadata": {"namespace": "garden-shop", "name": "orders", "resourceVersion": "8"},
            "spec": {"seedName": "eu1-a", "provider": {"workers": [{}]}, "networking": {"nodes": "10.5.0.0/27"}},
        });
        let list = json!({"metadata": {"resourceVersion": "9"}, "items": [shoot]});
        let list: ObjectList<ShootObject> = serde_json::from_str(&list.to_string()).unwrap();
        let object: ShootObject = event(&shoot);
        assert_eq!(list.items[0].facts, object.facts);
        assert_eq!(object.metadata.resource_version.as_deref(), Some("8"));
        let mut item = object.into_item();
        item.1.vpc = Vpc::of(&Shoot::read(NATIVE).unwrap(), None);
        let mut listed = Snapshot::default();
        ShootObject::put(&mut listed, item);
        let mut snapshot = Snapshot::default();
        ShootObject::take(&mut snapshot, listed);
        let (name, facts) = snapshot.shoots.iter().next().unwrap();
        assert!(matches!(&facts.vpc, Vpc::Named(key) if key.id() == "vpc-1"), "{facts:?}");
        assert_eq!((name.to_string().as_str(), facts.seed.as_deref()), ("garden-shop/orders", Some("eu1-a")));

        let container = |name: &str, nodes: &str| json!({"name": name, "env": [{"name": "SHOOT_NODE_NETWORKS", "value": nodes}, {"name": "X", "value": "y"}]});
        let deployment = |containers: &[Value]| {
            json!({"metadata": {"namespace": "shoot--a--b", "name": "kube-apiserver", "resourceVersion": "3"},
                "spec": {"template": {"spec": {"containers": containers}}}})
        };
        let clients = ["vpn-client-0", "vpn-client-1"].map(|name| container(name, "10.250.0.0/16"));
        let object: ApiServerObject = event(&deployment(&clients));
        assert_eq!(object.metadata.resource_version.as_deref(), Some("3"));
        let (namespace, told) = object.into_item();
        assert_eq!((&*namespace, told.unwrap().sets.len()), ("shoot--a--b", 1), "what is told twice is kept once");
        let long = container("vpn-client-0", &"10.250.0.0/16,".repeat(100));
        for (name, containers) in [("too long", vec![long]), ("another VPN", vec![container("kube-apiserver", "")])] {
            assert_eq!(event::<ApiServerObject>(&deployment(&containers)).told, None, "{name}");
        }
        let broken = json!({"metadata": {"namespace": "shoot--a--b", "resourceVersion": "3"}, "spec": 5});
        assert_eq!(event::<ApiServerObject>(&broken).told, None, "a bad object stops nothing");

        let seed = json!({"metadata": {"name": "eu1-a"}, "spec": {"networks": {"pods": "10.0.0.0/11", "nodes": "x"}}});
        let (name, facts) = event::<SeedObject>(&seed).into_item();
        assert_eq!((&*name, facts.pods.unwrap().to_string(), facts.nodes), ("eu1-a", "10.0.0.0/11".to_owned(), None));
    }
}

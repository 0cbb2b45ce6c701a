//! The objects of the garden.

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Deserializer, de};
use serde_json::value::RawValue;

use super::{Watched, WireMetadata, metadata};
use network_guard_core::gardener::seed::SeedSpec;
use network_guard_core::gardener::{SeedFacts, Shoot, ShootFacts, ShootName};
use network_guard_core::landscape::Snapshot;

/// A `Shoot`.
#[derive(Clone, Debug)]
pub struct ShootObject {
    pub(super) metadata: ObjectMeta,
    /// What is kept of it.
    pub facts: ShootFacts,
}

resource!(ShootObject, k8s_openapi::NamespaceResourceScope, "Shoot", "shoots", "core.gardener.cloud", "v1beta1");

impl<'de> Deserialize<'de> for ShootObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Box::<RawValue>::deserialize(deserializer)?;
        let shoot = Shoot::read(text.get()).map_err(de::Error::custom)?;
        Ok(Self { facts: ShootFacts::of(&shoot), metadata: metadata(&text)? })
    }
}

impl Watched for ShootObject {
    type Item = (ShootName, ShootFacts);

    fn into_item(self) -> Self::Item {
        let (namespace, name) = (self.metadata.namespace.unwrap_or_default(), self.metadata.name.unwrap_or_default());
        (ShootName::new(&namespace, &name), self.facts)
    }

    fn put(snapshot: &mut Snapshot, (name, facts): Self::Item) {
        snapshot.shoots.put(&name, facts);
    }

    fn remove(snapshot: &mut Snapshot, (name, _): Self::Item) {
        snapshot.shoots.remove(&name);
    }

    fn take(snapshot: &mut Snapshot, listed: Snapshot) {
        snapshot.take_shoots(listed);
    }
}

/// A `Seed`.
#[derive(Clone, Debug, Deserialize)]
#[serde(from = "WireSeed")]
pub struct SeedObject {
    pub(super) metadata: ObjectMeta,
    /// What is kept of it.
    pub facts: SeedFacts,
}

#[derive(Deserialize)]
struct WireSeed {
    metadata: WireMetadata,
    #[serde(default)]
    spec: SeedSpec,
}

impl From<WireSeed> for SeedObject {
    fn from(wire: WireSeed) -> Self {
        Self { facts: SeedFacts::of(&wire.spec), metadata: wire.metadata.into() }
    }
}

resource!(SeedObject, k8s_openapi::ClusterResourceScope, "Seed", "seeds", "core.gardener.cloud", "v1beta1");

impl Watched for SeedObject {
    type Item = (Arc<str>, SeedFacts);

    fn into_item(self) -> Self::Item {
        (self.metadata.name.unwrap_or_default().into(), self.facts)
    }

    fn put(snapshot: &mut Snapshot, (name, facts): Self::Item) {
        snapshot.put_seed(&name, facts);
    }

    fn remove(snapshot: &mut Snapshot, (name, _): Self::Item) {
        snapshot.remove_seed(&name);
    }

    fn take(snapshot: &mut Snapshot, listed: Snapshot) {
        snapshot.take_seeds(listed);
    }
}

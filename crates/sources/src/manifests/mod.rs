//! Manifests: the landscape in people's files.

mod objects;

use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

pub use self::objects::{Found, Object, Remark, Weight, each, name};
use crate::yaml::without_place;
use network_guard_core::gardener::network::SwitchingNetwork;
use network_guard_core::gardener::seed::SeedSpec;
use network_guard_core::gardener::{ClusterFacts, SeedFacts, Shoot, ShootFacts, ShootName};
use network_guard_core::json::find;
use network_guard_core::landscape::{Grant, NetworkName, Snapshot, Subject};

const GARDEN: &str = "core.gardener.cloud/v1beta1";
const SEED: &str = "extensions.gardener.cloud/v1alpha1";
const RBAC: &str = "rbac.authorization.k8s.io/v1";

/// The remark about an object of another kind.
pub const NOT_READ: &str = "is of a kind that is not read";

/// The kinds that are read, by `apiVersion` and `kind`.
const KINDS: [(&str, &str); 7] = [
    (GARDEN, "Shoot"),
    (GARDEN, "Seed"),
    (SEED, "Cluster"),
    (SEED, "Network"),
    (RBAC, "RoleBinding"),
    (RBAC, "ClusterRoleBinding"),
    ("apps/v1", "Deployment"),
];

#[derive(Deserialize)]
struct Metadata {
    name: String,
    namespace: Option<String>,
}

#[derive(Deserialize)]
struct Named {
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Seed {
    metadata: Metadata,
    #[serde(default)]
    spec: SeedSpec,
}

#[derive(Deserialize)]
struct Binding {
    metadata: Metadata,
    subjects: Option<Vec<BindingSubject>>,
}

#[derive(Deserialize)]
struct BindingSubject {
    kind: String,
    name: String,
    namespace: Option<String>,
}

/// What to do with an object whose name is known already.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Again {
    /// An error: two files contain it, and which is right is unknown.
    Refuse,
    /// The later one counts.
    Replace,
}

/// Reads a file into a snapshot, as far as it can be read, and returns remarks about the rest.
pub fn read(text: &str, again: Again, snapshot: &mut Snapshot) -> Vec<Remark> {
    let mut remarks = Vec::new();
    each(text, &mut |found| match found {
        Found::Remark(remark) => remarks.push(remark),
        Found::Object(object) => remarks.extend(put(&object, again, snapshot).err()),
    });
    remarks
}

/// Adds an object to a snapshot; for other kinds, and for objects that cannot be used, it returns a remark.
pub fn put(object: &Object<'_>, again: Again, snapshot: &mut Snapshot) -> Result<(), Remark> {
    let Object { version, kind, json, .. } = object;
    let put = match (&**version, &**kind) {
        (SEED, "Cluster") if find(json, &["spec"]).is_none_or(|spec| spec == "null") => {
            return Err(object.remark("it has no `spec`", Weight::Unused));
        }
        (SEED, "Cluster") => put_cluster(json, again, snapshot),
        (SEED, "Network") => put_network(json, again, snapshot),
        (GARDEN, "Shoot") => put_shoot(json, again, snapshot),
        (GARDEN, "Seed") => put_seed(json, again, snapshot),
        (RBAC, "RoleBinding" | "ClusterRoleBinding") => put_binding(kind, json, snapshot),
        // Read by `deployments`, for those who need them.
        ("apps/v1", "Deployment") => return Ok(()),
        _ => return Err(object.remark(NOT_READ, Weight::Other)),
    };
    put.map_err(|why| object.remark(&why, Weight::Broken))
}

impl Object<'_> {
    /// A remark about the object.
    pub fn remark(&self, why: &str, weight: Weight) -> Remark {
        let what = name(&self.kind, self.json);
        Remark { line: self.line, what, why: why.to_owned(), weight, kind: Some(self.kind.clone()) }
    }

    /// Whether it is a Shoot.
    pub fn is_shoot(&self) -> bool {
        (&*self.version, &*self.kind) == (GARDEN, "Shoot")
    }

    /// The namespace and the name of a Deployment.
    pub fn deployment(&self) -> Option<(String, String)> {
        let is_one = (&*self.version, &*self.kind) == ("apps/v1", "Deployment");
        let Named { metadata } = is_one.then(|| serde_json::from_str(self.json).ok()).flatten()?;
        Some((metadata.namespace.unwrap_or_default(), metadata.name))
    }
}

/// Reads a value; an error has the path in the object, because a place in converted text is none in the file.
fn typed<'a, T: Deserialize<'a>>(json: &'a str) -> Result<T, String> {
    serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_str(json)).map_err(|error| {
        let (path, problem) = (error.path().to_string(), error.inner().to_string());
        let problem = without_place(&problem);
        if path == "." { problem.to_owned() } else { format!("{path}: {problem}") }
    })
}

#[derive(Deserialize)]
struct Cluster<'a> {
    metadata: Metadata,
    #[serde(borrow)]
    spec: &'a RawValue,
}

fn put_cluster(json: &str, again: Again, snapshot: &mut Snapshot) -> Result<(), String> {
    // Whether it is a mapping at all; the Cluster's other errors are kept with it.
    let Cluster { metadata: Metadata { name, .. }, spec } = typed(json)?;
    if !spec.get().starts_with('{') {
        return Err("its `spec` is no mapping".to_owned());
    }
    if again == Again::Refuse && snapshot.cluster(&name).is_some() {
        return Err("is a duplicate".to_owned());
    }
    snapshot.put_cluster(&name, ClusterFacts::parse(spec.get()));
    Ok(())
}

/// Only a Network with a switch of the overlay has information that its Cluster lacks.
fn put_network(json: &str, again: Again, snapshot: &mut Snapshot) -> Result<(), String> {
    let network = SwitchingNetwork::read(json).map_err(|error| without_place(&error.to_string()).to_owned())?;
    let Named { metadata: Metadata { name, namespace } } = typed(json)?;
    let Some(namespace) = namespace else { return Err("needs `metadata.namespace`".to_owned()) };
    let key = NetworkName { namespace: namespace.into(), name: name.into() };
    if again == Again::Refuse && snapshot.switch(&key).is_some() {
        return Err("is a duplicate".to_owned());
    }
    snapshot.put_switch(key, network);
    Ok(())
}

fn put_shoot(json: &str, again: Again, snapshot: &mut Snapshot) -> Result<(), String> {
    let shoot = Shoot::read(json).map_err(|error| without_place(&error.to_string()).to_owned())?;
    for (value, path) in [(&shoot.name, "metadata.name"), (&shoot.namespace, "metadata.namespace")] {
        if value.is_empty() {
            return Err(format!("needs `{path}`"));
        }
    }
    let name = ShootName::new(&shoot.namespace, &shoot.name);
    if again == Again::Refuse && snapshot.shoots.get(&name).is_some() {
        return Err("is a duplicate".to_owned());
    }
    // What is applied now has the form that the admission of its provider gives it.
    let facts = if again == Again::Replace { ShootFacts::of_new } else { ShootFacts::of };
    snapshot.shoots.put(&name, facts(&shoot));
    Ok(())
}

fn put_seed(json: &str, again: Again, snapshot: &mut Snapshot) -> Result<(), String> {
    let Seed { metadata: Metadata { name, .. }, spec } = typed(json)?;
    if again == Again::Refuse && snapshot.seed(&name).is_some() {
        return Err("is a duplicate".to_owned());
    }
    snapshot.put_seed(&name, SeedFacts::of(&spec));
    Ok(())
}

fn put_binding(kind: &str, json: &str, snapshot: &mut Snapshot) -> Result<(), String> {
    let Binding { metadata, subjects } = typed(json)?;
    let grant = if kind == "ClusterRoleBinding" {
        Grant::Everywhere
    } else {
        let namespace = metadata.namespace.ok_or_else(|| "needs `metadata.namespace`".to_owned())?;
        Grant::Namespace(namespace.into())
    };
    // All or none: a binding that is not read grants nothing.
    let mut granted = Vec::new();
    for BindingSubject { kind, name, namespace } in subjects.unwrap_or_default() {
        granted.push(match (&*kind, namespace) {
            ("User", _) => Subject::User(name.into()),
            ("Group", _) => Subject::Group(name.into()),
            ("ServiceAccount", Some(namespace)) => {
                Subject::User(Arc::from(format!("system:serviceaccount:{namespace}:{name}")))
            }
            _ => {
                return Err(format!(
                    "{kind} `{name}` is no subject: write User, Group, or ServiceAccount with a namespace"
                ));
            }
        });
    }
    for subject in granted {
        snapshot.access.grant(subject, grant.clone());
    }
    Ok(())
}

#[cfg(test)]
mod tests;

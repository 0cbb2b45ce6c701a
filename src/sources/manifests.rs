//! Manifests: what a folder's files say about the landscape.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::gardener::network::SwitchingNetwork;
use crate::gardener::seed::SeedSpec;
use crate::gardener::{ClusterFacts, ClusterSpec, SeedFacts, Shoot, ShootFacts, ShootName, SwitchFacts};
use crate::landscape::{Grant, NetworkName, Snapshot, Subject};

const GARDEN: &str = "core.gardener.cloud/v1beta1";
const RBAC: &str = "rbac.authorization.k8s.io/v1";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Header {
    api_version: Option<String>,
    kind: Option<String>,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
    namespace: Option<String>,
}

#[derive(Deserialize)]
struct Cluster {
    metadata: Metadata,
    spec: ClusterSpec,
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
    #[serde(default)]
    subjects: Vec<BindingSubject>,
}

#[derive(Deserialize)]
struct BindingSubject {
    kind: String,
    name: String,
    namespace: Option<String>,
}

#[derive(Deserialize)]
struct List<'a> {
    #[serde(borrow)]
    items: Option<Vec<&'a RawValue>>,
}

/// Reads one JSON object: a manifest, or a list of them.
pub fn read_json(text: &str, snapshot: &mut Snapshot) -> Result<(), String> {
    read_nested(text, snapshot, 0)
}

/// Lists of what we read; other kinds may end in `List` too.
const LISTS: [&str; 7] =
    ["List", "ClusterList", "NetworkList", "ShootList", "SeedList", "RoleBindingList", "ClusterRoleBindingList"];

/// Lists inside lists, at most.
const DEPTH: usize = 4;

fn read_nested(text: &str, snapshot: &mut Snapshot, depth: usize) -> Result<(), String> {
    let header: Header = serde_json::from_str(text).map_err(|error| error.to_string())?;
    match kind(&header)? {
        ("extensions.gardener.cloud/v1alpha1", "Cluster") => put_cluster(from_json(text)?, text, snapshot),
        ("extensions.gardener.cloud/v1alpha1", "Network") => put_network(text, snapshot),
        (GARDEN, "Shoot") => put_shoot(text, snapshot),
        (GARDEN, "Seed") => put_seed(&from_json(text)?, snapshot),
        (RBAC, kind @ ("RoleBinding" | "ClusterRoleBinding")) => put_binding(kind, from_json(text)?, snapshot),
        (_, kind) if LISTS.contains(&kind) => {
            if depth == DEPTH {
                return Err(format!("more than {DEPTH} lists inside each other"));
            }
            let list: List<'_> = serde_json::from_str(text).map_err(|error| error.to_string())?;
            list.items.unwrap_or_default().iter().enumerate().try_for_each(|(i, item)| {
                read_nested(item.get(), snapshot, depth + 1).map_err(|problem| format!("items[{i}]: {problem}"))
            })
        }
        _ => Ok(()),
    }
}

/// Reads a file of YAML documents.
pub fn read_yaml(text: &str, snapshot: &mut Snapshot) -> Result<(), Vec<String>> {
    let problems: Vec<String> =
        documents(text).iter().filter_map(|document| read_document(document, snapshot).err()).collect();
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

fn read_document(document: &str, snapshot: &mut Snapshot) -> Result<(), String> {
    let header: Option<Header> = from_yaml(document)?;
    let Some(header) = header else { return Ok(()) };
    match kind(&header)? {
        // Read straight from YAML, its errors have line and column.
        ("extensions.gardener.cloud/v1alpha1", "Cluster") => {
            put_cluster(from_yaml(document)?, &to_json(document)?, snapshot)
        }
        (GARDEN, "Seed") => put_seed(&from_yaml(document)?, snapshot),
        (RBAC, kind @ ("RoleBinding" | "ClusterRoleBinding")) => put_binding(kind, from_yaml(document)?, snapshot),
        // Parts of these stay text, and that text is JSON, as an API server has it.
        (GARDEN, "Shoot") => put_shoot(&to_json(document)?, snapshot).map_err(without_place),
        ("extensions.gardener.cloud/v1alpha1", "Network") => {
            put_network(&to_json(document)?, snapshot).map_err(without_place)
        }
        (_, kind) if LISTS.contains(&kind) => read_json(&to_json(document)?, snapshot).map_err(without_place),
        _ => Ok(()),
    }
}

fn kind(header: &Header) -> Result<(&str, &str), String> {
    match (header.api_version.as_deref(), header.kind.as_deref()) {
        (Some(version), Some(kind)) => Ok((version, kind)),
        _ => Err("a manifest needs `apiVersion` and `kind`".to_owned()),
    }
}

fn from_json<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

fn from_yaml<T: serde::de::DeserializeOwned>(document: &str) -> Result<T, String> {
    serde_saphyr::from_str(document).map_err(|error| error.to_string())
}

fn to_json(document: &str) -> Result<String, String> {
    let value: serde_json::Value = from_yaml(document)?;
    Ok(value.to_string())
}

/// The place in a converted document is none in the file.
fn without_place(problem: impl AsRef<str>) -> String {
    let problem = problem.as_ref();
    problem.split_once(" at line ").map_or(problem, |(problem, _)| problem).to_owned()
}

#[derive(Deserialize)]
struct RawCluster<'a> {
    #[serde(borrow)]
    spec: &'a RawValue,
}

fn put_cluster(cluster: Cluster, json: &str, snapshot: &mut Snapshot) -> Result<(), String> {
    let Metadata { name, .. } = cluster.metadata;
    if snapshot.cluster(&name).is_some() {
        return Err(format!("Cluster `{name}` is there twice"));
    }
    let switch = SwitchFacts::parse(from_json::<RawCluster<'_>>(json)?.spec.get()).map(Box::new);
    let record = ClusterFacts::from_spec(cluster.spec).map(|facts| ClusterFacts { switch, ..facts });
    snapshot.put_cluster(&name, record);
    Ok(())
}

/// Only a Network with a switch of the overlay says something that its Cluster does not.
fn put_network(text: &str, snapshot: &mut Snapshot) -> Result<(), String> {
    #[derive(Deserialize)]
    struct Named {
        metadata: Metadata,
    }

    let network = SwitchingNetwork::read(text).map_err(|error| error.to_string())?;
    let Named { metadata: Metadata { name, namespace } } = from_json(text)?;
    let Some(namespace) = namespace else { return Err("a Network needs `metadata.namespace`".to_owned()) };
    let key = NetworkName { namespace: namespace.into(), name: name.into() };
    if snapshot.switch(&key).is_some() {
        return Err(format!("Network `{}/{}` is there twice", key.namespace, key.name));
    }
    snapshot.put_switch(key, network);
    Ok(())
}

fn put_shoot(text: &str, snapshot: &mut Snapshot) -> Result<(), String> {
    let (name, facts) = read_shoot(text, ShootFacts::of)?;
    if snapshot.shoots.get(&name).is_some() {
        return Err(format!("Shoot `{name}` is there twice"));
    }
    snapshot.shoots.put(&name, facts);
    Ok(())
}

/// Adds a new Shoot from its JSON text, in the place of one of the same name.
pub fn replace_shoot(text: &str, snapshot: &mut Snapshot) -> Result<(), String> {
    let (name, facts) = read_shoot(text, ShootFacts::of_new)?;
    snapshot.shoots.put(&name, facts);
    Ok(())
}

/// The JSON texts of all Shoots of a file.
pub fn shoots(text: &str, is_json: bool) -> Result<Vec<String>, String> {
    collect((GARDEN, "Shoot"), text, is_json)
}

/// All Deployments of a file: namespace, name and JSON text.
pub fn deployments(text: &str, is_json: bool) -> Result<Vec<((String, String), String)>, String> {
    #[derive(Deserialize)]
    struct Named {
        metadata: Metadata,
    }

    let texts = collect(("apps/v1", "Deployment"), text, is_json)?;
    let named = |text: String| {
        let Metadata { name, namespace } = from_json::<Named>(&text)?.metadata;
        Ok(((namespace.unwrap_or_default(), name), text))
    };
    texts.into_iter().map(named).collect()
}

/// The JSON texts of all objects of a kind in a file.
fn collect(wanted: (&str, &str), text: &str, is_json: bool) -> Result<Vec<String>, String> {
    let mut found = Vec::new();
    if is_json {
        collect_nested(wanted, text, &mut found, 0)?;
    } else {
        for document in documents(text) {
            let Some(header) = from_yaml::<Option<Header>>(&document)? else { continue };
            if kind(&header)? == wanted || is_list(kind(&header)?.1) {
                collect_nested(wanted, &to_json(&document)?, &mut found, 0)?;
            }
        }
    }
    Ok(found)
}

fn collect_nested(wanted: (&str, &str), text: &str, found: &mut Vec<String>, depth: usize) -> Result<(), String> {
    let header: Header = from_json(text)?;
    match kind(&header)? {
        kind if kind == wanted => found.push(text.to_owned()),
        (_, kind) if is_list(kind) && depth < DEPTH => {
            let list: List<'_> = from_json(text)?;
            for item in list.items.unwrap_or_default() {
                collect_nested(wanted, item.get(), found, depth + 1)?;
            }
        }
        _ => {}
    }
    Ok(())
}

fn is_list(kind: &str) -> bool {
    LISTS.contains(&kind) || kind == "DeploymentList"
}

fn read_shoot(text: &str, facts: fn(&Shoot<'_>) -> ShootFacts) -> Result<(ShootName, ShootFacts), String> {
    let shoot = Shoot::read(text).map_err(|error| error.to_string())?;
    if shoot.name.is_empty() || shoot.namespace.is_empty() {
        return Err("a Shoot needs `metadata.name` and `metadata.namespace`".to_owned());
    }
    Ok((ShootName::new(&shoot.namespace, &shoot.name), facts(&shoot)))
}

fn put_seed(seed: &Seed, snapshot: &mut Snapshot) -> Result<(), String> {
    let name = &seed.metadata.name;
    if snapshot.seed(name).is_some() {
        return Err(format!("Seed `{name}` is there twice"));
    }
    snapshot.put_seed(name, SeedFacts::of(&seed.spec));
    Ok(())
}

fn put_binding(kind: &str, binding: Binding, snapshot: &mut Snapshot) -> Result<(), String> {
    let Binding { metadata, subjects } = binding;
    let grant = if kind == "ClusterRoleBinding" {
        Grant::Everywhere
    } else {
        let namespace = metadata.namespace.as_deref();
        let namespace =
            namespace.ok_or_else(|| format!("RoleBinding `{}` needs `metadata.namespace`", metadata.name))?;
        Grant::Namespace(namespace.into())
    };
    for BindingSubject { kind, name, namespace } in subjects {
        let subject = match (&*kind, namespace) {
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
        };
        snapshot.access.grant(subject, grant.clone());
    }
    Ok(())
}

/// Splits a file at its document markers. Each document is preceded by as many empty lines as stand before it in the
/// file, so that places in errors are those of the file.
fn documents(text: &str) -> Vec<String> {
    let mut documents = Vec::new();
    let mut document = String::new();
    let mut has_content = false;
    for (number, line) in text.lines().enumerate() {
        if line.strip_prefix("---").is_some_and(|rest| rest.trim().is_empty() || rest.trim_start().starts_with('#')) {
            if has_content {
                documents.push(std::mem::take(&mut document));
            }
            document = "\n".repeat(number + 1);
            has_content = false;
            continue;
        }
        has_content |= !line.trim().is_empty() && !line.trim_start().starts_with('#');
        document.push_str(line);
        document.push('\n');
    }
    if has_content {
        documents.push(document);
    }
    documents
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_kind_from_yaml_and_json() {
        let yaml = "\
apiVersion: v1
kind: List
items:
- apiVersion: core.gardener.cloud/v1beta1
  kind: Seed
  metadata: {name: eu1-a}
  spec: {networks: {pods: 10.0.0.0/11}}
---
apiVersion: core.gardener.cloud/v1beta1
kind: Shoot
metadata: {name: orders, namespace: garden-shop}
spec: {seedName: eu1-a, networking: {nodes: 10.5.0.0/27}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: members, namespace: garden-shop}
subjects: [{kind: User, name: alice}, {kind: ServiceAccount, name: robot, namespace: garden-shop}]
";
        let mut snapshot = Snapshot::default();
        read_yaml(yaml, &mut snapshot).unwrap();
        assert!(snapshot.seed("eu1-a").unwrap().pods.is_some());
        let facts = snapshot.shoots.get(&ShootName::new("garden-shop", "orders")).unwrap();
        assert_eq!(facts.seed.as_deref(), Some("eu1-a"));
        let shop = Grant::Namespace("garden-shop".into());
        assert!(snapshot.access.may_see("alice", [], &shop));
        assert!(snapshot.access.may_see("system:serviceaccount:garden-shop:robot", [], &shop));
        assert!(!snapshot.access.may_see("bob", [], &shop));
        let network = "\
apiVersion: extensions.gardener.cloud/v1alpha1
kind: Network
metadata:
  name: orders
  namespace: shoot--shop--orders
  annotations: {network-guard.extensions.gardener.cloud/overlay-switch-state: pending}
spec: {type: calico}
";
        read_yaml(network, &mut snapshot).unwrap();
        assert_eq!(snapshot.switches().next().unwrap().1.state.as_deref(), Some("pending"));
        assert!(read_yaml(network, &mut snapshot).unwrap_err()[0].contains("is there twice"));

        let json = r#"{"apiVersion":"core.gardener.cloud/v1beta1","kind":"ShootList","items":[
            {"apiVersion":"core.gardener.cloud/v1beta1","kind":"Shoot","metadata":{"name":"a","namespace":"garden-x"}},
            {"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRoleBinding","metadata":{"name":"all"},"subjects":[{"kind":"Group","name":"ops"}]},
            {"apiVersion":"core.gardener.cloud/v1beta1","kind":"Project","metadata":{"name":"x"}}]}"#;
        read_json(json, &mut snapshot).unwrap();
        assert_eq!(snapshot.shoots.len(), 2);
        assert!(snapshot.access.may_see("carol", ["ops"], &Grant::Everywhere));
    }

    #[test]
    fn lists_of_others_are_not_ours_and_nesting_has_an_end() {
        let mut snapshot = Snapshot::default();
        read_json(r#"{"apiVersion":"example.org/v1","kind":"AllowList","items":["x"]}"#, &mut snapshot).unwrap();
        let nested = (0..10_000)
            .fold("{}".to_owned(), |inner, _| format!(r#"{{"apiVersion":"v1","kind":"List","items":[{inner}]}}"#));
        let problem = read_json(&nested, &mut snapshot).unwrap_err();
        assert!(problem.contains("more than 4 lists"), "{problem}");
    }

    #[test]
    fn says_what_is_wrong() {
        const SHOOT: &str = "apiVersion: core.gardener.cloud/v1beta1\nkind: Shoot\n";
        for (text, want) in [
            (format!("{SHOOT}metadata: {{name: a}}\n"), "needs `metadata.name` and `metadata.namespace`"),
            (format!("{SHOOT}metadata: {{name: 5, namespace: x}}\n"), "metadata.name: invalid type"),
            (format!("{SHOOT}metadata: {{name: a, namespace: x}}\n---\n{SHOOT}metadata: {{name: a, namespace: x}}\n"), "`x/a` is there twice"),
            (SHOOT.replace("Shoot", "ShootList") + "items: [{kind: Shoot}]\n", "items[0]: a manifest needs"),
            (SHOOT.replace("Shoot", "Seed") + "metadata: {}\n", "line "),
            ("apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: a}\n".to_owned(), "needs `metadata.namespace`"),
            ("apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {name: a}\nsubjects: [{kind: Robot, name: r}]\n".to_owned(), "is no subject"),
        ] {
            let problems = read_yaml(&text, &mut Snapshot::default()).unwrap_err();
            assert!(problems[0].contains(want), "{text}: {problems:?}");
        }
    }
}

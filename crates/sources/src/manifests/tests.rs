use super::*;

/// The remarks about a text.
fn read(text: &str, snapshot: &mut Snapshot) -> Vec<String> {
    super::read(text, Again::Refuse, snapshot).iter().map(ToString::to_string).collect()
}

const NOTHING: [String; 0] = [];

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
    assert_eq!(read(yaml, &mut snapshot), NOTHING);
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
    assert_eq!(read(network, &mut snapshot), NOTHING);
    assert_eq!(snapshot.switches().next().unwrap().1.switch.state.as_deref(), Some("pending"));
    assert_eq!(read(network, &mut snapshot), ["line 1: Network shoot--shop--orders/orders: is a duplicate"]);

    let json = r#"{"apiVersion":"core.gardener.cloud/v1beta1","kind":"ShootList","items":[
        {"apiVersion":"core.gardener.cloud/v1beta1","kind":"Shoot","metadata":{"name":"a","namespace":"garden-x"}},
        {"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRoleBinding","metadata":{"name":"all"},"subjects":[{"kind":"Group","name":"ops"}]},
        {"apiVersion":"core.gardener.cloud/v1beta1","kind":"Project","metadata":{"name":"x"}}]}"#;
    assert_eq!(read(json, &mut snapshot), ["line 4: Project x: is of a kind that is not read"]);
    assert_eq!(snapshot.shoots.len(), 2);
    assert!(snapshot.access.may_see("carol", ["ops"], &Grant::Everywhere));
}

#[test]
fn other_lists_are_skipped_and_nesting_is_limited() {
    let said = |text: &str| read(text, &mut Snapshot::default());
    let others = r#"{"apiVersion":"example.org/v1","kind":"AllowList","items":["x"]}"#;
    assert_eq!(said(others), ["line 1: AllowList without a name: is of a kind that is not read"]);
    for depth in [5, 10_000] {
        let nested = (0..depth)
            .fold("{}".to_owned(), |inner, _| format!(r#"{{"apiVersion":"v1","kind":"List","items":[{inner}]}}"#));
        assert_eq!(said(&nested), ["line 1: a list: is the 4th inside another, which is refused"]);
    }
}

/// API servers leave out what all items of a list have in common.
#[test]
fn items_of_a_typed_list_are_of_its_kind() {
    let mut snapshot = Snapshot::default();
    let list =
        "apiVersion: core.gardener.cloud/v1beta1\nkind: ShootList\nitems:\n- metadata: {name: a, namespace: x}\n";
    assert_eq!(read(list, &mut snapshot), NOTHING);
    assert_eq!(snapshot.shoots.len(), 1);
    let plain = "apiVersion: v1\nkind: List\nitems:\n- metadata: {name: a, namespace: x}\n-\n";
    assert_eq!(
        read(plain, &mut snapshot),
        ["line 4: an item: a manifest needs `apiVersion` and `kind`", "line 5: an item: is empty"]
    );
}

const SHOOT: &str = "apiVersion: core.gardener.cloud/v1beta1\nkind: Shoot\n";

#[test]
fn names_errors() {
    for (text, want) in [
        (format!("{SHOOT}metadata: {{name: a}}\n"), "line 1: Shoot a: needs `metadata.namespace`"),
        (format!("{SHOOT}metadata: {{namespace: a}}\n"), "line 1: Shoot without a name: needs `metadata.name`"),
        (
            format!("{SHOOT}metadata: {{name: 5, namespace: x}}\n"),
            "line 1: Shoot without a name: metadata.name: invalid type: integer `5`, expected a string",
        ),
        (
            format!("{SHOOT}metadata: {{name: a, namespace: x}}\n---\n{SHOOT}metadata: {{name: a, namespace: x}}\n"),
            "line 5: Shoot x/a: is a duplicate",
        ),
        (
            SHOOT.replace("Shoot", "ShootList") + "items: [{kind: Shoot}]\n",
            "line 3: an item: a manifest needs `apiVersion` and `kind`",
        ),
        (SHOOT.replace("Shoot", "Seed") + "metadata: {}\n", "line 1: Seed without a name: metadata: missing field `name`"),
        (
            "apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: a}\n".to_owned(),
            "line 1: RoleBinding a: needs `metadata.namespace`",
        ),
        (
            "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {name: a}\nsubjects: [{kind: Robot, name: r}]\n".to_owned(),
            "line 1: ClusterRoleBinding a: Robot `r` is no subject: write User, Group, or ServiceAccount with a namespace",
        ),
        (
            format!("{SHOOT}metadata: {{name: a, namespace: x}}\nspec:\n  extensions:\n  -\n"),
            "line 1: Shoot x/a: spec.extensions[0]: is empty",
        ),
        (
            format!("{SHOOT}metadata: {{name: a, namespace: x}}\nspec: [1]\n"),
            "line 1: Shoot x/a: spec: is a list, not a mapping",
        ),
        (
            format!("{SHOOT}metadata: {{name: a, namespace: x}}\nspec: {{networking: {{nodes: 5}}}}\n"),
            "line 1: Shoot x/a: spec.networking.nodes: invalid type: integer `5`, expected a string",
        ),
    ] {
        let said = super::read(&text, Again::Refuse, &mut Snapshot::default());
        assert_eq!(said.iter().map(ToString::to_string).collect::<Vec<_>>(), [want], "{text}");
        assert_eq!(said[0].weight, Weight::Broken, "{text}");
    }
}

/// Other documents that a folder may contain, and their importance.
#[test]
fn the_rest_is_named_and_weighed() {
    use Weight::{Broken, Note, Other, Unused};
    const CLUSTER: &str = "apiVersion: extensions.gardener.cloud/v1alpha1\nkind: Cluster\nmetadata: {name: x}\n";
    for (text, want, weight) in [
        ("resources: [shoot.yaml]\n", "line 1: a document: is no manifest: it has no `apiVersion` and `kind`", Other),
        (
            "apiVersion: v2\nname: x\nversion: 1\n",
            "line 1: a document: is no manifest: it has no `apiVersion` and `kind`",
            Other,
        ),
        ("- a\n- b\n", "line 1: a document: is no manifest: it has no `apiVersion` and `kind`", Other),
        (
            "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\n",
            "line 1: Secret s: is of a kind that is not read",
            Other,
        ),
        ("apiVersion: v1\nkind: ConfigMap\ndata: [\n", "line 3: a ConfigMap: cannot be read: ", Other),
        (
            "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: r}\n",
            "line 1: Role r: is of a kind",
            Other,
        ),
        (
            "apiVersion: cluster.x-k8s.io/v1\nkind: Cluster\nmetadata: {name: r}\n",
            "line 1: Cluster r: is of a kind",
            Other,
        ),
        (CLUSTER, "line 1: Cluster x: it has no `spec`", Unused),
        (
            &SHOOT.replace("v1beta1", "v1alpha1"),
            "line 1: Shoot without a name: Gardener does not serve core.gardener.cloud/v1alpha1 any more; write core.gardener.cloud/v1beta1",
            Unused,
        ),
        (
            &SHOOT.replace("v1beta1", "v2"),
            "line 1: Shoot without a name: core.gardener.cloud/v2 is not read; write core.gardener.cloud/v1beta1",
            Unused,
        ),
        (
            &format!("{SHOOT}metadata: {{name: a, namespace: x}}\nspec: 1\nspec: {{}}\n"),
            "line 5: `spec`: is a duplicate; the last one counts, as for kubectl",
            Note,
        ),
        // Edits in progress.
        ("apiVersi", "line 1: a document: a manifest needs `apiVersion` and `kind`", Broken),
        (
            "apiVersion: v1\nitems:\n- apiVersion: core.gardener.cloud/v1beta1\n",
            "line 1: a document: a manifest needs",
            Broken,
        ),
        (
            "apiVersion: core.gardener.cloud/v1beta1\nkind: Sho\n",
            "line 1: Sho without a name: there is no kind `Sho`",
            Broken,
        ),
        (
            "kind: Shoot\napiVersion: core.garden\n",
            "line 1: Shoot without a name: there is no kind `Shoot` in `core.garden`",
            Broken,
        ),
        ("apiVersion: core.gardener.cloud/v1beta1\nkind: Shoot\nmetadata: {name\n", "line ", Broken),
        ("{{ if .Values.shoot }}\na: b: c\n", "line ", Broken),
    ] {
        let said = super::read(text, Again::Refuse, &mut Snapshot::default());
        assert!(said[0].to_string().starts_with(want), "{text}: {said:?}");
        assert_eq!(said[0].weight, weight, "{text}");
    }
}

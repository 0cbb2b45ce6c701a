//! The writes, and which of them are sent.

use std::collections::HashMap;

use network_guard_core::gardener::network::Record;
use network_guard_core::overlay::Subset;
use serde_json::{Value, json};

use super::Does::{self, Refuse, Send, Store};
use super::{NAMESPACE, NETWORKS};
use crate::harness::{Api, PREFIX, Patch};

const OPERATION: &str = "gardener.cloud/operation";
const TIMESTAMP: &str = "gardener.cloud/timestamp";

/// What a `providerConfig` means for Pods of different nodes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Means {
    Overlay,
    Native,
    /// Calico cannot read it: who writes it is told, and where it is stored nobody knows what is in force.
    Nothing,
}
use Means::{Native, Nothing, Overlay};

pub(super) const ON: &str = r#"{"overlay":{"enabled":true}}"#;
pub(super) const OFF: &str = r#"{"overlay":{"enabled":false}}"#;
const BAD: &str = r#"{"overlay":5}"#;

/// Configurations by what they mean with IPv4. Nothing stands for none.
const CONFIGS: [(&str, Means); 44] = [
    ("", Overlay),
    ("{}", Overlay),
    (ON, Overlay),
    (r#"{"overlay":{"enabled":true,"createPodRoutes":null}}"#, Overlay),
    (r#"{"overlay":{"enabled":true},"backend":"none","ipv4":{"mode":"Never"}}"#, Overlay),
    (r#"{"overlay":null}"#, Overlay),
    (r#"{"backend":"bird"}"#, Overlay),
    (r#"{"backend":null}"#, Overlay),
    (r#"{"ipv4":{}}"#, Overlay),
    (r#"{"ipv4":null}"#, Overlay),
    (r#"{"ipv4":{"mode":"Always"}}"#, Overlay),
    (r#"{"ipv4":{"mode":"CrossSubnet"}}"#, Overlay),
    (r#"{"ipv4":{"mode":null}}"#, Overlay),
    (r#"{"ipv6":{"mode":"Never"},"typha":5}"#, Overlay),
    (OFF, Native),
    (r#"{"overlay":{}}"#, Native),
    (r#"{"overlay":{"enabled":null}}"#, Native),
    (r#"{"overlay":{"createPodRoutes":true}}"#, Native),
    (r#"{"overlay":{"enabled":false},"backend":"bird","ipv4":{"mode":"Always"}}"#, Native),
    (r#"{"backend":"none"}"#, Native),
    (r#"{"overlay":null,"backend":"none","ipv4":null}"#, Native),
    (r#"{"backend":"none","ipv4":{"mode":"Always"}}"#, Native),
    (r#"{"ipv4":{"mode":"Never"}}"#, Native),
    (r#"{"ipv4":{"mode":"Off"},"backend":null}"#, Native),
    (BAD, Nothing),
    (r#"{"overlay":"x"}"#, Nothing),
    (r#"{"overlay":true}"#, Nothing),
    (r#"{"overlay":[]}"#, Nothing),
    (r#"{"overlay":[true]}"#, Nothing),
    (r#"{"overlay":{"enabled":"no"}}"#, Nothing),
    (r#"{"overlay":{"enabled":5}}"#, Nothing),
    (r#"{"overlay":{"enabled":{}}}"#, Nothing),
    (r#"{"overlay":{"enabled":true},"backend":5}"#, Nothing),
    (r#"{"overlay":{"enabled":true},"ipv4":"x"}"#, Nothing),
    (r#"{"overlay":{"enabled":false},"backend":[]}"#, Nothing),
    (r#"{"overlay":{"enabled":false},"ipv4":{"mode":5}}"#, Nothing),
    (r#"{"backend":5}"#, Nothing),
    (r#"{"backend":"none","ipv4":5}"#, Nothing),
    (r#"{"backend":true,"ipv4":{"mode":"Never"}}"#, Nothing),
    (r#"{"ipv4":"x"}"#, Nothing),
    (r#"{"ipv4":[]}"#, Nothing),
    (r#"{"ipv4":["Never"]}"#, Nothing),
    (r#"{"ipv4":{"mode":5}}"#, Nothing),
    (r#"{"ipv4":{"mode":["Never"]}}"#, Nothing),
];

/// Those that meet all others, and all IP families.
const FEW: [(&str, Means); 5] =
    [("", Overlay), (ON, Overlay), (r#"{"backend":"bird"}"#, Overlay), (OFF, Native), (BAD, Nothing)];

/// IP families, and what they mean where the configuration leaves it to them.
const FAMILIES: [(&str, Families); 5] = [
    ("", Families::V4),
    (r#"["IPv4"]"#, Families::V4),
    (r#"["IPv4","IPv6"]"#, Families::Dual),
    (r#"["IPv6","IPv4"]"#, Families::V6),
    (r#"["IPv6"]"#, Families::V6),
];

#[derive(Clone, Copy, Eq, PartialEq)]
enum Families {
    V4,
    /// The second may not count yet: native when it is written, and not for sure when it is stored.
    Dual,
    /// The first always counts.
    V6,
}

/// One write.
pub(super) struct Row {
    pub(super) what: String,
    /// The Network as it is stored; none when it is created.
    pub(super) old: Option<Value>,
    pub(super) new: Value,
    pub(super) want: Does,
    /// Whether the webhook need not see this one, though it would take away what is left of network-guard: the next will do.
    pub(super) may_wait: bool,
}

/// The table, and the Networks that its rows change: stored while no webhook is registered.
pub(super) struct Table {
    pub(super) api: Api,
    pub(super) stored: HashMap<String, Value>,
    pub(super) rows: Vec<Row>,
}

impl Table {
    /// The Network as it is stored; each of them once.
    fn stored(&mut self, network: &Value) -> Value {
        let key = network.to_string();
        if let Some(stored) = self.stored.get(&key) {
            return stored.clone();
        }
        let mut network = network.clone();
        let name = format!("n{}", self.stored.len());
        network["metadata"]["name"] = json!(name);
        let path = format!("{NETWORKS}/{name}");
        self.api.create(NETWORKS, &network);
        if let Some(status) = network.get("status") {
            self.api.patch(&format!("{path}/status"), Patch::Merge, &json!({"status": status}));
        }
        if network["metadata"]["finalizers"].is_array() {
            self.api.delete(&path);
        }
        let stored = self.api.get(&path).unwrap();
        assert_eq!(stored["spec"], network["spec"], "it is stored as it was sent, with every null");
        self.stored.insert(key, stored.clone());
        stored
    }

    fn update(&mut self, what: impl Into<String>, old: &Value, change: impl FnOnce(&mut Value), want: Does) {
        let old = self.stored(old);
        let mut new = old.clone();
        change(&mut new);
        self.rows.push(Row { what: what.into(), old: Some(old), new, want, may_wait: false });
    }

    fn create(&mut self, what: impl Into<String>, network: &Value, want: Does) {
        let mut new = network.clone();
        new["metadata"]["name"] = json!("new");
        self.rows.push(Row { what: what.into(), old: None, new, want, may_wait: false });
    }

    /// Every configuration after each of a few, and each of a few after every other, without a word of network-guard: only a
    /// switch is sent, and what cannot be read.
    pub(super) fn add_configs(&mut self) {
        for (old, was) in CONFIGS {
            for (new, is) in CONFIGS {
                if !FEW.contains(&(old, was)) && !FEW.contains(&(new, is)) && old != new {
                    continue;
                }
                let is_sent = old != new && (is == Nothing || is == Native && was != Native);
                let change = |network: &mut Value| set(network, "providerConfig", new);
                self.update("", &network(old, ""), change, if is_sent { Send } else { Store });
            }
        }
    }

    /// The same with IP families that change.
    pub(super) fn add_families(&mut self) {
        for (old, was) in FEW {
            for (new, is) in FEW {
                for (old_families, before) in FAMILIES {
                    for (new_families, after) in FAMILIES {
                        let says = |config: &str| config.contains("overlay");
                        let goes_native = is == Native || !says(new) && after != Families::V4;
                        let was_native = was == Native || !says(old) && before == Families::V6;
                        let differs = old != new || old_families != new_families;
                        let is_sent = differs && (is == Nothing || goes_native && !was_native);
                        let change = |network: &mut Value| {
                            set(network, "providerConfig", new);
                            set(network, "ipFamilies", new_families);
                        };
                        let old = network(old, old_families);
                        self.update("", &old, change, if is_sent { Send } else { Store });
                    }
                }
            }
        }
    }

    /// The same while the extension has said which families it has deployed: gardenlet's write is sent though it changes
    /// nothing, as long as a family that ends the overlay is not among them.
    pub(super) fn add_deployed(&mut self) {
        for deployed in [json!(["IPv4"]), json!(["IPv4", "IPv6"]), json!([])] {
            for (config, _) in FEW {
                for (families, _) in FAMILIES {
                    let mut old = network(config, families);
                    old["status"] = json!({"ipFamilies": deployed});
                    let ends = !config.contains("overlay") && families == r#"["IPv4","IPv6"]"#;
                    let is_sent = ends && deployed == json!(["IPv4"]);
                    let want = if is_sent { Send } else { Store };
                    let what = format!("deployed: {deployed}");
                    self.update(format!("{what}: gardenlet repeats itself"), &old, stamp, want);
                    self.update(
                        format!("{what}: somebody labels it"),
                        &old,
                        |n| n["metadata"]["labels"] = json!({"a": "b"}),
                        Store,
                    );
                    self.update(format!("{what}: the extension starts"), &old, starts, Store);
                }
            }
        }
    }

    /// With annotations of network-guard on what is stored, on what is written, or on both.
    pub(super) fn add_held(&mut self) {
        /// When a write is sent.
        #[derive(Clone, Copy)]
        enum When {
            Never,
            Always,
            /// While a switch is held: ours is on one of both.
            Held,
            /// When it leaves something of network-guard on a Network that is native.
            Left,
        }
        use When::{Always, Held, Left, Never};
        let typha = |network: &mut Value| network["spec"]["providerConfig"]["typha"] = json!({"enabled": false});
        let operate = |network: &mut Value, operation: &str| {
            annotate(network, OPERATION, operation);
            stamp(network);
        };
        let to = |network: &mut Value, config: &str| set(network, "providerConfig", config);
        let label = |network: &mut Value| network["metadata"]["labels"] = json!({"team": "network"});
        let table: [(&str, &str, &dyn Fn(&mut Value), When); 24] = [
            ("nothing changes", ON, &|_| (), Never),
            ("somebody labels it", ON, &label, Never),
            ("the extension starts", ON, &starts, Never),
            ("gardenlet repeats itself", ON, &stamp, Held),
            ("gardenlet's stamp is taken away", ON, &|n| drop(annotations(n).remove(TIMESTAMP)), Held),
            ("all annotations are taken away", ON, &|n| annotations(n).clear(), Held),
            ("gardenlet reconciles", ON, &|n| operate(n, "reconcile"), Held),
            ("gardenlet restores", ON, &|n| operate(n, "restore"), Held),
            ("gardenlet migrates", ON, &|n| operate(n, "migrate"), Never),
            ("something else changes", ON, &typha, Held),
            ("a switch of gardenlet", ON, &|n| (to(n, OFF), operate(n, "reconcile")).1, Always),
            ("a switch of people", ON, &|n| to(n, OFF), Always),
            ("a switch from nothing", "", &|n| to(n, OFF), Always),
            ("a switch from what cannot be read", BAD, &|n| to(n, OFF), Always),
            ("a switch of a Network that migrates", ON, &|n| (to(n, OFF), operate(n, "migrate")).1, Never),
            ("nonsense", ON, &|n| to(n, BAD), Always),
            ("nonsense after native", OFF, &|n| to(n, BAD), Always),
            ("nonsense stays", BAD, &label, Never),
            ("nonsense stays, and something else changes", BAD, &typha, Always),
            ("back to the overlay", OFF, &|n| to(n, ON), Held),
            ("native: gardenlet repeats itself", OFF, &stamp, Held),
            ("native: something else changes", OFF, &typha, Held),
            ("native: somebody labels it", OFF, &label, Left),
            ("native: the extension starts", OFF, &starts, Left),
        ];
        for (what, old, change, when) in table {
            for (ours, words) in ours() {
                for (before, after) in [(false, false), (true, true), (true, false), (false, true)] {
                    let mut old = network(old, "");
                    annotate(&mut old, OPERATION, "reconcile");
                    annotate(&mut old, TIMESTAMP, "2026-11-20T10:00:00Z");
                    if before {
                        annotations(&mut old).extend(words.clone());
                    }
                    let clears = what.starts_with("all annotations");
                    let change = |network: &mut Value| {
                        annotations(network).retain(|key, _| !key.starts_with(PREFIX));
                        if after && !clears {
                            annotations(network).extend(words.clone());
                        }
                        change(network);
                    };
                    let is_sent = match when {
                        Never => false,
                        Always => true,
                        Held => before || after && !clears,
                        Left => after,
                    };
                    let what = format!("{what}; {ours}, before: {before}, after: {after}");
                    self.update(what, &old, change, if is_sent { Send } else { Store });
                }
            }
        }
    }

    /// New Networks, what a control plane that moved brings along, and what is no Network of a Shoot on Calico.
    pub(super) fn add_others(&mut self) {
        for config in [ON, OFF, BAD, ""] {
            self.create(format!("new, {config}"), &network(config, ""), Store);
            for (ours, words) in ours() {
                let mut new = network(config, "");
                annotations(&mut new).extend(words);
                self.create(format!("new, {config}, {ours}"), &new, Send);
            }
        }
        let off: Value = serde_json::from_str(OFF).unwrap();
        let record = Record {
            held: ON.into(),
            requested: Subset::of(Some(&off)).digest(),
            since: "2026-11-20T10:00:00Z".into(),
            ..Record::default()
        };
        let record = json!({"state": {"networkGuard": record}});
        let mut restored = network(OFF, "");
        annotate(&mut restored, OPERATION, "restore");
        restored["status"] = record.clone();
        // Its `status` is thrown away as well.
        self.create("new, restored", &restored, Store);
        for (what, status, want) in [
            ("ours", record.clone(), Send),
            ("ours of another kind", json!({"state": {"networkGuard": 5}}), Send),
            ("not ours", json!({"state": {"other": {}}}), Store),
            ("none", json!({}), Store),
        ] {
            for config in ["", ON, OFF] {
                let mut old = network(config, "");
                old["status"] = status.clone();
                let restore = |network: &mut Value| annotate(network, OPERATION, "restore");
                self.update(format!("restored, state: {what}"), &old, restore, want.clone());
                self.update(format!("not restored, state: {what}"), &old, |_| (), Store);
            }
        }
        // Whatever `status` says in a write of the rest is thrown away, after the webhook could have seen it.
        for status in [json!(null), json!([]), json!({"state": null}), json!({"state": []})] {
            let change = |network: &mut Value| {
                annotate(network, OPERATION, "restore");
                network["status"] = status.clone();
            };
            self.update(format!("restored with status {status}"), &network(ON, ""), change, Store);
        }

        let off = |network: &mut Value| set(network, "providerConfig", OFF);
        let mut deleted = network(ON, "");
        deleted["metadata"]["finalizers"] = json!(["extensions.gardener.cloud/calico"]);
        self.update("a switch while it is being deleted", &deleted, off, Store);
        annotations(&mut deleted).extend(ours().remove(0).1);
        self.update("a held one is being deleted", &deleted, off, Store);
        self.update("its finalizer goes", &deleted, |n| n["metadata"]["finalizers"] = json!([]), Store);
        // Here only the webhook knows whether both families count, and so whether it is native already. Where they do not,
        // a switch may well be held, and the extension must get through.
        let mut dual = network("", r#"["IPv4","IPv6"]"#);
        annotate(&mut dual, OPERATION, "reconcile");
        annotations(&mut dual).extend(ours().remove(0).1);
        self.update("a held one with two families: the extension starts", &dual, starts, Store);
        self.rows.last_mut().unwrap().may_wait = true;
        self.update("a held one with two families: gardenlet repeats itself", &dual, stamp, Send);
        self.update("a held one with two families: a switch", &dual, off, Send);
        // The label of the namespace says that it is Calico; who writes something else into it waits like all others.
        let mut cilium = network(ON, "");
        cilium["spec"]["type"] = json!("cilium");
        self.update("a switch of another network", &cilium, off, Send);
        // The API server takes these for absent, before it asks anybody.
        for field in ["providerConfig", "ipFamilies"] {
            let null = |network: &mut Value| set(network, field, "null");
            self.update(format!("{field}: null"), &network(ON, ""), null, Store);
            self.update(format!("{field}: null, native"), &network(OFF, ""), null, Store);
        }
        // The schema, which has objects only, comes after the webhooks.
        for config in ["5", "[]", "[5]", r#""x""#, "true"] {
            let change = |network: &mut Value| set(network, "providerConfig", config);
            self.update(format!("not in the schema: {config}"), &network(ON, ""), change, Send);
        }
        for families in [r#""IPv6""#, "5", "{}"] {
            let change = |network: &mut Value| set(network, "ipFamilies", families);
            self.update(format!("not in the schema: {families}"), &network(ON, ""), change, Refuse);
            self.update(format!("not in the schema: {families}"), &network("", ""), change, Refuse);
        }
        for value in [json!(null), json!({})] {
            let change = |network: &mut Value| network["metadata"]["annotations"] = value.clone();
            self.update(format!("annotations: {value}"), &network(ON, ""), change, Store);
            self.update(format!("native, annotations: {value}"), &network(OFF, ""), change, Store);
            let mut held = network(ON, "");
            annotations(&mut held).extend(ours().remove(0).1);
            self.update(format!("held, annotations: {value}"), &held, change, Store);
        }
    }
}

/// A Network with this configuration and these families.
fn network(config: &str, families: &str) -> Value {
    let mut network = json!({
        "apiVersion": "extensions.gardener.cloud/v1alpha1", "kind": "Network",
        "metadata": {"namespace": NAMESPACE, "annotations": {}},
        "spec": {"type": "calico", "podCIDR": "100.96.0.0/11", "serviceCIDR": "100.64.0.0/13"},
    });
    set(&mut network, "providerConfig", config);
    set(&mut network, "ipFamilies", families);
    network
}

/// Sets a field of `spec` to this JSON text, or takes it away.
fn set(network: &mut Value, field: &str, text: &str) {
    let spec = network["spec"].as_object_mut().unwrap();
    match text {
        "" => drop(spec.remove(field)),
        text => drop(spec.insert(field.to_owned(), serde_json::from_str(text).unwrap())),
    }
}

/// What gardenlet writes to every Network in every reconciliation.
fn stamp(network: &mut Value) {
    annotate(network, TIMESTAMP, "2026-11-21T10:00:00Z");
}

/// What the extension writes when it takes up its work.
fn starts(network: &mut Value) {
    annotations(network).remove(OPERATION);
}

/// The annotations, be there any or not.
fn annotations(network: &mut Value) -> &mut serde_json::Map<String, Value> {
    let annotations = &mut network["metadata"]["annotations"];
    if annotations.is_null() {
        *annotations = json!({});
    }
    annotations.as_object_mut().unwrap()
}

fn annotate(network: &mut Value, key: &str, value: &str) {
    annotations(network).insert(key.to_owned(), json!(value));
}

/// Our annotations as they are while a switch is held, and some that people have been at.
fn ours() -> Vec<(&'static str, serde_json::Map<String, Value>)> {
    let off: Value = serde_json::from_str(OFF).unwrap();
    let digest = Subset::of(Some(&off)).digest();
    let all = |state: &'static str| {
        vec![("state", state), ("since", "2026-11-20T10:00:00Z"), ("requested", &digest), ("message", "0 of 1")]
    };
    let variants = [
        ("pending", all("pending")),
        ("approved", all("approved")),
        ("forced by hand", vec![("state", "forced")]),
        ("without a state", all("").split_off(1)),
    ];
    let named = |words: Vec<(&str, &str)>| {
        words.into_iter().map(|(key, value)| (format!("{PREFIX}/overlay-switch-{key}"), json!(value))).collect()
    };
    variants.map(|(what, words)| (what, named(words))).into()
}

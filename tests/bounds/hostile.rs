//! Requests that nobody sends who means well.

use proptest::sample::Index;
use serde_json::{Value, json};

use super::scene::Call;

/// One way to make a request large.
#[derive(Debug)]
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    /// The place in the object; the list or object there is made if need be.
    place: &'static str,
    /// The JSON text that is put there so many times, with the number for `#`.
    element: &'static str,
}

const fn kind(name: &'static str, place: &'static str, element: &'static str) -> Kind {
    Kind { name, place, element }
}

/// Each list or map that any reader looks at, filled with the smallest thing that costs something.
pub(crate) static KINDS: &[Kind] = &[
    kind("clients of the VPN", "/spec/template/spec/containers", r#"{"name":"vpn-client-1"}"#),
    kind("numbered clients", "/spec/template/spec/containers", r#"{"name":"vpn-client-#","env":[]}"#),
    kind(
        "init containers of the VPN",
        "/spec/template/spec/initContainers",
        r#"{"name":"vpn-client-init","env":[{"name":"SEED_POD_NETWORK"}]}"#,
    ),
    kind("empty containers", "/spec/template/spec/containers", "{}"),
    kind(
        "sidecars",
        "/spec/template/spec/containers",
        r#"{"name":"envoy-proxy","volumeMounts":[{"name":"network-guard-config","mountPath":"x"}]}"#,
    ),
    kind("containers with our name", "/spec/template/spec/containers", r#"{"name":"network-guard-nat"}"#),
    kind(
        "init containers with our name",
        "/spec/template/spec/initContainers",
        r#"{"name":"network-guard-nat-init","command":["network-guard","nat","apply"]}"#,
    ),
    kind("empty volumes", "/spec/template/spec/volumes", "{}"),
    kind("volumes with our name", "/spec/template/spec/volumes", r#"{"name":"network-guard-socket"}"#),
    kind("volumes of ours", "/spec/template/spec/volumes", r#"{"name":"network-guard-socket","emptyDir":{}}"#),
    kind("arguments", "/spec/template/spec/containers/0/args", r#""""#),
    kind("egress selectors", "/spec/template/spec/containers/0/args", r#""--egress-selector-config-file=/x""#),
    kind(
        "our egress selectors",
        "/spec/template/spec/containers/0/args",
        r#""--egress-selector-config-file=/etc/network-guard/egress-selector.yaml""#,
    ),
    kind("mounts", "/spec/template/spec/containers/0/volumeMounts", r#"{"name":"","mountPath":""}"#),
    kind(
        "mounts of ours",
        "/spec/template/spec/containers/0/volumeMounts",
        r#"{"name":"network-guard-socket","mountPath":"/var/run/network-guard"}"#,
    ),
    kind("variables", "/spec/template/spec/containers/1/env", r#"{"name":"SHOOT_NODE_NETWORKS","value":"10.0.0.0/8"}"#),
    kind("empty variables", "/spec/template/spec/containers/1/env", "{}"),
    kind("host aliases", "/spec/template/spec/hostAliases", r#"{"ip":"1.1.1.1","hostnames":["a"]}"#),
    kind("labels", "/metadata/labels", r#""a#":"""#),
    kind("annotations", "/metadata/annotations", r#""a#":"""#),
    kind("the same annotation", "/metadata/annotations", r#""network-guard.extensions.gardener.cloud/overlaps":"""#),
    kind("template annotations", "/spec/template/metadata/annotations", r#""a#":"""#),
    kind("managed fields", "/metadata/managedFields", "{}"),
    kind("members of metadata", "/metadata", r#""":0"#),
    kind("members of spec", "/spec", r#""":0"#),
    kind("conditions", "/status/conditions", "{}"),
    kind("node networks in the status", "/status/networking/nodes", r#""10.#.0.0/16""#),
    kind("different node networks", "/status/networking/nodes", r#""10.0.0.#/32""#),
    kind("Pod networks in the status", "/status/networking/pods", r#""""#),
    kind("members of the state", "/status/state", r#""a#":0"#),
    kind("IP families", "/spec/networking/ipFamilies", r#""IPv4""#),
    kind("IP families of a Network", "/spec/ipFamilies", r#""""#),
    kind("workers", "/spec/provider/workers", "{}"),
    kind("zones", "/spec/provider/infrastructureConfig/networks/zones", r#"{"":0}"#),
    kind("feature gates", "/spec/kubernetes/kubeAPIServer/featureGates", r#""a#":0"#),
    kind("objects in Calico's configuration", "/spec/networking/providerConfig/x", r#"{"":0}"#),
    kind("members of Calico's configuration", "/spec/networking/providerConfig", r#""":0"#),
    kind("objects in a Network's configuration", "/spec/providerConfig/overlay/x", r#"{"":0}"#),
    kind("extensions", "/spec/extensions", "{}"),
    kind("extensions of ours", "/spec/extensions", r#"{"type":"osc-peering-service"}"#),
    kind("entries that are none", "/spec/extensions/1/providerConfig/shootPeerings", "5"),
    kind("entries of one name", "/spec/extensions/1/providerConfig/shootPeerings", r#"{"name":"a"}"#),
    kind("entries of other names", "/spec/extensions/1/providerConfig/shootPeerings", r#"{"name":"a#"}"#),
    kind("untidy entries", "/spec/extensions/1/providerConfig/shootPeerings", r#"{"name":"A","seed":"A"}"#),
    kind(
        "entries that are right",
        "/spec/extensions/1/providerConfig/shootPeerings",
        r#"{"name":"a#","namespace":"garden-a","seed":"eu#"}"#,
    ),
    kind(
        "visible entries",
        "/spec/extensions/1/providerConfig/shootPeerings",
        r#"{"name":"s#","namespace":"garden-shop","seed":"eu1-b"}"#,
    ),
    kind("fields of an entry", "/spec/extensions/1/providerConfig/shootPeerings/0", r#""":0"#),
    kind("the same field of an entry", "/spec/extensions/1/providerConfig/shootPeerings/0", r#""name":"a""#),
    kind("unknown fields", "/spec/extensions/1/providerConfig", r#""a#":0"#),
    kind("objects in a peering configuration", "/spec/extensions/1/providerConfig/x", r#"{"":0}"#),
    // Texts.
    kind("a long name of a container", "/spec/template/spec/containers/1/name", "9"),
    kind("a long value", "/spec/template/spec/containers/1/env/0/value", "fd00::/64,"),
    kind(
        "a long annotation of ours",
        "/metadata/annotations/network-guard.extensions.gardener.cloud~1overlaps",
        "\\\"",
    ),
    kind("a long argument", "/spec/template/spec/containers/0/args/0", "--egress-selector-config-file=\u{200b}"),
    kind("a long time", "/metadata/annotations/network-guard.extensions.gardener.cloud~1overlay-switch-since", "x"),
    kind("a long name", "/metadata/name", "x"),
    kind("a long namespace", "/metadata/namespace", "x"),
    kind("a long Seed", "/spec/seedName", "\u{e9}"),
    kind("a long version", "/spec/kubernetes/version", "1.21."),
    kind("a long network", "/spec/networking/nodes", "1"),
    kind("a long kind", "/spec/extensions/1/providerConfig/kind", "\u{200b}"),
    kind("a long name of an entry", "/spec/extensions/1/providerConfig/shootPeerings/0/name", "A"),
    kind("a long Seed of an entry", "/spec/extensions/1/providerConfig/shootPeerings/0/seed", "a"),
];

impl Kind {
    /// How often fits into so many bytes.
    pub(crate) fn times(&self, bytes: usize) -> usize {
        bytes / (self.element.len() + 4)
    }

    fn is_text(&self) -> bool {
        !self.element.starts_with(['{', '"']) && self.element != "5"
    }

    fn is_member(&self) -> bool {
        self.element.starts_with('"') && self.element.contains("\":")
    }

    /// The request with so many of it in both objects; `None` where there is no such place. It is put in as text, so that names
    /// may be there more than once.
    pub(crate) fn body(&self, call: &Call, times: usize) -> Option<String> {
        const MARK: &str = "put it here";
        let mut is_there = false;
        let body = {
            let is_there = std::cell::Cell::from_mut(&mut is_there);
            let mark = |object: &mut Value| is_there.set(self.mark(object, MARK).is_some() || is_there.get());
            call.changed(mark, mark).to_string()
        };
        let elements = (0..times).map(|i| self.element.replace('#', &i.to_string()));
        let filling = if self.is_text() {
            format!("\"{}\"", elements.collect::<String>())
        } else {
            elements.collect::<Vec<_>>().join(",")
        };
        let filled = if self.is_member() {
            body.replace(&format!("\"{MARK}\":0"), &filling)
        } else {
            body.replace(&format!("\"{MARK}\""), &filling)
        };
        is_there.then_some(filled)
    }

    /// Leaves a mark at the place: as the last element of a list, as a member of an object, or instead of a text. What is there
    /// already stays in front.
    fn mark(&self, object: &mut Value, mark: &str) -> Option<()> {
        let (parent, key) = self.place.rsplit_once('/')?;
        let key = key.replace("~1", "/");
        let value = match object.pointer_mut(parent)? {
            Value::Array(list) => list.get_mut(key.parse::<usize>().ok()?)?,
            Value::Object(members) => members.entry(key).or_insert(Value::Null),
            _ => return None,
        };
        match value {
            Value::Array(list) if !self.is_text() && !self.is_member() => list.push(json!(mark)),
            Value::Object(members) if self.is_member() => drop(members.insert(mark.to_owned(), json!(0))),
            other if self.is_member() => *other = json!({mark: 0}),
            other if self.is_text() => *other = json!(mark),
            other => *other = json!([mark]),
        }
        Some(())
    }
}

/// A change at any place of an object.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) place: Index,
    pub(crate) filling: Index,
    /// 0: the new object, 1: the old one, 2: both.
    pub(crate) both: usize,
    pub(crate) times: usize,
}

/// A request with changes.
pub(crate) fn changed(call: &Call, changes: &[Change]) -> String {
    let apply = |object: &mut Value, which: usize| {
        for change in changes.iter().filter(|change| change.both == which || change.both == 2) {
            apply(object, change);
        }
    };
    call.changed(|old| apply(old, 1), |new| apply(new, 0)).to_string()
}

fn apply(object: &mut Value, change: &Change) {
    let mut places = Vec::new();
    pointers(object, &mut String::new(), &mut places);
    let place = change.place.get(&places).clone();
    let value = object.pointer_mut(&place).unwrap();
    let times = change.times;
    let fillings: [Box<dyn Fn(&Value) -> Value>; 9] = [
        Box::new(|value| json!(vec![value; times.min(1 + (1 << 18) / value.to_string().len())])),
        Box::new(|value| match value {
            Value::Array(list) if !list.is_empty() => {
                json!(list.iter().cycle().take(times.min(1 + (1 << 18) / value.to_string().len())).collect::<Vec<_>>())
            }
            other => other.clone(),
        }),
        Box::new(|_| json!(vec![json!({}); times])),
        Box::new(|_| json!(vec![json!({"": 0}); times])),
        Box::new(|_| json!(vec![""; times])),
        Box::new(|_| json!("\u{200b}".repeat(times))),
        Box::new(|_| json!("fd00::/64,".repeat(times))),
        Box::new(|_| (0..times).map(|i| (format!("m{i}"), json!(0))).collect()),
        Box::new(|_| (0..times.min(100)).fold(json!(0), |inner, _| json!([inner]))),
    ];
    let filled = change.filling.get(&fillings)(value);
    *value = filled;
}

fn pointers(value: &Value, at: &mut String, found: &mut Vec<String>) {
    found.push(at.clone());
    let length = at.len();
    let mut descend = |key: &str, value: &Value| {
        at.push('/');
        at.push_str(&key.replace('~', "~0").replace('/', "~1"));
        pointers(value, at, found);
        at.truncate(length);
    };
    match value {
        Value::Array(list) => list.iter().enumerate().for_each(|(i, value)| descend(&i.to_string(), value)),
        Value::Object(members) => members.iter().for_each(|(key, value)| descend(key, value)),
        _ => {}
    }
}

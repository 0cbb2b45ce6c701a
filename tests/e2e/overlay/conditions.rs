//! Which writes of Networks are sent to the webhook: every one that it would change or refuse, and few others, for those
//! wait while it is down.
//!
//! Real writes, as dry runs, on a real API server that cannot reach our server; and the same writes through the handler.

mod rows;

use std::collections::HashMap;
use std::process::Command;

use network_guard_core::admission::{self, AskLoop, NoVerdict};
use network_guard_core::gardener::ClusterFacts;
use network_guard_core::landscape::{Answers, Snapshot};
use network_guard_core::webhooks::HoldNetwork;
use serde_json::{Value, json};

use self::rows::{OFF, ON, Row, Table};
use crate::harness::{Api, ControlPlane, PREFIX, fixture, free_port, until};

const NAMESPACE: &str = "shoot--local--aws";
const NETWORKS: &str = "/apis/extensions.gardener.cloud/v1alpha1/namespaces/shoot--local--aws/networks";

/// What the API server does with a write.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Does {
    /// It calls the webhook, which nobody answers.
    Send,
    /// It stores it.
    Store,
    /// It refuses it by the schema of Networks.
    Refuse,
    /// It cannot tell, as no write may find it.
    Fail(String),
}
use Does::{Refuse, Send, Store};

/// What may be known of the Shoot: nothing, nothing of use, and all on which the handler decides.
fn knowledge() -> Vec<(&'static str, Snapshot)> {
    let mut known = vec![("unknown", Snapshot::default())];
    let mut add = |what, config: Option<&str>, change: &dyn Fn(&mut Value)| {
        let mut cluster = fixture("ha", "cluster");
        let shoot = &mut cluster["spec"]["shoot"];
        shoot["spec"]["provider"]["type"] = json!("aws");
        shoot["spec"]["networking"]["type"] = json!("calico");
        shoot["spec"]["networking"]["ipFamilies"] = json!(["IPv4", "IPv6"]);
        shoot["spec"]["networking"]["providerConfig"] =
            config.map_or(Value::Null, |text| serde_json::from_str(text).unwrap());
        change(shoot);
        let facts = ClusterFacts::parse(&cluster["spec"].to_string());
        assert_eq!(facts.as_ref().is_ok_and(|facts| facts.switch.is_some()), config.is_some(), "{what}: {facts:?}");
        let mut snapshot = Snapshot::default();
        snapshot.put_cluster(NAMESPACE, facts);
        known.push((what, snapshot));
    };
    add("empty", None, &|shoot| *shoot = json!({}));
    add("asks for the overlay", Some(ON), &|_| ());
    add("asks for native", Some(OFF), &|_| ());
    let constraint = json!([{"type": "DualStackNodesMigrationReady", "status": "False"}]);
    add("one family counts", Some(OFF), &|shoot| shoot["status"]["constraints"] = constraint.clone());
    add("asks for native by the families", Some("{}"), &|_| ());
    let force = format!("{PREFIX}/overlay-switch");
    add("forced", Some(OFF), &|shoot| shoot["metadata"]["annotations"] = json!({&force: "force"}));
    known
}

/// What the handler decides about a write, in a word for each state of knowledge, where that does anything to it.
fn decides<'k>(row: &Row, known: &'k [(&'static str, Snapshot)]) -> Vec<(&'k str, &'static str)> {
    let review = json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "u", "operation": if row.old.is_none() { "CREATE" } else { "UPDATE" },
            "namespace": NAMESPACE, "name": row.new["metadata"]["name"],
            "resource": {"group": "extensions.gardener.cloud", "version": "v1alpha1", "resource": "networks"},
            "userInfo": {"username": "gardenlet"},
            "object": row.new, "oldObject": row.old,
        },
    })
    .to_string();
    let request = admission::decode(review.as_bytes()).unwrap();
    let handler = HoldNetwork::default();
    let decide = |snapshot| match AskLoop::new(&handler, &request, Some(snapshot)).run(|_| Answers::default()) {
        Ok(verdict) => verdict.decision,
        Err(NoVerdict::Unreadable(_)) => "refused",
        Err(NoVerdict::Asks(questions)) => panic!("{}: asks again: {questions:?}", row.what),
    };
    let words = known.iter().map(|(what, snapshot)| (*what, decide(snapshot)));
    words.filter(|(_, word)| !matches!(*word, "not-concerned" | "kept" | "none")).collect()
}

/// What the API server does with a write.
fn does(api: &Api, row: &Row) -> Does {
    let result = match &row.old {
        None => api.try_create(&format!("{NETWORKS}?dryRun=All"), &row.new),
        Some(old) => {
            let name = old["metadata"]["name"].as_str().unwrap();
            api.try_replace(&format!("{NETWORKS}/{name}?dryRun=All"), &row.new)
        }
    };
    match result {
        Ok(stored) => {
            let mut sent = row.new["spec"].clone();
            sent.as_object_mut().unwrap().retain(|_, value| !value.is_null());
            assert_eq!(stored["spec"], sent, "{}: nulls inside of the configuration stay, others go", row.what);
            Store
        }
        Err(error) if error.contains("failed calling webhook") => Send,
        Err(error) if error.contains("is invalid") => Refuse,
        Err(error) => Does::Fail(error),
    }
}

/// What a row is about, for people: without what is the same in all of them.
fn short(network: &Value) -> String {
    let (mut spec, metadata) = (network["spec"].clone(), &network["metadata"]);
    if let Some(spec) = spec.as_object_mut() {
        spec.retain(|key, _| !key.ends_with("CIDR"));
    }
    format!("{spec} {} {}", metadata["annotations"], network["status"])
}

#[test]
fn every_write_that_would_be_changed_is_sent_and_few_others() {
    let control_plane = ControlPlane::start();
    let admin = control_plane.admin();
    admin.apply(&json!({
        "apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": NAMESPACE, "labels": {
            "gardener.cloud/role": "shoot", "networking.shoot.gardener.cloud/provider": "calico",
            "shoot.gardener.cloud/provider": "aws",
        }},
    }));
    let api = Api::new(&control_plane.kubeconfig("admin", "system:masters"));
    let mut table = Table { api, stored: HashMap::new(), rows: Vec::new() };
    table.add_configs();
    table.add_families();
    table.add_deployed();
    table.add_held();
    table.add_others();
    let Table { api, rows, .. } = table;

    // Registered as it is installed, but nobody listens there.
    let url = format!("https://127.0.0.1:{}", free_port());
    let output =
        Command::new(env!("CARGO_BIN_EXE_network-guard")).args(["webhooks", "seed", "--url", &url]).output().unwrap();
    admin.ok(&["apply", "-f", "-"], Some(&String::from_utf8(output.stdout).unwrap()));
    let switch = rows.iter().find(|row| row.want == Send).unwrap();
    until("the webhook is called", || does(&api, switch) == Send);

    let known = knowledge();
    let mut wrong = Vec::new();
    for row in &rows {
        let does = does(&api, row);
        let acts = decides(row, &known);
        // What the schema refuses is not stored, whatever the webhook would have said.
        let is_lost = !acts.is_empty() && does == Store && !row.may_wait;
        if does != row.want || is_lost {
            let law = if is_lost { "NOT SENT, THOUGH THE HANDLER ACTS" } else { "not as the table says" };
            let (old, new) = (row.old.as_ref().map_or("none".to_owned(), short), short(&row.new));
            let (what, want) = (&row.what, &row.want);
            wrong.push(format!(
                "{law}: {what}\n  old: {old}\n  new: {new}\n  wanted: {want:?}, is: {does:?}; handler: {acts:?}"
            ));
        }
    }
    // Those that matter most come first.
    wrong.sort();
    let (count, some) = (wrong.len(), wrong.iter().take(20).map(|row| format!("{row}\n")).collect::<String>());
    assert!(wrong.is_empty(), "{count} of {} rows are wrong; the first:\n{some}", rows.len());
}

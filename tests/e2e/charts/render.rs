//! What Helm makes of the charts, and what it refuses.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::{Value, json};

use super::{CA, RUNTIME, SEED, VIRTUAL, by_cert_manager, by_secret, charts, merged, modes, servers};
use crate::harness::{Chart, documents, only, seed_rights};

#[test]
fn helm_finds_nothing_to_complain_about() {
    let [own, issued, made] = modes();
    let off = json!({"webhooks": {"enabled": false}, "vpa": {"enabled": false}, "metrics": {
        "serviceMonitor": {"enabled": false}, "prometheusRule": {"enabled": false}, "dashboard": {"enabled": false},
    }});
    for chart in Chart::ALL {
        for values in [&own, &issued, &made, &off] {
            // Both halves by their parent, to see that they get along.
            let values = if chart == Chart::ADMISSION {
                &json!({"runtime": values, "application": merged(values.clone(), &json!({"enabled": true}))})
            } else {
                values
            };
            let output = chart.lint(values);
            assert!(output.ok && output.stdout.contains("0 chart(s) failed"), "{chart:?} {values}: {output:?}");
            assert!(!output.stdout.contains("[WARNING]"), "{chart:?} {values}: {output:?}");
        }
    }
}

/// What a chart registers is what `network-guard webhooks` prints, but for where the webhooks are.
#[test]
fn the_webhooks_are_those_of_the_project() {
    for (chart, namespace, file) in [(Chart::SEED, SEED, "seed"), (Chart::APPLICATION, VIRTUAL, "garden")] {
        let path = format!("{}/webhook-config/{file}.yaml", env!("CARGO_MANIFEST_DIR"));
        let original = std::fs::read_to_string(&path).unwrap();
        let copy = chart.folder().join("files/webhooks.yaml");
        assert!(original == chart.file("files/webhooks.yaml"), "cp {path} {}", copy.display());

        let is_registration = |object: &&Value| object["kind"].as_str().unwrap().ends_with("WebhookConfiguration");
        let rendered = chart.render(namespace, &by_secret());
        let rendered: Vec<&Value> = rendered.iter().filter(is_registration).collect();
        let wanted = documents(&original);
        assert_eq!(rendered.len(), wanted.len());
        for want in wanted {
            let got = *rendered.iter().find(|got| got["kind"] == want["kind"]).unwrap();
            assert_eq!(got["metadata"]["name"], want["metadata"]["name"]);
            for (name, value) in want["metadata"]["labels"].as_object().unwrap() {
                assert_eq!(&got["metadata"]["labels"][name], value, "{name}");
            }
            assert_eq!(paths(got), paths(&want));
            assert_eq!(without_clients(got), without_clients(&want));
            for webhook in got["webhooks"].as_array().unwrap() {
                use base64::Engine as _;
                let bundle = webhook["clientConfig"]["caBundle"].as_str().unwrap();
                assert_eq!(base64::engine::general_purpose::STANDARD.decode(bundle).unwrap(), CA.as_bytes());
            }
        }
    }
}

pub(super) fn webhooks(configuration: &Value) -> Vec<Value> {
    configuration["webhooks"].as_array().unwrap().clone()
}

fn without_clients(configuration: &Value) -> Vec<Value> {
    let mut webhooks = webhooks(configuration);
    for webhook in &mut webhooks {
        webhook.as_object_mut().unwrap().remove("clientConfig");
    }
    webhooks
}

/// Whom each webhook calls: a Service by name and path, or the path of a URL.
fn paths(configuration: &Value) -> Vec<String> {
    let client = |webhook: &Value| {
        let (service, url) = (&webhook["clientConfig"]["service"], &webhook["clientConfig"]["url"]);
        let url = url.as_str().map(str::to_owned);
        url.unwrap_or_else(|| format!("{}{}", service["name"].as_str().unwrap(), service["path"].as_str().unwrap()))
    };
    webhooks(configuration).iter().map(client).collect()
}

#[test]
fn webhooks_call_the_service_that_is_installed() {
    let objects = Chart::SEED.render("extension-x", &by_secret());
    let service = only(&objects, "Service");
    assert_eq!(service["spec"]["selector"], only(&objects, "Deployment")["spec"]["selector"]["matchLabels"]);
    for webhook in webhooks(only(&objects, "MutatingWebhookConfiguration")) {
        let client = &webhook["clientConfig"]["service"];
        assert_eq!((&client["namespace"], &client["name"]), (&json!("extension-x"), &service["metadata"]["name"]));
        assert_eq!(client["port"], service["spec"]["ports"][0]["port"]);
    }

    let objects = Chart::RUNTIME.render(RUNTIME, &by_secret());
    let host = format!("https://{}.{RUNTIME}/", only(&objects, "Service")["metadata"]["name"].as_str().unwrap());
    let registered = Chart::APPLICATION.render(VIRTUAL, &by_secret());
    for kind in ["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"] {
        for url in paths(only(&registered, kind)) {
            assert!(url.starts_with(&host), "{url}");
        }
    }
}

/// Two places say for which infrastructures switches are held; the chart writes both.
#[test]
fn held_infrastructures_follow_the_configuration() {
    let names = |values: &Value| -> Vec<String> {
        let objects = Chart::SEED.render(SEED, &merged(by_secret(), values));
        let configuration = only(&objects, "MutatingWebhookConfiguration");
        webhooks(configuration).iter().map(|webhook| webhook["name"].as_str().unwrap().to_owned()).collect()
    };
    let network = "network.network-guard.extensions.gardener.cloud".to_owned();
    let providers = json!({"config": {"overlay": {"providers": ["aws", "mycloud"]}}});
    let objects = Chart::SEED.render(SEED, &merged(by_secret(), &providers));
    let webhooks = webhooks(only(&objects, "MutatingWebhookConfiguration"));
    let webhook = webhooks.iter().find(|webhook| webhook["name"] == *network).unwrap();
    let expressions = webhook["namespaceSelector"]["matchExpressions"].as_array().unwrap();
    let values = expressions.iter().find(|expression| expression["key"] == "shoot.gardener.cloud/provider").unwrap();
    assert_eq!(values["values"], json!(["aws", "mycloud"]));

    let all = names(&json!({}));
    assert!(all.contains(&network));
    let without: Vec<String> = all.into_iter().filter(|name| *name != network).collect();
    assert_eq!(names(&json!({"config": {"overlay": {"providers": []}}})), without, "nothing is held");
    assert_eq!(names(&json!({"webhooks": {"disabled": ["network"]}})), without);
}

/// The ConfigMap has the configuration as it was written, and the server can read it; Pods follow its changes.
#[test]
fn the_configuration_arrives() {
    let example = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/config.yaml")).unwrap();
    let example: Value = serde_saphyr::from_str(&example).unwrap();
    let mut config = example.clone();
    config.as_object_mut().unwrap().retain(|name, _| !["apiVersion", "kind"].contains(&name.as_str()));
    let modes = [json!({}), by_secret()];
    for ((chart, namespace, values, _), mode) in
        servers().into_iter().flat_map(|server| modes.clone().map(|mode| (server.clone(), mode)))
    {
        let render = |config: &Value| {
            let objects = chart.render(namespace, &merged(merged(values.clone(), &mode), &json!({"config": config})));
            let text = config_map(&objects)["data"]["config.yaml"].as_str().unwrap().to_owned();
            let template = &only(&objects, "Deployment")["spec"]["template"];
            (text, template["metadata"]["annotations"]["checksum/config"].as_str().unwrap().to_owned())
        };
        let (text, checksum) = render(&config);
        let mut read: Value = serde_saphyr::from_str(&text).unwrap();
        let section = read.as_object_mut().unwrap().remove("certificates");
        // On a Seed the chart says what is registered for the time when no replica answers.
        let policy = read["vpn"].as_object_mut().unwrap().remove("failurePolicy");
        assert_eq!(policy, (chart == Chart::SEED).then(|| json!("Fail")));
        assert_eq!(section.is_some(), mode == json!({}));
        assert_eq!(read, example);
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let file = folder.path().join("config.yaml");
        std::fs::write(&file, &text).unwrap();
        let check = Command::new(env!("CARGO_BIN_EXE_network-guard"))
            .args(["check", "examples/landscape/garden", "--config"])
            .arg(&file)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .unwrap();
        assert_ne!(check.status.code(), Some(2), "{text}{}", String::from_utf8_lossy(&check.stderr));

        assert_eq!(render(&config).1, checksum);
        config["server"]["maxConnections"] = json!(7);
        assert_ne!(render(&config).1, checksum);
        config["server"]["maxConnections"] = json!(1024);
    }
}

/// The ConfigMap that the server reads.
pub(super) fn config_map(objects: &[Value]) -> &Value {
    let is_config = |object: &&Value| object["metadata"]["name"].as_str().unwrap().ends_with("-config");
    objects.iter().find(is_config).unwrap()
}

/// With self-managed certificates nothing of what the server writes is in a chart, and it is told all that it needs.
#[test]
fn the_server_is_told_what_to_register() {
    let mut more = json!({
        "webhookConfig": {"servicePort": 8443}, "webhooks": {"enabled": false},
        "tls": {"selfManaged": {"secretName": "a", "names": ["b"], "caLifetimeSeconds": 12_000_000, "marginSeconds": 7}},
    });
    for (chart, namespace, values, by_gardener) in servers() {
        let is_seed = chart == Chart::SEED;
        let disabled = if is_seed { json!(["network"]) } else { json!(["mutator", "advisor"]) };
        more["webhooks"]["disabled"] = disabled.clone();
        let section = |values: &Value| {
            let objects = chart.render(namespace, values);
            let text = json!(objects).to_string();
            for other in ["WebhookConfiguration\"", "\"Certificate\"", "--cert-dir", "network-guard-tls"] {
                assert!(!text.contains(other), "{chart:?}: {other}");
            }
            let text = config_map(&objects)["data"]["config.yaml"].as_str().unwrap();
            let config: Value = serde_saphyr::from_str(text).unwrap();
            (config["certificates"].clone(), objects)
        };
        let (told, objects) = section(&merged(values.clone(), &by_gardener));
        let service = only(&objects, "Service");
        let name = service["metadata"]["name"].clone();
        let (owner, registered) = if is_seed {
            (
                only(&objects, "ClusterRole")["metadata"]["name"].clone(),
                json!({"namespace": namespace, "name": name, "port": 443}),
            )
        } else {
            let objects = Chart::APPLICATION.render(VIRTUAL, &json!({}));
            assert!(!json!(objects).to_string().contains("WebhookConfiguration\""));
            (
                only(&objects, "ClusterRole")["metadata"]["name"].clone(),
                json!(format!("https://{}.garden", name.as_str().unwrap())),
            )
        };
        let (field, secret) = if is_seed {
            ("service", "network-guard-certificates")
        } else {
            ("url", "network-guard-garden-certificates")
        };
        let want = json!({
            "namespace": namespace, "secret": secret, "caLifetimeSeconds": 2_592_000,
            "leafLifetimeSeconds": 604_800, "marginSeconds": 60,
            "registration": {"enabled": true, "disabled": [], "owner": owner, field: registered},
        });
        assert_eq!(told, want, "{chart:?}");

        let (told, objects) = section(&merged(values, &more));
        let rights = json!(objects.iter().filter(|object| object["kind"] == "Role").collect::<Vec<_>>()).to_string();
        assert!(rights.contains(r#""resourceNames":["a"]"#), "{rights}");
        let changed = json!([told["secret"], told["names"], told["caLifetimeSeconds"], told["marginSeconds"]]);
        assert_eq!(changed, json!(["a", ["b"], 12_000_000, 7]));
        assert_eq!((&told["registration"]["enabled"], &told["registration"]["disabled"]), (&json!(false), &disabled));
        let port = if is_seed { json!(8443) } else { Value::Null };
        assert_eq!(told["registration"]["service"]["port"], port);
    }
}

/// gardener-operator renders both charts of the garden with the same values.
#[test]
fn both_halves_take_the_same_values() {
    assert_eq!(Chart::RUNTIME.file("values.schema.json"), Chart::APPLICATION.file("values.schema.json"));
    let both = ["runtime", "application"].map(|half| {
        let file = if half == "runtime" { Chart::RUNTIME } else { Chart::APPLICATION }.file("values.yaml");
        serde_saphyr::from_str::<Value>(&file).unwrap()
    });
    for mode in modes() {
        let all = merged(merged(both[0].clone(), &both[1]), &mode);
        for (chart, namespace) in [(Chart::RUNTIME, RUNTIME), (Chart::APPLICATION, VIRTUAL)] {
            assert!(!chart.render(namespace, &all).is_empty());
        }
    }
    for field in ["enabled", "disabled", "url"] {
        assert_eq!(both[0]["webhooks"][field], both[1]["webhooks"][field], "{field}");
    }
    assert_eq!(both[0]["tls"]["mode"], both[1]["tls"]["mode"]);
}

#[test]
fn wrong_values_are_refused() {
    for (values, want) in [
        (json!({"replicas": 3}), "replicas"),
        (json!({"tls": {"modus": "secret"}}), "modus"),
        (json!({"tls": {"mode": "self-signed"}}), "/tls/mode"),
        (json!({"tls": {"selfManaged": {"caDays": 30}}}), "caDays"),
        (json!({"tls": {"selfManaged": {"secretName": "A"}}}), "/tls/selfManaged/secretName"),
        (json!({"tls": {"caBundle": CA}}), "tls.caBundle is not for tls.mode self-managed"),
        (json!({"tls": {"caBundle": "MIIB"}}), "/tls/caBundle"),
        (json!({"webhookConfig": {"serverPort": 443}}), "/webhookConfig/serverPort"),
        (json!({"image": {"repository": ""}}), "/image/repository"),
        (json!({"image": {"digest": "latest"}}), "/image/digest"),
        (json!({"logFormat": "xml"}), "/logFormat"),
        (json!({"logLevel": "banana"}), "/logLevel"),
        (json!({"replicaCount": "2"}), "/replicaCount"),
        (json!({"vpa": {"updatePolicy": {"updateMode": "Sometimes"}}}), "/vpa/updatePolicy/updateMode"),
        (json!({"podLabels": {"a": 1}}), "/podLabels/a"),
    ] {
        for (chart, namespace, least) in charts() {
            let error = chart.template(namespace, &merged(least, &values)).unwrap_err();
            let pointer = want.trim_start_matches('/').replace('/', ".");
            assert!(error.contains(want) || error.contains(&pointer), "{chart:?} {values}: {error}");
        }
    }
    let required = "tls.caBundle is required";
    let (issued, made) = (without_ca(by_cert_manager()), without_ca(by_secret()));
    let on_seed = merged(issued.clone(), &json!({"gardener": {"seed": {"name": "a"}}}));
    for (chart, namespace, values, want) in [
        (Chart::SEED, SEED, made.clone(), required),
        (Chart::APPLICATION, VIRTUAL, made, required),
        (Chart::APPLICATION, VIRTUAL, issued, required),
        (Chart::SEED, SEED, on_seed, required),
        (Chart::RUNTIME, RUNTIME, json!({"tls": {"mode": "cert-manager"}}), "issuerRef.name is required"),
        (
            Chart::APPLICATION,
            VIRTUAL,
            json!({"gardener": {"virtualCluster": {"serviceAccount": {"name": ""}}}}),
            "serviceAccount.name is required",
        ),
        (
            Chart::SEED,
            SEED,
            json!({"config": {"vpn": {"nat": {"shootWebhook": {"caFile": "/ca.crt"}}}}}),
            "config.vpn.nat.shootWebhook.caFile is not for tls.mode self-managed",
        ),
        (Chart::SEED, SEED, json!({"config": {"certificates": {}}}), "config.certificates is written by the chart"),
        (
            Chart::RUNTIME,
            RUNTIME,
            json!({"config": {"certificates": {}}}),
            "config.certificates is written by the chart",
        ),
    ] {
        let error = chart.template(namespace, &values).unwrap_err();
        assert!(error.contains(want), "{chart:?} {values}: {error}");
    }
}

fn without_ca(mut values: Value) -> Value {
    values["tls"].as_object_mut().unwrap().remove("caBundle");
    values
}

/// Where cert-manager runs, it makes the certificate for the name that is called, and a cluster without
/// gardener-resource-manager gets the CA from it.
#[test]
fn cert_manager_makes_the_certificate_that_is_mounted() {
    let issued = without_ca(by_cert_manager());
    for (chart, namespace, called) in [
        (Chart::SEED, "extension-x", "gardener-extension-network-guard.extension-x.svc"),
        (Chart::RUNTIME, RUNTIME, "gardener-extension-admission-network-guard.garden"),
    ] {
        let objects = chart.render(namespace, &issued);
        let certificate = only(&objects, "Certificate");
        assert_eq!(certificate["spec"]["dnsNames"][0], called);
        let volumes = &only(&objects, "Deployment")["spec"]["template"]["spec"]["volumes"];
        let mounted = volumes.as_array().unwrap().iter().find(|volume| volume["name"] == "tls").unwrap();
        assert_eq!(mounted["secret"]["secretName"], certificate["spec"]["secretName"]);
    }
    let objects = Chart::SEED.render("extension-x", &issued);
    let registration = only(&objects, "MutatingWebhookConfiguration");
    let injected = &registration["metadata"]["annotations"]["cert-manager.io/inject-ca-from"];
    assert_eq!(injected, "extension-x/gardener-extension-network-guard");

    // What those write who have no Helm is the same, but for what cert-manager fills in by itself.
    let mut specs =
        [Chart::SEED.render(SEED, &issued), documents(include_str!("../../../certs/cert-manager-leaf.yaml"))].map(
            |objects| {
                let is_ours = |object: &&Value| object["spec"]["secretName"] == "gardener-extension-network-guard-tls";
                objects.iter().find(is_ours).unwrap()["spec"].clone()
            },
        );
    specs[0]["issuerRef"].as_object_mut().unwrap().retain(|field, _| field == "name");
    assert_eq!(specs[0], specs[1]);
}

/// With webhooks in Shoots the server has a port, a Service and a name for them, and knows itself where it is.
#[test]
fn shoots_have_a_way_in_where_that_is_wanted() {
    const RESOURCES: &str = "networking.resources.gardener.cloud";

    let issued = by_cert_manager();
    let plain = Chart::SEED.render("extension-x", &issued);
    assert!(!json!(plain).to_string().contains("10251"));

    let render = |nat: Value| {
        Chart::SEED
            .render("extension-x", &merged(issued.clone(), &json!({"config": {"vpn": {"nat": {"shootWebhook": nat}}}})))
    };
    let objects = render(json!({}));
    let name = "gardener-extension-network-guard-shoots";
    let service = objects.iter().find(|object| object["kind"] == "Service" && object["metadata"]["name"] == name);
    let service = service.unwrap();
    let container = &only(&objects, "Deployment")["spec"]["template"]["spec"]["containers"][0];
    let port = json!({"name": "shoots", "containerPort": 10251, "protocol": "TCP"});
    assert!(container["ports"].as_array().unwrap().contains(&port));
    assert!(container["args"].as_array().unwrap().contains(&json!("--shoots-bind-address=0.0.0.0:10251")));
    let ports = json!([{"name": "shoots", "port": 443, "protocol": "TCP", "targetPort": 10251}]);
    assert_eq!(service["spec"]["ports"], ports, "the owner of a Shoot must reach no other port");
    let others: Vec<&Value> = objects.iter().filter(|object| object["metadata"]["name"] != name).collect();
    assert_eq!(others.len(), plain.len());
    assert_eq!(
        service["metadata"]["annotations"],
        json!({
            format!("{RESOURCES}/from-all-webhook-targets-allowed-ports"): r#"[{"protocol":"TCP","port":10251}]"#,
            format!("{RESOURCES}/namespace-selectors"): r#"[{"matchLabels":{"gardener.cloud/role":"shoot"}}]"#,
            format!("{RESOURCES}/pod-label-selector-namespace-alias"): "extensions",
        })
    );
    let host = format!("{name}.extension-x.svc");
    assert!(only(&objects, "Certificate")["spec"]["dnsNames"].as_array().unwrap().contains(&json!(host)));

    let config = |objects: &[Value]| -> (Value, Value) {
        let data = &config_map(objects)["data"];
        let config: Value = serde_saphyr::from_str(data["config.yaml"].as_str().unwrap()).unwrap();
        (config["vpn"]["nat"]["shootWebhook"].clone(), data["ca.crt"].clone())
    };
    let mounts = container["volumeMounts"].as_array().unwrap();
    let folder = mounts.iter().find(|mount| mount["name"] == "config").unwrap()["mountPath"].as_str().unwrap();
    let filled_in = json!({"url": format!("https://{host}"), "caFile": format!("{folder}/ca.crt")});
    assert_eq!(config(&objects), (filled_in, json!(CA)));
    assert_eq!(config(&plain), (Value::Null, Value::Null));
    let written = json!({"url": "https://guard.example", "caFile": "/etc/ssl/ca.crt"});
    assert_eq!(config(&render(written.clone())).0, written);
    // Shoots are told of the CA that the server makes.
    let own = Chart::SEED.render("extension-x", &json!({"config": {"vpn": {"nat": {"shootWebhook": {}}}}}));
    assert_eq!(config(&own), (json!({"url": format!("https://{host}")}), Value::Null));
}

/// What the chart lets the server do is what it is let do in all other tests, and less where less is configured.
#[test]
fn rights_follow_the_configuration() {
    let rendered = |values: &Value, kind: &str| {
        let objects = Chart::SEED.render(SEED, values);
        // The ClusterRole has a name of its own in the other tests.
        let name = only(&objects, "ClusterRole")["metadata"]["name"].as_str().unwrap();
        rights(only(&objects, kind)).iter().map(|right| right.replace(name, "network-guard")).collect::<BTreeSet<_>>()
    };
    let tested = seed_rights();
    let all = json!({"config": {"vpn": {"nat": {"shootWebhook": {}}}, "overlay": {"fallback": "gardener-internal"}}});
    for kind in ["ClusterRole", "Role"] {
        let of_any_mode: BTreeSet<_> =
            modes().iter().flat_map(|mode| rendered(&merged(all.clone(), mode), kind)).collect();
        assert_eq!(of_any_mode, rights(only(tested["items"].as_array().unwrap(), kind)));
    }
    let least = rendered(&json!({}), "ClusterRole");
    let further = |values: &Value| -> Vec<String> {
        let rights = rendered(values, "ClusterRole");
        assert!(rights.is_superset(&least));
        rights.difference(&least).cloned().collect()
    };
    let for_shoots = [
        "/secrets managedresource-network-guard-vpn-shoot delete",
        "/secrets managedresource-network-guard-vpn-shoot get",
        "/secrets managedresource-network-guard-vpn-shoot patch",
        "resources.gardener.cloud/managedresources network-guard-vpn-shoot delete",
        "resources.gardener.cloud/managedresources network-guard-vpn-shoot get",
        "resources.gardener.cloud/managedresources network-guard-vpn-shoot list",
        "resources.gardener.cloud/managedresources network-guard-vpn-shoot patch",
        "resources.gardener.cloud/managedresources shoot-core-vpn-shoot patch",
    ];
    assert_eq!(
        further(&json!({"config": {"vpn": {"nat": {"shootWebhook": {"url": "https://guard.example"}}}}})),
        for_shoots
    );
    assert_eq!(further(&json!({"shootWebhook": {"cleanUp": true}})), for_shoots);
    assert_eq!(further(&json!({"config": {"vpn": {"nat": {"mode": "vpn-client"}}}})), [""; 0]);
    let fallback = json!({"config": {"overlay": {"fallback": "gardener-internal"}}});
    assert_eq!(further(&fallback), ["/secrets gardener-internal get"]);

    // Where somebody else makes certificates, and registers us.
    let configurations = "admissionregistration.k8s.io/mutatingwebhookconfigurations";
    let of_lease = |name: &str| ["get", "update"].map(|verb| format!("coordination.k8s.io/leases {name} {verb}"));
    let own_lease = of_lease("network-guard-certificates");
    let role = ["get", "update"].map(|verb| format!("/secrets network-guard-certificates {verb}"));
    let cluster_role = ["delete", "get", "update"]
        .map(|verb| format!("{configurations} gardener-extension-network-guard {verb}"))
        .into_iter()
        .chain([
            format!("{configurations} * create"),
            "rbac.authorization.k8s.io/clusterroles network-guard get".to_owned(),
        ]);
    for (kind, want, want_of_others) in [
        ("ClusterRole", cluster_role.collect::<BTreeSet<_>>(), BTreeSet::new()),
        ("Role", role.into_iter().chain(own_lease).collect(), BTreeSet::from(of_lease("network-guard-overlay"))),
    ] {
        let own = rendered(&json!({}), kind);
        for mode in [by_secret(), by_cert_manager()] {
            let other = rendered(&mode, kind);
            assert_eq!(own.difference(&other).cloned().collect::<BTreeSet<_>>(), want);
            assert_eq!(other.difference(&own).cloned().collect::<BTreeSet<_>>(), want_of_others);
        }
    }
}

/// Each single thing that a role allows.
fn rights(role: &Value) -> BTreeSet<String> {
    let list = |value: &Value| -> Vec<String> {
        let found = value.as_array().map(Vec::as_slice).unwrap_or_default();
        found.iter().map(|one| one.as_str().unwrap().to_owned()).collect()
    };
    let mut rights = BTreeSet::new();
    for rule in role["rules"].as_array().unwrap() {
        let names = if rule["resourceNames"].is_null() { vec!["*".to_owned()] } else { list(&rule["resourceNames"]) };
        for group in list(&rule["apiGroups"]) {
            for resource in list(&rule["resources"]) {
                for (name, verb) in
                    names.iter().flat_map(|name| list(&rule["verbs"]).into_iter().map(move |verb| (name, verb)))
                {
                    rights.insert(format!("{group}/{resource} {name} {verb}"));
                }
            }
        }
    }
    rights
}

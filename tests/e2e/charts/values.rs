//! Values that cannot work are refused when a chart is rendered, and what Gardener or a cluster says is followed.

use std::collections::BTreeSet;

use network_guard_core::certificates::Lifetimes;
use network_guard_runtime::stop::StopSettings;
use serde_json::{Value, json};

use super::render::config_map;
use super::{RUNTIME, SEED, VIRTUAL, by_secret, charts, merged, servers};
use crate::harness::{Chart, documents, only};

/// What the server would refuse, or would not survive.
#[test]
fn what_cannot_work_is_refused() {
    let stop = StopSettings::default();
    let phases = (stop.propagation_delay + stop.idle_timeout + stop.drain_timeout).as_secs();
    let Lifetimes { ca, leaf, margin } = Lifetimes::default();
    let [ca, leaf, margin] = [ca, leaf, margin].map(|lifetime| lifetime.as_secs());
    let own = |field: &str, value: u64| json!({"tls": {"selfManaged": {field: value}}});
    for (chart, namespace, values, _) in servers() {
        let template = |more: &Value| chart.template(namespace, &merged(values.clone(), more));
        let refuses = |more: &Value, want: &str| {
            let error = template(more).expect_err(want);
            assert!(error.contains(want), "{chart:?} {more}: {error}");
        };
        let takes = |more: &Value| {
            template(more).unwrap_or_else(|error| panic!("{chart:?} {more}: {error}"));
        };

        // The defaults of the server are those of the chart: one second less is too little.
        refuses(&json!({"terminationGracePeriodSeconds": phases}), "terminationGracePeriodSeconds: 150 is too short");
        takes(&json!({"terminationGracePeriodSeconds": phases + 1}));
        refuses(&json!({"config": {"server": {"stopDrainSeconds": 40}}}), "a stop takes 160 s");
        takes(&json!({"config": {"server": {"stopDrainSeconds": 40}}, "terminationGracePeriodSeconds": 161}));

        for (more, want) in [
            (json!({"healthPort": 8080}), "healthPort and metricsPort are both 8080"),
            (json!({"healthPort": 10250}), "healthPort and webhookConfig.serverPort are both 10250"),
            (json!({"metricsPort": 10250}), "metricsPort and webhookConfig.serverPort are both 10250"),
            (
                json!({"webhookConfig": {"servicePort": 8080}}),
                "webhookConfig.servicePort and metricsPort are both 8080",
            ),
        ] {
            refuses(&more, want);
        }

        refuses(&own("leafLifetimeSeconds", 4), "tls.selfManaged.leafLifetimeSeconds: 4: must be at least 5");
        takes(&own("leafLifetimeSeconds", 5));
        refuses(&own("leafLifetimeSeconds", ca + 1), "at most that of the CA, 2592000");
        takes(&own("leafLifetimeSeconds", ca));
        refuses(&own("caLifetimeSeconds", leaf - 1), "tls.selfManaged.leafLifetimeSeconds: 604800: must be");
        refuses(&own("marginSeconds", ca / 6 + 1), "tls.selfManaged.marginSeconds: 432001: must be at most a sixth");
        takes(&own("marginSeconds", ca / 6));
        refuses(&own("caLifetimeSeconds", 5), "caLifetimeSeconds");
        // Nobody reads them with certificates of somebody else.
        takes(&merged(by_secret(), &own("leafLifetimeSeconds", ca + 1)));
        assert_eq!(margin, 60);

        let error = chart.template_without_values(namespace).stderr;
        assert!(error.contains("image.repository is required: where the image was pushed to"), "{error}");

        // The schema of the configuration is that of the types by which the server reads it.
        for (config, want) in [
            (json!({"overlay": {"pollSecond": 1}}), "pollSecond"),
            (json!({"overlay": {"pollSeconds": "1"}}), "/config/overlay/pollSeconds"),
            (json!({"vpn": {"sidecar": "never"}}), "/config/vpn/sidecar"),
            (json!({"rules": {"peering/overlap": "loud"}}), "/config/rules/peering~1overlap"),
            (json!({"vpn": {"nat": {"mode": "none"}}}), "/config/vpn/nat/mode"),
            (json!({"kind": "x"}), "kind"),
        ] {
            let error = template(&json!({"config": config})).unwrap_err();
            let named = want.trim_start_matches('/').replace('/', ".");
            assert!(error.contains(want) || error.contains(&named), "{chart:?} {config}: {error}");
        }
        takes(&json!({"config": {"rules": {"peering/overlap": false}, "peering": {"conflicts": "warn"}}}));
    }
    let shoots = json!({"webhookConfig": {"shootsPort": 8081}, "config": {"vpn": {"nat": {"shootWebhook": {}}}}});
    let error = Chart::SEED.template(SEED, &shoots).unwrap_err();
    assert!(error.contains("healthPort and webhookConfig.shootsPort are both 8081"), "{error}");
    // Without webhooks in Shoots nobody listens there.
    Chart::SEED.render(SEED, &json!({"webhookConfig": {"shootsPort": 8081}}));
}

/// A section, or a list, of which every line is a comment is an empty one, for the chart as for the server.
#[test]
fn what_is_left_empty_is_the_default() {
    let is_policy = |object: &&Value| {
        let kind = object["kind"].as_str().unwrap();
        kind.contains("AdmissionPolicy") || kind.contains("Webhook") || kind.contains("Role")
    };
    for (chart, namespace, values, _) in servers() {
        let meant = |config: &Value| -> Vec<Value> {
            let mut values = values.clone();
            values["config"] = config.clone();
            let objects = chart.render(namespace, &values);
            objects.iter().filter(is_policy).cloned().collect()
        };
        let plain = meant(&json!({}));
        for section in ["vpn", "overlay", "peering", "rules", "server"] {
            assert_eq!(meant(&json!({section: null})), plain, "{chart:?}: {section}");
        }
        for config in [
            json!({"vpn": {"envoy": null, "nat": null}}),
            json!({"peering": {"defaultNodeNetworks": null, "nodePrefixLengths": null}}),
            json!({"overlay": {"providers": null, "routeLimits": null, "vpcs": null}}),
            json!({"vpn": {"nat": {"shootWebhook": null}}}),
            // The defaults of these count in the grace period of Pods.
            json!({"server": {"stopPropagationSeconds": null, "stopIdleSeconds": null, "stopDrainSeconds": null}}),
        ] {
            assert_eq!(meant(&config), plain, "{chart:?}: {config}");
        }
        let drain = json!({"config": {"server": {"stopIdleSeconds": null, "stopDrainSeconds": 40}}});
        let error = chart.template(namespace, &merged(values.clone(), &drain)).unwrap_err();
        assert!(error.contains("a stop takes 160 s"), "{chart:?}: {error}");
    }
    // What is registered, and permitted, is what the server holds: all that it knows, none, or those that are named.
    let networks = |providers: &Value| {
        let mut values = by_secret();
        values["config"] = json!({"overlay": {"providers": providers}});
        let objects = Chart::SEED.render(SEED, &values);
        let webhooks = only(&objects, "MutatingWebhookConfiguration")["webhooks"].as_array().unwrap().clone();
        let webhook =
            webhooks.iter().find(|webhook| webhook["clientConfig"]["service"]["path"] == "/webhooks/mutate/network");
        webhook.map(|webhook| webhook["namespaceSelector"].to_string())
    };
    assert_eq!(networks(&json!([])), None);
    assert!(networks(&json!(["cloud"])).unwrap().contains("\"cloud\""));
    assert!(networks(&Value::Null).unwrap().contains("\"aws\""));
}

const NAME: &str = "https://gardener-extension-admission-network-guard";

/// The address in the garden follows the namespace, on both sides.
#[test]
fn the_address_in_the_garden_follows_the_namespace() {
    let registered = |namespace: &str, values: &Value| {
        let objects = Chart::RUNTIME.render(namespace, values);
        let config: Value =
            serde_saphyr::from_str(config_map(&objects)["data"]["config.yaml"].as_str().unwrap()).unwrap();
        config["certificates"]["registration"]["url"].as_str().unwrap().to_owned()
    };
    let called = |values: &Value| {
        let objects = Chart::APPLICATION.render(VIRTUAL, &merged(by_secret(), values));
        let webhook = &only(&objects, "MutatingWebhookConfiguration")["webhooks"][0];
        webhook["clientConfig"]["url"].as_str().unwrap().to_owned()
    };
    assert_eq!(registered(RUNTIME, &json!({})), format!("{NAME}.garden"));
    assert_eq!(registered("elsewhere", &json!({})), format!("{NAME}.elsewhere"));
    assert_eq!(called(&json!({})), format!("{NAME}.garden/webhooks/mutate/shoot"));
    let elsewhere = json!({"webhooks": {"namespace": "elsewhere"}});
    assert_eq!(called(&elsewhere), format!("{NAME}.elsewhere/webhooks/mutate/shoot"));
    let policy = Chart::APPLICATION.render(VIRTUAL, &elsewhere);
    assert!(json!(policy).to_string().contains(&format!("{NAME}.elsewhere/webhooks/mutate/shoot")));
    let written = json!({"webhooks": {"url": "https://guard.example"}});
    assert_eq!(registered("elsewhere", &written), "https://guard.example");
    assert_eq!(called(&written), "https://guard.example/webhooks/mutate/shoot");
}

/// Where a Seed is the garden's runtime cluster, both charts may be in one namespace.
#[test]
fn both_charts_get_along_in_one_namespace() {
    let identities = |chart: Chart, values: &Value| -> BTreeSet<String> {
        let objects = chart.render(RUNTIME, values);
        let names = objects.iter().map(|object| format!("{} {}", object["kind"], object["metadata"]["name"]));
        let config: Value =
            serde_saphyr::from_str(config_map(&objects)["data"]["config.yaml"].as_str().unwrap()).unwrap();
        let secret = format!("the Secret {}", config["certificates"]["secret"]);
        let leases = objects.iter().filter(|object| object["kind"] == "Role").flat_map(|role| {
            let rules = role["rules"].as_array().unwrap().iter();
            rules.filter(|rule| rule["resources"][0] == "leases" && !rule["resourceNames"].is_null())
        });
        let leases: Vec<String> = leases.map(|rule| format!("the Lease {}", rule["resourceNames"][0])).collect();
        assert_eq!(leases.len(), 1);
        names.chain(leases).chain([secret]).collect()
    };
    let shoots = json!({"config": {"vpn": {"nat": {"shootWebhook": {}}}}});
    let (seed, garden) = (identities(Chart::SEED, &shoots), identities(Chart::RUNTIME, &json!({})));
    assert_eq!(seed.intersection(&garden).collect::<Vec<_>>(), [""; 0]);
}

/// Two installations in different namespaces keep their rights, so that each can notice the other.
#[test]
fn a_second_installation_takes_no_rights_away() {
    let bindings = |chart: Chart, namespace: &str, values: &Value| -> BTreeSet<String> {
        let objects = chart.render(namespace, values);
        let is_meant = |object: &&Value| {
            let kind = object["kind"].as_str().unwrap();
            kind == "ClusterRoleBinding" || kind.contains("AdmissionPolicy")
        };
        objects.iter().filter(is_meant).map(|object| object["metadata"]["name"].as_str().unwrap().to_owned()).collect()
    };
    let account = json!({"gardener": {"virtualCluster": {"serviceAccount": {"name": "other"}}}});
    for (chart, values) in [(Chart::SEED, json!({})), (Chart::RUNTIME, json!({})), (Chart::APPLICATION, account)] {
        let [first, second] = [bindings(chart, "a", &json!({})), bindings(chart, "b", &values)];
        assert!(!first.is_empty() && first.is_disjoint(&second), "{chart:?}: {first:?} {second:?}");
    }
}

/// Objects of monitoring and scaling are for clusters that know them; Gardener's own renderer does not say what there is.
#[test]
fn objects_are_of_kinds_that_exist() {
    let kinds = |chart: Chart, namespace: &str, apis: &[&str]| -> BTreeSet<String> {
        let text = chart.template_for(apis, namespace, &json!({})).unwrap();
        documents(&text).iter().map(|object| object["kind"].as_str().unwrap().to_owned()).collect()
    };
    for (chart, namespace, ..) in servers() {
        let all = kinds(chart, namespace, &["monitoring.coreos.com/v1", "autoscaling.k8s.io/v1"]);
        let none = kinds(chart, namespace, &[]);
        let difference: Vec<_> = all.difference(&none).map(String::as_str).collect();
        assert_eq!(difference, ["PrometheusRule", "ServiceMonitor", "VerticalPodAutoscaler"]);
        let some = kinds(
            chart,
            namespace,
            &["monitoring.coreos.com/v1/ServiceMonitor", "monitoring.coreos.com/v1/PrometheusRule"],
        );
        let difference: Vec<_> = all.difference(&some).map(String::as_str).collect();
        assert_eq!(difference, ["VerticalPodAutoscaler"]);
        let dashboard = |apis: &[&str]| chart.template_for(apis, namespace, &json!({})).unwrap().contains("-dashboard");
        assert!(dashboard(&["monitoring.coreos.com/v1"]) && !dashboard(&[]));
    }
}

/// gardenlet says how many zones a Seed has.
#[test]
fn zones_count_where_there_are_several() {
    let seed = |zones: &Value, is_aware: bool| {
        json!({"gardener": {"seed": {"name": "a", "spec": {
            "provider": {"zones": zones}, "settings": {"topologyAwareRouting": {"enabled": is_aware}},
        }}}})
    };
    for (chart, namespace, values, _) in servers() {
        let render = |more: &Value| chart.render(namespace, &merged(values.clone(), more));
        let routing = |more: &Value| only(&render(more), "Service")["spec"]["trafficDistribution"].clone();
        assert_eq!(routing(&seed(&json!(["a", "b"]), true)), "PreferSameZone");
        assert_eq!(routing(&seed(&json!(["a", "b"]), false)), Value::Null);
        assert_eq!(routing(&seed(&json!(["a"]), true)), Value::Null);
        assert_eq!(routing(&seed(&Value::Null, true)), Value::Null);
        assert_eq!(routing(&json!({"gardener": {"seed": {"name": "a"}}})), Value::Null);

        let spread = |more: &Value| {
            let alone = merged(more.clone(), &json!({"highAvailability": {"enable": false}}));
            let objects = render(&alone);
            let constraints = &only(&objects, "Deployment")["spec"]["template"]["spec"]["topologySpreadConstraints"];
            let constraints = constraints.as_array().unwrap();
            let selector = &only(&objects, "Deployment")["spec"]["selector"];
            assert!(constraints.iter().all(|constraint| &constraint["labelSelector"] == selector));
            let keys = constraints.iter().map(|constraint| constraint["topologyKey"].as_str().unwrap().to_owned());
            keys.collect::<Vec<_>>()
        };
        let (zone, host) = ("topology.kubernetes.io/zone", "kubernetes.io/hostname");
        assert_eq!(spread(&seed(&json!(["a", "b"]), false)), [zone, host]);
        assert_eq!(spread(&seed(&json!(["a"]), false)), [host]);
        assert_eq!(spread(&json!({})), [host]);
    }
}

#[test]
fn images_are_pulled_with_the_secrets_that_are_named() {
    for (chart, namespace, values, _) in servers() {
        let pod = |more: &Value| {
            let objects = chart.render(namespace, &merged(values.clone(), more));
            only(&objects, "Deployment")["spec"]["template"]["spec"].clone()
        };
        let secrets = json!([{"name": "pull"}]);
        assert_eq!(pod(&json!({"imagePullSecrets": secrets}))["imagePullSecrets"], secrets);
        assert!(pod(&json!({}))["imagePullSecrets"].is_null());
        assert!(chart.template(namespace, &json!({"imagePullSecrets": ["pull"]})).is_err());
    }
}

/// What `helm show chart` tells, and which clusters Helm refuses.
#[test]
fn charts_say_what_they_are_and_where_they_run() {
    for chart in Chart::ALL {
        let about: Value = serde_saphyr::from_str(&chart.file("Chart.yaml")).unwrap();
        for field in ["description", "home", "kubeVersion", "version", "appVersion"] {
            assert!(about[field].as_str().is_some_and(|text| !text.is_empty()), "{chart:?}: {field}");
        }
        assert!(about["sources"][0].as_str().unwrap().starts_with("https://"), "{chart:?}");
        assert_eq!(
            about["appVersion"],
            env!("CARGO_PKG_VERSION"),
            "{chart:?}: the chart and the image belong together"
        );
    }
    for (chart, namespace, _) in charts() {
        let flags = ["--namespace", namespace, "--kube-version", "1.29.9"];
        let output = chart.helm(&["template", "network-guard"], &flags, &json!({}));
        assert!(!output.ok && output.stderr.contains("chart requires kubeVersion: >= 1.30.0-0"), "{output:?}");
        assert!(!chart.file("templates/NOTES.txt").is_empty());
    }
}

//! On a Seed.

use serde_json::{Value, json};

use super::super::{SEED, monitoring};
use super::certificates::{Place, register};
use super::{Asked, Audit, covers, install, refused, replace_rules, unused, without};
use crate::harness::{Chart, ControlPlane, Guard, Switch, eventually, fixture, free_port, only, until};

pub const NAME: &str = "gardener-extension-network-guard";

/// A Seed on which the chart is installed, with a Shoot that has one node.
struct Scene {
    switch: Switch,
    objects: Vec<Value>,
    audit: Audit,
}

impl Scene {
    fn start() -> Self {
        Self::start_with(false)
    }

    /// The same with webhooks in Shoots, or without.
    fn start_with(shoots: bool) -> Self {
        let audit = Audit::of(SEED, NAME);
        let mut arguments = audit.arguments();
        // Without streaming lists the right to list is needed as well, as on older API servers.
        arguments.push("--feature-gates=WatchList=false".to_owned());
        let mut objects = Vec::new();
        let switch = Switch::start_installed(&arguments, |seed, shoot_server| {
            let (guard, rendered) = install_chart(seed, shoot_server, shoots);
            objects = rendered;
            guard
        });
        let scene = Self { switch, objects, audit };
        scene.guard().wait_until_ready();
        scene.guard().wait_until_called(&scene.switch.seed.control_plane);
        scene
    }

    fn guard(&self) -> &Guard {
        self.switch.guard()
    }

    fn place(&self) -> Place<'static> {
        let admin = self.switch.seed.control_plane.admin();
        Place {
            admin,
            namespace: SEED,
            kinds: "mutatingwebhookconfigurations",
            name: NAME,
            secret: "network-guard-certificates",
        }
    }

    /// Every role of the chart, with the index of each of its rules.
    fn rules(&self) -> Vec<(Value, usize)> {
        let roles = ["ClusterRole", "Role"].map(|kind| only(&self.objects, kind).clone());
        let count = |role: &Value| role["rules"].as_array().unwrap().len();
        roles.iter().flat_map(|role| (0..count(role)).map(|index| (role.clone(), index))).collect()
    }
}

/// Installs the chart and starts our server as its Deployment says.
pub fn install_chart(seed: &ControlPlane, shoot_server: &str, shoots: bool) -> (Guard, Vec<Value>) {
    let [port, shoots_port] = [free_port(), free_port()];
    let mut values = json!({
        // There is no network of Services: the Service leads to this machine, so its port is that of the server.
        "webhookConfig": {"servicePort": port, "shootsPort": shoots_port},
        "config": {
            "server": {"stopPropagationSeconds": 1},
            "overlay": {"providers": ["aws"], "pollSeconds": 1, "windowSeconds": 1, "shootServer": shoot_server},
        },
    });
    if shoots {
        values["config"]["vpn"]["nat"] = json!({"shootWebhook": {"url": format!("https://127.0.0.1:{shoots_port}")}});
    }
    let objects = Chart::SEED.render(SEED, &values);
    let admin = seed.admin();
    admin.apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SEED}}));
    let is_here = |object: &&Value| {
        let kind = object["kind"].as_str().unwrap();
        kind.contains("Role") || kind == "ServiceAccount" || kind.contains("AdmissionPolicy")
    };
    install(&admin, objects.iter().filter(is_here));
    admin.apply(&json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": NAME, "namespace": SEED},
        "spec": {"type": "ExternalName", "externalName": "127.0.0.1"},
    }));
    let kubeconfig = seed.service_account(SEED, NAME);
    (Guard::start_rendered(seed.folder(), &objects, [Some(&kubeconfig), None], None, [port, shoots_port]), objects)
}

fn overlay() -> Value {
    json!({"overlay": {"enabled": true}})
}

fn native() -> Value {
    json!({"overlay": {"enabled": false}})
}

/// Without webhooks in Shoots, whether there are any is asked all the same; a refusal is taken for none.
fn is_for_shoots(asked: &Asked) -> bool {
    (&*asked.verb, &*asked.name) == ("list", "network-guard-vpn-shoot")
}

/// Overlap, and a switch that is held and let through: all that the server does, with all that the chart gives it.
#[test]
fn the_seed_chart_gives_what_is_needed_and_nothing_else() {
    let mut scene = Scene::start();
    let (admin, shoot) = (scene.switch.seed.control_plane.admin(), &scene.switch.shoot);

    // The sidecar, through the registration and the Service of the chart.
    let mut cluster = fixture("ha", "cluster");
    cluster["spec"]["seed"]["spec"]["networks"]["pods"] = json!("10.0.0.0/8");
    scene.switch.seed.control_plane.apply_cluster(&cluster);
    until("the overlap is known", || scene.guard().metric("network_guard_clusters_overlapping") > 0.0);
    let output = eventually("the webhook is called", || {
        let output = admin.run(&["apply", "-f", "-"], Some(&fixture("ha", "deployment").to_string()));
        if output.stderr.contains("added envoy-proxy and egress selector") {
            return Ok(output);
        }
        admin.run(&["delete", "deployment", "kube-apiserver", "-n", "shoot--local--ha"], None);
        Err(output.stderr)
    });
    assert!(output.ok);
    // A Cluster that is not known is read.
    let labels = json!({"gardener.cloud/role": "shoot"});
    admin.apply(
        &json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shoot--a--b", "labels": labels}}),
    );
    let mut deployment = fixture("ha", "deployment");
    deployment["metadata"]["namespace"] = json!("shoot--a--b");
    assert!(!admin.run(&["apply", "-f", "-"], Some(&deployment.to_string())).ok, "there is no Cluster");

    // A switch from its beginning to its end.
    shoot.add_node("a");
    shoot.node_condition("a", "False", "CalicoIsUp");
    // Somebody reverts it once: an event that is there already counts on.
    for _ in 0..2 {
        shoot.reconcile(&overlay()).ok();
        until("nothing is left of the last one", || !scene.switch.has_access());
        shoot.reconcile(&native()).ok();
        assert_eq!(shoot.held("state"), "pending");
        until("it says what is missing", || shoot.held("message").contains("missing: a"));
    }
    shoot.calico_node(&["a"]);
    shoot.route_created("a");
    until("Calico is told", || shoot.calico() == native());
    shoot.calico_node_rolls("a");
    shoot.reconcile(&native()).ok();
    shoot.update_cluster(|_| ());
    eventually("nothing of network-guard is left", || {
        (!scene.switch.has_access()).then_some(()).ok_or_else(|| scene.switch.switches())
    });
    let events = shoot.events();
    for reason in ["OverlaySwitchHeld", "OverlaySwitchReleased"] {
        assert!(events.iter().any(|event| event == reason), "{events:?}");
    }

    super::disturb(scene.guard());
    monitoring::shown_by(scene.guard(), &Chart::SEED.render(SEED, &json!({})));

    // What is lost comes back, and the registration goes where it is not wanted.
    scene.place().empty_secret();
    scene.place().empty_bundles();
    scene.switch.seed.kill_guard();
    register(scene.switch.seed.control_plane.folder(), false);
    scene.switch.seed.start_guard_again();
    until("it is registered no more", || !scene.place().is_registered());

    let rules = scene.rules();
    // The log of a request may come later than what it did.
    let asked = eventually("the chart gives no more than is asked for", || {
        let asked = scene.audit.since(0);
        let unused = unused(rules.iter().map(|(role, index)| &role["rules"][*index]), &asked);
        // This is asked for inside of requests to patch what is not there yet; below it is taken away.
        let is_used = unused == ["create managedresources"];
        if is_used { Ok(asked) } else { Err(format!("not asked for by name: {unused:?}")) }
    });
    println!("{} requests", asked.len());
    let refused: Vec<_> = asked.iter().filter(|asked| !asked.allowed && !is_for_shoots(asked)).collect();
    assert!(refused.is_empty(), "the chart gives too little: {refused:?}");
}

/// Each rule of the chart is taken away, is missed, and is given back.
#[test]
fn the_seed_server_misses_every_rule_that_is_taken_away() {
    let mut scene = Scene::start();
    scene.switch.shoot.add_node("a");
    let admin = scene.switch.seed.control_plane.admin();
    for (role, index) in scene.rules() {
        let rule = role["rules"][index].clone();
        let resource = rule["resources"][0].as_str().unwrap().to_owned();
        let what = format!("{} {resource} {}", rule["verbs"], rule["resourceNames"]);
        let is_meant = |asked: &Asked| asked.resource == resource && !is_for_shoots(asked);
        let replace = |scene: &Scene, role: &Value, can: bool| {
            replace_rules(&admin, &scene.audit, role, &rule, SEED, can);
        };
        let from_the_start = ["clusters", "leases"].contains(&&*resource);
        if scene.place().is_concerned(&rule) {
            scene.place().miss(&scene.audit, scene.guard(), &role, index);
        } else if resource == "deployments" {
            scene.switch.seed.kill_guard();
            replace(&scene, &without(&role, index), false);
            let position = scene.audit.position();
            scene.switch.seed.start_guard_again();
            refused(&what, &scene.audit, position, 1, is_meant);
            // Only the comparison is missing.
            until("it is ready all the same", || scene.guard().health("/readyz").starts_with("HTTP/1.1 200"));
            until("it leads all the same", || scene.guard().metric("network_guard_leader") > 0.0);
            replace(&scene, &role, true);
            println!("missed when it is taken away: {what}");
        } else if from_the_start {
            scene.switch.seed.kill_guard();
            replace(&scene, &without(&role, index), false);
            let position = scene.audit.position();
            admin.run(&["delete", "lease", "network-guard-certificates", "-n", SEED], None);
            scene.switch.seed.start_guard_again();
            refused(&what, &scene.audit, position, 2, is_meant);
            let is_ready = || scene.guard().health("/readyz").starts_with("HTTP/1.1 200");
            if resource == "clusters" {
                assert!(!is_ready(), "{what}");
            } else {
                until("it is ready all the same", is_ready);
                assert!(scene.guard().metric("network_guard_leader") < 1.0, "{what}");
            }
            replace(&scene, &role, true);
            until("it is ready again", || scene.guard().health("/readyz").starts_with("HTTP/1.1 200"));
            until("it leads again", || scene.guard().metric("network_guard_leader") > 0.0);
            println!("missed when it is taken away: {what}");
        } else {
            let shoot = &scene.switch.shoot;
            shoot.destroy().ok();
            // What is there already need not be created.
            until("nothing is left of the last switch", || !scene.switch.has_access());
            shoot.node_condition("a", "True", "NoRouteCreated");
            shoot.reconcile(&overlay()).ok();
            let events = shoot.events().len();
            replace(&scene, &without(&role, index), false);
            let position = scene.audit.position();
            shoot.reconcile(&native()).ok();
            shoot.route_created("a");
            refused(&what, &scene.audit, position, 1, is_meant);
            if resource == "events" {
                until("the switch goes on", || shoot.calico() == native());
                assert_eq!(shoot.events().len(), events, "{what}");
            } else {
                scene.switch.after_looks(3, || assert_ne!(shoot.calico(), native(), "{what}"));
            }
            replace(&scene, &role, true);
            until("the switch goes through", || shoot.calico() == native());
            println!("missed when it is taken away: {what}");
        }
    }
}

const FAILURES: &str = "network_guard_vpn_shoot_registration_failures_total";

const OVERLAPPING: &str = "10.250.128.0/17";
const APART: &str = "10.64.0.0/11";

/// A webhook in a Shoot comes, is called and goes; each rule for it is taken away, is missed, and is given back.
#[test]
fn the_seed_chart_gives_what_webhooks_in_shoots_need() {
    let mut scene = Scene::start_with(true);
    let admin = scene.switch.seed.control_plane.admin();
    scene.switch.shoot.reconcile(&native()).ok();
    assert!(!is_registered(&scene.switch));

    let is_concerned = |(role, index): &(Value, usize)| role["rules"][*index].to_string().contains("vpn-shoot");
    let rules: Vec<(Value, usize)> = scene.rules().into_iter().filter(is_concerned).collect();
    assert_eq!(rules.len(), 3);
    let has_told = |scene: &Scene, position: usize| {
        let asked = scene.audit.since(position);
        asked.iter().any(|asked| asked.allowed && asked.name == "shoot-core-vpn-shoot")
    };
    for (role, index) in &rules {
        let rule = &role["rules"][*index];
        let (resource, name) = (rule["resources"][0].as_str().unwrap(), rule["resourceNames"][0].as_str().unwrap());
        replace_rules(&admin, &scene.audit, &without(role, *index), rule, SEED, false);
        let (position, failures) = (scene.audit.position(), scene.guard().metric(FAILURES));
        scene.switch.shoot.seed_pods(OVERLAPPING);
        refused(name, &scene.audit, position, 2, |asked| (&*asked.resource, &*asked.name) == (resource, name));
        until("its turn has ended", || scene.guard().metric(FAILURES) > failures);
        if name == "shoot-core-vpn-shoot" {
            until("it is registered", || is_registered(&scene.switch));
            assert!(!has_told(&scene, position), "{name}");
        } else {
            assert!(!is_registered(&scene.switch), "{name}");
        }
        replace_rules(&admin, &scene.audit, role, rule, SEED, true);
        until("it is registered", || is_registered(&scene.switch));
        until("the VPN is written again", || has_told(&scene, position));
        scene.switch.shoot.seed_pods(APART);
        until("it is gone", || !is_registered(&scene.switch));
        println!("missed when it is taken away: {} {resource} {name}", rule["verbs"]);
    }

    // With all of them nothing is refused, and all are needed. The webhook is called at the port of its own.
    let position = scene.audit.position();
    scene.switch.shoot.seed_pods(OVERLAPPING);
    until("it is registered", || is_registered(&scene.switch));
    until("it is called", || {
        let sets = "/apis/apps/v1/namespaces/kube-system/statefulsets";
        scene.switch.shoot.api.apply(sets, &fixture("ha-overlap", "vpn-shoot"));
        scene.switch.shoot.api.delete(&format!("{sets}/vpn-shoot"));
        scene.guard().series("network_guard_requests_total", r#"handler="vpn-shoot""#) > 0.0
    });
    until("the VPN is written again", || has_told(&scene, position));
    scene.switch.shoot.seed_pods(APART);
    until("it is gone", || !is_registered(&scene.switch));
    let refused: Vec<_> = scene.audit.since(position).into_iter().filter(|asked| !asked.allowed).collect();
    assert!(refused.is_empty(), "the chart gives too little: {refused:?}");

    // The configuration does not ask for it any more, and the chart is told to keep the rights until all of it is gone.
    scene.switch.shoot.seed_pods(OVERLAPPING);
    until("it is registered", || is_registered(&scene.switch));
    scene.switch.seed.kill_guard();
    let config = scene.switch.seed.control_plane.folder().join("mounted/etc/network-guard/config/config.yaml");
    let text = std::fs::read_to_string(&config).unwrap();
    let mut without: Value = serde_saphyr::from_str(&text).unwrap();
    without["vpn"]["nat"] = json!({});
    std::fs::write(&config, without.to_string()).unwrap();
    let values = json!({"shootWebhook": {"cleanUp": true}});
    let kept = Chart::SEED.render(SEED, &values);
    admin.ok(&["replace", "-f", "-"], Some(&only(&kept, "ClusterRole").to_string()));
    admin.run(&["delete", "lease", "network-guard-certificates", "-n", SEED], None);
    scene.switch.seed.start_guard_again();
    until("it is gone", || !is_registered(&scene.switch));

    for (role, index) in &rules {
        let rule = &role["rules"][*index];
        for verb in rule["verbs"].as_array().unwrap() {
            let mut one = rule.clone();
            one["verbs"] = json!([verb]);
            // The log of a request may come later than what it did.
            let is_asked = || scene.audit.since(0).iter().any(|asked| covers(&one, asked));
            until(&format!("the chart gives no more than is asked for: {one}"), is_asked);
        }
    }
}

fn is_registered(switch: &Switch) -> bool {
    let webhooks = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations";
    switch.shoot.api.get(&format!("{webhooks}/gardener-extension-network-guard-shoot")).is_some()
}

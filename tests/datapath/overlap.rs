//! The whole path, with every network of the Shoot in the Seed's Pod network.

use serde_json::json;

use crate::basics::{eventually, until};
use crate::cluster::{Guard, Networks, admitted_deployment};
use crate::hops;
use crate::lab::{Backend, Lab, POD, POD_IN_TUNNEL};
use crate::nat;
use crate::objects::{create_endpoints, create_node, create_pod, create_service, said, seen, webhook};
use crate::pod::Pod;
use crate::watch;

/// All of it inside the Seed's Pods.
pub const OVERLAP: Networks = Networks {
    seed_pods: "10.0.0.0/14",
    pods: &["10.1.0.0/16"],
    services: &["10.2.0.0/16"],
    nodes: &["10.3.0.0/16"],
    vpn_pod: VPN_POD,
};
const VPN_POD: &str = "10.1.200.1";

/// Addresses of the Shoot: a node, a Pod behind a Service, the Services of a webhook and of an API server. Pods of the
/// Seed have the very same.
const NODE: &str = "10.3.0.7";
const BEHIND_SERVICE: &str = "10.1.2.9";
const WEBHOOK: &str = "10.2.0.10";
const API_SERVICE: &str = "10.2.0.11";
/// A webhook in the Seed, which the Shoot's address is too.
const SEED_WEBHOOK: &str = "10.1.8.8";

#[test]
fn a_shoot_on_the_addresses_of_the_seed() {
    let Some(lab) = Lab::build(OVERLAP, Backend::Nft) else { return };
    // Without routing to endpoints, which gardenlet switches on, a webhook is called at the address of its Service.
    let pod = Pod::new(&lab, admitted_deployment(&lab), &["--enable-aggregator-routing=false"]);
    watch::count_reserved(&lab);
    nat::apply(&lab);
    let _envoy = pod.start_envoy();
    pod.start_api_server();

    // Everything that answers in the Shoot has a twin in the Seed at the same address, and says which it is.
    let same = [NODE, BEHIND_SERVICE, WEBHOOK, API_SERVICE, SEED_WEBHOOK];
    lab.shoot.place(&same);
    lab.other.place(&same);
    lab.serve(&lab.shoot, "shoot", &["http:8080", "https:443", "https:10250"]);
    lab.serve(&lab.other, "seed", &["http:8080", "https:443", "https:10250"]);
    create_objects(&pod);

    the_shoot_is_reached_at_our_own_address(&lab, &pod);
    seed_traffic_stays_outside_envoy(&lab, &pod);
    nodes_and_services_are_reached(&pod);
    webhooks_and_api_services_are_reached(&pod);
    other_processes_are_not_translated(&pod);
    the_shoot_gets_no_connection_into_the_pod(&lab);
    hops::print(&lab, &pod);
    watch::assert_reserved_stay_in_the_tunnel(&lab);
    nat::assert_in_place(&lab);
}

fn create_objects(pod: &Pod) {
    create_node(pod, "node", NODE);
    create_pod(pod, "web", POD);
    create_service(pod, "web", "10.2.0.9", 80);
    create_pod(pod, "behind", BEHIND_SERVICE);
    create_service(pod, "webhook", WEBHOOK, 443);
    create_service(pod, "api", API_SERVICE, 443);
    create_endpoints(pod, "web", 8080, ("behind", BEHIND_SERVICE));
    create_endpoints(pod, "api", 443, ("behind", BEHIND_SERVICE));
}

fn seed_traffic_stays_outside_envoy(lab: &Lab, pod: &Pod) {
    let through_envoy = || pod.envoy_metric("envoy_http_downstream_cx_total", "egress");
    let bytes_to_etcd = || watch::packets(lab, &lab.other, "--comment etcd");
    watch::restore(lab, &lab.other, "*raw\n-A PREROUTING -p tcp --dport 2379 -m comment --comment etcd\nCOMMIT\n");
    let (before, etcd_before) = (through_envoy(), bytes_to_etcd());
    assert!(before > 0, "the counter knows connections into the Shoot");
    for round in 0..10 {
        pod.create(&json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": format!("written-{round}"), "namespace": "default"},
        }));
    }
    assert!(
        bytes_to_etcd() > etcd_before + 10,
        "etcd, at an address of the Seed that the Shoot has too, is written to"
    );
    assert_eq!(through_envoy(), before, "connections to etcd do not go through Envoy");

    // A webhook by URL is of the control plane.
    pod.create(&webhook(pod, "in-seed.example.com", "configmaps", json!({"url": format!("https://{SEED_WEBHOOK}/")})));
    let warning = format!("seed at {SEED_WEBHOOK}:443 saw {POD}:");
    let configmap =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "x-", "namespace": "default"}});
    until("a webhook in the Seed, at an address that the Shoot has too, is reached directly and untranslated", || {
        let output = pod.try_kubectl(&["create", "-f", "-"], &configmap.to_string());
        output.stderr.contains(&warning)
    });
    assert_eq!(through_envoy(), before, "connections to the control plane do not go through Envoy");
}

fn the_shoot_is_reached_at_our_own_address(lab: &Lab, pod: &Pod) {
    let path = "/api/v1/namespaces/default/pods/http:web:8080/proxy/";
    let at = format!("{POD}:8080");
    // At the end of the tunnel itself, in the vpn Pod.
    lab.vpn.place(&[POD]);
    lab.serve(&lab.vpn, "vpn", &["http:8080"]);
    assert_eq!(
        said(&pod.get(path)),
        seen("vpn", &at, POD_IN_TUNNEL),
        "the server with the kube-apiserver's own address is reached, and sees where in 241.0.0.0/8 the caller stands"
    );
    // Behind it: the vpn Pod speaks to the Shoot in its own name.
    lab.vpn.displace(POD);
    lab.shoot.place(&[POD]);
    assert_eq!(
        said(&pod.get(path)),
        seen("shoot", &at, VPN_POD),
        "a Pod with the kube-apiserver's own address is reached, and sees the vpn Pod"
    );
}

fn nodes_and_services_are_reached(pod: &Pod) {
    assert_eq!(
        said(&pod.get("/api/v1/nodes/node/proxy/")),
        seen("shoot", &format!("{NODE}:10250"), VPN_POD),
        "the kubelet's port of a node is reached at an address that a Pod of the Seed has too"
    );
    assert_eq!(
        said(&pod.get("/api/v1/nodes/http:node:8080/proxy/")),
        seen("shoot", &format!("{NODE}:8080"), VPN_POD),
        "so is any other port of the node"
    );
    assert_eq!(
        said(&pod.get("/api/v1/namespaces/default/services/http:web:80/proxy/")),
        seen("shoot", &format!("{BEHIND_SERVICE}:8080"), VPN_POD),
        "and a Pod behind a Service"
    );
}

fn webhooks_and_api_services_are_reached(pod: &Pod) {
    let service = |name: &str| json!({"name": name, "namespace": "default", "port": 443});
    pod.create(&webhook(pod, "in-shoot.example.com", "secrets", json!({"service": service("webhook")})));
    let warning = format!("shoot at {WEBHOOK}:443 saw {VPN_POD}:");
    let secret =
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"generateName": "x-", "namespace": "default"}});
    until("a webhook is reached at the address of its Service, in the overlap", || {
        pod.try_kubectl(&["create", "-f", "-"], &secret.to_string()).stderr.contains(&warning)
    });

    pod.create(&json!({
        "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": {"name": "v1.lab.example.com"},
        "spec": {
            "group": "lab.example.com", "version": "v1", "service": service("api"), "caBundle": pod.ca_bundle(),
            "groupPriorityMinimum": 1000, "versionPriority": 10,
        },
    }));
    eventually("the API server of an APIService is available", || {
        let output = pod.try_kubectl(&["get", "--raw", "/apis/lab.example.com/v1/things"], "");
        let conditions = ["get", "apiservice", "v1.lab.example.com", "-o", "jsonpath={.status.conditions}"];
        output.ok.then_some(()).ok_or_else(|| output.stderr + &pod.kubectl(&conditions, ""))
    });
    assert_eq!(
        said(&pod.get("/apis/lab.example.com/v1/things")),
        seen("shoot", &format!("{API_SERVICE}:443"), VPN_POD),
        "an APIService is reached at the address of its Service, in the overlap"
    );
}

pub fn other_processes_are_not_translated(pod: &Pod) {
    let url = format!("http://{BEHIND_SERVICE}:8080/");
    let answer = |group: u64| {
        let answer = crate::space::must(&mut pod.command(group, &["curl", "-sSf", "--max-time", "90", &url]), "");
        said(&serde_json::from_str(&answer).unwrap())
    };
    let at = format!("{BEHIND_SERVICE}:8080");
    for group in [65_532, 1_000] {
        assert_eq!(
            answer(group),
            seen("seed", &at, POD),
            "group {group}: other processes of the Pod reach the Seed's own Pod at that address, untranslated"
        );
    }
    assert_eq!(answer(31_415), seen("shoot", &at, VPN_POD), "Envoy's group reaches the Shoot at the same address");
}

pub fn the_shoot_gets_no_connection_into_the_pod(lab: &Lab) {
    lab.serve(&lab.seed, "pod", &["http:9999"]);
    let connect = |space: &crate::space::Space, url: &str, seconds: &str| {
        let curl = ["-s", "--connect-timeout", seconds, "--insecure", "-o", "/dev/null", url];
        space.command("curl").args(curl).status().unwrap()
    };
    let dropped = || watch::packets(lab, &lab.seed, "-j DROP");
    assert!(
        connect(&lab.other, &format!("http://{POD}:9999/"), "90").success(),
        "the Seed reaches a server in the Pod"
    );
    for url in [format!("http://{POD_IN_TUNNEL}:9999/"), format!("https://{POD_IN_TUNNEL}/")] {
        let before = dropped();
        let status = connect(&lab.vpn, &url, "2");
        assert_eq!(status.code(), Some(28), "{url}: from the Shoot nobody answers, not even with a refusal");
        assert!(dropped() > before, "{url}: the packets arrive and are dropped");
    }
}

/// The path in short: to a Pod with our own address and to a node, which both have twins in the Seed.
pub fn the_shoot_is_reached(lab: &Lab, pod: &Pod) {
    let same = [NODE, BEHIND_SERVICE];
    for (space, name) in [(&lab.shoot, "shoot"), (&lab.other, "seed")] {
        space.place(&same);
        lab.serve(space, name, &["http:8080", "https:10250"]);
    }
    create_node(pod, "node", NODE);
    create_pod(pod, "web", POD);
    the_shoot_is_reached_at_our_own_address(lab, pod);
    assert_eq!(
        said(&pod.get("/api/v1/nodes/node/proxy/")),
        seen("shoot", &format!("{NODE}:10250"), VPN_POD),
        "the kubelet's port of a node is reached at an address that a Pod of the Seed has too"
    );
}

/// The same with the sidecar in the place of gardenlet's own proxy, whose port any Pod of the Seed could reach.
#[test]
fn ours_in_place_of_gardenlets_proxy() {
    let Some(lab) = Lab::build(OVERLAP, Backend::Nft) else { return };
    let guard = Guard::start(&lab, "vpn: {sidecar: always}\n");
    let deployment = guard.deployment_with_proxy();
    drop(guard);
    let arguments = &deployment["spec"]["template"]["spec"]["containers"][0]["args"];
    assert_eq!(arguments.to_string().matches("--egress-selector-config-file=").count(), 1, "{arguments}");
    let pod = Pod::new(&lab, deployment, &[]);
    watch::count_reserved(&lab);
    nat::apply(&lab);
    let _envoy = pod.start_envoy();
    pod.start_api_server();
    the_shoot_is_reached(&lab, &pod);
    let listeners = lab.seed.run("ss -Hltn");
    assert!(listeners.contains(":443 ") && !listeners.contains(":9443 "), "{listeners}");
    watch::assert_reserved_stay_in_the_tunnel(&lab);
    nat::assert_in_place(&lab);
}

/// The same with the other iptables.
#[test]
fn iptables_legacy_carries_the_path_too() {
    let Some(lab) = Lab::build(OVERLAP, Backend::Legacy) else { return };
    let pod = Pod::new(&lab, admitted_deployment(&lab), &[]);
    watch::count_reserved(&lab);
    nat::apply(&lab);
    let _envoy = pod.start_envoy();
    pod.start_api_server();
    the_shoot_is_reached(&lab, &pod);
    the_shoot_gets_no_connection_into_the_pod(&lab);
    watch::assert_reserved_stay_in_the_tunnel(&lab);
    nat::assert_in_place(&lab);
}

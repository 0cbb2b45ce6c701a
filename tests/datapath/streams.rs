//! Several networks of a kind, both IP families, very many streams, and an Envoy that dies.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::basics::until;
use crate::cluster::{Networks, admitted_deployment};
use crate::lab::{Backend, Lab, POD, POD_V6};
use crate::nat;
use crate::objects::{create_endpoints, create_node, create_pod, create_service, said, seen, webhook};
use crate::peer::{self, Task};
use crate::pod::Pod;
use crate::process::Process;
use crate::space::Space;
use crate::watch;

/// IPv4 inside the Seed's Pods, with node networks that were added one by one; IPv6 apart.
const GROWN: Networks = Networks {
    seed_pods: "10.0.0.0/14",
    pods: &["10.1.0.0/16", "fd00:10:1::/64"],
    services: &["10.2.0.0/16", "fd00:10:2::/112"],
    nodes: &["10.3.0.0/24", "10.3.64.0/18", "10.0.16.0/20", "fd00:10:3::/64"],
    vpn_pod: VPN_POD,
};
const VPN_POD: &str = "10.1.200.1";

/// A node in each of the networks, and where it stands in the tunnel: the widest network comes first.
const NODES: [(&str, &str); 3] = [("10.3.0.5", "242.0.80.5"), ("10.3.64.9", "242.0.0.9"), ("10.0.16.7", "242.0.64.7")];

#[test]
fn a_grown_shoot_under_load() {
    let Some(lab) = Lab::build(GROWN, Backend::Nft) else { return };
    let pod = Pod::new(&lab, admitted_deployment(&lab), &[]);
    watch::count_reserved(&lab);
    nat::apply(&lab);
    let envoy = pod.start_envoy();
    pod.start_api_server();
    lab.serve(&lab.shoot, "shoot", &["http:8080", "https:10250", "https:443"]);
    lab.serve(&lab.other, "seed", &["http:8080", "https:10250", "https:443"]);
    lab.serve(&lab.vpn, "vpn", &["http:8080"]);

    every_node_network_is_reached(&lab, &pod);
    ipv6_is_direct(&lab, &pod);
    a_webhook_is_reached_at_its_endpoint(&lab, &pod);
    lab.shoot.place(&[POD]);
    create_pod(&pod, "web", POD);
    a_thousand_streams(&lab, &pod);
    envoy_comes_back(&pod, envoy);
    watch::assert_reserved_stay_in_the_tunnel(&lab);
    nat::assert_in_place(&lab);
}

fn every_node_network_is_reached(lab: &Lab, pod: &Pod) {
    for (number, (address, in_tunnel)) in NODES.into_iter().enumerate() {
        let name = format!("node-{number}");
        lab.shoot.place(&[address]);
        lab.other.place(&[address]);
        let rule = format!("-A PREROUTING -i bond0 -d {in_tunnel} -m comment --comment {name}");
        watch::restore(lab, &lab.vpn, &format!("*raw\n{rule}\nCOMMIT\n"));
        create_node(pod, &name, address);
        assert_eq!(
            said(&pod.get(&format!("/api/v1/nodes/{name}/proxy/"))),
            seen("shoot", &format!("{address}:10250"), VPN_POD),
            "a node of each network is reached"
        );
        let packets = watch::packets(lab, &lab.vpn, &format!("--comment {name}"));
        assert!(packets > 0, "{address} is {in_tunnel} in the tunnel");
    }
}

fn ipv6_is_direct(lab: &Lab, pod: &Pod) {
    let address = "fd00:10:1::9";
    lab.vpn.place(&[address]);
    create_pod(pod, "six", address);
    assert_eq!(
        said(&pod.get("/api/v1/namespaces/default/pods/http:six:8080/proxy/")),
        seen("vpn", &format!("[{address}]:8080"), &format!("[{POD_V6}]")),
        "IPv6 goes through Envoy and the tunnel untranslated"
    );

    lab.serve(&lab.seed, "pod", &["http:9998"]);
    let url = format!("http://[{POD_V6}]:9998/");
    let connect = |space: &Space, seconds: &str| {
        let curl = ["-s", "--connect-timeout", seconds, "-o", "/dev/null", &url];
        space.command("curl").args(curl).status().unwrap().code()
    };
    let dropped = || {
        let saved = lab.seed.run(&format!("ip6tables-{}-save -c", lab.backend.name()));
        let line = saved.lines().find(|line| line.contains("-j DROP")).unwrap().to_owned();
        line.trim_start_matches('[').split(':').next().unwrap().parse::<u64>().unwrap()
    };
    assert_eq!(connect(&lab.seed, "90"), Some(0), "a server in the Pod answers");
    let before = dropped();
    assert_eq!(connect(&lab.vpn, "2"), Some(28), "but nobody from the Shoot");
    assert!(dropped() > before, "the packets arrive and are dropped");
}

/// gardenlet has the API server look up the endpoints of a webhook itself.
fn a_webhook_is_reached_at_its_endpoint(lab: &Lab, pod: &Pod) {
    let address = "10.1.2.9";
    lab.shoot.place(&[address]);
    lab.other.place(&[address]);
    create_pod(pod, "behind", address);
    create_service(pod, "webhook", "10.2.0.10", 443);
    create_endpoints(pod, "webhook", 443, ("behind", address));
    let service = json!({"name": "webhook", "namespace": "default", "port": 443});
    pod.create(&webhook(pod, "in-shoot.example.com", "secrets", json!({"service": service})));
    let warning = format!("shoot at {address}:443 saw {VPN_POD}:");
    let secret =
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"generateName": "x-", "namespace": "default"}});
    until("a webhook is reached at its endpoint, an address that a Pod of the Seed has too", || {
        pod.try_kubectl(&["create", "-f", "-"], &secret.to_string()).stderr.contains(&warning)
    });
}

/// All of them are open before the first byte comes back, and each moves half a MiB in both directions.
fn a_thousand_streams(lab: &Lab, pod: &Pod) {
    const COUNT: usize = 1_000;
    const BYTES: usize = (1 << 30) / COUNT / 2 + 1;
    let through_envoy = || pod.envoy_metric("envoy_http_downstream_cx_total", "egress");
    let (before, begun) = (through_envoy(), Instant::now());
    let mut client = peer::start(
        &lab.other,
        lab.folder(),
        "streams",
        &Task::Streams {
            server: SocketAddr::new(POD.parse().unwrap(), 443),
            path: "/api/v1/namespaces/default/pods/http:web:8080/proxy".to_owned(),
            count: COUNT,
            bytes: BYTES,
            folder: lab.folder().to_owned(),
        },
    );
    // It is a GiB in both directions, with TLS: a slow machine takes its time.
    let deadline = Instant::now() + Duration::from_secs(900);
    while !client.output().contains("done") {
        assert!(client.is_running() || client.output().contains("done"), "it ended early. {}", client.last_words());
        assert!(Instant::now() < deadline, "not all streams have ended. {}", client.last_words());
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(client.output().contains(&format!("through: {COUNT} of {COUNT}")), "{}", client.last_words());
    assert!(through_envoy() >= before + COUNT as u64, "each stream is a connection of its own through Envoy");
    say!("\n1,000 parallel streams moved 1 GiB through the whole path in {:.1} s", begun.elapsed().as_secs_f32());
}

fn envoy_comes_back(pod: &Pod, mut envoy: Process) {
    let path = "/api/v1/namespaces/default/pods/http:web:8080/proxy/";
    let reached = || pod.try_kubectl(&["get", "--raw", path], "").ok;
    let socket = network_guard_core::vpn::sidecar::SOCKET_PATH;
    for (left_behind, prepare) in [
        ("the socket of the one that was killed", "test -S".to_owned()),
        ("a file", format!("rm {socket}; echo wrong > {socket}; test -f")),
        ("nothing", format!("rm {socket}; test ! -e")),
    ] {
        assert!(reached());
        envoy.kill();
        pod.as_root(&format!("{prepare} {socket}"), "");
        assert!(!reached(), "without Envoy there is no way into the Shoot");
        let begun = Instant::now();
        envoy = pod.start_envoy();
        until("a new connection works", reached);
        say!("Envoy started over {left_behind}: new connections work again after {:.1?}", begun.elapsed());
    }
}

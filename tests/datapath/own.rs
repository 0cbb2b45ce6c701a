//! Containers of network-guard beside a vpn2 that knows no overlap: what both webhooks inject is what runs.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::basics::until;
use crate::cluster::Guard;
use crate::lab::{Backend, Lab, POD, SEED_TUNNEL, SHOOT_TUNNEL};
use crate::overlap::{
    OVERLAP, other_processes_are_not_translated, the_shoot_gets_no_connection_into_the_pod, the_shoot_is_reached,
};
use crate::pod::Pod;
use crate::process::Process;
use crate::space::{Space, must};
use crate::watch;

const CONFIGURATION: &str = "vpn: {nat: {mode: own, image: 'registry.example.org/network-guard:v1', keepSeconds: 3600, \
                             shootWebhook: {url: 'https://network-guard.example.org'}}}\n";

/// A container's command with its rights, in this namespace.
fn words(object: &Value, list: &str, name: &str) -> Vec<String> {
    let containers = object["spec"]["template"]["spec"][list].as_array().unwrap();
    let container = containers.iter().find(|container| container["name"] == name).unwrap_or_else(|| panic!("{name}"));
    let own = &container["securityContext"];
    assert_eq!((&own["runAsUser"], &own["capabilities"]["drop"][0]), (&0.into(), &"ALL".into()));
    let added = own["capabilities"]["add"].as_array().unwrap();
    let added: String = added.iter().map(|name| format!(",+{}", name.as_str().unwrap().to_lowercase())).collect();
    let mut words = ["setpriv", "--bounding-set"].map(str::to_owned).to_vec();
    words.extend([format!("-all{added}"), "--inh-caps".to_owned(), format!("-all{added}"), "--".to_owned()]);
    let command = container["command"].as_array().unwrap().iter().map(|word| word.as_str().unwrap());
    // The image has it on its path.
    words.extend(command.map(|word| match word {
        "network-guard" => env!("CARGO_BIN_EXE_network-guard").to_owned(),
        word => word.to_owned(),
    }));
    words
}

/// Runs the init container to its end and starts the agent.
fn start(lab: &Lab, space: &Space, name: &str, object: &Value) -> Process {
    let init = words(object, "initContainers", "network-guard-nat-init");
    let mut command: Command = space.command(&init[0]);
    must(command.args(&init[1..]), "");
    let agent = words(object, "containers", "network-guard-nat");
    space.start(lab.folder(), name, Path::new(&agent[0]), &agent[1..])
}

#[test]
fn containers_of_ours_carry_the_path() {
    let Some(lab) = Lab::build(OVERLAP, Backend::Nft) else { return };
    let guard = Guard::start(&lab, CONFIGURATION);
    let (deployment, vpn_shoot) = (guard.deployment(), guard.vpn_shoot());
    drop(guard);
    watch::count_reserved(&lab);

    // What the privileged init container of any vpn2 sets.
    for (space, settings) in [
        (&lab.seed, &["ipv4.conf.all.rp_filter=0", "ipv4.conf.bond0-ip6tnl0.rp_filter=0"][..]),
        (&lab.vpn, &["ipv4.conf.all.rp_filter=0", "ipv4.conf.bond0.rp_filter=0", "ipv4.ip_forward=1"]),
    ] {
        for setting in settings {
            space.run(&format!("sysctl -qw net.{setting}"));
        }
    }
    let keepers = [start(&lab, &lab.seed, "seed-nat", &deployment), start(&lab, &lab.vpn, "shoot-nat", &vpn_shoot)];
    let way = |space: &Space, to: &str| space.run(&format!("ip route show {to}"));
    assert!(way(&lab.seed, "242.0.0.0/8").contains("blackhole"), "nothing mapped leaves while there is no tunnel");

    // A vpn2 that knows no overlap: the Shoot's networks on one side, the API server's address on the other.
    for network in OVERLAP.of_the_shoot() {
        lab.seed.run(&format!("ip route replace {network} dev {SEED_TUNNEL}"));
    }
    lab.vpn.run(&format!("ip route replace {POD}/32 dev {SHOOT_TUNNEL}"));
    until("our routes follow, though the next look is an hour away", || {
        let is_followed = |space: &Space, to: &str| way(space, to).contains(" dev bond0");
        ["242.0.0.0/8", "243.0.0.0/8", "244.0.0.0/8"].iter().all(|to| is_followed(&lab.seed, to))
            && is_followed(&lab.vpn, "241.1.2.3")
            && OVERLAP.of_the_shoot().all(|network| !is_followed(&lab.seed, network))
            && !is_followed(&lab.vpn, POD)
    });

    let pod = Pod::new(&lab, deployment, &[]);
    let _envoy = pod.start_envoy();
    pod.start_api_server();
    the_shoot_is_reached(&lab, &pod);
    other_processes_are_not_translated(&pod);
    the_shoot_gets_no_connection_into_the_pod(&lab);
    watch::assert_reserved_stay_in_the_tunnel(&lab);
    drop(keepers);
}

//! The addresses of one connection at each hop, as they were seen on the way.

use crate::basics::eventually;
use crate::lab::{Lab, POD, POD_IN_TUNNEL, SEED_TUNNEL, SHOOT_TUNNEL};
use crate::objects::said;
use crate::pod::Pod;
use crate::watch::{self, Sniffer};

/// Makes one connection to the Pod of the Shoot that has our own address, and prints what everybody saw of it: the picture
/// in `docs/concepts/double-nat.md`.
pub fn print(lab: &Lab, pod: &Pod) {
    let target = "244.0.2.3";
    // Between two hooks of the kernel there is no device to look at; there a rule counts the first packet.
    let first = "-p tcp --syn --dport 8080 -m comment --comment";
    watch::restore(
        lab,
        &lab.seed,
        &format!(
            "*raw\n-A OUTPUT -s {POD} -d {POD} -m owner --gid-owner 31415 {first} sent\nCOMMIT\n\
             *mangle\n-A POSTROUTING -o {SEED_TUNNEL} -s {POD} -d {target} {first} redirected\nCOMMIT\n"
        ),
    );
    watch::restore(
        lab,
        &lab.vpn,
        &format!("*mangle\n-A FORWARD -i {SHOOT_TUNNEL} -s {POD_IN_TUNNEL} -d {POD} {first} restored\nCOMMIT\n"),
    );
    let sniffers = [
        Sniffer::start(lab, &lab.seed, "seed", SEED_TUNNEL),
        Sniffer::start(lab, &lab.vpn, "vpn", SHOOT_TUNNEL),
        Sniffer::start(lab, &lab.vpn, "vpn", "eth0"),
        Sniffer::start(lab, &lab.shoot, "shoot", "eth0"),
    ];

    // Envoy logs connections that take longer than a second.
    let answer = pod.get("/api/v1/namespaces/default/pods/http:web:8080/proxy/slow");
    let connect = format!("CONNECT {POD}:8080");
    let logged = eventually("Envoy logs the connection", || {
        let log = std::fs::read_to_string(lab.path("envoy-proxy.log")).unwrap();
        log.lines().rev().find(|line| line.contains(&connect)).map(str::to_owned).ok_or(log)
    });
    let [seed_end, shoot_end, leaving, arriving] = sniffers.map(|sniffer| sniffer.connection(8080));
    for (space, comment) in [(&lab.seed, "sent"), (&lab.seed, "redirected"), (&lab.vpn, "restored")] {
        assert_eq!(watch::packets(lab, space, &format!("--comment {comment}")), 1, "{comment}");
    }
    assert_eq!(seed_end, format!("{POD_IN_TUNNEL} -> {target}:8080"), "in the tunnel both addresses are translated");
    assert_eq!(seed_end, shoot_end, "and arrive as they were sent");
    assert_eq!(leaving, arriving);
    let (server, at, client) = said(&answer);

    let hops = [
        ("kube-apiserver to Envoy, by the socket", connect),
        ("Envoy sends", format!("{POD} -> {POD}:8080")),
        ("after OUTPUT, for Envoy's group only", format!("{POD} -> {target}:8080")),
        ("in the tunnel, the Seed's end", seed_end),
        ("in the tunnel, the Shoot's end", shoot_end),
        ("after PREROUTING", format!("{POD_IN_TUNNEL} -> {POD}:8080")),
        ("leaving the Pod, masqueraded", leaving),
        ("in the Shoot", arriving),
        ("the server", format!("at {at} saw {client}")),
    ];
    say!("\nOne connection of the kube-apiserver at {POD} to the Pod {POD} of the Shoot:\n");
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/concepts/double-nat.md")).unwrap();
    let page = page.split_whitespace().collect::<Vec<_>>().join(" ");
    for (hop, addresses) in &hops {
        say!("  {hop:<40}{addresses}");
        assert!(
            page.contains(addresses),
            "docs/concepts/double-nat.md shows the path as it was seen: {hop}: {addresses}"
        );
    }
    say!("\nEnvoy's log: {logged}\n");
    assert_eq!(server, "shoot");
}

//! Without overlap: nothing is injected, nothing is translated.

use crate::cluster::{Networks, admitted_deployment};
use crate::lab::{Backend, Lab, POD};
use crate::nat;
use crate::objects::{create_node, create_pod, said, seen};
use crate::pod::Pod;
use crate::watch;

const APART: Networks = Networks {
    seed_pods: "10.0.0.0/14",
    pods: &["100.64.0.0/12"],
    services: &["100.80.0.0/12"],
    nodes: &["10.250.0.0/16"],
    vpn_pod: "100.64.200.1",
};

#[test]
fn without_overlap_the_path_is_direct() {
    let Some(lab) = Lab::build(APART, Backend::Nft) else { return };
    let deployment = admitted_deployment(&lab);
    assert_eq!(deployment, APART.deployment(), "without overlap the Deployment stays as gardenlet wrote it");
    let pod = Pod::new(&lab, deployment, &[]);
    assert!(pod.container("envoy-proxy").is_none());
    watch::count_reserved(&lab);
    nat::apply(&lab);
    pod.start_api_server();

    let (in_vpn, node) = ("100.64.2.3", "10.250.0.7");
    lab.vpn.place(&[in_vpn]);
    lab.shoot.place(&[node]);
    lab.serve(&lab.vpn, "vpn", &["http:8080"]);
    lab.serve(&lab.shoot, "shoot", &["https:10250"]);
    create_node(&pod, "node", node);
    create_pod(&pod, "web", in_vpn);
    assert_eq!(
        said(&pod.get("/api/v1/namespaces/default/pods/http:web:8080/proxy/")),
        seen("vpn", &format!("{in_vpn}:8080"), POD),
        "the server sees the kube-apiserver's own address"
    );
    assert_eq!(
        said(&pod.get("/api/v1/nodes/node/proxy/")),
        seen("shoot", &format!("{node}:10250"), APART.vpn_pod),
        "what lies behind the vpn Pod sees the vpn Pod"
    );

    for (name, space) in [("seed", &lab.seed), ("vpn", &lab.vpn), ("other", &lab.other), ("shoot", &lab.shoot)] {
        assert_eq!(
            watch::packets(&lab, space, "--comment"),
            0,
            "{name}: no address of 240.0.0.0/4, not in the tunnel either"
        );
    }
    nat::assert_in_place(&lab);
}

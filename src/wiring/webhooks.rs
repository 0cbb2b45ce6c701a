//! The webhooks of each API server.

use std::sync::Arc;

use crate::config::Configuration;
use network_guard_controllers::registration::FailurePolicy;
use network_guard_core::admission::Handler;
use network_guard_core::webhooks::{AdviseShoot, HoldNetwork, KubeApiserver, MutateShoot, ValidateShoot, VpnShoot};

/// Those that a Seed's API server calls.
pub(super) fn of_seed(configuration: &Configuration) -> Vec<Arc<dyn Handler>> {
    vec![
        Arc::new(
            KubeApiserver::new(&configuration.vpn, &configuration.nat.mode)
                .tolerant(configuration.failure_policy() == FailurePolicy::Ignore),
        ),
        Arc::new(HoldNetwork::new(&configuration.overlay.switches.hold)),
    ]
}

/// Those that the API server of the virtual garden calls.
pub(super) fn of_garden(configuration: &Configuration) -> Vec<Arc<dyn Handler>> {
    vec![
        Arc::new(MutateShoot::new(&configuration.shoots)),
        Arc::new(ValidateShoot::new(&configuration.shoots)),
        Arc::new(AdviseShoot::new(&configuration.shoots)),
    ]
}

/// Those that API servers of Shoots call.
pub(super) fn of_shoots(configuration: &Configuration) -> Vec<Arc<dyn Handler>> {
    vec![Arc::new(VpnShoot::new(&configuration.nat.mode))]
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use network_guard_core::admission::{self, AskLoop, Outcome};
    use network_guard_core::landscape::{Answer, Answers, Snapshot};

    /// The webhooks refuse exactly what may not be missed by the registered failure policy.
    #[test]
    fn refusals_agree_with_the_failure_policy() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/gardener/ha/deployment.json");
        let object: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let review = json!({
            "apiVersion": "admission.k8s.io/v1",
            "kind": "AdmissionReview",
            "request": {
                "uid": "u", "operation": "CREATE", "namespace": "shoot--local--ha", "name": "kube-apiserver",
                "resource": {"group": "apps", "version": "v1", "resource": "deployments"},
                "userInfo": {"username": "gardenlet"},
                "object": object,
            },
        })
        .to_string();
        let own = "failurePolicy: Ignore, nat: {mode: own, image: x, shootWebhook: {url: 'https://x'}}";
        for (body, is_refused) in [
            (String::new(), true),
            ("vpn: {failurePolicy: Ignore}".to_owned(), false),
            ("vpn: {sidecar: always}".to_owned(), false),
            ("vpn: {sidecar: always, failurePolicy: Fail}".to_owned(), true),
            (format!("vpn: {{{own}}}"), true),
        ] {
            let head = "apiVersion: config.network-guard.extensions.gardener.cloud/v1alpha1\nkind: NetworkGuardConfiguration\n";
            let configuration = Configuration::parse(&format!("{head}{body}")).unwrap();
            let handler = of_seed(&configuration).swap_remove(0);
            let request = admission::decode(review.as_bytes()).unwrap();
            let nothing = Snapshot::default();
            let verdict = AskLoop::new(&*handler, &request, Some(&nothing))
                .run(|_| Answers { cluster: Some(Answer::Absent), ..Answers::default() })
                .expect(&body);
            assert_eq!(verdict.outcome == Outcome::Denied, is_refused, "{body}: {verdict:?}");
        }
    }
}

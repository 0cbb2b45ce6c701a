//! What API servers do with writes of kube-apiservers while no replica answers.

use super::Configuration;
use network_guard_controllers::registration::FailurePolicy;
use network_guard_core::vpn::sidecar::Sidecar;

impl Configuration {
    /// The registered failure policy; with `Fail` the webhook also refuses what it cannot review. By default the
    /// landscape relies on network-guard's sidecar: a kube-apiserver that rolls out without it reaches wrong addresses.
    /// With `sidecar: always` that is not so: after a missed call gardenlet's own proxy is used, which works. That
    /// requires a gardenlet that has one (from v1.124.0 on); its version is unknown here. The chart knows it, and
    /// always sets the policy explicitly.
    pub fn failure_policy(&self) -> FailurePolicy {
        self.vpn_failure_policy.unwrap_or(match self.vpn.sidecar {
            Sidecar::WhereMissing => FailurePolicy::Fail,
            Sidecar::Always => FailurePolicy::Ignore,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_the_configuration() {
        for (overlap, want) in [
            ("{}", FailurePolicy::Fail),
            ("{failurePolicy: Fail}", FailurePolicy::Fail),
            ("{failurePolicy: Ignore}", FailurePolicy::Ignore),
            ("{sidecar: whereMissing}", FailurePolicy::Fail),
            ("{sidecar: always}", FailurePolicy::Ignore),
            ("{sidecar: always, failurePolicy: Fail}", FailurePolicy::Fail),
        ] {
            let head = "apiVersion: config.network-guard.extensions.gardener.cloud/v1alpha1\nkind: NetworkGuardConfiguration\n";
            let configuration = Configuration::parse(&format!("{head}vpn: {overlap}")).unwrap();
            assert_eq!(configuration.failure_policy(), want, "{overlap}");
        }
    }
}

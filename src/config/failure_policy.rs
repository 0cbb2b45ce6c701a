//! What becomes of writes of kube-apiservers while no replica answers.

use super::Configuration;
use network_guard_controllers::registration::FailurePolicy;
use network_guard_core::vpn::sidecar::Sidecar;

impl Configuration {
    /// What is registered, and whether anything is refused while we answer. Where nothing is said, the landscape relies on our
    /// sidecar: an API server that rolls out without it reaches wrong addresses. With `sidecar: always` it does not: a missed
    /// call leaves gardenlet's proxy, which works. That is for a gardenlet that has one (from v1.124.0 on); which it is, nobody
    /// knows here. The chart knows, and always says what it chose.
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

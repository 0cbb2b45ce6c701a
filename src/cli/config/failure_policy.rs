//! What becomes of writes of kube-apiservers while no replica answers.

use super::Configuration;
use crate::controllers::registration::FailurePolicy;

impl Configuration {
    /// What is registered. Whoever says nothing relies on our sidecar: an API server that rolls out without it reaches
    /// wrong addresses.
    pub fn failure_policy(&self) -> FailurePolicy {
        self.overlap_failure_policy.unwrap_or_default()
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
        ] {
            let head = "apiVersion: config.network-guard.extensions.gardener.cloud/v1alpha1\nkind: NetworkGuardConfiguration\n";
            let configuration = Configuration::parse(&format!("{head}overlap: {overlap}")).unwrap();
            assert_eq!(configuration.failure_policy(), want, "{overlap}");
        }
    }
}

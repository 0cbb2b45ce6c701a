//! By what replicas can be told apart.

use std::fmt::Write as _;

use aws_lc_rs::digest;

use super::Configuration;

/// Bytes of the digest that are shown: enough for a handful of configurations to differ.
const SHOWN: usize = 6;

impl Configuration {
    /// A short digest of everything that was configured, defaults included: two replicas of one release that show the same
    /// one decide the same. A configuration names files and holds nothing secret.
    pub fn digest(&self) -> String {
        let digest = digest::digest(&digest::SHA256, format!("{self:?}").as_bytes());
        digest.as_ref()[..SHOWN].iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_configurations_apart() {
        let of = |body: &str| {
            let head = "apiVersion: config.network-guard.extensions.gardener.cloud/v1alpha1\nkind: NetworkGuardConfiguration\n";
            Configuration::parse(&format!("{head}{body}")).unwrap().digest()
        };
        let default = Configuration::default().digest();
        assert_eq!(default.len(), 2 * SHOWN);
        // However it is written.
        assert_eq!(of(""), default);
        assert_eq!(of("overlap: {envoy: {concurrency: 2, memoryRequest: 102400Ki}}"), default);
        for body in [
            "overlap: {sidecar: always}",
            "overlap: {envoy: {image: 'x:1'}}",
            "overlap: {envoy: {statusPort: 15001}}",
            "overlap: {failurePolicy: Ignore}",
            "nat: {mode: own, image: 'x:1', shootWebhook: {url: 'https://x'}}",
            "overlay: {providers: [aws]}",
            "overlay: {vpcs: {cloud: {paths: [vpc.id]}}}",
            "peering: {maxPeers: 3}",
            "rules: {peering/overlap: warn}",
            "server: {maxConnections: 4}",
        ] {
            assert_ne!(of(body), default, "{body}");
            assert_eq!(of(body), of(body), "{body}");
        }
    }
}

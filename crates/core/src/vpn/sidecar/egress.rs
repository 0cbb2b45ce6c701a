//! The API server's egress selector, as far as we write it (`apiserver.k8s.io/v1beta1`).

use serde::Serialize;

use super::names::SOCKET_PATH;

/// `EgressSelectorConfiguration`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EgressSelectorConfiguration {
    api_version: &'static str,
    kind: &'static str,
    egress_selections: [EgressSelection; 3],
}

#[derive(Debug, Serialize)]
struct EgressSelection {
    name: &'static str,
    connection: Connection,
}

#[derive(Debug, Serialize)]
#[serde(tag = "proxyProtocol")]
enum Connection {
    Direct,
    #[serde(rename = "HTTPConnect")]
    HttpConnect {
        transport: Transport,
    },
}

#[derive(Debug, Serialize)]
struct Transport {
    uds: UnixSocket,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct UnixSocket {
    uds_name: &'static str,
}

impl EgressSelectorConfiguration {
    /// Connections to nodes, pods and services of the Shoot (`cluster`) go through Envoy's socket; those to the
    /// control plane and to etcd stay in the Seed and are dialled directly.
    pub(super) fn through_envoy() -> Self {
        let through_socket =
            Connection::HttpConnect { transport: Transport { uds: UnixSocket { uds_name: SOCKET_PATH } } };
        Self {
            api_version: "apiserver.k8s.io/v1beta1",
            kind: "EgressSelectorConfiguration",
            egress_selections: [
                EgressSelection { name: "cluster", connection: through_socket },
                EgressSelection { name: "controlplane", connection: Connection::Direct },
                EgressSelection { name: "etcd", connection: Connection::Direct },
            ],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_what_the_api_server_reads() {
        insta::assert_json_snapshot!(EgressSelectorConfiguration::through_envoy());
    }

    /// The same connections go through the proxy as in gardenlet's own configuration; only the transport differs.
    #[test]
    fn sends_the_same_connections_as_gardenlet() {
        let theirs =
            concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/gardener/ha-overlap/egress-selector.yaml");
        let theirs: serde_json::Value = serde_saphyr::from_str(&std::fs::read_to_string(theirs).unwrap()).unwrap();
        let ours = serde_json::to_value(EgressSelectorConfiguration::through_envoy()).unwrap();
        let ways = |configuration: &serde_json::Value| -> Vec<(String, String)> {
            let selections = configuration["egressSelections"].as_array().unwrap().iter();
            let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
            selections.map(|s| (text(&s["name"]), text(&s["connection"]["proxyProtocol"]))).collect()
        };
        assert_eq!(ways(&ours), ways(&theirs));
    }
}

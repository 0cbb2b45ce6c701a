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
}

//! Envoy's bootstrap configuration, as far as we write it (Envoy API v3).
//!
//! One listener on a Unix socket that accepts `CONNECT` and forwards to whatever address it names, and one small
//! status listener for probes and metrics. Limits are at least those of gardenlet's own configuration.

use serde::Serialize;
use serde_json::{Value, json};

use super::Settings;
use super::names::{ADMIN_SOCKET_PATH, SOCKET_PATH};

/// The bootstrap configuration.
#[derive(Debug, Serialize)]
pub(super) struct Bootstrap {
    admin: Admin,
    static_resources: StaticResources,
}

#[derive(Debug, Serialize)]
struct Admin {
    address: Address,
}

#[derive(Debug, Serialize)]
struct StaticResources {
    listeners: [Listener; 2],
    clusters: [Cluster; 2],
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Address {
    Pipe { path: &'static str, mode: u32 },
    SocketAddress { address: &'static str, port_value: u16, ipv4_compat: bool },
}

#[derive(Debug, Serialize)]
struct Listener {
    name: &'static str,
    address: Address,
    filter_chains: [FilterChain; 1],
}

#[derive(Debug, Serialize)]
struct FilterChain {
    filters: [Extension<HttpConnectionManager>; 1],
}

/// An extension point: a descriptive name, and a configuration whose type Envoy reads from `@type`.
#[derive(Debug, Serialize)]
struct Extension<T> {
    name: &'static str,
    typed_config: T,
}

#[derive(Debug, Serialize)]
struct HttpConnectionManager {
    #[serde(rename = "@type")]
    type_url: &'static str,
    stat_prefix: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_idle_timeout: Option<Duration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delayed_close_timeout: Option<Duration>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    access_log: Vec<AccessLog>,
    route_config: RouteConfiguration,
    http_filters: Vec<Extension<Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    http_protocol_options: Option<Http1Options>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    upgrade_configs: Vec<Upgrade>,
}

/// Seconds, as Envoy writes a duration: `20s`.
#[derive(Debug)]
struct Duration(u32);

impl Serialize for Duration {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{}s", self.0))
    }
}

#[derive(Debug, Serialize)]
struct Http1Options {
    accept_http_10: bool,
}

#[derive(Debug, Serialize)]
struct Upgrade {
    upgrade_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    connect_config: Option<Empty>,
}

#[derive(Debug, Serialize)]
struct Empty {}

#[derive(Debug, Serialize)]
struct AccessLog {
    name: &'static str,
    filter: Value,
    typed_config: Value,
}

#[derive(Debug, Serialize)]
struct RouteConfiguration {
    name: &'static str,
    virtual_hosts: [VirtualHost; 1],
}

#[derive(Debug, Serialize)]
struct VirtualHost {
    name: &'static str,
    domains: [&'static str; 1],
    routes: Vec<Route>,
}

#[derive(Debug, Serialize)]
struct Route {
    r#match: Match,
    route: RouteAction,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case", untagged)]
enum Match {
    Connect { connect_matcher: Empty },
    Get { path: &'static str, headers: [Value; 1] },
}

#[derive(Debug, Serialize)]
struct RouteAction {
    cluster: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout: Option<Duration>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    upgrade_configs: Vec<Upgrade>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prefix_rewrite: Option<&'static str>,
}

#[derive(Debug, Serialize)]
struct Cluster {
    name: &'static str,
    connect_timeout: Duration,
    #[serde(skip_serializing_if = "Option::is_none")]
    circuit_breakers: Option<CircuitBreakers>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lb_policy: Option<&'static str>,
    #[serde(flatten)]
    discovery: Discovery,
}

#[derive(Debug, Serialize)]
struct CircuitBreakers {
    thresholds: [Thresholds; 1],
}

#[derive(Debug, Serialize)]
struct Thresholds {
    max_connections: u32,
    max_pending_requests: u32,
    max_requests: u32,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Discovery {
    Extension { cluster_type: Extension<Value> },
    Static { r#type: &'static str, load_assignment: Value },
}

const CONNECTION_MANAGER_TYPE: &str =
    "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";

const FORWARD_CLUSTER: &str = "dynamic_forward_proxy";
const ADMIN_CLUSTER: &str = "admin";

impl Bootstrap {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            // Mode 0600: it serves statistics and can stop Envoy, so only Envoy's own status listener may use it.
            admin: Admin { address: Address::Pipe { path: ADMIN_SOCKET_PATH, mode: 0o600 } },
            static_resources: StaticResources {
                listeners: [egress_listener(settings), status_listener(settings)],
                clusters: [forward_cluster(settings), admin_cluster()],
            },
        }
    }
}

/// Takes `CONNECT host:port` from the API server, which runs as the same user: mode 0660.
fn egress_listener(settings: &Settings) -> Listener {
    listener(
        "egress",
        Address::Pipe { path: SOCKET_PATH, mode: 0o660 },
        HttpConnectionManager {
            type_url: CONNECTION_MANAGER_TYPE,
            stat_prefix: "egress",
            stream_idle_timeout: Some(Duration(settings.idle_timeout_seconds)),
            // Zero means no limit. By default, once the Shoot has closed the connection, a reader that pauses for a
            // second loses what it has not read yet: the end of a log, or of a large answer while the API server is
            // busy.
            delayed_close_timeout: Some(Duration(0)),
            access_log: vec![access_log(settings)],
            route_config: routes(
                "egress",
                vec![Route {
                    r#match: Match::Connect { connect_matcher: Empty {} },
                    route: RouteAction {
                        cluster: FORWARD_CLUSTER,
                        // The response of a CONNECT ends with the tunnel, so it has no deadline.
                        timeout: Some(Duration(0)),
                        upgrade_configs: vec![Upgrade { upgrade_type: "CONNECT", connect_config: Some(Empty {}) }],
                        prefix_rewrite: None,
                    },
                }],
            ),
            http_filters: vec![
                Extension {
                    name: "envoy.filters.http.dynamic_forward_proxy",
                    typed_config: json!({
                        "@type": "type.googleapis.com/envoy.extensions.filters.http.dynamic_forward_proxy.v3.FilterConfig",
                        "dns_cache_config": dns_cache(settings),
                    }),
                },
                router(),
            ],
            http_protocol_options: Some(Http1Options { accept_http_10: true }),
            upgrade_configs: vec![Upgrade { upgrade_type: "CONNECT", connect_config: None }],
        },
    )
}

/// Serves `/ready` and `/metrics` to kubelet and Prometheus, and nothing else.
fn status_listener(settings: &Settings) -> Listener {
    let get = |path, rewrite| Route {
        r#match: Match::Get { path, headers: [json!({"name": ":method", "string_match": {"exact": "GET"}})] },
        route: RouteAction { cluster: ADMIN_CLUSTER, timeout: None, upgrade_configs: vec![], prefix_rewrite: rewrite },
    };
    listener(
        "status",
        // One dual-stack socket, whatever family the Seed's Pods have.
        Address::SocketAddress { address: "::", port_value: settings.status_port, ipv4_compat: true },
        HttpConnectionManager {
            type_url: CONNECTION_MANAGER_TYPE,
            stat_prefix: "status",
            stream_idle_timeout: None,
            delayed_close_timeout: None,
            access_log: vec![],
            route_config: routes("status", vec![get("/ready", None), get("/metrics", Some("/stats/prometheus"))]),
            http_filters: vec![router()],
            http_protocol_options: None,
            upgrade_configs: vec![],
        },
    )
}

fn listener(name: &'static str, address: Address, typed_config: HttpConnectionManager) -> Listener {
    let filter = Extension { name: "envoy.filters.network.http_connection_manager", typed_config };
    Listener { name, address, filter_chains: [FilterChain { filters: [filter] }] }
}

fn routes(name: &'static str, routes: Vec<Route>) -> RouteConfiguration {
    RouteConfiguration { name, virtual_hosts: [VirtualHost { name, domains: ["*"], routes }] }
}

fn router() -> Extension<Value> {
    Extension {
        name: "envoy.filters.http.router",
        typed_config: json!({"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}),
    }
}

/// The cache is named in filter and cluster, and Envoy demands that both say the same.
fn dns_cache(settings: &Settings) -> Value {
    json!({
        "name": "egress",
        "dns_lookup_family": "ALL",
        "max_hosts": settings.max_hosts,
    })
}

/// Failed and slow connections only: a line for each would drown the API server's own log.
fn access_log(settings: &Settings) -> AccessLog {
    // Envoy demands a runtime key that may override the threshold; no runtime sets this one.
    let at_least =
        |value: u32| json!({"op": "GE", "value": {"default_value": value, "runtime_key": "network_guard.none"}});
    AccessLog {
        name: "envoy.access_loggers.stdout",
        filter: json!({"or_filter": {"filters": [
            {"status_code_filter": {"comparison": at_least(500)}},
            {"duration_filter": {"comparison": at_least(settings.slow_milliseconds)}},
        ]}}),
        typed_config: json!({
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog",
            "log_format": {"text_format_source": {"inline_string":
                "[%START_TIME%] %REQ(:METHOD)% %REQ(:AUTHORITY)% %PROTOCOL% %RESPONSE_CODE% %RESPONSE_FLAGS% \
                 %RESPONSE_CODE_DETAILS% to %UPSTREAM_HOST% %DURATION%ms rx %BYTES_RECEIVED% tx %BYTES_SENT%\n"
            }},
        }),
    }
}

fn forward_cluster(settings: &Settings) -> Cluster {
    let most = settings.max_connections;
    Cluster {
        name: FORWARD_CLUSTER,
        connect_timeout: Duration(settings.connect_timeout_seconds),
        circuit_breakers: Some(CircuitBreakers {
            // Each CONNECT is a request, and a pending one until it is connected: the other two limits must not be lower.
            thresholds: [Thresholds { max_connections: most, max_pending_requests: most, max_requests: most }],
        }),
        lb_policy: Some("CLUSTER_PROVIDED"),
        discovery: Discovery::Extension {
            cluster_type: Extension {
                name: "envoy.clusters.dynamic_forward_proxy",
                typed_config: json!({
                    "@type": "type.googleapis.com/envoy.extensions.clusters.dynamic_forward_proxy.v3.ClusterConfig",
                    "dns_cache_config": dns_cache(settings),
                }),
            },
        },
    }
}

fn admin_cluster() -> Cluster {
    Cluster {
        name: ADMIN_CLUSTER,
        connect_timeout: Duration(1),
        circuit_breakers: None,
        lb_policy: None,
        discovery: Discovery::Static {
            r#type: "STATIC",
            load_assignment: json!({
                "cluster_name": ADMIN_CLUSTER,
                "endpoints": [{"lb_endpoints": [{"endpoint": {"address": {"pipe": {"path": ADMIN_SOCKET_PATH}}}}]}],
            }),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_what_envoy_reads() {
        insta::assert_json_snapshot!(Bootstrap::new(&Settings::default()));
    }

    /// Hosts, connections and timeouts are at least those of the configuration that gardenlet itself writes.
    #[test]
    fn limits_are_at_least_gardenlets() {
        let theirs = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/gardener/ha-overlap/envoy.yaml");
        let theirs: Value = serde_saphyr::from_str(&std::fs::read_to_string(theirs).unwrap()).unwrap();
        let ours = serde_json::to_value(Bootstrap::new(&Settings::default())).unwrap();
        let seconds = |text: &Value| text.as_str().unwrap().trim_end_matches('s').parse::<f64>().unwrap();
        let cluster = |bootstrap: &Value| bootstrap["static_resources"]["clusters"][0].clone();
        let (ours, theirs) = (cluster(&ours), cluster(&theirs));
        assert!(seconds(&ours["connect_timeout"]) >= seconds(&theirs["connect_timeout"]));
        let connections = theirs["circuitBreakers"]["thresholds"][0]["maxConnections"].as_u64().unwrap();
        for limit in ["max_connections", "max_pending_requests", "max_requests"] {
            assert!(ours["circuit_breakers"]["thresholds"][0][limit].as_u64().unwrap() >= connections, "{limit}");
        }
        let cache = "/cluster_type/typed_config/dns_cache_config";
        let (ours, theirs) = (ours.pointer(cache).unwrap(), theirs.pointer(cache).unwrap());
        assert!(ours["max_hosts"].as_u64().unwrap() >= theirs["max_hosts"].as_u64().unwrap());
        assert_eq!(ours["dns_lookup_family"], theirs["dns_lookup_family"]);
    }
}

//! The digest by which the configurations of replicas can be compared.

use std::fmt::Write as _;
use std::time::Duration;

use aws_lc_rs::digest;
use serde_json::{Map, Value, json};

use super::{Configuration, SelfManaged};
use network_guard_controllers::overlay_switch::OverlaySettings;
use network_guard_controllers::registration::{Endpoint, FailurePolicy};
use network_guard_core::certificates::Lifetimes;
use network_guard_core::diagnostics::{Policy, Severity};
use network_guard_core::gardener::providers::VpcScope;
use network_guard_core::gardener::vpc::VpcNames;
use network_guard_core::overlay::{GardenSettings, HoldSettings, RouteTrackerSettings, SwitchSettings};
use network_guard_core::peering::{self, NodePrefixes};
use network_guard_core::vpn::nat::{self, Mode, ShootWebhook};
use network_guard_core::vpn::sidecar::{self, Sidecar};
use network_guard_core::webhooks::ShootSettings;
use network_guard_runtime::https::Limits;
use network_guard_runtime::stop::StopSettings;

/// The bytes of the digest that are shown: enough for a handful of configurations to differ.
const SHOWN: usize = 6;

impl Configuration {
    /// A short digest of the whole configuration, defaults included: two replicas of one release with the same digest
    /// decide alike. A configuration names files and contains no secret.
    pub fn digest(&self) -> String {
        let digest = digest::digest(&digest::SHA256, self.json().to_string().as_bytes());
        digest.as_ref()[..SHOWN].iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }

    /// The whole configuration, under names that are independent of the code. A new field does not compile until it is
    /// added here. `version` changes when a member gets another meaning.
    fn json(&self) -> Value {
        let Self { vpn, vpn_failure_policy, nat, overlay, shoots, certificates, limits, stop } = self;
        json!({
            "version": 1,
            "sidecar": of_sidecar(vpn),
            "sidecarFailurePolicy": vpn_failure_policy.map(FailurePolicy::name),
            "nat": of_nat(nat),
            "overlay": of_overlay(overlay),
            "shoots": of_shoots(shoots),
            "certificates": certificates.as_ref().map(of_certificates),
            "limits": of_limits(limits),
            "stop": of_stop(stop),
        })
    }
}

/// Configured times are whole seconds; those of tests are shorter.
fn milliseconds(duration: Duration) -> Value {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).into()
}

fn of_sidecar(settings: &sidecar::Settings) -> Value {
    let sidecar::Settings {
        sidecar,
        image,
        concurrency,
        cpu_request,
        memory_request,
        memory_limit,
        status_port,
        max_hosts,
        max_connections,
        connect_timeout_seconds,
        idle_timeout_seconds,
        slow_milliseconds,
    } = settings;
    json!({
        "where": match sidecar {
            Sidecar::WhereMissing => "whereMissing",
            Sidecar::Always => "always",
        },
        "image": image,
        "concurrency": concurrency,
        "cpuRequest": cpu_request,
        "memoryRequest": memory_request,
        "memoryLimit": memory_limit,
        "statusPort": status_port,
        "maxHosts": max_hosts,
        "maxConnections": max_connections,
        "connectTimeoutSeconds": connect_timeout_seconds,
        "idleTimeoutSeconds": idle_timeout_seconds,
        "slowMilliseconds": slow_milliseconds,
    })
}

fn of_nat(settings: &nat::Settings) -> Value {
    let nat::Settings { mode, shoot_webhook } = settings;
    let own = match mode {
        Mode::VpnClient => None,
        Mode::Own(own) => Some(own.json()),
    };
    let webhook = |ShootWebhook { url, ca_file }: &ShootWebhook| json!({"url": url, "caFile": ca_file});
    json!({"own": own, "shootWebhook": shoot_webhook.as_ref().map(webhook)})
}

fn of_overlay(settings: &OverlaySettings) -> Value {
    let OverlaySettings {
        switches:
            SwitchSettings { hold: HoldSettings { providers }, tracker: RouteTrackerSettings { window, not_ready } },
        poll,
        slow,
        guards_rollout,
        removes_calicos_condition,
        falls_back_to_admin,
        shoot_server,
        lease_namespace,
    } = settings;
    json!({
        "providers": providers,
        "windowSeconds": window.as_secs(),
        "notReadySeconds": not_ready.as_secs(),
        "pollMilliseconds": milliseconds(*poll),
        "warnAfterSeconds": slow.as_secs(),
        "guardRollout": guards_rollout,
        "removeCalicoCondition": removes_calicos_condition,
        "fallsBackToAdmin": falls_back_to_admin,
        "shootServer": shoot_server,
        "leaseNamespace": lease_namespace,
    })
}

fn of_shoots(settings: &ShootSettings) -> Value {
    let ShootSettings { peering, overlay: GardenSettings { route_limits, vpcs }, policy } = settings;
    let vpc = |(provider, names): (&str, &VpcNames)| {
        let VpcNames { paths, scope } = names;
        let scope = match scope {
            VpcScope::Landscape => "landscape",
            VpcScope::Project => "project",
        };
        (provider.to_owned(), json!({"paths": paths, "scope": scope}))
    };
    json!({
        "peering": of_peering(peering),
        "routeLimits": route_limits,
        "vpcs": vpcs.iter().map(vpc).collect::<Map<_, _>>(),
        "rules": of_policy(policy),
    })
}

fn of_peering(settings: &peering::Settings) -> Value {
    let peering::Settings { max_peers, default_node_networks, node_prefixes, is_private_stack } = settings;
    let lengths = |lengths: &NodePrefixes| json!({"shortest": lengths.shortest(), "longest": lengths.longest()});
    json!({
        "maxPeers": max_peers,
        "defaultNodeNetworks": default_node_networks.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "nodePrefixLengths": node_prefixes.as_ref().map(lengths),
        "privateStack": is_private_stack,
    })
}

fn of_policy(policy: &Policy) -> Value {
    let name = |choice: Option<Severity>| choice.map_or("off", Severity::name);
    policy.choices().map(|(rule, choice)| (rule.to_owned(), name(choice).into())).collect::<Map<_, _>>().into()
}

fn of_certificates(settings: &SelfManaged) -> Value {
    let SelfManaged {
        namespace,
        secret,
        names,
        lifetimes: Lifetimes { ca, leaf, margin },
        to,
        is_registered,
        disabled,
        owner,
    } = settings;
    let to = match to {
        Endpoint::Service { namespace, name, port } => json!({"namespace": namespace, "name": name, "port": port}),
        Endpoint::Url(url) => json!({"url": url}),
    };
    json!({
        "namespace": namespace,
        "secret": secret,
        "names": names,
        "caMilliseconds": milliseconds(*ca),
        "leafMilliseconds": milliseconds(*leaf),
        "marginMilliseconds": milliseconds(*margin),
        "endpoint": to,
        "registered": is_registered,
        "disabled": disabled,
        "owner": owner,
    })
}

fn of_limits(limits: &Limits) -> Value {
    let Limits {
        body_bytes,
        bodies_in_flight_bytes,
        body_wait,
        body_timeout,
        connections,
        handshakes,
        handshakes_per_address,
        handshake_timeout,
        header_timeout,
    } = limits;
    json!({
        "bodyBytes": body_bytes,
        "bodiesInFlightBytes": bodies_in_flight_bytes,
        "bodyWaitMilliseconds": milliseconds(*body_wait),
        "bodyTimeoutMilliseconds": milliseconds(*body_timeout),
        "connections": connections,
        "handshakes": handshakes,
        "handshakesPerAddress": handshakes_per_address,
        "handshakeTimeoutMilliseconds": milliseconds(*handshake_timeout),
        "headerTimeoutMilliseconds": milliseconds(*header_timeout),
    })
}

fn of_stop(stop: &StopSettings) -> Value {
    let StopSettings { propagation_delay, idle_timeout, drain_timeout } = stop;
    json!({
        "propagationDelayMilliseconds": milliseconds(*propagation_delay),
        "idleTimeoutMilliseconds": milliseconds(*idle_timeout),
        "drainTimeoutMilliseconds": milliseconds(*drain_timeout),
    })
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
        // The syntax does not matter.
        assert_eq!(of(""), default);
        assert_eq!(of("vpn: {envoy: {concurrency: 2, memoryRequest: 102400Ki}}"), default);
        for body in [
            "vpn: {sidecar: always}",
            "vpn: {envoy: {image: 'x:1'}}",
            "vpn: {envoy: {statusPort: 15001}}",
            "vpn: {failurePolicy: Ignore}",
            "vpn: {nat: {mode: own, image: 'x:1', shootWebhook: {url: 'https://x'}}}",
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

    /// The digest uses names of its own: renamed code does not change it.
    #[test]
    fn uses_stable_names() {
        insta::assert_json_snapshot!(Configuration::default().json());
    }
}

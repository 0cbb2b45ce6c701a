//! Whether Calico encapsulates, as its controller and chart would decide from a `NetworkConfig`.

use serde::Deserialize;

use super::field_error::{FieldError, typed};
use crate::json::Text;
use crate::net::Family;

/// The network type (`spec.networking.type`) whose encapsulation is known.
pub const CALICO: &str = "calico";

/// How Pods of different nodes reach each other.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Encapsulation {
    /// In a tunnel between the nodes: no route is needed.
    Overlay,
    /// Directly: every node's Pod network needs a route.
    Native,
}

/// `NetworkConfig` (`calico.networking.extensions.gardener.cloud/v1alpha1`), as far as encapsulation depends on it.
/// `apiVersion` and `kind` are missing in what providers write, so they are not required.
#[derive(Default, Deserialize)]
struct Config<'a> {
    #[serde(borrow)]
    backend: Option<Text<'a>>,
    #[serde(borrow)]
    ipv4: Option<Pool<'a>>,
    overlay: Option<Overlay>,
}

#[derive(Deserialize)]
struct Pool<'a> {
    #[serde(borrow)]
    mode: Option<Text<'a>>,
}

/// Not a pointer in Calico's type: `overlay: {}` is an overlay that is switched off.
#[derive(Deserialize)]
struct Overlay {
    #[serde(default)]
    enabled: Option<bool>,
}

/// The encapsulation that a `providerConfig` asks for, in a Shoot with these IP families.
///
/// As gardener-extension-networking-calico v1.60.0-dev decides (`pkg/controller/actuator_reconcile.go`, `Reconcile` and
/// `setPoolMode`; `pkg/charts/utils.go`, `mergeCalicoValuesWithConfig`): `overlay`, if set, overrides `backend` and the
/// modes of pools; otherwise IPv6 sets the backend `none`, and with IPv4 alone `backend` and `ipv4.mode` count.
///
/// With `enabled: true` and IPv6 it is an overlay that does not work: the IPv4 pool has `ipipMode: Always`, so no route
/// of the infrastructure is used, and Felix makes no IPIP tunnel (`FELIX_IPINIPENABLED`); only VXLAN has one. IPv6 is
/// never encapsulated. Such a switch is not held, as it needs no route; in the garden `overlay/on-with-ipv6` reports
/// it.
pub fn encapsulation(provider_config: Option<&str>, families: &[Family]) -> Result<Encapsulation, FieldError> {
    let config: Config<'_> = match provider_config {
        None => Config::default(),
        Some(text) => typed(text)?,
    };
    let is_native = match config.overlay {
        Some(overlay) => overlay.enabled != Some(true),
        None => {
            families.contains(&Family::V6)
                || config.backend.as_deref() == Some("none")
                // `CrossSubnet` encapsulates between some nodes, which makes it an overlay.
                || matches!(config.ipv4.and_then(|pool| pool.mode).as_deref(), Some("Never" | "Off"))
        }
    };
    Ok(if is_native { Encapsulation::Native } else { Encapsulation::Overlay })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_calicos_controller_and_chart() {
        use Encapsulation::{Native, Overlay};
        use Family::{V4, V6};
        for (config, families, want) in [
            (None, &[V4][..], Overlay),
            (None, &[V4, V6], Native),
            (None, &[V6], Native),
            (Some("{}"), &[V4], Overlay),
            (Some(r#"{"overlay":{}}"#), &[V4], Native),
            (Some(r#"{"overlay":{"enabled":false}}"#), &[V4], Native),
            (Some(r#"{"overlay":{"enabled":null}}"#), &[V4], Native),
            (Some(r#"{"overlay":{"enabled":true}}"#), &[V4], Overlay),
            (Some(r#"{"overlay":{"enabled":true}}"#), &[V4, V6], Overlay),
            (Some(r#"{"overlay":{"enabled":true},"vxlan":{"enabled":true}}"#), &[V4, V6], Overlay),
            (Some(r#"{"backend":"bird","ipv4":{"mode":"Always"}}"#), &[V4, V6], Native),
            (Some(r#"{"overlay":null}"#), &[V4, V6], Native),
            (Some(r#"{"overlay":null,"backend":"none"}"#), &[V4], Native),
            (Some(r#"{"overlay":{"enabled":true},"backend":"none"}"#), &[V4], Overlay),
            (Some(r#"{"backend":"bird"}"#), &[V4], Overlay),
            (Some(r#"{"ipv4":{"mode":"Never"}}"#), &[V4], Native),
            (Some(r#"{"ipv4":{"mode":"Off"}}"#), &[V4], Native),
            (Some(r#"{"ipv4":{"mode":"CrossSubnet"}}"#), &[V4], Overlay),
            (Some(r#"{"ipv4":{}}"#), &[V4], Overlay),
            (Some(r#"{"vxlan":{"enabled":true}}"#), &[V4], Overlay),
            (Some(r#"{"ipv6":{"mode":"Never"}}"#), &[V4], Overlay),
        ] {
            assert_eq!(encapsulation(config, families), Ok(want), "{config:?} {families:?}");
        }
    }

    #[test]
    fn says_what_cannot_be_read() {
        for (config, want) in [
            (r#"{"overlay":{"enabled":"no"}}"#, "overlay.enabled: invalid type: string \"no\""),
            (r#"{"overlay":5}"#, "overlay: invalid type"),
            (r#"{"backend":[]}"#, "backend: invalid type"),
            ("[]", ""),
            ("5", "invalid type"),
        ] {
            match encapsulation(Some(config), &[Family::V4]) {
                Err(error) => assert!(error.to_string().contains(want), "{config}: {error}"),
                Ok(_) => assert_eq!(config, "[]", "serde reads an empty list as a struct without fields"),
            }
        }
    }
}

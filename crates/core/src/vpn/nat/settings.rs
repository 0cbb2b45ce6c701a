//! Who translates, and with what.

use std::num::NonZeroU32;
use std::path::PathBuf;

use serde_json::{Value, json};

/// What operators may configure about the double NAT.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Settings {
    /// Who translates.
    pub mode: Mode,
    /// The webhook that Shoots call about their end of the tunnel; with `None` network-guard does not change that end.
    pub shoot_webhook: Option<ShootWebhook>,
}

/// Who translates.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Mode {
    /// vpn2 (from v0.40.0), by the variables of its containers, which network-guard keeps correct.
    #[default]
    VpnClient,
    /// network-guard's own containers.
    Own(Own),
}

/// The settings of network-guard's own containers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Own {
    /// Their image: `network-guard`, iptables and iproute2 have to be on its path.
    pub image: String,
    /// The interval in which a container checks the rules and restores them; `None` for no such container.
    pub keep_seconds: Option<NonZeroU32>,
    /// The CPU request of each, as the API server writes it.
    pub cpu_request: String,
    /// The memory request of each, as the API server writes it.
    pub memory_request: String,
}

impl Own {
    /// The usual containers of this image. The routes of an old vpn2 move when a link fails, so a container follows
    /// them.
    pub fn new(image: &str) -> Self {
        Self {
            image: image.to_owned(),
            keep_seconds: NonZeroU32::new(10),
            cpu_request: "10m".to_owned(),
            memory_request: "20Mi".to_owned(),
        }
    }

    /// All of it, under names that do not change with the code; the digest is made of this. Equal settings have equal
    /// JSON, different ones do not. `version` is raised when a member gets another meaning.
    pub fn json(&self) -> Value {
        let Self { image, keep_seconds, cpu_request, memory_request } = self;
        json!({
            "version": 1,
            "image": image,
            "keepSeconds": keep_seconds,
            "cpuRequest": cpu_request,
            "memoryRequest": memory_request,
        })
    }
}

/// How Shoots reach the webhook about their end of the tunnel.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ShootWebhook {
    /// Its URL, as Shoots reach it: `https`, without query or fragment.
    pub url: String,
    /// The CA of its certificate; `None` if every Shoot trusts that anyway.
    pub ca_file: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Its digest is stored, so the text must not change: another digest has the VPN of every Shoot written again.
    #[test]
    fn own_containers_have_one_text() {
        assert_eq!(
            Own::new("guard:1").json().to_string(),
            r#"{"cpuRequest":"10m","image":"guard:1","keepSeconds":10,"memoryRequest":"20Mi","version":1}"#
        );
        let without_agent = Own { keep_seconds: None, ..Own::new("guard:1") };
        assert_eq!(without_agent.json()["keepSeconds"], Value::Null);
    }
}

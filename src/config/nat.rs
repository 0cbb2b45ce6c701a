//! The section `vpn.nat` of the configuration: who does the double NAT of overlapping Shoots.

use std::num::NonZeroU32;
use std::path::PathBuf;

use serde::Deserialize;

use super::quantity::{canonical_cpu, canonical_memory};
use super::{ConfigError, bad, is_image};
use network_guard_core::vpn::nat::{Mode, Own, Settings, ShootWebhook};

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Nat {
    #[serde(default)]
    mode: Who,
    image: Option<String>,
    keep_seconds: Option<u32>,
    cpu_request: Option<String>,
    memory_request: Option<String>,
    shoot_webhook: Option<Webhook>,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
enum Who {
    #[default]
    VpnClient,
    Own,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Webhook {
    url: String,
    ca_file: Option<PathBuf>,
}

impl Nat {
    pub(super) fn settings(mut self) -> Result<Settings, ConfigError> {
        let shoot_webhook = self.shoot_webhook.take().map(Webhook::settings).transpose()?;
        let mode = match self.mode {
            Who::VpnClient => self.mode_vpn_client()?,
            Who::Own if shoot_webhook.is_none() => {
                let problem =
                    "is needed for `mode: own`: without it nobody translates at the Shoot's end of the tunnel";
                return Err(bad("vpn.nat.shootWebhook", "none".to_owned(), problem));
            }
            Who::Own => Mode::Own(self.own()?),
        };
        Ok(Settings { mode, shoot_webhook })
    }

    /// A setting without effect is a mistake, and is reported.
    fn mode_vpn_client(&self) -> Result<Mode, ConfigError> {
        let quoted = |text: &Option<String>| text.as_ref().map(|text| format!("{text:?}"));
        for (field, value) in [
            ("image", quoted(&self.image)),
            ("keepSeconds", self.keep_seconds.map(|seconds| seconds.to_string())),
            ("cpuRequest", quoted(&self.cpu_request)),
            ("memoryRequest", quoted(&self.memory_request)),
        ] {
            if let Some(value) = value {
                return Err(bad(&format!("vpn.nat.{field}"), value, "is for `mode: own` only"));
            }
        }
        Ok(Mode::VpnClient)
    }

    fn own(self) -> Result<Own, ConfigError> {
        let Some(image) = self.image else {
            let problem = "is needed for `mode: own`: an image with network-guard, iptables and iproute2";
            return Err(bad("vpn.nat.image", "none".to_owned(), problem));
        };
        if !is_image(&image) {
            return Err(bad("vpn.nat.image", format!("{image:?}"), "is not the name of an image"));
        }
        let default = Own::new(&image);
        let keep = self.keep_seconds.unwrap_or_else(|| default.keep_seconds.map_or(0, NonZeroU32::get));
        if keep > LONGEST_PAUSE {
            let problem = format!("must be from 0 to {LONGEST_PAUSE}");
            return Err(bad("vpn.nat.keepSeconds", keep.to_string(), &problem));
        }
        let cpu = |text: String| {
            let problem = "is not a whole number of CPUs such as `1`, or of thousandths such as `20m`";
            canonical_cpu(&text).ok_or_else(|| bad("vpn.nat.cpuRequest", text, problem))
        };
        let memory = |text: String| {
            let problem = "is not a whole number of Ki, Mi or Gi, such as `100Mi`";
            canonical_memory(&text).ok_or_else(|| bad("vpn.nat.memoryRequest", text, problem))
        };
        Ok(Own {
            keep_seconds: NonZeroU32::new(keep),
            cpu_request: self.cpu_request.map_or(Ok(default.cpu_request), cpu)?,
            memory_request: self.memory_request.map_or(Ok(default.memory_request), memory)?,
            image,
        })
    }
}

/// The longest pause that `network-guard nat apply --every` takes.
const LONGEST_PAUSE: u32 = 3_600;

/// Whether an API server accepts this as the beginning of a webhook's URL.
pub fn is_webhook_url(url: &str) -> bool {
    url.starts_with("https://")
        && !url.contains(['?', '#', '@'])
        && url.parse::<http::Uri>().is_ok_and(|uri| uri.host().is_some_and(|host| !host.is_empty()))
}

impl Webhook {
    fn settings(self) -> Result<ShootWebhook, ConfigError> {
        // What an API server accepts as the URL of a webhook: it refuses queries and user names.
        if !is_webhook_url(&self.url) {
            let problem = "is not an address such as `https://network-guard.example.org`";
            return Err(bad("vpn.nat.shootWebhook.url", format!("{:?}", self.url), problem));
        }
        Ok(ShootWebhook { url: self.url, ca_file: self.ca_file })
    }
}

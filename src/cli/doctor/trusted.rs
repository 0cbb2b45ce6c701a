//! Check `trusted`: the CAs that API servers trust, and the certificates that are served.

use std::time::Duration;

use jiff::Timestamp;

use super::super::served::{Served, served};
use super::registered::Found;
use super::report::Check;
use network_guard_controllers::certificates::pem;
use network_guard_controllers::registration::server_name;
use network_guard_core::certificates::Published;
use network_guard_core::diagnostics::counted;

/// The facts about certificates.
#[derive(Debug, Default)]
pub(super) struct Facts {
    /// One for each webhook that is registered.
    pub(super) published: Vec<Published>,
    /// The certificates that were shown.
    pub(super) served: Vec<Served>,
    /// The problems of these certificates, from the view of an API server.
    pub(super) distrusted: Vec<String>,
    /// Servers that showed no certificate, and why.
    pub(super) silent: Vec<String>,
}

/// Connects to the addresses that API servers call, or to the given ones.
pub(super) async fn look(found: &[Found], servers: &[String], now: Timestamp, patience: Duration) -> Facts {
    let mut facts = Facts::default();
    let (mut names, mut addresses) = (Vec::new(), Vec::new());
    for Found { original, there } in found {
        let Ok(mut there) = there.clone() else { continue };
        let (kind, _) = original.identity();
        for (webhook, client) in there.webhooks() {
            let bundle = client.ca_bundle.as_ref().map(|bundle| &*bundle.0).unwrap_or_default();
            let name = format!("{kind}/{webhook}");
            facts.published.push(Published { name, bundle: pem::readable(bundle), is_told: !bundle.is_empty() });
            names.push(server_name(client));
            addresses.extend(address(client).filter(|address| !addresses.contains(address)));
        }
    }
    let addresses = if servers.is_empty() { addresses } else { servers.to_vec() };
    for address in addresses {
        match served(&address, &facts.published, &names, now, patience).await {
            (Some(shown), problems) => {
                facts.served.push(shown);
                facts.distrusted.extend(problems);
            }
            (None, problems) => facts.silent.extend(problems),
        }
    }
    facts
}

/// The address that an API server connects to.
fn address(client: &k8s_openapi::api::admissionregistration::v1::WebhookClientConfig) -> Option<String> {
    match (&client.service, &client.url) {
        (Some(service), _) => {
            Some(format!("{}.{}.svc:{}", service.name, service.namespace, service.port.unwrap_or(443)))
        }
        (None, Some(url)) => {
            let uri: http::Uri = url.parse().ok()?;
            Some(format!("{}:{}", uri.host()?, uri.port_u16().unwrap_or(443)))
        }
        (None, None) => None,
    }
}

/// Reports whether calls are trusted, and until when.
pub(super) fn judge(facts: &Facts, is_answered: bool, is_self_managed: Option<bool>, now: Timestamp) -> Check {
    let mut check = Check::new("trusted");
    let renew = match is_self_managed {
        Some(true) => "the leader publishes its CA again: see `led`, and `network-guard certs inspect`",
        _ => {
            "put the CA of what is served into `tls.caBundle`, beside the old one, and `helm upgrade`; `network-guard certs inspect` \
              shows both"
        }
    };
    if facts.published.is_empty() {
        check.unknown(
            "nothing is registered, or it could not be read: the CAs that API servers trust are unknown",
            "see `registered`",
        );
    }
    let mut ends: Vec<Timestamp> = Vec::new();
    for Published { name, bundle, is_told } in &facts.published {
        match bundle.iter().filter(|ca| ca.is_valid_at(now)).map(|ca| ca.not_after).max() {
            Some(end) => ends.push(end),
            None if bundle.is_empty() && *is_told => {
                check.problem(format!("{name}: its caBundle cannot be read"), renew);
            }
            None if bundle.is_empty() => {}
            None => check.problem(format!("{name}: no CA of its caBundle is valid now"), renew),
        }
    }
    if let Some(end) = ends.iter().min() {
        check.fine(format!("API servers trust a CA that is valid until {end}"));
    }
    for Served { server, trusted_by, of, from, until } in &facts.served {
        let shown = format!(
            "{server} shows a certificate, trusted by {trusted_by} of {}, until {until}",
            counted(*of, "webhook")
        );
        // As the alert NetworkGuardCertificateExpires: three tenths of its lifetime; it is renewed at a third.
        let left = until.duration_since(now).as_secs();
        let life = until.duration_since(*from).as_secs();
        if left * 10 < life * 3 {
            check.problem(
                shown,
                match is_self_managed {
                    Some(true) => "it is due, and was not renewed: the log of that replica says why",
                    _ => "it is due: renew it; the server reads it from its Secret by itself",
                },
            );
        } else {
            check.fine(shown);
        }
    }
    for problem in &facts.distrusted {
        check.problem(problem.clone(), renew);
    }
    if facts.served.is_empty() && !facts.published.is_empty() {
        let why = facts.silent.join("; ");
        if is_answered {
            check.fine(format!("the API server trusted it in the dry run; its end is not seen from here ({why})"));
        } else {
            check.unknown(
                why,
                "run the doctor in a Pod of network-guard, or give --server HOST:PORT, such as that of `kubectl port-forward`",
            );
        }
    }
    check
}

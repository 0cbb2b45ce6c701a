//! The addresses of the registered webhooks: whether they lead to this installation, and each to its own path.

use k8s_openapi::api::admissionregistration::v1::WebhookClientConfig;

use super::Role;
use super::registered::{Expected, Found, again, word};
use super::report::Check;
use network_guard_controllers::registration::{host, path, set_endpoint};
use network_guard_core::gardener::is_dns_label;
use network_guard_core::json::excerpt;

/// The port of a Service that a registration without one calls; the default of Kubernetes.
const PORT: i32 = 443;

/// Namespace and name of the Service. In the garden a URL names it by convention: `https://NAME.NAMESPACE`.
pub(super) fn service(client: &WebhookClientConfig) -> Option<(String, String)> {
    if let Some(service) = &client.service {
        return Some((service.namespace.clone(), service.name.clone()));
    }
    let host = host(client.url.as_deref()?)?;
    match host.split('.').collect::<Vec<_>>()[..] {
        [name, namespace] | [name, namespace, "svc"] if is_dns_label(name) && is_dns_label(namespace) => {
            Some((namespace.to_owned(), name.to_owned()))
        }
        _ => None,
    }
}

/// The address and the path of a webhook, where `own` is the expected path.
fn called(client: &WebhookClientConfig, own: &str) -> (String, String) {
    match (&client.service, &client.url) {
        (Some(service), _) => {
            let whom = format!("the Service {}/{}:{}", service.namespace, service.name, service.port.unwrap_or(PORT));
            (whom, path(client))
        }
        // A proxy may have a prefix.
        (None, Some(url)) => match url.strip_suffix(own) {
            Some(whom) => (whom.trim_end_matches('/').to_owned(), own.to_owned()),
            None => {
                let path = path(client);
                (url.strip_suffix(&*path).unwrap_or(url).to_owned(), path)
            }
        },
        (None, None) => ("nobody".to_owned(), String::new()),
    }
}

/// Reports webhooks that lead elsewhere.
pub(super) fn judge(check: &mut Check, role: Role, found: &[Found], expected: &Expected) {
    let displaced = || {
        format!(
            "either another installation has these names: see Two installations in docs/operations/security.md, and uninstall one; or \
             somebody registered by hand: {}",
            again(role, expected)
        )
    };
    let mut first: Option<(String, String)> = None;
    for Found { original, there } in found {
        let Ok(mut there) = there.clone() else { continue };
        let (mut original, there) = (original.clone(), there.webhooks());
        for (name, wanted) in original.webhooks() {
            let Some((_, client)) = there.iter().find(|(other, _)| *other == name) else { continue };
            let (word, own) = (word(name), path(wanted));
            let (whom, at) = called(client, &own);
            let said = excerpt(&whom);
            if at != own {
                check.problem(
                    format!("{word} calls the path {:?}, and should call {own}", excerpt(&at)),
                    again(role, expected),
                );
            }
            let this = if let Some(to) = &expected.to {
                set_endpoint(wanted, Some(to), None);
                let (this, _) = called(wanted, &own);
                (this != whom).then_some(this)
            } else {
                // A URL means a Service only if it has the name of network-guard.
                let of_ours = service(client).filter(|(_, name)| client.service.is_some() || name == role.component());
                let namespace = expected.namespace.as_ref().filter(|ours| of_ours.is_some_and(|(it, _)| it != **ours));
                namespace.map(|namespace| format!("in {namespace}"))
            };
            match (this, &first) {
                (Some(this), _) => {
                    check.problem(format!("{word} calls {said}, and this installation is {this}"), displaced());
                }
                (None, Some((other, them))) if *them != whom => {
                    check.problem(format!("{word} calls {said}, and {other} calls {}", excerpt(them)), displaced());
                }
                _ => {}
            }
            first.get_or_insert((word, whom));
        }
    }
}

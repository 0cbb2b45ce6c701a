//! The name of a Shoot in the garden.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

/// Namespace and name of a Shoot, such as `garden-shop/orders`. One allocation, and a clone shares it: the landscape
/// holds some for every Shoot. The default is empty and comes before all others.
#[derive(Clone, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ShootName(Arc<str>);

impl ShootName {
    /// The Shoot of this name in this namespace.
    pub fn new(namespace: &str, name: &str) -> Self {
        Self(format!("{namespace}/{name}").into())
    }

    /// The namespace of the project.
    pub fn namespace(&self) -> &str {
        self.0.split_once('/').map_or("", |(namespace, _)| namespace)
    }

    /// The name in the namespace.
    pub fn name(&self) -> &str {
        self.0.split_once('/').map_or("", |(_, name)| name)
    }
}

impl Borrow<str> for ShootName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ShootName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ShootName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

/// The longest name of an object that Kubernetes knows, in bytes: a DNS subdomain (RFC 1123;
/// `DNS1123SubdomainMaxLength` of `k8s.io/apimachinery/pkg/util/validation`).
pub const LONGEST_NAME: usize = 253;

/// The longest name of a pool, in bytes: it is the value of a label (`LabelValueMaxLength` of `k8s.io/apimachinery`).
pub(super) const LONGEST_POOL: usize = 63;

/// Whether this is a DNS label (RFC 1123): what Kubernetes demands of namespaces and Gardener of Shoots.
pub fn is_dns_label(name: &str) -> bool {
    name.len() <= 63 && !name.contains('.') && is_dns_subdomain(name)
}

/// Whether this is a DNS subdomain (RFC 1123): what Kubernetes demands of most names.
pub fn is_dns_subdomain(name: &str) -> bool {
    let is_inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    name.len() <= LONGEST_NAME
        && name.split('.').all(|label| {
            !label.is_empty() && label.bytes().all(is_inner) && !label.starts_with('-') && !label.ends_with('-')
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_both_parts() {
        let name = ShootName::new("garden-shop", "orders");
        assert_eq!(
            (name.namespace(), name.name(), &*name.to_string()),
            ("garden-shop", "orders", "garden-shop/orders")
        );
    }

    #[test]
    fn knows_dns_names() {
        for (name, label, subdomain) in [
            ("orders", true, true),
            ("a-1", true, true),
            ("eu1.a", false, true),
            ("", false, false),
            ("-a", false, false),
            ("a-", false, false),
            ("A", false, false),
            ("a/b", false, false),
            ("a..b", false, false),
            ("ä", false, false),
            (&"a".repeat(63), true, true),
            (&"a".repeat(64), false, true),
            (&"a".repeat(254), false, false),
        ] {
            assert_eq!((is_dns_label(name), is_dns_subdomain(name)), (label, subdomain), "{name:?}");
        }
    }
}

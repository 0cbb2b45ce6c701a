//! What a Shoot asks for in Calico's configuration, as far as its overlay depends on it.

use serde_json::Value;

use super::subset::{IPV6, LONGEST_CONFIG, Subset, too_long};
use crate::gardener::{Encapsulation, FieldError, SwitchFacts, encapsulation};
use crate::net::Family;

/// The desired configuration: of a Network that is written, or of the Shoot, which may be newer than the Network.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Desired {
    /// The members of the configuration that count.
    pub subset: Subset,
    /// All IP families, including one that does not count yet.
    pub families: Box<[Family]>,
    /// The encapsulation once all families count.
    pub encapsulation: Encapsulation,
    /// The section `ipv6` as a whole: it is held back with the family, because Calico's chart fails over one without the other.
    pub ipv6: Option<Value>,
    /// Whether the families end the overlay, because the configuration does not set `overlay`.
    pub is_by_families: bool,
}

impl Desired {
    /// Reads a `providerConfig` with these families; an overlong one is not read.
    pub fn of(text: Option<&str>, families: &[Family]) -> Result<Self, FieldError> {
        let length = text.map_or(0, str::len);
        if length > LONGEST_CONFIG {
            return Err(too_long(length));
        }
        let config: Option<Value> = text.and_then(|text| serde_json::from_str(text).ok());
        Self::read(text, config.as_ref(), families)
    }

    /// The same where the text has been parsed already.
    pub(super) fn read(text: Option<&str>, config: Option<&Value>, families: &[Family]) -> Result<Self, FieldError> {
        let means = encapsulation(text, families)?;
        let is_by_families = means == Encapsulation::Native
            && families.contains(&Family::V6)
            && encapsulation(text, &[Family::V4])? == Encapsulation::Overlay;
        let ipv6 = config.and_then(|config| config.get(IPV6)).filter(|section| !section.is_null()).cloned();
        Ok(Self { subset: Subset::of(config), families: families.into(), encapsulation: means, ipv6, is_by_families })
    }

    /// The digest by which approvals and force refer to exactly this configuration. The families are part of it where
    /// they end the overlay: then the same configuration means something else without them.
    pub fn digest(&self) -> String {
        if self.is_by_families { self.subset.digest_with(&self.families) } else { self.subset.digest() }
    }

    /// Whether a digest refers to this. Switches that an older version held have digests without families. A digest
    /// that fits is of the same families nevertheless: with IPv4 alone the configuration means an overlay, and nothing
    /// was held.
    pub fn is_named(&self, digest: &str) -> bool {
        digest == self.digest() || digest == self.subset.digest()
    }
}

/// The desired configuration of a Shoot; `None` when it cannot be read.
pub fn desired(shoot: &SwitchFacts) -> Option<Desired> {
    Desired::of(shoot.config.as_deref(), &shoot.families).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use Family::{V4, V6};

    #[test]
    fn families_are_named_where_they_end_the_overlay() {
        let of = |text, families: &[Family]| Desired::of(text, families).unwrap();
        let off = Some(r#"{"overlay":{"enabled":false}}"#);
        // The digest of a configuration that sets `overlay` does not depend on the families.
        assert!(!of(off, &[V4, V6]).is_by_families);
        assert_eq!(of(off, &[V4]).digest(), of(off, &[V4, V6]).digest());
        assert_eq!(of(off, &[V4]).digest(), of(off, &[V4]).subset.digest());
        for text in [None, Some("{}"), Some(r#"{"backend":"bird","typha":{"enabled":true}}"#)] {
            let desired = of(text, &[V4, V6]);
            assert!(desired.is_by_families && desired.encapsulation == Encapsulation::Native, "{text:?}");
            assert!(desired.is_named(&desired.digest()) && desired.digest() != desired.subset.digest(), "{text:?}");
            assert_eq!(desired.digest().len(), 64);
            // Switches that an earlier release held, approved or forced are recognized.
            assert!(desired.is_named(&desired.subset.digest()), "{text:?}");
            assert!(!desired.is_named(&of(off, &[V4, V6]).digest()), "{text:?}");
        }
        let on = of(Some(r#"{"overlay":{"enabled":true}}"#), &[V4, V6]);
        assert!(!on.is_by_families && on.encapsulation == Encapsulation::Overlay);
        assert!(Desired::of(Some(r#"{"overlay":5}"#), &[V4]).is_err());
        // Parsed, it would take a hundred times as much memory.
        let padded = |length: usize| format!(r#"{{"overlay":{{}}{}}}"#, " ".repeat(length - r#"{"overlay":{}}"#.len()));
        assert!(Desired::of(Some(&padded(LONGEST_CONFIG)), &[V4]).is_ok());
        assert!(Desired::of(Some(&padded(LONGEST_CONFIG + 1)), &[V4]).is_err());
    }
}

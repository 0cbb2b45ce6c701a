//! The networks of the infrastructure (VPCs) that several Shoots may be in. Without an overlay they share its routes.
//!
//! The field that names the VPC depends on the provider. [`Vpcs`] has the fields, [`VpcKey`] is the value that was
//! found, and [`Vpc`] is what is kept of a Shoot: the raw text until the value is needed.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::providers::{PROVIDERS, VpcField, VpcScope};
use super::{Provider, Shoot};

/// A VPC in which Shoots meet. Two Shoots with the same key are in the same VPC.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct VpcKey(Arc<str>);

impl VpcKey {
    /// The name or id of the VPC, as the Shoot has it.
    pub fn id(&self) -> &str {
        self.0.splitn(PARTS, SEPARATOR).last().unwrap_or_default()
    }
}

/// Between the parts of a key; none but the last part, which is the id, can contain it.
const SEPARATOR: char = '\n';

/// Provider, path, namespace and id.
const PARTS: usize = 4;

/// The longest id that counts: far longer than any provider's, and short enough that no Shoot can use up memory by it.
const LONGEST_ID: usize = 256;

/// The longest `infrastructureConfig` that is searched, in bytes: several times that of a Shoot in many zones.
const LONGEST_CONFIG: usize = 16 * 1024;

/// What is kept of a Shoot's VPC.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Vpc {
    /// It is in no VPC that other Shoots could name, or has no routes there.
    #[default]
    Absent,
    /// The raw text, not searched yet.
    Written(Box<Infrastructure>),
    /// The VPC that was found.
    Named(VpcKey),
}

/// `spec.provider` of a Shoot, as far as a VPC is named there.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Infrastructure {
    /// `type`.
    provider: Box<str>,
    /// The text of `infrastructureConfig`.
    config: Box<str>,
}

impl Vpc {
    /// The VPC of a Shoot that may have routes there, as raw text. `stored` as for [`Shoot::pods`].
    pub fn of(shoot: &Shoot<'_>, stored: Option<&Shoot<'_>>) -> Self {
        match shoot.infrastructure_config {
            Some(config) if config.len() <= LONGEST_CONFIG && shoot.may_have_routes(stored) => {
                Self::Written(Box::new(Infrastructure {
                    provider: (*shoot.provider_type).into(),
                    config: config.into(),
                }))
            }
            _ => Self::Absent,
        }
    }
}

/// Where the providers' `infrastructureConfig` names a VPC, by provider type.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Vpcs(BTreeMap<String, VpcNames>);

/// Where one provider's `infrastructureConfig` names a VPC.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct VpcNames {
    /// Fields, such as `networks.vpc.id`; the first that is present counts.
    pub paths: Vec<String>,
    /// Among which Shoots a name means the same VPC.
    pub scope: VpcScope,
}

impl Default for Vpcs {
    /// The defaults of the table of providers. Azure is missing because each Shoot has its own route table there.
    fn default() -> Self {
        let known = PROVIDERS.iter().filter_map(|provider| Some((provider.name, provider.vpc?)));
        let names = |field: VpcField| VpcNames { paths: vec![field.path.to_owned()], scope: field.scope };
        Self(known.map(|(provider, field)| (provider.to_owned(), names(field))).collect())
    }
}

impl Vpcs {
    /// Sets the fields of one provider, in place of the former ones.
    pub fn set(&mut self, provider: String, names: VpcNames) {
        self.0.insert(provider, names);
    }

    /// The fields of each provider.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &VpcNames)> {
        self.0.iter().map(|(provider, names)| (&**provider, names))
    }

    /// The VPC of a Shoot in this namespace.
    pub fn key(&self, namespace: &str, vpc: &Vpc) -> Option<VpcKey> {
        let Infrastructure { provider, config } = match vpc {
            Vpc::Absent => return None,
            Vpc::Named(key) => return Some(key.clone()),
            Vpc::Written(infrastructure) => &**infrastructure,
        };
        let names = self.0.get(&**provider)?;
        let config: serde_json::Value = serde_json::from_str(config).ok()?;
        let member = |path: &str| path.split('.').try_fold(&config, |value, member| value.get(member));
        let own_table = Provider::of(provider).and_then(|provider| provider.vpc?.own_table);
        if own_table.and_then(member).and_then(serde_json::Value::as_bool) == Some(true) {
            return None;
        }
        let found = |path: &String| {
            let value = member(path)?.as_str()?;
            (!value.is_empty() && value.len() <= LONGEST_ID).then(|| (path.clone(), value.to_owned()))
        };
        let (path, id) = names.paths.iter().find_map(found)?;
        let namespace = match names.scope {
            VpcScope::Landscape => "",
            VpcScope::Project => namespace,
        };
        Some(VpcKey([provider, &*path, namespace, &*id].join(&SEPARATOR.to_string()).into()))
    }

    /// The same in the form that is kept, after the search.
    pub fn named(&self, namespace: &str, vpc: &Vpc) -> Vpc {
        self.key(namespace, vpc).map_or(Vpc::Absent, Vpc::Named)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn vpc(provider: &str, config: &Value) -> Vpc {
        Vpc::Written(Box::new(Infrastructure { provider: provider.into(), config: config.to_string().into() }))
    }

    fn key(vpcs: &Vpcs, namespace: &str, provider: &str, config: &Value) -> Option<VpcKey> {
        vpcs.key(namespace, &vpc(provider, config))
    }

    #[test]
    fn ids_are_found_where_providers_have_them() {
        for (provider, config, want) in [
            ("aws", json!({"networks": {"vpc": {"id": "vpc-1"}}}), Some("vpc-1")),
            ("aws", json!({"networks": {"vpc": {"cidr": "10.0.0.0/16"}}}), None),
            ("aws", json!({"networks": {"vpc": {"id": ""}}}), None),
            ("aws", json!({"networks": {"vpc": {"id": 5}}}), None),
            ("aws", json!({"networks": {"vpc": {"id": "x".repeat(257)}}}), None),
            ("aws", json!({"networks": null}), None),
            ("aws", json!([]), None),
            ("alicloud", json!({"networks": {"vpc": {"id": "vpc-2"}}}), Some("vpc-2")),
            ("alicloud", json!({"networks": {"vpc": {"id": "vpc-2", "useCustomRouteTable": false}}}), Some("vpc-2")),
            ("alicloud", json!({"networks": {"vpc": {"id": "vpc-2", "useCustomRouteTable": true}}}), None),
            ("aws", json!({"networks": {"vpc": {"id": "vpc-2", "useCustomRouteTable": true}}}), Some("vpc-2")),
            ("gcp", json!({"networks": {"vpc": {"name": "shared", "cloudRouter": {"name": "x"}}}}), Some("shared")),
            ("openstack", json!({"networks": {"id": "n", "router": {"id": "r-1"}}}), Some("r-1")),
            ("openstack", json!({"networks": {"id": "n"}}), None),
            ("onmetal", json!({"networks": {"vpc": {"id": "vpc-1"}}}), None),
        ] {
            let found = key(&Vpcs::default(), "garden-shop", provider, &config);
            assert_eq!(found.as_ref().map(VpcKey::id), want, "{provider} {config}");
        }
        assert_eq!(Vpcs::default().key("garden-shop", &Vpc::Absent), None);
    }

    #[test]
    fn the_same_name_is_not_always_the_same_vpc() {
        let mut vpcs = Vpcs::default();
        vpcs.set(
            "cloud".to_owned(),
            VpcNames { paths: vec!["vpc.uuid".to_owned(), "vpc.name".to_owned()], scope: VpcScope::Project },
        );
        let id = json!({"networks": {"vpc": {"id": "x"}}});
        let name = json!({"networks": {"vpc": {"name": "x"}}});
        let router = json!({"networks": {"router": {"id": "x"}}});
        let key = |namespace, provider, config| key(&vpcs, namespace, provider, config).unwrap();
        assert_eq!(key("a", "aws", &id), key("b", "aws", &id), "an id is the same everywhere");
        assert_ne!(key("a", "gcp", &name), key("b", "gcp", &name), "a name is not");
        assert_eq!(key("a", "gcp", &name), key("a", "gcp", &name));
        assert_ne!(key("a", "aws", &id), key("a", "openstack", &router), "providers have nothing in common");
        let (uuid, called) = (json!({"vpc": {"uuid": "x"}}), json!({"vpc": {"name": "x"}}));
        assert_ne!(key("a", "cloud", &uuid), key("a", "cloud", &called), "nor have two fields");
        assert_eq!(key("a", "cloud", &json!({"vpc": {"uuid": "x\ny", "name": "z"}})).id(), "x\ny");
    }
}

//! The raw text of those parts of a Deployment that are compared with what they should be.

use serde::Deserialize;
use serde_json::value::RawValue;

/// The raw text of containers and volumes, in the order of the view. Read only when parts of network-guard are present
/// and have to be compared with what they should be.
#[derive(Debug)]
pub struct RawPieces<'a> {
    /// `spec.template.spec.containers`.
    pub containers: Vec<&'a RawValue>,
    /// `spec.template.spec.initContainers`.
    pub init_containers: Vec<&'a RawValue>,
    /// `spec.template.spec.volumes`.
    pub volumes: Vec<&'a RawValue>,
}

impl<'a> RawPieces<'a> {
    /// Reads a Deployment's JSON text.
    pub fn read(deployment: &'a str) -> Result<Self, serde_json::Error> {
        #[derive(Deserialize)]
        struct Outer<'a> {
            #[serde(borrow)]
            spec: OuterSpec<'a>,
        }
        #[derive(Deserialize)]
        struct OuterSpec<'a> {
            #[serde(borrow)]
            template: OuterTemplate<'a>,
        }
        #[derive(Deserialize)]
        struct OuterTemplate<'a> {
            #[serde(borrow)]
            spec: Inner<'a>,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Inner<'a> {
            #[serde(borrow)]
            containers: Vec<&'a RawValue>,
            #[serde(borrow)]
            init_containers: Option<Vec<&'a RawValue>>,
            #[serde(borrow)]
            volumes: Option<Vec<&'a RawValue>>,
        }

        let Outer { spec: OuterSpec { template: OuterTemplate { spec } } } = serde_json::from_str(deployment)?;
        Ok(Self {
            containers: spec.containers,
            init_containers: spec.init_containers.unwrap_or_default(),
            volumes: spec.volumes.unwrap_or_default(),
        })
    }
}

//! `/webhooks/advise/shoot`: warns when a Shoot with peers is deleted or moved. It refuses nothing.

use super::{ADVISE_SHOOT_PATH, SHOOTS, ShootSettings, read};
use crate::admission::{Handler, Operation, Request, Resource, Stop, Verdict};
use crate::diagnostics::{Finding, Policy};
use crate::gardener::FieldError;
use crate::landscape::View;
use crate::peering;

/// The webhook.
#[derive(Debug, Default)]
pub struct AdviseShoot {
    policy: Policy,
}

impl AdviseShoot {
    /// With these settings.
    pub fn new(settings: &ShootSettings) -> Self {
        Self { policy: settings.policy.clone() }
    }
}

fn find(request: &Request<'_>, view: &mut View<'_>) -> Result<Vec<Finding>, FieldError> {
    let old = request.old_object.map(|text| read(request, text, "request.oldObject"));
    match (request.operation, &*request.sub_resource) {
        (Operation::Delete, "") => Ok(old.transpose()?.map(|shoot| peering::deleted(&shoot, view)).unwrap_or_default()),
        (Operation::Update | Operation::Create, "binding") => {
            let new = request.object.map(|text| read(request, text, "request.object")).transpose()?;
            Ok(old.transpose()?.zip(new).map(|(old, new)| peering::moved(&old, &new, view)).unwrap_or_default())
        }
        _ => Ok(Vec::new()),
    }
}

impl Handler for AdviseShoot {
    fn name(&self) -> &'static str {
        "advise-shoot"
    }

    fn path(&self) -> &'static str {
        ADVISE_SHOOT_PATH
    }

    fn resource(&self) -> Resource {
        SHOOTS
    }

    fn review(&self, request: &Request<'_>, view: &mut View<'_>) -> Result<Verdict, Stop> {
        // Whatever cannot be read is deleted or moved all the same.
        let Ok(findings) = find(request, view) else { return Ok(Verdict::allow("unreadable")) };
        view.settle()?;
        Ok(Verdict { findings: self.policy.apply(findings), ..Verdict::allow("advised") })
    }
}

//! Real servers for the tests.

// First, for its macro.
#[macro_use]
mod basics;

mod api;
mod balancer;
mod caller;
mod control_plane;
mod faults;
mod garden;
mod guard;
mod helm;
mod overlay;
mod ports;
mod process;
mod replica;
mod saved;
mod scene;

pub use api::{Api, Patch};
pub use balancer::Balancer;
pub use basics::{eventually, fixture, tool, until};
pub use caller::{Caller, CallerReport};
pub use control_plane::{ControlPlane, Kubectl, Output, run, seed_rights};
pub use faults::{Fault, Faults};
pub use garden::{Garden, bind, manifests};
pub use guard::{Guard, Scraped, http_get, scrape, scrape_as};
pub use helm::{Chart, charts, documents, only};
pub use overlay::{PREFIX, RouteController, Service, Shoot, Switch};
pub use ports::free_port;
pub use process::Process;
pub use replica::{Decision, Replica, review, truth};
use saved::Saved;
pub use scene::Scene;

//! The Envoy sidecar through which a kube-apiserver reaches into its Shoot.
//!
//! [`Injection`] is everything that may be added to a Deployment, built once at start-up; [`mutate`] brings a
//! Deployment into the desired state.

mod container;
mod egress;
mod envoy;
mod gardenlet;
mod inject;
mod injection;
mod mutate;
mod names;
mod pieces;
mod proxy;
mod remove;
mod settings;
mod taken;

pub use injection::Injection;
pub use mutate::mutate;
pub use names::{
    EGRESS_SELECTOR_ANNOTATION, ENVOY_CONFIG_ANNOTATION, ENVOY_CONTAINER, ENVOY_GROUP_ID, OVERLAPS_ANNOTATION,
    SOCKET_PATH,
};
pub use pieces::pieces;
pub use proxy::{Proxy, is_made_by};
pub use settings::{Settings, Sidecar};

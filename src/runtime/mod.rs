//! What runs underneath: it knows Kubernetes, and nothing of our domain.

pub mod lease;

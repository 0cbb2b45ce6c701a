//! Why a switch may pass, or passed.

/// Why a switch may pass.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reason {
    /// Every node has its route.
    Routes,
    /// There are no nodes, and no Pods to cut off: the Shoot sleeps.
    Hibernated,
    /// Somebody forced it.
    Forced,
    /// Nobody reports routes on this infrastructure; it is not among those that are configured.
    NotListed,
}

impl Reason {
    /// The one of this name.
    pub fn of(name: &str) -> Option<Self> {
        [Self::Routes, Self::Hibernated, Self::Forced, Self::NotListed].into_iter().find(|reason| reason.name() == name)
    }

    /// The word used in metrics and events.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Routes => "routes",
            Self::Hibernated => "hibernated",
            Self::Forced => "forced",
            Self::NotListed => "not-listed",
        }
    }

    /// What is said of a switch that may pass for this reason, as long as it does not.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Routes => "",
            Self::Hibernated => "the Shoot sleeps",
            Self::Forced => "forced",
            Self::NotListed => "nobody reports routes on this infrastructure",
        }
    }
}

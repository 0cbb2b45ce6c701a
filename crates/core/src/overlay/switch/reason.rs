//! Why a switch may pass, or passed.

/// Why a switch may pass.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reason {
    /// Every node has its route.
    Routes,
    /// The Shoot is hibernated: there are no nodes, and no Pods to cut off.
    Hibernated,
    /// It was forced.
    Forced,
    /// No route controller reports routes on this infrastructure: it is not among the configured ones.
    NotListed,
}

impl Reason {
    /// The reason of this name.
    pub fn of(name: &str) -> Option<Self> {
        [Self::Routes, Self::Hibernated, Self::Forced, Self::NotListed].into_iter().find(|reason| reason.name() == name)
    }

    /// The name in metrics and events.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Routes => "routes",
            Self::Hibernated => "hibernated",
            Self::Forced => "forced",
            Self::NotListed => "not-listed",
        }
    }

    /// The message about a switch that may pass for this reason and has not passed yet.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Routes => "",
            Self::Hibernated => "the Shoot is hibernated",
            Self::Forced => "forced",
            Self::NotListed => "no route controller reports routes on this infrastructure",
        }
    }
}

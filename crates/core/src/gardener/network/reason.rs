//! Why a switch may pass, or passed.

use std::str::FromStr;

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
    const ALL: [Self; 4] = [Self::Routes, Self::Hibernated, Self::Forced, Self::NotListed];

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

impl FromStr for Reason {
    type Err = ();

    /// Reads a stored status: it has the message while the switch may pass, and the name once it has passed.
    fn from_str(text: &str) -> Result<Self, ()> {
        let is_said = |reason: &Self| text == reason.name() || (text == reason.words() && !text.is_empty());
        Self::ALL.into_iter().find(is_said).ok_or(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever a status says of a reason, it is that reason; and what it says of another matter is none.
    #[test]
    fn a_stored_text_is_its_reason() {
        for reason in Reason::ALL {
            assert_eq!(reason.name().parse(), Ok(reason));
            assert_eq!(reason.words().parse(), if reason == Reason::Routes { Err(()) } else { Ok(reason) });
        }
        for text in ["", "the Shoot is being hibernated or woken up", "Forced", "no"] {
            assert_eq!(text.parse::<Reason>(), Err(()), "{text}");
        }
    }
}

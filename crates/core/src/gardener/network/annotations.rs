//! The annotations of a Network.

use std::fmt;
use std::ops::Deref;
use std::str::FromStr;

use jiff::Timestamp;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};

use super::{
    OPERATION, SWITCH_ANNOTATIONS, SWITCH_APPROVED, SWITCH_MESSAGE, SWITCH_PASSED, SWITCH_REQUESTED, SWITCH_SINCE,
    SWITCH_STATE, TIMESTAMP,
};
use crate::json::{Text, Written};

/// The annotations that are read.
#[derive(Default)]
pub(super) struct Annotations<'a> {
    pub(super) operation: Option<Operation>,
    pub(super) timestamp: Option<Written<Text<'a>, Timestamp>>,
    pub(super) switch: SwitchAnnotations<Text<'a>>,
    pub(super) passed: Option<Text<'a>>,
}

/// What gardenlet requests from the extension.
#[derive(Clone, Copy, Debug, Eq, PartialEq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Operation {
    /// To make of the object what it says.
    Reconcile,
    /// The same, where the control plane arrives on another Seed.
    Restore,
    /// To leave the Seed.
    Migrate,
    /// To wait until the state is there that is restored.
    WaitForState,
    /// Something else.
    #[serde(other)]
    Other,
}

/// The state of a held switch.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SwitchState {
    /// Held, until every node has its route.
    Pending,
    /// Every node has its route; the next write of the requested configuration passes.
    Approved,
    /// An operator decided that it passes now.
    Forced,
}

/// The annotations of a held switch.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SwitchAnnotations<S> {
    /// [`SWITCH_STATE`].
    pub state: Option<Written<S, SwitchState>>,
    /// [`SWITCH_SINCE`].
    pub since: Option<Written<S, Timestamp>>,
    /// [`SWITCH_REQUESTED`].
    pub requested: Option<S>,
    /// [`SWITCH_MESSAGE`].
    pub message: Option<S>,
    /// [`SWITCH_APPROVED`].
    pub approved: Option<Written<S, Timestamp>>,
}

impl SwitchState {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Pending, Self::Approved, Self::Forced];

    /// The word in the annotation, and in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Forced => "forced",
        }
    }
}

impl FromStr for SwitchState {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|state| state.name() == word).ok_or(())
    }
}

impl<S: Deref<Target = str> + PartialEq + Default> SwitchAnnotations<S> {
    /// Whether there is none of them.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether it is in this state.
    pub fn is(&self, state: SwitchState) -> bool {
        self.state.as_ref().and_then(Written::value) == Some(state)
    }

    /// Each with its key, in the order of [`SWITCH_ANNOTATIONS`].
    pub fn pairs(&self) -> [(&'static str, Option<&str>); 5] {
        let Self { state, since, requested, message, approved } = self;
        let [state_key, since_key, requested_key, message_key, approved_key] = SWITCH_ANNOTATIONS;
        [
            (state_key, state.as_deref()),
            (since_key, since.as_deref()),
            (requested_key, requested.as_deref()),
            (message_key, message.as_deref()),
            (approved_key, approved.as_deref()),
        ]
    }
}

impl From<SwitchAnnotations<Text<'_>>> for SwitchAnnotations<Box<str>> {
    fn from(read: SwitchAnnotations<Text<'_>>) -> Self {
        let own = |text: Text<'_>| Box::from(&*text);
        Self {
            state: read.state.map(|state| state.map(own)),
            since: read.since.map(|since| since.map(own)),
            requested: read.requested.map(own),
            message: read.message.map(own),
            approved: read.approved.map(|approved| approved.map(own)),
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Annotations<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnnotationsVisitor;

        impl<'de> Visitor<'de> for AnnotationsVisitor {
            type Value = Annotations<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("annotations")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut found = Annotations::default();
                while let Some(key) = map.next_key::<Text<'_>>()? {
                    match &*key {
                        OPERATION => found.operation = map.next_value()?,
                        TIMESTAMP => found.timestamp = map.next_value()?,
                        SWITCH_STATE => found.switch.state = map.next_value()?,
                        SWITCH_SINCE => found.switch.since = map.next_value()?,
                        SWITCH_REQUESTED => found.switch.requested = map.next_value()?,
                        SWITCH_MESSAGE => found.switch.message = map.next_value()?,
                        SWITCH_APPROVED => found.switch.approved = map.next_value()?,
                        SWITCH_PASSED => found.passed = map.next_value()?,
                        _ => drop(map.next_value::<IgnoredAny>()?),
                    }
                }
                Ok(found)
            }
        }

        deserializer.deserialize_map(AnnotationsVisitor)
    }
}

//! Worker pools of a Shoot: when machine-controller-manager replaces an unhealthy node of theirs.

use jiff::SignedDuration;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::name::LONGEST_POOL;
use super::node::NETWORK_UNAVAILABLE;
use crate::json::{FirstOf, Text};

/// After which time machine-controller-manager replaces an unhealthy node if the Shoot sets none
/// (`MachineHealthTimeout` in its `pkg/util/provider/app/options/options.go`, v0.62.1; gardenlet does not set the
/// flag).
const HEALTH_TIMEOUT: SignedDuration = SignedDuration::from_mins(10);

/// The most pools that are read. No real Shoot has as many.
const LOOKED_AT: usize = 256;

/// The most pools that are kept. Only those that differ from the default are.
const KEPT: usize = 32;

/// The most conditions of a node that are read of a pool's list.
const CONDITIONS: usize = 64;

/// The longest text that is read as a duration, in bytes.
const DURATION: usize = 64;

/// How long nodes of each pool may be unhealthy. Only pools that differ from the default are kept.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Pools {
    kept: Box<[Pool]>,
    /// Whether some were left out: then the time of an unknown pool is unknown.
    are_cut: bool,
}

#[derive(Clone, Debug, Eq, PartialEq)]
struct Pool {
    name: Box<str>,
    /// `None` where a node without a route is never replaced.
    timeout: Option<SignedDuration>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire<'a> {
    #[serde(borrow)]
    name: Option<Text<'a>>,
    #[serde(borrow)]
    machine_controller_manager: Option<Settings<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Settings<'a> {
    #[serde(borrow)]
    machine_health_timeout: Option<Text<'a>>,
    disable_health_timeout: Option<bool>,
    #[serde(borrow)]
    node_conditions: Option<FirstOf<Text<'a>, CONDITIONS>>,
}

impl Pools {
    /// Reads the text of `spec.provider.workers`. An unreadable pool is treated like one without settings.
    pub fn read(workers: &str) -> Self {
        let Ok(workers) = serde_json::from_str::<FirstOf<&RawValue, LOOKED_AT>>(workers) else {
            return Self::default();
        };
        // If the list is full, there may be more.
        let mut are_cut = workers.0.len() >= LOOKED_AT;
        let pools = workers.0.into_iter().filter_map(|worker| Pool::read(worker.get()));
        let mut kept: Vec<Pool> =
            pools.filter(|pool| pool.timeout != Some(HEALTH_TIMEOUT)).take(KEPT.saturating_add(1)).collect();
        are_cut |= kept.len() > KEPT;
        kept.truncate(KEPT);
        Self { kept: kept.into(), are_cut }
    }

    /// After which time a node of this pool is replaced for want of a route; `None` for never, and where that is
    /// unknown. An unknown pool has the default, unless some were left out.
    pub(crate) fn health_timeout(&self, pool: &str) -> Option<SignedDuration> {
        let default = (!self.are_cut).then_some(HEALTH_TIMEOUT);
        self.kept.iter().find(|known| &*known.name == pool).map_or(default, |known| known.timeout)
    }
}

impl Pool {
    fn read(worker: &str) -> Option<Self> {
        let worker: Wire<'_> = serde_json::from_str(worker).ok()?;
        let name = worker.name.filter(|name| name.len() <= LONGEST_POOL)?;
        let settings = worker.machine_controller_manager?;
        let conditions = settings.node_conditions.map(|conditions| conditions.0).filter(|list| !list.is_empty());
        // Without a list the default of machine-controller-manager holds, which has this condition.
        let counts = conditions.is_none_or(|list| list.iter().any(|condition| &**condition == NETWORK_UNAVAILABLE));
        let is_never = settings.disable_health_timeout == Some(true) || !counts;
        let timeout = settings.machine_health_timeout.filter(|text| text.len() <= DURATION);
        // As Go writes durations, such as `10m0s`.
        let timeout = timeout.and_then(|text| text.parse().ok()).unwrap_or(HEALTH_TIMEOUT);
        Some(Self { name: (*name).into(), timeout: (!is_never).then_some(timeout) })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn settings_of_pools() {
        let minutes = |minutes| Some(SignedDuration::from_mins(minutes));
        for (settings, want) in [
            (Value::Null, minutes(10)),
            (json!({}), minutes(10)),
            (json!({"machineHealthTimeout": "20m0s"}), minutes(20)),
            (json!({"machineHealthTimeout": "1h0m0s"}), minutes(60)),
            (json!({"machineHealthTimeout": "1.5h"}), minutes(90)),
            (json!({"machineHealthTimeout": "90s"}), Some(SignedDuration::from_secs(90))),
            (json!({"machineHealthTimeout": "soon"}), minutes(10)),
            (json!({"machineHealthTimeout": 5}), minutes(10)),
            (json!({"machineHealthTimeout": "5m", "disableHealthTimeout": false}), minutes(5)),
            (json!({"machineHealthTimeout": "5m", "disableHealthTimeout": true}), None),
            (json!({"nodeConditions": []}), minutes(10)),
            (json!({"nodeConditions": ["DiskPressure"]}), None),
            (json!({"nodeConditions": ["DiskPressure", "NetworkUnavailable"]}), minutes(10)),
        ] {
            let workers = json!([{"name": "other"}, {"name": "a", "machineControllerManager": settings}]).to_string();
            let pools = Pools::read(&workers);
            assert_eq!(pools.health_timeout("a"), want, "{workers}");
            assert_eq!(pools.health_timeout("other"), minutes(10));
            assert_eq!(pools.kept.len(), usize::from(want != minutes(10)), "a pool with the default is not kept");
        }
        for wrong in ["", "5", "{}", "[5]", "[null]", r#"[{"name":5}]"#] {
            assert_eq!(Pools::read(wrong), Pools::default(), "{wrong}");
        }
    }

    #[test]
    fn what_is_kept_has_a_limit() {
        let pool = |name: String| json!({"name": name, "machineControllerManager": {"machineHealthTimeout": "5m"}});
        let many: Vec<Value> = (0..5_000).map(|i| pool(format!("p{i}"))).collect();
        assert_eq!(Pools::read(&json!(many).to_string()).kept.len(), KEPT);
        assert_eq!(Pools::read(&json!([pool("x".repeat(64))]).to_string()).kept.len(), 0);
    }

    /// Where some are left out, the time of unknown pools is unknown.
    #[test]
    fn nothing_is_claimed_of_what_was_left_out() {
        let minutes = |minutes| Some(SignedDuration::from_mins(minutes));
        let slow = json!({"machineHealthTimeout": "1h"});
        let pools = |slow_ones: usize, plain: usize| {
            let slow_ones = (0..slow_ones).map(|i| json!({"name": format!("s{i}"), "machineControllerManager": slow}));
            let all: Vec<Value> = slow_ones.chain((0..plain).map(|i| json!({"name": format!("p{i}")}))).collect();
            Pools::read(&json!(all).to_string())
        };
        for (what, pools, unknown) in [
            ("as many as are kept", pools(KEPT, 1), minutes(10)),
            ("one more", pools(KEPT + 1, 1), None),
            ("many like the default", pools(1, LOOKED_AT - 2), minutes(10)),
            ("as many as are read", pools(1, LOOKED_AT - 1), None),
        ] {
            assert_eq!((pools.health_timeout("s0"), pools.health_timeout("p0")), (minutes(60), unknown), "{what}");
            assert_eq!(pools.health_timeout(&format!("s{KEPT}")), unknown, "{what}");
        }
    }
}

//! The worker after a switch was let through.

use super::*;
use network_guard_core::gardener::network::{SWITCH_PASSED, TIMESTAMP};

/// How long Calico's Pods are watched depends on the number of nodes, also where these cannot be listed any more; and
/// the watch ends.
#[tokio::test]
async fn large_shoots_are_watched_for_longer() {
    for (minutes, nodes, is_forgotten) in [(59, 0, false), (61, 0, true), (61, 31, false), (63, 31, true)] {
        let seed = Seed::with(None);
        {
            let mut seed = seed.lock().unwrap();
            revert(&mut seed.network);
            seed.network["spec"]["providerConfig"] = json!({"overlay": {"enabled": false}});
            seed.cluster["spec"]["shoot"]["spec"]["hibernation"] = json!({"enabled": false});
            seed.cluster["spec"]["shoot"]["status"]["hibernated"] = json!(false);
            let latched: Vec<String> = (0..nodes).map(|i| format!("{i:016x}")).collect();
            let released = seconds(Timestamp::now() - SignedDuration::from_mins(minutes));
            seed.network["status"]["state"] = json!({STATE_MEMBER: {
                "phase": "released", "held": "{}", "requested": "x", "since": "2026-11-20T10:00:00Z",
                "released": released, "latched": latched,
            }});
            seed.network["status"]["lastOperation"] = json!({"state": "Succeeded", "lastUpdateTime": released});
        }
        worker(&seed).look().await.unwrap();
        let state = seed.lock().unwrap().network["status"]["state"].clone();
        assert_eq!(state.is_null(), is_forgotten, "{minutes} minutes, {nodes} nodes: {state}");
    }
}

/// An extension that fails for hours replaces Calico's Pods only after that. So the time counts from its report of
/// success, and the switch is not forgotten before.
#[tokio::test]
async fn pods_are_watched_when_the_extension_is_late() {
    let hours = |hours: i64| seconds(Timestamp::now() - SignedDuration::from_hours(hours));
    for (what, state, operated, is_forgotten) in [
        ("succeeded just now", "Succeeded", hours(0), false),
        ("succeeded long ago", "Succeeded", hours(2), true),
        ("at work", "Processing", hours(0), false),
        ("fails", "Error", hours(2), false),
        ("nothing since", "Succeeded", hours(4), false),
    ] {
        let seed = released(&json!({"state": state, "description": "x"}));
        {
            let mut seed = seed.lock().unwrap();
            seed.cluster["spec"]["shoot"]["spec"]["hibernation"] = json!({"enabled": false});
            seed.cluster["spec"]["shoot"]["status"]["hibernated"] = json!(false);
            seed.network["status"]["lastOperation"]["lastUpdateTime"] = json!(operated);
            seed.network["status"]["state"][STATE_MEMBER]["released"] = json!(hours(3));
        }
        worker(&seed).look().await.unwrap();
        let state = seed.lock().unwrap().network["status"]["state"].clone();
        assert_eq!(state.is_null(), is_forgotten, "{what}: {state}");
    }
}

/// A Network whose switch was let through at a moment when the extension reports this.
fn released(operation: &Value) -> Arc<Mutex<Seed>> {
    let seed = Seed::with(None);
    {
        let mut seed = seed.lock().unwrap();
        let written = Timestamp::now();
        revert(&mut seed.network);
        seed.network["spec"]["providerConfig"] = json!({"overlay": {"enabled": false}});
        seed.network["status"] = json!({"lastOperation": operation, "state": {STATE_MEMBER: {
            "version": 2, "phase": "released", "held": "{}", "requested": "x", "since": "2026-11-20T10:00:00Z",
            "released": seconds(written), "latched": [], "status": {"routes": {"notReady": 1, "notReadyNodes": ["d"]}},
        }}});
        seed.network["status"]["lastOperation"]["lastUpdateTime"] = json!(seconds(written));
    }
    seed
}

/// A failure of the extension is reported once, and remembered until it succeeds.
#[tokio::test]
async fn a_failure_after_a_release_is_reported_until_it_is_over() {
    let seed = released(&json!({"state": "Error", "description": "waiting for routes"}));
    let mut worker = worker(&seed);
    for _ in 0..3 {
        worker.look().await.unwrap();
        catch_up(&worker, &seed);
    }
    assert_eq!(seed.lock().unwrap().events, ["OverlaySwitchFailed"]);
    assert_eq!(seed.lock().unwrap().network["status"]["state"][STATE_MEMBER]["phase"], "released");
    seed.lock().unwrap().network["status"]["lastOperation"]["state"] = json!("Succeeded");
    catch_up(&worker, &seed);
    worker.look().await.unwrap();
    assert_eq!(seed.lock().unwrap().network["status"]["state"], Value::Null);
}

/// Where nothing else has to be watched, the result of the extension is waited for.
#[tokio::test]
async fn a_release_is_watched_until_the_extension_answers() {
    let seed = released(&json!({"state": "Processing"}));
    seed.lock().unwrap().cluster["spec"]["shoot"]["spec"]["hibernation"] = json!({"enabled": false});
    seed.lock().unwrap().cluster["spec"]["shoot"]["status"]["hibernated"] = json!(false);
    let settings = OverlaySettings { guards_rollout: false, ..OverlaySettings::default() };
    let mut worker = worker_with(&seed, settings);
    for (state, is_watched) in [("Processing", true), ("Error", true), ("Processing", true), ("Succeeded", false)] {
        seed.lock().unwrap().network["status"]["lastOperation"]["state"] = json!(state);
        catch_up(&worker, &seed);
        worker.look().await.unwrap();
        let record = seed.lock().unwrap().network["status"]["state"].clone();
        assert_eq!(!record.is_null(), is_watched, "{state}: {record}");
    }
}

/// A switch that passed at once, before anything was recorded, is handled like any other.
#[tokio::test]
async fn a_switch_that_passed_at_once_is_recorded_by_its_trace() {
    for (word, event) in [("forced", "OverlaySwitchForced"), ("hibernated", "OverlaySwitchReleased")] {
        let seed = Seed::with(None);
        {
            let mut seed = seed.lock().unwrap();
            revert(&mut seed.network);
            seed.network["metadata"]["annotations"][SWITCH_PASSED] = json!(word);
            seed.network["spec"]["providerConfig"] = json!({"overlay": {"enabled": false}});
            seed.network["status"]["lastOperation"]["state"] = json!("Processing");
        }
        let mut worker = worker(&seed);
        worker.look().await.unwrap();
        {
            let seed = seed.lock().unwrap();
            let record = &seed.network["status"]["state"][STATE_MEMBER];
            assert_eq!((&record["phase"], &record["status"]["because"]), (&json!("released"), &json!(word)));
            assert_eq!(seed.network["metadata"]["annotations"], json!({}), "the trace is taken away");
            assert_eq!(seed.events, [event]);
        }
        // The Shoot is hibernated, so there is nothing to guard; the extension is waited for all the same.
        let now = seconds(Timestamp::now());
        for (state, is_watched) in [("Processing", true), ("Error", true), ("Succeeded", false)] {
            seed.lock().unwrap().network["status"]["lastOperation"] = json!({"state": state, "lastUpdateTime": now});
            catch_up(&worker, &seed);
            worker.look().await.unwrap();
            let record = seed.lock().unwrap().network["status"]["state"].clone();
            assert_eq!(!record.is_null(), is_watched, "{word}, {state}: {record}");
        }
        assert_eq!(seed.lock().unwrap().events, [event, "OverlaySwitchFailed"]);
    }
}

/// A Cluster that cannot be read for a moment ends nothing.
#[tokio::test]
async fn pods_are_watched_without_a_cluster() {
    for (shoot, is_forgotten) in [(json!(5), false), (cluster()["spec"]["shoot"].clone(), true)] {
        let seed = released(&json!({"state": "Succeeded"}));
        seed.lock().unwrap().cluster["spec"]["shoot"] = shoot.clone();
        worker(&seed).look().await.unwrap();
        let state = seed.lock().unwrap().network["status"]["state"].clone();
        assert_eq!(state.is_null(), is_forgotten, "{shoot}: {state}");
    }
}

impl Seed {
    /// Writes of the objects for access to the Shoot.
    fn ways(&self) -> Vec<&String> {
        let is_way = |path: &str| path.contains("/secrets/") || path.contains("/managedresources/");
        self.requests.iter().filter(|request| request.starts_with("PATCH") && is_way(request)).collect()
    }

    fn wake(&mut self) {
        self.cluster["spec"]["shoot"]["spec"]["hibernation"] = json!({"enabled": false});
        self.cluster["spec"]["shoot"]["status"]["hibernated"] = json!(false);
    }
}

/// After a switch no access is made to a Shoot in which there is nothing to do, however long the extension is waited
/// for: its objects would be deleted at once, and made again in the next turn.
#[tokio::test]
async fn no_access_is_made_to_a_shoot_without_work() {
    type Change = fn(&mut Seed);
    let table: [(&str, bool, Change); 5] = [
        ("asleep", true, |_| ()),
        ("asleep, on GCP", true, |seed| seed.cluster["spec"]["shoot"]["spec"]["provider"]["type"] = json!("gcp")),
        ("awake, and no roll is guarded", false, Seed::wake),
        ("the roll took too long", true, |seed| {
            seed.wake();
            let record = &mut seed.network["status"]["state"][STATE_MEMBER];
            record["released"] = json!(seconds(Timestamp::now() - SignedDuration::from_hours(2)));
        }),
        ("being deleted", true, |seed| {
            seed.wake();
            seed.cluster["spec"]["shoot"]["metadata"] = json!({"deletionTimestamp": "2026-11-20T10:00:00Z"});
        }),
    ];
    for (what, guards_rollout, change) in table {
        for state in ["Error", "Processing"] {
            let seed = released(&json!({"state": state, "description": "waiting for routes to be created"}));
            change(&mut seed.lock().unwrap());
            let settings = OverlaySettings { guards_rollout, ..OverlaySettings::default() };
            let mut worker = worker_with(&seed, settings);
            for _ in 0..3 {
                worker.look().await.unwrap();
                catch_up(&worker, &seed);
            }
            let seed = seed.lock().unwrap();
            assert_eq!(seed.network["status"]["state"][STATE_MEMBER]["phase"], "released", "{what}, {state}");
            assert!(seed.ways().is_empty(), "{what}, {state}: {:?}", seed.ways());
            let deleted = seed.requests.iter().filter(|request| request.starts_with("DELETE")).count();
            assert_eq!(deleted, 3, "{what}, {state}: once, as somebody may have left something");
        }
    }
}

/// Where there is something to do, access is made, and nodes are listed no more often than necessary.
#[tokio::test]
async fn access_is_made_to_watch_a_roll() {
    let seed = released(&json!({"state": "Processing"}));
    seed.lock().unwrap().wake();
    worker(&seed).look().await.unwrap();
    let seed = seed.lock().unwrap();
    assert!(!seed.ways().is_empty(), "{:?}", seed.requests);
}

/// A writer between the record and the trace, or a leader that ends there, does not make a second switch.
#[tokio::test]
async fn a_switch_that_passed_at_once_begins_once() {
    let patch = "PATCH /apis/extensions.gardener.cloud/v1alpha1/namespaces/n/networks/o";
    for (trace, is_another_leader) in
        [("forced 2026-11-20T10:00:00Z", false), ("forced 2026-11-20T10:00:00Z", true), ("forced", true)]
    {
        // gardenlet writes again, and the extension has reported something.
        let meanwhile = Meanwhile(patch, |network| {
            network["metadata"]["annotations"][TIMESTAMP] = json!("2026-11-20T10:05:00Z");
            network["status"]["lastOperation"] =
                json!({"state": "Error", "description": "x", "lastUpdateTime": "2026-11-20T10:05:00Z"});
        });
        let seed = Seed::with(Some(meanwhile));
        {
            let mut seed = seed.lock().unwrap();
            revert(&mut seed.network);
            seed.network["metadata"]["annotations"] = json!({
                SWITCH_PASSED: trace, TIMESTAMP: "2026-11-20T10:00:00Z",
            });
            seed.network["spec"]["providerConfig"] = json!({"overlay": {"enabled": false}});
        }
        let mut worker = worker(&seed);
        assert!(worker.look().await.is_err(), "{trace}: somebody wrote in between");
        let record = |seed: &Arc<Mutex<Seed>>| seed.lock().unwrap().network["status"]["state"][STATE_MEMBER].clone();
        let begun = record(&seed);
        assert_eq!((&begun["phase"], &begun["released"]), (&json!("released"), &json!("2026-11-20T10:00:00Z")));
        if is_another_leader {
            worker = worker_with(&seed, OverlaySettings::default());
        }
        catch_up(&worker, &seed);
        worker.look().await.unwrap();
        assert_eq!(record(&seed), begun, "{trace}");
        assert_eq!(seed.lock().unwrap().network["metadata"]["annotations"].get(SWITCH_PASSED), None, "{trace}");
        catch_up(&worker, &seed);
        worker.look().await.unwrap();
        assert_eq!(seed.lock().unwrap().events, ["OverlaySwitchForced", "OverlaySwitchFailed"], "{trace}");
    }
}

/// Calico's Pods are newer than the write that passed, also where gardenlet wrote again before there was a leader.
#[tokio::test]
async fn pods_are_new_since_the_write_that_passed() {
    let seed = Seed::with(None);
    {
        let mut seed = seed.lock().unwrap();
        revert(&mut seed.network);
        seed.network["metadata"]["annotations"] = json!({
            SWITCH_PASSED: "hibernated 2026-11-20T10:00:00Z", TIMESTAMP: "2026-11-20T11:00:00Z",
        });
        seed.network["spec"]["providerConfig"] = json!({"overlay": {"enabled": false}});
        // An earlier switch of this kind, which was never carried out.
        seed.network["status"]["state"] = json!({STATE_MEMBER: {
            "version": 2, "phase": "released", "held": "{}", "requested": "x", "since": "2026-11-19T10:00:00Z",
            "released": "2026-11-19T10:00:00Z", "carriedOut": "", "status": {"because": "hibernated"},
        }});
    }
    worker(&seed).look().await.unwrap();
    let seed = seed.lock().unwrap();
    assert_eq!(seed.network["status"]["state"][STATE_MEMBER]["released"], "2026-11-20T10:00:00Z");
    assert_eq!(seed.events, ["OverlaySwitchReleased"]);
}

/// The reasons for which a switch was held are no part of the record of one that gardenlet's write carried; the reason
/// why it passed is.
#[tokio::test]
async fn a_carried_switch_says_why_it_passed() {
    let routes = json!({"nodes": 3, "withRoute": 2, "notReady": 1, "notReadyNodes": ["d"]});
    for (said, is_awake, is_forced, because) in [
        ("", true, false, ""),
        ("forced", true, false, "forced"),
        ("", true, true, "forced"),
        ("the Shoot is hibernated", false, false, "hibernated"),
        ("the Shoot is hibernated", true, false, "hibernated"),
        ("", false, false, "hibernated"),
    ] {
        let seed = released(&json!({"state": "Processing"}));
        {
            let mut seed = seed.lock().unwrap();
            if is_awake {
                seed.wake();
            }
            if is_forced {
                let force = json!({"annotations": {network_guard_core::gardener::shoot::OVERLAY_SWITCH: "force"}});
                seed.cluster["spec"]["shoot"]["metadata"] = force;
            }
            let record = &mut seed.network["status"]["state"][STATE_MEMBER];
            record["phase"] = json!("held");
            record["status"] = json!({
                "waitsFor": "maintenanceWindow", "because": said, "routes": routes, "hints": ["h"], "complaint": "c",
            });
        }
        worker(&seed).look().await.unwrap();
        let status = seed.lock().unwrap().network["status"]["state"][STATE_MEMBER]["status"].clone();
        assert_eq!((&status["because"], &status["waitsFor"]), (&json!(because), &json!("other")), "{said}");
        assert_eq!((&status["hints"], &status["complaint"]), (&json!([]), &Value::Null), "{said}");
        assert_eq!(status["routes"]["notReadyNodes"], json!(["d"]), "{said}");
    }
}

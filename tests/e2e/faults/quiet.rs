//! Where nothing happens, a watch that lasts as long as it should shows that it is alive.

use std::thread::sleep;
use std::time::{Duration, Instant};

use super::cluster;
use crate::harness::{ControlPlane, Guard};
use crate::restarts::is_soak;

/// No heartbeat is further from the next one than a landscape is trusted.
#[test]
fn a_quiet_watch_stays_young_soak() {
    if !is_soak() {
        say!("skipped: silence of real length takes minutes; make soak has it");
        return;
    }
    let control_plane = ControlPlane::start();
    control_plane.apply_cluster(&cluster(0, true));
    let guard = Guard::start(&control_plane);
    let (started, mut oldest) = (Instant::now(), 0.0_f64);
    while started.elapsed() < Duration::from_secs(140) {
        oldest = oldest.max(guard.metric("network_guard_cache_age_seconds"));
        sleep(Duration::from_secs(1));
    }
    say!("figure: quiet: the landscape was at most {oldest:.1} s old in {:.0?}", started.elapsed());
    assert!(oldest < 90.0, "{oldest}");
}

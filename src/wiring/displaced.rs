//! Work that pauses while another installation does it.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use network_guard_controllers::certificates::Registrant;

/// The pause between two checks of the registration.
const LOOK: Duration = Duration::from_secs(1);

/// How long the work waits until the leader has seen whether another installation is registered. It waits no longer
/// than that: a leader that cannot check must not keep switches held.
const FIRST_LOOK: Duration = Duration::from_secs(60);

/// Works while no other installation is registered instead of this one: two would undo each other's work. Never ends.
/// Where the server registers nothing, there is no `registrant`.
pub(super) async fn unless_displaced<F: Future<Output = ()>>(
    registrant: Option<watch::Receiver<Registrant>>,
    work: impl Fn() -> F,
) {
    let registered = || registrant.as_ref().map_or(Registrant::This, |registrant| *registrant.borrow());
    let until_free = async || {
        let (mut unknown_since, mut is_said) = (Instant::now(), false);
        loop {
            match registered() {
                Registrant::This => return,
                Registrant::Another => {
                    unknown_since = Instant::now();
                    if !std::mem::replace(&mut is_said, true) {
                        tracing::warn!("another installation is registered, and does the work of this one");
                    }
                }
                Registrant::Unknown if unknown_since.elapsed() >= FIRST_LOOK => return,
                Registrant::Unknown => {}
            }
            sleep(LOOK).await;
        }
    };
    let until_displaced = async || {
        while registered() != Registrant::Another {
            sleep(LOOK).await;
        }
    };
    loop {
        until_free().await;
        tokio::select! {
            () = work() => {}
            () = until_displaced() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// Whether the work has begun after being polled.
    async fn begins(registrant: Option<watch::Receiver<Registrant>>) -> bool {
        let has_begun = Cell::new(false);
        let work = || {
            has_begun.set(true);
            std::future::pending()
        };
        drop(tokio::time::timeout(Duration::ZERO, unless_displaced(registrant, work)).await);
        has_begun.get()
    }

    #[tokio::test]
    async fn nothing_begins_before_the_owner_of_the_registration_is_known() {
        let (says, registrant) = watch::channel(Registrant::Unknown);
        assert!(!begins(Some(registrant.clone())).await, "no leader has checked yet");
        says.send_replace(Registrant::Another);
        assert!(!begins(Some(registrant.clone())).await);
        says.send_replace(Registrant::This);
        assert!(begins(Some(registrant)).await);
        assert!(begins(None).await, "nothing is registered by the server");
    }
}

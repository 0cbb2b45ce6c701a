//! Pauses between failed attempts.

use std::time::Duration;

/// Pauses that double with each failure, up to a maximum.
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl Backoff {
    /// Starts with the first pause.
    pub const fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, next: first }
    }

    /// Returns the pause after one more failure.
    pub fn pause(&mut self) -> Duration {
        let pause = self.next;
        self.next = (pause * 2).min(self.longest);
        pause
    }

    /// Starts again with the first pause, after a success.
    pub fn reset(&mut self) {
        self.next = self.first;
    }
}

/// The iterator that kube's watchers expect.
impl Iterator for Backoff {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        Some(self.pause())
    }
}

impl kube::runtime::utils::Backoff for Backoff {
    fn reset(&mut self) {
        Self::reset(self);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_maximum_until_a_success() {
        let mut backoff = Backoff::new(Duration::from_secs(2), Duration::from_secs(15));
        let mut pauses = || [(); 5].map(|()| backoff.pause().as_secs());
        assert_eq!(pauses(), [2, 4, 8, 15, 15]);
        backoff.reset();
        assert_eq!(backoff.take(2).map(|pause| pause.as_secs()).collect::<Vec<_>>(), [2, 4]);
    }
}

//! Pauses between attempts that fail.

use std::time::Duration;

/// Pauses that double from one failure to the next, up to the longest.
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl Backoff {
    /// Begins with the first pause.
    pub const fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, next: first }
    }

    /// The pause after another failure.
    pub fn pause(&mut self) -> Duration {
        let pause = self.next;
        self.next = (pause * 2).min(self.longest);
        pause
    }

    /// Begins with the first pause again: something went well.
    pub fn reset(&mut self) {
        self.next = self.first;
    }
}

/// As kube's watchers take it.
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
    fn pauses_double_up_to_the_longest_until_something_goes_well() {
        let mut backoff = Backoff::new(Duration::from_secs(2), Duration::from_secs(15));
        let mut pauses = || [(); 5].map(|()| backoff.pause().as_secs());
        assert_eq!(pauses(), [2, 4, 8, 15, 15]);
        backoff.reset();
        assert_eq!(backoff.take(2).map(|pause| pause.as_secs()).collect::<Vec<_>>(), [2, 4]);
    }
}

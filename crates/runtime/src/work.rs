//! Periodic work.

use std::time::Duration;

use tokio::time::sleep;

use super::supervise::Supervisor;

/// Periodic work.
pub trait Work: Send {
    /// Takes one turn: looks, and does what is due.
    fn turn(&mut self) -> impl Future<Output = Turn> + Send;
}

/// The end of a turn.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Turn {
    /// It is done, with or without success; the next one begins after this pause.
    Again(Duration),
    /// There was nothing to look at yet, so it does not count; the next one begins after this pause.
    Idle(Duration),
    /// It is done, and was the last one.
    Last,
}

/// Takes turns until one is the last, and counts them under this name. The counter of a loop that hangs stops.
pub async fn run(tasks: &Supervisor, task: &'static str, work: &mut impl Work) {
    loop {
        let turn = work.turn().await;
        match turn {
            Turn::Again(pause) => {
                tasks.turned(task);
                sleep(pause).await;
            }
            Turn::Idle(pause) => sleep(pause).await,
            Turn::Last => return tasks.turned(task),
        }
    }
}

/// The present problem of a loop: reported when it changes, not at each turn.
#[derive(Debug, Default)]
pub struct Trouble(Option<String>);

impl Trouble {
    /// Records the result of a turn; returns the problem if it is new.
    pub fn news(&mut self, trouble: Option<String>) -> Option<&str> {
        let is_new = self.0 != trouble;
        self.0 = trouble;
        self.0.as_deref().filter(|_| is_new)
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;
    use prometheus_client::registry::Registry;

    use super::*;
    use crate::metrics::Collector as _;

    struct Given(Vec<Turn>);

    impl Work for Given {
        async fn turn(&mut self) -> Turn {
            self.0.remove(0)
        }
    }

    #[tokio::test]
    async fn turns_are_taken_until_the_last_and_counted() {
        let (tasks, mut registry) = (Supervisor::default(), Registry::default());
        let pause = Duration::from_millis(1);
        let mut work = Given(vec![Turn::Idle(pause), Turn::Again(pause), Turn::Idle(pause), Turn::Last, Turn::Last]);
        run(&tasks, "test", &mut work).await;
        assert_eq!(work.0, [Turn::Last], "none after the last one");
        tasks.register(&mut registry);
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        assert!(text.contains("task_turns_total{task=\"test\"} 2\n"), "{text}");
    }

    #[test]
    fn problems_are_news_when_they_change() {
        let mut trouble = Trouble::default();
        let mut news = |now: Option<&str>| trouble.news(now.map(str::to_owned)).map(str::to_owned);
        assert_eq!(news(None), None);
        assert_eq!(news(Some("a")).as_deref(), Some("a"));
        assert_eq!(news(Some("a")), None, "reported already");
        assert_eq!(news(Some("b")).as_deref(), Some("b"));
        assert_eq!(news(None), None);
        assert_eq!(news(Some("b")).as_deref(), Some("b"), "it went well in between");
    }
}

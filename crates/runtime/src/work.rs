//! Loops that look at something again and again.

use std::time::Duration;

use tokio::time::sleep;

use super::supervise::Supervisor;

/// What is done again and again.
pub trait Work: Send {
    /// Looks once, and does what is due.
    fn turn(&mut self) -> impl Future<Output = Turn> + Send;
}

/// How a turn ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Turn {
    /// It is over, well or not; the next one begins after this pause.
    Again(Duration),
    /// There was nothing to look at yet, so it does not count; the next one begins after this pause.
    Idle(Duration),
    /// It is over, and was the last one.
    Last,
}

/// Takes turns until one is the last, and counts them under this name: a loop that hangs counts no more of them.
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

/// What a loop has been in trouble with since it last went well: it is told when it changes, not at each turn.
#[derive(Debug, Default)]
pub struct Trouble(Option<String>);

impl Trouble {
    /// Remembers how a turn ended; gives what went wrong, should that be new.
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
    fn trouble_is_news_when_it_changes() {
        let mut trouble = Trouble::default();
        let mut news = |now: Option<&str>| trouble.news(now.map(str::to_owned)).map(str::to_owned);
        assert_eq!(news(None), None);
        assert_eq!(news(Some("a")).as_deref(), Some("a"));
        assert_eq!(news(Some("a")), None, "told already");
        assert_eq!(news(Some("b")).as_deref(), Some("b"));
        assert_eq!(news(None), None);
        assert_eq!(news(Some("b")).as_deref(), Some("b"), "it went well in between");
    }
}

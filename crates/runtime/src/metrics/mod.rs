//! The registry, in base units: each component registers its own metrics, and is asked for those that are computed when
//! somebody scrapes.

mod exposition;
mod process;

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use prometheus_client::encoding::text;
use prometheus_client::registry::{Metric, Registry};

pub(crate) use self::exposition::Format;
use super::supervise::Supervisor;

/// The beginning of the names of all metrics but those that every program has.
const PREFIX: &str = "network_guard";

/// What has metrics.
pub trait Collector: Send + Sync {
    /// Puts them into the registry.
    fn register(&self, registry: &mut Registry);

    /// Computes those that show how things are now. Called before each scrape.
    fn collect(&self) {}
}

/// All metrics of one process.
pub struct Metrics {
    own: RwLock<Own>,
    /// What every program has; its names have no prefix.
    common: Registry,
    tasks: Supervisor,
}

struct Own {
    registry: Registry,
    collectors: Vec<Arc<dyn Collector>>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new(&Supervisor::default())
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Metrics {
    /// Metrics with those of the process, and of the tasks that this supervises.
    pub fn new(tasks: &Supervisor) -> Self {
        let mut common = Registry::default();
        process::register(&mut common);
        let own = Own { registry: Registry::with_prefix(PREFIX), collectors: Vec::new() };
        let metrics = Self { own: RwLock::new(own), common, tasks: tasks.clone() };
        metrics.add(Arc::new(tasks.clone()));
        metrics
    }

    /// What supervises tasks.
    pub fn tasks(&self) -> &Supervisor {
        &self.tasks
    }

    /// Adds one metric.
    pub fn register(&self, name: &str, help: &str, metric: impl Metric) {
        self.own.write().unwrap_or_else(PoisonError::into_inner).registry.register(name, help, metric);
    }

    /// Adds those of a component.
    pub fn add(&self, collector: Arc<dyn Collector>) {
        let mut own = self.own.write().unwrap_or_else(PoisonError::into_inner);
        collector.register(&mut own.registry);
        own.collectors.push(collector);
    }

    /// The text of all metrics, as they are now.
    pub(crate) fn render(&self, format: Format) -> Result<String, fmt::Error> {
        let own = self.own.read().unwrap_or_else(PoisonError::into_inner);
        own.collectors.iter().for_each(|collector| collector.collect());
        let mut out = String::new();
        text::encode_registry(&mut out, &own.registry)?;
        text::encode(&mut out, &self.common)?;
        Ok(format.of(out))
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::metrics::gauge::Gauge;

    use super::*;

    /// Counts how often it is asked.
    #[derive(Default)]
    struct Asked(Gauge);

    impl Collector for Asked {
        fn register(&self, registry: &mut Registry) {
            registry.register("asked", "How often", self.0.clone());
        }

        fn collect(&self) {
            self.0.inc();
        }
    }

    #[test]
    fn what_shows_how_things_are_is_computed_for_each_scrape() {
        let metrics = Metrics::default();
        metrics.add(Arc::new(Asked::default()));
        for times in 1..=2 {
            let text = metrics.render(Format::Text).unwrap();
            assert!(text.contains(&format!("\nnetwork_guard_asked {times}\n")), "{text}");
        }
    }
}

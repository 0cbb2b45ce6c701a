//! The registry, in base units. Each component registers its own metrics, and is asked to update those that are
//! computed at each scrape.

mod exposition;
mod process;

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use prometheus_client::encoding::text;
use prometheus_client::registry::{Metric, Registry};

pub(crate) use self::exposition::Format;
use super::supervise::Supervisor;

/// The prefix of all metrics except those that every program has.
const PREFIX: &str = "network_guard";

/// A component with metrics.
pub trait Collector: Send + Sync {
    /// Registers them.
    fn register(&self, registry: &mut Registry);

    /// Updates those that show the current state. Called before each scrape.
    fn collect(&self) {}
}

/// All metrics of one process.
pub struct Metrics {
    own: RwLock<Own>,
    /// The metrics that every program has; their names have no prefix.
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
    /// The registry, with the metrics of the process and of the tasks that this supervises.
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

    /// Adds the metrics of a component.
    pub fn add(&self, collector: Arc<dyn Collector>) {
        let mut own = self.own.write().unwrap_or_else(PoisonError::into_inner);
        collector.register(&mut own.registry);
        own.collectors.push(collector);
    }

    /// The text of all metrics at this moment.
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
    fn the_current_state_is_computed_for_each_scrape() {
        let metrics = Metrics::default();
        metrics.add(Arc::new(Asked::default()));
        for times in 1..=2 {
            let text = metrics.render(Format::Text).unwrap();
            assert!(text.contains(&format!("\nnetwork_guard_asked {times}\n")), "{text}");
        }
    }
}

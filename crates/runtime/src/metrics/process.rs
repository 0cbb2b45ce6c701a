//! The process metrics of Prometheus' client libraries, by the same names
//! (<https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics>). Read from `/proc` at each scrape;
//! where that cannot be read, nothing is shown.

use std::fmt;

use procfs::process::{LimitValue, Process};
use procfs::{boot_time_secs, page_size, ticks_per_second};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

/// Registers them in this registry, whose names have no prefix.
pub(super) fn register(registry: &mut Registry) {
    registry.register_collector(Box::new(Own));
}

/// This process.
#[derive(Debug)]
struct Own;

/// The values read.
#[derive(Clone, Copy, Debug)]
struct Seen {
    cpu_seconds: f64,
    virtual_bytes: u64,
    resident_bytes: u64,
    started: f64,
    threads: i64,
    open_files: Option<u64>,
    /// `None`: unlimited.
    max_files: Option<u64>,
}

impl Seen {
    fn read() -> procfs::ProcResult<Self> {
        let process = Process::myself()?;
        let stat = process.stat()?;
        let ticks = |ticks: u64| seconds(ticks) / seconds(ticks_per_second());
        let max_files = match process.limits()?.max_open_files.soft_limit {
            LimitValue::Value(most) => Some(most),
            LimitValue::Unlimited => None,
        };
        Ok(Self {
            cpu_seconds: ticks(stat.utime + stat.stime),
            virtual_bytes: stat.vsize,
            resident_bytes: stat.rss * page_size(),
            started: seconds(boot_time_secs()?) + ticks(stat.starttime),
            threads: stat.num_threads,
            open_files: process.fd_count().ok().map(|count| count as u64),
            max_files,
        })
    }
}

#[expect(clippy::cast_precision_loss, reason = "a float is exact up to 2^53 ticks, which is millions of years")]
const fn seconds(count: u64) -> f64 {
    count as f64
}

impl Collector for Own {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Ok(seen) = Seen::read() else { return Ok(()) };
        let cpu = ConstCounter::new(seen.cpu_seconds);
        let help = "Time of processors that it took, in itself and in the kernel";
        cpu.encode(encoder.encode_descriptor("process_cpu_seconds", help, None, cpu.metric_type())?)?;
        let started = ConstGauge::new(seen.started);
        let help = "When it started, in seconds since 1970";
        started.encode(encoder.encode_descriptor(
            "process_start_time_seconds",
            help,
            None,
            started.metric_type(),
        )?)?;
        for (name, help, value) in [
            ("process_resident_memory_bytes", "Memory that is resident", Some(seen.resident_bytes)),
            ("process_virtual_memory_bytes", "Memory that is mapped", Some(seen.virtual_bytes)),
            ("process_threads", "Threads", u64::try_from(seen.threads).ok()),
            ("process_open_fds", "File descriptors that are open", seen.open_files),
            ("process_max_fds", "File descriptors that may be open", seen.max_files),
        ] {
            let Some(value) = value else { continue };
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        Ok(())
    }
}

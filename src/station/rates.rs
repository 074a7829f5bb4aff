//! Figures over the last seconds: blocks and bytes per second, latency, processor time. Sampled once a
//! second by the housekeeper, so that asking costs nothing and two who ask get the same.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Instant;

use talas_wire::MemoryUsage;

use super::shared::Shared;
use crate::tools::lock::lock;

/// Samples kept: figures are over so many seconds less one.
const SAMPLES: usize = 6;

#[derive(Debug, Clone, Copy)]
struct Sample {
    at: Instant,
    blocks: u64,
    sent_frames: u64,
    sent_bytes: u64,
    latency_us: u64,
    cpu_ticks: u64,
    /// Busy and all ticks of the machine.
    machine_ticks: (u64, u64),
}

/// Figures over the last seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Figures {
    /// Blocks produced per second.
    pub blocks_per_second: f64,
    /// Bytes written to listeners per second.
    pub bytes_per_second: f64,
    /// Mean time from capture to socket, in milliseconds; 0 when nothing was sent.
    pub latency_ms: f64,
    /// Processor time in per cent of one core.
    pub cpu_percent: f64,
    /// Processor use of the whole machine in per cent of all its cores.
    pub machine_cpu_percent: f64,
    /// Memory of the daemon and of the machine.
    pub memory: MemoryUsage,
}

/// Takes samples and keeps the figures.
#[derive(Debug, Default)]
pub struct Rates {
    samples: Mutex<VecDeque<Sample>>,
    figures: Mutex<Figures>,
}

impl Rates {
    /// The figures as sampled last.
    pub fn figures(&self) -> Figures {
        *lock(&self.figures)
    }

    /// Takes a sample. Reads files of `/proc`: for a thread that may.
    pub fn sample(&self, shared: &Shared) {
        let totals = &shared.listeners.totals;
        let sample = Sample {
            at: Instant::now(),
            blocks: shared.blocks_made(),
            sent_frames: totals.latency.count(),
            sent_bytes: totals.all_bytes(),
            latency_us: totals.latency.sum_us(),
            cpu_ticks: cpu_ticks(),
            machine_ticks: machine_ticks(),
        };
        let mut samples = lock(&self.samples);
        if let Some(last) = samples.back() {
            shared.listeners.look(sample.at.duration_since(last.at).as_secs_f64().max(1e-3));
        }
        // Alone it has no rates yet, but a size.
        let first = *samples.front().unwrap_or(&sample);
        *lock(&self.figures) = figures(&first, &sample, memory());
        samples.push_back(sample);
        if samples.len() > SAMPLES {
            samples.pop_front();
        }
    }
}

fn figures(from: &Sample, to: &Sample, memory: MemoryUsage) -> Figures {
    let seconds = to.at.duration_since(from.at).as_secs_f64().max(1e-3);
    let rate = |before: u64, after: u64| after.saturating_sub(before) as f64 / seconds;
    let sent = to.sent_frames.saturating_sub(from.sent_frames);
    let latency_us = to.latency_us.saturating_sub(from.latency_us) as f64;
    Figures {
        blocks_per_second: rate(from.blocks, to.blocks),
        bytes_per_second: rate(from.sent_bytes, to.sent_bytes),
        latency_ms: if sent > 0 { latency_us / sent as f64 / 1e3 } else { 0.0 },
        cpu_percent: rate(from.cpu_ticks, to.cpu_ticks) / procfs::ticks_per_second() as f64 * 100.0,
        machine_cpu_percent: busy_percent(from.machine_ticks, to.machine_ticks),
        memory,
    }
}

fn busy_percent((busy_from, all_from): (u64, u64), (busy_to, all_to): (u64, u64)) -> f64 {
    let all = all_to.saturating_sub(all_from);
    if all == 0 { 0.0 } else { busy_to.saturating_sub(busy_from) as f64 / all as f64 * 100.0 }
}

/// Busy and all clock ticks of the machine since boot; 0 where `/proc` cannot be read.
fn machine_ticks() -> (u64, u64) {
    use procfs::CurrentSI;
    let Ok(stat) = procfs::KernelStats::current() else { return (0, 0) };
    let cpu = stat.total;
    let idle = cpu.idle + cpu.iowait.unwrap_or(0);
    let stolen = cpu.steal.unwrap_or(0);
    let busy = cpu.user + cpu.nice + cpu.system + cpu.irq.unwrap_or(0) + cpu.softirq.unwrap_or(0) + stolen;
    (busy, busy + idle)
}

/// User and system time of this process in clock ticks; 0 where `/proc` cannot be read.
fn cpu_ticks() -> u64 {
    procfs::process::Process::myself().and_then(|me| me.stat()).map_or(0, |stat| stat.utime + stat.stime)
}

fn memory() -> MemoryUsage {
    use procfs::Current;
    let own = procfs::process::Process::myself().and_then(|me| me.statm());
    let page = procfs::page_size();
    let (resident, size) = own.map_or((0, 0), |own| (own.resident * page, own.size * page));
    let available = procfs::Meminfo::current().ok().and_then(|info| info.mem_available);
    MemoryUsage { used_bytes: resident, virtual_bytes: size, available_bytes: available.unwrap_or(0) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn figures_are_differences_over_time() {
        let at = Instant::now();
        let from = Sample {
            at,
            blocks: 100,
            sent_frames: 10,
            sent_bytes: 1000,
            latency_us: 0,
            cpu_ticks: 5,
            machine_ticks: (100, 1000),
        };
        let to = Sample {
            at: at + Duration::from_secs(2),
            blocks: 194,
            sent_frames: 20,
            sent_bytes: 5000,
            latency_us: 250_000,
            cpu_ticks: 5,
            machine_ticks: (150, 1200),
        };
        let figures = figures(&from, &to, MemoryUsage::default());
        assert_eq!((figures.blocks_per_second, figures.bytes_per_second), (47.0, 2000.0));
        assert_eq!((figures.latency_ms, figures.cpu_percent), (25.0, 0.0));
        assert!((figures.machine_cpu_percent - 25.0).abs() < 1e-9);
    }

    #[test]
    fn this_process_has_memory() {
        let memory = memory();
        assert!(
            memory.used_bytes > 0 && memory.virtual_bytes >= memory.used_bytes && memory.available_bytes > 0
        );
    }
}

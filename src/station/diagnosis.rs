//! How listeners, the machine and the pipeline are, with warnings in words.

use std::sync::atomic::Ordering;

use talas_wire::{
    ConnectionDebugInfo, ConnectionHealth, NetworkStats, PipelineHealth, State, SystemDiagnostics,
};

use super::Station;
use super::listeners::{Listener, Stream};
use crate::tools::lock::lock;

/// Later than this, in milliseconds, is worth a warning.
const LATE_MS: f64 = 100.0;
/// Less than this, in Mbit/s, is worth a warning where more is needed.
const LITTLE_MBPS: f64 = 1.0;
/// More gaps than this, in per cent, are worth a warning.
const MANY_ERRORS_PERCENT: f64 = 5.0;

impl Station {
    /// How everything is.
    pub fn diagnosis(&self) -> ConnectionDebugInfo {
        let sounds = self.state().state == State::Running;
        let listeners = self.shared.listeners.page(None, usize::MAX);
        let connections =
            listeners.iter().map(|listener| (listener.id.to_string(), health(listener, sounds))).collect();
        ConnectionDebugInfo { connections, system_stats: self.system() }
    }

    fn system(&self) -> SystemDiagnostics {
        let shared = &self.shared;
        let figures = self.rates.figures();
        let last_error = lock(&shared.last_error).clone();
        SystemDiagnostics {
            cpu_usage: figures.machine_cpu_percent,
            memory_usage: figures.memory,
            network_stats: NetworkStats {
                bytes_sent: shared.listeners.totals.all_bytes(),
                bytes_per_second: figures.bytes_per_second,
                connections: shared.listeners.connections.load(Ordering::Relaxed),
            },
            audio_pipeline_health: PipelineHealth {
                acquisition_active: shared.source_state.get().state == State::Running,
                frame_rate: figures.blocks_per_second,
                buffer_utilization: f64::from(shared.counters.ring_fill_permille.load(Ordering::Relaxed))
                    / 1000.0,
                consumer_count: shared.listeners.count(),
                last_error,
            },
        }
    }
}

fn health(listener: &Listener, sounds: bool) -> ConnectionHealth {
    let info = listener.info();
    let latency_ms = listener.latency_ms();
    let throughput_mbps = listener.throughput_mbps();
    let due = info.frames_sent + info.errors_count;
    let error_rate = if due > 0 { info.errors_count as f64 / due as f64 * 100.0 } else { 0.0 };
    let mut warnings = Vec::new();
    // Players get several packets at once, and a burst of the past: what is late there is cut.
    let is_frames = matches!(listener.stream(), Stream::Frames { .. });
    if is_frames && latency_ms > LATE_MS {
        warnings.push(format!("high latency: {latency_ms:.1} ms from capture to socket"));
    }
    // A request for little, or a young connection, is no slow one.
    let needs_more = sounds && listener.needs_mbps() > LITTLE_MBPS && info.frames_sent > 0;
    if needs_more && throughput_mbps < LITTLE_MBPS {
        let needs = listener.needs_mbps();
        warnings.push(format!("low throughput: {throughput_mbps:.2} Mbit/s, and it needs {needs:.2} Mbit/s"));
    }
    if error_rate > MANY_ERRORS_PERCENT {
        warnings.push(format!("many errors: {error_rate:.1} % gaps because it is slow"));
    }
    let status = if warnings.is_empty() { "healthy" } else { "warning" };
    ConnectionHealth {
        status: status.to_owned(),
        latency_ms,
        throughput_mbps,
        error_rate,
        last_activity: info.last_heartbeat,
        warnings,
    }
}

//! How listeners, the machine and the pipeline are: what `/api/audio/debug/connections` answers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::MemoryUsage;

/// Answer of `GET /api/audio/debug/connections`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConnectionDebugInfo {
    /// Listeners of live frames, by connection id.
    pub connections: BTreeMap<String, ConnectionHealth>,
    /// The machine and the pipeline.
    pub system_stats: SystemDiagnostics,
}

/// How one listener is served.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConnectionHealth {
    /// `healthy`, or `warning` when there are warnings.
    pub status: String,
    /// Time from the capture of a block's first sample to the write of its last byte, smoothed over the
    /// last blocks; the length of a block is the least it can be. 0 before the first block.
    pub latency_ms: f64,
    /// Written to this listener's socket over the last second, in Mbit/s.
    pub throughput_mbps: f64,
    /// Gaps told because it was slow, against blocks and such gaps, in per cent.
    pub error_rate: f64,
    /// When bytes last reached the socket, RFC 3339.
    pub last_activity: String,
    /// What is wrong, in whole sentences; empty is good.
    pub warnings: Vec<String>,
}

/// The machine and the pipeline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SystemDiagnostics {
    /// Processor use of the whole machine over the last seconds, in per cent of all cores.
    pub cpu_usage: f64,
    /// Memory of the daemon and of the machine.
    pub memory_usage: MemoryUsage,
    /// What goes out to listeners of live frames.
    pub network_stats: NetworkStats,
    /// The way from the device to the listeners.
    pub audio_pipeline_health: PipelineHealth,
}

/// What goes out to listeners of live frames.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct NetworkStats {
    /// Bytes written since the daemon started.
    pub bytes_sent: u64,
    /// Bytes written per second over the last seconds.
    pub bytes_per_second: f64,
    /// Open HTTP connections of any use.
    pub connections: u64,
}

/// The way from the device to the listeners.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PipelineHealth {
    /// The source delivers.
    pub acquisition_active: bool,
    /// Blocks per second over the last seconds.
    pub frame_rate: f64,
    /// How full the ring from capture to the pump was at the newest delivery, 0…1.
    pub buffer_utilization: f64,
    /// Listeners of live frames.
    pub consumer_count: u64,
    /// The newest trouble with the source since the daemon started.
    pub last_error: Option<String>,
}

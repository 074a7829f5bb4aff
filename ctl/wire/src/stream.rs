//! Statistics and connections: what `/api/audio/stats` and its kin answer.

use serde::{Deserialize, Serialize};

/// Answer of `GET /api/audio/stats`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DetailedStreamStats {
    /// Blocks produced since the daemon started.
    pub total_frames: u64,
    /// Blocks per second over the last seconds, measured.
    pub frames_per_second: f64,
    /// Listeners of live frames now.
    pub active_subscribers: u64,
    /// Blocks that listeners missed because they were slow, summed over all listeners ever.
    pub dropped_frames: u64,
    /// Connections listed below.
    pub connection_count: u64,
    /// Listeners of live frames and of live sound, oldest first.
    pub connections: Vec<ConnectionInfo>,
    /// Memory of the daemon and of the machine.
    pub memory_usage: MemoryUsage,
    /// Processor use of the daemon over the last seconds in per cent of one core.
    pub cpu_usage: f64,
    /// Seconds since the daemon started.
    pub uptime_seconds: u64,
    /// Mean over the last seconds of the time from the capture of a block's first sample to the write of
    /// its last byte to a listener's socket; the length of a block is the least it can be. 0 without listeners.
    pub average_latency_ms: f64,
    /// Bytes written to listeners of live frames over the last seconds, in Mbit/s.
    pub bandwidth_usage_mbps: f64,
    /// Blocks missed against blocks due to listeners since the daemon started, in per cent.
    pub error_rate_percent: f64,
}

/// Memory in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryUsage {
    /// Resident memory of the daemon.
    pub used_bytes: u64,
    /// Its virtual memory.
    pub virtual_bytes: u64,
    /// Memory the machine could still give.
    pub available_bytes: u64,
}

/// One listener, of live frames or of live sound.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionInfo {
    /// The connection id that the stream's first event carries.
    pub id: String,
    /// Who, where access knows.
    pub user_id: Option<String>,
    /// Address of the peer; `redacted` for readers without authority.
    pub ip_address: String,
    /// What the client says it is, cut to 256 characters; `redacted` as above.
    pub user_agent: String,
    /// RFC 3339.
    pub connected_at: String,
    /// When bytes last reached the socket, RFC 3339.
    pub last_heartbeat: String,
    /// Blocks written to the socket; of live sound, packets of its codec.
    pub frames_sent: u64,
    /// Bytes written to the socket.
    pub bytes_sent: u64,
    /// Gaps told to this listener because it was slow.
    pub errors_count: u64,
    /// What it asked for, such as `/live.mp3`.
    #[serde(default)]
    pub path: String,
    /// `sse`, `live` or `websocket`.
    #[serde(default)]
    pub kind: String,
}

/// A page of connections.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionPage {
    /// At most as many as were asked for.
    pub connections: Vec<ConnectionInfo>,
    /// Pass as `after` for the next page; `null` on the last.
    pub next: Option<String>,
    /// All connections there are.
    pub total: u64,
}

/// What a reload did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReloadReport {
    /// Keys whose new value is in force.
    pub applied: Vec<String>,
    /// Keys whose new value needs a restart of the daemon.
    pub needs_restart: Vec<String>,
}

/// Versions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// Version of the daemon.
    pub daemon: String,
    /// Protocol version, `[major, minor]`.
    pub proto: [u32; 2],
}

//! The one snapshot: everything that `talasctl status`, HTTP and the metrics render.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Condition, Signal, Tls};

/// What the programme is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// No block yet since the daemon started.
    Starting,
    /// Blocks arrive.
    Running,
    /// An operator paused: no captured sample goes anywhere.
    Paused,
    /// The device is open and delivers nothing.
    Stalled,
    /// There is no device to capture from.
    Absent,
    /// The daemon is closing.
    Stopping,
}

impl State {
    /// The word used everywhere.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stalled => "stalled",
            Self::Absent => "absent",
            Self::Stopping => "stopping",
        }
    }
}

/// Everything observable about the running daemon.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// What the programme is doing.
    pub state: State,
    /// Why, in a few words, where there is something to say.
    pub reason: Option<String>,
    /// Since when it has been in this state.
    pub since_ms: u64,
    /// Version of the daemon.
    pub version: String,
    /// Seconds since the daemon started.
    pub uptime_seconds: u64,
    /// Where the HTTP door listens, as URLs.
    #[serde(default)]
    pub addresses: Vec<String>,
    /// How the HTTP door is guarded.
    #[serde(default)]
    pub access: Access,
    /// TLS at the HTTP door; `null` where it is off.
    #[serde(default)]
    pub tls: Option<Tls>,
    /// Where sound comes from.
    pub source: Source,
    /// What was granted and what was lost.
    pub capture: Capture,
    /// Holes in the programme, whatever caused them.
    pub gaps: Gaps,
    /// What there is to hear.
    #[serde(default)]
    pub signal: Signal,
    /// What may be wrong with the sound now.
    #[serde(default)]
    pub conditions: Vec<Condition>,
    /// Running encodings.
    pub renditions: Vec<Rendition>,
    /// Servers that are fed.
    #[serde(default)]
    pub pushes: Vec<Push>,
    /// Who listens, by door.
    pub listeners: Listeners,
    /// What listeners get who do not ask for another.
    pub quality: Quality,
    /// What is playing; empty for nothing known.
    #[serde(default)]
    pub title: String,
    /// What is done to the programme.
    #[serde(default)]
    pub process: Process,
    /// Where the daemon writes.
    pub disk: Disk,
    /// Things an operator should know, in whole sentences; empty is good.
    pub warnings: Vec<String>,
}

/// How the HTTP door is guarded.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    /// `open`: whoever reaches it may do everything, on loopback only; `token`: by tokens and API keys.
    /// Empty where the daemon does not say.
    pub mode: String,
    /// The permissions of everybody who shows nothing, where tokens are asked for.
    pub anonymous: Vec<String>,
    /// Requests that a limit refused since the daemon started, by the limit's key in the configuration.
    #[serde(default)]
    pub refused: BTreeMap<String, u64>,
}

/// The kinds of source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SourceKind {
    /// An ALSA capture device.
    Alsa,
    /// A file played in real time.
    File,
    /// A generated tone.
    Tone,
}

/// The source and the state of its device, apart from pause.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Source {
    /// Which kind.
    pub kind: SourceKind,
    /// Device name, path, or a description of the tone.
    pub name: String,
    /// `starting`, `running`, `stalled`, `absent` or `stopping`; never `paused`.
    pub state: State,
    /// Why, in a few words, where there is something to say.
    pub reason: Option<String>,
    /// Since when.
    pub since_ms: u64,
}

/// How the capture thread is scheduled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Realtime {
    /// `SCHED_FIFO` was granted.
    Fifo,
    /// It was asked for and refused.
    Denied,
    /// It was granted and given up: the thread used its processor budget (`SIGXCPU`).
    Demoted,
    /// Not asked for, or no capture thread is running.
    Off,
}

/// What the device granted, and what capture has seen since the daemon started.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Capture {
    /// Frames per second.
    pub sample_rate: u32,
    /// ALSA's name of the granted sample format; `null` before a device was opened.
    pub format: Option<String>,
    /// Granted channels; 0 before a device was opened.
    pub channels: u32,
    /// Granted period in frames; 0 before a device was opened.
    pub period_frames: u32,
    /// Granted buffer in frames; 0 before a device was opened.
    pub buffer_frames: u32,
    /// Frames captured.
    pub captured_samples: u64,
    /// Times the device's buffer ran over.
    pub overruns: u64,
    /// Times the device was suspended.
    pub suspends: u64,
    /// Times the device stayed open and delivered nothing.
    pub stalls: u64,
    /// Times the device went away.
    pub unplugs: u64,
    /// Frames the listeners did not get that the card heard, or would have heard: all gaps but pauses.
    pub lost_samples: u64,
    /// Of these, frames dropped because the ring to the pump was full.
    pub ring_dropped_samples: u64,
    /// Frames of silence put in the place of missing sound so that time stays true.
    pub filler_samples: u64,
    /// Samples that were not a finite number and became 0.
    pub nonfinite_samples: u64,
    /// The card's real rate against the system clock, in parts per million; `null` until measured.
    pub drift_ppm: Option<f64>,
    /// How the capture thread is scheduled.
    pub realtime: Realtime,
    /// How full the ring to the pump has been at most, 0…1.
    pub ring_peak: f64,
}

/// Holes in the programme.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gaps {
    /// How many since the daemon started.
    pub total: u64,
    /// The newest.
    pub last: Option<LastGap>,
}

/// A hole in the programme.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastGap {
    /// `overrun`, `suspend`, `stalled`, `absent`, `paused`, `ring_full`.
    pub reason: String,
    /// Its length in frames.
    pub lost_samples: u64,
    /// When sound went on.
    pub ended_ms: u64,
}

/// A running encoding of the programme.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rendition {
    /// Stable name, such as `frames/json/1`.
    pub name: String,
    /// Listeners now.
    pub listeners: u64,
    /// Entries written since it started.
    pub entries: u64,
    /// Bytes written since it started.
    pub bytes: u64,
    /// Since when it runs.
    pub since_ms: u64,
}

/// What becomes of a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PushState {
    /// It has not been tried to the end yet.
    Connecting,
    /// The server takes what it is sent.
    Connected,
    /// It failed and is tried again.
    Waiting,
}

/// A server that is fed with a rendition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Push {
    /// The mount point, as `icecast://host:port/mount`.
    pub url: String,
    /// Name of the rendition, such as `live/high.mp3`.
    pub rendition: String,
    /// What becomes of it.
    pub state: PushState,
    /// Why the newest attempt failed, while it waits.
    pub reason: Option<String>,
    /// Since when it has been in this state.
    pub since_ms: u64,
    /// Bytes of sound sent since the push began.
    pub bytes: u64,
    /// Times the server accepted it.
    pub connections: u64,
    /// Attempts and connections that failed.
    pub failures: u64,
}

/// Listeners now, by door.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listeners {
    /// `GET /api/audio/stream`.
    pub sse: u64,
    /// `GET /live.*`.
    pub live: u64,
    /// WebSocket audio.
    pub websocket: u64,
    /// Open HTTP connections of any use.
    pub http: u64,
}

/// The effects of the programme.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Process {
    /// Whether sound passes as it came in, past the effects.
    pub bypass: bool,
    /// By how much the effects delay the sound, in ms.
    pub latency_ms: f64,
    /// In the order in which they are applied.
    pub effects: Vec<EffectState>,
}

/// An effect and what it does to the sound now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EffectState {
    /// Its type, such as `compressor`.
    #[serde(rename = "type")]
    pub kind: String,
    /// By how much it lowers the sound now, in dB: compressor and limiter, while they are at work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reduction_db: Option<f64>,
    /// By how much it raises the sound now, in dB: loudness, while it is at work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correction_db: Option<f64>,
    /// Its parameters by name, beside these.
    #[serde(flatten)]
    pub parameters: BTreeMap<String, f64>,
}

/// The global quality.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Quality {
    /// The profile of players that do not ask for one.
    pub profile: String,
    /// Rate of frames against the capture rate: 1, 0.5, 0.25 or 0.125.
    pub scale: f64,
}

/// Where the daemon writes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    /// The state directory.
    pub state_dir: String,
    /// Whether it can be written.
    pub writable: bool,
    /// Bytes free for the daemon's user; `null` where the directory cannot be asked.
    pub free_bytes: Option<u64>,
}

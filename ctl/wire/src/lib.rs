//! What `talasd` and its clients say to each other, as types: the control protocol, and the
//! objects that both the control socket and HTTP answer with.
//!
//! In here: serde types, version numbers, size caps. Not in here: I/O, text for people, and
//! decisions. The daemon depends on this crate; the crate depends on nothing of the daemon.
//!
//! Times named `*_ms` are milliseconds since the Unix epoch unless a comment says otherwise.

mod access;
mod device;
mod health;
mod protocol;
mod quality;
mod status;
mod stream;
mod tls;

pub use access::{
    AccessTest, KeyAdded, KeyInfo, KeyList, LimitUse, RoleInfo, RoleList, SessionInfo, SessionList,
    TokenInfo, TokenList, TokenMinted,
};
pub use device::{Ability, Device, DeviceList, Fault, Span};
pub use health::{ConnectionDebugInfo, ConnectionHealth, NetworkStats, PipelineHealth, SystemDiagnostics};
pub use protocol::{
    ErrorBody, Hello, LaggedNotice, Level, MAX_LINE_BYTES, PROTO, Reply, Request, code, method,
};
pub use quality::{
    AudioPerformanceMetrics, AudioQualityMetrics, Condition, Hum, Loudness, Meter, Meters, Signal,
    SpectrogramColumn,
};
pub use status::{
    Access, Capture, Disk, EffectState, Gaps, LastGap, Listeners, Process, Push, PushState, Quality,
    Realtime, Rendition, Source, SourceKind, State, Status,
};
pub use stream::{ConnectionInfo, ConnectionPage, DetailedStreamStats, MemoryUsage, ReloadReport, Version};
pub use tls::{Certificate, Handshakes, Tls};

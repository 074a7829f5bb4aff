//! The envelope: JSON objects, one per line, over a Unix stream socket.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Protocol version, `[major, minor]`. Another major is refused; minors only add fields and methods.
pub const PROTO: [u32; 2] = [1, 0];

/// Longest request line in bytes, the newline not counted.
pub const MAX_LINE_BYTES: usize = 64 * 1024;

/// What a peer may do, from least to most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Look, with the addresses and names of listeners redacted.
    Read,
    /// Steer what plays: members of the operators' group.
    Change,
    /// Everything: root and the daemon's own user.
    Admin,
}

impl Level {
    /// The word used on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Change => "change",
            Self::Admin => "admin",
        }
    }
}

/// The daemon's first line on every connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Always `talasd`.
    pub hello: String,
    /// Version of the daemon.
    pub version: String,
    /// Protocol version, `[major, minor]`.
    pub proto: [u32; 2],
    /// What this peer may do.
    pub level: Level,
}

/// One request line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Chosen by the client; the reply carries it back.
    pub id: u64,
    /// One of [`method`].
    pub method: String,
    /// Arguments of the method; an object, or absent.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub params: Value,
    /// Ask for a watch: a snapshot first, then a reply with the same id for each change.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
}

/// One reply line: exactly one of `result` and `error` is set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    /// The request's id; 0 where the request could not be read.
    pub id: u64,
    /// What the method answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    /// Why it did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorBody>,
    /// More replies with this id follow.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
}

/// Why a request was refused or failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// Stable word for programs, one of [`code`].
    pub code: String,
    /// A sentence for people: what was wrong and what would be right.
    pub message: String,
}

/// In a watch: this many changes were missed because the reader was slow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaggedNotice {
    /// Number of changes not delivered.
    pub lagged: u64,
}

/// Stable error codes.
pub mod code {
    /// The line is not a request: not JSON, unknown fields, wrong types.
    pub const BAD_REQUEST: &str = "bad_request";
    /// The line is longer than [`crate::MAX_LINE_BYTES`]; the connection is closed.
    pub const TOO_LONG: &str = "too_long";
    /// There is no such method.
    pub const NO_SUCH_METHOD: &str = "no_such_method";
    /// The parameters do not fit the method.
    pub const BAD_PARAMS: &str = "bad_params";
    /// The peer's level is too low.
    pub const DENIED: &str = "denied";
    /// The thing named does not exist.
    pub const NOT_FOUND: &str = "not_found";
    /// Not possible in the present state.
    pub const CONFLICT: &str = "conflict";
    /// No room for another connection, or nothing said for too long.
    pub const BUSY: &str = "busy";
    /// The daemon is stopping or a part of it did not answer in time.
    pub const UNAVAILABLE: &str = "unavailable";
    /// The daemon failed; the journal says more.
    pub const INTERNAL: &str = "internal";
}

/// Names of the methods. Which level each needs is the daemon's table.
pub mod method {
    /// → [`Status`](crate::Status); with `more`, a watch.
    pub const STATUS: &str = "status";
    /// → [`Version`](crate::Version).
    pub const VERSION: &str = "version";
    /// `{}` → [`State`](crate::State) word in `{"state": …}`.
    pub const CAPTURE_PAUSE: &str = "capture.pause";
    /// `{}` → `{"state": …}`.
    pub const CAPTURE_RESUME: &str = "capture.resume";
    /// `{}` → [`Quality`](crate::Quality).
    pub const QUALITY_GET: &str = "quality.get";
    /// `{"scale": 0.1…1.0}` or `{"profile": NAME}` → [`Quality`](crate::Quality).
    pub const QUALITY_SET: &str = "quality.set";
    /// `{}` → `{"title": …}`: what is playing; empty for nothing known.
    pub const TITLE_GET: &str = "title.get";
    /// `{"title": one line, empty for none}` → `{"title": …}`; of the sound that is captured from now on.
    pub const TITLE_SET: &str = "title.set";
    /// → [`Process`](crate::Process).
    pub const PROCESS_GET: &str = "process.get";
    /// `{"effects": [{"type": …, parameters}]}` → [`Process`](crate::Process).
    pub const PROCESS_SET: &str = "process.set";
    /// `{"on": true|false}` → [`Process`](crate::Process).
    pub const PROCESS_BYPASS: &str = "process.bypass";
    /// → [`DetailedStreamStats`](crate::DetailedStreamStats), its connections left out (they come in pages).
    pub const STATS: &str = "stats";
    /// `{"after": ID?, "limit": 1…200?}` → [`ConnectionPage`](crate::ConnectionPage).
    pub const CONNECTIONS: &str = "connections";
    /// `{"id": a connection id}` → `{}`; the connection is reset.
    pub const CONNECTIONS_KICK: &str = "connections.kick";
    /// → [`Meters`](crate::Meters); with `more`, a watch (ten a second).
    pub const METERS: &str = "meters";
    /// → [`DeviceList`](crate::DeviceList).
    pub const DEVICES: &str = "devices";
    /// → [`ReloadReport`](crate::ReloadReport).
    pub const RELOAD: &str = "reload";
    /// `{"level": "error|warn|info|debug|trace"}` → `{"level": …}`.
    pub const LOG_SET: &str = "log.set";
    /// `{"sub": …, "roles": […], "for_s": N, "audio_id": […]?, "paths": […]?}` → [`TokenMinted`](crate::TokenMinted).
    pub const TOKEN_MINT: &str = "token.mint";
    /// → [`TokenList`](crate::TokenList).
    pub const TOKEN_LIST: &str = "token.list";
    /// `{"jti": …}` or `{"sub": …}` → `{}`.
    pub const TOKEN_REVOKE: &str = "token.revoke";
    /// `{"name": …, "permissions": […], "addresses": […]?, "for_s": N?}` → [`KeyAdded`](crate::KeyAdded).
    pub const KEY_ADD: &str = "key.add";
    /// → [`KeyList`](crate::KeyList).
    pub const KEY_LIST: &str = "key.list";
    /// `{"key": an id or a name}` → [`KeyInfo`](crate::KeyInfo) of the key that was.
    pub const KEY_REMOVE: &str = "key.remove";
    /// → [`RoleList`](crate::RoleList).
    pub const ROLE_LIST: &str = "role.list";
    /// `{"token": …?, "method": …, "path": …, "address": …?}` → [`AccessTest`](crate::AccessTest).
    pub const ACCESS_TEST: &str = "access.test";
    /// → [`SessionList`](crate::SessionList).
    pub const ACCESS_SESSIONS: &str = "access.sessions";
    /// → [`Tls`](crate::Tls).
    pub const TLS_SHOW: &str = "tls.show";
    /// `{"level_dbfs"?, "frequency_hz"?, "silence"?}` on a tone source → the tone as it is now.
    pub const TONE_SET: &str = "tone.set";
    /// `{"fault": "overrun|suspend|stall|unplug", "ms": N}` on a tone source → `{}`.
    pub const TONE_FAULT: &str = "tone.fault";
}

//! The one table of methods: what each is called, who may call it, what it takes. No method exists
//! outside it.

use talas_wire::{Level, method};

use Call::*;
use Level::{Admin, Change, Read};

/// What a method does. `answer` and `watch` have an arm for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    Status,
    Version,
    Pause,
    Resume,
    GetQuality,
    SetQuality,
    Stats,
    Connections,
    Kick,
    Meters,
    Devices,
    Reload,
    SetLog,
    SetTone,
    FailTone,
}

/// A row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Method {
    /// Its name on the wire.
    pub name: &'static str,
    /// The least level that may call it.
    pub level: Level,
    /// What it does.
    pub call: Call,
    /// What it takes, for people who got it wrong.
    pub params: &'static str,
}

const fn row(name: &'static str, level: Level, call: Call, params: &'static str) -> Method {
    Method { name, level, call, params }
}

const NOTHING: &str = "no parameters";

/// All of them.
pub const METHODS: [Method; 15] = [
    row(method::STATUS, Read, Status, NOTHING),
    row(method::VERSION, Read, Version, NOTHING),
    row(method::CAPTURE_PAUSE, Change, Pause, NOTHING),
    row(method::CAPTURE_RESUME, Change, Resume, NOTHING),
    row(method::QUALITY_GET, Read, GetQuality, NOTHING),
    row(method::QUALITY_SET, Change, SetQuality, r#"either {"scale": 0.1 to 1} or {"profile": a name}"#),
    row(method::STATS, Read, Stats, NOTHING),
    row(
        method::CONNECTIONS,
        Read,
        Connections,
        r#"{"after": a connection id, "limit": 1 to 200}, both optional"#,
    ),
    row(method::CONNECTIONS_KICK, Change, Kick, r#"{"id": a connection id}"#),
    row(method::METERS, Read, Meters, NOTHING),
    row(method::DEVICES, Read, Devices, NOTHING),
    row(method::RELOAD, Admin, Reload, NOTHING),
    row(method::LOG_SET, Admin, SetLog, r#"{"level": "error", "warn", "info", "debug" or "trace"}"#),
    row(
        method::TONE_SET,
        Change,
        SetTone,
        r#"{"level_dbfs": 0 or less, "frequency_hz": above 0, "silence": true or false}, each optional"#,
    ),
    row(
        method::TONE_FAULT,
        Change,
        FailTone,
        r#"{"fault": "overrun", "suspend", "stall" or "unplug", "ms": 0 to 3600000}"#,
    ),
];

/// The method of this name.
pub fn find(name: &str) -> Option<&'static Method> {
    METHODS.iter().find(|method| method.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_rows_share_a_name_or_an_act() {
        for (n, row) in METHODS.iter().enumerate() {
            assert_eq!(find(row.name), Some(row));
            assert!(METHODS[..n].iter().all(|other| other.call != row.call), "{}", row.name);
        }
    }

    #[test]
    fn readers_only_look() {
        let open: Vec<_> = METHODS.iter().filter(|row| row.level == Read).map(|row| row.name).collect();
        let looks = ["status", "version", "quality.get", "stats", "connections", "meters", "devices"];
        assert_eq!(open, looks);
    }
}

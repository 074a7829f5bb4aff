//! The one table of methods: what each is called, what it takes. No method exists outside it, and who
//! may call one is in the table of permissions (`access`), where a method without a row is refused.

use talas_wire::method;

use Call::*;

use crate::access::{self, Rule};

/// What a method does. `answer` and `watch` have an arm for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    Status,
    Version,
    Pause,
    Resume,
    GetQuality,
    SetQuality,
    GetTitle,
    SetTitle,
    GetProcess,
    SetProcess,
    Bypass,
    Stats,
    Connections,
    Kick,
    Meters,
    Devices,
    Reload,
    SetLog,
    TokenMint,
    TokenList,
    TokenRevoke,
    KeyAdd,
    KeyList,
    KeyRemove,
    RoleList,
    AccessTest,
    AccessSessions,
    Tls,
    SetTone,
    FailTone,
}

/// A row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Method {
    /// Its name on the wire.
    pub name: &'static str,
    /// What it does.
    pub call: Call,
    /// What it takes, for people who got it wrong.
    pub params: &'static str,
}

impl Method {
    /// The row about it in the table of permissions.
    pub fn rule(&self) -> Option<&'static Rule> {
        access::control(self.name)
    }
}

const fn row(name: &'static str, call: Call, params: &'static str) -> Method {
    Method { name, call, params }
}

const NOTHING: &str = "no parameters";

/// All of them.
pub const METHODS: [Method; 30] = [
    row(method::STATUS, Status, NOTHING),
    row(method::VERSION, Version, NOTHING),
    row(method::CAPTURE_PAUSE, Pause, NOTHING),
    row(method::CAPTURE_RESUME, Resume, NOTHING),
    row(method::QUALITY_GET, GetQuality, NOTHING),
    row(method::QUALITY_SET, SetQuality, r#"either {"scale": 0.1 to 1} or {"profile": a name}"#),
    row(method::TITLE_GET, GetTitle, NOTHING),
    row(method::TITLE_SET, SetTitle, r#"{"title": one line, empty for none}"#),
    row(method::PROCESS_GET, GetProcess, NOTHING),
    row(
        method::PROCESS_SET,
        SetProcess,
        r#"{"effects": a list of {"type": a type of effect, and its parameters, each optional}}"#,
    ),
    row(method::PROCESS_BYPASS, Bypass, r#"{"on": true or false}"#),
    row(method::STATS, Stats, NOTHING),
    row(method::CONNECTIONS, Connections, r#"{"after": a connection id, "limit": 1 to 200}, both optional"#),
    row(method::CONNECTIONS_KICK, Kick, r#"{"id": a connection id}"#),
    row(method::METERS, Meters, NOTHING),
    row(method::DEVICES, Devices, NOTHING),
    row(method::RELOAD, Reload, NOTHING),
    row(method::LOG_SET, SetLog, r#"{"level": "error", "warn", "info", "debug" or "trace"}"#),
    row(
        method::TOKEN_MINT,
        TokenMint,
        r#"{"sub": who, "roles": names, "for_s": seconds, "audio_id": ids, "paths": paths}, the last two optional"#,
    ),
    row(method::TOKEN_LIST, TokenList, NOTHING),
    row(method::TOKEN_REVOKE, TokenRevoke, r#"either {"jti": a token's name} or {"sub": a subject}"#),
    row(
        method::KEY_ADD,
        KeyAdd,
        r#"{"name": a name, "permissions": names, "addresses": ranges, "for_s": seconds}, the last two optional"#,
    ),
    row(method::KEY_LIST, KeyList, NOTHING),
    row(method::KEY_REMOVE, KeyRemove, r#"{"key": an id or a name}"#),
    row(method::ROLE_LIST, RoleList, NOTHING),
    row(
        method::ACCESS_TEST,
        AccessTest,
        r#"{"token": a token or key, "method": of HTTP, "path": a path, "address": an IP address}, the first and the last optional"#,
    ),
    row(method::ACCESS_SESSIONS, AccessSessions, NOTHING),
    row(method::TLS_SHOW, Tls, NOTHING),
    row(
        method::TONE_SET,
        SetTone,
        r#"{"level_dbfs": 0 or less, "frequency_hz": above 0, "silence": true or false}, each optional"#,
    ),
    row(
        method::TONE_FAULT,
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
    use talas_wire::Level;

    #[test]
    fn no_two_rows_share_a_name_or_an_act() {
        for (n, row) in METHODS.iter().enumerate() {
            assert_eq!(find(row.name), Some(row));
            assert!(METHODS[..n].iter().all(|other| other.call != row.call), "{}", row.name);
        }
    }

    #[test]
    fn every_method_has_its_row_of_permissions_and_every_row_its_method() {
        for method in METHODS {
            assert!(method.rule().is_some(), "{} is in no row of src/access/table.rs", method.name);
        }
        for rule in access::TABLE {
            if let access::Subject::Method(name) = rule.subject {
                assert!(find(name).is_some(), "{name} has a row in src/access/table.rs and is no method");
            }
        }
    }

    #[test]
    fn readers_only_look() {
        let is_open = |row: &&Method| row.rule().map(access::least_level) == Some(Level::Read);
        let open: Vec<_> = METHODS.iter().filter(is_open).map(|row| row.name).collect();
        let looks = [
            "status",
            "version",
            "quality.get",
            "title.get",
            "process.get",
            "stats",
            "connections",
            "meters",
            "devices",
            "tls.show",
        ];
        assert_eq!(open, looks);
    }
}

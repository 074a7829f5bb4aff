//! From a command to what is asked of the daemon: one table, no I/O.

use serde_json::{Map, Value, json};
use talas_wire::method;

use crate::args::{
    AccessWish, EffectWish, KeyWish, OnOff, ProcessWish, QualityWish, Question, RoleWish, TokenEnd,
    TokenWish, ToneWish,
};

/// Connections asked for at once. The daemon allows 200; fewer keep each reply short.
const CONNECTIONS_PAGE: u32 = 100;

/// A question to the daemon.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// One of [`method`].
    pub method: &'static str,
    /// Its parameters; empty ones are not sent.
    pub params: Map<String, Value>,
    /// The first minor version of the protocol that knows the method and each parameter set here.
    /// A daemon of an older minor is not asked: it would refuse the field with a worse reason.
    pub since_minor: u32,
}

impl Call {
    fn new(method: &'static str) -> Self {
        Self { method, params: Map::new(), since_minor: 0 }
    }

    fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.params.insert(name.to_owned(), value.into());
        self
    }

    fn with_some(self, name: &str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }
}

/// What this command asks.
pub fn call(question: &Question) -> Call {
    match question {
        Question::Status { .. } => Call::new(method::STATUS),
        Question::Pause => Call::new(method::CAPTURE_PAUSE),
        Question::Resume => Call::new(method::CAPTURE_RESUME),
        Question::Quality { quality: None } => Call::new(method::QUALITY_GET),
        Question::Quality { quality: Some(QualityWish::Profile(name)) } => {
            Call::new(method::QUALITY_SET).with("profile", name.as_str())
        }
        Question::Quality { quality: Some(QualityWish::Scale(scale)) } => {
            Call::new(method::QUALITY_SET).with("scale", *scale)
        }
        Question::Title { text: None } => Call::new(method::TITLE_GET),
        Question::Title { text: Some(text) } => Call::new(method::TITLE_SET).with("title", text.as_str()),
        Question::Process { wish } => process(wish.as_ref()),
        Question::Stats => Call::new(method::STATS),
        Question::Meters { .. } => Call::new(method::METERS),
        Question::Devices => Call::new(method::DEVICES),
        Question::Reload => Call::new(method::RELOAD),
        Question::Log { level } => Call::new(method::LOG_SET).with("level", level.as_str()),
        Question::Version => Call::new(method::VERSION),
        Question::Tone(wish) => tone(wish),
        Question::Token(wish) => token(wish),
        Question::Key(wish) => key(wish),
        Question::Role(RoleWish::List) => Call::new(method::ROLE_LIST),
        Question::Access(wish) => access(wish),
    }
}

fn token(wish: &TokenWish) -> Call {
    match wish {
        TokenWish::Mint { sub, roles, for_s, audio_id, paths } => Call::new(method::TOKEN_MINT)
            .with("sub", sub.as_str())
            .with("roles", roles.as_slice())
            .with("for_s", *for_s)
            .with("audio_id", audio_id.as_slice())
            .with("paths", paths.as_slice()),
        TokenWish::List => Call::new(method::TOKEN_LIST),
        TokenWish::Revoke(TokenEnd { jti, sub }) => {
            Call::new(method::TOKEN_REVOKE).with_some("jti", jti.as_deref()).with_some("sub", sub.as_deref())
        }
    }
}

fn key(wish: &KeyWish) -> Call {
    match wish {
        KeyWish::Add { name, permissions, addresses, for_s } => Call::new(method::KEY_ADD)
            .with("name", name.as_str())
            .with("permissions", permissions.as_slice())
            .with("addresses", addresses.as_slice())
            .with_some("for_s", *for_s),
        KeyWish::List => Call::new(method::KEY_LIST),
        KeyWish::Remove { key } => Call::new(method::KEY_REMOVE).with("key", key.as_str()),
    }
}

fn access(wish: &AccessWish) -> Call {
    match wish {
        AccessWish::Test { token, method, path, address } => Call::new(method::ACCESS_TEST)
            .with_some("token", (!token.is_empty()).then_some(token.as_str()))
            .with("method", method.as_str())
            .with("path", path.as_str())
            .with_some("address", address.map(|address| address.to_string())),
        AccessWish::Sessions => Call::new(method::ACCESS_SESSIONS),
    }
}

/// The certificate of the HTTP door.
pub fn tls() -> Call {
    Call::new(method::TLS_SHOW)
}

/// The page of connections that follows the one which ended with `after`.
pub fn connections(after: Option<&str>) -> Call {
    let call = Call::new(method::CONNECTIONS).with("limit", CONNECTIONS_PAGE);
    match after {
        Some(id) => call.with("after", id),
        None => call,
    }
}

/// The end of a connection, by its whole id.
pub fn kick(id: &str) -> Call {
    Call::new(method::CONNECTIONS_KICK).with("id", id)
}

fn process(wish: Option<&ProcessWish>) -> Call {
    match wish {
        None => Call::new(method::PROCESS_GET),
        Some(ProcessWish::Set { effects }) => {
            Call::new(method::PROCESS_SET).with("effects", effects.iter().map(effect).collect::<Vec<_>>())
        }
        Some(ProcessWish::Clear) => Call::new(method::PROCESS_SET).with("effects", json!([])),
        Some(ProcessWish::Bypass { state }) => {
            Call::new(method::PROCESS_BYPASS).with("on", *state == OnOff::On)
        }
    }
}

fn effect(wish: &EffectWish) -> Value {
    let parameters = wish.parameters.iter().map(|(name, value)| (name.clone(), json!(value)));
    let kind = ("type".to_owned(), json!(wish.kind));
    Value::Object(std::iter::once(kind).chain(parameters).collect())
}

fn tone(wish: &ToneWish) -> Call {
    match wish {
        ToneWish::Level { dbfs } => Call::new(method::TONE_SET).with("level_dbfs", *dbfs),
        ToneWish::Frequency { hz } => Call::new(method::TONE_SET).with("frequency_hz", *hz),
        ToneWish::Silence => Call::new(method::TONE_SET).with("silence", json!(true)),
        ToneWish::Fault { fault, ms } => {
            Call::new(method::TONE_FAULT).with("fault", fault.as_str()).with("ms", *ms)
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Args, Command};

    /// What a typed line puts on the wire.
    fn asked(line: &str) -> (&'static str, String) {
        let args = Args::try_parse_from(line.split(' ')).expect("a good command line");
        let Command::Ask(question) = args.command else { panic!("{line} is more than a question") };
        let call = call(&question);
        (call.method, Value::Object(call.params).to_string())
    }

    #[test]
    fn commands_become_calls() {
        let cases = [
            ("talasctl status --watch", "status", "{}"),
            ("talasctl pause", "capture.pause", "{}"),
            ("talasctl resume", "capture.resume", "{}"),
            ("talasctl quality", "quality.get", "{}"),
            ("talasctl quality low", "quality.set", r#"{"profile":"low"}"#),
            ("talasctl quality 0.5", "quality.set", r#"{"scale":0.5}"#),
            ("talasctl process", "process.get", "{}"),
            (
                "talasctl process set gain:gain_db=-3 limiter",
                "process.set",
                r#"{"effects":[{"gain_db":-3.0,"type":"gain"},{"type":"limiter"}]}"#,
            ),
            ("talasctl process clear", "process.set", r#"{"effects":[]}"#),
            ("talasctl process bypass on", "process.bypass", r#"{"on":true}"#),
            ("talasctl log debug", "log.set", r#"{"level":"debug"}"#),
            ("talasctl tone level -30.5", "tone.set", r#"{"level_dbfs":-30.5}"#),
            ("talasctl tone frequency 440", "tone.set", r#"{"frequency_hz":440.0}"#),
            ("talasctl tone silence", "tone.set", r#"{"silence":true}"#),
            ("talasctl tone fault stall", "tone.fault", r#"{"fault":"stall","ms":1000}"#),
            (
                "talasctl token mint --sub ada --role operator --role dj --for 90m",
                "token.mint",
                r#"{"audio_id":[],"for_s":5400,"paths":[],"roles":["operator","dj"],"sub":"ada"}"#,
            ),
            (
                "talasctl token mint --sub ada --audio-id 7",
                "token.mint",
                r#"{"audio_id":["7"],"for_s":28800,"paths":[],"roles":["listener"],"sub":"ada"}"#,
            ),
            ("talasctl token revoke id-1", "token.revoke", r#"{"jti":"id-1"}"#),
            ("talasctl token revoke --sub ada", "token.revoke", r#"{"sub":"ada"}"#),
            (
                "talasctl key add kitchen --from ::1 --for 1d",
                "key.add",
                r#"{"addresses":["::1"],"for_s":86400,"name":"kitchen","permissions":["listen"]}"#,
            ),
            ("talasctl key remove kitchen", "key.remove", r#"{"key":"kitchen"}"#),
            ("talasctl role list", "role.list", "{}"),
            (
                "talasctl access test abc GET /x",
                "access.test",
                r#"{"method":"GET","path":"/x","token":"abc"}"#,
            ),
            ("talasctl access sessions", "access.sessions", "{}"),
            ("talasctl tone fault unplug --ms 50", "tone.fault", r#"{"fault":"unplug","ms":50}"#),
        ];
        for (line, method, params) in cases {
            assert_eq!(asked(line), (method, params.to_owned()), "{line}");
        }
    }

    #[test]
    fn the_next_page_follows_the_last_id() {
        assert_eq!(Value::Object(connections(None).params).to_string(), r#"{"limit":100}"#);
        assert_eq!(
            Value::Object(connections(Some("c7")).params).to_string(),
            r#"{"after":"c7","limit":100}"#
        );
    }
}

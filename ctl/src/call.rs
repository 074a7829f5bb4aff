//! From a command to what is asked of the daemon: one table, no I/O.

use serde_json::{Map, Value, json};
use talas_wire::method;

use crate::args::{Command, QualityWish, ToneWish};

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
}

/// What this command asks first; only `connections` asks again.
pub fn call(command: &Command) -> Call {
    match command {
        Command::Status { .. } => Call::new(method::STATUS),
        Command::Pause => Call::new(method::CAPTURE_PAUSE),
        Command::Resume => Call::new(method::CAPTURE_RESUME),
        Command::Quality { quality: None } => Call::new(method::QUALITY_GET),
        Command::Quality { quality: Some(QualityWish::Profile(name)) } => {
            Call::new(method::QUALITY_SET).with("profile", name.as_str())
        }
        Command::Quality { quality: Some(QualityWish::Scale(scale)) } => {
            Call::new(method::QUALITY_SET).with("scale", *scale)
        }
        Command::Stats => Call::new(method::STATS),
        Command::Connections => connections(None),
        Command::Meters { .. } => Call::new(method::METERS),
        Command::Devices => Call::new(method::DEVICES),
        Command::Reload => Call::new(method::RELOAD),
        Command::Log { level } => Call::new(method::LOG_SET).with("level", level.as_str()),
        Command::Version => Call::new(method::VERSION),
        Command::Tone(wish) => tone(wish),
    }
}

/// The page of connections that follows the one which ended with `after`.
pub fn connections(after: Option<&str>) -> Call {
    let call = Call::new(method::CONNECTIONS).with("limit", CONNECTIONS_PAGE);
    match after {
        Some(id) => call.with("after", id),
        None => call,
    }
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
    use crate::args::Args;

    /// What a typed line puts on the wire.
    fn asked(line: &str) -> (&'static str, String) {
        let args = Args::try_parse_from(line.split(' ')).expect("a good command line");
        let call = call(&args.command);
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
            ("talasctl connections", "connections", r#"{"limit":100}"#),
            ("talasctl log debug", "log.set", r#"{"level":"debug"}"#),
            ("talasctl tone level -30.5", "tone.set", r#"{"level_dbfs":-30.5}"#),
            ("talasctl tone frequency 440", "tone.set", r#"{"frequency_hz":440.0}"#),
            ("talasctl tone silence", "tone.set", r#"{"silence":true}"#),
            ("talasctl tone fault stall", "tone.fault", r#"{"fault":"stall","ms":1000}"#),
            ("talasctl tone fault unplug --ms 50", "tone.fault", r#"{"fault":"unplug","ms":50}"#),
        ];
        for (line, method, params) in cases {
            assert_eq!(asked(line), (method, params.to_owned()), "{line}");
        }
    }

    #[test]
    fn the_next_page_follows_the_last_id() {
        assert_eq!(
            Value::Object(connections(Some("c7")).params).to_string(),
            r#"{"after":"c7","limit":100}"#
        );
    }
}

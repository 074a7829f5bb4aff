//! The text messages of a session, each a JSON object with a `type`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::audio::StateMark;
use crate::mux::packet::{Content, HEADER_BYTES, VERSION};
use crate::station::packets::{About, Form, Hole};
use crate::tools::clock::WallClock;

/// What the daemon says.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Word<'a> {
    Connected {
        id: String,
        header_version: u8,
        header_bytes: usize,
        codec: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        encoding: Option<&'static str>,
        sample_rate: u32,
        channels: u16,
        capture_rate: u32,
        #[serde(skip_serializing_if = "Option::is_none")]
        frame_ms: Option<u32>,
        setup: String,
    },
    State {
        state: &'a str,
        reason: Option<&'a str>,
        since: u64,
    },
    Gap {
        position: u64,
        lost_samples: u64,
        reason: &'a str,
        timestamp: u64,
    },
    Clock {
        sent: f64,
        now_us: u64,
    },
    Error {
        code: &'a str,
        message: &'a str,
    },
}

/// What a client may say.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
enum Asked {
    Clock { sent: f64 },
}

fn text(word: &Word<'_>) -> String {
    // Plain structures of numbers and strings: there is nothing in them that JSON cannot say.
    serde_json::to_string(word).unwrap_or_default()
}

/// The first message: who the listener is, and what follows.
pub fn connected(id: String, form: Form, about: &About) -> String {
    let (codec, encoding) = match form.content() {
        Content::Opus => ("opus", None),
        Content::S16 => ("pcm", Some("s16")),
        Content::F32 => ("pcm", Some("f32")),
    };
    let frame_ms = if let Form::Opus { frame_ms, .. } = form { Some(frame_ms) } else { None };
    text(&Word::Connected {
        id,
        header_version: VERSION,
        header_bytes: HEADER_BYTES,
        codec,
        encoding,
        sample_rate: about.sample_rate,
        channels: about.channels,
        capture_rate: about.capture_rate,
        frame_ms,
        setup: STANDARD.encode(&about.setup),
    })
}

/// What the programme does.
pub fn state(mark: &StateMark) -> String {
    text(&Word::State { state: mark.state.as_str(), reason: mark.reason.as_deref(), since: mark.since_ms })
}

/// Sound that is missing.
pub fn gap(hole: &Hole, wall: &WallClock) -> String {
    text(&Word::Gap {
        position: hole.position,
        lost_samples: hole.lost,
        reason: hole.reason.as_str(),
        timestamp: wall.ms_at(hole.mono_ns),
    })
}

/// Why the session ends.
pub fn error(code: &str, message: &str) -> String {
    text(&Word::Error { code, message })
}

/// The answer to what a client said; `None` when it means nothing here.
pub fn answer(asked: &str, wall: &WallClock) -> Option<String> {
    let Asked::Clock { sent } = serde_json::from_str(asked).ok()?;
    Some(text(&Word::Clock { sent, now_us: wall.now_us() }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::{GapReason, State};
    use bytes::Bytes;
    use serde_json::{Value, json};

    fn read(text: &str) -> Value {
        serde_json::from_str(text).expect("JSON")
    }

    #[test]
    fn the_first_message_says_what_follows() {
        let about = About {
            sample_rate: 48_000,
            channels: 2,
            capture_rate: 44_100,
            setup: Bytes::from_static(b"Opus"),
        };
        let opus = Form::Opus { bitrate_kbps: Some(96), frame_ms: 5 };
        assert_eq!(
            read(&connected("1".to_owned(), opus, &about)),
            json!({
                "type": "connected", "id": "1", "header_version": 1, "header_bytes": 32, "codec": "opus",
                "sample_rate": 48_000, "channels": 2, "capture_rate": 44_100, "frame_ms": 5, "setup": "T3B1cw=="
            })
        );
        let pcm = read(&connected("1".to_owned(), Form::F32, &About { setup: Bytes::new(), ..about }));
        assert_eq!(
            (&pcm["codec"], &pcm["encoding"], &pcm["setup"]),
            (&"pcm".into(), &"f32".into(), &"".into())
        );
        assert!(pcm.get("frame_ms").is_none());
    }

    #[test]
    fn states_gaps_and_errors_are_objects_with_a_type() {
        let wall = WallClock::new();
        let mark = StateMark { state: State::Absent, reason: Some("no \"device\"".into()), since_ms: 9 };
        let told = json!({"type": "state", "state": "absent", "reason": "no \"device\"", "since": 9});
        assert_eq!(read(&state(&mark)), told);
        let hole = Hole { position: 7, lost: 8, reason: GapReason::Overrun, mono_ns: 0 };
        let told = read(&gap(&hole, &wall));
        assert_eq!(
            (&told["type"], &told["position"], &told["lost_samples"]),
            (&"gap".into(), &7.into(), &8.into())
        );
        assert_eq!(told["reason"], "overrun");
        assert_eq!(read(&error("a", "b")), json!({"type": "error", "code": "a", "message": "b"}));
    }

    #[test]
    fn the_clock_is_all_that_can_be_asked_for() {
        let wall = WallClock::new();
        let told = read(&answer("{\"type\":\"clock\",\"sent\":12.5}", &wall).expect("an answer"));
        assert_eq!((&told["type"], &told["sent"]), (&"clock".into(), &12.5.into()));
        assert!(told["now_us"].as_u64().is_some_and(|now_us| now_us / 1000 >= wall.now_ms() - 1000));
        for nonsense in [
            "",
            "{}",
            "[]",
            "null",
            "clock",
            "{\"type\":\"clock\"}",
            "{\"type\":\"stop\"}",
            "{\"type\":\"clock\",\"sent\":1,\"more\":2}",
            "{\"type\":\"clock\",\"sent\":\"1\"}",
        ] {
            assert_eq!(answer(nonsense, &wall), None, "{nonsense}");
        }
    }
}

//! The effects of the programme, from outside: what is configured, changed by `talasctl` or by a reload is
//! what listeners hear, in its place, and a pause leaves nothing of it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs;

use common::*;
use serde_json::Value;
use talasd::dsp::effect::Effect;

const TONE: &str = "[capture.tone]\nlevel_dbfs = -12.0\n";

fn with_effects(effects: &str) -> Setup {
    Setup::new(&format!("{TONE}[process]\neffects = [{effects}]\n"))
}

fn level_db(frame: &AudioFrame) -> f64 {
    let power: f64 = frame.a.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>() / frame.a.len() as f64;
    10.0 * (2.0 * power).log10()
}

/// Listens until the tone has this level, and holds that nothing is missing meanwhile.
fn hear_level(stream: &mut Sse, wanted_db: f64) {
    let mut before: Option<AudioFrame> = None;
    let mut heard = Vec::new();
    for _ in 0..200 {
        let frame = stream.frames(1).remove(0);
        if let Some(before) = before {
            assert_eq!(frame.number, before.number + 1);
            assert_eq!(frame.position, before.position + before.a.len() as u64);
        }
        heard.push(level_db(&frame));
        if (level_db(&frame) - wanted_db).abs() < 0.15 {
            return;
        }
        before = Some(frame);
    }
    panic!("never {wanted_db} dB: {heard:?}");
}

fn ctl(daemon: &Daemon, arguments: &[&str]) -> String {
    let output = daemon.ctl(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn effects_are_heard_and_changed_while_they_run() {
    let daemon = with_effects(r#"{ type = "gain", gain_db = -6 }, { type = "limiter" }"#).start();
    let mut stream = daemon.stream("?encoding=f32");
    hear_level(&mut stream, -18.0);
    let shown = ctl(&daemon, &["process"]);
    for part in ["gain", "gain_db -6", "limiter", "lowers by 0 dB", "delay 5 ms"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    ctl(&daemon, &["process", "set", "gain:gain_db=-20", "limiter"]);
    hear_level(&mut stream, -32.0);
    ctl(&daemon, &["process", "bypass", "on"]);
    hear_level(&mut stream, -12.0);
    assert!(ctl(&daemon, &["process"]).contains("bypassed"));
    ctl(&daemon, &["process", "bypass", "off"]);
    hear_level(&mut stream, -32.0);
    ctl(&daemon, &["process", "set", "limiter:ceiling_dbtp=-20"]);
    hear_level(&mut stream, -20.25);
    let process = eventually("what the limiter does", || {
        let process: Value = serde_json::from_str(&ctl(&daemon, &["--json", "process"])).unwrap();
        let lowered = process["effects"][0]["reduction_db"].as_f64().unwrap_or(0.0);
        ((lowered - 8.25).abs() < 0.1).then_some(process)
    });
    assert_eq!(process["latency_ms"], 5.0, "{process}");
    assert_eq!(daemon.status()["process"]["effects"][0]["type"], "limiter");
    let metrics = daemon.get_any("/metrics").text();
    assert!(metrics.contains("talas_effect_reduction_db{effect=\"1 limiter\"} 8."), "{metrics}");
    assert!(metrics.contains("talas_effects_latency_seconds 0.005"), "{metrics}");
    ctl(&daemon, &["process", "clear"]);
    hear_level(&mut stream, -12.0);
    assert_eq!(ctl(&daemon, &["process"]), "no effects: sound passes as it came in\n");
}

#[test]
fn wrong_wishes_change_nothing_and_say_what_would_be_right() {
    let daemon = with_effects(r#"{ type = "gain" }"#).start();
    for (effect, words) in [
        ("echo", "compressor"),
        ("gain:gain_db=90", "expected a number from -80 to 40"),
        ("gain:level=3", "gain_db"),
        ("notch:frequency_hz=30000", "half of 48000 Hz"),
    ] {
        let output = daemon.ctl(&["process", "set", effect]);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{effect}: {error}");
        assert!(error.contains(words), "{effect}: {error}");
    }
    assert_eq!(daemon.status()["process"]["effects"][0]["type"], "gain");
}

#[test]
fn a_reload_brings_other_effects() {
    let daemon = with_effects(r#"{ type = "gain", gain_db = -6 }"#).start();
    let mut stream = daemon.stream("?encoding=f32");
    hear_level(&mut stream, -18.0);
    let file = daemon.dir().join("talasd.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("gain_db = -6", "gain_db = -30")).unwrap();
    let report = ctl(&daemon, &["reload"]);
    assert!(report.contains("in force now:\n  process.effects"), "{report}");
    hear_level(&mut stream, -42.0);
}

#[test]
fn a_pause_leaves_no_echo() {
    let reverb = r#"{ type = "reverb", room_size = 1, damping = 0, wet = 1, dry = 1 }, { type = "limiter" }"#;
    let daemon = with_effects(reverb).start();
    let mut stream = daemon.stream("?encoding=f32");
    stream.frames(30);
    ctl(&daemon, &["pause"]);
    ctl(&daemon, &["tone", "silence"]);
    ctl(&daemon, &["resume"]);
    drop(stream);
    let mut stream = daemon.stream("?encoding=f32");
    for frame in stream.frames(20) {
        assert!(frame.a.iter().all(|sample| *sample == 0.0), "an echo of what was before the pause");
    }
}

#[test]
fn the_page_of_effects_tells_every_parameter() {
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/effects.md")).unwrap();
    for effect in Effect::kinds() {
        let (_, about) = page.split_once(&format!("\n## {}\n", effect.kind())).unwrap();
        let about = about.split("\n## ").next().unwrap();
        let rows: Vec<&str> = about.lines().filter(|line| line.starts_with("| `")).collect();
        let expected: Vec<String> = effect
            .parameters()
            .iter()
            .map(|(p, _)| {
                format!("| `{}` | {} | {} to {} | {} |", p.name, p.default, p.least, p.most, p.meaning)
            })
            .collect();
        assert_eq!(rows, expected, "{}", effect.kind());
    }
}

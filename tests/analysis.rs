//! What is measured of the sound, through every door of the real daemon: values, conditions that begin and
//! end, and the three kinds of nothing.

#![allow(clippy::unwrap_used, reason = "a test ends by panicking")]

mod common;

use std::collections::BTreeSet;

use common::*;
use serde_json::{Value, json};

fn quality(daemon: &Daemon) -> Value {
    daemon.get("/api/audio/quality")
}

/// Waits until what there is to hear is this.
fn until_signal(daemon: &Daemon, signal: &str) -> Value {
    eventually(signal, || Some(quality(daemon)).filter(|quality| quality["signal"] == signal))
}

fn conditions(answer: &Value) -> Vec<String> {
    let conditions = answer["conditions"].as_array().unwrap().iter();
    conditions.map(|condition| condition["condition"].as_str().unwrap().to_owned()).collect()
}

fn assert_near(value: &Value, expected: f64, tolerance: f64, what: &str) {
    let found = value.as_f64().unwrap_or_else(|| panic!("{what} is {value}"));
    assert!((found - expected).abs() <= tolerance, "{what}: {found} instead of {expected}");
}

/// Lines of the journal about a condition.
fn told(daemon: &Daemon, event: &str, condition: &str) -> usize {
    let reason = format!("reason=\"{condition}\"");
    daemon.events(event).iter().filter(|line| line.contains(&reason)).count()
}

/// The conditions that a listener is told of, up to this one.
fn conditions_until(mut stream: Sse, last: &str) -> BTreeSet<String> {
    let mut heard = BTreeSet::new();
    while !heard.contains(last) {
        let event = stream.event().expect("the stream goes on");
        if event.name == "audio-quality" {
            heard.extend(conditions(&event.json()));
        }
    }
    heard
}

#[test]
fn a_tone_is_measured_as_what_it_is() {
    let daemon = Setup::tone().start();
    let measured = eventually("a range", || {
        Some(quality(&daemon)).filter(|quality| quality["loudness"]["range_lu"].is_number())
    });
    // 440 Hz at −18 dBFS, in both channels.
    assert_near(&measured["rms_level"], 0.089, 0.001, "rms_level");
    assert_near(&measured["peak_level"], 0.1259, 0.001, "peak_level");
    assert_near(&measured["channels"][1]["rms_dbfs"], -21.01, 0.1, "rms");
    assert_near(&measured["channels"][1]["true_peak_dbtp"], -18.0, 0.2, "true peak");
    assert_near(&measured["loudness"]["integrated_lufs"], -18.6, 0.5, "loudness");
    assert_near(&measured["dynamic_range"], 0.0, 0.2, "dynamic range");
    assert!(measured["signal_to_noise_ratio"].as_f64().unwrap() > 40.0);
    assert_near(&measured["correlation"], 1.0, 0.01, "correlation");
    let spectrum = measured["frequency_spectrum"].as_array().unwrap();
    let level = |bin: usize| spectrum[bin].as_f64().unwrap_or(f64::NEG_INFINITY);
    let loudest = (0..spectrum.len()).max_by(|a, b| level(*a).total_cmp(&level(*b))).unwrap();
    assert_near(
        &json!(loudest as f64 * measured["spectrum_bin_hz"].as_f64().unwrap()),
        440.0,
        24.0,
        "loudest",
    );
    assert_eq!(
        (&measured["silence_detected"], &measured["clipping_detected"]),
        (&json!(false), &json!(false))
    );
    assert_eq!((&measured["signal"], conditions(&measured)), (&json!("sound"), vec![]));
    assert!(measured["timestamp"].as_str().unwrap().ends_with('Z'));
    let origin = [("Origin", "http://localhost:3000")];
    for path in ["/api/audio/quality", "/api/audio/performance"] {
        let answer = request(daemon.address(), "GET", path, &origin, b"");
        assert_eq!(answer.header("access-control-allow-origin"), Some("http://localhost:3000"));
        assert_eq!(request(daemon.address(), "POST", path, &[], b"").status, 405, "{path}");
    }
}

#[test]
fn nothing_is_playing_a_dead_input_and_a_stalled_source_are_told_apart() {
    let daemon = Setup::new("[capture.tone]\n[analysis]\nsilence_hold_ms = 500\n").start();
    let stream = daemon.stream("?encoding=s16&events=quality");
    // A listener hears of each while it holds.
    let listener = std::thread::spawn(move || conditions_until(stream, "digital_silence"));
    until_signal(&daemon, "sound");

    daemon.ask("tone.set", &json!({"level_dbfs": -80.0}));
    let quiet = until_signal(&daemon, "silence");
    assert_eq!((conditions(&quiet), &quiet["silence_detected"]), (vec!["silence".to_owned()], &json!(true)));

    daemon.ask("tone.set", &json!({"silence": true}));
    let dead = until_signal(&daemon, "dead");
    assert_eq!(conditions(&dead), ["digital_silence"]);
    assert!(dead["channels"][0]["rms_dbfs"].is_null() && dead["frequency_spectrum"][3].is_null());
    let status = daemon.status();
    assert_eq!((&status["signal"], &status["state"]), (&json!("dead"), &json!("running")));
    assert!(status["conditions"][0]["since_ms"].as_u64().unwrap() > 0);
    let page = String::from_utf8(daemon.ctl(&["status"]).stdout).unwrap();
    assert!(page.contains("the input is dead for"), "{page}");

    daemon.ask("tone.fault", &json!({"fault": "stall", "ms": 60_000}));
    let stalled = until_signal(&daemon, "stalled");
    assert_eq!((conditions(&stalled), &stalled["channels"]), (vec![], &json!([])));

    for condition in ["silence", "digital_silence"] {
        for event in ["condition_began", "condition_ended"] {
            eventually(event, || (told(&daemon, event, condition) == 1).then_some(()));
        }
    }
    let heard = listener.join().unwrap();
    assert!(heard.contains("silence"), "{heard:?}");
}

#[test]
fn a_pause_measures_nothing_and_forgets_everything() {
    let daemon = Setup::tone().start();
    eventually("loudness", || quality(&daemon)["loudness"]["integrated_lufs"].as_f64());
    assert_eq!(daemon.control(r#"{"action":"pause"}"#).status, 200);
    let paused = quality(&daemon);
    assert_eq!((&paused["signal"], &paused["channels"]), (&json!("paused"), &json!([])));
    assert_eq!((&paused["rms_level"], &paused["measured_seconds"]), (&json!(0.0), &json!(0.0)));
    assert!(paused["loudness"].as_object().unwrap().values().all(Value::is_null));
    assert_eq!(paused["frequency_spectrum"], json!([]));
    daemon.ask("tone.set", &json!({"level_dbfs": -60.0}));
    assert_eq!(daemon.control(r#"{"action":"resume"}"#).status, 200);
    let after = eventually("loudness of what came after", || {
        Some(quality(&daemon)).filter(|quality| quality["loudness"]["momentary_lufs"].is_number())
    });
    assert!(after["loudness"]["max_momentary_lufs"].as_f64().unwrap() < -50.0, "{after}");
}

#[test]
fn clipping_a_dead_channel_and_what_is_missing_are_seen_on_a_card() {
    // A square wave beyond the card's range on the left, nothing on the right.
    let frames = (0..4800).flat_map(|n| [if n % 96 < 48 { i16::MAX } else { i16::MIN }, 0]);
    let samples: Vec<i16> = frames.collect();
    let card = SimCard::new(|builder| builder.samples_s16(&samples));
    let daemon = card.setup("[analysis]\ndead_channel_hold_ms = 300\n").start();
    let seen = eventually("both conditions", || {
        Some(quality(&daemon)).filter(|quality| conditions(quality) == ["dead_channel", "clipping"])
    });
    assert_eq!(seen["conditions"][0]["channels"], json!([1]));
    assert_eq!(seen["conditions"][1]["channels"], json!([0]));
    assert_eq!(seen["clipping_detected"], true);
    let page = Exposition::parse(&daemon.get_any("/metrics").text());
    assert_eq!(page.count("talas_condition{condition=\"dead_channel\"}"), 1);
    assert!(page.count("talas_condition_seen_total{condition=\"clipping\"}") > 4000);
    card.card.stall(true).unwrap();
    until_signal(&daemon, "stalled");
    card.card.stall(false).unwrap();
    card.card.unplug().unwrap();
    until_signal(&daemon, "absent");
}

#[test]
fn speech_and_music_are_clean() {
    let samples: Vec<i16> = demo().iter().map(|sample| (sample * 32_768.0) as i16).collect();
    let card = SimCard::new(|builder| builder.samples_s16(&samples));
    let daemon = card.setup("").start();
    let measured = eventually("ten seconds", || {
        Some(quality(&daemon)).filter(|quality| quality["measured_seconds"].as_f64().unwrap() > 10.0)
    });
    assert_eq!(conditions(&measured), Vec::<String>::new(), "{measured}");
    assert!(measured["dynamic_range"].as_f64().unwrap() > 3.0);
}

#[test]
fn performance_is_measured_and_scored() {
    let daemon = Setup::tone().start();
    let performance = || daemon.get("/api/audio/performance");
    let good = eventually("a score", || {
        Some(performance()).filter(|performance| performance["quality_score"].is_number())
    });
    assert_eq!(good["quality_score"], 100.0);
    assert!(good["processing_time_ms"].as_f64().unwrap() > 0.0);
    assert!(good["memory_usage_mb"].as_f64().unwrap() > 1.0);
    assert!(good["cpu_usage_percent"].as_f64().unwrap() >= 0.0);
    assert_eq!((&good["buffer_overruns"], &good["buffer_underruns"]), (&json!(0), &json!(0)));
    daemon.ask("tone.fault", &json!({"fault": "overrun", "ms": 700}));
    let after = eventually("a worse score", || {
        Some(performance()).filter(|after| after["quality_score"].as_f64().unwrap() < 99.0)
    });
    assert_eq!(after["buffer_overruns"], 1);
    daemon.ask("tone.fault", &json!({"fault": "stall", "ms": 1500}));
    eventually("an underrun", || (performance()["buffer_underruns"] == 1).then_some(()));
}

#[test]
fn a_spectrogram_comes_as_events_and_a_reload_switches_parts_off() {
    let setup = Setup::new("[capture.tone]\nfrequency_hz = 1000\n");
    let daemon = setup.start();
    let mut stream = daemon.stream("?encoding=s16&events=spectrum");
    stream.frames(40);
    let column = stream.extra.last().expect("ten a second").json();
    let (levels, middles) = (&column["levels_dbfs"], &column["frequencies_hz"]);
    assert_eq!(levels.as_array().unwrap().len(), middles.as_array().unwrap().len());
    let level = |band: usize| levels[band].as_f64().unwrap_or(f64::NEG_INFINITY);
    let loudest = (0..levels.as_array().unwrap().len()).max_by(|a, b| level(*a).total_cmp(&level(*b)));
    assert_near(&middles[loudest.unwrap()], 1000.0, 60.0, "the loudest band");
    let file = daemon.dir().join("talasd.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{text}[analysis]\nspectrum = false\nloudness = false\n")).unwrap();
    let report = daemon.ctl(&["--json", "reload"]);
    let report: Value = serde_json::from_slice(&report.stdout).unwrap_or_default();
    assert_eq!(report["applied"], json!(["analysis.loudness", "analysis.spectrum"]), "{report}");
    let less = eventually("no spectrum", || {
        Some(quality(&daemon)).filter(|quality| quality["frequency_spectrum"] == json!([]))
    });
    assert!(less["loudness"]["momentary_lufs"].is_null() && less["channels"][0]["rms_dbfs"].is_number());
}

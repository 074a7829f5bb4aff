//! Pause is privacy: nothing captured between the answer to `pause` and the wish to resume is heard, by
//! any door, now or later.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use common::*;
use serde_json::Value;
use talas_simcard_control::content::ramp_number_f32;

const PAUSE: &str = r#"{"action":"pause"}"#;
const RESUME: &str = r#"{"action":"resume"}"#;
const EVERY_WAY: [&str; 7] = [
    "?encoding=json",
    "?encoding=f32",
    "?encoding=s16",
    "?encoding=deflate",
    "?encoding=f32&quality=0.5",
    "?encoding=s16&quality=0.25",
    "?encoding=json&quality=0.125",
];

fn tell(daemon: &Daemon, command: &str) -> String {
    let answer = daemon.control(command);
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["message"].as_str().unwrap().to_owned()
}

fn state_file(daemon: &Daemon) -> PathBuf {
    daemon.dir().join("state/station.json")
}

/// Whether the daemon would start paused; `None` before it had to remember anything.
fn remembered(daemon: &Daemon) -> Option<bool> {
    let text = fs::read(state_file(daemon)).ok()?;
    serde_json::from_slice::<Value>(&text).unwrap()["paused"].as_bool()
}

fn levels(daemon: &Daemon) -> Vec<Value> {
    let output = daemon.ctl(&["--json", "meters"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let meters: Value = serde_json::from_slice(&output.stdout).unwrap();
    meters["channels"].as_array().unwrap().clone()
}

/// The card's number of a full-quality frame's first sample, less the frame's position.
fn card_offset(frame: &AudioFrame) -> i64 {
    i64::from(ramp_number_f32(frame.a[0], frame.b[0])) - i64::try_from(frame.position).unwrap()
}

/// Everything told up to the state; the last of it is that state.
fn hear_until(stream: &mut Sse, state: &str) -> Vec<Heard> {
    let mut heard = Vec::new();
    loop {
        heard.push(stream.next().expect("the stream goes on"));
        if matches!(heard.last(), Some(Heard::State(name, _)) if name == state) {
            return heard;
        }
    }
}

/// What is told before the next frame, and that frame.
fn hear_frame(stream: &mut Sse) -> (Vec<Heard>, AudioFrame) {
    let mut told = Vec::new();
    let frame = stream.frame(&mut told);
    (told, frame)
}

#[test]
fn nothing_captured_during_a_pause_is_heard_by_anyone() {
    let card = SimCard::new(|b| b.ramp());
    let daemon = card.setup("").start();
    let mut reference = daemon.stream("?encoding=f32");
    let mut streams: Vec<Sse> = EVERY_WAY.iter().map(|query| daemon.stream(query)).collect();
    let mut lazy = daemon.stream("");
    for way in EVERY_WAY.iter().take(3) {
        let offset = card_offset(&reference.frames(5)[4]);
        streams.iter_mut().for_each(|stream| drop(hear_frame(stream)));
        let card_frame = |position: u64| u64::try_from(i64::try_from(position).unwrap() + offset).unwrap();
        assert_eq!(tell(&daemon, PAUSE), "Stream paused");
        let paused_at = card.card.frame_now(48_000);
        streams.push(daemon.stream(way));
        std::thread::sleep(Duration::from_millis(300));
        let resumed_at = card.card.frame_now(48_000);
        assert_eq!(tell(&daemon, RESUME), "Stream resumed");
        for stream in std::iter::once(&mut reference).chain(&mut streams) {
            for heard in hear_until(stream, "paused") {
                let Heard::Frame(frame) = heard else { continue };
                let end = card_frame(frame.position + frame.captured(48_000));
                assert!(end <= paused_at, "heard up to {end}, paused at {paused_at}");
            }
            let (told, frame) = hear_frame(stream);
            let first = card_frame(frame.position);
            assert!(first >= resumed_at, "heard from {first}, resumed at {resumed_at}");
            assert!(told.iter().any(|heard| matches!(heard, Heard::State(name, _) if name == "running")));
            for heard in told {
                let Heard::Gap(gap) = heard else { continue };
                assert_eq!(gap["reason"], "paused", "{gap}");
                assert!(gap["lost_samples"].as_u64().unwrap() >= resumed_at - paused_at, "{gap}");
            }
        }
        // The card's own numbers prove the length of the gap.
        assert_eq!(card_offset(&reference.frames(2)[1]), offset);
        // One that read nothing in all that time hears nothing of it either.
        let newest = card.card.frame_now(48_000);
        let deaf = paused_at..resumed_at;
        while let Heard::Frame(frame) = lazy.next().unwrap() {
            assert!(!deaf.contains(&card_frame(frame.position)) && card_frame(frame.position) < newest);
        }
    }
}

#[test]
fn no_filter_and_no_buffer_carries_sound_over_a_pause() {
    let daemon = Setup::new("[capture.tone]\nlevel_dbfs = 0.0\n").start();
    let mut streams: Vec<Sse> = EVERY_WAY.iter().map(|query| daemon.stream(query)).collect();
    for stream in &mut streams {
        assert!(stream.frames(3)[2].a.iter().any(|sample| sample.abs() > 0.9));
    }
    tell(&daemon, PAUSE);
    assert!(daemon.ctl(&["tone", "silence"]).status.success());
    std::thread::sleep(Duration::from_millis(200));
    tell(&daemon, RESUME);
    streams.extend(EVERY_WAY.iter().map(|query| daemon.stream(query)));
    for (n, stream) in streams.iter_mut().enumerate() {
        if n < EVERY_WAY.len() {
            hear_until(stream, "paused");
        }
        for _ in 0..3 {
            let (_, frame) = hear_frame(stream);
            let loud = frame.a.iter().chain(&frame.b).find(|sample| **sample != 0.0);
            assert_eq!(loud, None, "{} still rings", EVERY_WAY[n % EVERY_WAY.len()]);
        }
    }
}

#[test]
fn a_pause_is_told_at_once_and_empties_the_meters_and_keeps_the_rest() {
    let daemon = Setup::new("http.sse_heartbeat_s = 1\n[capture.tone]\n").start();
    let mut stream = daemon.stream("?encoding=s16");
    stream.frames(5);
    eventually("levels", || Some(levels(&daemon)).filter(|levels| levels.len() == 2));
    let before = daemon.get("/api/audio/stats");
    assert!(daemon.ctl(&["pause"]).status.success());
    assert_eq!(levels(&daemon), [] as [Value; 0]);
    assert_eq!(daemon.status()["state"], "paused");
    hear_until(&mut stream, "paused");
    // One who comes now learns the state and hears heartbeats, and nothing else.
    let mut late = daemon.stream("");
    assert_eq!(late.event().unwrap().json()["state"], "paused");
    assert_eq!(late.event().unwrap().data, "heartbeat-1");
    assert_eq!(levels(&daemon), [] as [Value; 0]);
    let after = daemon.get("/api/audio/stats");
    assert_eq!((&after["active_subscribers"], &after["dropped_frames"]), (&2.into(), &0.into()));
    assert!(after["total_frames"].as_u64() >= before["total_frames"].as_u64());
    assert_eq!(daemon.get_any("/readyz").status, 200, "paused on purpose is ready");
    assert!(daemon.ctl(&["resume"]).status.success());
    late.until_state("running");
    late.frames(2);
    assert_eq!(stream.until_gap()["reason"], "paused");
    eventually("levels again", || Some(levels(&daemon)).filter(|levels| levels.len() == 2));
    assert_eq!(daemon.status()["capture"]["lost_samples"], 0, "a pause is no loss");
}

#[test]
fn a_pause_survives_a_restart_from_the_first_moment() {
    let card = SimCard::new(|b| b.ramp());
    let daemon = card.setup("").env("TALAS_HTTP__SSE_HEARTBEAT_S", "1").start();
    tell(&daemon, PAUSE);
    let daemon = daemon.restart();
    assert_eq!(daemon.status()["state"], "paused");
    let mut stream = daemon.stream("");
    assert_eq!(stream.event().unwrap().json()["state"], "paused");
    for _ in 0..2 {
        assert_eq!(stream.event().unwrap().name, "heartbeat", "and nothing else");
    }
    assert_eq!(levels(&daemon), [] as [Value; 0]);
    let drained = card.card.counters().frames;
    eventually("the card to be drained", || (card.card.counters().frames > drained).then_some(()));
    let resumed_at = card.card.frame_now(48_000);
    tell(&daemon, RESUME);
    let (_, frame) = hear_frame(&mut stream);
    assert!(u64::from(ramp_number_f32(frame.a[0], frame.b[0])) >= resumed_at);
    let daemon = daemon.restart();
    daemon.wait_for_status("running", |status| status["state"] == "running");
}

#[test]
fn who_cannot_remember_starts_paused_and_says_so() {
    for content in ["{\"pau", "", "null", "[]", "{\"paused\":1}", "{}", "\u{0}\u{0}"] {
        let setup = Setup::tone();
        fs::create_dir(setup.dir().join("state")).unwrap();
        fs::write(setup.dir().join("state/station.json"), content).unwrap();
        let daemon = setup.start();
        assert_eq!(daemon.status()["state"], "paused", "{content:?}");
        assert_eq!(daemon.events("state_unreadable").len(), 1, "{content:?}");
        assert_eq!(tell(&daemon, RESUME), "Stream resumed");
        assert_eq!(remembered(&daemon), Some(false), "mended");
    }
}

#[test]
fn without_a_place_to_remember_it_a_pause_holds_and_warns() {
    let setup = Setup::tone();
    let place = setup.dir().join("state");
    let daemon = setup.start();
    fs::remove_dir(&place).unwrap();
    fs::write(&place, "in the way").unwrap();
    let mut stream = daemon.stream("?encoding=s16");
    stream.frames(2);
    let message = tell(&daemon, PAUSE);
    assert!(message.starts_with("Stream paused; ") && message.contains("not survive a restart"), "{message}");
    assert!(
        message.contains("station.json") && message.matches("os error").count() == 1,
        "said once: {message}"
    );
    hear_until(&mut stream, "paused");
    assert_eq!(daemon.status()["state"], "paused");
    let output = daemon.ctl(&["--json", "pause"]);
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stdout).contains("not survive a restart"));
    assert_eq!(daemon.status()["disk"]["writable"], false);
    assert!(tell(&daemon, RESUME).starts_with("Stream resumed; "));
    let mut told = Vec::new();
    stream.frame(&mut told);
    let daemon = daemon.restart();
    assert_eq!(daemon.status()["state"], "paused", "what cannot be read is taken for paused");
    assert_eq!(fs::read_to_string(&place).unwrap(), "in the way");
}

#[test]
fn pause_and_unplug_in_every_order() {
    let card = SimCard::new(|b| b.ramp());
    let daemon = card.setup("").start();
    let mut stream = daemon.stream("?encoding=f32");
    let offset = card_offset(&stream.frames(3)[2]);
    let source = |state: &str| daemon.wait_for_status(state, |status| status["source"]["state"] == state);
    // The device goes and comes while paused: nobody hears of it.
    tell(&daemon, PAUSE);
    card.card.unplug().unwrap();
    assert_eq!(source("absent")["state"], "paused");
    card.card.replug().unwrap();
    assert_eq!(source("running")["state"], "paused");
    let resumed_at = card.card.frame_now(48_000);
    tell(&daemon, RESUME);
    hear_until(&mut stream, "paused");
    assert_eq!(stream.until_gap()["reason"], "paused");
    let first = stream.frames(1).remove(0);
    assert!(u64::from(ramp_number_f32(first.a[0], first.b[0])) >= resumed_at);
    // Paused while it is away, resumed without it: absent, then back.
    card.card.unplug().unwrap();
    hear_until(&mut stream, "absent");
    tell(&daemon, PAUSE);
    hear_until(&mut stream, "paused");
    tell(&daemon, RESUME);
    hear_until(&mut stream, "absent");
    assert_eq!(daemon.status()["state"], "absent");
    assert_eq!(daemon.get_any("/readyz").status, 503);
    card.card.replug().unwrap();
    hear_until(&mut stream, "running");
    assert_eq!(stream.until_gap()["reason"], "absent");
    let back = stream.frames(5).remove(4);
    assert!(
        (card_offset(&back) - offset).abs() <= 4,
        "two returns, each exact: {}",
        card_offset(&back) - offset
    );
}

#[test]
fn two_who_disagree_leave_one_truth() {
    let daemon = Setup::tone().start();
    let mut stream = daemon.stream("?encoding=s16");
    std::thread::scope(|scope| {
        scope.spawn(|| (0..25).for_each(|n| drop(tell(&daemon, [PAUSE, RESUME][n % 2]))));
        let ctl = |n: usize| assert!(daemon.ctl(&[["resume", "pause"][n % 2]]).status.success());
        scope.spawn(move || (0..25).for_each(ctl));
    });
    let is_paused = daemon.status()["state"] == "paused";
    assert_eq!(remembered(&daemon), Some(is_paused), "memory and programme agree");
    tell(&daemon, PAUSE);
    assert_eq!((remembered(&daemon), &daemon.status()["state"]), (Some(true), &"paused".into()));
    tell(&daemon, RESUME);
    assert_eq!(remembered(&daemon), Some(false));
    // The laws of numbers are checked on every event of all those pauses.
    eventually("steady sound", || {
        let mut told = Vec::new();
        (0..10).for_each(|_| drop(stream.frame(&mut told)));
        told.is_empty().then_some(())
    });
}

#[test]
fn who_leaves_before_the_answer_leaves_no_half_pause() {
    let daemon = Setup::tone().start();
    for round in 0..20 {
        let command = [PAUSE, RESUME][round % 2];
        let mut stream = connect(daemon.address());
        let length = command.len();
        write!(
            stream,
            "POST /api/audio/control HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\n\r\n{command}"
        )
        .unwrap();
        std::thread::sleep(Duration::from_micros(200 * round as u64));
        drop(stream);
        std::thread::sleep(Duration::from_millis(50));
        eventually("memory and programme to agree", || {
            let is_paused = daemon.status()["state"] == "paused";
            (remembered(&daemon).unwrap_or(false) == is_paused).then_some(())
        });
    }
}

//! What a listener of live frames hears and what is told about listeners: figures, quality, slowness.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, UNIX_EPOCH};

use common::*;
use serde_json::{Value, json};

const BLOCK: u64 = 1024;
const STATS: &str = "/api/audio/stats";

fn fields(value: &Value) -> BTreeSet<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

fn number(value: &Value, field: &str) -> f64 {
    value[field].as_f64().unwrap_or_else(|| panic!("{field} in {value}"))
}

/// The entry of a stream in the list of connections.
fn connection(stats: &Value, id: &str) -> Value {
    let list = stats["connections"].as_array().unwrap();
    list.iter().find(|entry| entry["id"] == id).unwrap_or_else(|| panic!("{id} in {stats}")).clone()
}

fn adjust(daemon: &Daemon, quality: f64) {
    let command = json!({ "action": "adjust_quality", "params": { "quality": quality } });
    assert_eq!(daemon.control(&command.to_string()).status, 200);
}

#[test]
fn every_figure_is_there_plausible_and_moves() {
    let daemon = Setup::tone().start();
    let mut stream = daemon.stream("?encoding=f32");
    let stats = eventually("figures over some seconds", || {
        stream.frames(25);
        let stats = daemon.get(STATS);
        let settled = (45.0..49.0).contains(&number(&stats, "frames_per_second"))
            && (21.0..200.0).contains(&number(&stats, "average_latency_ms"))
            && number(&stats, "bandwidth_usage_mbps") > 2.0;
        settled.then_some(stats)
    });
    let expected = "active_subscribers average_latency_ms bandwidth_usage_mbps connection_count connections cpu_usage \
                    dropped_frames error_rate_percent frames_per_second memory_usage total_frames uptime_seconds";
    assert_eq!(fields(&stats), expected.split_whitespace().collect());
    assert_eq!((&stats["active_subscribers"], &stats["connection_count"]), (&1.into(), &1.into()));
    assert_eq!((&stats["dropped_frames"], &stats["error_rate_percent"]), (&0.into(), &0.0.into()));
    assert!(number(&stats, "bandwidth_usage_mbps") < 10.0, "12 kB, 47 times a second: {stats}");
    assert!((0.0..200.0).contains(&number(&stats, "cpu_usage")), "{stats}");
    let memory = &stats["memory_usage"];
    assert_eq!(fields(memory), BTreeSet::from(["available_bytes", "used_bytes", "virtual_bytes"]));
    assert!(
        number(memory, "used_bytes") > 1e6 && number(memory, "used_bytes") < number(memory, "virtual_bytes")
    );
    assert!(number(memory, "available_bytes") > 1e6);
    stream.frames(60);
    let later = daemon.get(STATS);
    for field in ["total_frames", "uptime_seconds"] {
        assert!(number(&later, field) > number(&stats, field), "{field}: {later}");
    }
    assert!(number(&later, "total_frames") - number(&stats, "total_frames") >= 55.0);
    let ctl = daemon.ctl(&["--json", "stats"]);
    let told: Value = serde_json::from_slice(&ctl.stdout).unwrap();
    assert_eq!(fields(&told), fields(&stats), "both doors tell the same");
    drop(stream);
    daemon.wait_for_status("nobody", |status| status["listeners"]["sse"] == 0);
    assert_eq!(daemon.get(STATS)["connections"], json!([]));
}

#[test]
fn a_connection_is_told_as_it_is() {
    let daemon = Setup::tone().start();
    let mut stream = daemon.stream("?encoding=s16");
    stream.frames(3);
    let first = connection(&daemon.get(STATS), &stream.id);
    let expected = "bytes_sent connected_at errors_count frames_sent id ip_address kind last_heartbeat path user_agent user_id";
    assert_eq!(fields(&first), expected.split_whitespace().collect());
    assert_eq!((&first["path"], &first["kind"]), (&"/api/audio/stream".into(), &"sse".into()));
    assert_eq!((&first["ip_address"], &first["user_agent"]), (&"127.0.0.1".into(), &"unknown".into()));
    assert_eq!((&first["user_id"], &first["errors_count"]), (&Value::Null, &0.into()));
    let time =
        |value: &Value, field: &str| value[field].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    stream.frames(20);
    let later = connection(&daemon.get(STATS), &stream.id);
    assert_eq!(first["connected_at"], later["connected_at"]);
    assert!(time(&later, "last_heartbeat") > time(&first, "last_heartbeat"));
    assert!(time(&first, "last_heartbeat") >= time(&first, "connected_at"));
    let page = daemon.ctl(&["--json", "connections"]);
    assert!(String::from_utf8_lossy(&page.stdout).contains(&stream.id));
}

#[test]
fn what_counts_as_sent_is_what_arrives() {
    let daemon = Setup::tone().start();
    let mut stream = connect(daemon.address());
    stream.write_all(b"GET /api/audio/stream HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let writer = heard.clone();
    std::thread::spawn(move || {
        let mut piece = vec![0; 65_536];
        while let Ok(count @ 1..) = stream.read(&mut piece) {
            writer.lock().unwrap().extend_from_slice(&piece[..count]);
        }
    });
    // Bytes after the head, and whole frames among them.
    let received = || {
        let heard = String::from_utf8_lossy(&heard.lock().unwrap()).into_owned();
        let body = heard.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        let frames = body.split("event: audio-frame").skip(1).filter(|rest| rest.contains("\n\n")).count();
        (body.len() as u64, frames as u64)
    };
    eventually("two seconds of frames", || (received().1 > 90).then_some(()));
    let (bytes, frames) = received();
    let told = &daemon.get(STATS)["connections"][0];
    let (told_bytes, told_frames) =
        (told["bytes_sent"].as_u64().unwrap(), told["frames_sent"].as_u64().unwrap());
    // What was received was counted, but for a write that is being counted just now.
    assert!(
        told_frames + 2 >= frames && told_bytes + 65_536 >= bytes,
        "{told} against {bytes} in {frames} frames"
    );
    let (bytes, frames) = eventually("what was told as sent", || {
        Some(received()).filter(|(bytes, frames)| *bytes >= told_bytes && *frames >= told_frames)
    });
    assert!(bytes > frames * 10_000, "{bytes} in {frames} frames");
}

#[test]
fn names_of_clients_are_short_and_harmless() {
    let daemon = Setup::tone().start();
    let long = format!("radio\tlover {}", "x".repeat(5000));
    let mut stream = connect(daemon.address());
    write!(stream, "GET /api/audio/stream HTTP/1.1\r\nHost: localhost\r\nUser-Agent: {long}\r\n\r\n")
        .unwrap();
    let stats =
        eventually("it listens", || Some(daemon.get(STATS)).filter(|stats| stats["active_subscribers"] == 1));
    let name = stats["connections"][0]["user_agent"].as_str().unwrap();
    assert_eq!(name.chars().count(), 256);
    assert!(name.starts_with("radio lover xx"), "{name:?}");
    for (forbidden, whole) in [("a\x1b[2Jb", true), ("a\x07b", true), ("caf\u{e9}", false)] {
        let headers = [("User-Agent", forbidden)];
        let status = request(daemon.address(), "HEAD", "/api/audio/stream", &headers, b"").status;
        assert_eq!(status, if whole { 400 } else { 200 }, "{forbidden:?}");
    }
}

#[test]
fn a_stream_begins_with_who_you_are_and_how_things_stand() {
    let daemon = Setup::tone().start();
    let mut stream = daemon.stream("");
    assert_eq!(stream.header("content-type"), Some("text/event-stream"));
    assert!(stream.header("cache-control").unwrap().contains("no-cache"));
    assert_eq!(stream.id.len(), 36, "{}", stream.id);
    let state = stream.event().unwrap();
    assert_eq!(
        (state.name.as_str(), fields(&state.json())),
        ("state", BTreeSet::from(["reason", "since", "state"]))
    );
    assert_eq!(state.json()["state"], "running");
    let frame = stream.event().unwrap();
    let expected = "channel_a channel_b duration_ms frame_number position sample_rate timestamp";
    assert_eq!((frame.name.as_str(), fields(&frame.json())), ("audio-frame", expected.split(' ').collect()));
    assert_ne!(daemon.stream("").id, stream.id);
}

#[test]
fn frames_are_stamped_with_their_time() {
    let daemon = Setup::tone().start();
    let mut stream = daemon.stream("?encoding=f32");
    let mut before: Option<AudioFrame> = None;
    for _ in 0..100 {
        let frame = stream.frames(1).remove(0);
        let now_ms = u64::try_from(UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap();
        assert!(frame.timestamp.abs_diff(now_ms) < 1000, "{} at {now_ms}", frame.timestamp);
        assert!((frame.duration_ms - BLOCK as f64 / 48.0).abs() < 0.01, "{}", frame.duration_ms);
        if let Some(before) = before {
            let step = frame.timestamp as f64 - before.timestamp as f64;
            assert!((step - frame.duration_ms).abs() <= 2.0, "{step} ms from one block to the next");
            assert_eq!(frame.position, before.position + BLOCK);
        }
        before = Some(frame);
    }
}

#[test]
fn heartbeats_come_with_and_without_sound() {
    let daemon = Setup::new("http.sse_heartbeat_s = 1\n[capture.tone]\n").start();
    let mut stream = daemon.stream("?encoding=s16");
    let mut beats = |count: u64, from: u64| {
        let began = Instant::now();
        let mut next = from;
        while next < from + count {
            assert!(began.elapsed() < PATIENCE);
            let event = stream.event().unwrap();
            if event.name == "heartbeat" {
                assert_eq!((event.data, event.id), (format!("heartbeat-{next}"), None));
                next += 1;
            }
        }
    };
    beats(2, 1);
    assert_eq!(daemon.control(r#"{"action":"pause"}"#).status, 200);
    beats(2, 3);
}

#[test]
fn a_lower_quality_tells_the_truth_about_itself() {
    let daemon = Setup::tone().start();
    for (quality, factor) in [("1", 1), ("0.5", 2), ("0.25", 4), ("0.125", 8), ("0.3", 4)] {
        for encoding in ["json", "f32", "s16", "deflate"] {
            let mut stream = daemon.stream(&format!("?quality={quality}&encoding={encoding}"));
            for frame in stream.frames(4).into_iter().skip(2) {
                assert_eq!(
                    (frame.sample_rate, frame.a.len(), frame.b.len()),
                    (48_000 / factor, (BLOCK / factor) as usize, (BLOCK / factor) as usize),
                    "{quality} {encoding}"
                );
                let peak = frame.a.iter().fold(0.0_f32, |peak, sample| peak.max(sample.abs()));
                assert!((0.12..0.13).contains(&peak), "a tone of -18 dBFS: {peak} with {quality} {encoding}");
            }
        }
    }
}

#[test]
fn the_global_quality_changes_without_a_frame_missed_or_doubled() {
    let daemon = Setup::tone().start();
    let mut following = daemon.stream("?encoding=f32");
    let mut fixed = daemon.stream("?encoding=f32&quality=0.5");
    assert_eq!(following.frames(3)[2].sample_rate, 48_000);
    for (quality, rate) in [(0.25, 12_000), (1.0, 48_000), (0.125, 6_000), (0.5, 24_000), (1.0, 48_000)] {
        adjust(&daemon, quality);
        // The law of numbers is checked on each.
        eventually("the other quality", || (following.frames(1)[0].sample_rate == rate).then_some(()));
        assert!(following.frames(5).iter().all(|frame| frame.sample_rate == rate), "it stays");
        assert!(fixed.frames(5).iter().all(|frame| frame.sample_rate == 24_000), "a wish of its own stays");
    }
    // Faster than anybody can follow.
    for quality in [0.5, 1.0, 0.25, 0.125, 1.0, 0.5, 0.25].repeat(3) {
        adjust(&daemon, quality);
    }
    eventually("the last quality", || (following.frames(1)[0].sample_rate == 12_000).then_some(()));
    following.frames(10);
    assert_eq!(daemon.stream("?encoding=f32").frames(1)[0].sample_rate, 12_000, "so do those who come now");
}

#[test]
fn listeners_of_one_encoding_share_it_and_it_ends_after_the_last() {
    let daemon = Setup::tone().start();
    let mut listeners = [daemon.stream("?encoding=s16"), daemon.stream("?encoding=s16&quality=1")];
    listeners.iter_mut().for_each(|stream| drop(stream.frames(3)));
    let status = daemon.status();
    let renditions = status["renditions"].as_array().unwrap();
    assert_eq!(renditions.len(), 1, "{status}");
    let (name, count) = (&renditions[0]["name"], &renditions[0]["listeners"]);
    assert_eq!((name, count), (&"frames/s16/1".into(), &2.into()));
    assert!(
        renditions[0]["entries"].as_u64().unwrap() >= 3 && renditions[0]["bytes"].as_u64().unwrap() > 10_000
    );
    let _other = daemon.stream("?encoding=s16&quality=0.5");
    assert_eq!(daemon.status()["renditions"].as_array().unwrap().len(), 2);
    drop(listeners);
    daemon.wait_for_status("the other alone", |status| status["renditions"].as_array().unwrap().len() == 1);
    daemon.stream("?encoding=s16").frames(2);
}

#[test]
fn who_does_not_read_loses_blocks_is_told_and_hurts_nobody() {
    let daemon = Setup::tone().start();
    let mut honest = daemon.stream("?encoding=f32");
    let mut also_honest = daemon.stream("");
    let mut lazy = daemon.stream("");
    lazy.frames(2);
    // Five seconds: more than the kernel takes and the daemon keeps for it.
    for _ in 0..50 {
        honest.frames(5);
        also_honest.frames(5);
    }
    let gap = lazy.until_gap();
    assert_eq!(gap["reason"], "slow_listener");
    let missed = gap["to_frame"].as_u64().unwrap() - gap["from_frame"].as_u64().unwrap() + 1;
    assert_eq!(gap["lost_samples"].as_u64().unwrap(), missed * BLOCK);
    assert!(missed > 40, "{gap}");
    lazy.frames(20);
    let stats = daemon.get(STATS);
    assert_eq!(connection(&stats, &lazy.id)["errors_count"], 1);
    assert_eq!(connection(&stats, &honest.id)["errors_count"], 0);
    assert_eq!(stats["dropped_frames"], missed);
    assert!((0.1..50.0).contains(&number(&stats, "error_rate_percent")), "{stats}");
    assert_eq!(daemon.status()["gaps"]["total"], 0, "the programme itself has no hole");
    drop(lazy);
    eventually("it left", || Some(()).filter(|()| daemon.get(STATS)["active_subscribers"] == 2));
    assert_eq!(daemon.get(STATS)["dropped_frames"], missed, "what was lost stays counted");
}

#[test]
fn who_never_reads_again_is_cut_off() {
    let daemon = Setup::new("http.stale_after_s = 10\nhttp.sse_heartbeat_s = 2\n[capture.tone]\n").start();
    let mut honest = daemon.stream("?encoding=f32");
    let began = Instant::now();
    let stuck = daemon.stream("");
    eventually("the end of it", || {
        honest.frames(10);
        (daemon.status()["listeners"]["sse"] == 1).then_some(())
    });
    assert!(began.elapsed() >= Duration::from_secs(9), "not before its time: {:?}", began.elapsed());
    drop(stuck);
}

//! Listeners who come back, listeners who want few blocks, and events on request.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::time::{Duration, Instant};

use common::*;
use talas_simcard_control::content::ramp_number_f32;

fn card_daemon() -> (SimCard, Daemon) {
    let card = SimCard::new(|b| b.ramp());
    let daemon = card.setup("").start();
    (card, daemon)
}

const STREAM: &str = "/api/audio/stream";

#[test]
fn a_listener_who_comes_back_has_lost_nothing_under_any_encoding() {
    let (_card, daemon) = card_daemon();
    for query in ["?encoding=json", "?encoding=f32", "?encoding=s16", "?encoding=deflate"] {
        let last = daemon.stream("?encoding=f32").frames(5).pop().unwrap();
        std::thread::sleep(Duration::from_millis(700));
        let path = format!("{STREAM}{query}");
        let mut stream =
            Sse::resume(daemon.address(), &path, &format!("frame-{}", last.number)).expecting(&last);
        // Some from the past, and on into what is live: no number is missing, none comes twice.
        let frames = stream.frames(80);
        assert_eq!(frames[0].number, last.number + 1);
        if query == "?encoding=f32" {
            let heard: Vec<u32> = frames
                .iter()
                .flat_map(|f| f.a.iter().zip(&f.b))
                .map(|(a, b)| ramp_number_f32(*a, *b))
                .collect();
            assert!(heard.windows(2).all(|pair| pair[1] == pair[0] + 1), "the card's own frames are whole");
        }
    }
}

#[test]
fn a_lower_quality_is_resumed_without_a_seam() {
    let (_card, daemon) = card_daemon();
    let mut through = daemon.stream("?encoding=f32&quality=0.25");
    let all = through.frames(60);
    let path = format!("{STREAM}?encoding=f32&quality=0.25");
    let again = Sse::resume(daemon.address(), &path, &format!("frame-{}", all[9].number))
        .expecting(&all[9])
        .frames(40);
    for (first, second) in all[10..50].iter().zip(&again) {
        assert_eq!((first.number, first.position), (second.number, second.position));
        assert_eq!((&first.a, &first.b), (&second.a, &second.b), "block {}", first.number);
    }
}

#[test]
fn a_connection_that_heard_nothing_yet_is_resumed_from_its_beginning() {
    let (_card, daemon) = card_daemon();
    let before = daemon.stream("?encoding=f32").frames(1).pop().unwrap();
    let stream = daemon.stream("?encoding=f32");
    let id = stream.id.clone();
    drop(stream);
    std::thread::sleep(Duration::from_millis(500));
    let first =
        Sse::resume(daemon.address(), &format!("{STREAM}?encoding=f32"), &id).frames(30).swap_remove(0);
    assert!(first.number - before.number < 20, "{} then {}", before.number, first.number);
}

#[test]
fn who_was_away_too_long_is_told_exactly_what_is_lost() {
    let (card, daemon) = card_daemon();
    let mut stream = daemon.stream("?encoding=f32");
    let last = stream.frames(3).pop().unwrap();
    drop(stream);
    // A fault in between, so that positions do not follow from numbers alone.
    card.card.overrun().unwrap();
    std::thread::sleep(Duration::from_millis(11_500));
    let path = format!("{STREAM}?encoding=f32");
    let mut stream = Sse::resume(daemon.address(), &path, &format!("frame-{}", last.number)).expecting(&last);
    let gap = stream.until_gap();
    assert_eq!(gap["reason"], "disconnected");
    // The law of numbers and positions is checked on the way.
    stream.frames(50);
}

#[test]
fn a_restart_of_the_daemon_is_a_told_gap_and_numbers_go_on() {
    let (_card, daemon) = card_daemon();
    let last = daemon.stream("").frames(3).pop().unwrap();
    let daemon = daemon.restart();
    let mut stream = Sse::resume(daemon.address(), STREAM, &format!("frame-{}", last.number));
    let gap = loop {
        let event = stream.event().unwrap();
        if event.name == "gap" {
            break event.json();
        }
        assert_ne!(event.name, "audio-frame", "the gap comes first");
    };
    assert_eq!((&gap["reason"], &gap["from_frame"]), (&"restart".into(), &(last.number + 1).into()));
    let first = stream.frames(1).pop().unwrap();
    assert_eq!(gap["to_frame"], first.number - 1);
    assert!(first.number > last.number);
}

#[test]
fn ids_that_mean_nothing_are_like_none() {
    let (_card, daemon) = card_daemon();
    for id in ["frame-18446744073709551615", "frame-x", "\"", "%00", "00000000-0000-7000-8000-000000000000"] {
        let mut stream = Sse::resume(daemon.address(), STREAM, id);
        let frames = loop {
            match stream.event().unwrap() {
                event if event.name == "audio-frame" => break AudioFrame::of(&event),
                _ => {}
            }
        };
        assert!(!frames.a.is_empty());
    }
}

#[test]
fn few_blocks_are_the_newest_and_as_many_as_asked_for() {
    let (card, daemon) = card_daemon();
    let mut stream = daemon.stream("?encoding=s16&max_fps=10").skipping();
    let mut told = Vec::new();
    let first = stream.frame(&mut told);
    let began = Instant::now();
    let mut newest = first.clone();
    while began.elapsed() < Duration::from_secs(4) {
        newest = stream.frame(&mut told);
    }
    let heard = stream.frames(0).len();
    assert_eq!(heard, 0);
    assert!(!told.iter().any(|heard| matches!(heard, Heard::Gap(_))), "a skipped block is no gap: {told:?}");
    let blocks = newest.number - first.number;
    assert!((170..=210).contains(&blocks), "about four seconds: {blocks}");
    let stats = daemon.get("/api/audio/stats");
    let sent = stats["connections"][0]["frames_sent"].as_u64().unwrap();
    assert!((39..=43).contains(&sent), "ten a second for four seconds: {sent}");
    assert_eq!(stats["dropped_frames"], 0, "nor a drop");
    // A change of state is told at once, however seldom blocks are wanted.
    let mut slow = daemon.stream("?max_fps=0.1").skipping();
    slow.frame(&mut told);
    let unplugged = Instant::now();
    card.card.unplug().unwrap();
    let told = slow.until_state("absent");
    assert!(told - unplugged < Duration::from_secs(1), "after {:?}", told - unplugged);
}

#[test]
fn meters_and_quality_come_on_request_only() {
    let daemon = Setup::tone().start();
    let mut plain = daemon.stream("?encoding=s16");
    let mut rich = daemon.stream("?encoding=s16&events=meters,quality");
    rich.frames(40);
    assert!(daemon.control(r#"{"action":"adjust_quality","params":{"quality":0.5}}"#).status == 200);
    rich.frames(40);
    plain.frames(40);
    assert!(plain.extra.is_empty());
    let named = |name: &str| rich.extra.iter().filter(|event| event.name == name).collect::<Vec<_>>();
    let meters = named("meters");
    assert!(meters.len() >= 10, "ten a second: {}", meters.len());
    let level = meters.last().unwrap().json()["channels"][0]["peak_dbfs"].as_f64().unwrap();
    assert!((level + 18.0).abs() < 0.1, "{level}");
    let scales: Vec<f64> =
        named("quality").iter().map(|event| event.json()["scale"].as_f64().unwrap()).collect();
    assert_eq!(scales, [1.0, 0.5]);
}

#[test]
fn a_change_of_quality_reaches_a_stream_within_a_second_and_without_a_seam() {
    let daemon = Setup::tone().start();
    // The laws of numbers are checked on every block on the way.
    let mut stream = daemon.stream("?encoding=f32");
    stream.frames(5);
    for (quality, rate) in [("0.125", 6_000), ("1", 48_000), ("0.5", 24_000), ("0.25", 12_000), ("1", 48_000)]
    {
        assert!(daemon.ctl(&["quality", quality]).status.success());
        let asked = Instant::now();
        while stream.frames(1)[0].sample_rate != rate {
            assert!(asked.elapsed() < Duration::from_secs(1), "no {rate} Hz a second after it was asked for");
        }
    }
}

//! What goes wrong with a card, told on one connection that lasts through all of it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::time::{Duration, Instant};

use common::*;
use talas_simcard_control::content::ramp_number_f32;

/// The card's own number of a captured frame, which the ramp carries in the samples themselves.
fn card_frames(frame: &AudioFrame) -> impl Iterator<Item = u64> {
    frame.a.iter().zip(&frame.b).map(|(a, b)| u64::from(ramp_number_f32(*a, *b)))
}

/// Follows a stream and holds the card's numbers against the programme's positions: the difference is
/// what was lost and not told, or told and not lost.
struct Auditor {
    stream: Sse,
    /// Card's frame minus programme's position at the newest frame.
    offset: Option<i64>,
    told: Vec<Heard>,
}

impl Auditor {
    fn new(stream: Sse) -> Self {
        Self { stream, offset: None, told: Vec::new() }
    }

    /// Hears `count` blocks. Returns by how many frames the position strayed from the card's truth at
    /// the beginnings of sound after a gap.
    fn hear(&mut self, count: usize) -> Vec<i64> {
        let mut strays = Vec::new();
        for _ in 0..count {
            let frame = self.stream.frame(&mut self.told);
            for (n, card) in card_frames(&frame).enumerate() {
                let offset = i64::try_from(card).unwrap() - i64::try_from(frame.position + n as u64).unwrap();
                match self.offset.replace(offset) {
                    Some(before) if before != offset => {
                        assert_eq!(n, 0, "frame {card} of the card follows no other inside a block");
                        strays.push(offset - before);
                    }
                    _ => {}
                }
            }
        }
        strays
    }

    fn take_gaps(&mut self) -> Vec<(String, u64)> {
        let told = std::mem::take(&mut self.told);
        let gap = |heard| match heard {
            Heard::Gap(gap) => {
                Some((gap["reason"].as_str().unwrap().to_owned(), gap["lost_samples"].as_u64().unwrap()))
            }
            _ => None,
        };
        told.into_iter().filter_map(gap).collect()
    }
}

fn ramp_card() -> SimCard {
    SimCard::new(|b| b.ramp())
}

#[test]
fn overruns_and_suspends_are_exact_to_one_frame_each() {
    let card = ramp_card();
    let daemon = card.setup("").start();
    let mut auditor = Auditor::new(daemon.stream("?encoding=f32"));
    auditor.hear(10);
    for round in 0..6 {
        let (reason, fault): (&str, &dyn Fn()) = if round % 2 == 0 {
            ("overrun", &|| card.card.overrun().unwrap())
        } else {
            ("suspend", &|| card.card.suspend().unwrap())
        };
        fault();
        // The fault strikes some blocks later: hear on until it is told.
        let mut strays = Vec::new();
        let gaps = eventually(reason, || {
            strays.extend(auditor.hear(5));
            Some(auditor.take_gaps()).filter(|gaps| !gaps.is_empty())
        });
        assert_eq!(gaps.len(), 1, "one fault, one gap: {gaps:?}");
        assert_eq!(gaps[0].0, reason);
        assert!(strays.iter().all(|stray| stray.abs() <= 1), "told and true length differ by {strays:?}");
    }
    let counters = card.card.counters();
    assert_eq!((counters.overruns, counters.suspends), (3, 3));
    let capture = &daemon.status()["capture"];
    assert_eq!((&capture["overruns"], &capture["suspends"]), (&3.into(), &3.into()));
    let lost = capture["lost_samples"].as_u64().unwrap();
    assert!(lost.abs_diff(counters.lost) <= 6, "{lost} told, {} true", counters.lost);
    assert_eq!(daemon.events("capture_gap").len(), 6, "each is one line in the log");
}

#[test]
fn a_card_that_runs_fast_is_measured_and_its_gaps_stay_exact() {
    let card = ramp_card();
    card.card.ppm(150).unwrap();
    let daemon = card.setup("").start();
    let mut auditor = Auditor::new(daemon.stream("?encoding=f32"));
    let status = eventually("a drift measured", || {
        auditor.hear(20);
        Some(daemon.status()).filter(|status| status["capture"]["drift_ppm"].is_number())
    });
    let ppm = status["capture"]["drift_ppm"].as_f64().unwrap();
    assert!((ppm - 150.0).abs() < 15.0, "{ppm} instead of 150");
    auditor.take_gaps();
    card.card.overrun().unwrap();
    let mut strays = Vec::new();
    eventually("the gap", || {
        strays.extend(auditor.hear(5));
        Some(()).filter(|()| !auditor.take_gaps().is_empty())
    });
    assert!(strays.iter().all(|stray| stray.abs() <= 1), "{strays:?}");
}

#[test]
fn a_stall_is_told_within_a_second_and_sound_comes_back_by_itself() {
    let card = ramp_card();
    let daemon = card.setup("").start();
    let mut stream = daemon.stream("?encoding=f32");
    stream.frames(5);
    let stalled = Instant::now();
    card.card.stall(true).unwrap();
    let told = stream.until_state("stalled");
    assert!(told - stalled < Duration::from_secs(1), "told after {:?}", told - stalled);
    assert_eq!(daemon.status()["source"]["state"], "stalled");
    assert_eq!(daemon.get_any("/readyz").status, 503);
    std::thread::sleep(Duration::from_millis(500));
    card.card.stall(false).unwrap();
    stream.until_state("running");
    let gap = stream.until_gap();
    assert_eq!(gap["reason"], "stalled");
    assert!(gap["lost_samples"].as_u64().unwrap() > 48_000 / 2);
    stream.frames(5);
    assert_eq!(daemon.status()["capture"]["stalls"], 1);
    assert_eq!(daemon.events("capture_stalled").len(), 1, "told once, however often it was tried again");
}

#[test]
fn unplugged_and_replugged_on_one_connection() {
    let card = ramp_card();
    let daemon = card.setup("").start();
    let mut auditor = Auditor::new(daemon.stream("?encoding=f32"));
    auditor.hear(5);
    card.card.unplug().unwrap();
    auditor.stream.until_state("absent");
    let status = daemon.wait_for_status("absent", |status| status["state"] == "absent");
    assert!(status["reason"].as_str().unwrap().contains("went away"), "{status}");
    std::thread::sleep(Duration::from_millis(800));
    let replugged = Instant::now();
    card.card.replug().unwrap();
    let back = auditor.stream.until_state("running");
    assert!(back - replugged < Duration::from_secs(3), "back after {:?}", back - replugged);
    let strays = auditor.hear(10);
    let gaps = auditor.take_gaps();
    assert_eq!(gaps.len(), 1);
    assert_eq!(gaps[0].0, "absent");
    // The card's clock ran on while it was away, and so did the programme's.
    assert!(strays.iter().all(|stray| stray.abs() <= 2), "{strays:?}");
    let status = daemon.status();
    assert_eq!((&status["state"], &status["capture"]["unplugs"]), (&"running".into(), &1.into()));
    assert_eq!(daemon.events("capture_absent").len(), 1, "told once");
    assert_eq!(daemon.events("capture_gap").len(), 1);
    assert_eq!(status["gaps"]["last"]["lost_samples"], gaps[0].1, "status, stream and log tell the same");
    assert!(daemon.events("capture_gap")[0].contains(&format!("frames={}", gaps[0].1)));
}

#[test]
fn a_device_absent_at_start_is_waited_for() {
    let card = ramp_card();
    card.card.unplug().unwrap();
    let daemon = card.setup("").start();
    assert_eq!(daemon.status()["state"], "absent");
    let mut stream = daemon.stream("?encoding=f32");
    stream.until_state("absent");
    card.card.replug().unwrap();
    stream.until_state("running");
    let frames = stream.frames(3);
    assert_eq!(frames[0].position % 1024, 0, "a new programme begins with whole blocks");
}

#[test]
fn a_device_that_another_program_holds_is_told_and_taken_when_it_is_free() {
    let card = ramp_card();
    card.card.busy(true).unwrap();
    let daemon = card.setup("").start();
    let status = daemon.status();
    assert_eq!(status["state"], "absent");
    assert!(status["reason"].as_str().unwrap().contains("in use"), "{status}");
    card.card.busy(false).unwrap();
    daemon.wait_for_status("running", |status| status["state"] == "running");
}

#[test]
fn everything_at_once_is_survived() {
    let card = ramp_card();
    let daemon = card.setup("").start();
    let mut stream = daemon.stream("?encoding=s16");
    for round in 0..12 {
        match round % 6 {
            0 => card.card.overrun().unwrap(),
            1 => card.card.stall(true).unwrap(),
            2 => card.card.unplug().unwrap(),
            3 => card.card.suspend().unwrap(),
            4 => card.card.stall(false).unwrap(),
            _ => card.card.replug().unwrap(),
        }
        std::thread::sleep(Duration::from_millis(60));
    }
    // The laws of numbers are checked on every event on the way.
    eventually("steady sound", || {
        let mut told = Vec::new();
        (0..20).for_each(|_| drop(stream.frame(&mut told)));
        told.is_empty().then_some(())
    });
    assert_eq!(daemon.status()["state"], "running");
}

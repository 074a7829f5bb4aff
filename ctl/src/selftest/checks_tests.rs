//! Each check, in each of its verdicts.

use std::time::{Duration, Instant};

use talas_wire::{Capture, Hello, Level, Meter, Meters, PROTO, Realtime, SourceKind, State};

use super::{Finding, Look, Observation, Report, Verdict, checks};
use crate::samples::status;
use crate::show;

const SECONDS: u64 = 10;

fn reading(timestamp_ms: u64, peaks: &[Option<f64>], clipped: u64) -> Meters {
    let meter =
        |&peak_dbfs: &Option<f64>| Meter { rms_dbfs: peak_dbfs, peak_dbfs, clipped, ..Meter::default() };
    Meters { timestamp_ms, channels: peaks.iter().map(meter).collect(), ..Meters::default() }
}

/// Ten seconds of a healthy appliance, before anything is heard.
fn quiet() -> Observation {
    let hello =
        Hello { hello: "talasd".to_owned(), version: "0.1.0".to_owned(), proto: PROTO, level: Level::Admin };
    let at = Instant::now();
    let mut seen = Observation::begin(hello, Look { status: status(), blocks: 1000, at });
    seen.last.at = at + Duration::from_secs(SECONDS);
    seen.last.blocks += 469;
    seen.last.status.capture.captured_samples += 48_000 * SECONDS;
    seen
}

fn healthy() -> Observation {
    let mut seen = quiet();
    let took = Duration::from_micros(400);
    seen.hear(&reading(100, &[Some(-12.04), Some(-9.1)], 0), took);
    seen.count_blocks(1200, seen.first.at + Duration::from_secs(1), took * 3);
    seen
}

/// What a check finds when this goes differently.
fn found(check: &str, change: impl FnOnce(&mut Observation)) -> Finding {
    let mut seen = healthy();
    change(&mut seen);
    let mut all = checks::all(&seen).into_iter().filter(|finding| finding.check == check);
    all.next().unwrap_or_else(|| panic!("there is no check {check}"))
}

/// Its verdict; whatever is not well must come with advice.
fn verdict(check: &str, change: impl FnOnce(&mut Observation)) -> Verdict {
    let found = found(check, change);
    assert!(check == "warnings" || found.advice.is_some() != (found.verdict == Verdict::Ok), "{found:?}");
    found.verdict
}

#[test]
fn a_healthy_appliance_is_well() {
    let report = Report::of(&healthy());
    assert!(report.ok);
    let expected = "\
ALSA hw:0 · talasd 0.1.0 · watched for 10.0 s

✓ control   protocol 1.0, your level is admin; half of 2 answers came within 1.2 ms, all within 1.2 ms
✓ state     running; the daemon has been up for 1 h
✓ pace      48,000 frames a second were captured, 0.00 % off; a test of 10 s can tell 1.2 %
✓ blocks    46.9 a second; new ones at each look
✓ levels    peaks of -12.0, -9.1 dBFS
✓ gaps      nothing was lost during the test
✓ history   nothing in 1 h before it
✓ drift     -4.3 ppm against the system clock
✓ realtime  granted to the capture thread
✓ ring      at most 3 % full since the daemon started
✓ disk      /var/lib/talas can be written; 12.3 GB free
✓ warnings  the daemon has none

all is well
";
    let page = show::selftest::page(&report, None);
    let text: String = page.iter().map(|line| line.paint(false, None) + "\n").collect();
    assert_eq!(text, expected);
}

#[test]
fn a_slow_answer_is_told() {
    let with = |ms| {
        move |seen: &mut Observation| {
            seen.round_trips = vec![Duration::from_millis(ms); 3];
        }
    };
    assert_eq!(verdict("control", with(20)), Verdict::Ok);
    assert_eq!(verdict("control", with(21)), Verdict::Attention);
    assert_eq!(verdict("control", with(501)), Verdict::Failed);
}

#[test]
fn anything_but_running_fails_and_hides_what_follows_from_it() {
    let paused = |seen: &mut Observation| seen.last.status.state = State::Paused;
    let state = found("state", paused);
    assert_eq!((state.verdict, state.said.as_str()), (Verdict::Failed, "running, then paused"));
    assert_eq!(state.advice.as_deref(), Some("end the pause: talasctl resume"));
    let mut seen = quiet();
    seen.first.status.state = State::Absent;
    seen.last.status.state = State::Absent;
    seen.last.status.reason = Some("no such device".to_owned());
    let checks = checks::all(&seen);
    assert_eq!(checks[1].said, "absent: no such device");
    assert!(checks.iter().all(|finding| !["pace", "blocks", "levels"].contains(&finding.check)));
    // It was back by the end: the hint is about what it was before.
    let back = found("state", |seen| seen.first.status.state = State::Stalled);
    assert!(back.advice.expect("advice").contains("unplug it"));
}

#[test]
fn a_rate_beyond_what_the_test_can_tell_fails() {
    let captured = |frames: u64| {
        move |seen: &mut Observation| seen.last.status.capture.captured_samples = 1_000_000 + frames
    };
    assert_eq!(verdict("pace", captured(480_000)), Verdict::Ok);
    assert_eq!(verdict("pace", captured(475_000)), Verdict::Ok);
    assert_eq!(verdict("pace", captured(441_000)), Verdict::Failed);
    assert_eq!(verdict("pace", captured(0)), Verdict::Failed);
    // A longer test can tell more.
    let longer = |seen: &mut Observation| {
        seen.last.at += Duration::from_secs(90);
        seen.last.status.capture.captured_samples = 1_000_000 + 4_750_000;
    };
    assert_eq!(verdict("pace", longer), Verdict::Failed);
}

#[test]
fn blocks_that_stand_still_fail() {
    let none = |seen: &mut Observation| seen.last.blocks = seen.first.blocks;
    assert_eq!(verdict("blocks", none), Verdict::Failed);
    let still = |ms: u64| {
        move |seen: &mut Observation| {
            let at = seen.first.at + Duration::from_secs(1) + Duration::from_millis(ms);
            seen.count_blocks(1200, at, Duration::ZERO);
        }
    };
    assert_eq!(found("blocks", still(400)).said, "46.9 a second; none for 400 ms once");
    assert_eq!(verdict("blocks", still(400)), Verdict::Ok);
    assert_eq!(verdict("blocks", still(1100)), Verdict::Failed);
}

#[test]
fn silence_is_a_fault_of_a_device_and_a_question_of_a_file() {
    let silent = |kind| {
        move |seen: &mut Observation| {
            seen.channels.iter_mut().for_each(|heard| heard.peak_dbfs = None);
            seen.last.status.source.kind = kind;
        }
    };
    assert_eq!(verdict("levels", silent(SourceKind::Alsa)), Verdict::Failed);
    assert_eq!(verdict("levels", silent(SourceKind::File)), Verdict::Attention);
    assert_eq!(verdict("levels", |seen| seen.channels[1].peak_dbfs = None), Verdict::Attention);
    assert_eq!(verdict("levels", |seen| seen.channels.clear()), Verdict::Failed);
    let clipped = found("levels", |seen| seen.hear(&reading(300, &[Some(0.0); 2], 3), Duration::ZERO));
    assert_eq!(
        (clipped.verdict, clipped.said.as_str()),
        (Verdict::Attention, "peaks of 0.0, 0.0 dBFS; 6 samples at full scale")
    );
}

#[test]
fn a_reading_counts_once() {
    let mut seen = quiet();
    for _ in 0..3 {
        seen.hear(&reading(100, &[Some(-1.0)], 2), Duration::ZERO);
    }
    assert_eq!((seen.readings, seen.channels[0].clipped), (1, 2));
}

#[test]
fn losses_during_the_test_fail_and_older_ones_are_told() {
    let lose = |seen: &mut Observation| {
        let status = &mut seen.last.status;
        status.gaps.total = 2;
        status.capture.lost_samples = 4800;
        status.capture.overruns = 1;
        status.capture.ring_dropped_samples = 10;
    };
    let lost = found("gaps", lose);
    assert_eq!(lost.verdict, Verdict::Failed);
    let said = "during the test: 4,800 frames (100 ms) in 2 new gaps, 1 overrun, 10 frames dropped, the ring was full";
    assert_eq!(lost.said, said);
    assert_eq!(lost.figures["overruns"], 1);
    let older = |seen: &mut Observation| {
        for look in [&mut seen.first, &mut seen.last] {
            look.status.gaps.total = 1;
            look.status.capture.lost_samples = 480;
            look.status.capture.unplugs = 1;
        }
    };
    assert_eq!(verdict("gaps", older), Verdict::Ok);
    assert_eq!(verdict("history", older), Verdict::Attention);
    assert_eq!(
        found("history", older).said,
        "lost before it: 480 frames (10 ms) in 1 gap since the start 1 h ago, 1 unplug"
    );
    let paused = found("history", |seen| seen.first.status.gaps.total = 3);
    assert_eq!((paused.verdict, paused.said.as_str()), (Verdict::Ok, "nothing but pauses in 1 h before it"));
    let count: [fn(&mut Capture); 4] = [
        |capture| capture.suspends = 1,
        |capture| capture.stalls = 1,
        |capture| capture.unplugs = 1,
        |capture| capture.nonfinite_samples = 1,
    ];
    for count in count {
        assert_eq!(verdict("gaps", |seen| count(&mut seen.last.status.capture)), Verdict::Failed);
    }
}

#[test]
fn drift_is_within_what_cards_do() {
    let drift = |ppm: Option<f64>| move |seen: &mut Observation| seen.last.status.capture.drift_ppm = ppm;
    assert_eq!(verdict("drift", drift(Some(200.0))), Verdict::Ok);
    assert_eq!(verdict("drift", drift(Some(-201.0))), Verdict::Failed);
    assert_eq!(verdict("drift", drift(None)), Verdict::Ok);
}

#[test]
fn realtime_matters_to_devices() {
    let scheduled = |realtime: Realtime, kind: SourceKind| {
        move |seen: &mut Observation| {
            seen.last.status.capture.realtime = realtime;
            seen.last.status.source.kind = kind;
        }
    };
    assert_eq!(verdict("realtime", scheduled(Realtime::Denied, SourceKind::Alsa)), Verdict::Attention);
    assert_eq!(verdict("realtime", scheduled(Realtime::Off, SourceKind::Alsa)), Verdict::Attention);
    assert_eq!(verdict("realtime", scheduled(Realtime::Off, SourceKind::Tone)), Verdict::Ok);
    assert_eq!(verdict("realtime", scheduled(Realtime::Demoted, SourceKind::Alsa)), Verdict::Failed);
}

#[test]
fn a_full_ring_is_worse_if_it_was_now() {
    let peaks = |before: f64, after: f64| {
        move |seen: &mut Observation| {
            seen.first.status.capture.ring_peak = before;
            seen.last.status.capture.ring_peak = after;
        }
    };
    assert_eq!(verdict("ring", peaks(0.1, 0.49)), Verdict::Ok);
    assert_eq!(verdict("ring", peaks(0.6, 0.6)), Verdict::Attention);
    assert_eq!(verdict("ring", peaks(0.1, 0.6)), Verdict::Failed);
}

#[test]
fn a_disk_has_room_and_lets_itself_be_written() {
    let free = |bytes: Option<u64>| move |seen: &mut Observation| seen.last.status.disk.free_bytes = bytes;
    assert_eq!(verdict("disk", free(Some(1_000_000_000))), Verdict::Ok);
    assert_eq!(verdict("disk", free(Some(999_999_999))), Verdict::Attention);
    assert_eq!(verdict("disk", free(Some(99_999_999))), Verdict::Failed);
    assert_eq!(verdict("disk", free(None)), Verdict::Attention);
    assert_eq!(verdict("disk", |seen| seen.last.status.disk.writable = false), Verdict::Failed);
}

#[test]
fn what_the_daemon_warns_of_is_passed_on() {
    let warnings = ["one", "two"].map(str::to_owned);
    let mut seen = healthy();
    seen.last.status.warnings = warnings.to_vec();
    let said: Vec<String> = checks::all(&seen)
        .into_iter()
        .filter(|finding| finding.check == "warnings" && finding.verdict == Verdict::Attention)
        .map(|finding| finding.said)
        .collect();
    assert_eq!(said, warnings);
    assert!(Report::of(&seen).ok, "a warning is no failure");
}

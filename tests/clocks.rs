//! The wall clock steps, and the machine sleeps: to the real daemon, whose clocks a shim moves.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use common::*;
use nix::sys::signal::Signal;
use talas_simcard_control::content::ramp_number_f32;

const RATE: i64 = 48_000;
const HOUR_MS: i64 = 3_600_000;

/// The shim, built once.
fn shim() -> PathBuf {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    let build = || {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("clock_shim.so");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clocks/shim.c");
        let mut cc = Command::new("cc");
        cc.args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"]).arg(&path).arg(source);
        assert!(cc.status().unwrap().success());
        path
    };
    PATH.get_or_init(build).clone()
}

/// The clocks of one daemon.
struct Clocks {
    file: File,
    wall_ms: i64,
    asleep_ms: i64,
}

impl Clocks {
    fn under(setup: Setup) -> (Self, Setup) {
        let path = setup.dir().join("clocks");
        let file = File::create(&path).unwrap();
        file.set_len(16).unwrap();
        let setup = setup.env("LD_PRELOAD", shim()).env("CLOCK_SHIM", path);
        (Self { file, wall_ms: 0, asleep_ms: 0 }, setup)
    }

    /// Both at once, so that nobody sees one without the other.
    fn tell(&self) {
        let [wall, boot] = [self.wall_ms, self.asleep_ms].map(|ms| (ms * 1_000_000).to_ne_bytes());
        self.file.write_all_at(&[wall, boot].concat(), 0).unwrap();
    }

    /// Somebody sets the clock.
    fn step_ms(&mut self, ms: i64) {
        self.wall_ms += ms;
        self.tell();
    }

    /// The machine sleeps: all clocks but the monotonic one go on.
    fn sleep_ms(&mut self, ms: i64) {
        self.wall_ms += ms;
        self.asleep_ms += ms;
        self.tell();
    }
}

/// By how much one frame's time is later than its place in the programme says.
fn lead_ms(first: &AudioFrame, frame: &AudioFrame) -> i64 {
    let passed_ms = (frame.position - first.position).cast_signed() * 1000 / RATE;
    frame.timestamp.cast_signed() - first.timestamp.cast_signed() - passed_ms
}

#[test]
fn a_step_of_the_wall_clock_moves_time_stamps_and_nothing_else() {
    let (mut clocks, setup) = Clocks::under(Setup::tone());
    let daemon = setup.start();
    let mut stream = daemon.stream("?encoding=s16");
    let first = stream.frames(5).remove(0);
    for (step_ms, lead) in [(HOUR_MS, HOUR_MS), (-3 * HOUR_MS, -2 * HOUR_MS), (2 * HOUR_MS, 0)] {
        clocks.step_ms(step_ms);
        // Numbers, positions and the absence of gaps are checked on every frame.
        let frames = stream.frames(100);
        let leads: Vec<_> = frames.iter().map(|frame| lead_ms(&first, frame)).collect();
        assert!((leads[99] - lead).abs() <= 50, "followed: {leads:?}");
        let jumps = leads.windows(2).filter(|pair| (pair[1] - pair[0]).abs() > 50).count();
        assert!(jumps <= 1, "in one step: {leads:?}");
    }
    let status = daemon.status();
    assert_eq!((&status["gaps"]["total"], &status["state"]), (&0.into(), &"running".into()));
    assert!(status["uptime_seconds"].as_u64().unwrap() < 600, "{status}");
    assert_eq!(daemon.get("/api/audio/stats")["connection_count"], 1);
}

/// Hears on until the machine's sleep is told; returns its length in frames, and the frame after it.
fn hear_sleep(stream: &mut Sse) -> (i64, AudioFrame) {
    let mut told = Vec::new();
    loop {
        let frame = stream.frame(&mut told);
        let gap = told.iter().find_map(|heard| match heard {
            Heard::Gap(gap) => Some(gap),
            _ => None,
        });
        if let Some(gap) = gap {
            assert_eq!(gap["reason"], "suspend", "{gap}");
            return (gap["lost_samples"].as_i64().unwrap(), frame);
        }
    }
}

fn card_offset(frame: &AudioFrame) -> i64 {
    i64::from(ramp_number_f32(frame.a[0], frame.b[0])) - frame.position.cast_signed()
}

#[test]
fn a_sleep_of_the_machine_is_a_gap_of_its_length_and_nobody_is_cut_off() {
    let card = SimCard::new(|b| b.ramp());
    let (mut clocks, setup) = Clocks::under(card.setup(""));
    let daemon = setup.start();
    let mut stream = daemon.stream("?encoding=f32");
    let before = stream.frames(5).remove(4);
    // Frozen, so that clock and card change for the daemon between two of its instructions.
    daemon.signal(Signal::SIGSTOP);
    std::thread::sleep(Duration::from_millis(100));
    card.card.suspend().unwrap();
    clocks.sleep_ms(HOUR_MS);
    daemon.signal(Signal::SIGCONT);
    let (lost, after) = hear_sleep(&mut stream);
    // The simulated card's own clock does not sleep: it counts only the frames around the suspend.
    let stray = card_offset(&after) - card_offset(&before) + HOUR_MS * RATE / 1000;
    assert!(stray.abs() <= 1, "{stray} frames off");
    assert!(lost >= HOUR_MS * RATE / 1000);
    assert!(lead_ms(&before, &after).abs() <= 50, "the first frame knows what time it is: {after:?}");
    stream.frames(20);
    let status = daemon.status();
    assert_eq!((&status["gaps"]["total"], &status["capture"]["suspends"]), (&1.into(), &1.into()));
    assert_eq!(
        (&status["gaps"]["last"]["reason"], &status["listeners"]["sse"]),
        (&"suspend".into(), &1.into())
    );
}

#[test]
fn a_sleep_that_no_device_tells_of_is_found_out() {
    let card = SimCard::new(|b| b.ramp());
    for setup in [card.setup(""), Setup::tone()] {
        let (mut clocks, setup) = Clocks::under(setup);
        let daemon = setup.start();
        let mut stream = daemon.stream("?encoding=f32");
        let before = stream.frames(5).remove(4);
        for seconds in [1, 30] {
            clocks.sleep_ms(seconds * 1000);
            let (lost, after) = hear_sleep(&mut stream);
            assert!((lost - seconds * RATE).abs() <= 1, "{lost} frames for {seconds} s");
            assert!(lead_ms(&before, &after).abs() <= 50, "{after:?}");
            stream.frames(5);
        }
        assert_eq!(daemon.status()["capture"]["suspends"], 2);
    }
}

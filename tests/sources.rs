//! Sources without a card, and channels of cards with more or fewer than two.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs;
use std::process::Output;
use std::time::Duration;

use common::*;

/// A source of files that a machine under load does not make lose anything.
const PATIENT: &str = "[capture]\nbuffer_ms = 5000\n";

/// A WAV file of 16 or 24 bits.
fn wav(sample_rate: u32, channels: u16, bits: u16, samples: &[i32]) -> Vec<u8> {
    let bytes = usize::from(bits / 8);
    let data: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()[..bytes].to_vec()).collect();
    wav_file(1, sample_rate, channels, bits, &data)
}

/// Samples that look like nothing else, of so many bits.
fn noise(count: usize, bits: u16) -> Vec<i32> {
    let mut state = 7_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.cast_signed() >> (32 - bits)
    };
    (0..count).map(|_| next()).collect()
}

/// A daemon that plays `sound.wav` from beside its configuration.
fn player(content: Option<&[u8]>, more: &str) -> Setup {
    let setup = Setup::new(&format!("{PATIENT}[capture.file]\npath = \"sound.wav\"\n{more}"));
    if let Some(content) = content {
        fs::write(setup.dir().join("sound.wav"), content).unwrap();
    }
    setup
}

/// Plays `count` blocks against what the file holds, going round at its end.
fn assert_plays(stream: &mut Sse, count: usize, channels: usize, exact: &[f32]) {
    let frames = exact.len() / channels;
    for frame in stream.frames(count) {
        let first = usize::try_from(frame.position).unwrap();
        for (n, heard) in frame.a.iter().zip(&frame.b).enumerate() {
            let at = (first + n) % frames * channels;
            assert_eq!(heard, (&exact[at], &exact[at + channels - 1]), "frame {} of the file", at / channels);
        }
    }
}

#[test]
fn a_wav_file_goes_round_without_a_seam_bit_for_bit() {
    for (bits, channels) in [(16, 2), (24, 2), (24, 1)] {
        let samples = noise(5003 * channels, bits);
        let scale = f32::from(1_i16 << 14) * 2.0 * if bits == 24 { 256.0 } else { 1.0 };
        let exact: Vec<f32> = samples.iter().map(|sample| *sample as f32 / scale).collect();
        let content = wav(48_000, u16::try_from(channels).unwrap(), bits, &samples);
        let daemon = player(Some(&content), "").start();
        assert_plays(&mut daemon.stream("?encoding=f32"), 20, channels, &exact);
        let status = daemon.status();
        assert_eq!(status["source"]["kind"], "file");
        assert!(status["source"]["name"].as_str().unwrap().ends_with("sound.wav"), "{status}");
        assert_eq!(status["capture"]["channels"], channels);
    }
}

#[test]
fn the_demo_plays_in_real_time_and_exactly() {
    let path = demo_path();
    let exact = demo();
    let daemon = Setup::new(&format!("{PATIENT}[capture.file]\npath = {path:?}\n")).start();
    let mut stream = daemon.stream("?encoding=f32");
    let status = daemon.status();
    let channels = usize::try_from(status["capture"]["channels"].as_u64().unwrap()).unwrap();
    let began = stream.frames(1)[0].clone();
    assert_plays(&mut stream, 150, channels, &exact);
    let last = stream.frames(1).remove(0);
    let played_ms = (last.position - began.position) as f64 / 48.0;
    let took_ms = (last.timestamp - began.timestamp) as f64;
    assert!((played_ms - took_ms).abs() < 20.0, "{played_ms} ms of sound in {took_ms} ms");
}

#[test]
fn a_file_that_is_not_repeated_ends_whole_and_says_so() {
    let samples = noise(2 * 40_001, 16);
    let daemon = player(Some(&wav(48_000, 2, 16, &samples)), "loop = false\n").start();
    let mut stream = daemon.stream("?encoding=f32");
    let mut end = 0;
    loop {
        match stream.next().unwrap() {
            Heard::Frame(frame) => end = frame.position + frame.a.len() as u64,
            Heard::State(state, _) if state == "absent" => break,
            other => assert!(matches!(other, Heard::State(..)), "{other:?}"),
        }
    }
    assert_eq!(end, 40_001, "to the last sample");
    let status = daemon.status();
    assert_eq!(status["reason"], "the file was played to its end");
    assert_eq!(daemon.get_any("/readyz").status, 503);
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(daemon.status()["state"], "absent", "it does not begin again");
    assert_eq!(daemon.events("capture_absent").len(), 1, "told once");
}

fn absent(daemon: &Daemon) -> String {
    let status = daemon.wait_for_status("absent", |status| status["state"] == "absent");
    status["reason"].as_str().unwrap().to_owned()
}

#[test]
fn a_file_that_cannot_be_played_says_why_and_is_tried_again() {
    let good = wav(48_000, 2, 16, &noise(2 * 5000, 16));
    for (content, reason) in [
        (None, "sound.wav"),
        (Some(wav(44_100, 2, 16, &noise(200, 16))), "set capture.sample_rate = 44100"),
        (Some(b"RIFF nothing of the kind".to_vec()), "sound.wav"),
        (Some(Vec::new()), "sound.wav"),
        (Some(wav(48_000, 2, 16, &[])), "sound.wav"),
    ] {
        let daemon = player(content.as_deref(), "").start();
        let told = absent(&daemon);
        assert!(told.contains(reason), "{told}");
        assert_eq!(daemon.get_any("/healthz").status, 200);
        let mut stream = daemon.stream("?encoding=s16");
        stream.until_state("absent");
        let beside = daemon.dir().join("next");
        fs::write(&beside, &good).unwrap();
        fs::rename(&beside, daemon.dir().join("sound.wav")).unwrap();
        stream.until_state("running");
        stream.frames(5);
        assert_eq!(daemon.events("capture_absent").len(), 1, "told once: {told}");
    }
}

fn steer(daemon: &Daemon, arguments: &[&str]) -> Output {
    daemon.ctl(&[&["tone"], arguments].concat())
}

fn done(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The peak of the third block from now: a change is a few milliseconds away and takes five.
fn peak(stream: &mut Sse) -> f32 {
    stream.frames(3)[2].a.iter().fold(0.0, |peak, sample| peak.max(sample.abs()))
}

/// Waits for a level, since the stream may be a few blocks behind.
fn until_peak(stream: &mut Sse, wanted: f32) {
    eventually("the level", || ((peak(stream) - wanted).abs() < 0.002).then_some(()));
}

#[test]
fn the_tone_does_what_it_is_told() {
    let daemon = Setup::tone().start();
    let mut stream = daemon.stream("?encoding=f32");
    until_peak(&mut stream, 0.1259);
    done(&steer(&daemon, &["level", "-6.0206"]));
    until_peak(&mut stream, 0.5);
    done(&steer(&daemon, &["silence"]));
    until_peak(&mut stream, 0.0);
    let meters = daemon.ctl(&["--json", "meters"]);
    eventually("meters of digital silence", || {
        let meters = daemon.ctl(&["--json", "meters"]).stdout;
        let meters: serde_json::Value = serde_json::from_slice(&meters).unwrap();
        meters["channels"][0]["peak_dbfs"].is_null().then_some(())
    });
    done(&meters);
    done(&steer(&daemon, &["level", "-20"]));
    until_peak(&mut stream, 0.1);
    done(&steer(&daemon, &["frequency", "1000"]));
    eventually("a thousand times a second", || {
        let sound: Vec<f32> = stream.frames(10).into_iter().flat_map(|frame| frame.a).collect();
        let turns = sound.windows(2).filter(|pair| pair[0] < 0.0 && pair[1] >= 0.0).count();
        // 10240 frames are 213 periods and a third.
        (212..=214).contains(&turns).then_some(())
    });
    for (wrong, code) in [(["level", "1"], 2), (["frequency", "0"], 2), (["fault", "fire"], 2)] {
        assert_eq!(steer(&daemon, &wrong).status.code(), Some(code), "{wrong:?}");
    }
    assert_eq!(steer(&daemon, &["fault", "stall", "--ms", "99999999"]).status.code(), Some(1));
    stream.frames(5);
}

#[test]
fn each_fault_of_the_tone_is_told_as_the_fault_of_a_card() {
    let daemon = Setup::tone().start();
    let mut stream = daemon.stream("?encoding=s16");
    for (fault, state, reason) in [
        ("overrun", None, "overrun"),
        ("stall", Some("stalled"), "stalled"),
        ("suspend", None, "suspend"),
        ("unplug", Some("absent"), "absent"),
    ] {
        stream.frames(3);
        done(&steer(&daemon, &["fault", fault, "--ms", "400"]));
        if let Some(state) = state {
            stream.until_state(state);
            stream.until_state("running");
        }
        let gap = stream.until_gap();
        assert_eq!(gap["reason"], reason);
        let lost_ms = gap["lost_samples"].as_u64().unwrap() / 48;
        assert!((390..5000).contains(&lost_ms), "{fault}: {lost_ms} ms");
    }
    let capture = &daemon.status()["capture"];
    for counter in ["overruns", "suspends", "stalls", "unplugs"] {
        assert_eq!(capture[counter], 1, "{counter}: {capture}");
    }
    assert_eq!(daemon.events("capture_gap").len(), 4);
}

#[test]
fn only_a_tone_can_be_steered() {
    let daemon = player(Some(&wav(48_000, 1, 16, &noise(5000, 16))), "").start();
    for arguments in [&["level", "-20"][..], &["silence"], &["fault", "stall"]] {
        let output = steer(&daemon, arguments);
        assert_eq!(output.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&output.stderr).contains("[capture.tone]"));
    }
    daemon.stream("?encoding=s16").frames(5);
}

/// A card whose channel n plays (n + 1) sixteenths of full scale.
fn card_of(channels: u32) -> SimCard {
    let samples: Vec<i32> = (0..4800 * channels).map(|n| ((n % channels + 1) << 27).cast_signed()).collect();
    SimCard::new(|b| b.channels(&[channels]).samples_s32(&samples))
}

fn shown(daemon: &Daemon) -> (f32, f32) {
    let frame = daemon.stream("?encoding=f32").frames(2).remove(1);
    let steady = |samples: &[f32]| samples.iter().all(|sample| *sample == samples[0]);
    assert!(steady(&frame.a) && steady(&frame.b));
    (frame.a[0] * 16.0, frame.b[0] * 16.0)
}

#[test]
fn two_of_many_channels_are_shown_and_all_are_captured() {
    let card = card_of(8);
    for (more, expected) in [
        ("", (1.0, 2.0)),
        ("[capture]\nchannels = 8\nchannel_a = 5\nchannel_b = 2\n", (6.0, 3.0)),
        ("[capture]\nchannels = 8\nchannel_a = 7\nchannel_b = 7\n", (8.0, 8.0)),
    ] {
        let daemon = card.setup(more).start();
        assert_eq!(shown(&daemon), expected, "{more}");
        assert_eq!(daemon.status()["capture"]["channels"], 8);
        let meters = eventually("meters", || {
            let meters: serde_json::Value =
                serde_json::from_slice(&daemon.ctl(&["--json", "meters"]).stdout).unwrap();
            Some(meters).filter(|meters| meters["channels"].as_array().unwrap().len() == 8)
        });
        for (n, channel) in meters["channels"].as_array().unwrap().iter().enumerate() {
            let expected = 20.0 * ((n + 1) as f64 / 16.0).log10();
            assert!((channel["peak_dbfs"].as_f64().unwrap() - expected).abs() < 0.01, "{n}: {channel}");
        }
    }
}

#[test]
fn a_mono_card_feeds_both_channels() {
    let card = card_of(1);
    let daemon = card.setup("").start();
    assert_eq!(shown(&daemon), (1.0, 1.0));
    assert_eq!(daemon.status()["capture"]["channels"], 1);
}

#[test]
fn a_channel_that_the_card_does_not_have_is_told() {
    let card = card_of(2);
    let daemon = card.setup("[capture]\nchannels = 8\nchannel_a = 5\n").start();
    let reason = absent(&daemon);
    assert!(reason.contains("2 channels") && reason.contains("number 5"), "{reason}");
}

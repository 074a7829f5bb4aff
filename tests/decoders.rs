//! Sound files of every kind, made by ffmpeg, as the file source plays them.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;
mod sound;

use std::fs;
use std::path::Path;
use std::process::Command;

use common::{Heard, Setup};
use sound::*;
use talasd::codec::decode::AudioFile;
use talasd::codec::{AacProfile, Codec, EncoderSettings};
use talasd::mux::Container;

const RATE: u32 = 48_000;

/// The sound as a file that ffmpeg encodes, by these arguments; the name says the container.
fn encoded(dir: &Path, sound: &Sound, name: &str, arguments: &[&str]) -> std::path::PathBuf {
    let mut settings = EncoderSettings::new(Codec::Wav, sound.sample_rate, sound.channels);
    settings.bit_depth = Some(24);
    let (format, packets) = packets(&settings, sound);
    let (from, to) = (dir.join("original.wav"), dir.join(name));
    fs::write(&from, muxed(Container::Wav, &format, &packets)).unwrap();
    let made = Command::new("ffmpeg")
        .args(["-nostdin", "-y", "-v", "fatal", "-i"])
        .arg(&from)
        .args(arguments)
        .arg(&to)
        .status()
        .expect("ffmpeg is installed, see scripts/setup.sh");
    assert!(made.success(), "{name}");
    to
}

/// All of a file.
fn decoded(path: &Path) -> Sound {
    let mut file = AudioFile::open(path).expect("a good file");
    let channels = usize::from(file.channels());
    let mut samples = Vec::new();
    let mut part = vec![0.0; 1000 * channels];
    loop {
        let frames = file.read(&mut part).expect("readable");
        if frames == 0 {
            break;
        }
        samples.extend_from_slice(&part[..frames * channels]);
    }
    Sound { samples, sample_rate: file.sample_rate(), channels: file.channels() }
}

#[test]
fn what_is_stored_without_loss_is_exact() {
    let dir = tempfile::tempdir().unwrap();
    for (name, bits, arguments) in [
        ("a.flac", 24, &["-c:a", "flac", "-sample_fmt", "s32"][..]),
        ("b.oga", 16, &["-c:a", "flac", "-sample_fmt", "s16", "-f", "ogg"]),
        ("c.mka", 16, &["-c:a", "flac", "-sample_fmt", "s16"]),
        ("d.m4a", 16, &["-c:a", "alac", "-sample_fmt", "s16p"]),
        ("e.m4a", 24, &["-c:a", "alac", "-sample_fmt", "s32p"]),
        ("f.aiff", 16, &["-c:a", "pcm_s16be"]),
        ("g.aiff", 24, &["-c:a", "pcm_s24be"]),
        ("h.wav", 24, &["-c:a", "pcm_s24le"]),
        ("i.mov", 16, &["-c:a", "pcm_s16le"]),
    ] {
        let original = quantised(programme(RATE, 2, 50_001), bits);
        let path = encoded(dir.path(), &original, name, arguments);
        assert!(decoded(&path) == original, "{name}");
    }
}

#[test]
fn what_is_stored_with_loss_is_in_its_place_and_as_long() {
    let dir = tempfile::tempdir().unwrap();
    let original = programme(RATE, 2, 2 * RATE as usize);
    let mut wrong = Vec::new();
    for (name, arguments, delay) in [
        ("a.mp3", &["-c:a", "libmp3lame", "-b:a", "192k"][..], 0),
        ("b.m4a", &["-c:a", "aac", "-b:a", "192k"], 0),
        ("c.ogg", &["-c:a", "libvorbis", "-b:a", "160k"], 0),
        ("d.opus", &["-c:a", "libopus", "-b:a", "128k"], 0),
        ("e.webm", &["-c:a", "libopus", "-b:a", "128k"], 0),
        ("h.mp4", &["-c:a", "libopus", "-b:a", "128k"], 0),
        // Where nothing in the file tells of the delay, it is heard.
        ("f.aac", &["-c:a", "aac", "-b:a", "192k"], 1024),
        ("g.mp2", &["-c:a", "mp2", "-b:a", "256k"], 481),
    ] {
        let path = encoded(dir.path(), &original, name, arguments);
        let decoded = decoded(&path);
        assert_eq!((decoded.sample_rate, decoded.channels), (RATE, 2), "{name}");
        let padding = decoded.frames() - original.frames();
        for channel in 0..2 {
            let (before, after) = (original.channel(channel), decoded.channel(channel));
            let late = lag(&before, &after, 4000);
            let snr = snr_db(&before, &after[late..]);
            // The clock of MP4's edit list counts milliseconds.
            // Of Opus in these, what pads the last packet is left.
            let most = match name.rsplit_once('.') {
                _ if delay > 0 => 4_000,
                Some((_, "m4a")) => 48,
                Some((_, "webm" | "mp4")) => 960,
                _ => 0,
            };
            let is_as_long = padding <= most;
            if late != delay || snr < 18.0 || !is_as_long {
                wrong.push(format!("{name}: late {late}, {snr:.1} dB, {padding} frames more"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The first two seconds that a daemon plays of a file, as the frame API gives them.
fn played(dir: &Path, name: &str, rate: u32) -> Sound {
    let path = dir.join(name);
    let config = format!(
        "[capture]\nbuffer_ms = 5000\nsample_rate = {rate}\n[capture.file]\npath = {path:?}\nloop = false\n"
    );
    let daemon = Setup::new(&config).start();
    let mut stream = daemon.stream("?encoding=f32");
    let mut samples = Vec::new();
    loop {
        match stream.next().unwrap() {
            Heard::Frame(frame) => frame.a.iter().zip(&frame.b).for_each(|(a, b)| samples.extend([*a, *b])),
            Heard::State(state, _) if state == "absent" => break,
            Heard::State(..) => {}
            other => panic!("{other:?}, and status {}", daemon.status()),
        }
    }
    Sound { samples, sample_rate: rate, channels: 2 }
}

#[test]
fn what_is_not_decoded_here_is_handed_to_ffmpeg() {
    let dir = tempfile::tempdir().unwrap();
    let original = quantised(programme(RATE, 2, 2 * RATE as usize), 16);
    for (name, arguments, least) in [
        ("a.wv", &["-c:a", "wavpack", "-sample_fmt", "s16p"][..], 80.0),
        ("b.tta", &["-c:a", "tta", "-sample_fmt", "s16"], 80.0),
        ("c.wma", &["-c:a", "wmav2", "-b:a", "192k"], 15.0),
        ("d.caf", &["-c:a", "pcm_s16be"], 80.0),
    ] {
        encoded(dir.path(), &original, name, arguments);
        let heard = played(dir.path(), name, RATE);
        // Where the listener came in is not known: nearly all of it is there, in one piece.
        let (before, after) = (original.channel(0), heard.channel(0));
        let missed = original.frames().saturating_sub(heard.frames());
        assert!(missed < original.frames() / 2, "{name}: {} frames", heard.frames());
        let late = lag(&after, &before, missed + 3_000);
        let snr = snr_db(&after, &before[late..]);
        assert!(snr > least, "{name}: {snr:.1} dB, {late}");
    }
}

#[test]
fn he_aac_is_heard_with_its_upper_half() {
    if !cfg!(feature = "aac-fdk") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut settings = EncoderSettings::new(Codec::Aac, RATE, 2);
    settings.aac_profile = AacProfile::He;
    let (format, packets) = packets(&settings, &programme(RATE, 2, 2 * RATE as usize));
    fs::write(dir.path().join("he.aac"), muxed(Container::Adts, &format, &packets)).unwrap();
    // At the rate that it has with it: without, it would be refused as 24 kHz.
    let heard = played(dir.path(), "he.aac", RATE);
    assert!(heard.frames() > RATE as usize);
}

#[test]
fn a_wrong_byte_neither_panics_nor_hangs() {
    let dir = tempfile::tempdir().unwrap();
    let original = programme(RATE, 2, 6_000);
    for (name, arguments) in [
        ("a.mp3", &["-c:a", "libmp3lame"][..]),
        ("b.m4a", &["-c:a", "aac"]),
        ("c.ogg", &["-c:a", "libvorbis"]),
        ("d.opus", &["-c:a", "libopus"]),
        ("e.mka", &["-c:a", "libopus"]),
        ("f.m4a", &["-c:a", "alac"]),
        ("g.aiff", &["-c:a", "pcm_s16be"]),
        ("h.aac", &["-c:a", "aac"]),
    ] {
        let good = fs::read(encoded(dir.path(), &original, name, arguments)).unwrap();
        let path = dir.path().join("damaged");
        let places = (0..good.len()).filter(|place| *place < 120 || place % 211 == 0);
        for (place, wrong) in places.flat_map(|place| [0x00, 0x7F, 0xFF].map(|wrong| (place, wrong))) {
            let mut bytes = good.clone();
            bytes[place] = wrong;
            fs::write(&path, &bytes).unwrap();
            let Ok(mut file) = AudioFile::open(&path) else { continue };
            let mut out = vec![0.0; 64 * usize::from(file.channels())];
            let reads = (0..).take_while(|_| file.read(&mut out).is_ok_and(|frames| frames > 0));
            assert!(reads.take(20_000).count() < 20_000, "{name} {place} {wrong}");
        }
    }
}

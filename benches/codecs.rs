//! What encoding and decoding cost: processor time for a minute of stereo at 48 kHz, beside the packaged
//! ffmpeg doing the same. The sound is the demo recording, round and round.
//!
//! ffmpeg's figure is that of the whole process, which starts, reads and writes files; a run that does
//! nothing else is taken off. The best of three runs counts for both.

use std::fs;
use std::hint::black_box;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::sys::resource::{UsageWho, getrusage};
use talasd::codec::decode::AudioFile;
use talasd::codec::{Codec, EncoderSettings, encoder};
use talasd::mux::{Container, muxer};

const RATE: u32 = 48_000;
const SECONDS: usize = 60;
const ROUNDS: usize = 3;
/// What a rendition hands over at a time: 10 ms.
const QUANTUM: usize = 480 * 2;

const DEMO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/talas-demo.flac");

fn main() {
    let music = music();
    let dir = tempfile::tempdir().expect("a directory");
    let wav = dir.path().join("music.wav");
    fs::write(&wav, encoded(&settings(Codec::Wav, None), Container::Wav, &music)).expect("written");
    let copied = ffmpeg_seconds(&wav, &["-c:a", "copy", "-f", "wav", "/dev/null"]);
    println!("processor time for a minute of sound\n");
    println!("| | talasd | ffmpeg | |\n|---|---|---|---|");
    encoders(&music, &wav, copied);
    decoders(&music, dir.path(), copied);
}

/// A minute of the demo recording, in samples.
fn music() -> Vec<f32> {
    let mut file = AudioFile::open(Path::new(DEMO)).expect("shipped");
    let mut music = vec![0.0; RATE as usize * 2 * SECONDS];
    let mut filled = 0;
    while filled < music.len() {
        let frames = file.read(&mut music[filled..]).expect("readable");
        filled += frames * 2;
        if filled < music.len() {
            file.rewind().expect("the same again");
        }
    }
    music
}

fn settings(codec: Codec, kbps: Option<u32>) -> EncoderSettings {
    let mut settings = EncoderSettings::new(codec, RATE, 2);
    settings.bitrate_kbps = kbps;
    settings
}

fn encoders(music: &[f32], wav: &Path, copied: f64) {
    let quick_mp3 = EncoderSettings { mp3_quality: Some(5), ..settings(Codec::Mp3, Some(192)) };
    let deep_flac = EncoderSettings { bit_depth: Some(24), ..settings(Codec::Flac, None) };
    let mp3 =
        |quality| ["-c:a", "libmp3lame", "-b:a", "192k", "-reservoir", "0", "-compression_level", quality];
    let runs: &[(&str, EncoderSettings, &[&str])] = &[
        ("encode MP3 192k, quality 2", settings(Codec::Mp3, Some(192)), &mp3("2")),
        ("encode MP3 192k, quality 5", quick_mp3, &mp3("5")),
        ("encode AAC 160k", settings(Codec::Aac, Some(160)), &["-c:a", "aac", "-b:a", "160k"]),
        ("encode Opus 128k", settings(Codec::Opus, Some(128)), &["-c:a", "libopus", "-b:a", "128k"]),
        ("encode Vorbis 128k", settings(Codec::Vorbis, Some(128)), &["-c:a", "libvorbis", "-b:a", "128k"]),
        ("encode FLAC 16 bit", settings(Codec::Flac, None), &["-c:a", "flac", "-sample_fmt", "s16"]),
        ("encode FLAC 24 bit", deep_flac, &["-c:a", "flac", "-sample_fmt", "s32"]),
        ("encode WAV", settings(Codec::Wav, None), &["-c:a", "pcm_s16le"]),
    ];
    for (name, settings, arguments) in runs {
        let ours = best(|| encode(settings, music));
        let arguments = [*arguments, &["-f", "null", "-"]].concat();
        row(name, ours, ffmpeg_seconds(wav, &arguments) - copied);
    }
}

/// In 10 ms at a time, as a rendition does.
fn encode(settings: &EncoderSettings, music: &[f32]) {
    let mut encoder = encoder(settings).expect("can be");
    let mut emit = |packet| drop(black_box(packet));
    for quantum in music.chunks(QUANTUM) {
        encoder.encode(quantum, &mut emit).expect("encoded");
    }
    encoder.finish(&mut emit).expect("finished");
}

fn decoders(music: &[f32], dir: &Path, copied: f64) {
    for (name, codec, kbps, container) in [
        ("decode MP3 192k", Codec::Mp3, Some(192), Container::Mp3),
        ("decode AAC 160k", Codec::Aac, Some(160), Container::Adts),
        ("decode Opus 128k", Codec::Opus, Some(128), Container::Ogg),
        ("decode Vorbis 128k", Codec::Vorbis, Some(128), Container::Ogg),
        ("decode FLAC 16 bit", Codec::Flac, None, Container::Flac),
        ("decode WAV", Codec::Wav, None, Container::Wav),
    ] {
        let path = dir.join(name);
        fs::write(&path, encoded(&settings(codec, kbps), container, music)).expect("written");
        let ours = best(|| decode(&path));
        row(name, ours, ffmpeg_seconds(&path, &["-f", "null", "-"]) - copied);
    }
}

fn decode(path: &Path) {
    let mut file = AudioFile::open(path).expect("good");
    let mut part = vec![0.0; QUANTUM];
    while file.read(&mut part).expect("readable") > 0 {
        black_box(&part);
    }
}

fn encoded(settings: &EncoderSettings, container: Container, music: &[f32]) -> Vec<u8> {
    let mut encoder = encoder(settings).expect("can be");
    let mut muxer = muxer(container, encoder.format()).expect("holds it");
    let mut stream = muxer.head().to_vec();
    encoder.encode(music, &mut |packet| muxer.packet(&packet, &mut stream)).expect("encoded");
    encoder.finish(&mut |packet| muxer.packet(&packet, &mut stream)).expect("finished");
    muxer.end(&mut stream);
    stream
}

fn row(name: &str, ours: f64, theirs: f64) {
    println!("| {name} | {:.0} ms | {:.0} ms | {:.2} × |", ours * 1e3, theirs * 1e3, ours / theirs);
    std::io::stdout().flush().expect("written");
}

/// Processor time of the quickest of a few runs, in seconds.
fn best(run: impl Fn()) -> f64 {
    let seconds = (0..ROUNDS).map(|_| {
        let before = spent(UsageWho::RUSAGE_SELF);
        run();
        spent(UsageWho::RUSAGE_SELF) - before
    });
    seconds.fold(f64::INFINITY, f64::min)
}

fn ffmpeg_seconds(input: &Path, arguments: &[&str]) -> f64 {
    let seconds = (0..ROUNDS).map(|_| {
        let before = spent(UsageWho::RUSAGE_CHILDREN);
        let status = Command::new("ffmpeg")
            .args(["-nostdin", "-y", "-v", "fatal", "-threads", "1", "-i"])
            .arg(input)
            .args(arguments)
            .stdout(Stdio::null())
            .status()
            .expect("ffmpeg is installed");
        assert!(status.success(), "{arguments:?}");
        spent(UsageWho::RUSAGE_CHILDREN) - before
    });
    seconds.fold(f64::INFINITY, f64::min)
}

fn spent(who: UsageWho) -> f64 {
    let usage = getrusage(who).expect("known");
    let (user, system) = (usage.user_time(), usage.system_time());
    let seconds = |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    seconds(user) + seconds(system)
}

//! Sound for the tests of codecs: made, encoded, decoded by others, and compared.

#![allow(dead_code, missing_docs, clippy::unwrap_used, reason = "each test file uses a part of it")]

use std::io::{Cursor, Write};
use std::process::{Command, Stdio};
use std::thread;

use symphonia::core::codecs::CodecParameters;
use symphonia::core::codecs::audio::AudioDecoderOptions;
use symphonia::core::codecs::registry::CodecRegistry;
use symphonia::core::errors::Error as SymphoniaError;
use symphonia::core::formats::FormatOptions;
use symphonia::core::formats::probe::Hint;
use symphonia::core::io::MediaSourceStream;
use symphonia::core::meta::MetadataOptions;
use talasd::codec::{Encoder, EncoderSettings, Format, Packet, encoder};
use talasd::mux::{Container, muxer};

/// Interleaved samples with their rate.
#[derive(Debug, Clone, PartialEq)]
pub struct Sound {
    pub samples: Vec<f32>,
    pub sample_rate: u32,
    pub channels: u16,
}

impl Sound {
    pub fn frames(&self) -> usize {
        self.samples.len() / usize::from(self.channels)
    }

    pub fn channel(&self, channel: usize) -> Vec<f32> {
        self.samples.iter().skip(channel).step_by(usize::from(self.channels)).copied().collect()
    }
}

/// Something between music and speech: partials that come and go, other ones in each channel. It is
/// nowhere periodic, so that it fits upon itself in one place only.
pub fn programme(sample_rate: u32, channels: u16, frames: usize) -> Sound {
    let rate = f64::from(sample_rate);
    let mut samples = Vec::with_capacity(frames * usize::from(channels));
    for frame in 0..frames {
        let time = frame as f64 / rate;
        for channel in 0..channels {
            let shift = 1.0 + 0.013 * f64::from(channel);
            let value: f64 = (0..6)
                .map(|partial| {
                    let partial = f64::from(partial);
                    let pitch = (180.0 + 310.0 * partial) * shift;
                    let swell = 0.5 + 0.5 * (time * (1.7 + 0.61 * partial) * shift).sin();
                    let bend = 3.0 * (time * (0.9 + 0.23 * partial)).sin();
                    swell * (std::f64::consts::TAU * pitch * time + bend).sin() / (partial + 2.0)
                })
                .sum();
            samples.push((value * 0.4) as f32);
        }
    }
    Sound { samples, sample_rate, channels }
}

/// White noise of a fixed seed.
pub fn noise(count: usize, level: f32) -> Vec<f32> {
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / 8_388_608.0 - 1.0
    };
    (0..count).map(|_| next() * level).collect()
}

/// Rounded to integers of that many bits, so that what is lossless can be held to every bit.
pub fn quantised(mut sound: Sound, bits: u8) -> Sound {
    let scale = (1_u32 << (bits - 1)) as f32;
    sound.samples.iter_mut().for_each(|sample| *sample = (*sample * scale).round() / scale);
    sound
}

/// Puts the helper where this test's program looks for it: beside itself.
pub fn with_helper() {
    let beside = std::env::current_exe().expect("this test").with_file_name("talas-confine");
    match std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_talas-confine"), beside) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => panic!("{error}"),
        _ => {}
    }
}

/// All packets of a sound, given in pieces of odd lengths.
pub fn packets(settings: &EncoderSettings, sound: &Sound) -> (Format, Vec<Packet>) {
    with_helper();
    let mut encoder = encoder(settings).expect("settings that can be");
    let mut packets = Vec::new();
    feed(&mut *encoder, &sound.samples, &mut packets);
    encoder.finish(&mut |packet| packets.push(packet)).expect("finished");
    (encoder.format().clone(), packets)
}

pub fn feed(encoder: &mut dyn Encoder, samples: &[f32], packets: &mut Vec<Packet>) {
    let channels = usize::from(encoder.format().channels);
    for part in samples.chunks(997 * channels) {
        encoder.encode(part, &mut |packet| packets.push(packet)).expect("encoded");
    }
}

/// Packets in their container, from the first to the end.
pub fn muxed(container: Container, format: &Format, packets: &[Packet]) -> Vec<u8> {
    let mut muxer = muxer(container, format).expect("a container for it");
    let mut stream = muxer.head().to_vec();
    packets.iter().for_each(|packet| muxer.packet(packet, &mut stream));
    muxer.end(&mut stream);
    stream
}

/// What ffmpeg makes of a stream that it gets through a pipe. It must have nothing to complain about.
pub fn by_ffmpeg(stream: &[u8], sample_rate: u32, channels: u16) -> Sound {
    let (rate, count) = (sample_rate.to_string(), channels.to_string());
    let arguments = ["-nostdin", "-v", "warning", "-i", "pipe:0", "-f", "f32le", "-ar", &rate, "-ac", &count];
    let output = piped(Command::new("ffmpeg").args(arguments).arg("pipe:1"), stream);
    let is_wav = stream.starts_with(b"RIFF");
    let complaints = String::from_utf8_lossy(&output.stderr);
    let complaints: Vec<&str> = complaints
        .lines()
        // It says so of every raw stream, whose length it cannot know.
        .filter(|line| !line.contains("Estimating duration from bitrate"))
        // And of every WAV file without an end, its own included, where it ends.
        .filter(|line| {
            !is_wav
                || ![
                    "maximum wav data size",
                    "Packet corrupt",
                    "corrupt input packet",
                    "Guessed Channel Layout",
                ]
                .iter()
                .any(|known| line.contains(known))
        })
        .collect();
    assert!(output.status.success() && complaints.is_empty(), "ffmpeg says: {complaints:#?}");
    let (samples, _) = output.stdout.as_chunks::<4>();
    Sound { samples: samples.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect(), sample_rate, channels }
}

/// What ffmpeg has to say against a stream, beside warnings. Where a stream of a chain begins, the packets that
/// come once more have the time of those before: that it says so is no error.
pub fn errors_of_ffmpeg(stream: &[u8]) -> String {
    let arguments = ["-nostdin", "-v", "error", "-xerror", "-i", "pipe:0", "-f", "null", "-"];
    let output = piped(Command::new("ffmpeg").args(arguments), stream);
    let said = String::from_utf8_lossy(&output.stderr);
    let known = "non monotonically increasing dts";
    let said: String = said.lines().filter(|line| !line.contains(known)).collect();
    if output.status.success() { said } else { format!("it failed: {said}") }
}

const AT_THE_END_OF_WAV: [&str; 4] =
    ["maximum wav data size", "Packet corrupt", "corrupt input packet", "Guessed Channel Layout"];

/// Runs a program with that input, whatever it reads of it.
fn piped(command: &mut Command, input: &[u8]) -> std::process::Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("ffmpeg is installed, see scripts/setup.sh");
    let mut stdin = child.stdin.take().expect("piped");
    let input = input.to_vec();
    let writer = thread::spawn(move || {
        // It may stop reading: then its exit status says why.
        let _ = stdin.write_all(&input);
    });
    let output = child.wait_with_output().expect("it ran");
    writer.join().expect("written");
    output
}

/// What symphonia makes of a stream.
pub fn by_symphonia(stream: &[u8]) -> Sound {
    let source = MediaSourceStream::new(Box::new(Cursor::new(stream.to_vec())), Default::default());
    let mut reader = symphonia::default::get_probe()
        .probe(&Hint::new(), source, FormatOptions::default(), MetadataOptions::default())
        .expect("known to symphonia");
    let Some(CodecParameters::Audio(params)) = reader.tracks()[0].codec_params.clone() else {
        panic!("no audio track");
    };
    let mut registry = CodecRegistry::new();
    symphonia::default::register_enabled_codecs(&mut registry);
    registry.register_audio_decoder::<symphonia_adapter_libopus::OpusDecoder>();
    let mut decoder = registry
        .make_audio_decoder(&params, &AudioDecoderOptions::default())
        .expect("a codec of symphonia's");
    let (mut samples, mut part, mut spec) = (Vec::new(), Vec::new(), None);
    loop {
        let packet = match reader.next_packet() {
            Ok(Some(packet)) => packet,
            Ok(None) => break,
            Err(SymphoniaError::IoError(error)) if error.kind() == std::io::ErrorKind::UnexpectedEof => break,
            Err(error) => panic!("{error}"),
        };
        let decoded = decoder.decode(&packet).expect("decoded");
        spec.get_or_insert_with(|| (decoded.spec().rate(), decoded.spec().channels().count() as u16));
        decoded.copy_to_vec_interleaved(&mut part);
        samples.extend_from_slice(&part);
    }
    let (sample_rate, channels) = spec.expect("some sound");
    Sound { samples, sample_rate, channels }
}

/// By how many frames `decoded` is late, looked for between 0 and `most`: where the least is left between
/// it and `original`.
pub fn lag(original: &[f32], decoded: &[f32], most: usize) -> usize {
    let middle = original.len() / 3..original.len() / 3 + 4096;
    let rest = |lag: usize| -> f64 {
        let late = &decoded[middle.start + lag..middle.end + lag];
        original[middle.clone()].iter().zip(late).map(|(a, b)| f64::from(a - b).powi(2)).sum()
    };
    let most = most.min(decoded.len() - middle.end);
    (0..=most).min_by(|a, b| rest(*a).total_cmp(&rest(*b))).expect("some")
}

/// Signal over what is different, in dB, from the third to the last tenth.
pub fn snr_db(original: &[f32], decoded: &[f32]) -> f64 {
    let range = original.len() / 10 * 3..original.len() / 10 * 9;
    let (mut signal, mut rest) = (0.0, 1e-12);
    for (a, b) in original[range.clone()].iter().zip(&decoded[range]) {
        signal += f64::from(*a) * f64::from(*a);
        rest += f64::from(a - b) * f64::from(a - b);
    }
    10.0 * (signal / rest).log10()
}

/// The container that each codec's packets go to in these tests, and others that can hold them.
pub fn containers(codec: talasd::codec::Codec) -> Vec<Container> {
    Container::ALL.into_iter().filter(|container| container.holds(codec)).collect()
}

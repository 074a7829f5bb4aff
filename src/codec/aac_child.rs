//! AAC-LC by a confined `ffmpeg`, for builds without FDK AAC.
//!
//! It takes floats through a pipe and gives ADTS through another, which a thread cuts into packets. Packets
//! come when the child makes them, so a little later than an encoder in this process would give them.

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};

use bytes::Bytes;

use super::encoder::{Encoder, Format, Packet};
use super::samples::{Owed, tamed};
use super::settings::{Codec, EncoderSettings};
use crate::error::{Context, Error, Kind, Result};
use crate::tools::confine;

/// Frames in a packet, and frames of priming before the first sample.
const FRAME_SAMPLES: u32 = 1024;
const DELAY_FRAMES: u32 = 1024;

const ADTS_HEADER: usize = 7;

/// The AAC encoder.
pub struct Aac {
    settings: EncoderSettings,
    format: Format,
    work: Work,
    tamed: Vec<f32>,
    bytes: Vec<u8>,
    owed: Owed,
}

/// A child, and what it is connected by.
struct Work {
    process: Child,
    /// `None` behind the end of the sound.
    input: Option<ChildStdin>,
    packets: Receiver<Bytes>,
    reader: Option<JoinHandle<()>>,
}

impl Aac {
    /// For settings that were checked.
    ///
    /// # Errors
    /// [`Kind::Unavailable`] when the helper or `ffmpeg` is not there.
    pub fn new(settings: &EncoderSettings) -> Result<Self> {
        let format = Format {
            codec: Codec::Aac,
            sample_rate: settings.sample_rate,
            channels: settings.channels,
            bit_depth: None,
            frame_samples: FRAME_SAMPLES,
            delay_frames: DELAY_FRAMES,
            bitrate_kbps: Some(settings.bitrate()),
            headers: vec![config(settings)],
        };
        let work = Work::start(settings)?;
        let (tamed, bytes) = (Vec::new(), Vec::new());
        Ok(Self { settings: settings.clone(), format, work, tamed, bytes, owed: Owed::new(DELAY_FRAMES) })
    }

    fn count(&mut self, bytes: Bytes, emit: &mut dyn FnMut(Packet)) {
        let frames = self.owed.count(FRAME_SAMPLES);
        if frames > 0 {
            emit(Packet::clean(bytes, frames));
        }
    }
}

impl Encoder for Aac {
    fn format(&self) -> &Format {
        &self.format
    }

    fn encode(&mut self, samples: &[f32], emit: &mut dyn FnMut(Packet)) -> Result<()> {
        tamed(samples, &mut self.tamed);
        self.owed.take(samples.len(), self.format.channels);
        self.bytes.clear();
        self.bytes.extend(self.tamed.iter().flat_map(|sample| sample.to_le_bytes()));
        let Some(input) = &mut self.work.input else { return Err(failed("was at its end")) };
        // The reader takes what comes out, so the child never waits for us, and we only for its work.
        input.write_all(&self.bytes).context(|| "the AAC encoder (ffmpeg) ended".to_owned())?;
        while let Ok(bytes) = self.work.packets.try_recv() {
            self.count(bytes, emit);
        }
        Ok(())
    }

    fn finish(&mut self, emit: &mut dyn FnMut(Packet)) -> Result<()> {
        self.work.input = None;
        while let Ok(bytes) = self.work.packets.recv() {
            self.count(bytes, emit);
        }
        if self.owed.is_settled() { Ok(()) } else { Err(failed("did not finish")) }
    }

    fn reset(&mut self) -> Result<()> {
        self.work = Work::start(&self.settings)?;
        self.owed = Owed::new(DELAY_FRAMES);
        Ok(())
    }
}

impl Work {
    fn start(settings: &EncoderSettings) -> Result<Self> {
        let (rate, channels) = (settings.sample_rate.to_string(), settings.channels.to_string());
        let bitrate = format!("{}k", settings.bitrate());
        let mut process = confine::command("ffmpeg")?
            // It need not look at what it is told; with "nobuffer" it would, and throw away what it looked at.
            .args(["-hide_banner", "-loglevel", "quiet", "-probesize", "32", "-analyzeduration", "0"])
            .args(["-f", "f32le", "-ar", &rate, "-ac", &channels, "-i", "pipe:0"])
            .args(["-codec:a", "aac", "-b:a", &bitrate, "-f", "adts", "-flush_packets", "1", "pipe:1"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let (Some(input), Some(output)) = (process.stdin.take(), process.stdout.take()) else {
            return Err(failed("has no pipes"));
        };
        let (sender, packets) = channel();
        let reader =
            thread::Builder::new().name("aac-child".to_owned()).spawn(move || cut(output, &sender))?;
        Ok(Self { process, input: Some(input), packets, reader: Some(reader) })
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        // All of these fail only when it is gone already; its end is the reader's.
        let _ = self.process.kill();
        let _ = self.process.wait();
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

/// Cuts ADTS into what is under its headers, until there is no more.
fn cut(mut output: ChildStdout, packets: &Sender<Bytes>) {
    let mut header = [0; ADTS_HEADER];
    while output.read_exact(&mut header).is_ok() {
        let length =
            usize::from(header[3] & 3) << 11 | usize::from(header[4]) << 3 | usize::from(header[5] >> 5);
        let Some(length) = length.checked_sub(ADTS_HEADER) else { return };
        let mut packet = vec![0; length];
        if output.read_exact(&mut packet).is_err() || packets.send(packet.into()).is_err() {
            return;
        }
    }
}

/// The `AudioSpecificConfig`: object type LC, rate, channels.
fn config(settings: &EncoderSettings) -> Bytes {
    let rates = Codec::Aac.sample_rates();
    // The standard's table is the other way round, and its last is 7350 Hz, which is not offered.
    let from_top = rates.iter().rev().position(|rate| *rate == settings.sample_rate).unwrap_or(0);
    let word = 2 << 11 | (from_top as u16) << 7 | settings.channels << 3;
    Bytes::copy_from_slice(&word.to_be_bytes())
}

fn failed(what: &str) -> Error {
    Error::new(Kind::Internal, format!("the AAC encoder (ffmpeg) {what}"))
}

//! Low-latency sound: packets of Opus or PCM, cut from the programme as it comes and not from blocks, with
//! gaps and states between them.
//!
//! In here: which forms there are, and their renditions. Not in here: WebSocket, and who listens.

mod line;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use bytes::Bytes;

pub use line::Hole;
use line::{Item, Line};

use super::Station;
use super::renditions::{self, Encode, Material, Recipe};
use crate::audio::{Quantum, StateMark};
use crate::codec::{Codec, EncoderSettings, OPUS_GRANULE_RATE, OpusApplication};
use crate::error::Result;
use crate::mux::packet::{Content, Header};
use crate::tools::clock::WallClock;
use crate::tools::spread::Extent;

/// Bit rates that Opus can be asked for, in kbit/s: few, so that listeners share encoders and no crowd of
/// strangers makes the daemon start hundreds.
pub const BITRATES_KBPS: [u32; 9] = [32, 48, 64, 96, 128, 160, 192, 256, 320];
/// Lengths of packets of Opus that can be asked for, in milliseconds. Longer ones are for players.
pub const FRAMES_MS: [u32; 3] = [5, 10, 20];
/// Most channels that are sent: browsers play two.
const MOST_CHANNELS: u16 = 2;

/// How packets are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Form {
    /// Opus, without the part of it that costs most delay.
    Opus {
        /// Mean rate in kbit/s; `None` for 64 in each channel.
        bitrate_kbps: Option<u32>,
        /// Length of a packet in milliseconds.
        frame_ms: u32,
    },
    /// Samples as 16-bit integers, in pieces as long as the programme comes in.
    S16,
    /// The same as floats.
    F32,
}

impl Form {
    /// What packets hold.
    pub const fn content(self) -> Content {
        match self {
            Self::Opus { .. } => Content::Opus,
            Self::S16 => Content::S16,
            Self::F32 => Content::F32,
        }
    }

    /// The encoding for a programme of this rate, with as many of these channels as it can have.
    fn settings(self, capture_rate: u32, channels: u16) -> EncoderSettings {
        let channels = channels.clamp(1, MOST_CHANNELS);
        match self {
            Self::Opus { bitrate_kbps, frame_ms } => EncoderSettings {
                bitrate_kbps,
                opus_application: OpusApplication::LowDelay,
                opus_frame_ms: frame_ms as f32,
                ..EncoderSettings::new(Codec::Opus, OPUS_GRANULE_RATE, channels)
            },
            Self::S16 | Self::F32 => EncoderSettings::new(Codec::Wav, capture_rate, channels),
        }
    }
}

impl Recipe for Form {
    type Entry = Entry;
    type About = About;
    type Encoder = Encoder;

    fn name(self) -> String {
        match self {
            Self::Opus { bitrate_kbps: Some(kbps), frame_ms } => format!("packets/opus/{kbps}/{frame_ms}"),
            Self::Opus { bitrate_kbps: None, frame_ms } => format!("packets/opus/{frame_ms}"),
            Self::S16 => "packets/s16".to_owned(),
            Self::F32 => "packets/f32".to_owned(),
        }
    }

    fn thread_name(self) -> String {
        format!("encode-{}", self.name().trim_start_matches("packets/").replace('/', "-"))
    }

    fn entries_per_second(self, _: &Material) -> u64 {
        match self {
            Self::Opus { frame_ms, .. } => 1000 / u64::from(frame_ms.max(1)),
            // As many as periods of the shortest kind.
            Self::S16 | Self::F32 => 1000,
        }
    }

    /// With whatever comes.
    fn may_begin(_: &Quantum) -> bool {
        true
    }

    fn encoder(self, material: &Material) -> Result<Encoder> {
        let line = Line::new(self, material.sample_rate, material.channels)?;
        Ok(Encoder { content: self.content(), line, sequence: 0, wall: material.wall.clone() })
    }
}

/// A listener's hold on a rendition.
pub type Subscription = renditions::Subscription<Form>;

impl Station {
    /// Listens to low-latency sound from now on.
    ///
    /// # Errors
    /// The form cannot be, or the system gives no thread.
    pub fn subscribe_packets(&self, form: Form) -> Result<Subscription> {
        self.shared.packets.subscribe(form)
    }
}

/// What a listener has to know before the first packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// Frames per second of the sound.
    pub sample_rate: u32,
    /// Samples of a frame.
    pub channels: u16,
    /// Frames per second of the programme, in which positions count.
    pub capture_rate: u32,
    /// What a decoder may want first; empty where there is nothing.
    pub setup: Bytes,
}

/// What an entry tells.
#[derive(Debug, Clone, PartialEq)]
pub enum Told {
    /// Sound.
    Packet {
        /// Position of its first frame.
        position: u64,
        /// Position after its last.
        end: u64,
        /// When its first frame was captured, on the monotonic clock.
        mono_ns: i64,
        /// Header and sound.
        bytes: Bytes,
    },
    /// A hole that everybody has.
    Gap(Hole),
    /// A change of state.
    State(StateMark),
}

/// An entry of a rendition.
#[derive(Debug, Clone)]
pub struct Entry {
    epoch: u64,
    /// What it tells.
    pub told: Told,
}

impl Extent for Entry {
    fn span(&self) -> u64 {
        if let Told::Packet { position, end, .. } = self.told { end - position } else { 0 }
    }

    fn bytes(&self) -> usize {
        if let Told::Packet { bytes, .. } = &self.told { bytes.len() } else { size_of::<Self>() }
    }

    fn epoch(&self) -> u64 {
        self.epoch
    }
}

/// The programme to packets of one form.
pub struct Encoder {
    content: Content,
    line: Line,
    /// Number of the next packet.
    sequence: u64,
    wall: Arc<WallClock>,
}

impl Encode for Encoder {
    type Entry = Entry;
    type About = About;

    fn about(&self) -> About {
        self.line.about()
    }

    fn push(&mut self, quantum: &Quantum, emit: &mut dyn FnMut(Entry)) -> Result<()> {
        let Self { content, line, sequence, wall, .. } = self;
        let epoch = quantum.epoch;
        // Two at most.
        let channels = line.about().channels as u8;
        line.push(quantum, &mut |item| {
            let told = match item {
                Item::Piece(piece) => {
                    let header = Header {
                        content: *content,
                        is_start: piece.is_start,
                        channels,
                        frames: piece.frames,
                        skip: piece.skip,
                        sequence: *sequence,
                        position: piece.position,
                        captured_us: wall.us_at(piece.mono_ns),
                    };
                    *sequence += 1;
                    let (position, end, mono_ns) = (piece.position, piece.end, piece.mono_ns);
                    Told::Packet { position, end, mono_ns, bytes: header.before(&piece.bytes) }
                }
                Item::Gap(hole) => Told::Gap(hole),
                Item::State(mark) => Told::State(mark),
            };
            emit(Entry { epoch, told });
        })
    }

    fn interrupt(&mut self) -> Result<()> {
        self.line.interrupt()
    }
}

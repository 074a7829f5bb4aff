//! Opus (RFC 6716) by libopus, with the headers that RFC 7845 gives it in Ogg.

use bytes::{BufMut, Bytes, BytesMut};
use opus::{Application, Bitrate, Channels};

use super::encoder::{Encoder, Format, Packet};
use super::samples::{Owed, Pieces};
use super::settings::{Codec, EncoderSettings, OpusApplication};
use crate::error::{Error, Kind, Result};

/// Opus counts in these, whatever rate its input has.
pub const GRANULE_RATE: u32 = 48_000;

/// Effort, 0 to 10: the best, at 0.7 % of a core for stereo.
const COMPLEXITY: i32 = 10;

/// More than any packet of one frame of 60 ms at the highest rate.
const MOST_BYTES: usize = 8 * 1275;

/// The Opus encoder.
pub struct Opus {
    format: Format,
    pieces: Pieces,
    core: Core,
}

/// What turns a piece into a packet.
struct Core {
    encoder: opus::Encoder,
    frame_samples: u32,
    out: Vec<u8>,
    owed: Owed,
}

impl Opus {
    /// For settings that were checked.
    ///
    /// # Errors
    /// [`Kind::Internal`] when libopus refuses them all the same.
    pub fn new(settings: &EncoderSettings) -> Result<Self> {
        let mut encoder = open(settings).map_err(|error| failed(&error))?;
        let delay_frames = encoder.get_lookahead().map_err(|error| failed(&error))?.unsigned_abs();
        let frame_samples = (settings.sample_rate as f32 * settings.opus_frame_ms / 1000.0) as u32;
        let format = Format {
            codec: Codec::Opus,
            sample_rate: settings.sample_rate,
            channels: settings.channels,
            bit_depth: None,
            frame_samples,
            delay_frames,
            bitrate_kbps: Some(settings.bitrate()),
            headers: vec![head(settings, delay_frames), tags()],
        };
        let pieces = Pieces::new(frame_samples, settings.channels);
        let core = Core { encoder, frame_samples, out: vec![0; MOST_BYTES], owed: Owed::new(delay_frames) };
        Ok(Self { format, pieces, core })
    }
}

impl Encoder for Opus {
    fn format(&self) -> &Format {
        &self.format
    }

    fn encode(&mut self, samples: &[f32], emit: &mut dyn FnMut(Packet)) -> Result<()> {
        let Self { format, pieces, core } = self;
        core.owed.take(samples.len(), format.channels);
        pieces.push(samples, |piece| core.encode(piece, emit))
    }

    fn finish(&mut self, emit: &mut dyn FnMut(Packet)) -> Result<()> {
        while !self.core.owed.is_settled() {
            self.pieces.pad(|piece| self.core.encode(piece, emit))?;
        }
        Ok(())
    }

    fn reset(&mut self) -> Result<()> {
        self.pieces.clear();
        self.core.owed = Owed::new(self.format.delay_frames);
        self.core.encoder.reset_state().map_err(|error| failed(&error))
    }
}

impl Core {
    fn encode(&mut self, piece: &[f32], emit: &mut dyn FnMut(Packet)) -> Result<()> {
        let length = self.encoder.encode_float(piece, &mut self.out).map_err(|error| failed(&error))?;
        let frames = self.owed.count(self.frame_samples);
        emit(Packet::clean(self.out[..length].to_vec(), frames));
        Ok(())
    }
}

fn open(settings: &EncoderSettings) -> Result<opus::Encoder, opus::Error> {
    let channels = if settings.channels == 1 { Channels::Mono } else { Channels::Stereo };
    let application = match settings.opus_application {
        OpusApplication::Audio => Application::Audio,
        OpusApplication::Voip => Application::Voip,
        OpusApplication::LowDelay => Application::LowDelay,
    };
    let mut encoder = opus::Encoder::new(settings.sample_rate, channels, application)?;
    encoder.set_bitrate(Bitrate::Bits((settings.bitrate() * 1000).cast_signed()))?;
    encoder.set_complexity(COMPLEXITY)?;
    encoder.set_vbr(settings.vbr.unwrap_or(true))?;
    Ok(encoder)
}

/// The identification header (RFC 7845, 5.1).
fn head(settings: &EncoderSettings, delay_frames: u32) -> Bytes {
    let pre_skip = delay_frames * (GRANULE_RATE / settings.sample_rate);
    let mut head = BytesMut::with_capacity(19);
    head.put_slice(b"OpusHead");
    head.put_u8(1);
    head.put_u8(settings.channels as u8);
    head.put_u16_le(pre_skip as u16);
    head.put_u32_le(settings.sample_rate);
    head.put_i16_le(0);
    // Mono or stereo, nothing to map.
    head.put_u8(0);
    head.freeze()
}

/// The comment header (RFC 7845, 5.2), without comments.
fn tags() -> Bytes {
    let vendor = opus::version();
    let mut tags = BytesMut::with_capacity(16 + vendor.len());
    tags.put_slice(b"OpusTags");
    tags.put_u32_le(vendor.len() as u32);
    tags.put_slice(vendor.as_bytes());
    tags.put_u32_le(0);
    tags.freeze()
}

fn failed(error: &opus::Error) -> Error {
    Error::new(Kind::Internal, format!("the Opus encoder failed: {error}"))
}

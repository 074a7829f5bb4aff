//! MP3 (MPEG-1, 2 and 2.5 Layer III) by LAME.
//!
//! The bit reservoir is off: a frame then holds all of its own data, so that a listener can begin with
//! any of them, and one that is lost takes no other with it. It costs some quality at low rates. No Xing
//! or LAME tag is written, since it is a frame whose contents are known only at the end.

use mp3lame_encoder::{
    Builder, Encoder as Lame, FlushGap, InterleavedPcm, MonoPcm, ffi, max_required_buffer_size,
};

use super::encoder::{Encoder, Format, Packet};
use super::mpeg_audio::FrameHeader;
use super::samples::{Owed, tamed};
use super::settings::{Codec, EncoderSettings};
use crate::error::{Error, Kind, Result};

/// Frames by which LAME itself delays, and those that every Layer III decoder adds to them.
const ENCODER_DELAY: u32 = 576;
const DECODER_DELAY: u32 = 529;

/// LAME's trade of quality against time, where the settings leave it open: the best that differs
/// measurably from its neighbours.
const DEFAULT_QUALITY: u8 = 2;

/// Frames handed to LAME at a time, so that its output buffer has a bound.
const STEP_FRAMES: usize = 4608;

/// The MP3 encoder.
pub struct Mp3 {
    settings: EncoderSettings,
    format: Format,
    lame: Lame,
    /// Samples within full scale.
    tamed: Vec<f32>,
    /// Bytes of a frame that is not complete.
    begun: Vec<u8>,
    owed: Owed,
}

impl Mp3 {
    /// For settings that were checked.
    ///
    /// # Errors
    /// [`Kind::Internal`] when LAME refuses them all the same.
    pub fn new(settings: &EncoderSettings) -> Result<Self> {
        let bitrate_kbps = (!is_vbr(settings)).then(|| settings.bitrate());
        let delay_frames = ENCODER_DELAY + DECODER_DELAY;
        let format = Format {
            codec: Codec::Mp3,
            sample_rate: settings.sample_rate,
            channels: settings.channels,
            bit_depth: None,
            frame_samples: if settings.sample_rate >= 32_000 { 1152 } else { 576 },
            delay_frames,
            bitrate_kbps,
            headers: Vec::new(),
        };
        let lame = open(settings)?;
        let (tamed, begun) = (Vec::new(), Vec::new());
        Ok(Self { settings: settings.clone(), format, lame, tamed, begun, owed: Owed::new(delay_frames) })
    }

    /// Gives the whole frames among the bytes that LAME wrote.
    fn give(&mut self, emit: &mut dyn FnMut(Packet)) -> Result<()> {
        let mut used = 0;
        while let Some(header) = self.begun[used..].first_chunk::<4>() {
            let header = FrameHeader::parse(*header).ok_or_else(|| failed("wrote no frame header"))?;
            let Some(frame) = self.begun.get(used..used + header.bytes) else { break };
            used += header.bytes;
            // Frames of padding at the very end count as nothing, and nobody needs them.
            let frames = self.owed.count(header.samples);
            if frames > 0 {
                emit(Packet::clean(frame.to_vec(), frames));
            }
        }
        self.begun.drain(..used);
        Ok(())
    }
}

impl Encoder for Mp3 {
    fn format(&self) -> &Format {
        &self.format
    }

    fn encode(&mut self, samples: &[f32], emit: &mut dyn FnMut(Packet)) -> Result<()> {
        let channels = usize::from(self.format.channels);
        for part in samples.chunks(STEP_FRAMES * channels) {
            tamed(part, &mut self.tamed);
            self.owed.take(part.len(), self.format.channels);
            self.begun.reserve(max_required_buffer_size(part.len() / channels));
            let written = if channels == 1 {
                self.lame.encode_to_vec(MonoPcm(&self.tamed[..]), &mut self.begun)
            } else {
                self.lame.encode_to_vec(InterleavedPcm(&self.tamed[..]), &mut self.begun)
            };
            written.map_err(|error| failed(&error.to_string()))?;
            self.give(emit)?;
        }
        Ok(())
    }

    fn finish(&mut self, emit: &mut dyn FnMut(Packet)) -> Result<()> {
        self.begun.reserve(max_required_buffer_size(0));
        self.lame.flush_to_vec::<FlushGap>(&mut self.begun).map_err(|error| failed(&error.to_string()))?;
        self.give(emit)
    }

    fn reset(&mut self) -> Result<()> {
        self.lame = open(&self.settings)?;
        self.begun.clear();
        self.owed = Owed::new(self.format.delay_frames);
        Ok(())
    }
}

fn is_vbr(settings: &EncoderSettings) -> bool {
    settings.vbr.unwrap_or(false)
}

/// LAME, set up.
#[expect(unsafe_code, reason = "the binding has neither the bit reservoir nor all rates")]
fn open(settings: &EncoderSettings) -> Result<Lame> {
    let refused = |error: mp3lame_encoder::BuildError| failed(&error.to_string());
    let mut builder = Builder::new().ok_or_else(|| failed("had no memory"))?;
    builder.set_num_channels(settings.channels as u8).map_err(refused)?;
    builder.set_sample_rate(settings.sample_rate).map_err(refused)?;
    builder.set_output_sample_rate(std::num::NonZeroU32::new(settings.sample_rate)).map_err(refused)?;
    builder.set_to_write_vbr_tag(false).map_err(refused)?;
    let asked = i32::from(settings.mp3_quality.unwrap_or(DEFAULT_QUALITY));
    let kbps = settings.bitrate().cast_signed();
    // SAFETY: the pointer belongs to `builder`, which lives on, and each call only sets a field behind it.
    let set = unsafe {
        let lame = builder.as_ptr();
        let how = if is_vbr(settings) {
            ffi::lame_set_VBR(lame, ffi::vbr_mode::vbr_mtrh) + ffi::lame_set_VBR_q(lame, asked)
        } else {
            ffi::lame_set_quality(lame, asked) + ffi::lame_set_brate(lame, kbps)
        };
        how + ffi::lame_set_disable_reservoir(lame, 1)
    };
    if set != 0 {
        return Err(failed("would not be set up"));
    }
    builder.build().map_err(refused)
}

fn failed(what: &str) -> Error {
    Error::new(Kind::Internal, format!("the MP3 encoder failed: {what}"))
}

//! One trait for every encoder: sound in, packets out.
//!
//! # What every encoder promises
//!
//! - Samples are interleaved `f32`, full scale at ±1, at the rate and with the channels of its settings.
//!   One beyond full scale is cut there, and one that is not a finite number counts as 0 (`codec::samples`).
//! - Packets come out in order, and their `frames` add up: after [`Encoder::finish`] the sum is
//!   [`Format::delay_frames`] + the frames that went in. Padding at the end is not counted, so the last
//!   packet may count fewer frames than a decoder makes of it.
//! - After [`Encoder::reset`] nothing that was given before comes out any more, and the encoder is as new:
//!   the next packets begin with `delay_frames` of priming again. A decoder that goes on makes a block's
//!   overlap more of Vorbis at that place, which its packet counts.
//! - An encoder runs on any thread, allocates as it likes, and never waits.
//!
//! What a codec can do, and why it refuses the rest, is in `codec::settings`. Not in here: rate
//! conversion, channel mixing and dither (`dsp`), and how packets become a stream (`mux`).

use bytes::Bytes;

#[cfg(not(feature = "aac-fdk"))]
use super::aac_child;
#[cfg(feature = "aac-fdk")]
use super::fdk;
use super::settings::{Codec, EncoderSettings};
use super::{flac, lame, opus, vorbis, wave};
use crate::error::{Error, Kind, Result};

/// What a muxer and a player have to know of encoded sound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Format {
    /// How it is encoded.
    pub codec: Codec,
    /// Frames per second of the sound that went in, in which packets are counted.
    pub sample_rate: u32,
    /// Samples in a frame.
    pub channels: u16,
    /// Bits of a sample where the codec keeps integers: 16 or 24.
    pub bit_depth: Option<u8>,
    /// Frames in each packet; 0 where it varies.
    pub frame_samples: u32,
    /// Frames that a decoder makes before the first that went in. Ogg and MP4 tell the player to drop
    /// them; MP3 and ADTS cannot, there they are heard as a moment of silence.
    pub delay_frames: u32,
    /// Mean rate that was asked for, in kbit/s; `None` where the sound decides.
    pub bitrate_kbps: Option<u32>,
    /// What a decoder needs before the first packet, one entry for each header: `OpusHead` and
    /// `OpusTags`; the three headers of Vorbis; an `AudioSpecificConfig`; `fLaC` with `STREAMINFO`.
    pub headers: Vec<Bytes>,
}

/// A piece of encoded sound that is decoded as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// The codec's own bytes, without a container.
    pub bytes: Bytes,
    /// Its length in frames, padding not counted.
    pub frames: u32,
    /// Whether a listener can begin here with nothing but the headers.
    pub clean_start: bool,
}

impl Packet {
    /// A packet at which a listener can begin.
    pub fn clean(bytes: impl Into<Bytes>, frames: u32) -> Self {
        Self { bytes: bytes.into(), frames, clean_start: true }
    }
}

/// Sound in, packets out. See the module's head for what it promises.
pub trait Encoder: Send {
    /// What comes out.
    fn format(&self) -> &Format;

    /// Takes interleaved samples, a whole number of frames, and gives the packets that are complete.
    ///
    /// # Errors
    /// [`Kind::Internal`] when the codec failed. Then only [`Encoder::reset`] brings it back.
    fn encode(&mut self, samples: &[f32], emit: &mut dyn FnMut(Packet)) -> Result<()>;

    /// Pads what is begun and gives everything that is left. Only [`Encoder::reset`] may follow.
    ///
    /// # Errors
    /// As [`Encoder::encode`].
    fn finish(&mut self, emit: &mut dyn FnMut(Packet)) -> Result<()>;

    /// Forgets all sound given so far, and begins anew.
    ///
    /// # Errors
    /// [`Kind::Internal`] when the codec cannot be set up again.
    fn reset(&mut self) -> Result<()>;
}

/// An encoder for these settings.
///
/// # Errors
/// [`Kind::Invalid`] with every reason of [`EncoderSettings::check`]; [`Kind::Internal`] when the codec
/// refused what it should take; [`Kind::Unavailable`] when AAC is `ffmpeg`'s business and that is not there.
pub fn encoder(settings: &EncoderSettings) -> Result<Box<dyn Encoder>> {
    let reasons = settings.check();
    if !reasons.is_empty() {
        return Err(Error::new(Kind::Invalid, reasons.join("; ")));
    }
    Ok(match settings.codec {
        Codec::Mp3 => Box::new(lame::Mp3::new(settings)?),
        Codec::Wav => Box::new(wave::Wave::new(settings)),
        #[cfg(feature = "aac-fdk")]
        Codec::Aac => Box::new(fdk::Aac::new(settings)?),
        #[cfg(not(feature = "aac-fdk"))]
        Codec::Aac => Box::new(aac_child::Aac::new(settings)?),
        Codec::Opus => Box::new(opus::Opus::new(settings)?),
        Codec::Vorbis => Box::new(vorbis::Vorbis::new(settings)?),
        Codec::Flac => Box::new(flac::Flac::new(settings)?),
    })
}

//! PCM: what a WAV file holds. Little-endian integers of 16 or 24 bits, exact for sound that came from
//! as many.

use super::encoder::{Encoder, Format, Packet};
use super::samples::to_integer;
use super::settings::{Codec, EncoderSettings};
use crate::error::Result;

/// Bits of a sample where the settings leave it open.
pub const DEFAULT_BITS: u8 = 16;

/// The encoder that only changes the form of samples. Each call gives one packet.
pub struct Wave {
    format: Format,
    bits: u8,
}

impl Wave {
    /// For settings that were checked.
    pub fn new(settings: &EncoderSettings) -> Self {
        let bits = settings.bit_depth.unwrap_or(DEFAULT_BITS);
        let format = Format {
            codec: Codec::Wav,
            sample_rate: settings.sample_rate,
            channels: settings.channels,
            bit_depth: Some(bits),
            frame_samples: 0,
            delay_frames: 0,
            bitrate_kbps: None,
            headers: Vec::new(),
        };
        Self { format, bits }
    }
}

/// Samples as little-endian integers of so many bytes each. The length is known to the compiler, which makes
/// one loop without branches of it.
fn integers<const BYTES: usize>(samples: &[f32]) -> Vec<u8> {
    let bits = if BYTES == 2 { 16 } else { 24 };
    let mut bytes = vec![0; samples.len() * BYTES];
    for (place, sample) in bytes.as_chunks_mut::<BYTES>().0.iter_mut().zip(samples) {
        place.copy_from_slice(&to_integer(*sample, bits).to_le_bytes()[..BYTES]);
    }
    bytes
}

impl Encoder for Wave {
    fn format(&self) -> &Format {
        &self.format
    }

    fn encode(&mut self, samples: &[f32], emit: &mut dyn FnMut(Packet)) -> Result<()> {
        if samples.is_empty() {
            return Ok(());
        }
        let bytes = match self.bits {
            16 => integers::<2>(samples),
            // The settings allow no other.
            _ => integers::<3>(samples),
        };
        let frames = samples.len() / usize::from(self.format.channels);
        emit(Packet::clean(bytes, u32::try_from(frames).unwrap_or(u32::MAX)));
        Ok(())
    }

    fn finish(&mut self, _emit: &mut dyn FnMut(Packet)) -> Result<()> {
        Ok(())
    }

    fn reset(&mut self) -> Result<()> {
        Ok(())
    }
}

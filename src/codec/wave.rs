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

impl Encoder for Wave {
    fn format(&self) -> &Format {
        &self.format
    }

    fn encode(&mut self, samples: &[f32], emit: &mut dyn FnMut(Packet)) -> Result<()> {
        if samples.is_empty() {
            return Ok(());
        }
        let mut bytes = Vec::with_capacity(samples.len() * usize::from(self.bits / 8));
        for sample in samples {
            let value = to_integer(*sample, self.bits).to_le_bytes();
            bytes.extend_from_slice(&value[..usize::from(self.bits / 8)]);
        }
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

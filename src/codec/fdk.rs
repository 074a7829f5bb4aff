//! AAC-LC, HE-AAC and HE-AAC v2 by Fraunhofer's FDK. Its licence is its own; see the README.
//!
//! FDK takes 16-bit integers: sound with more should be dithered to 16 bits before.

use bytes::Bytes;
use fdk_aac::enc::{
    AudioObjectType, BitRate, ChannelMode, Encoder as Fdk, EncoderError, EncoderParams, Transport,
};

use super::encoder::{Encoder, Format, Packet};
use super::samples::{Owed, Pieces, to_integer};
use super::settings::{AacProfile, Codec, EncoderSettings};
use crate::error::{Error, Kind, Result};

/// The AAC encoder.
pub struct Aac {
    settings: EncoderSettings,
    format: Format,
    pieces: Pieces,
    core: Core,
}

/// What turns pieces into packets.
struct Core {
    fdk: Fdk,
    frame_samples: u32,
    integers: Vec<i16>,
    out: Vec<u8>,
    owed: Owed,
}

impl Aac {
    /// For settings that were checked.
    ///
    /// # Errors
    /// [`Kind::Internal`] when FDK refuses them all the same.
    pub fn new(settings: &EncoderSettings) -> Result<Self> {
        let fdk = open(settings)?;
        let info = fdk.info().map_err(|error| failed(&error))?;
        let config = info.confBuf.get(..info.confSize as usize).unwrap_or_default();
        let format = Format {
            codec: Codec::Aac,
            sample_rate: settings.sample_rate,
            channels: settings.channels,
            bit_depth: None,
            frame_samples: info.frameLength,
            delay_frames: info.nDelay,
            bitrate_kbps: Some(settings.bitrate()),
            headers: vec![Bytes::copy_from_slice(config)],
        };
        let core = Core {
            fdk,
            frame_samples: info.frameLength,
            integers: Vec::new(),
            out: vec![0; info.maxOutBufBytes as usize],
            owed: Owed::new(info.nDelay),
        };
        let pieces = Pieces::new(format.frame_samples, format.channels);
        Ok(Self { settings: settings.clone(), format, pieces, core })
    }
}

impl Encoder for Aac {
    fn format(&self) -> &Format {
        &self.format
    }

    fn encode(&mut self, samples: &[f32], emit: &mut dyn FnMut(Packet)) -> Result<()> {
        let Self { format, pieces, core, .. } = self;
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
        self.core.fdk = open(&self.settings)?;
        self.core.owed = Owed::new(self.format.delay_frames);
        self.pieces.clear();
        Ok(())
    }
}

impl Core {
    /// One piece is one packet: FDK is set up for pieces of this length.
    fn encode(&mut self, piece: &[f32], emit: &mut dyn FnMut(Packet)) -> Result<()> {
        self.integers.clear();
        self.integers.extend(piece.iter().map(|sample| to_integer(*sample, 16) as i16));
        let done = self.fdk.encode(&self.integers, &mut self.out).map_err(|error| failed(&error))?;
        if done.input_consumed != self.integers.len() || done.output_size == 0 {
            return Err(Error::new(Kind::Internal, "the AAC encoder made no packet of a frame"));
        }
        let frames = self.owed.count(self.frame_samples);
        emit(Packet::clean(self.out[..done.output_size].to_vec(), frames));
        Ok(())
    }
}

fn open(settings: &EncoderSettings) -> Result<Fdk> {
    let audio_object_type = match settings.aac_profile {
        AacProfile::Lc => AudioObjectType::Mpeg4LowComplexity,
        AacProfile::He => AudioObjectType::Mpeg4HeAac,
        AacProfile::HeV2 => AudioObjectType::Mpeg4HeAacV2,
    };
    let params = EncoderParams {
        bit_rate: BitRate::Cbr(settings.bitrate() * 1000),
        sample_rate: settings.sample_rate,
        transport: Transport::Raw,
        channels: if settings.channels == 1 { ChannelMode::Mono } else { ChannelMode::Stereo },
        audio_object_type,
    };
    Fdk::new(params).map_err(|error| failed(&error))
}

fn failed(error: &EncoderError) -> Error {
    Error::new(Kind::Internal, format!("the AAC encoder failed: {error}"))
}

//! Encodings of the programme: for players ([`mod@encoder`] and the codecs behind it), and for the frame API
//! ([`frames`], [`reduce`]: what an `audio-frame`, a `gap` and a `state` carry as data). How they are
//! framed for a transport is `mux`'s business.

#[cfg(not(feature = "aac-fdk"))]
mod aac_child;
pub mod decode;
pub mod encoder;
#[cfg(feature = "aac-fdk")]
mod fdk;
mod flac;
mod flac_frame;
pub mod frames;
mod lame;
mod mpeg_audio;
mod opus;
pub mod reduce;
mod samples;
pub mod settings;
mod vorbis;
mod wave;

pub use encoder::{Encoder, Format, Packet, encoder};
pub use opus::GRANULE_RATE as OPUS_GRANULE_RATE;
pub use settings::{AacProfile, Codec, EncoderSettings, OpusApplication};

//! One trait for every container: packets in, a stream of bytes out.
//!
//! A stream is its [`Muxer::head`], which every listener gets first, and then what [`Muxer::packet`] and
//! [`Muxer::flush`] wrote, from any place where a packet begins that is a clean start. The same bytes serve
//! all listeners, so no container here counts from the moment when somebody began to listen.
//!
//! Not in here: encoding (`codec`), and metadata beside the stream.

use std::fmt;

use bytes::Bytes;

use super::{adts, fmp4, ogg, raw, wav};
use crate::codec::{Codec, Format, Packet};
use crate::error::{Error, Kind, Result};

/// What holds packets together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Container {
    /// MP3 frames one after the other.
    Mp3,
    /// AAC frames, each under an ADTS header.
    Adts,
    /// Ogg, with Opus, Vorbis or FLAC.
    Ogg,
    /// FLAC's own: its header, then frames.
    Flac,
    /// A WAV file without an end.
    Wav,
    /// Fragmented MP4, with AAC, Opus or FLAC.
    Mp4,
}

impl Container {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Mp3, Self::Adts, Self::Ogg, Self::Flac, Self::Wav, Self::Mp4];

    /// Its name in status and API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mp3 => "mp3",
            Self::Adts => "adts",
            Self::Ogg => "ogg",
            Self::Flac => "flac",
            Self::Wav => "wav",
            Self::Mp4 => "mp4",
        }
    }

    /// Whether it can hold that codec.
    pub const fn holds(self, codec: Codec) -> bool {
        match self {
            Self::Mp3 => matches!(codec, Codec::Mp3),
            Self::Adts => matches!(codec, Codec::Aac),
            Self::Ogg => matches!(codec, Codec::Opus | Codec::Vorbis | Codec::Flac),
            Self::Flac => matches!(codec, Codec::Flac),
            Self::Wav => matches!(codec, Codec::Wav),
            Self::Mp4 => matches!(codec, Codec::Aac | Codec::Opus | Codec::Flac),
        }
    }
}

impl fmt::Display for Container {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Packets in, bytes out.
pub trait Muxer: Send {
    /// The media type of the stream.
    fn content_type(&self) -> &'static str;

    /// What every listener gets first. The same at any time.
    fn head(&self) -> Bytes;

    /// Appends a packet to the stream. It may be held back until the next one, or a flush.
    fn packet(&mut self, packet: &Packet, out: &mut Vec<u8>);

    /// Writes what is held back: everything so far can be played.
    fn flush(&mut self, out: &mut Vec<u8>);

    /// Writes what is held back, and the end of the stream where the container has one.
    fn end(&mut self, out: &mut Vec<u8>);
}

/// A muxer for such packets.
///
/// # Errors
/// [`Kind::Invalid`] when the container cannot hold the codec.
pub fn muxer(container: Container, format: &Format) -> Result<Box<dyn Muxer>> {
    if !container.holds(format.codec) {
        return Err(Error::new(Kind::Invalid, format!("{container} cannot hold {}", format.codec)));
    }
    Ok(match container {
        Container::Mp3 | Container::Flac => Box::new(raw::Raw::new(format)),
        Container::Adts => Box::new(adts::Adts::new(format)),
        Container::Ogg => Box::new(ogg::Ogg::new(format)),
        Container::Wav => Box::new(wav::Wav::new(format)),
        Container::Mp4 => Box::new(fmp4::Fmp4::new(format)),
    })
}

//! WAV without an end: RIFF (Microsoft, "Multiple Channel Audio Data and WAVE Files") whose sizes say "as
//! far as it goes".
//!
//! The header is the same for every listener and at any time. Files of a known length, and those beyond
//! 4 GiB, are not made here.

use bytes::{BufMut, Bytes, BytesMut};

use super::container::Muxer;
use crate::codec::{Format, Packet};

/// The size of a chunk that lasts until the connection ends, as ffmpeg and others write and read it.
const ENDLESS: u32 = u32::MAX;

const PCM: u16 = 1;
const EXTENSIBLE: u16 = 0xFFFE;

/// The rest of the sub-format's GUID: what follows the two bytes of the plain format's number.
const GUID_TAIL: [u8; 14] = [0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xAA, 0, 0x38, 0x9B, 0x71];

/// A header, then samples.
pub struct Wav {
    head: Bytes,
}

impl Wav {
    /// For PCM of that format.
    pub fn new(format: &Format) -> Self {
        Self { head: head(format) }
    }
}

impl Muxer for Wav {
    fn content_type(&self) -> &'static str {
        "audio/wav"
    }

    fn head(&self) -> Bytes {
        self.head.clone()
    }

    fn packet(&mut self, packet: &Packet, out: &mut Vec<u8>) {
        out.extend_from_slice(&packet.bytes);
    }

    fn flush(&mut self, _out: &mut Vec<u8>) {}

    fn end(&mut self, _out: &mut Vec<u8>) {}
}

fn head(format: &Format) -> Bytes {
    let bits = u16::from(format.bit_depth.unwrap_or(16));
    let frame_bytes = format.channels * (bits / 8);
    // Old players know the plain form only; it may have two channels of 16 bits at most.
    let is_plain = format.channels <= 2 && bits == 16;
    let mut head = BytesMut::with_capacity(68);
    head.put_slice(b"RIFF");
    head.put_u32_le(ENDLESS);
    head.put_slice(b"WAVEfmt ");
    head.put_u32_le(if is_plain { 16 } else { 40 });
    head.put_u16_le(if is_plain { PCM } else { EXTENSIBLE });
    head.put_u16_le(format.channels);
    head.put_u32_le(format.sample_rate);
    head.put_u32_le(format.sample_rate * u32::from(frame_bytes));
    head.put_u16_le(frame_bytes);
    head.put_u16_le(bits);
    if !is_plain {
        head.put_u16_le(22);
        head.put_u16_le(bits);
        head.put_u32_le(speakers(format.channels));
        head.put_u16_le(PCM);
        head.put_slice(&GUID_TAIL);
    }
    head.put_slice(b"data");
    head.put_u32_le(ENDLESS);
    head.freeze()
}

/// Which loudspeaker each channel is for, in the usual arrangements; 0 says nothing about it.
fn speakers(channels: u16) -> u32 {
    match channels {
        1 => 0x4,
        2 => 0x3,
        4 => 0x33,
        6 => 0x3F,
        8 => 0x63F,
        _ => 0,
    }
}

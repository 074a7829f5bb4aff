//! ADTS (ISO/IEC 14496-3, 1.A.2.2.1): AAC frames, each under a header of seven bytes that says how to
//! decode it, so that a player may begin with any.
//!
//! HE-AAC is told by its core alone, which old players play; newer ones find the rest inside.

use bytes::Bytes;

use super::container::Muxer;
use crate::codec::{Format, Packet};

const HEADER_BYTES: usize = 7;

/// Frames under headers.
pub struct Adts {
    /// The first four bytes of every header; the lower bits of the last belong to the length.
    fixed: [u8; 4],
}

impl Adts {
    /// For AAC of that format.
    pub fn new(format: &Format) -> Self {
        let (rate_index, channels) = core(format);
        // Synchronisation, MPEG-4, no checksum; object type LC; rate; channels.
        let fixed = [0xFF, 0xF1, 1 << 6 | rate_index << 2 | channels >> 2, (channels & 3) << 6];
        Self { fixed }
    }
}

impl Muxer for Adts {
    fn content_type(&self) -> &'static str {
        "audio/aac"
    }

    fn head(&self) -> Bytes {
        Bytes::new()
    }

    fn packet(&mut self, packet: &Packet, out: &mut Vec<u8>) {
        // At most 6144 bits for each of two channels: far from the 13 bits that the length has.
        let length = packet.bytes.len() + HEADER_BYTES;
        debug_assert!(length < 1 << 13);
        let [first, second, third, fourth] = self.fixed;
        out.extend_from_slice(&[
            first,
            second,
            third,
            fourth | (length >> 11) as u8,
            (length >> 3) as u8,
            // The fullness of the bit buffer is not told: all ones.
            (length << 5) as u8 | 0x1F,
            0xFC,
        ]);
        out.extend_from_slice(&packet.bytes);
    }

    fn flush(&mut self, _out: &mut Vec<u8>) {}

    fn end(&mut self, _out: &mut Vec<u8>) {}
}

/// Index of the core's rate, and its channels, from the `AudioSpecificConfig`: 5 bits object type, 4 bits
/// rate, 4 bits channels. For HE-AAC these are the core's; what it becomes stands behind them.
fn core(format: &Format) -> (u8, u8) {
    let config = format.headers.first().and_then(|config| config.first_chunk::<2>());
    let word = config.map_or(0, |bytes| u16::from_be_bytes(*bytes));
    ((word >> 7 & 15) as u8, (word >> 3 & 15) as u8)
}

//! The header of a packet of low-latency sound, as binary messages of `GET /api/audio/live` carry it.
//!
//! All numbers are little-endian. `docs/websocket.md` has the table for those who read it.
//!
//! ```text
//!  0  u8   version of the header, 1
//!  1  u8   what follows it: 1 Opus, 2 PCM as i16, 3 PCM as f32
//!  2  u8   flags: bit 0, the sound does not go on from the packet before: a decoder begins anew
//!  3  u8   channels
//!  4  u16  frames of the sound, after those to skip
//!  6  u16  frames to skip at the beginning of what is decoded
//!  8  u64  sequence: one more for each packet of a rendition
//! 16  u64  position of the first frame in the programme
//! 24  u64  when that was captured, in microseconds since the epoch
//! 32       the sound
//! ```

use bytes::{BufMut, Bytes, BytesMut};

/// Version of the header.
pub const VERSION: u8 = 1;
/// Its length in bytes. A multiple of the longest number, so that an array of samples behind it lies well.
pub const HEADER_BYTES: usize = 32;
/// The flag of a packet that does not go on from the one before.
const START: u8 = 1;

/// What follows the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Content {
    /// A packet of Opus (RFC 6716).
    Opus,
    /// Interleaved 16-bit integers, little-endian.
    S16,
    /// Interleaved 32-bit floats, little-endian, full scale at ±1.
    F32,
}

impl Content {
    /// The number in the header.
    const fn number(self) -> u8 {
        match self {
            Self::Opus => 1,
            Self::S16 => 2,
            Self::F32 => 3,
        }
    }
}

/// What a packet says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// What follows.
    pub content: Content,
    /// Whether the sound does not go on from the packet before.
    pub is_start: bool,
    /// Samples of a frame.
    pub channels: u8,
    /// Frames of the sound, after those to skip.
    pub frames: u16,
    /// Frames to skip at the beginning of what is decoded: a codec's delay, after its start.
    pub skip: u16,
    /// One more for each packet of a rendition.
    pub sequence: u64,
    /// Position of the first frame in the programme.
    pub position: u64,
    /// When that was captured, in microseconds since the epoch.
    pub captured_us: u64,
}

impl Header {
    /// The header with what it is about behind it.
    pub fn before(&self, sound: &[u8]) -> Bytes {
        let mut packet = BytesMut::with_capacity(HEADER_BYTES + sound.len());
        packet.put_u8(VERSION);
        packet.put_u8(self.content.number());
        packet.put_u8(if self.is_start { START } else { 0 });
        packet.put_u8(self.channels);
        packet.put_u16_le(self.frames);
        packet.put_u16_le(self.skip);
        packet.put_u64_le(self.sequence);
        packet.put_u64_le(self.position);
        packet.put_u64_le(self.captured_us);
        packet.put_slice(sound);
        packet.freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_stands_where_the_table_says() {
        let header = Header {
            content: Content::F32,
            is_start: true,
            channels: 2,
            frames: 0x0102,
            skip: 0x0304,
            sequence: 0x1112_1314_1516_1718,
            position: 0x2122_2324_2526_2728,
            captured_us: 0x3132_3334_3536_3738,
        };
        let packet = header.before(b"sound");
        let (head, sound) = packet.split_at(HEADER_BYTES);
        assert_eq!(sound, b"sound");
        assert_eq!(head[..8], [VERSION, 3, 1, 2, 0x02, 0x01, 0x04, 0x03]);
        let numbers: Vec<u64> = head[8..].as_chunks::<8>().0.iter().map(|b| u64::from_le_bytes(*b)).collect();
        assert_eq!(numbers, [header.sequence, header.position, header.captured_us]);
        let plain = Header { content: Content::Opus, is_start: false, ..header }.before(b"");
        assert_eq!((plain[1], plain[2], plain.len()), (1, 0, HEADER_BYTES));
    }
}

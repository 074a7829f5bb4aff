//! The header of an MPEG audio Layer III frame (ISO/IEC 11172-3, 2.4.2.3; 13818-3 for the lower rates):
//! enough to cut a stream into frames.

/// Bit rates by index, in kbit/s: of MPEG-1, and of MPEG-2 and 2.5.
const BITRATES_1: [u32; 14] = [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320];
const BITRATES_2: [u32; 14] = [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];

/// Sample rates of MPEG-1 by index. MPEG-2 has the half of them, MPEG-2.5 a quarter.
const SAMPLE_RATES: [u32; 3] = [44_100, 48_000, 32_000];

/// What the header of a frame says of its size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameHeader {
    /// Length in bytes, these four included.
    pub bytes: usize,
    /// Frames of sound in it.
    pub samples: u32,
    /// Frames of sound per second.
    pub sample_rate: u32,
}

impl FrameHeader {
    /// Reads a header, if it is one of Layer III with a stated bit rate.
    pub fn parse(header: [u8; 4]) -> Option<Self> {
        let word = u32::from_be_bytes(header);
        let is_synced = word >> 21 == 0x7FF;
        let is_layer_3 = word >> 17 & 3 == 1;
        let version = word >> 19 & 3;
        let padding = word >> 9 & 1;
        // Index 0 would be "free", 15 is forbidden.
        let index = ((word >> 12 & 15) as usize).checked_sub(1)?;
        let rate = *SAMPLE_RATES.get((word >> 10 & 3) as usize)?;
        let (sample_rate, bitrates, samples) = match version {
            3 => (rate, BITRATES_1, 1152),
            2 => (rate / 2, BITRATES_2, 576),
            0 => (rate / 4, BITRATES_2, 576),
            _ => return None,
        };
        let bitrate = bitrates.get(index)? * 1000;
        let bytes = (samples / 8 * bitrate / sample_rate + padding) as usize;
        (is_synced && is_layer_3).then_some(Self { bytes, samples, sample_rate })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_headers_have_their_known_sizes() {
        // 44.1 kHz, 128 kbit/s, without and with padding; 22.05 kHz, 64 kbit/s; 8 kHz, 16 kbit/s.
        for (header, bytes, samples, sample_rate) in [
            ([0xFF, 0xFB, 0x90, 0x64], 417, 1152, 44_100),
            ([0xFF, 0xFB, 0x92, 0x64], 418, 1152, 44_100),
            ([0xFF, 0xF3, 0x80, 0x64], 208, 576, 22_050),
            ([0xFF, 0xE3, 0x28, 0xC4], 144, 576, 8_000),
        ] {
            let expected = FrameHeader { bytes, samples, sample_rate };
            assert_eq!(FrameHeader::parse(header), Some(expected), "{header:02x?}");
        }
    }

    #[test]
    fn what_is_no_header_is_refused() {
        for header in [
            [0, 0, 0, 0],
            [0xFF, 0xFB, 0xF0, 0x64],
            [0xFF, 0xFB, 0x00, 0x64],
            [0xFF, 0xFD, 0x90, 0x64],
            [0xFF, 0xFB, 0x9C, 0x64],
            *b"RIFF",
        ] {
            assert_eq!(FrameHeader::parse(header), None, "{header:02x?}");
        }
    }
}

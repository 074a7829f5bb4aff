//! The number in the header of a FLAC frame (RFC 9639, 9.1.5), changed.
//!
//! An encoder that begins anew counts from 0 again, and decoders take that for damage. So what comes behind
//! a reset is numbered on.

use symphonia::core::checksum::{Crc8Ccitt, Crc16Ansi};
use symphonia::core::io::Monitor;

/// Where the number is: behind synchronisation, sizes and channels.
const NUMBER_AT: usize = 4;

/// The same frame under another number, or as it is when it is none.
pub fn renumbered(frame: &[u8], number: u32) -> Vec<u8> {
    rewritten(frame, number).unwrap_or_else(|| frame.to_vec())
}

fn rewritten(frame: &[u8], number: u32) -> Option<Vec<u8>> {
    let [_, _, sizes, _, first, ..] = *frame else { return None };
    // Coded as UTF-8 is: the ones in front tell the length.
    let old_length = (first.leading_ones() as usize).max(1);
    // What the sizes did not say stands behind the number, and then a checksum.
    let block_size = match sizes >> 4 {
        6 => 1,
        7 => 2,
        _ => 0,
    };
    let sample_rate = match sizes & 15 {
        12 => 1,
        13 | 14 => 2,
        _ => 0,
    };
    let rest_at = NUMBER_AT + old_length;
    let checksum_at = rest_at + block_size + sample_rate;
    let body_end = frame.len().checked_sub(2)?;
    let mut new = frame[..NUMBER_AT].to_vec();
    push_coded(&mut new, number);
    new.extend_from_slice(frame.get(rest_at..checksum_at)?);
    let mut of_header = Crc8Ccitt::new(0);
    of_header.process_buf_bytes(&new);
    new.push(of_header.crc());
    new.extend_from_slice(frame.get(checksum_at + 1..body_end)?);
    let mut of_frame = Crc16Ansi::new(0);
    of_frame.process_buf_bytes(&new);
    new.extend_from_slice(&of_frame.crc().to_be_bytes());
    Some(new)
}

/// A number of up to 31 bits in one to six bytes, as UTF-8 once was.
fn push_coded(out: &mut Vec<u8>, number: u32) {
    if number < 0x80 {
        return out.push(number as u8);
    }
    // Each further byte has six bits; of the first, one less is left for each of them.
    let further = (1..5).find(|further| number >> (6 * further) < 1 << (6 - further)).unwrap_or(5);
    let ones = 0xFF_u8 << (7 - further);
    out.push(ones | (number >> (6 * further)) as u8);
    out.extend((0..further).rev().map(|at| 0x80 | (number >> (6 * at) & 0x3F) as u8));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{Codec, EncoderSettings, encoder};

    #[test]
    fn numbers_are_coded_as_characters_are() {
        for number in [0_u32, 1, 0x7F, 0x80, 0x7FF, 0x800, 0xD7FF, 0xE000, 0xFFFF, 0x1_0000, 0x10_FFFF] {
            let mut coded = Vec::new();
            push_coded(&mut coded, number);
            let character = char::from_u32(number).expect("one");
            assert_eq!(coded, character.to_string().into_bytes(), "{number:x}");
        }
        for (number, expected) in [
            (0x1F_FFFF, &[0xF7, 0xBF, 0xBF, 0xBF][..]),
            (0x20_0000, &[0xF8, 0x88, 0x80, 0x80, 0x80]),
            (0x7FFF_FFFF, &[0xFD, 0xBF, 0xBF, 0xBF, 0xBF, 0xBF]),
        ] {
            let mut coded = Vec::new();
            push_coded(&mut coded, number);
            assert_eq!(coded, expected, "{number:x}");
        }
    }

    #[test]
    fn a_frame_under_another_number_is_what_the_encoder_would_have_written() {
        for (sample_rate, bits) in [(48_000, 16), (44_100, 24), (12_345, 16), (192_000, 24)] {
            let mut settings = EncoderSettings::new(Codec::Flac, sample_rate, 2);
            settings.bit_depth = Some(bits);
            let mut encoder = encoder(&settings).expect("can be");
            let block = encoder.format().frame_samples as usize * 2;
            // All blocks are alike, so that frames differ by their number alone.
            let sound: Vec<f32> = (0..block * 300).map(|n| ((n % block) as f32 * 0.37).sin() * 0.5).collect();
            let mut packets = Vec::new();
            encoder.encode(&sound, &mut |packet| packets.push(packet)).expect("encoded");
            encoder.finish(&mut |packet| packets.push(packet)).expect("finished");
            for (from, to) in [(0, 1), (3, 127), (3, 128), (250, 2), (127, 299), (200, 200)] {
                assert!(renumbered(&packets[from].bytes, to as u32) == packets[to].bytes, "{from} to {to}");
            }
        }
    }

    #[test]
    fn what_is_no_frame_stays() {
        for odd in [&b""[..], b"\xFF\xF8", b"\xFF\xF8\x77\x18\xFE\x80\x80"] {
            assert_eq!(renumbered(odd, 5), odd);
        }
    }
}

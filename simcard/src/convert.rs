//! S32 samples into what the client asked for. Every conversion drops low bits and does nothing else, so a test
//! can say bit by bit what must come out.

use talas_simcard_control::Format;

/// Bytes of one S32 sample.
pub const S32_BYTES: usize = 4;

/// Writes the first `channels` of every frame of `from` (S32_LE, `from_channels` wide) to `to`.
pub fn convert(from: &[u8], from_channels: usize, to: &mut [u8], channels: usize, format: Format) {
    let sample_bytes = format.sample_bytes();
    let frames = from.chunks_exact(from_channels * S32_BYTES);
    for (from, to) in frames.zip(to.chunks_exact_mut(channels * sample_bytes)) {
        let (from, _) = from.as_chunks::<S32_BYTES>();
        for (from, to) in from.iter().zip(to.chunks_exact_mut(sample_bytes)) {
            put(i32::from_le_bytes(*from), to, format);
        }
    }
}

fn put(sample: i32, to: &mut [u8], format: Format) {
    let bytes = sample.to_le_bytes();
    match format {
        Format::S16Le => to.copy_from_slice(&bytes[2..]),
        Format::S24In3Le => to.copy_from_slice(&bytes[1..]),
        Format::S24Le => to.copy_from_slice(&[bytes[1], bytes[2], bytes[3], 0]),
        Format::S32Le => to.copy_from_slice(&bytes),
        Format::FloatLe => to.copy_from_slice(&float(sample).to_le_bytes()),
    }
}

/// 24 bits fit a float's mantissa.
fn float(sample: i32) -> f32 {
    (sample >> 8) as f32 / 8_388_608.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(sample: i32, format: Format) -> Vec<u8> {
        let mut to = vec![0xee; format.sample_bytes()];
        convert(&sample.to_le_bytes(), 1, &mut to, 1, format);
        to
    }

    #[test]
    fn every_format_keeps_its_top_bits() {
        assert_eq!(one(0x1234_5678, Format::S16Le), [0x34, 0x12]);
        assert_eq!(one(0x1234_5678, Format::S24In3Le), [0x56, 0x34, 0x12]);
        assert_eq!(one(-0x100, Format::S24Le), [0xff, 0xff, 0xff, 0]);
        assert_eq!(one(0x1234_5678, Format::S32Le), [0x78, 0x56, 0x34, 0x12]);
        assert_eq!(one(i32::MIN, Format::FloatLe), (-1.0_f32).to_le_bytes());
        assert_eq!(one(1 << 30, Format::FloatLe), 0.5_f32.to_le_bytes());
        assert_eq!(one(i32::MAX, Format::FloatLe), (1.0 - 1.0 / 8_388_608.0_f32).to_le_bytes());
    }

    #[test]
    fn fewer_channels_are_the_first_ones() {
        let from: Vec<u8> = (1..=6_i32).flat_map(|n| (n << 16).to_le_bytes()).collect();
        let mut to = [0; 8];
        convert(&from, 3, &mut to, 2, Format::S16Le);
        assert_eq!(to, [1, 0, 2, 0, 4, 0, 5, 0]);
    }
}

//! Device bytes to `f32`, full scale at ±1. Exact for integers of up to 24 bits; 32-bit integers keep
//! their upper 24. A sample that is not a finite number becomes 0 and is counted.

use crate::audio::SampleFormat;

/// Full scale of 16-, 24- and 32-bit integers: the magnitude of the most negative value.
const SCALE_16: f32 = 32_768.0;
const SCALE_24: f32 = 8_388_608.0;

/// Converts as many samples as `out` has. `bytes` holds at least that many. Returns how many were not
/// finite.
pub fn to_f32(format: SampleFormat, bytes: &[u8], out: &mut [f32]) -> u64 {
    match format {
        SampleFormat::S16 => each(bytes, out, |b: [u8; 2]| f32::from(i16::from_le_bytes(b)) / SCALE_16),
        SampleFormat::S24In3 => {
            each(bytes, out, |[low, middle, high]| from_24(i32::from_le_bytes([0, low, middle, high])))
        }
        // The fourth byte is undefined: shift it out.
        SampleFormat::S24In4 => each(bytes, out, |b| from_24(i32::from_le_bytes(b) << 8)),
        SampleFormat::S32 => each(bytes, out, |b| from_24(i32::from_le_bytes(b))),
        SampleFormat::F32 => return floats(bytes, out),
    }
    0
}

/// A value in the upper 24 bits; the lower 8 are cut, so that no sample can round up to +1.
fn from_24(value: i32) -> f32 {
    // 24 bits fit a float's mantissa, so this cast is exact.
    (value >> 8) as f32 / SCALE_24
}

fn each<const N: usize>(bytes: &[u8], out: &mut [f32], read: impl Fn([u8; N]) -> f32) {
    let (samples, _) = bytes.as_chunks::<N>();
    for (to, from) in out.iter_mut().zip(samples) {
        *to = read(*from);
    }
}

fn floats(bytes: &[u8], out: &mut [f32]) -> u64 {
    let mut broken = 0;
    let (samples, _) = bytes.as_chunks::<4>();
    for (to, from) in out.iter_mut().zip(samples) {
        let value = f32::from_le_bytes(*from);
        broken += u64::from(!value.is_finite());
        *to = if value.is_finite() { value } else { 0.0 };
    }
    broken
}

/// To 16-bit little-endian integers, rounded to the nearest and cut at full scale: exact for samples
/// that came from 16 bits.
pub fn to_s16_le(samples: &[f32], out: &mut Vec<u8>) {
    out.reserve(samples.len() * 2);
    for sample in samples {
        // The cast saturates, which is the cut at full scale.
        let value = (sample * SCALE_16).round() as i16;
        out.extend_from_slice(&value.to_le_bytes());
    }
}

/// To 32-bit little-endian floats.
pub fn to_f32_le(samples: &[f32], out: &mut Vec<u8>) {
    out.reserve(samples.len() * 4);
    samples.iter().for_each(|sample| out.extend_from_slice(&sample.to_le_bytes()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn one(format: SampleFormat, bytes: &[u8]) -> f32 {
        let mut out = [f32::NAN];
        assert_eq!(to_f32(format, bytes, &mut out), 0);
        out[0]
    }

    #[test]
    fn every_16_bit_value_comes_back() {
        for value in i16::MIN..=i16::MAX {
            let sample = one(SampleFormat::S16, &value.to_le_bytes());
            let mut back = Vec::new();
            to_s16_le(&[sample], &mut back);
            assert_eq!(back, value.to_le_bytes());
        }
    }

    proptest! {
        #[test]
        fn every_24_bit_value_is_exact_in_every_container(value in -(1 << 23)..(1_i32 << 23), junk in any::<u8>()) {
            let [b0, b1, b2, _] = value.to_le_bytes();
            let exact = f64::from(value) / f64::from(1 << 23);
            prop_assert_eq!(f64::from(one(SampleFormat::S24In3, &[b0, b1, b2])), exact);
            prop_assert_eq!(f64::from(one(SampleFormat::S24In4, &[b0, b1, b2, junk])), exact);
            prop_assert_eq!(f64::from(one(SampleFormat::S32, &[junk, b0, b1, b2])), exact);
        }
    }

    #[test]
    fn what_is_no_number_is_silence_and_is_counted() {
        let bytes: Vec<u8> = [0.5, f32::NAN, f32::INFINITY, -2.0, f32::NEG_INFINITY]
            .iter()
            .flat_map(|v| v.to_le_bytes())
            .collect();
        let mut out = [9.0; 5];
        assert_eq!(to_f32(SampleFormat::F32, &bytes, &mut out), 3);
        assert_eq!(out, [0.5, 0.0, 0.0, -2.0, 0.0]);
    }

    #[test]
    fn beyond_full_scale_is_cut_not_wrapped() {
        let mut out = Vec::new();
        to_s16_le(&[1.0, 7.0, -1.0, -7.0], &mut out);
        let values: Vec<i16> = out.chunks_exact(2).map(|b| i16::from_le_bytes([b[0], b[1]])).collect();
        assert_eq!(values, [i16::MAX, i16::MAX, i16::MIN, i16::MIN]);
    }
}

//! The K-weighting of ITU-R BS.1770-4: how loud a head in a room hears a frequency.
//!
//! A shelf that raises what is above 1.5 kHz by 4 dB, and a high-pass. The standard gives coefficients
//! for 48 kHz only; the corner frequencies, gains and qualities that yield these are from B. De Man,
//! "Evaluation of implementations of the EBU R128 loudness measurement" (AES 145, 2018), and are turned
//! into coefficients for any rate by the bilinear transform.

use std::f64::consts::PI;

use super::section::Section;
use crate::dsp::effects::biquad::Coefficients;

/// Of the shelf: corner in Hz, gain in dB, quality.
const SHELF: (f64, f64, f64) = (1_681.974_450_955_533, 3.999_843_853_973_347, 0.707_175_236_955_419_6);
/// Gain at the corner of the shelf, as a power of the gain above it.
const SHELF_CORNER_POWER: f64 = 0.499_666_774_154_541_6;
/// Of the high-pass: corner in Hz, quality.
const HIGH_PASS: (f64, f64) = (38.135_470_876_024_44, 0.500_327_037_323_877_3);

/// Weighs one channel.
#[derive(Debug, Clone, Copy)]
pub struct KWeighting {
    shelf: Section,
    high_pass: Section,
}

impl KWeighting {
    /// For sound of this rate, in Hz.
    pub fn new(sample_rate: u32) -> Self {
        let [shelf, high_pass] = stages(sample_rate).map(|Coefficients { b, a }| Section::new(b, a));
        Self { shelf, high_pass }
    }

    /// Mean square of the weighted samples.
    pub fn energy(&mut self, samples: &[f32]) -> f64 {
        let Self { mut shelf, mut high_pass } = *self;
        let mut squares = 0.0;
        for &sample in samples {
            let weighted = high_pass.next(shelf.next(f64::from(sample)));
            squares += weighted * weighted;
        }
        shelf.settle();
        high_pass.settle();
        *self = Self { shelf, high_pass };
        squares / samples.len().max(1) as f64
    }

    /// Forgets what it heard.
    pub fn reset(&mut self) {
        self.shelf.reset();
        self.high_pass.reset();
    }
}

/// Its two filters in their order, for sound of this rate, in Hz.
pub fn stages(sample_rate: u32) -> [Coefficients; 2] {
    [shelf(sample_rate.into()), high_pass(sample_rate.into())]
}

fn shelf(sample_rate: f64) -> Coefficients {
    let (corner, gain_db, quality) = SHELF;
    let k = (PI * corner / sample_rate).tan();
    let high = 10_f64.powf(gain_db / 20.0);
    let middle = high.powf(SHELF_CORNER_POWER);
    let a0 = 1.0 + k / quality + k * k;
    let b = [
        (high + middle * k / quality + k * k) / a0,
        2.0 * (k * k - high) / a0,
        (high - middle * k / quality + k * k) / a0,
    ];
    Coefficients { b, a: [2.0 * (k * k - 1.0) / a0, (1.0 - k / quality + k * k) / a0] }
}

fn high_pass(sample_rate: f64) -> Coefficients {
    let (corner, quality) = HIGH_PASS;
    let k = (PI * corner / sample_rate).tan();
    let a0 = 1.0 + k / quality + k * k;
    let a = [2.0 * (k * k - 1.0) / a0, (1.0 - k / quality + k * k) / a0];
    Coefficients { b: [1.0, -2.0, 1.0], a }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tables of BS.1770-4 for 48 kHz.
    #[test]
    fn the_coefficients_are_those_of_the_standard() {
        let KWeighting { shelf, high_pass } = KWeighting::new(48_000);
        let expected = [
            (shelf.b[0], 1.535_124_859_586_97),
            (shelf.b[1], -2.691_696_189_406_38),
            (shelf.b[2], 1.198_392_810_852_85),
            (shelf.a[0], -1.690_659_293_182_41),
            (shelf.a[1], 0.732_480_774_215_85),
            (high_pass.a[0], -1.990_047_454_833_98),
            (high_pass.a[1], 0.990_072_250_366_21),
        ];
        for (found, expected) in expected {
            assert!((found - expected).abs() < 1e-9, "{found} instead of {expected}");
        }
    }

    #[test]
    fn silence_after_sound_ends_in_nothing() {
        let mut filter = KWeighting::new(48_000);
        filter.energy(&[1.0; 480]);
        for _ in 0..2000 {
            filter.energy(&[0.0; 480]);
        }
        assert_eq!(filter.energy(&[0.0; 480]), 0.0);
    }
}

//! Sound on the steps of whole numbers, for encoders that round: with dither where it is needed.
//!
//! Rounding alone distorts soft sound, and the distortion follows the sound. Noise with a triangular
//! distribution of ±1 step, added before, makes the error independent of the sound in its mean and its
//! power (S. P. Lipshitz, R. A. Wannamaker and J. Vanderkooy, "Quantization and dither: a theoretical
//! survey", JAES 40 (5), 1992). Sound that the whole numbers hold exactly is left as it is, bit for bit.

/// Rounds to whole numbers of a depth.
#[derive(Debug, Clone)]
pub struct Dither {
    /// Steps to full scale.
    scale: f64,
    state: u64,
}

impl Dither {
    /// To so many bits, from 8 to 24. The noise is the same each time, so that a result can be had again.
    pub fn new(bits: u8) -> Self {
        Self { scale: f64::from(1_u32 << (bits.clamp(8, 24) - 1)), state: 0x9E37_79B9_7F4A_7C15 }
    }

    /// Rounds in place. Beyond full scale sound is cut; what is no number becomes 0.
    pub fn process(&mut self, samples: &mut [f32]) {
        let scale = self.scale;
        let is_whole = |sample: &f32| (f64::from(*sample) * scale).fract() == 0.0;
        let is_exact = samples.iter().all(is_whole);
        for sample in samples {
            let noise = if is_exact { 0.0 } else { self.noise() };
            let steps = (f64::from(*sample) * scale + noise).round().clamp(-scale, scale - 1.0);
            *sample = if steps.is_nan() { 0.0 } else { (steps / scale) as f32 };
        }
    }

    /// The sum of two even distributions from −½ to ½ is triangular from −1 to 1.
    fn noise(&mut self) -> f64 {
        // Two halves of one number of G. Marsaglia's xorshift64 (2003).
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        let (high, low) = ((self.state >> 32) as u32, self.state as u32);
        (f64::from(high) + f64::from(low)) / f64::from(u32::MAX) - 1.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In steps of 16 bits.
    fn rounded(samples: &[f32]) -> Vec<f64> {
        let mut out = samples.to_vec();
        Dither::new(16).process(&mut out);
        out.iter().map(|sample| f64::from(*sample) * 32_768.0).collect()
    }

    #[test]
    fn what_fits_is_exact_and_what_is_too_loud_is_cut() {
        let all: Vec<f32> = (i16::MIN..=i16::MAX).map(|n| f32::from(n) / 32_768.0).collect();
        let mut out = all.clone();
        Dither::new(16).process(&mut out);
        assert_eq!(out, all);
        assert_eq!(rounded(&[2.0, -2.0]), [32_767.0, -32_768.0]);
        let mut odd = [1.0 / 8_388_608.0, f32::NAN, f32::INFINITY];
        Dither::new(24).process(&mut odd);
        assert_eq!(odd[1..], [0.0, 8_388_607.0 / 8_388_608.0]);
    }

    #[test]
    fn everything_ends_on_a_step() {
        let samples: Vec<f32> = (0..1_000).map(|n| (n as f32 * 0.37).sin() * 0.9).collect();
        assert!(rounded(&samples).iter().all(|steps| steps.fract() == 0.0));
    }

    #[test]
    fn the_error_has_no_mean_and_always_the_same_power() {
        // Triangular dither has 1/6 of a squared step, rounding 1/12.
        for part in [0.1_f32, 0.25, 0.5, 0.9] {
            let samples = vec![(100.0 + part) / 32_768.0; 200_000];
            let sent = f64::from(samples[0]) * 32_768.0;
            let errors: Vec<f64> = rounded(&samples).iter().map(|got| got - sent).collect();
            let mean = errors.iter().sum::<f64>() / errors.len() as f64;
            let power = errors.iter().map(|error| error * error).sum::<f64>() / errors.len() as f64;
            assert!(mean.abs() < 0.01, "{part}: {mean}");
            assert!((power - 0.25).abs() < 0.01, "{part}: {power}");
        }
    }

    #[test]
    fn a_tone_below_one_step_is_still_there() {
        let tone = |n: i32| (f64::from(n) * 0.1).sin();
        let samples: Vec<f32> = (0..48_000).map(|n| (tone(n) * 0.4 / 32_768.0) as f32).collect();
        let found: f64 = rounded(&samples).iter().zip(0..).map(|(got, n)| got * tone(n)).sum();
        let level = 2.0 * found / 48_000.0;
        assert!((level - 0.4).abs() < 0.02, "{level}");
        assert!(samples.iter().all(|sample| (sample * 32_768.0).round() == 0.0), "rounding alone loses it");
    }
}

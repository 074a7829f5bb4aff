//! A recursive filter of second order, in double precision: what the measuring filters are made of.

use std::f64::consts::TAU;

/// Memory this small is nothing: set to it before it becomes denormal and slow.
const NOTHING: f64 = 1e-30;

/// A filter of second order and what it remembers, in transposed direct form II.
#[derive(Debug, Clone, Copy)]
pub struct Section {
    /// Weights of the input, newest first.
    pub b: [f64; 3],
    /// Weights of the output, newest first; that of the newest is 1.
    pub a: [f64; 2],
    memory: [f64; 2],
}

impl Section {
    /// With these weights, at rest.
    pub const fn new(b: [f64; 3], a: [f64; 2]) -> Self {
        Self { b, a, memory: [0.0; 2] }
    }

    /// A low-pass with this corner in Hz (R. Bristow-Johnson, "Cookbook formulae for audio equalizer
    /// biquad filter coefficients").
    pub fn low_pass(sample_rate: f64, corner_hz: f64, quality: f64) -> Self {
        let omega = TAU * corner_hz / sample_rate;
        let alpha = omega.sin() / (2.0 * quality);
        let (a0, side) = (1.0 + alpha, (1.0 - omega.cos()) / 2.0);
        Self::new([side / a0, 2.0 * side / a0, side / a0], [-2.0 * omega.cos() / a0, (1.0 - alpha) / a0])
    }

    /// The next sample.
    #[inline]
    pub fn next(&mut self, input: f64) -> f64 {
        let output = self.b[0] * input + self.memory[0];
        self.memory[0] = self.b[1] * input - self.a[0] * output + self.memory[1];
        self.memory[1] = self.b[2] * input - self.a[1] * output;
        output
    }

    /// Ends a dying echo; called now and then.
    pub fn settle(&mut self) {
        for memory in &mut self.memory {
            *memory = if memory.abs() < NOTHING { 0.0 } else { *memory };
        }
    }

    /// Forgets what it heard.
    pub fn reset(&mut self) {
        self.memory = [0.0; 2];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_low_pass_passes_what_is_low() {
        for (hz, expected_db) in [(10.0, 0.0), (400.0, -3.01), (4000.0, -40.4)] {
            let mut filter = Section::low_pass(48_000.0, 400.0, std::f64::consts::FRAC_1_SQRT_2);
            let mut power = 0.0;
            for n in 0..96_000 {
                let output = filter.next((TAU * hz * f64::from(n) / 48_000.0).sin());
                power += if n >= 48_000 { output * output / 24_000.0 } else { 0.0 };
            }
            let db = 10.0 * power.log10();
            assert!((db - expected_db).abs() < 0.1, "{hz} Hz: {db} dB instead of {expected_db}");
        }
    }
}

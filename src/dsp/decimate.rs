//! Halving the sample rate once, twice or three times, without aliases.
//!
//! One linear-phase FIR low-pass for each factor, designed by the Kaiser window method: pass band to 0.4 of
//! the output rate, stop band from 0.5, 80 dB. Its centre tap stands on the output sample, so the
//! result is not delayed against the input; it needs that much of the input's future instead.

use super::kaiser::{kaiser, sinc};

/// Taps on each side of the centre, for each unit of the factor.
const SIDE_TAPS: usize = 26;
/// Cut-off: the middle of the transition band, as a fraction of the output rate.
const CUTOFF: f64 = 0.45;
/// Kaiser's shape parameter for 80 dB: 0.1102 (80 − 8.7).
const BETA: f64 = 7.857;

/// A low-pass that keeps one sample of `factor`.
#[derive(Debug, Clone)]
pub struct Decimator {
    factor: usize,
    /// Symmetric, of odd length, sum 1.
    taps: Vec<f64>,
}

impl Decimator {
    /// Keeps one sample of `factor`, which is at least 1.
    pub fn new(factor: usize) -> Self {
        let side = SIDE_TAPS * factor;
        let mut taps: Vec<f64> = (0..=2 * side)
            .map(|n| {
                let x = n as f64 - side as f64;
                sinc(2.0 * CUTOFF / factor as f64 * x) * kaiser(x / (side as f64 + 1.0), BETA)
            })
            .collect();
        let sum: f64 = taps.iter().sum();
        taps.iter_mut().for_each(|tap| *tap /= sum);
        Self { factor, taps }
    }

    /// Keeps one sample of so many.
    pub fn factor(&self) -> usize {
        self.factor
    }

    /// Samples on each side of an output sample that it depends on.
    pub fn reach(&self) -> usize {
        self.taps.len() / 2
    }

    /// The output at `centre` of a line of input; beyond its ends the line counts as silent.
    pub fn at(&self, line: &[f32], centre: usize) -> f32 {
        let reach = self.reach();
        let from = centre.saturating_sub(reach);
        let to = (centre + reach + 1).min(line.len());
        let first_tap = from + reach - centre;
        let products = line[from..to].iter().zip(&self.taps[first_tap..]).map(|(x, tap)| f64::from(*x) * tap);
        products.sum::<f64>() as f32
    }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::PI;

    use super::*;

    /// Gain in dB for a sine at `frequency`, a fraction of the input rate.
    fn gain_db(decimator: &Decimator, frequency: f64) -> f64 {
        let line: Vec<f32> =
            (0..16_384).map(|n| (2.0 * PI * frequency * f64::from(n)).sin() as f32).collect();
        let inner = decimator.reach()..line.len() - decimator.reach();
        let (mut power_in, mut power_out) = (0.0, 0.0);
        for centre in inner {
            power_in += f64::from(line[centre]).powi(2);
            power_out += f64::from(decimator.at(&line, centre)).powi(2);
        }
        10.0 * (power_out / power_in).log10()
    }

    #[test]
    fn passes_what_the_new_rate_can_hold_and_stops_what_it_cannot() {
        for factor in [2, 4, 8] {
            let decimator = Decimator::new(factor);
            let output_rate = 1.0 / factor as f64;
            for fraction in [0.01, 0.1, 0.2, 0.3, 0.39] {
                let db = gain_db(&decimator, fraction * output_rate);
                assert!(db.abs() < 0.05, "factor {factor}, {fraction} of the output rate: {db} dB");
            }
            for fraction in [0.505, 0.55, 0.7, 0.9, 0.97] {
                let db = gain_db(&decimator, fraction * output_rate);
                assert!(db < -78.0, "factor {factor}, {fraction} of the output rate: {db} dB");
            }
        }
    }

    #[test]
    fn a_constant_stays_and_nothing_is_delayed() {
        let decimator = Decimator::new(4);
        let line = [0.25_f32; 1000];
        assert!((decimator.at(&line, 500) - 0.25).abs() < 1e-6);
        let mut impulse = [0.0_f32; 1001];
        impulse[500] = 1.0;
        let around: Vec<f32> = (490..=510).map(|centre| decimator.at(&impulse, centre)).collect();
        let peak = around.iter().copied().fold(0.0, f32::max);
        assert_eq!(around[10], peak, "symmetric about the impulse");
        assert_eq!(around[7], around[13]);
    }
}

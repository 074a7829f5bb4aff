//! A sound in which every moment can be told from every other, also after a lossy codec: noise that comes
//! again after eight seconds, the same at every sample rate.

use std::f32::consts::TAU;

use realfft::RealFftPlanner;
use realfft::num_complex::Complex;

/// After so many seconds it begins again. No delay that is measured is as long.
pub const PERIOD_S: usize = 8;
/// The band that every codec keeps, in Hz.
const BAND_HZ: std::ops::Range<usize> = 200..6000;
/// Level, RMS against full scale: -20 dB.
const RMS: f32 = 0.1;

/// One period at a sample rate.
pub fn noise(rate: usize) -> Vec<f32> {
    let length = PERIOD_S * rate;
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1_u32 << 24) as f32
    };
    let bins = BAND_HZ.start * PERIOD_S..BAND_HZ.end * PERIOD_S;
    // Half of each line's amplitude is in its mirror image.
    let amplitude = RMS * (0.5 / bins.len() as f32).sqrt();
    let mut spectrum = vec![Complex::default(); length / 2 + 1];
    for line in &mut spectrum[bins] {
        *line = Complex::from_polar(amplitude, TAU * random());
    }
    let mut samples = vec![0.0; length];
    let inverse = RealFftPlanner::new().plan_fft_inverse(length);
    inverse.process(&mut spectrum, &mut samples).expect("lengths that fit");
    samples
}

/// Finds pieces of sound in the noise.
pub struct Finder {
    rate: usize,
    /// The noise's spectrum, conjugated.
    noise: Vec<Complex<f32>>,
    planner: RealFftPlanner<f32>,
}

impl Finder {
    pub fn new(rate: usize) -> Self {
        let mut planner = RealFftPlanner::new();
        let mut noise = noise(rate);
        let forward = planner.plan_fft_forward(noise.len());
        let mut spectrum = forward.make_output_vec();
        forward.process(&mut noise, &mut spectrum).expect("lengths that fit");
        Self { rate, noise: spectrum.iter().map(Complex::conj).collect(), planner }
    }

    /// The number of the noise's sample that a piece begins with: where both agree best. `None` when no place
    /// stands out, as with sound that is none of this noise.
    pub fn find(&mut self, piece: &[f32]) -> Option<usize> {
        let length = PERIOD_S * self.rate;
        let mut padded = vec![0.0; length];
        padded[..piece.len()].copy_from_slice(piece);
        let forward = self.planner.plan_fft_forward(length);
        let mut spectrum = forward.make_output_vec();
        forward.process(&mut padded, &mut spectrum).ok()?;
        // At lag d: the sum over n of piece[n] · noise[n - d]; so the piece begins at sample -d.
        spectrum.iter_mut().zip(&self.noise).for_each(|(line, noise)| *line *= noise);
        spectrum[0].im = 0.0;
        spectrum[length / 2].im = 0.0;
        let inverse = self.planner.plan_fft_inverse(length);
        inverse.process(&mut spectrum, &mut padded).ok()?;
        let (lag, best) = padded.iter().enumerate().max_by(|one, other| one.1.total_cmp(other.1))?;
        let rms = (padded.iter().map(|x| f64::from(x * x)).sum::<f64>() / length as f64).sqrt();
        (f64::from(*best) > 20.0 * rms).then(|| (length - lag) % length)
    }
}

//! Hum of the mains: 50 or 60 Hz and their harmonics, from a bad earth or a transformer.
//!
//! The mean of the channels is low-passed and brought down to 2 kHz; there, two seconds under a Hann
//! window tell frequencies half a hertz apart. Hum is a line at one of the first six multiples of the
//! mains that stands out of what is around it, and stays as loud: a bass note is as low, but not as
//! constant. Whether it stays is judged by the detector that asks every second.

use std::f64::consts::TAU;
use std::sync::Arc;

use realfft::num_complex::Complex;
use realfft::{RealFftPlanner, RealToComplex};

use super::section::Section;

/// Rate to which sound is brought down, in Hz, as nearly as whole samples allow.
const RATE: f64 = 2000.0;
/// Samples of a window: two seconds.
const WINDOW: usize = 4096;
/// Corner of the low-pass in Hz: above the sixth multiple of 60 Hz, and far below what would alias to it.
const CORNER_HZ: f64 = 420.0;
/// Qualities that make four sections a Butterworth filter of eighth order.
const QUALITIES: [f64; 4] = [0.509_795_6, 0.601_344_9, 0.899_976_2, 2.562_915_4];
/// Frequencies of the mains, in Hz.
const MAINS: [f64; 2] = [50.0, 60.0];
/// Multiples that are looked at.
const HARMONICS: u32 = 6;
/// The mains keep their frequency to within this share.
const MAINS_TOLERANCE: f64 = 0.004;
/// What a line has to stand out of is so far to each side, in Hz: between this and the next …
const NEAR_HZ: f64 = 3.0;
/// … but nearer than the lines of the other mains.
const FAR_HZ: f64 = 8.0;
/// By so much it has to stand out, as a ratio of powers: 20 dB.
const STANDS_OUT: f64 = 100.0;
/// Two windows are as loud when their powers differ by at most this ratio: 1.5 dB.
const STEADY: f64 = 1.41;

/// Hum in a window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hum {
    /// Frequency of the mains: 50 or 60 Hz.
    pub mains_hz: f64,
    /// Its lines together: RMS in linear amplitude.
    pub rms: f64,
}

/// Looks for hum.
pub struct HumFinder {
    filters: [Section; 4],
    /// One sample of so many is kept.
    factor: usize,
    until_kept: usize,
    rate: f64,
    transform: Arc<dyn RealToComplex<f32>>,
    window: Vec<f32>,
    kept: Vec<f32>,
    windowed: Vec<f32>,
    scratch: Vec<Complex<f32>>,
    bins: Vec<Complex<f32>>,
    /// What the window before had.
    before: Option<Hum>,
    found: Option<Hum>,
    windows: u64,
}

impl HumFinder {
    /// For sound of this rate, in Hz.
    pub fn new(sample_rate: u32) -> Self {
        let rate = f64::from(sample_rate);
        let factor = (rate / RATE).round().max(1.0);
        let transform = RealFftPlanner::new().plan_fft_forward(WINDOW);
        let hann = |n: usize| 0.5 - 0.5 * (TAU * n as f64 / WINDOW as f64).cos();
        Self {
            filters: QUALITIES.map(|quality| Section::low_pass(rate, CORNER_HZ, quality)),
            factor: factor as usize,
            until_kept: 0,
            rate: rate / factor,
            window: (0..WINDOW).map(|n| hann(n) as f32).collect(),
            kept: Vec::with_capacity(WINDOW),
            windowed: vec![0.0; WINDOW],
            scratch: transform.make_scratch_vec(),
            bins: transform.make_output_vec(),
            transform,
            before: None,
            found: None,
            windows: 0,
        }
    }

    /// Takes the next samples of each channel; all lines are as long.
    pub fn push(&mut self, lines: &[Vec<f32>]) {
        let share = 1.0 / lines.len().max(1) as f32;
        for at in 0..lines.first().map_or(0, Vec::len) {
            let mean = lines.iter().map(|line| line[at]).sum::<f32>() * share;
            let low = self.filters.iter_mut().fold(f64::from(mean), |input, filter| filter.next(input));
            if self.until_kept == 0 {
                self.until_kept = self.factor;
                self.kept.push(low as f32);
            }
            self.until_kept -= 1;
            if self.kept.len() == WINDOW {
                self.look();
                self.kept.copy_within(WINDOW / 2.., 0);
                self.kept.truncate(WINDOW / 2);
            }
        }
        self.filters.iter_mut().for_each(Section::settle);
    }

    /// Hum that is in the last two windows alike.
    pub fn hum(&self) -> Option<Hum> {
        self.found
    }

    /// Windows looked at: about one a second.
    pub fn windows(&self) -> u64 {
        self.windows
    }

    /// What follows does not join what was before.
    pub fn interrupt(&mut self) {
        self.filters.iter_mut().for_each(Section::reset);
        self.kept.clear();
        self.before = None;
        self.found = None;
    }

    fn look(&mut self) {
        for ((to, sample), weight) in self.windowed.iter_mut().zip(&self.kept).zip(&self.window) {
            *to = sample * weight;
        }
        let done = self.transform.process_with_scratch(&mut self.windowed, &mut self.bins, &mut self.scratch);
        debug_assert!(done.is_ok(), "the buffers are the plan's");
        let heard = MAINS.map(|mains_hz| self.lines(mains_hz));
        let hum = heard.into_iter().flatten().max_by(|a, b| a.rms.total_cmp(&b.rms));
        let is_steady = |before: Hum, now: Hum| {
            let ratio = (now.rms / before.rms).powi(2);
            before.mains_hz == now.mains_hz && (1.0 / STEADY..=STEADY).contains(&ratio)
        };
        self.found = hum.filter(|now| self.before.is_some_and(|before| is_steady(before, *now)));
        self.before = hum;
        self.windows += 1;
    }

    /// The lines of the mains of this frequency that stand out.
    fn lines(&self, mains_hz: f64) -> Option<Hum> {
        let power: f64 = (1..=HARMONICS).filter_map(|n| self.line(mains_hz * f64::from(n))).sum();
        (power > 0.0).then(|| Hum { mains_hz, rms: power.sqrt() })
    }

    /// Mean square of a line around this frequency, if it stands out.
    fn line(&self, hz: f64) -> Option<f64> {
        let width = self.rate / WINDOW as f64;
        let bin = |hz: f64| ((hz / width).round() as usize).min(self.bins.len() - 1);
        let power = |bins: &[Complex<f32>]| bins.iter().map(|bin| f64::from(bin.norm_sqr())).sum::<f64>();
        let mean = |bins: &[Complex<f32>]| power(bins) / bins.len().max(1) as f64;
        let reach = hz * MAINS_TOLERANCE + 2.0 * width;
        let line = &self.bins[bin(hz - reach)..=bin(hz + reach)];
        let below = mean(&self.bins[bin(hz - FAR_HZ)..bin(hz - NEAR_HZ)]);
        let above = mean(&self.bins[bin(hz + NEAR_HZ)..bin(hz + FAR_HZ)]);
        let around = below.max(above) * line.len() as f64;
        // Over its main lobe a sine has 1.5 times the square of half its amplitude and the window's sum.
        let scale = 1.0 / (1.5 * (WINDOW as f64 / 2.0).powi(2)) * 2.0;
        let power = power(line);
        (power > around * STANDS_OUT).then_some(power * scale)
    }
}

impl std::fmt::Debug for HumFinder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HumFinder").field("found", &self.found).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hear(rate: u32, seconds: u32, sound: impl Fn(f64) -> f64) -> Option<Hum> {
        let mut finder = HumFinder::new(rate);
        let samples: Vec<f32> =
            (0..rate * seconds).map(|n| sound(f64::from(n) / f64::from(rate)) as f32).collect();
        samples.chunks(480).for_each(|slice| finder.push(&[slice.to_vec()]));
        finder.hum()
    }

    fn sine(hz: f64, dbfs_rms: f64) -> impl Fn(f64) -> f64 {
        move |t| 10_f64.powf((dbfs_rms + 3.01) / 20.0) * (TAU * hz * t).sin()
    }

    fn assert_hum(found: Option<Hum>, mains_hz: f64, dbfs: f64, what: &str) {
        let found = found.unwrap_or_else(|| panic!("no hum: {what}"));
        let level = 20.0 * found.rms.log10();
        assert!(found.mains_hz == mains_hz && (level - dbfs).abs() < 1.0, "{what}: {found:?}, {level} dB");
    }

    #[test]
    fn mains_of_either_frequency_and_their_harmonics_at_any_rate() {
        for rate in [8000, 44_100, 48_000, 96_000] {
            for mains in [49.8, 50.0, 50.2, 59.95, 60.0] {
                let whole = (mains / 10.0_f64).round() * 10.0;
                assert_hum(hear(rate, 6, sine(mains, -50.0)), whole, -50.0, &format!("{mains} at {rate}"));
            }
        }
        // A rectifier makes twice the frequency and more, and little of the first.
        let buzz = |t: f64| sine(120.0, -53.0)(t) + sine(240.0, -53.0)(t);
        assert_hum(hear(48_000, 6, buzz), 60.0, -50.0, "harmonics");
    }

    #[test]
    fn hum_under_sound_is_found() {
        let speech = |t: f64| sine(440.0, -20.0)(t) + sine(1000.0, -20.0)(t) + sine(50.0, -55.0)(t);
        assert_hum(hear(48_000, 6, speech), 50.0, -55.0, "under tones");
    }

    #[test]
    fn neighbours_noise_and_what_comes_and_goes_are_no_hum() {
        for hz in [41.2, 46.2, 55.0, 65.4, 73.4, 87.3, 110.0, 130.8, 440.0, 1000.0] {
            assert_eq!(hear(48_000, 6, sine(hz, -20.0)), None, "{hz} Hz");
        }
        // Beyond the low-pass, what would alias to a line.
        for hz in [1950.0, 2050.0, 4060.0, 6100.0] {
            let found =
                hear(48_000, 6, sine(hz, -20.0)).map_or(f64::NEG_INFINITY, |hum| 20.0 * hum.rms.log10());
            assert!(found < -100.0, "{hz} Hz: {found} dB");
        }
        let state = std::cell::Cell::new(1_u32);
        let noise = |_| {
            state.set(state.get().wrapping_mul(1_664_525).wrapping_add(1_013_904_223));
            f64::from(state.get().cast_signed()) / f64::from(1 << 30) * 0.1
        };
        assert_eq!(hear(48_000, 8, noise), None, "noise");
        let notes = |t: f64| if t % 1.0 < 0.5 { sine(50.0, -20.0)(t) } else { sine(65.4, -20.0)(t) };
        assert_eq!(hear(48_000, 8, notes), None, "a bass line that touches 50 Hz");
    }

    #[test]
    fn a_hole_is_not_joined() {
        let mut finder = HumFinder::new(2000);
        let hum: Vec<f32> = (0..8192).map(|n| (TAU * 50.0 * f64::from(n) / 2000.0).sin() as f32).collect();
        finder.push(std::slice::from_ref(&hum));
        assert!(finder.hum().is_some() && finder.windows() == 3);
        finder.interrupt();
        finder.push(&[hum[..4000].to_vec()]);
        assert_eq!((finder.hum(), finder.windows()), (None, 3));
    }
}

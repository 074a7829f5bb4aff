//! The spectrum: power by frequency, in bins and in the bands of a spectrogram.
//!
//! Hann windows that overlap by half; the powers of the windows that ended in an interval are averaged,
//! and those of the channels too, so that channels out of phase do not cancel. The window's length is the
//! power of two that makes bins of about 23 Hz. A sine of full scale on a bin has the power 1 there.

use std::f64::consts::TAU;
use std::sync::Arc;

use realfft::num_complex::Complex;
use realfft::{RealFftPlanner, RealToComplex};

/// A bin is at most so wide, in Hz.
const WIDEST_BIN_HZ: u32 = 32;
/// Bands of the spectrogram in an octave, where bins are narrow enough.
const BANDS_PER_OCTAVE: f64 = 12.0;

/// A bin of the transform.
type Bin = Complex<f32>;

/// Transforms what it hears.
pub struct Spectrum {
    transform: Arc<dyn RealToComplex<f32>>,
    window: Vec<f32>,
    /// Power of a bin to the power of the sine that makes it.
    scale: f32,
    /// The newest samples of each channel, as many as a window has.
    lines: Vec<Vec<f32>>,
    /// How many of them there are.
    filled: usize,
    windowed: Vec<f32>,
    scratch: Vec<Bin>,
    bins: Vec<Bin>,
    /// Sum over the windows and channels of this interval.
    sum: Vec<f32>,
    summed: u32,
    /// The mean of the last interval in which a window ended.
    power: Vec<f32>,
    bands: Vec<std::ops::Range<usize>>,
    bin_hz: f64,
}

impl Spectrum {
    /// For sound of so many channels.
    pub fn new(sample_rate: u32, channels: usize) -> Self {
        let length = (sample_rate / WIDEST_BIN_HZ).next_power_of_two() as usize;
        let transform = RealFftPlanner::new().plan_fft_forward(length);
        let hann = |n: usize| 0.5 - 0.5 * (TAU * n as f64 / length as f64).cos();
        let window: Vec<f32> = (0..length).map(|n| hann(n) as f32).collect();
        // A sine of amplitude 1 makes a bin of half the window's sum.
        let scale = (4.0 / (length as f64 / 2.0).powi(2)) as f32;
        let count = length / 2;
        Self {
            scratch: transform.make_scratch_vec(),
            bins: transform.make_output_vec(),
            windowed: vec![0.0; length],
            window,
            scale,
            lines: vec![vec![0.0; length]; channels],
            filled: 0,
            transform,
            sum: vec![0.0; count],
            summed: 0,
            power: Vec::with_capacity(count),
            bands: bands(count),
            bin_hz: f64::from(sample_rate) / length as f64,
        }
    }

    /// Takes the next samples of each channel; all lines are as long.
    pub fn push(&mut self, lines: &[Vec<f32>]) {
        let length = self.window.len();
        let count = lines.first().map_or(0, Vec::len);
        let mut taken = 0;
        while taken < count {
            let room = (length - self.filled).min(count - taken);
            for (own, line) in self.lines.iter_mut().zip(lines) {
                own[self.filled..self.filled + room].copy_from_slice(&line[taken..taken + room]);
            }
            self.filled += room;
            taken += room;
            if self.filled == length {
                self.transform();
                self.filled = length / 2;
                self.lines.iter_mut().for_each(|line| line.copy_within(length / 2.., 0));
            }
        }
    }

    fn transform(&mut self) {
        for line in &self.lines {
            for ((to, sample), weight) in self.windowed.iter_mut().zip(line).zip(&self.window) {
                *to = sample * weight;
            }
            let Self { transform, windowed, bins, scratch, .. } = self;
            // Fails only for buffers of another length than the plan's own.
            let done = transform.process_with_scratch(windowed, bins, scratch);
            debug_assert!(done.is_ok(), "the buffers are the plan's");
            for (sum, bin) in self.sum.iter_mut().zip(&self.bins) {
                *sum += bin.norm_sqr();
            }
            self.summed += 1;
        }
    }

    /// Ends an interval. `false` when no window ended in it: the power stays what it was.
    pub fn end_interval(&mut self) -> bool {
        if self.summed == 0 {
            return false;
        }
        let scale = self.scale / self.summed as f32;
        self.power.clear();
        self.power.extend(self.sum.iter().map(|sum| sum * scale));
        self.sum.fill(0.0);
        self.summed = 0;
        true
    }

    /// Power of each bin: bin `n` is around `n` times [`bin_hz`](Self::bin_hz). Empty before the first.
    pub fn power(&self) -> &[f32] {
        &self.power
    }

    /// How many bins there are.
    pub fn bins(&self) -> usize {
        self.sum.len()
    }

    /// From one bin to the next, in Hz.
    pub fn bin_hz(&self) -> f64 {
        self.bin_hz
    }

    /// A column of the spectrogram: the highest power in each band. Empty before the first.
    pub fn column(&self) -> impl Iterator<Item = f32> {
        let highest = |bins: &std::ops::Range<usize>| {
            let bins = self.power.get(bins.clone())?;
            Some(bins.iter().copied().fold(0.0, f32::max))
        };
        self.bands.iter().filter_map(highest)
    }

    /// The middle of each band, in Hz.
    pub fn band_hz(&self) -> impl Iterator<Item = f64> {
        self.bands.iter().map(|bins| (bins.start + bins.end - 1) as f64 / 2.0 * self.bin_hz)
    }

    /// What follows does not join what was before.
    pub fn interrupt(&mut self) {
        self.filled = 0;
        self.summed = 0;
        self.sum.fill(0.0);
        self.power.clear();
    }
}

/// Bins of each band of the spectrogram: single ones at first, then a semitone each.
fn bands(bins: usize) -> Vec<std::ops::Range<usize>> {
    let mut bands = Vec::new();
    let mut start = 1;
    while start < bins {
        let next = (start as f64 * 2_f64.powf(1.0 / BANDS_PER_OCTAVE)).round() as usize;
        let end = next.max(start + 1).min(bins);
        bands.push(start..end);
        start = end;
    }
    bands
}

impl std::fmt::Debug for Spectrum {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Spectrum").field("bin_hz", &self.bin_hz).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hear(rate: u32, channels: &[&dyn Fn(f64) -> f64]) -> Spectrum {
        let mut spectrum = Spectrum::new(rate, channels.len());
        let line = |sound: &&dyn Fn(f64) -> f64| {
            (0..rate).map(|n| sound(f64::from(n) / f64::from(rate)) as f32).collect::<Vec<f32>>()
        };
        let lines: Vec<Vec<f32>> = channels.iter().map(line).collect();
        for at in (0..rate as usize).step_by(100) {
            let slice = |line: &Vec<f32>| line[at..(at + 100).min(line.len())].to_vec();
            spectrum.push(&lines.iter().map(slice).collect::<Vec<_>>());
        }
        assert!(spectrum.end_interval());
        spectrum
    }

    fn db(power: f32) -> f64 {
        10.0 * f64::from(power).log10()
    }

    #[test]
    fn a_sine_stands_on_its_bin_with_its_level_at_any_rate() {
        for rate in [8000, 44_100, 48_000, 192_000] {
            let bin_hz = Spectrum::new(rate, 1).bin_hz();
            assert!((15.0..=32.0).contains(&bin_hz), "{bin_hz} Hz");
            let hz = 40.0 * bin_hz;
            let found = hear(rate, &[&|t: f64| 0.1 * (TAU * hz * t).sin()]);
            assert!((db(found.power()[40]) + 20.0).abs() < 0.05, "{} dB", db(found.power()[40]));
            // The Hann window spreads a sine to its neighbours and falls by 18 dB an octave from there.
            assert!(db(found.power()[45]) < -20.0 - 45.0);
            assert!(db(found.power()[100]) < -20.0 - 90.0);
        }
    }

    #[test]
    fn between_two_bins_a_sine_reads_a_little_less() {
        let bin_hz = Spectrum::new(48_000, 1).bin_hz();
        let found = hear(48_000, &[&|t: f64| (TAU * 40.5 * bin_hz * t).sin()]);
        assert!((db(found.power()[40]) + 1.42).abs() < 0.1, "the scallop of a Hann window");
    }

    #[test]
    fn channels_out_of_phase_do_not_cancel() {
        let hz = 40.0 * Spectrum::new(48_000, 1).bin_hz();
        let (plus, minus) = (|t: f64| (TAU * hz * t).sin(), |t: f64| -(TAU * hz * t).sin());
        let found = hear(48_000, &[&plus, &minus]);
        assert!(db(found.power()[40]).abs() < 0.05);
    }

    #[test]
    fn bands_cover_every_bin_once_and_show_the_highest() {
        let found = hear(48_000, &[&|t: f64| (TAU * 3000.0 * t).sin()]);
        let mut next = 1;
        for band in &found.bands {
            assert!(band.start == next && band.end > band.start);
            next = band.end;
        }
        assert_eq!(next, found.power().len());
        let middles: Vec<f64> = found.band_hz().collect();
        let column: Vec<f32> = found.column().collect();
        assert_eq!(middles.len(), column.len());
        let loudest = (0..column.len()).max_by(|a, b| column[*a].total_cmp(&column[*b])).expect("bands");
        assert!((middles[loudest] / 3000.0).log2().abs() < 1.0 / 12.0, "{} Hz", middles[loudest]);
    }

    #[test]
    fn a_hole_is_not_joined_and_an_empty_interval_changes_nothing() {
        let mut spectrum = Spectrum::new(48_000, 1);
        spectrum.push(&[vec![1.0; 2000]]);
        spectrum.interrupt();
        spectrum.push(&[vec![0.0; 2000]]);
        assert!(!spectrum.end_interval(), "no window ended");
        assert!(spectrum.power().is_empty() && spectrum.column().next().is_none());
    }
}

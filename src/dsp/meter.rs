//! Levels: root mean square, peak, offset and full-scale samples of each channel over an interval.
//!
//! In here: sums over samples, and what they mean in decibels. Not in here: the true peak, loudness and
//! whatever is judged from levels (`analysis`).

/// A sample of this magnitude is at full scale: the largest positive value of 16 bits, which is less
/// than 1 by one step.
const FULL_SCALE: f32 = 32_767.0 / 32_768.0;
/// Sums that are made side by side, so that they vectorise.
const LANES: usize = 8;

/// Level of one channel over an interval, in linear amplitude.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Level {
    /// Root mean square.
    pub rms: f64,
    /// Largest magnitude.
    pub peak: f32,
    /// Largest magnitude of the signal between the samples; `None` where it is not measured.
    pub true_peak: Option<f32>,
    /// Mean: the offset from zero.
    pub offset: f64,
    /// No sample differs from the one before: the input is dead, whatever its value.
    pub is_constant: bool,
    /// Samples at or beyond the clipping level.
    pub clipped: u64,
}

impl Level {
    /// Root mean square in dB of full scale, where a full-scale square wave is 0; `None` for digital silence.
    pub fn rms_dbfs(&self) -> Option<f64> {
        decibels(self.rms)
    }

    /// Peak in dB of full scale; `None` for digital silence.
    pub fn peak_dbfs(&self) -> Option<f64> {
        decibels(f64::from(self.peak))
    }

    /// True peak in dB of full scale (dBTP); `None` for digital silence, or where it is not measured.
    pub fn true_peak_dbtp(&self) -> Option<f64> {
        self.true_peak.and_then(|peak| decibels(f64::from(peak)))
    }
}

/// An amplitude in dB, against 1; `None` for none at all.
pub fn decibels(amplitude: f64) -> Option<f64> {
    (amplitude > 0.0).then(|| 20.0 * amplitude.log10())
}

/// Sums up an interval of one channel.
#[derive(Debug, Clone, Copy)]
pub struct Meter {
    clipping: f32,
    frames: u64,
    sum: f64,
    squares: f64,
    lowest: f32,
    highest: f32,
    clipped: u64,
}

impl Meter {
    /// Counts samples from this magnitude on as clipped; 1 is full scale.
    pub fn new(clipping_level: f64) -> Self {
        let clipping = clipping_level as f32 * FULL_SCALE;
        let (lowest, highest) = (f32::INFINITY, f32::NEG_INFINITY);
        Self { clipping, frames: 0, sum: 0.0, squares: 0.0, lowest, highest, clipped: 0 }
    }

    /// Takes samples. Those of one call are summed in single precision: a few hundred at a time.
    pub fn push(&mut self, samples: &[f32]) {
        let (mut sums, mut squares) = ([0.0_f32; LANES], [0.0_f32; LANES]);
        let (mut lowest, mut highest) = ([self.lowest; LANES], [self.highest; LANES]);
        let mut clipped = [0_u32; LANES];
        let (whole, rest) = samples.as_chunks::<LANES>();
        let mut take = |lane: usize, sample: f32| {
            sums[lane] += sample;
            squares[lane] += sample * sample;
            lowest[lane] = if sample < lowest[lane] { sample } else { lowest[lane] };
            highest[lane] = if sample > highest[lane] { sample } else { highest[lane] };
            clipped[lane] += u32::from(sample.abs() >= self.clipping);
        };
        for group in whole {
            for (lane, &sample) in group.iter().enumerate() {
                take(lane, sample);
            }
        }
        for (lane, &sample) in rest.iter().enumerate() {
            take(lane, sample);
        }
        self.frames += samples.len() as u64;
        self.sum += sums.iter().copied().map(f64::from).sum::<f64>();
        self.squares += squares.iter().copied().map(f64::from).sum::<f64>();
        self.lowest = lowest.into_iter().fold(f32::INFINITY, f32::min);
        self.highest = highest.into_iter().fold(f32::NEG_INFINITY, f32::max);
        self.clipped += clipped.iter().copied().map(u64::from).sum::<u64>();
    }

    /// Ends the interval: its level. The true peak is measured elsewhere.
    pub fn take(&mut self) -> Level {
        let frames = self.frames.max(1) as f64;
        let level = Level {
            rms: (self.squares / frames).sqrt(),
            peak: if self.frames == 0 { 0.0 } else { self.highest.abs().max(self.lowest.abs()) },
            true_peak: None,
            offset: self.sum / frames,
            is_constant: self.lowest >= self.highest,
            clipped: self.clipped,
        };
        let Self { clipping, .. } = *self;
        *self = Self { clipping, ..Self::new(1.0) };
        level
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn level(samples: &[f32]) -> Level {
        let mut meter = Meter::new(1.0);
        meter.push(samples);
        meter.take()
    }

    #[test]
    fn a_sine_of_half_scale_reads_minus_six_and_minus_nine() {
        let phase = |n: i32| f64::from(n) * 1000.0 / 48_000.0 * std::f64::consts::TAU;
        let samples: Vec<f32> = (0..48_000).map(|n| (0.5 * phase(n).sin()) as f32).collect();
        let mut meter = Meter::new(1.0);
        samples.chunks(480).for_each(|slice| meter.push(slice));
        let sine = meter.take();
        assert!((sine.peak_dbfs().expect("sound") + 6.02).abs() < 0.01);
        assert!((sine.rms_dbfs().expect("sound") + 9.03).abs() < 0.01);
        assert!(sine.offset.abs() < 1e-6 && !sine.is_constant);
    }

    #[test]
    fn an_interval_begins_anew_and_nothing_is_silence() {
        let mut meter = Meter::new(1.0);
        meter.push(&[0.5, 1.0]);
        assert_eq!(meter.take().clipped, 1);
        let empty = meter.take();
        assert_eq!((empty.rms, empty.peak, empty.clipped, empty.is_constant), (0.0, 0.0, 0, true));
        assert_eq!((empty.rms_dbfs(), empty.peak_dbfs(), empty.true_peak_dbtp()), (None, None, None));
    }

    #[test]
    fn full_scale_is_clipped_and_just_below_is_not() {
        assert_eq!(level(&[1.0, -1.0, 32_767.0 / 32_768.0, 32_766.0 / 32_768.0]).clipped, 3);
        let mut lower = Meter::new(0.5);
        lower.push(&[0.5, -0.5, 0.49, 0.7]);
        assert_eq!(lower.take().clipped, 3);
    }

    #[test]
    fn a_stuck_value_is_constant_and_an_offset() {
        let stuck = level(&[0.25; 100]);
        assert!(stuck.is_constant && (stuck.offset - 0.25).abs() < 1e-9);
        let mut nearly = [0.25_f32; 100];
        nearly[99] = 0.25 + f32::EPSILON;
        assert!(!level(&nearly).is_constant);
    }

    proptest! {
        #[test]
        fn sums_are_those_of_the_plain_formulas(samples in prop::collection::vec(-1.0_f32..1.0, 1..200)) {
            let found = level(&samples);
            let frames = samples.len() as f64;
            let squares: f64 = samples.iter().map(|x| f64::from(*x).powi(2)).sum();
            let sum: f64 = samples.iter().copied().map(f64::from).sum();
            prop_assert!((found.rms - (squares / frames).sqrt()).abs() < 1e-5);
            prop_assert!((found.offset - sum / frames).abs() < 1e-5);
            prop_assert_eq!(found.peak, samples.iter().fold(0.0_f32, |peak, x| peak.max(x.abs())));
        }
    }
}

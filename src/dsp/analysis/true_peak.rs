//! The true peak: how high the signal goes between its samples.
//!
//! Four times oversampling by the interpolating filter of ITU-R BS.1770-4, annex 2: 48 taps in four
//! phases. From 192 kHz on the samples are close enough by themselves.

/// Taps of each phase.
const TAPS: usize = 12;
/// Samples that are worked on side by side, so that they vectorise.
const LANES: usize = 8;
/// From this rate on, in Hz, nothing is oversampled.
const DENSE_RATE: u32 = 192_000;

/// The first two phases of the filter, newest sample last; the other two are these backwards.
const PHASES: [[f32; TAPS]; 2] = [
    [
        0.001_708_984_4,
        0.010_986_328,
        -0.019_653_32,
        0.033_203_125,
        -0.059_448_242,
        0.137_329_1,
        0.972_167_97,
        -0.102_294_92,
        0.047_607_422,
        -0.026_611_328,
        0.014_892_578,
        -0.008_300_781,
    ],
    [
        -0.029_174_805,
        0.029_296_875,
        -0.051_757_812,
        0.089_111_33,
        -0.166_503_9,
        0.465_087_9,
        0.779_785_16,
        -0.200_317_38,
        0.101_562_5,
        -0.058_227_54,
        0.033_081_055,
        -0.018_920_898,
    ],
];

/// Follows the true peak of one channel.
#[derive(Debug, Clone)]
pub struct TruePeak {
    is_dense: bool,
    /// The last samples of the slice before, then this one.
    line: Vec<f32>,
    highest: f32,
}

impl TruePeak {
    /// For slices of at most so many samples.
    pub fn new(sample_rate: u32, slice: usize) -> Self {
        let mut line = Vec::with_capacity(TAPS - 1 + slice);
        line.resize(TAPS - 1, 0.0);
        Self { is_dense: sample_rate >= DENSE_RATE, line, highest: 0.0 }
    }

    /// Takes the next samples. Their peak is found up to six samples late.
    pub fn push(&mut self, samples: &[f32]) {
        let samples_peak = samples.iter().fold(0.0, |peak: f32, sample| peak.max(sample.abs()));
        self.highest = self.highest.max(samples_peak);
        if self.is_dense {
            return;
        }
        self.line.extend_from_slice(samples);
        for phase in &PHASES {
            let mut backwards = *phase;
            backwards.reverse();
            let between = highest(&self.line, phase).max(highest(&self.line, &backwards));
            self.highest = self.highest.max(between);
        }
        let kept = self.line.len() - (TAPS - 1);
        self.line.copy_within(kept.., 0);
        self.line.truncate(TAPS - 1);
    }

    /// The true peak since this was asked last, in linear amplitude.
    pub fn take(&mut self) -> f32 {
        std::mem::take(&mut self.highest)
    }

    /// The samples that follow do not join those before.
    pub fn interrupt(&mut self) {
        self.line.fill(0.0);
    }
}

/// The largest magnitude of a line filtered by one phase.
fn highest(line: &[f32], phase: &[f32; TAPS]) -> f32 {
    let outputs = line.len() - (TAPS - 1);
    let mut peaks = [0.0_f32; LANES];
    let mut at = 0;
    while at + LANES <= outputs {
        let mut sums = [0.0_f32; LANES];
        for (tap, weight) in phase.iter().enumerate() {
            let input = &line[at + tap..at + tap + LANES];
            for (sum, sample) in sums.iter_mut().zip(input) {
                *sum += weight * sample;
            }
        }
        for (peak, sum) in peaks.iter_mut().zip(sums) {
            let magnitude = sum.abs();
            *peak = if magnitude > *peak { magnitude } else { *peak };
        }
        at += LANES;
    }
    let mut peak = peaks.into_iter().fold(0.0, f32::max);
    for window in line[at..].windows(TAPS) {
        let sum: f32 = window.iter().zip(phase).map(|(sample, weight)| sample * weight).sum();
        peak = peak.max(sum.abs());
    }
    peak
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::TAU;

    fn true_peak_db(rate: u32, samples: &[f32]) -> f64 {
        let mut meter = TruePeak::new(rate, 480);
        samples.chunks(480).for_each(|slice| meter.push(slice));
        20.0 * f64::from(meter.take()).log10()
    }

    /// A sine of a fraction of the rate, faded so that no edge rings.
    fn sine(fraction: f64, amplitude: f64, degrees: f64) -> Vec<f32> {
        let length = 48_000;
        let sample = |n: i32| {
            let fade = (f64::from(n.min(length - 1 - n)) / 2400.0).min(1.0);
            amplitude * fade * (TAU * fraction * f64::from(n) + degrees.to_radians()).sin()
        };
        (0..length).map(|n| sample(n) as f32).collect()
    }

    fn assert_within_ebu(found: f64, expected: f64, what: &str) {
        let error = found - expected;
        assert!((-0.4..=0.2).contains(&error), "{what}: {found} dBTP instead of {expected}");
    }

    /// EBU Tech 3341, test signals 15 to 19.
    #[test]
    fn sines_between_the_samples_are_found() {
        let cases = [
            (4.0, 0.50, 0.0, -6.0),
            (4.0, 0.50, 45.0, -6.0),
            (6.0, 0.50, 60.0, -6.0),
            (8.0, 0.50, 67.5, -6.0),
            (4.0, 1.41, 45.0, 3.0),
        ];
        for (divisor, amplitude, degrees, expected) in cases {
            let samples = sine(1.0 / divisor, amplitude, degrees);
            assert_within_ebu(true_peak_db(48_000, &samples), expected, &format!("{divisor}, {degrees}°"));
        }
    }

    /// EBU Tech 3341, test signals 20 to 23: a peak that falls on each of four places between samples.
    #[test]
    fn a_peak_is_found_wherever_it_falls() {
        for offset in 0..4 {
            let at = |n: i32| (f64::from(n) - 24_000.0) / 48_000.0 + f64::from(offset) / 192_000.0;
            // Four tones in phase at one moment, where they add up to full scale.
            let tones = [4000.0, 6000.0, 8000.0, 12_000.0];
            let sample = |n: i32| {
                let fade = (f64::from(n.min(47_999 - n)) / 2400.0).min(1.0);
                fade * tones.iter().map(|hz| (TAU * hz * at(n)).cos()).sum::<f64>() / 4.0
            };
            let samples: Vec<f32> = (0..48_000).map(|n| sample(n) as f32).collect();
            assert_within_ebu(true_peak_db(48_000, &samples), 0.0, &format!("offset {offset}"));
        }
    }

    #[test]
    fn a_constant_passes_every_phase_as_it_is() {
        for phase in PHASES {
            let sum: f32 = phase.iter().sum();
            assert!((20.0 * sum.log10()).abs() < 0.25, "{sum}");
        }
    }

    #[test]
    fn it_is_never_below_the_samples_and_does_not_join_what_is_apart() {
        let mut meter = TruePeak::new(48_000, 480);
        let mut samples = vec![0.0; 480];
        samples[479] = 1.0;
        meter.push(&samples);
        assert!(meter.take() >= 1.0);
        meter.interrupt();
        meter.push(&[0.0; 480]);
        assert_eq!(meter.take(), 0.0, "the impulse before the hole is gone");
        assert!((true_peak_db(192_000, &sine(0.01, 0.5, 0.0)) + 6.02).abs() < 0.01);
    }
}

//! How far sound stands above its own noise, and how far its loud parts above its quiet ones. Estimates:
//! nobody but the one who made a sound knows what in it is noise.
//!
//! Signal to noise: noise is taken to be what fills the spectrum between the tones and stays in the
//! pauses. In each octave its density is the lower quartile of the bins, averaged over a second (tones
//! fill few bins of an octave); the quietest of the last ten seconds counts (speech and music leave it
//! bare now and then), as with the minimum statistics of R. Martin, "Noise power spectral density
//! estimation based on optimal smoothing and minimum statistics" (IEEE Trans. SAP 9, 2001).
//!
//! Dynamic range: from the 10th to the 95th percentile of the level of tenths of a second over the last
//! minute, digital silence left out.

use std::collections::VecDeque;

/// Intervals that are averaged before their floor is looked for: a second.
const AVERAGED: u32 = 10;
/// Seconds among which the quietest counts.
const REMEMBERED: usize = 10;
/// The first octave begins at this bin; all below is one band, so that the skirts of a low tone leave most
/// of its bins bare.
const FIRST_OCTAVE: usize = 32;
/// Where the floor of an octave is read, as a share of its bins from the quietest on.
const QUANTILE: usize = 4;
/// The mean of noise above the lower quartile of its bins, averaged over a second of half-overlapping
/// windows: as good as 44 independent values, whose quartile is 0.90 of the mean.
const ABOVE_QUARTILE: f32 = 1.0 / 0.90;
/// More than this, in dB, cannot be told from no noise at all.
const MOST_DB: f64 = 100.0;

/// Follows the noise floor.
#[derive(Debug)]
pub struct NoiseFloor {
    sum: Vec<f32>,
    summed: u32,
    sorted: Vec<f32>,
    /// Power of signal and noise of the last seconds, newest last.
    seconds: VecDeque<Second>,
    octaves: usize,
}

/// A second: its whole power, and the floor of each octave. Sixteen octaves reach beyond any rate.
#[derive(Debug, Clone, Copy, Default)]
struct Second {
    power: f32,
    floors: [f32; 16],
}

impl NoiseFloor {
    /// For spectra of so many bins.
    pub fn new(bins: usize) -> Self {
        Self {
            sum: vec![0.0; bins],
            summed: 0,
            sorted: Vec::with_capacity(bins),
            seconds: VecDeque::with_capacity(REMEMBERED),
            octaves: octaves(bins).count(),
        }
    }

    /// Takes the spectrum of an interval.
    pub fn push(&mut self, power: &[f32]) {
        self.sum.iter_mut().zip(power).for_each(|(sum, power)| *sum += power);
        self.summed += 1;
        if self.summed < AVERAGED {
            return;
        }
        let mut second = Second { power: self.sum.iter().sum(), ..Second::default() };
        for (floor, octave) in second.floors.iter_mut().zip(octaves(self.sum.len())) {
            self.sorted.clear();
            self.sorted.extend_from_slice(&self.sum[octave.clone()]);
            let rank = self.sorted.len() / QUANTILE;
            let (_, quartile, _) = self.sorted.select_nth_unstable_by(rank, f32::total_cmp);
            *floor = *quartile * ABOVE_QUARTILE * octave.len() as f32;
        }
        if self.seconds.len() == REMEMBERED {
            self.seconds.pop_front();
        }
        self.seconds.push_back(second);
        self.forget_second();
    }

    fn forget_second(&mut self) {
        self.sum.fill(0.0);
        self.summed = 0;
    }

    /// Signal to noise of the last seconds, in dB, from 0 to 100; `None` before the first second and
    /// without sound.
    pub fn signal_to_noise_db(&self) -> Option<f64> {
        let seconds = self.seconds.len() as f32;
        let power = self.seconds.iter().map(|second| second.power).sum::<f32>() / seconds;
        let quietest = |octave: usize| {
            self.seconds.iter().map(|second| second.floors[octave]).fold(f32::INFINITY, f32::min)
        };
        let noise: f32 = (0..self.octaves).map(quietest).sum();
        if self.seconds.is_empty() || power <= 0.0 {
            return None;
        }
        let signal = f64::from(power - noise).max(0.0);
        Some((10.0 * (signal / f64::from(noise)).log10()).clamp(0.0, MOST_DB))
    }

    /// What follows does not join what was before.
    pub fn interrupt(&mut self) {
        self.seconds.clear();
        self.forget_second();
    }
}

/// The bins of each octave; the first one begins above what is no sound, and the last ends with the bins.
fn octaves(bins: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    let starts = std::iter::successors(Some(FIRST_OCTAVE), |start| Some(start * 2));
    let all = starts.take_while(move |start| *start < bins).map(move |start| start..(start * 2).min(bins));
    std::iter::once(1..FIRST_OCTAVE.min(bins)).chain(all)
}

/// Intervals of a tenth of a second in a minute.
const MINUTE: usize = 600;
/// Intervals before there is a range.
const LEAST: usize = 30;
/// The percentiles that the range lies between.
const QUIET: f64 = 0.10;
const LOUD: f64 = 0.95;

/// Follows how far levels lie apart.
#[derive(Debug)]
pub struct DynamicRange {
    /// Levels of the last minute in dB, newest last.
    levels: VecDeque<f64>,
    sorted: Vec<f64>,
}

impl DynamicRange {
    /// Nothing heard.
    pub fn new() -> Self {
        Self { levels: VecDeque::with_capacity(MINUTE), sorted: Vec::with_capacity(MINUTE) }
    }

    /// Takes the level of an interval, in dB; digital silence has none.
    pub fn push(&mut self, level: Option<f64>) {
        let Some(level) = level else { return };
        if self.levels.len() == MINUTE {
            self.levels.pop_front();
        }
        self.levels.push_back(level);
    }

    /// From the quiet to the loud parts, in dB; `None` before three seconds of sound.
    pub fn range_db(&mut self) -> Option<f64> {
        if self.levels.len() < LEAST {
            return None;
        }
        self.sorted.clear();
        self.sorted.extend(&self.levels);
        self.sorted.sort_unstable_by(f64::total_cmp);
        let at = |share: f64| self.sorted[((self.sorted.len() - 1) as f64 * share).round() as usize];
        Some(at(LOUD) - at(QUIET))
    }
}

#[cfg(test)]
mod tests {
    use super::super::spectrum::Spectrum;
    use super::*;
    use std::f64::consts::TAU;

    const RATE: usize = 48_000;

    /// White noise of this RMS level in dBFS.
    fn noise(dbfs: f64) -> impl FnMut(usize) -> f64 {
        let mut state = 1_u64;
        move |_| {
            // The sum of twelve even distributions is nearly normal, with variance 1.
            let mut next = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 40) as f64 / f64::from(1_u32 << 24)
            };
            let normal = (0..12).map(|_| next()).sum::<f64>() - 6.0;
            normal * 10_f64.powf(dbfs / 20.0)
        }
    }

    fn measured(seconds: usize, mut sound: impl FnMut(usize) -> f64) -> Option<f64> {
        let mut spectrum = Spectrum::new(RATE as u32, 1);
        let mut floor = NoiseFloor::new(spectrum.bins());
        for interval in 0..seconds * 10 {
            let from = interval * RATE / 10;
            spectrum.push(&[(from..from + RATE / 10).map(|n| sound(n) as f32).collect()]);
            if spectrum.end_interval() {
                floor.push(spectrum.power());
            }
        }
        floor.signal_to_noise_db()
    }

    fn tone(hz: f64, dbfs: f64) -> impl Fn(usize) -> f64 {
        move |n| 10_f64.powf((dbfs + 3.01) / 20.0) * (TAU * hz * n as f64 / RATE as f64).sin()
    }

    #[test]
    fn tones_in_white_noise_have_their_ratio() {
        for hz in [110.0, 440.0, 1000.0, 5000.0] {
            for expected in [6.0, 20.0, 40.0, 50.0] {
                let (tone, mut hiss) = (tone(hz, -20.0), noise(-20.0 - expected));
                let found = measured(5, |n| tone(n) + hiss(n)).expect("sound");
                assert!((found - expected).abs() < 3.0, "{hz} Hz: {found} dB instead of {expected}");
            }
        }
    }

    #[test]
    fn chords_and_pauses_leave_the_floor_bare() {
        let mut hiss = noise(-60.0);
        let chord = [tone(220.0, -25.0), tone(277.0, -25.0), tone(330.0, -25.0), tone(880.0, -25.0)];
        // Two seconds of sound, then one of pause.
        let found = measured(10, |n| {
            let speaks = n % (3 * RATE) < 2 * RATE;
            let sound: f64 = chord.iter().map(|tone| tone(n)).sum();
            hiss(n) + if speaks { sound } else { 0.0 }
        });
        let expected = 60.0 - 19.0 - 1.8;
        assert!((found.expect("sound") - expected).abs() < 3.0, "{found:?} instead of {expected}");
    }

    #[test]
    fn noise_alone_has_no_signal_and_silence_no_ratio() {
        let mut hiss = noise(-30.0);
        assert!(measured(5, &mut hiss).expect("sound") < 3.0);
        assert_eq!(measured(5, |_| 0.0), None);
        assert_eq!(measured(0, |_| 1.0), None);
        assert!(measured(5, tone(1000.0, -20.0)).expect("sound") > 55.0, "a tone without noise");
    }

    #[test]
    fn the_range_is_from_quiet_to_loud() {
        let mut range = DynamicRange::new();
        assert_eq!(range.range_db(), None);
        for n in 0..600 {
            range.push(Some(if n % 2 == 0 { -40.0 } else { -15.0 }));
            range.push(None);
        }
        assert_eq!(range.range_db(), Some(25.0));
        (0..600).for_each(|_| range.push(Some(-20.0)));
        assert_eq!(range.range_db(), Some(0.0), "the minute before is forgotten");
    }
}

//! The device's real sample rate against `CLOCK_MONOTONIC`: the slope of a straight line through pairs
//! of time and position (ordinary least squares) over a sliding window. No allocation after creation.

/// Pairs in the window.
const PAIRS: usize = 600;
/// Least time between two pairs in the window: 600 of them are a minute.
const SPACING_NS: i64 = 100_000_000;
/// Shortest window that is believed: a pair is good to about a frame, which over five seconds of
/// fifty pairs leaves the slope within about one part per million.
const BELIEVED_NS: i64 = 5_000_000_000;

/// Measures the deviation of a sample clock.
#[derive(Debug)]
pub struct Drift {
    sample_rate: f64,
    pairs: [(i64, u64); PAIRS],
    /// Pairs ever stored since the restart; the newest `PAIRS` are kept.
    stored: usize,
    ppm: Option<f64>,
}

impl Drift {
    /// Against a nominal rate in frames per second.
    pub fn new(sample_rate: u32) -> Self {
        Self { sample_rate: f64::from(sample_rate), pairs: [(0, 0); PAIRS], stored: 0, ppm: None }
    }

    /// Takes a pair. Returns the deviation in parts per million each time it was measured anew.
    pub fn observe(&mut self, mono_ns: i64, position: u64) -> Option<f64> {
        if self.stored > 0 && mono_ns - self.newest().0 < SPACING_NS {
            return None;
        }
        self.pairs[self.stored % PAIRS] = (mono_ns, position);
        self.stored += 1;
        // A fit costs a microsecond; ten times a second would be waste, not harm.
        if !self.stored.is_multiple_of(10) {
            return None;
        }
        let ppm = self.fit()?;
        self.ppm = Some(ppm);
        Some(ppm)
    }

    /// Positions before this are not comparable with those after: begin the window anew. The newest
    /// result stays until there is a better one.
    pub fn restart(&mut self) {
        self.stored = 0;
    }

    /// Frames per second by the newest measurement, or the nominal rate.
    pub fn rate(&self) -> f64 {
        self.sample_rate * (1.0 + self.ppm.unwrap_or(0.0) * 1e-6)
    }

    fn newest(&self) -> (i64, u64) {
        self.pairs[(self.stored - 1) % PAIRS]
    }

    fn oldest(&self) -> (i64, u64) {
        if self.stored <= PAIRS { self.pairs[0] } else { self.pairs[self.stored % PAIRS] }
    }

    fn fit(&self) -> Option<f64> {
        let (from_ns, from_position) = self.oldest();
        if self.newest().0 - from_ns < BELIEVED_NS {
            return None;
        }
        let pairs = &self.pairs[..self.stored.min(PAIRS)];
        // Relative to the oldest, and with the nominal slope taken out, so that little is lost to rounding.
        let points = pairs.iter().map(|(ns, position)| {
            let seconds = (ns - from_ns) as f64 * 1e-9;
            (seconds, (position - from_position) as f64 - seconds * self.sample_rate)
        });
        let count = pairs.len() as f64;
        let (sum_x, sum_y) = points.clone().fold((0.0, 0.0), |(x, y), (px, py)| (x + px, y + py));
        let (mean_x, mean_y) = (sum_x / count, sum_y / count);
        let (sxx, sxy) = points.fold((0.0, 0.0), |(xx, xy), (x, y)| {
            (xx + (x - mean_x) * (x - mean_x), xy + (x - mean_x) * (y - mean_y))
        });
        (sxx > 0.0).then(|| sxy / sxx / self.sample_rate * 1e6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn run(drift: &mut Drift, rate: f64, seconds: i64, from_ns: i64) {
        for period in 0..seconds * 100 {
            let ns = period * 10_000_000;
            drift.observe(from_ns + ns, (ns as f64 * 1e-9 * rate) as u64);
        }
    }

    proptest! {
        #[test]
        fn finds_the_deviation_of_whole_frames(ppm in -500.0..500.0_f64, from_ns in 0..i64::MAX / 2) {
            let mut drift = Drift::new(48_000);
            run(&mut drift, 48_000.0 * (1.0 + ppm * 1e-6), 20, from_ns);
            let measured = drift.ppm.expect("twenty seconds are enough");
            // One frame more or less over twenty seconds is 1.04 parts per million.
            prop_assert!((measured - ppm).abs() < 1.1, "{} instead of {}", measured, ppm);
        }
    }

    #[test]
    fn a_short_look_is_no_measurement_and_a_restart_keeps_the_old_one() {
        let mut drift = Drift::new(48_000);
        run(&mut drift, 48_100.0, 4, 0);
        assert_eq!(drift.ppm, None);
        assert!((drift.rate() - 48_000.0).abs() < f64::EPSILON);
        drift.restart();
        run(&mut drift, 48_004.8, 90, 10_000_000_000);
        drift.restart();
        run(&mut drift, 50_000.0, 3, 200_000_000_000);
        assert!((drift.rate() - 48_004.8).abs() < 0.1, "{}", drift.rate());
    }
}

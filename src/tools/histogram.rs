//! A histogram of times that any thread may add to without waiting: fixed buckets, one atomic each.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Counts times by the bucket they fall into.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [Duration],
    /// One for each bound, and one for what is beyond the last.
    counts: Box<[AtomicU64]>,
    /// Microseconds: in nanoseconds a thousand listeners would fill it within months.
    sum_us: AtomicU64,
}

/// What a histogram held at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Times {
    /// Upper bound of each bucket in seconds, the last one infinite, and how many times fell between it
    /// and the bound before.
    pub buckets: Vec<(f64, u64)>,
    /// How many in all: the sum of the buckets.
    pub count: u64,
    /// All times together, in seconds.
    pub sum_s: f64,
}

impl Histogram {
    /// An empty one. The bounds rise; each belongs to its bucket.
    pub fn new(bounds: &'static [Duration]) -> Self {
        debug_assert!(bounds.is_sorted(), "the bounds of a histogram rise");
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self { bounds, counts, sum_us: AtomicU64::new(0) }
    }

    /// Adds a time.
    pub fn add(&self, time: Duration) {
        let bucket = self.bounds.partition_point(|bound| *bound < time);
        self.counts[bucket].fetch_add(1, Ordering::Relaxed);
        let us = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.sum_us.fetch_add(us, Ordering::Relaxed);
    }

    /// How many times were added.
    pub fn count(&self) -> u64 {
        self.counts.iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }

    /// All times together, in microseconds.
    pub fn sum_us(&self) -> u64 {
        self.sum_us.load(Ordering::Relaxed)
    }

    /// What it holds. A time that is being added may be in the count and not yet in the sum.
    pub fn read(&self) -> Times {
        let bounds = self.bounds.iter().map(Duration::as_secs_f64).chain([f64::INFINITY]);
        let counts = self.counts.iter().map(|count| count.load(Ordering::Relaxed));
        let buckets: Vec<(f64, u64)> = bounds.zip(counts).collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        Times { buckets, count, sum_s: self.sum_us() as f64 / 1e6 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BOUNDS: [Duration; 3] =
        [Duration::from_millis(1), Duration::from_millis(10), Duration::from_secs(1)];

    #[test]
    fn a_bound_belongs_to_its_bucket() {
        let histogram = Histogram::new(&BOUNDS);
        for us in [0, 1_000, 1_001, 10_000, 10_001, 1_000_000, 1_000_001, 60_000_000] {
            histogram.add(Duration::from_micros(us));
        }
        let times = histogram.read();
        assert_eq!(times.buckets, [(0.001, 2), (0.01, 2), (1.0, 2), (f64::INFINITY, 2)]);
        assert_eq!((times.count, times.sum_s), (8, 62.022_003));
    }

    #[test]
    fn a_time_without_end_is_beyond_the_last_bound() {
        let histogram = Histogram::new(&BOUNDS);
        histogram.add(Duration::MAX);
        assert_eq!(histogram.read().buckets[3].1, 1);
    }

    proptest! {
        #[test]
        fn every_time_is_in_the_one_bucket_that_holds_it(times in prop::collection::vec(0_u64..3_000_000, 0..200)) {
            let histogram = Histogram::new(&BOUNDS);
            times.iter().for_each(|us| histogram.add(Duration::from_micros(*us)));
            let read = histogram.read();
            let mut below = 0.0;
            for (bound, count) in &read.buckets {
                let inside = times.iter().map(|us| *us as f64 / 1e6);
                let expected = inside.filter(|s| (*s > below || below == 0.0) && *s <= *bound).count();
                prop_assert_eq!(*count, expected as u64, "up to {}", bound);
                below = *bound;
            }
            prop_assert_eq!(read.count, times.len() as u64);
            prop_assert_eq!(read.count, histogram.count());
            prop_assert_eq!(histogram.sum_us(), times.iter().sum::<u64>());
        }
    }

    #[test]
    fn no_time_is_lost_between_threads() {
        let histogram = Histogram::new(&BOUNDS);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..10_000).for_each(|us| histogram.add(Duration::from_micros(us))));
            }
        });
        assert_eq!((histogram.count(), histogram.sum_us()), (40_000, 4 * 49_995_000));
    }
}

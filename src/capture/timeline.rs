//! Where in the programme a captured frame belongs, and when it was captured. Pure arithmetic on what
//! the device says; no clock is read here.
//!
//! While the device runs, frames follow each other. Across a hole (an overrun, a suspend, a device that
//! was away) the device's own position starts anew, and time says how much is missing: the frames that
//! fit between the newest good pair of (time, position) before it and the first one after it, at the
//! rate measured so far, less those that were read.

use super::drift::Drift;
use crate::tools::clock::NS_PER_S;

#[derive(Debug, Clone, Copy)]
struct Anchor {
    mono_ns: i64,
    /// How far the machine had slept since boot; the monotonic clock does not count that.
    slept_ns: i64,
    /// The position that the device was just about to capture at that time.
    position: u64,
}

/// The programme's positions along time.
#[derive(Debug)]
pub struct Timeline {
    /// Position of the next frame to be read.
    next: u64,
    anchor: Option<Anchor>,
    drift: Drift,
}

impl Timeline {
    /// Begins at position 0.
    pub fn new(sample_rate: u32) -> Self {
        Self { next: 0, anchor: None, drift: Drift::new(sample_rate) }
    }

    /// Position of the next frame to be read.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// The device runs on: at this time `available` frames wait to be read. Returns a new measurement of
    /// the drift in parts per million whenever there is one.
    pub fn observe(&mut self, mono_ns: i64, slept_ns: i64, available: u64) -> Option<f64> {
        self.pace(mono_ns, slept_ns, available);
        self.drift.observe(mono_ns, self.next + available)
    }

    /// The same for a source that the system clock itself paces: there is no drift to measure.
    pub fn pace(&mut self, mono_ns: i64, slept_ns: i64, available: u64) {
        self.anchor = Some(Anchor { mono_ns, slept_ns, position: self.next + available });
    }

    /// The device starts anew after a hole: at this time `available` frames wait to be read. Returns how
    /// many frames are missing and moves on by them. At the very beginning nothing is missing.
    pub fn resume(&mut self, mono_ns: i64, slept_ns: i64, available: u64) -> u64 {
        let lost = self.anchor.map_or(0, |anchor| {
            let passed_ns = (mono_ns - anchor.mono_ns) + (slept_ns - anchor.slept_ns);
            let passed = (passed_ns.max(0) as f64 * self.drift.rate() / NS_PER_S as f64).round() as u64;
            (anchor.position + passed).saturating_sub(self.next + available)
        });
        self.next += lost;
        self.drift.restart();
        self.pace(mono_ns, slept_ns, available);
        lost
    }

    /// How long the machine has slept since the device was last looked at.
    pub fn slept_since(&self, slept_ns: i64) -> i64 {
        self.anchor.map_or(0, |anchor| slept_ns - anchor.slept_ns)
    }

    /// So many frames were read.
    pub fn advance(&mut self, frames: u64) {
        self.next += frames;
    }

    /// When the next frame to be read was captured, on the monotonic clock.
    pub fn next_mono_ns(&self) -> i64 {
        self.anchor.map_or(0, |anchor| {
            let ahead = anchor.position as f64 - self.next as f64;
            anchor.mono_ns - (ahead * NS_PER_S as f64 / self.drift.rate()).round() as i64
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A card with a free-running clock: the frame it captures at a time, whole frames only.
    struct Card {
        rate: f64,
        phase: f64,
    }

    impl Card {
        fn frame_at(&self, ns: i64) -> u64 {
            (self.phase + ns as f64 * self.rate / 1e9) as u64
        }
    }

    proptest! {
        /// The law of the whole thing: whatever the card's rate and the moments of failure, the sum of
        /// read and lost frames is the card's own count, to one frame for each hole.
        #[test]
        fn lost_frames_are_exact_to_one_for_each_hole(
            ppm in -200.0..200.0_f64, phase in 0.0..1.0_f64,
            holes in prop::collection::vec((1_000_000_i64..2_000_000_000, 0_i64..10_000_000), 1..6),
        ) {
            let card = Card { rate: 48_000.0 * (1.0 + ppm * 1e-6), phase };
            let mut timeline = Timeline::new(48_000);
            let mut now = 1_000;
            let first = card.frame_at(now);
            timeline.resume(now, 0, 0);
            for (hole_ns, jitter_ns) in holes {
                // Ten seconds of health, read every 10 ms, so that the drift is known.
                for _ in 0..1000 {
                    now += 10_000_000;
                    let available = card.frame_at(now) - first - timeline.next();
                    timeline.observe(now, 0, available);
                    timeline.advance(available);
                }
                now += hole_ns + jitter_ns;
                let restarted = card.frame_at(now) - first;
                now += 7_000_000;
                let available = card.frame_at(now) - first - restarted;
                let before = timeline.next();
                let lost = timeline.resume(now, 0, available);
                prop_assert!(lost.abs_diff(restarted - before) <= 1);
                // Errors must not add up into the next hole: stand where the card stands.
                timeline.next = restarted;
                timeline.observe(now, 0, available);
                timeline.advance(available);
            }
        }
    }

    #[test]
    fn time_asleep_counts() {
        let mut timeline = Timeline::new(48_000);
        timeline.resume(0, 0, 0);
        timeline.observe(NS_PER_S, 0, 48_000);
        timeline.advance(48_000);
        // An hour asleep, half a second of it awake.
        assert_eq!(timeline.resume(NS_PER_S + NS_PER_S / 2, 3600 * NS_PER_S, 0), 24_000 + 3600 * 48_000);
    }

    #[test]
    fn a_frame_has_the_time_it_was_captured() {
        let mut timeline = Timeline::new(48_000);
        timeline.resume(5 * NS_PER_S, 0, 480);
        assert_eq!(timeline.next_mono_ns(), 5 * NS_PER_S - 10_000_000);
        timeline.advance(480);
        assert_eq!(timeline.next_mono_ns(), 5 * NS_PER_S);
    }

    #[test]
    fn a_clock_that_runs_back_loses_nothing() {
        let mut timeline = Timeline::new(48_000);
        timeline.resume(NS_PER_S, 0, 0);
        assert_eq!(timeline.resume(0, 0, 100), 0);
    }
}

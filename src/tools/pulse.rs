//! Heartbeats: proof that a loop still turns. Each turn beats, turns that only waited included.

use std::sync::atomic::{AtomicI64, Ordering};

use super::clock;

/// The time of a loop's newest turn.
#[derive(Debug)]
pub struct Pulse {
    last_ns: AtomicI64,
}

/// Stands for a loop that is not running: it cannot miss a beat.
const RESTING: i64 = i64::MAX;

impl Pulse {
    /// A loop that has not started.
    pub const fn resting() -> Self {
        Self { last_ns: AtomicI64::new(RESTING) }
    }

    /// The loop turned at this moment of the monotonic clock.
    pub fn beat_at(&self, mono_ns: i64) {
        self.last_ns.store(mono_ns, Ordering::Relaxed);
    }

    /// The loop turned now.
    pub fn beat(&self) {
        self.beat_at(clock::mono_ns());
    }

    /// The loop ended in order.
    pub fn rest(&self) {
        self.last_ns.store(RESTING, Ordering::Relaxed);
    }

    /// Nanoseconds since the newest turn; 0 for a loop that rests.
    pub fn age_ns(&self, now_ns: i64) -> i64 {
        match self.last_ns.load(Ordering::Relaxed) {
            RESTING => 0,
            last_ns => now_ns.saturating_sub(last_ns).max(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resting_loop_has_no_age() {
        let pulse = Pulse::resting();
        assert_eq!(pulse.age_ns(i64::MAX - 1), 0);
        pulse.beat_at(100);
        assert_eq!(pulse.age_ns(150), 50);
        assert_eq!(pulse.age_ns(50), 0, "a beat just after the clock was read");
        pulse.rest();
        assert_eq!(pulse.age_ns(1_000), 0);
    }
}

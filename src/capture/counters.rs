//! What capture has seen: plain atomics, written by the capture thread and its keeper, read by everybody.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering};

use talas_wire::Realtime;

use crate::tools::pulse::Pulse;

/// Counters since the daemon started. Frames, unless a name says otherwise.
#[derive(Debug)]
pub struct Counters {
    /// Frames captured.
    pub captured: AtomicU64,
    /// Times the device's buffer ran over.
    pub overruns: AtomicU64,
    /// Times the device was suspended.
    pub suspends: AtomicU64,
    /// Times the device delivered nothing.
    pub stalls: AtomicU64,
    /// Times the device went away.
    pub unplugs: AtomicU64,
    /// Frames dropped because the ring was full.
    pub ring_dropped: AtomicU64,
    /// Samples that were not finite.
    pub nonfinite: AtomicU64,
    /// What the ring held at the newest delivery, in thousandths of its capacity.
    pub ring_fill_permille: AtomicU32,
    /// The most the ring has held, in thousandths of its capacity.
    pub ring_peak_permille: AtomicU32,
    /// Set while a session runs and has delivered.
    pub delivering: AtomicBool,
    /// When sound was last delivered, on the monotonic clock.
    pub delivered_ns: AtomicI64,
    /// Heartbeat of the capture thread.
    pub pulse: Pulse,
    drift_ppm: AtomicU64,
    realtime: AtomicU32,
}

/// Stands for "not measured yet": a bit pattern that no measurement yields.
const UNMEASURED: u64 = u64::MAX;

impl Counters {
    /// All at zero.
    pub const fn new() -> Self {
        Self {
            captured: AtomicU64::new(0),
            overruns: AtomicU64::new(0),
            suspends: AtomicU64::new(0),
            stalls: AtomicU64::new(0),
            unplugs: AtomicU64::new(0),
            ring_dropped: AtomicU64::new(0),
            nonfinite: AtomicU64::new(0),
            ring_fill_permille: AtomicU32::new(0),
            ring_peak_permille: AtomicU32::new(0),
            delivering: AtomicBool::new(false),
            delivered_ns: AtomicI64::new(0),
            pulse: Pulse::resting(),
            drift_ppm: AtomicU64::new(UNMEASURED),
            realtime: AtomicU32::new(Realtime::Off as u32),
        }
    }

    /// Adds to a counter. They order nothing, so the weakest ordering will do.
    pub fn add(counter: &AtomicU64, count: u64) {
        counter.fetch_add(count, Ordering::Relaxed);
    }

    /// The card's measured deviation, or `None` before there is a measurement.
    pub fn drift_ppm(&self) -> Option<f64> {
        match self.drift_ppm.load(Ordering::Relaxed) {
            UNMEASURED => None,
            bits => Some(f64::from_bits(bits)),
        }
    }

    /// Publishes a measurement.
    pub fn set_drift_ppm(&self, ppm: f64) {
        self.drift_ppm.store(ppm.to_bits(), Ordering::Relaxed);
    }

    /// How the capture thread is scheduled.
    pub fn realtime(&self) -> Realtime {
        const STATES: [Realtime; 4] = [Realtime::Fifo, Realtime::Denied, Realtime::Demoted, Realtime::Off];
        let number = self.realtime.load(Ordering::Relaxed);
        STATES.into_iter().find(|state| *state as u32 == number).unwrap_or(Realtime::Off)
    }

    /// Publishes how the capture thread is scheduled.
    pub fn set_realtime(&self, realtime: Realtime) {
        self.realtime.store(realtime as u32, Ordering::Relaxed);
    }
}

impl Default for Counters {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_measured_is_not_a_number() {
        let counters = Counters::new();
        assert_eq!(counters.drift_ppm(), None);
        counters.set_drift_ppm(-12.5);
        assert_eq!(counters.drift_ppm(), Some(-12.5));
        for state in [Realtime::Fifo, Realtime::Denied, Realtime::Demoted, Realtime::Off] {
            counters.set_realtime(state);
            assert_eq!(counters.realtime(), state);
        }
    }
}

//! Clocks. Everything inside is counted in nanoseconds of `CLOCK_MONOTONIC`; wall time is for people
//! and is looked up in one [`WallClock`], so that a step of the system clock moves every door at once.

use std::sync::atomic::{AtomicI64, Ordering};

use nix::time::{ClockId, clock_gettime};

/// Nanoseconds in a second.
pub const NS_PER_S: i64 = 1_000_000_000;
/// Nanoseconds in a millisecond.
pub const NS_PER_MS: i64 = 1_000_000;

/// Two clocks read further apart than this are read again: half a frame at 48 kHz.
const TIGHT_NS: i64 = 10_000;
/// How often at most.
const TIGHT_ATTEMPTS: u32 = 4;

fn read_ns(clock: ClockId) -> i64 {
    // clock_gettime fails only for a clock id the kernel does not know; these three are always there.
    clock_gettime(clock).map_or(0, |t| t.tv_sec() * NS_PER_S + t.tv_nsec())
}

/// `CLOCK_MONOTONIC` now, in nanoseconds.
pub fn mono_ns() -> i64 {
    read_ns(ClockId::CLOCK_MONOTONIC)
}

/// `CLOCK_BOOTTIME` now, in nanoseconds: goes on while the machine sleeps.
pub fn boot_ns() -> i64 {
    read_ns(ClockId::CLOCK_BOOTTIME)
}

/// `CLOCK_REALTIME` now, in nanoseconds since the Unix epoch.
pub fn wall_ns() -> i64 {
    read_ns(ClockId::CLOCK_REALTIME)
}

/// How far the machine has slept since boot, in nanoseconds: what `CLOCK_MONOTONIC` does not know. Good
/// to 10 µs, unless the thread is held up at every attempt.
pub fn slept_ns() -> i64 {
    let (mut tightest_ns, mut slept_ns) = (i64::MAX, 0);
    for _ in 0..TIGHT_ATTEMPTS {
        // One clock around the other: a thread held up between them would call that time sleep.
        let (before_ns, boot_ns, after_ns) = (mono_ns(), boot_ns(), mono_ns());
        let apart_ns = after_ns - before_ns;
        if apart_ns < tightest_ns {
            (tightest_ns, slept_ns) = (apart_ns, boot_ns - before_ns - apart_ns / 2);
        }
        if apart_ns < TIGHT_NS {
            break;
        }
    }
    slept_ns
}

/// The map from monotonic to wall time, refreshed about once a second.
#[derive(Debug)]
pub struct WallClock {
    /// Wall minus monotonic, in nanoseconds.
    offset_ns: AtomicI64,
}

impl WallClock {
    /// A map read from the clocks now.
    pub fn new() -> Self {
        let clock = Self { offset_ns: AtomicI64::new(0) };
        clock.refresh();
        clock
    }

    /// Reads the clocks again; called once a second by the housekeeper.
    pub fn refresh(&self) {
        self.offset_ns.store(wall_ns() - mono_ns(), Ordering::Relaxed);
    }

    /// Milliseconds since the Unix epoch at a moment of the monotonic clock; 0 for moments before 1970.
    pub fn ms_at(&self, mono_ns: i64) -> u64 {
        self.us_at(mono_ns) / 1000
    }

    /// The same in microseconds.
    pub fn us_at(&self, mono_ns: i64) -> u64 {
        let wall_ns = mono_ns.saturating_add(self.offset_ns.load(Ordering::Relaxed));
        u64::try_from(wall_ns.div_euclid(1000)).unwrap_or(0)
    }

    /// Milliseconds since the Unix epoch now.
    pub fn now_ms(&self) -> u64 {
        self.ms_at(mono_ns())
    }

    /// The same in microseconds.
    pub fn now_us(&self) -> u64 {
        self.us_at(mono_ns())
    }
}

impl Default for WallClock {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sleep_is_told_alike_however_busy_the_machine() {
        let first = slept_ns();
        let strays = (0..10_000).map(|_| (slept_ns() - first).abs());
        // A machine that sleeps in the middle of this is beyond its means.
        assert!(strays.max() < Some(NS_PER_MS), "strayed");
    }

    #[test]
    fn wall_time_follows_the_monotonic_clock() {
        let wall = WallClock::new();
        let now = mono_ns();
        assert_eq!(wall.ms_at(now + 5 * NS_PER_MS) - wall.ms_at(now), 5);
        let real_ms = u64::try_from(wall_ns() / NS_PER_MS).expect("after 1970");
        assert!(real_ms.abs_diff(wall.now_ms()) < 1000, "the map was read from the clocks");
        assert_eq!(wall.ms_at(i64::MIN), 0, "before the epoch is the epoch");
    }
}

//! Bursts become one line a second with a count, so that nothing a stranger does can flood the journal.

use std::sync::Mutex;

use super::clock::{self, NS_PER_S};
use super::lock::lock;

#[derive(Debug, Default)]
struct Window {
    /// When the newest line was written; 0 before the first.
    told_ns: i64,
    /// Hits since then.
    silent: u64,
}

/// Counts hits and says when a line is due.
#[derive(Debug, Default)]
pub struct Tally {
    window: Mutex<Window>,
}

impl Tally {
    /// A tally without hits.
    pub const fn new() -> Self {
        Self { window: Mutex::new(Window { told_ns: 0, silent: 0 }) }
    }

    /// Counts one hit. `Some(n)` asks the caller to write a line about `n` hits, this one included;
    /// `None` asks for silence. The first hit after a quiet second is told at once.
    #[must_use]
    pub fn hit(&self) -> Option<u64> {
        self.hit_at(clock::mono_ns())
    }

    /// [`hit`](Self::hit) at a moment of the monotonic clock.
    #[must_use]
    pub fn hit_at(&self, now_ns: i64) -> Option<u64> {
        let mut window = lock(&self.window);
        window.silent += 1;
        if window.told_ns != 0 && now_ns - window.told_ns < NS_PER_S {
            return None;
        }
        window.told_ns = now_ns;
        Some(std::mem::take(&mut window.silent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_one_line_a_second_and_no_hit_is_forgotten() {
        let tally = Tally::new();
        let told: Vec<_> = (0..3000_i64).filter_map(|ms| tally.hit_at(NS_PER_S + ms * 1_000_000)).collect();
        assert_eq!(told, [1, 1000, 1000]);
    }
}

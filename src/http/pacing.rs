//! `max_fps`: how often a listener wants a block. Pure; time is told.

use std::time::Duration;

/// Says when the next block is due. Exact on average: what is late does not move what comes after.
#[derive(Debug, Clone)]
pub struct Pacing {
    interval: Duration,
    due: Duration,
}

impl Pacing {
    /// So many blocks a second, the first at once. `None` when the programme has no more than that: then
    /// every block is sent.
    pub fn new(max_fps: f64, programme_fps: f64) -> Option<Self> {
        (max_fps < programme_fps)
            .then(|| Self { interval: Duration::from_secs_f64(1.0 / max_fps), due: Duration::ZERO })
    }

    /// When the next block is due, from the beginning.
    pub fn due(&self) -> Duration {
        self.due
    }

    /// A block was sent at this time. A listener that was held up does not catch up by a burst.
    pub fn sent(&mut self, now: Duration) {
        self.due += self.interval;
        if self.due + self.interval < now {
            self.due = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Blocks at a steady rate, sent when due: how many of so many seconds' worth were sent.
    fn run(max_fps: f64, programme_fps: f64, seconds: f64) -> u32 {
        let mut pacing = Pacing::new(max_fps, programme_fps).expect("slower than the programme");
        let mut sent = 0;
        for n in 0..(seconds * programme_fps) as u32 {
            let now = Duration::from_secs_f64(f64::from(n) / programme_fps);
            if now >= pacing.due() {
                pacing.sent(now);
                sent += 1;
            }
        }
        sent
    }

    #[test]
    fn exact_on_average_whatever_the_ratio() {
        for max_fps in [0.5, 1.0, 10.0, 23.0, 30.0, 46.0] {
            let sent = f64::from(run(max_fps, 46.875, 100.0));
            assert!((sent - max_fps * 100.0).abs() <= 1.0, "{sent} at {max_fps}");
        }
    }

    #[test]
    fn more_than_there_is_is_everything() {
        assert!(Pacing::new(46.875, 46.875).is_none());
        assert!(Pacing::new(1000.0, 46.875).is_none());
    }

    #[test]
    fn no_burst_after_a_hold_up() {
        let mut pacing = Pacing::new(10.0, 50.0).expect("slower");
        pacing.sent(Duration::from_secs(60));
        assert_eq!(pacing.due(), Duration::from_secs(60));
    }
}

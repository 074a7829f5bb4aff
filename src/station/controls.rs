//! What the doors may change directly: pause and the global quality.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use tokio::sync::watch;

use crate::error::{Error, Kind, Result};

/// How long a pause may take to come into force: many turns of the pump.
const PAUSE_DEADLINE: Duration = Duration::from_secs(2);

/// The rate of frames against the capture rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Scale {
    /// 1, 2, 4 or 8.
    factor: u32,
}

impl Scale {
    /// Every frame.
    pub const FULL: Self = Self { factor: 1 };
    /// The ladder, under the names of the profiles that stand for it.
    pub const LADDER: [(&'static str, Self); 4] = [
        ("high", Self { factor: 1 }),
        ("medium", Self { factor: 2 }),
        ("low", Self { factor: 4 }),
        ("mobile", Self { factor: 8 }),
    ];

    /// The nearest step to a wish from 0.1 to 1, the higher one in the middle.
    ///
    /// # Errors
    /// [`Kind::Invalid`] for anything else.
    pub fn nearest(wish: f64) -> Result<Self> {
        if !(0.1..=1.0).contains(&wish) {
            return Err(Error::new(
                Kind::Invalid,
                format!("quality must be a number from 0.1 to 1.0, not {wish}"),
            ));
        }
        let distance = |scale: &Self| (scale.value() - wish).abs();
        let steps = Self::LADDER.into_iter().map(|(_, scale)| scale);
        Ok(steps.min_by(|x, y| distance(x).total_cmp(&distance(y))).unwrap_or(Self::FULL))
    }

    /// The step that a profile stands for.
    ///
    /// # Errors
    /// [`Kind::NotFound`] for another name.
    pub fn of_profile(name: &str) -> Result<Self> {
        Self::LADDER.iter().find(|(known, _)| *known == name).map(|(_, scale)| *scale).ok_or_else(|| {
            Error::new(Kind::NotFound, format!("no profile {name:?}: there are high, medium, low and mobile"))
        })
    }

    /// Captured frames for each one sent.
    pub const fn factor(self) -> u32 {
        self.factor
    }

    /// 1, 0.5, 0.25 or 0.125.
    pub fn value(self) -> f64 {
        1.0 / f64::from(self.factor)
    }

    /// The profile that stands for it.
    pub fn profile(self) -> &'static str {
        Self::LADDER.iter().find(|(_, scale)| *scale == self).map_or("high", |(name, _)| name)
    }
}

/// Wishes, and whether they are in force.
#[derive(Debug)]
pub struct Controls {
    pause_wanted: AtomicBool,
    paused: watch::Sender<bool>,
    factor: AtomicU32,
    /// Tells running streams that the global quality is another.
    quality_changed: watch::Sender<Scale>,
}

impl Controls {
    /// Paused or not from the beginning, at full quality.
    pub fn new(paused: bool) -> Self {
        Self {
            pause_wanted: AtomicBool::new(paused),
            paused: watch::Sender::new(paused),
            factor: AtomicU32::new(1),
            quality_changed: watch::Sender::new(Scale::FULL),
        }
    }

    /// What the pump is to do.
    pub fn wants_pause(&self) -> bool {
        self.pause_wanted.load(Ordering::SeqCst)
    }

    /// The pump did it: nothing captured goes anywhere from here on, or all does again.
    pub fn confirm_pause(&self, paused: bool) {
        self.paused.send_replace(paused);
    }

    /// Wishes to pause or resume, and waits until it is in force. `ring` wakes the pump.
    ///
    /// # Errors
    /// [`Kind::Unavailable`] when the pump does not follow in time.
    pub async fn pause(&self, paused: bool, ring: impl FnOnce()) -> Result<()> {
        self.pause_wanted.store(paused, Ordering::SeqCst);
        ring();
        let mut confirmed = self.paused.subscribe();
        // Somebody else's opposite wish may overtake this one: then that one is in force.
        let settled = confirmed.wait_for(|now| *now == paused || self.wants_pause() != paused);
        match tokio::time::timeout(PAUSE_DEADLINE, settled).await {
            Ok(_) => Ok(()),
            Err(_) => Err(Error::new(Kind::Unavailable, "the programme did not follow in time")),
        }
    }

    /// The global quality.
    pub fn quality(&self) -> Scale {
        Scale { factor: self.factor.load(Ordering::Relaxed) }
    }

    /// Changes the global quality.
    pub fn set_quality(&self, scale: Scale) {
        self.factor.store(scale.factor, Ordering::Relaxed);
        self.quality_changed.send_replace(scale);
    }

    /// Follows the global quality.
    pub fn watch_quality(&self) -> watch::Receiver<Scale> {
        self.quality_changed.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_becomes_the_nearest_step() {
        let steps = [1.0, 0.76, 0.75, 0.74, 0.5, 0.38, 0.375, 0.3, 0.2, 0.15, 0.1]
            .map(|wish| Scale::nearest(wish).expect("in range").factor());
        assert_eq!(steps, [1, 1, 1, 2, 2, 2, 2, 4, 4, 8, 8]);
        for wish in [0.0, 0.099, 1.01, -1.0, f64::NAN, f64::INFINITY] {
            assert!(Scale::nearest(wish).is_err(), "{wish}");
        }
    }

    #[test]
    fn profiles_name_the_ladder() {
        for (name, scale) in Scale::LADDER {
            assert_eq!(Scale::of_profile(name).expect("known"), scale);
            assert_eq!(scale.profile(), name);
        }
        assert!(Scale::of_profile("best").is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_that_nobody_follows_is_told() {
        let controls = Controls::new(false);
        let error = controls.pause(true, || ()).await.expect_err("no pump");
        assert_eq!(error.kind(), Kind::Unavailable);
        assert!(controls.wants_pause(), "the wish stands: it will be followed");
    }
}

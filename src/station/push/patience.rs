//! When to try again, and what to tell of it. Pure: time and dice are told.

use std::time::Duration;

use crate::tools::backoff::Backoff;
use crate::tools::clock::NS_PER_S;

/// Waits after the usual trouble: a server that restarts is found again soon, one that is gone for the night
/// is asked once a minute.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);
/// Waits after the server refused the password: nothing but an operator changes that, and servers ban those
/// who guess.
const REFUSED_FIRST: Duration = Duration::from_secs(60);
const REFUSED_LONGEST: Duration = Duration::from_secs(600);
/// A connection that lasted for so long was a good one: trouble begins anew.
const GOOD: Duration = Duration::from_secs(30);
/// The same trouble again is told once in so long.
const TELL_AGAIN_NS: i64 = 3600 * NS_PER_S;

/// Why an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// What may pass: no connection, a server that says no, a connection that ended.
    Passing,
    /// The server does not accept who sends.
    Refused,
    /// Nothing is wrong with the server: to be tried in another way, at once.
    Again,
}

/// What one push has been through.
#[derive(Debug)]
pub struct Patience {
    passing: Backoff,
    refused: Backoff,
    told: Option<(String, i64)>,
    untold: u64,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            passing: Backoff::new(FIRST, LONGEST),
            refused: Backoff::new(REFUSED_FIRST, REFUSED_LONGEST),
            told: None,
            untold: 0,
        }
    }
}

impl Patience {
    /// How long to wait after an attempt that ended so, when it had been connected for `lasted`. `dice` is
    /// any number: all that lost the same server must not come back to it in the same moment.
    pub fn wait(&mut self, cause: Cause, lasted: Duration, dice: u32) -> Duration {
        if lasted >= GOOD {
            self.passing.reset();
            self.refused.reset();
        }
        let longest = match cause {
            Cause::Again => return Duration::ZERO,
            Cause::Passing => self.passing.wait(),
            Cause::Refused => self.refused.wait(),
        };
        // From half of it to the whole.
        longest / 2 + longest.mul_f64(f64::from(dice) / f64::from(u32::MAX) / 2.0)
    }

    /// Something went wrong. Whether it is to be told, and then how often it happened since it was told last.
    pub fn tell(&mut self, reason: &str, now_ns: i64) -> Option<u64> {
        let is_known =
            self.told.as_ref().is_some_and(|(told, at)| told == reason && now_ns - at < TELL_AGAIN_NS);
        self.untold += 1;
        if is_known {
            return None;
        }
        self.told = Some((reason.to_owned(), now_ns));
        Some(std::mem::take(&mut self.untold))
    }

    /// It is connected, which is told: whatever goes wrong next is news.
    pub fn connected(&mut self) {
        self.told = None;
        self.untold = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DICE: [u32; 3] = [0, 1 << 31, u32::MAX];

    #[test]
    fn waits_grow_are_spread_and_begin_anew_after_a_good_connection() {
        for dice in DICE {
            let mut patience = Patience::default();
            let mut last = Duration::ZERO;
            for expected in [1, 2, 4, 8, 16, 32, 60, 60] {
                let wait = patience.wait(Cause::Passing, Duration::ZERO, dice);
                let expected = Duration::from_secs(expected);
                assert!(wait >= expected / 2 && wait <= expected && wait >= last, "{wait:?}");
                last = wait;
            }
            // A connection that breaks at once is no better than none.
            assert!(patience.wait(Cause::Passing, Duration::from_secs(1), dice) >= LONGEST / 2);
            assert!(patience.wait(Cause::Passing, GOOD, dice) <= FIRST);
        }
        let spread = DICE.map(|dice| Patience::default().wait(Cause::Passing, Duration::ZERO, dice));
        assert!(spread[0] < spread[1] && spread[1] < spread[2], "{spread:?}");
    }

    #[test]
    fn a_wrong_password_is_tried_again_slowly_and_another_way_at_once() {
        let mut patience = Patience::default();
        assert!(patience.wait(Cause::Refused, Duration::ZERO, 0) >= REFUSED_FIRST / 2);
        assert_eq!(patience.wait(Cause::Again, Duration::ZERO, u32::MAX), Duration::ZERO);
        let waits = (0..9).map(|_| patience.wait(Cause::Refused, Duration::ZERO, u32::MAX));
        assert_eq!(waits.max(), Some(REFUSED_LONGEST));
    }

    #[test]
    fn the_same_trouble_is_told_once_and_nothing_is_forgotten() {
        let mut patience = Patience::default();
        assert_eq!(patience.tell("no route", 0), Some(1));
        let is_told = (1..60).any(|s| patience.tell("no route", s * NS_PER_S).is_some());
        assert!(!is_told, "an operator knows");
        assert_eq!(patience.tell("refused", 61 * NS_PER_S), Some(60), "another reason is news");
        assert_eq!(patience.tell("refused", 61 * NS_PER_S + TELL_AGAIN_NS), Some(1), "and an old one, later");
        patience.connected();
        assert_eq!(patience.tell("refused", 62 * NS_PER_S + TELL_AGAIN_NS), Some(1));
    }
}

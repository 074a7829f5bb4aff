//! A switch that does not flutter: it goes on when something has held for a time, and off when it has
//! been over for another.

/// What an interval says about a condition. Between the two thresholds it says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// It is so.
    Yes,
    /// It is not so.
    No,
    /// It may be: whatever was, stays.
    Between,
}

impl Sign {
    /// Of a value that is too high from `on` upwards and well again below `off`.
    pub fn above(value: f64, on: f64, off: f64) -> Self {
        if value >= on {
            Self::Yes
        } else if value < off {
            Self::No
        } else {
            Self::Between
        }
    }

    /// Of a value that is too low below `on` and well again from `off` upwards.
    pub fn below(value: f64, on: f64, off: f64) -> Self {
        if value < on {
            Self::Yes
        } else if value >= off {
            Self::No
        } else {
            Self::Between
        }
    }

    /// Yes or no.
    pub fn of(is_so: bool) -> Self {
        if is_so { Self::Yes } else { Self::No }
    }
}

/// The switch.
#[derive(Debug, Clone, Copy, Default)]
pub struct Hysteresis {
    is_on: bool,
    /// Intervals that in turn said the opposite of what it is.
    against: u32,
}

impl Hysteresis {
    /// Takes the sign of an interval: on after `hold` intervals of yes, off after `release` of no, each at
    /// least one. Says whether it is on.
    pub fn judge(&mut self, sign: Sign, hold: u32, release: u32) -> bool {
        let is_against = sign == if self.is_on { Sign::No } else { Sign::Yes };
        self.against = if is_against { self.against + 1 } else { 0 };
        let needed = if self.is_on { release } else { hold };
        if self.against >= needed.max(1) {
            self.is_on = !self.is_on;
            self.against = 0;
        }
        self.is_on
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn it_needs_its_time_both_ways_and_stays_between_the_thresholds() {
        let mut switch = Hysteresis::default();
        let states: Vec<bool> = [
            Sign::Yes,
            Sign::Yes,
            Sign::No,
            Sign::Yes,
            Sign::Yes,
            Sign::Yes,
            Sign::Between,
            Sign::No,
            Sign::Yes,
            Sign::No,
            Sign::No,
        ]
        .map(|sign| switch.judge(sign, 3, 2))
        .to_vec();
        let expected = [false, false, false, false, false, true, true, true, true, true, false];
        assert_eq!(states, expected);
    }

    #[test]
    fn thresholds_have_a_space_between_them() {
        let above = [0.1, 0.06, 0.04].map(|value| Sign::above(value, 0.1, 0.05));
        assert_eq!(above, [Sign::Yes, Sign::Between, Sign::No]);
        let below = [0.01, 0.06, 0.1].map(|value| Sign::below(value, 0.05, 0.1));
        assert_eq!(below, [Sign::Yes, Sign::Between, Sign::No]);
    }

    proptest! {
        #[test]
        fn it_never_changes_faster_than_its_times(
            signs in prop::collection::vec(0..3, 1..300), hold in 0_u32..6, release in 0_u32..6,
        ) {
            let mut switch = Hysteresis::default();
            let (mut was, mut since) = (false, 0);
            for sign in signs {
                let sign = [Sign::Yes, Sign::No, Sign::Between][usize::try_from(sign).expect("small")];
                let is = switch.judge(sign, hold, release);
                since += 1;
                if is != was {
                    let least = if is { hold } else { release };
                    prop_assert!(since >= least.max(1));
                    prop_assert_eq!(sign, if is { Sign::Yes } else { Sign::No });
                    (was, since) = (is, 0);
                }
            }
        }
    }
}

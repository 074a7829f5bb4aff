//! The arithmetic of rates: a token bucket, kept as what is owed. Pure; time is told.
//!
//! Whoever uses something owes it, and time pays the debt off at the rate. As long as the debt is no more
//! than the bucket holds, more may be used. It is counted in billionths of a unit, so that a rate holds to
//! the unit over any time, and survives another rate: what is owed is units, not seconds.

use std::time::Duration;

use crate::tools::clock::NS_PER_S;

/// Parts of a unit: as many as nanoseconds in a second, so that a nanosecond pays `per_s` of them.
const PARTS: u128 = NS_PER_S as u128;

/// So many a second, and so many seconds' worth at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    per_s: u32,
    burst_s: u32,
}

/// How one stands against a rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Units that may be used at once by one who owes nothing.
    pub limit: u64,
    /// Units that may be used now.
    pub remaining: u64,
    /// Time until nothing is owed.
    pub reset: Duration,
}

/// What one owes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Bucket {
    /// At that moment, in parts of a unit.
    owed: u128,
    at_ns: i64,
}

impl Rate {
    /// `None` where nothing is limited. A burst is a second's worth at least.
    pub fn new(per_s: u32, burst_s: u32) -> Option<Self> {
        (per_s > 0).then_some(Self { per_s, burst_s: burst_s.max(1) })
    }

    fn limit(self) -> u64 {
        u64::from(self.per_s) * u64::from(self.burst_s)
    }

    fn capacity(self) -> u128 {
        u128::from(self.limit()) * PARTS
    }

    /// Time in which so much is paid, rounded up.
    fn time(self, parts: u128) -> Duration {
        let ns = parts.div_ceil(u128::from(self.per_s));
        Duration::from_nanos(u64::try_from(ns).unwrap_or(u64::MAX))
    }
}

impl Bucket {
    fn owed_at(&self, rate: Rate, now_ns: i64) -> u128 {
        let passed_ns = u128::try_from(now_ns.saturating_sub(self.at_ns)).unwrap_or(0);
        self.owed.saturating_sub(passed_ns * u128::from(rate.per_s))
    }

    /// How one stands.
    pub fn standing(&self, rate: Rate, now_ns: i64) -> Standing {
        let owed = self.owed_at(rate, now_ns);
        let left = rate.capacity().saturating_sub(owed) / PARTS;
        Standing {
            limit: rate.limit(),
            remaining: u64::try_from(left).unwrap_or(u64::MAX),
            reset: rate.time(owed),
        }
    }

    /// Whether one more may be used now.
    ///
    /// # Errors
    /// The time after which it may.
    pub fn check(&self, rate: Rate, now_ns: i64) -> Result<(), Duration> {
        let over = (self.owed_at(rate, now_ns) + PARTS).saturating_sub(rate.capacity());
        if over == 0 { Ok(()) } else { Err(rate.time(over)) }
    }

    /// So many were used. The time after which the debt fits into the bucket again; zero where it does.
    pub fn charge(&mut self, rate: Rate, units: u64, now_ns: i64) -> Duration {
        self.owed = self.owed_at(rate, now_ns) + u128::from(units) * PARTS;
        self.at_ns = now_ns.max(self.at_ns);
        rate.time(self.owed.saturating_sub(rate.capacity()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ns(time: Duration) -> i64 {
        i64::try_from(time.as_nanos()).expect("short")
    }

    fn spend(bucket: &mut Bucket, rate: Rate, now_ns: i64) -> Result<(), Duration> {
        bucket.check(rate, now_ns)?;
        bucket.charge(rate, 1, now_ns);
        Ok(())
    }

    fn rates() -> impl Strategy<Value = Rate> {
        (1_u32..5000, 1_u32..60).prop_map(|(per_s, burst_s)| Rate::new(per_s, burst_s).expect("a rate"))
    }

    proptest! {
        #[test]
        fn no_span_of_time_grants_more_than_a_burst_and_its_rate(
            rate in (1_u32..50, 1_u32..4).prop_map(|(per_s, burst_s)| Rate::new(per_s, burst_s).expect("a rate")),
            waits in prop::collection::vec(0_i64..40_000_000, 1..400),
        ) {
            let (mut bucket, mut now_ns, mut granted) = (Bucket::default(), 5, Vec::new());
            for wait_ns in waits {
                now_ns += wait_ns;
                if spend(&mut bucket, rate, now_ns).is_ok() {
                    granted.push(now_ns);
                }
            }
            for (first, from_ns) in granted.iter().enumerate() {
                for (last, to_ns) in granted.iter().enumerate().skip(first) {
                    let count = (last - first + 1) as u128;
                    let span_ns = u128::try_from(to_ns - from_ns).expect("forwards");
                    prop_assert!(count * PARTS <= rate.capacity() + span_ns * u128::from(rate.per_s));
                }
            }
        }

        #[test]
        fn who_keeps_to_the_rate_is_never_refused(rate in rates(), steps in 1_i64..2000) {
            let mut bucket = Bucket::default();
            let step_ns = (NS_PER_S as u128).div_ceil(u128::from(rate.per_s)) as i64;
            for step in 0..steps {
                prop_assert_eq!(spend(&mut bucket, rate, step * step_ns), Ok(()));
            }
        }

        #[test]
        fn what_is_told_is_so(rate in rates(), used in 0_u64..400_000, now_ns in 0_i64..1_000_000_000_000) {
            let mut bucket = Bucket::default();
            bucket.charge(rate, used, now_ns);
            let told = bucket.standing(rate, now_ns);
            prop_assert_eq!(told.remaining, told.limit.saturating_sub(used));
            // All that is told to remain is granted, and then no more.
            let mut all = bucket;
            all.charge(rate, told.remaining, now_ns);
            if used <= told.limit {
                prop_assert_eq!(all.standing(rate, now_ns).remaining, 0);
            }
            let wait = all.check(rate, now_ns).expect_err("none is left");
            // It is granted after the time that was told, and not a nanosecond before.
            prop_assert_eq!(all.check(rate, now_ns + ns(wait)), Ok(()));
            prop_assert!(all.check(rate, now_ns + ns(wait) - 1).is_err());
            let later = bucket.standing(rate, now_ns + ns(told.reset));
            prop_assert_eq!(later, Standing { limit: told.limit, remaining: told.limit, reset: Duration::ZERO });
        }

        #[test]
        fn bytes_leave_at_their_rate(rate in rates(), pieces in prop::collection::vec(1_u64..100_000, 1..50)) {
            // Whoever waits as told after each piece never sends faster than a burst and the rate.
            let (mut bucket, mut now_ns, mut sent) = (Bucket::default(), 0, 0_u128);
            for piece in pieces {
                now_ns += ns(bucket.charge(rate, piece, now_ns));
                sent += u128::from(piece);
                let passed = u128::try_from(now_ns).expect("forwards") * u128::from(rate.per_s);
                prop_assert!(sent * PARTS <= rate.capacity() + passed);
            }
        }
    }

    #[test]
    fn a_clock_that_stands_still_or_goes_back_pays_nothing() {
        let rate = Rate::new(1, 1).expect("a rate");
        let mut bucket = Bucket::default();
        assert_eq!(spend(&mut bucket, rate, NS_PER_S), Ok(()));
        for now_ns in [NS_PER_S, 0, i64::MIN] {
            assert!(spend(&mut bucket, rate, now_ns).is_err(), "{now_ns}");
        }
        assert_eq!(spend(&mut bucket, rate, 2 * NS_PER_S), Ok(()));
        assert!(Rate::new(0, 10).is_none(), "no limit");
    }
}

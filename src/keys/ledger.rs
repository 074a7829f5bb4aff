//! Who has used how much: counted in the memory of this process. What is counted is in [`Ledger`], so that
//! machines which stand together can have one among them. No request waits for another machine: such a
//! ledger answers from what it knows, and hears of the others behind that.
//!
//! The memory is bounded, whoever asks. Debts are in two halves: when the young one is full it becomes the
//! old one, and the old one, of those who asked for nothing for longest, is forgotten; what is used again
//! comes back. Streams at a time are counted apart from them, for they must not be forgotten, and are
//! as many as there are streams.

use std::collections::HashMap;
use std::fmt;
use std::sync::Mutex;
use std::time::Duration;

use crate::access::{Bucket, Limit, Limits, Rate, Scope, Standing};
use crate::tools::lock::lock;

/// Debts in a half: 2 MB in both together.
const HALF: usize = 8192;
/// Most parties that a request can have: its address, its user, its token or key.
const MOST: usize = 3;

/// One whom a limit is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Party {
    /// What of.
    pub scope: Scope,
    /// A keyed hash of the name: no name is kept, and nobody can choose two of the same.
    pub print: u64,
}

/// All whom one request is about.
#[derive(Debug, Clone, Copy, Default)]
pub struct Parties([Option<Party>; MOST]);

impl Parties {
    /// These, of which there are at most three.
    pub fn new(parties: [Option<Party>; MOST]) -> Self {
        Self(parties)
    }

    /// Each.
    pub fn iter(&self) -> impl Iterator<Item = Party> + use<> {
        self.0.into_iter().flatten()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// These and those.
    pub fn and(self, others: Self) -> Self {
        let mut all = self.iter().chain(others.iter());
        Self(std::array::from_fn(|_| all.next()))
    }
}

/// A limit that was reached, and whose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overrun {
    /// Whose.
    pub scope: Scope,
    /// Which.
    pub limit: Limit,
    /// How they stand, where the limit is a rate.
    pub standing: Option<Standing>,
    /// When it may be tried again; of streams at a time nobody knows.
    pub wait: Option<Duration>,
}

/// What is counted. Each call is about all parties of a request at once: where one of them may not,
/// nothing is counted for the others either.
pub trait Ledger: fmt::Debug + Send + Sync {
    /// One request; how the party stands that is nearest to its limit, where there is one.
    ///
    /// # Errors
    /// One of them has no more requests.
    fn request(&self, by: &Parties, limits: &Limits, now_ns: i64) -> Result<Option<Standing>, Overrun>;

    /// A stream begins: one that is live counts as new, too.
    ///
    /// # Errors
    /// One of them has as many as it may, or began as many as it may.
    fn enter(&self, by: &Parties, is_live: bool, limits: &Limits, now_ns: i64) -> Result<(), Overrun>;

    /// A stream that was let in ends.
    fn leave(&self, by: &Parties);

    /// So many bytes are to be sent; the time to wait before.
    fn send(&self, by: &Parties, bytes: u64, limits: &Limits, now_ns: i64) -> Duration;

    /// How a party stands with its requests, where they are limited.
    fn standing(&self, party: Party, limits: &Limits, now_ns: i64) -> Option<Standing>;

    /// Streams that a party has now.
    fn streams(&self, party: Party) -> u32;
}

#[derive(Debug, Clone, Copy, Default)]
struct Debts {
    requests: Bucket,
    new_streams: Bucket,
    bytes: Bucket,
}

/// The ledger of one process.
#[derive(Debug, Default)]
pub struct LocalLedger(Mutex<Books>);

#[derive(Debug, Default)]
struct Books {
    young: HashMap<Party, Debts>,
    old: HashMap<Party, Debts>,
    streams: HashMap<Party, u32>,
}

impl Books {
    fn debts(&self, party: Party) -> Debts {
        self.young.get(&party).or_else(|| self.old.get(&party)).copied().unwrap_or_default()
    }

    fn change(&mut self, party: Party, change: impl FnOnce(&mut Debts)) {
        if let Some(debts) = self.young.get_mut(&party) {
            return change(debts);
        }
        if self.young.len() >= HALF {
            self.old = std::mem::take(&mut self.young);
        }
        let mut debts = self.old.remove(&party).unwrap_or_default();
        change(&mut debts);
        self.young.insert(party, debts);
    }
}

fn overrun(party: Party, limit: Limit, bucket: Bucket, rate: Rate, now_ns: i64) -> Option<Overrun> {
    let wait = bucket.check(rate, now_ns).err()?;
    let standing = Some(bucket.standing(rate, now_ns));
    Some(Overrun { scope: party.scope, limit, standing, wait: Some(wait) })
}

/// Whether less is left of one than of another, by the share of its limit.
fn is_nearer(one: &Standing, other: &Standing) -> bool {
    let share = |standing: &Standing, of: &Standing| u128::from(standing.remaining) * u128::from(of.limit);
    share(one, other) < share(other, one)
}

/// The one of two that is nearer to its limit.
pub fn nearer(one: Option<Standing>, other: Option<Standing>) -> Option<Standing> {
    match (one, other) {
        (Some(one), Some(other)) => Some(if is_nearer(&other, &one) { other } else { one }),
        (one, other) => one.or(other),
    }
}

impl Ledger for LocalLedger {
    fn request(&self, by: &Parties, limits: &Limits, now_ns: i64) -> Result<Option<Standing>, Overrun> {
        let mut books = lock(&self.0);
        let limited = || by.iter().filter_map(|party| Some((party, limits.requests(party.scope)?)));
        for (party, rate) in limited() {
            let bucket = books.debts(party).requests;
            if let Some(overrun) = overrun(party, Limit::Requests, bucket, rate, now_ns) {
                return Err(overrun);
            }
        }
        let mut nearest = None;
        for (party, rate) in limited() {
            books.change(party, |debts| {
                debts.requests.charge(rate, 1, now_ns);
                nearest = nearer(nearest, Some(debts.requests.standing(rate, now_ns)));
            });
        }
        Ok(nearest)
    }

    fn enter(&self, by: &Parties, is_live: bool, limits: &Limits, now_ns: i64) -> Result<(), Overrun> {
        let mut books = lock(&self.0);
        let begun = || by.iter().filter_map(|party| Some((party, limits.new_streams(party.scope)?)));
        for (party, rate) in begun().filter(|_| is_live) {
            let bucket = books.debts(party).new_streams;
            if let Some(overrun) = overrun(party, Limit::NewStreams, bucket, rate, now_ns) {
                return Err(overrun);
            }
        }
        for party in by.iter() {
            let (most, has) = (limits.of(party.scope).streams, books.streams.get(&party));
            if most > 0 && has.is_some_and(|has| *has >= most) {
                let (scope, limit) = (party.scope, Limit::Streams);
                return Err(Overrun { scope, limit, standing: None, wait: None });
            }
        }
        for (party, rate) in begun().filter(|_| is_live) {
            books.change(party, |debts| {
                debts.new_streams.charge(rate, 1, now_ns);
            });
        }
        by.iter().for_each(|party| *books.streams.entry(party).or_default() += 1);
        Ok(())
    }

    fn leave(&self, by: &Parties) {
        let mut books = lock(&self.0);
        for party in by.iter() {
            if let Some(has) = books.streams.get_mut(&party) {
                *has -= 1;
                if *has == 0 {
                    books.streams.remove(&party);
                }
            }
        }
    }

    fn send(&self, by: &Parties, bytes: u64, limits: &Limits, now_ns: i64) -> Duration {
        let limited = by.iter().filter_map(|party| Some((party, limits.bytes(party.scope)?)));
        let mut books = lock(&self.0);
        let mut longest = Duration::ZERO;
        for (party, rate) in limited {
            books.change(party, |debts| longest = longest.max(debts.bytes.charge(rate, bytes, now_ns)));
        }
        longest
    }

    fn standing(&self, party: Party, limits: &Limits, now_ns: i64) -> Option<Standing> {
        let rate = limits.requests(party.scope)?;
        Some(lock(&self.0).debts(party).requests.standing(rate, now_ns))
    }

    fn streams(&self, party: Party) -> u32 {
        lock(&self.0).streams.get(&party).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::access::Quota;

    const NOW_NS: i64 = 1_000_000_000;

    fn limits(requests_per_s: u32, streams: u32) -> Limits {
        let quota = Quota { requests_per_s, new_streams_per_s: 3, streams, bytes_per_s: 1000 };
        Limits { burst_s: 1, address: quota, user: quota, token: quota, key: quota }
    }

    fn party(scope: Scope, print: u64) -> Party {
        Party { scope, print }
    }

    fn one(print: u64) -> Parties {
        Parties::new([Some(party(Scope::Address, print)), None, None])
    }

    #[test]
    fn where_one_may_not_nothing_is_counted_for_the_others() {
        let ledger = LocalLedger::default();
        let limits = Limits { user: limits(2, 1).user, ..limits(5, 5) };
        let (address, user) = (party(Scope::Address, 1), party(Scope::User, 1));
        let both = Parties::new([Some(address), Some(user), None]);
        for left in [1, 0] {
            let standing = ledger.request(&both, &limits, NOW_NS).expect("granted").expect("limited");
            assert_eq!((standing.limit, standing.remaining), (2, left), "the nearer of the two");
        }
        let overrun = ledger.request(&both, &limits, NOW_NS).expect_err("the user has no more");
        assert_eq!((overrun.scope, overrun.limit), (Scope::User, Limit::Requests));
        let left = ledger.standing(address, &limits, NOW_NS).expect("limited").remaining;
        assert_eq!(left, 3, "the address asked twice");
        assert!(ledger.enter(&both, true, &limits, NOW_NS).is_ok());
        let overrun = ledger.enter(&both, true, &limits, NOW_NS).expect_err("the user has one");
        assert_eq!((overrun.scope, overrun.limit, overrun.wait), (Scope::User, Limit::Streams, None));
        assert_eq!((ledger.streams(address), ledger.streams(user)), (1, 1));
        ledger.leave(&both);
        assert_eq!((ledger.streams(address), ledger.streams(user)), (0, 0));
        assert!(lock(&ledger.0).streams.is_empty(), "nobody is remembered who has none");
    }

    #[test]
    fn live_streams_count_as_new_and_long_answers_do_not() {
        let (ledger, limits) = (LocalLedger::default(), limits(5, 0));
        for _ in 0..10 {
            assert!(ledger.enter(&one(1), false, &limits, NOW_NS).is_ok(), "without a limit at a time");
        }
        for _ in 0..3 {
            assert!(ledger.enter(&one(1), true, &limits, NOW_NS).is_ok());
        }
        let overrun = ledger.enter(&one(1), true, &limits, NOW_NS).expect_err("three in a second");
        assert_eq!(overrun.limit, Limit::NewStreams);
        assert_eq!(ledger.streams(party(Scope::Address, 1)), 13);
    }

    #[test]
    fn a_crowd_of_strangers_costs_bounded_memory_and_takes_nobodys_streams() {
        let (ledger, limits) = (LocalLedger::default(), limits(1, 1));
        let (busy, listener) = (one(u64::MAX), one(u64::MAX - 1));
        ledger.enter(&listener, true, &limits, NOW_NS).expect("let in");
        ledger.request(&busy, &limits, NOW_NS).expect("granted");
        for stranger in 0..5 * HALF as u64 {
            ledger.request(&one(stranger), &limits, NOW_NS).expect("their first");
            if stranger % 100 == 0 {
                ledger.send(&busy, 1, &limits, NOW_NS);
                assert!(ledger.request(&busy, &limits, NOW_NS).is_err(), "who is there is remembered");
            }
        }
        let books = lock(&ledger.0);
        assert!(books.young.len() + books.old.len() <= 2 * HALF);
        assert_eq!(books.streams.len(), 1);
        drop(books);
        assert!(ledger.request(&one(0), &limits, NOW_NS).is_ok(), "long gone, and forgotten");
        assert!(ledger.enter(&listener, true, &limits, NOW_NS).is_err(), "still listening");
    }

    proptest! {
        #[test]
        fn streams_come_out_even(steps in prop::collection::vec((0_u64..3, any::<bool>()), 0..200)) {
            let (ledger, limits) = (LocalLedger::default(), limits(1, 4));
            let mut open: Vec<u64> = Vec::new();
            for (who, enters) in steps {
                if enters {
                    let has = open.iter().filter(|other| **other == who).count();
                    let entered = ledger.enter(&one(who), false, &limits, NOW_NS);
                    prop_assert_eq!(entered.is_ok(), has < 4);
                    open.extend(entered.is_ok().then_some(who));
                } else if let Some(at) = open.iter().position(|other| *other == who) {
                    open.remove(at);
                    ledger.leave(&one(who));
                }
                let has = open.iter().filter(|other| **other == who).count();
                prop_assert_eq!(ledger.streams(party(Scope::Address, who)) as usize, has);
            }
        }
    }
}

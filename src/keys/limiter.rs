//! Limits on what is used: whom a request is about, whether it may, and what of it is told.

use std::collections::BTreeMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use talas_wire::LimitUse;

use super::ledger::{Ledger, LocalLedger, Overrun, Parties, Party};
use crate::access::{Limit, Limits, Pass, Scope, Standing, Via, counted_as};
use crate::tools::clock;

/// The key of the total of streams.
const MAX_STREAMS: &str = "http.max_streams";

/// The key of a limit in the configuration.
pub fn key(scope: Scope, limit: Limit) -> String {
    format!("access.limits.{}.{}", scope.as_str(), limit.as_str())
}

/// Holds everybody to their limits.
#[derive(Debug)]
pub struct Limiter {
    limits: ArcSwap<Limits>,
    ledger: Box<dyn Ledger>,
    /// The key of the prints.
    names: RandomState,
    /// Refusals since the start, by scope and limit.
    refused: [[AtomicU64; Limit::ALL.len()]; Scope::ALL.len()],
    /// Streams refused since the start because all were taken.
    full: AtomicU64,
}

/// A stream's place among those that its parties have; dropped, it is free.
#[derive(Debug)]
pub struct Lease {
    limiter: Arc<Limiter>,
    by: Parties,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.limiter.ledger.leave(&self.by);
    }
}

impl Limiter {
    /// With these figures. Nobody has used anything.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits: ArcSwap::from_pointee(limits),
            ledger: Box::<LocalLedger>::default(),
            names: RandomState::new(),
            refused: Default::default(),
            full: AtomicU64::new(0),
        }
    }

    /// Puts other figures into force. What was used stays used.
    pub fn apply(&self, limits: Limits) {
        self.limits.store(Arc::new(limits));
    }

    fn party(&self, scope: Scope, name: &str) -> Party {
        Party { scope, print: self.names.hash_one(name) }
    }

    /// The party that an address is.
    pub fn address(&self, address: IpAddr) -> Parties {
        let print = self.names.hash_one(counted_as(address));
        Parties::new([Some(Party { scope: Scope::Address, print }), None, None])
    }

    /// The parties that somebody is by what they showed; none where they showed nothing.
    pub fn bearer(&self, pass: &Pass) -> Parties {
        let user = |pass: &Pass| Some(self.party(Scope::User, pass.subject.as_deref()?));
        let parties = match &pass.via {
            // A token without a name of its own is counted by its user alone.
            Via::Token(jti) => [user(pass), jti.as_deref().map(|jti| self.party(Scope::Token, jti)), None],
            Via::Key(id) => [Some(self.party(Scope::Key, id)), None, None],
            Via::Open | Via::Anonymous | Via::Level(_) => [None; 3],
        };
        Parties::new(parties)
    }

    /// Counts a request; how the party stands that is nearest to its limit.
    ///
    /// # Errors
    /// One of them has no more.
    pub fn request(&self, by: &Parties) -> Result<Option<Standing>, Overrun> {
        if by.is_empty() {
            return Ok(None);
        }
        self.ledger.request(by, &self.limits.load(), clock::mono_ns())
    }

    /// Lets a stream in, until what is returned is dropped.
    ///
    /// # Errors
    /// One of them has as many as it may, or began as many as it may.
    pub fn begin_stream(self: &Arc<Self>, by: &Parties, is_live: bool) -> Result<Lease, Overrun> {
        self.ledger.enter(by, is_live, &self.limits.load(), clock::mono_ns())?;
        Ok(Lease { limiter: self.clone(), by: *by })
    }

    /// The most bytes a second that one of them may be sent, if that is limited.
    pub fn bytes_per_s(&self, by: &Parties) -> Option<u32> {
        let limits = self.limits.load();
        by.iter().map(|party| limits.of(party.scope).bytes_per_s).filter(|rate| *rate > 0).min()
    }

    /// Counts bytes that are to be sent; the time to wait before.
    pub fn send(&self, by: &Parties, bytes: u64) -> Duration {
        self.ledger.send(by, bytes, &self.limits.load(), clock::mono_ns())
    }

    /// A request was refused for this.
    pub fn count(&self, over: &Overrun) {
        self.refused[over.scope as usize][over.limit as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// A stream was refused because all were taken.
    pub fn count_full(&self) {
        self.full.fetch_add(1, Ordering::Relaxed);
    }

    /// Refusals since the start, by the limit's key in the configuration.
    pub fn refused(&self) -> BTreeMap<String, u64> {
        let each = Scope::ALL.into_iter().flat_map(|scope| Limit::ALL.map(|limit| (scope, limit)));
        let by_party = each.map(|(scope, limit)| {
            let refused = self.refused[scope as usize][limit as usize].load(Ordering::Relaxed);
            (key(scope, limit), refused)
        });
        let by_total = (MAX_STREAMS.to_owned(), self.full.load(Ordering::Relaxed));
        by_party.chain([by_total]).collect()
    }

    /// How the parties of a session stand.
    pub fn uses(&self, by: &Parties) -> Vec<LimitUse> {
        let (limits, now_ns) = (self.limits.load(), clock::mono_ns());
        let told = by.iter().map(|party| {
            let quota = limits.of(party.scope);
            let standing = self.ledger.standing(party, &limits, now_ns);
            LimitUse {
                of: party.scope.as_str().to_owned(),
                streams: self.ledger.streams(party),
                most_streams: (quota.streams > 0).then_some(quota.streams),
                requests_left: standing.map(|standing| standing.remaining),
                most_requests: standing.map(|standing| standing.limit),
            }
        });
        told.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{Permissions, Quota};

    const ONE: Quota = Quota { requests_per_s: 1, new_streams_per_s: 1, streams: 1, bytes_per_s: 0 };

    fn limiter() -> Arc<Limiter> {
        let limits = Limits { burst_s: 1, address: ONE, user: ONE, token: ONE, key: ONE };
        Arc::new(Limiter::new(limits))
    }

    fn pass(via: Via, subject: Option<&str>) -> Pass {
        Pass { via, subject: subject.map(str::to_owned), ..Pass::anonymous(Permissions::NONE) }
    }

    #[test]
    fn a_user_is_one_with_every_token_and_a_key_is_no_user() {
        let limiter = limiter();
        let token = |jti: &str, sub| limiter.bearer(&pass(Via::Token(Some(jti.to_owned())), Some(sub)));
        let ask = |by: &Parties| limiter.request(by).map(drop).map_err(|over| over.scope);
        assert_eq!(ask(&token("1", "ada")), Ok(()));
        assert_eq!(ask(&token("2", "ada")), Err(Scope::User), "another token of the same user");
        assert_eq!(ask(&token("1", "bob")), Err(Scope::Token), "the same name of a token");
        let key = limiter.bearer(&pass(Via::Key("1".to_owned()), Some("ada")));
        assert_eq!((ask(&key), ask(&key)), (Ok(()), Err(Scope::Key)));
        let unnamed = limiter.bearer(&pass(Via::Token(None), Some("eve")));
        assert_eq!((ask(&unnamed), ask(&unnamed)), (Ok(()), Err(Scope::User)));
        let over = limiter.request(&key).expect_err("no more");
        limiter.count(&over);
        let refused: Vec<_> = limiter.refused().into_iter().filter(|(_, count)| *count > 0).collect();
        assert_eq!(refused, [("access.limits.key.requests_per_s".to_owned(), 1)]);
    }

    #[test]
    fn no_address_is_exempt() {
        let limiter = limiter();
        for address in ["127.0.0.1", "::1", "192.0.2.7", "2001:db8::1", "169.254.1.1"] {
            let by = limiter.address(address.parse().expect("address"));
            assert!(limiter.request(&by).is_ok() && limiter.request(&by).is_err(), "{address}");
        }
        let mapped = limiter.address("::ffff:192.0.2.7".parse().expect("address"));
        assert!(limiter.request(&mapped).is_err(), "the same as over IPv4");
    }

    #[test]
    fn a_lease_ends_with_its_stream_and_other_figures_hold_at_once() {
        let limiter = limiter();
        let by = limiter.address("192.0.2.7".parse().expect("address"));
        let lease = limiter.begin_stream(&by, false).expect("the first");
        assert!(limiter.begin_stream(&by, false).is_err());
        let two = Quota { streams: 2, ..ONE };
        limiter.apply(Limits { address: two, ..Limits::default() });
        let second = limiter.begin_stream(&by, false).expect("two now");
        drop((lease, second));
        assert_eq!(limiter.uses(&by)[0].streams, 0);
        assert_eq!(limiter.bytes_per_s(&by), None);
        limiter.apply(Limits { address: Quota { bytes_per_s: 7, ..two }, ..Limits::default() });
        assert_eq!(limiter.bytes_per_s(&by), Some(7));
    }
}

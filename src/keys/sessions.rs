//! What runs on under a pass: streams and long answers. When the pass is over, each is told so and ends;
//! one that does not, because nobody takes what it sends, is reset. One clock looks after all of them.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;

use crate::access::{Pass, Refusal};
use crate::tools::clock;
use crate::tools::lock::lock;

/// Something that runs on.
pub struct Session {
    /// Under whose pass.
    pub pass: Arc<Pass>,
    /// Its route, as the table has it.
    pub route: &'static str,
    /// Where it goes.
    pub address: Option<IpAddr>,
    /// Since when, in milliseconds since the epoch.
    pub since_ms: i64,
    ended: OnceLock<Refusal>,
    waker: AtomicWaker,
    reset: Box<dyn Fn() + Send + Sync>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("route", &self.route)
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}

/// All of them.
#[derive(Debug, Default)]
pub struct Sessions {
    list: Mutex<BTreeMap<u64, Arc<Session>>>,
    next: AtomicU64,
}

/// A place on the list; dropped, it is free.
#[derive(Debug)]
pub struct Seat {
    session: Arc<Session>,
    number: u64,
    all: Arc<Sessions>,
}

impl Sessions {
    /// Puts something that begins on the list. `reset` ends its connection, in case it does not end itself.
    pub fn begin(
        self: &Arc<Self>,
        pass: Arc<Pass>,
        route: &'static str,
        address: Option<IpAddr>,
        reset: impl Fn() + Send + Sync + 'static,
    ) -> Seat {
        let session = Arc::new(Session {
            pass,
            route,
            address,
            since_ms: clock::wall_ns() / clock::NS_PER_MS,
            ended: OnceLock::new(),
            waker: AtomicWaker::new(),
            reset: Box::new(reset),
        });
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        lock(&self.list).insert(number, session.clone());
        Seat { session, number, all: self.clone() }
    }

    /// Ends those whose pass is over, by this judgement. Those that were told before and are still there
    /// are reset.
    pub fn sweep(&self, judge: impl Fn(&Pass) -> Result<(), Refusal>) {
        for session in self.all() {
            if session.ended.get().is_some() {
                (session.reset)();
            } else if let Err(refusal) = judge(&session.pass) {
                session.end(refusal);
            }
        }
    }

    /// All of them, oldest first.
    pub fn all(&self) -> Vec<Arc<Session>> {
        lock(&self.list).values().cloned().collect()
    }
}

impl Session {
    fn end(&self, refusal: Refusal) {
        // Ended once, for the first reason.
        if self.ended.set(refusal).is_ok() {
            self.waker.wake();
        }
    }
}

impl Seat {
    /// Why it is to end; pending while it may go on. Asked in one task at a time.
    pub fn poll_ended(&self, cx: &Context<'_>) -> Poll<Refusal> {
        if let Some(refusal) = self.session.ended.get() {
            return Poll::Ready(*refusal);
        }
        self.session.waker.register(cx.waker());
        // It may have ended before the waker was there.
        self.session.ended.get().map_or(Poll::Pending, |refusal| Poll::Ready(*refusal))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        lock(&self.all.list).remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use super::*;
    use crate::access::Permissions;

    #[test]
    fn who_is_over_is_told_then_reset_and_nobody_else_is() {
        let sessions = Arc::new(Sessions::default());
        let resets = Arc::new(AtomicU32::new(0));
        let begin = |expires_s| {
            let pass = Pass { expires_s, ..Pass::anonymous(Permissions::NONE) };
            let resets = resets.clone();
            sessions.begin(Arc::new(pass), "/x", None, move || {
                resets.fetch_add(1, Ordering::Relaxed);
            })
        };
        let (short, long) = (begin(Some(10)), begin(None));
        let judge = |pass: &Pass| if pass.expires_s.is_some() { Err(Refusal::Expired) } else { Ok(()) };
        let cx = Context::from_waker(std::task::Waker::noop());
        assert!(short.poll_ended(&cx).is_pending());
        sessions.sweep(judge);
        assert_eq!(short.poll_ended(&cx), Poll::Ready(Refusal::Expired));
        assert!(long.poll_ended(&cx).is_pending());
        assert_eq!(resets.load(Ordering::Relaxed), 0, "first it is told");
        sessions.sweep(judge);
        assert_eq!(resets.load(Ordering::Relaxed), 1, "then it is cut");
        drop(short);
        sessions.sweep(judge);
        assert_eq!((resets.load(Ordering::Relaxed), sessions.all().len()), (1, 1));
    }
}

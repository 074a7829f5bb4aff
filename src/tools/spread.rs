//! The spread log: one writer, numbered and bounded entries, any number of cursors.
//!
//! The primitive under everything a listener receives. The writer appends in constant time, never
//! waits and does not know who reads. Each reader pulls at its own pace through a [`Cursor`]; one that
//! falls behind the oldest kept entry is told how many it missed and goes on from there.
//!
//! One mutex guards the entries and the list of sleeping readers together, so "nothing new, wake me"
//! is one step and no wake-up can be lost between. It is held for a few loads and stores, never across
//! a wake or an await. A std mutex is right: the holder never sleeps, and threads as well as tasks use it.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::lock::lock;
use super::relay::{self, Sleeper};
use super::sync::{Arc, Condvar, Mutex, MutexGuard};

/// What the log must know of an entry to bound itself.
pub trait Extent {
    /// Length on the log's own scale (frames, for sound).
    fn span(&self) -> u64;
    /// Memory it holds.
    fn bytes(&self) -> usize;
    /// Entries of an epoch older than the log's are refused, see [`Log::begin_epoch`].
    fn epoch(&self) -> u64 {
        0
    }
}

/// How much is kept. The newest entry is always kept, whatever its size.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Entries at most.
    pub entries: usize,
    /// Sum of spans at most.
    pub span: u64,
    /// Sum of bytes at most.
    pub bytes: usize,
}

/// What a cursor finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next<T> {
    /// The next entry.
    Entry(T),
    /// So many entries were dropped before this reader came for them; the cursor stands at the oldest kept.
    Missed(u64),
    /// The writer is gone and every entry has been read.
    Closed,
}

#[derive(Debug)]
struct Inner<T> {
    limits: Limits,
    entries: VecDeque<T>,
    /// Number of the oldest kept entry; `first + entries.len()` is the next to be written.
    first: u64,
    /// Entries before this number were withdrawn on purpose, not missed by slowness.
    withdrawn: u64,
    span: u64,
    bytes: usize,
    epoch: u64,
    closed: bool,
    /// One place for each cursor that ever slept: a cursor cannot queue up twice.
    sleepers: Vec<Option<Sleeper>>,
    free_places: Vec<usize>,
}

#[derive(Debug)]
struct Shared<T> {
    inner: Mutex<Inner<T>>,
    /// For readers that are threads.
    bell: Condvar,
}

/// A handle on a log, to read from it.
#[derive(Debug)]
pub struct Log<T> {
    shared: Arc<Shared<T>>,
}

impl<T> Clone for Log<T> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone() }
    }
}

/// The only one who appends. Dropping it closes the log.
#[derive(Debug)]
pub struct Writer<T> {
    shared: Arc<Shared<T>>,
    /// Kept between appends so that waking readers does not allocate.
    woken: Vec<Sleeper>,
}

/// A reader's place.
#[derive(Debug)]
pub struct Cursor<T> {
    shared: Arc<Shared<T>>,
    next: u64,
    place: Option<usize>,
}

/// An empty log.
pub fn spread_log<T: Extent + Clone>(limits: Limits) -> (Writer<T>, Log<T>) {
    let inner = Inner {
        limits,
        entries: VecDeque::with_capacity(limits.entries.min(4096)),
        first: 0,
        withdrawn: 0,
        span: 0,
        bytes: 0,
        epoch: 0,
        closed: false,
        sleepers: Vec::new(),
        free_places: Vec::new(),
    };
    let shared = Arc::new(Shared { inner: Mutex::new(inner), bell: Condvar::new() });
    (Writer { shared: shared.clone(), woken: Vec::new() }, Log { shared })
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, Inner<T>> {
        lock(&self.inner)
    }
}

impl<T: Extent + Clone> Inner<T> {
    fn end(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    fn evict_oldest(&mut self) {
        if let Some(old) = self.entries.pop_front() {
            self.first += 1;
            self.span -= old.span();
            self.bytes -= old.bytes();
        }
    }

    fn append(&mut self, entry: T) {
        self.span += entry.span();
        self.bytes += entry.bytes();
        self.entries.push_back(entry);
        while self.entries.len() > 1
            && (self.entries.len() > self.limits.entries
                || self.span > self.limits.span
                || self.bytes > self.limits.bytes)
        {
            self.evict_oldest();
        }
    }

    fn withdraw_all(&mut self) {
        self.first = self.end();
        self.withdrawn = self.first;
        self.entries.clear();
        self.span = 0;
        self.bytes = 0;
    }

    /// The entry at a cursor, or what stands in its way; `None` when there is nothing new.
    fn look(&self, next: &mut u64) -> Option<Next<T>> {
        if *next < self.first {
            let missed_from = (*next).max(self.withdrawn);
            *next = self.first;
            if missed_from < self.first {
                return Some(Next::Missed(self.first - missed_from));
            }
        }
        let index = usize::try_from(*next - self.first).ok()?;
        match self.entries.get(index) {
            Some(entry) => {
                *next += 1;
                Some(Next::Entry(entry.clone()))
            }
            None => self.closed.then_some(Next::Closed),
        }
    }
}

impl<T: Extent + Clone> Writer<T> {
    /// Appends an entry and wakes the sleeping readers. `false` when the entry belongs to an epoch
    /// that is over: it was not appended.
    pub fn append(&mut self, entry: T) -> bool {
        let mut inner = self.shared.lock();
        if entry.epoch() < inner.epoch {
            return false;
        }
        inner.append(entry);
        self.woken.extend(inner.sleepers.iter_mut().filter_map(Option::take));
        drop(inner);
        self.wake();
        true
    }

    fn wake(&mut self) {
        self.shared.bell.notify_all();
        relay::wake_all(&mut self.woken);
    }
}

impl<T> Drop for Writer<T> {
    fn drop(&mut self) {
        let mut inner = self.shared.lock();
        inner.closed = true;
        self.woken.extend(inner.sleepers.iter_mut().filter_map(Option::take));
        drop(inner);
        self.shared.bell.notify_all();
        relay::wake_all(&mut self.woken);
    }
}

impl<T: Extent + Clone> Log<T> {
    /// A cursor that gets entries written from now on.
    pub fn from_now(&self) -> Cursor<T> {
        let next = self.shared.lock().end();
        self.at(next)
    }

    /// A cursor that begins at the oldest kept entry.
    pub fn from_oldest(&self) -> Cursor<T> {
        let next = self.shared.lock().first;
        self.at(next)
    }

    /// A cursor that begins at the newest kept entry that satisfies `fits` with everything after it
    /// still to come; from now on when none does.
    pub fn from_newest(&self, fits: impl Fn(&T) -> bool) -> Cursor<T> {
        let inner = self.shared.lock();
        let back = inner.entries.iter().rev().position(fits);
        let next = back.map_or(inner.end(), |back| inner.end() - 1 - back as u64);
        drop(inner);
        self.at(next)
    }

    /// A cursor that begins at the first kept entry that satisfies `fits`, which must hold for every entry
    /// after one it holds for; from now on when none does.
    pub fn from_first(&self, fits: impl Fn(&T) -> bool) -> Cursor<T> {
        let inner = self.shared.lock();
        let next = inner.first + inner.entries.partition_point(|entry| !fits(entry)) as u64;
        drop(inner);
        self.at(next)
    }

    /// The oldest kept entry that satisfies `fits`.
    pub fn find(&self, fits: impl Fn(&T) -> bool) -> Option<T> {
        self.shared.lock().entries.iter().find(|entry| fits(entry)).cloned()
    }

    /// The newest kept entry that satisfies `fits`.
    pub fn find_newest(&self, fits: impl Fn(&T) -> bool) -> Option<T> {
        self.shared.lock().entries.iter().rev().find(|entry| fits(entry)).cloned()
    }

    /// Number of the first kept entry that satisfies `fits`, which must hold for every entry after one it
    /// holds for; `None` when none does.
    pub fn number_of(&self, fits: impl Fn(&T) -> bool) -> Option<u64> {
        let inner = self.shared.lock();
        let index = inner.entries.partition_point(|entry| !fits(entry));
        (index < inner.entries.len()).then_some(inner.first + index as u64)
    }

    /// A cursor that begins at the entry of this number.
    pub fn from_number(&self, number: u64) -> Cursor<T> {
        self.at(number)
    }

    /// For readers who keep their place as a number: what is there, without waiting. `next` moves on.
    pub fn read(&self, next: &mut u64) -> Option<Next<T>> {
        self.shared.lock().look(next)
    }

    /// The epoch that the log is in.
    pub fn epoch(&self) -> u64 {
        self.shared.lock().epoch
    }

    /// Whether another handle is on the same log.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    fn at(&self, next: u64) -> Cursor<T> {
        Cursor { shared: self.shared.clone(), next, place: None }
    }

    /// Withdraws every entry and refuses later ones of an older epoch: after this returns, no reader
    /// gets anything that was made before.
    pub fn begin_epoch(&self, epoch: u64) {
        let mut inner = self.shared.lock();
        inner.epoch = inner.epoch.max(epoch);
        inner.withdraw_all();
    }

    /// Number of entries ever appended.
    pub fn written(&self) -> u64 {
        self.shared.lock().end()
    }
}

impl<T: Extent + Clone> Cursor<T> {
    /// What is there now, without waiting.
    pub fn try_next(&mut self) -> Option<Next<T>> {
        let shared = self.shared.clone();
        let inner = shared.lock();
        inner.look(&mut self.next)
    }

    /// For bodies and tasks: what is next, or a promise to wake.
    pub fn poll_next(&mut self, cx: &Context<'_>) -> Poll<Next<T>> {
        let mut inner = self.shared.lock();
        if let Some(next) = inner.look(&mut self.next) {
            return Poll::Ready(next);
        }
        let place = *self.place.get_or_insert_with(|| match inner.free_places.pop() {
            Some(place) => place,
            None => {
                inner.sleepers.push(None);
                inner.sleepers.len() - 1
            }
        });
        match &mut inner.sleepers[place] {
            Some(sleeper) if sleeper.is(cx.waker()) => {}
            slot => *slot = Some(Sleeper::here(cx.waker())),
        }
        Poll::Pending
    }

    /// The epoch that the log is in.
    pub fn epoch(&self) -> u64 {
        self.shared.lock().epoch
    }

    /// Number of the entry that comes next, or of the oldest kept if that one is gone.
    pub fn number(&self) -> u64 {
        self.next.max(self.shared.lock().first)
    }

    /// Waits for what is next.
    pub async fn next(&mut self) -> Next<T> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// For threads: waits for what is next, `None` after `timeout`.
    pub fn next_within(&mut self, timeout: Duration) -> Option<Next<T>> {
        let shared = self.shared.clone();
        let deadline = Instant::now() + timeout;
        let mut inner = shared.lock();
        loop {
            if let Some(next) = inner.look(&mut self.next) {
                return Some(next);
            }
            // A bell that rang for an entry this reader already has is no reason to give up.
            let left = deadline.checked_duration_since(Instant::now())?;
            inner =
                shared.bell.wait_timeout(inner, left).map_or_else(|e| e.into_inner().0, |(guard, _)| guard);
        }
    }
}

impl<T> Drop for Cursor<T> {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            let mut inner = self.shared.lock();
            inner.sleepers[place] = None;
            inner.free_places.push(place);
        }
    }
}

#[cfg(test)]
#[path = "spread_tests.rs"]
mod tests;

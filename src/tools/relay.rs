//! Waking many tasks of one thread by one wake-up.
//!
//! To wake a task of another thread's runtime takes a lock and a system call. A thread that runs many sleepers
//! has a relay: whoever wakes them leaves all their wakers there and wakes the relay alone, which wakes the
//! others from within, where that is an entry in a queue.

use std::cell::OnceCell;
use std::future::poll_fn;
use std::mem;
use std::task::{Poll, Waker};

use futures_util::task::AtomicWaker;

use super::lock::lock;
use super::sync::{Arc, Mutex};

thread_local! {
    /// The relay of this thread, where one runs.
    static HERE: OnceCell<Arc<Relay>> = const { OnceCell::new() };
}

#[derive(Debug, Default)]
struct Relay {
    due: Mutex<Vec<Waker>>,
    own: AtomicWaker,
}

/// A sleeping task, and where it sleeps.
#[derive(Debug)]
pub struct Sleeper {
    waker: Waker,
    relay: Option<Arc<Relay>>,
}

impl Sleeper {
    /// The task of this waker, which runs on this thread.
    pub fn here(waker: &Waker) -> Self {
        Self { waker: waker.clone(), relay: HERE.with(|here| here.get().cloned()) }
    }

    /// Whether this is the task of that waker.
    pub fn is(&self, waker: &Waker) -> bool {
        self.waker.will_wake(waker)
    }
}

/// Wakes them all, each thread once, and leaves the list empty.
pub fn wake_all(sleepers: &mut Vec<Sleeper>) {
    while let Some(relay) = sleepers.iter().find_map(|sleeper| sleeper.relay.clone()) {
        let is_there =
            |sleeper: &mut Sleeper| sleeper.relay.as_ref().is_some_and(|other| Arc::ptr_eq(other, &relay));
        lock(&relay.due).extend(sleepers.extract_if(.., is_there).map(|sleeper| sleeper.waker));
        relay.own.wake();
    }
    sleepers.drain(..).for_each(|sleeper| sleeper.waker.wake());
}

/// The relay of this thread, for a runtime that runs its tasks on this thread alone; it never ends.
pub async fn run() {
    let relay = HERE.with(|here| here.get_or_init(Arc::default).clone());
    let mut due = Vec::new();
    poll_fn(|cx| {
        // Before the look, so that what is left after it wakes again.
        relay.own.register(cx.waker());
        mem::swap(&mut due, &mut *lock(&relay.due));
        due.drain(..).for_each(Waker::wake);
        Poll::<()>::Pending
    })
    .await;
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use super::*;

    /// Sleeps once; says when it sleeps, and when it was woken.
    async fn sleep_once(asleep: mpsc::Sender<Sleeper>, woken: Arc<AtomicUsize>) {
        let mut told = Some(asleep);
        poll_fn(|cx| match told.take() {
            Some(asleep) => {
                asleep.send(Sleeper::here(cx.waker())).expect("somebody listens");
                Poll::Pending
            }
            None => Poll::Ready(()),
        })
        .await;
        woken.fetch_add(1, Ordering::SeqCst);
    }

    #[test]
    fn everybody_wakes_with_a_relay_or_without() {
        const EACH: usize = 50;
        let woken = Arc::new(AtomicUsize::new(0));
        let (asleep, sleepers) = mpsc::channel();
        let threads: Vec<_> = [true, true, false]
            .into_iter()
            .map(|with_relay| {
                let (asleep, woken) = (asleep.clone(), woken.clone());
                thread::spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
                    runtime.block_on(async {
                        if with_relay {
                            tokio::spawn(run());
                            tokio::task::yield_now().await;
                        }
                        let tasks =
                            (0..EACH).map(|_| tokio::spawn(sleep_once(asleep.clone(), woken.clone())));
                        futures_util::future::join_all(tasks.collect::<Vec<_>>()).await;
                    });
                })
            })
            .collect();
        let mut all: Vec<Sleeper> =
            (0..3 * EACH).map(|_| sleepers.recv_timeout(Duration::from_secs(10)).expect("asleep")).collect();
        assert_eq!(all.iter().filter(|sleeper| sleeper.relay.is_some()).count(), 2 * EACH);
        assert_eq!(woken.load(Ordering::SeqCst), 0);
        wake_all(&mut all);
        assert!(all.is_empty());
        for thread in threads {
            thread.join().expect("all its tasks were woken");
        }
        assert_eq!(woken.load(Ordering::SeqCst), 3 * EACH);
    }
}

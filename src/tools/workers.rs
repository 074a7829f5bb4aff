//! The threads that serve: each runs the tasks it was given, on a runtime of its own.
//!
//! A task stays where it was begun. Stealing tasks from one another costs threads more than it brings where
//! thousands of small ones are spread evenly: every wake-up would be looked at by all, and the memory of a
//! connection would move between cores. Whoever begins a task takes the thread with the fewest.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{JoinHandle, available_parallelism};
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::oneshot;

use super::relay;
use super::tasks::thread;
use crate::error::{Context, Result};

/// Where tasks are begun.
#[derive(Debug, Clone)]
pub struct Workers {
    desks: Arc<[Desk]>,
}

/// One thread, seen from outside.
#[derive(Debug)]
struct Desk {
    handle: Handle,
    /// Tasks under way that were begun by [`Workers::least_busy`].
    load: Arc<AtomicUsize>,
}

/// The threads; they end when asked, or when this is dropped.
#[derive(Debug)]
pub struct Crew {
    workers: Workers,
    threads: Vec<(oneshot::Sender<Duration>, JoinHandle<()>)>,
}

/// A place at the least busy thread; free again when dropped.
#[derive(Debug)]
pub struct Seat {
    /// Begins tasks on that thread.
    pub handle: Handle,
    load: Arc<AtomicUsize>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.load.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Crew {
    /// One thread for each core that this process may use.
    ///
    /// # Errors
    /// The system gives no thread, or no descriptors for its event loop.
    pub fn start() -> Result<Self> {
        let count = available_parallelism().map_or(1, usize::from);
        let mut desks = Vec::with_capacity(count);
        let mut threads = Vec::with_capacity(count);
        for n in 0..count {
            let runtime = Builder::new_current_thread().thread_name("worker-disk").enable_all().build();
            let runtime = runtime.context(|| "cannot start the worker threads".to_owned())?;
            desks.push(Desk { handle: runtime.handle().clone(), load: Arc::default() });
            let (stop, stopped) = oneshot::channel();
            threads.push((stop, thread(&format!("worker-{n}"), move || work(runtime, stopped))?));
        }
        Ok(Self { workers: Workers { desks: desks.into() }, threads })
    }

    /// Where tasks are begun.
    pub fn workers(&self) -> &Workers {
        &self.workers
    }

    /// Drops the tasks that are left, and waits so long for what they have begun on blocking threads.
    pub fn shut_down(self, wait: Duration) {
        let threads: Vec<_> = self
            .threads
            .into_iter()
            .map(|(stop, thread)| {
                // It listens as long as it lives.
                let _ = stop.send(wait);
                thread
            })
            .collect();
        for thread in threads {
            // A panic has ended the process by now.
            let _ = thread.join();
        }
    }
}

fn work(runtime: Runtime, stopped: oneshot::Receiver<Duration>) {
    runtime.spawn(relay::run());
    let wait = runtime.block_on(stopped).unwrap_or_default();
    runtime.shutdown_timeout(wait);
}

impl Workers {
    /// A place at the thread with the fewest tasks begun by this.
    pub fn least_busy(&self) -> Seat {
        // There is at least one.
        let busy = |desk: &&Desk| desk.load.load(Ordering::Relaxed);
        let desk = self.desks.iter().min_by_key(busy).unwrap_or(&self.desks[0]);
        desk.load.fetch_add(1, Ordering::Relaxed);
        Seat { handle: desk.handle.clone(), load: desk.load.clone() }
    }

    /// Begins a task on the first thread.
    pub fn first(&self) -> &Handle {
        &self.desks[0].handle
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seats_are_spread_evenly_and_are_free_again() {
        let crew = Crew::start().expect("threads");
        let count = crew.workers().desks.len();
        let loads = || -> Vec<usize> {
            crew.workers().desks.iter().map(|desk| desk.load.load(Ordering::Relaxed)).collect()
        };
        let seats: Vec<Seat> = (0..3 * count).map(|_| crew.workers().least_busy()).collect();
        assert_eq!(loads(), vec![3; count]);
        drop(seats);
        assert_eq!(loads(), vec![0; count]);
        crew.shut_down(Duration::ZERO);
    }

    #[test]
    fn tasks_that_are_left_are_dropped() {
        struct Told(std::sync::mpsc::Sender<()>);
        impl Drop for Told {
            fn drop(&mut self) {
                let _ = self.0.send(());
            }
        }
        let crew = Crew::start().expect("threads");
        let (tell, told) = std::sync::mpsc::channel();
        let left = Told(tell);
        crew.workers().least_busy().handle.spawn(async move {
            let _left = left;
            std::future::pending::<()>().await;
        });
        crew.shut_down(Duration::ZERO);
        assert!(told.try_recv().is_ok());
    }
}

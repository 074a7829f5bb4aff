//! Real-time scheduling and locked memory for the capture thread. Never fatal: what is refused is shown
//! in the status, and capture goes on without it.

#![expect(unsafe_code, reason = "scheduling and memory locking have no safe wrapper")]

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use talas_wire::Realtime;

use super::counters::Counters;
use super::lane::Stamp;
use crate::error::{Context, Result};
use crate::tools::ring::RingWriter;

/// Stack that the loop may use, touched and locked before it starts.
const STACK_BYTES: usize = 64 * 1024;

/// Kernel id of the thread that has real-time priority; 0 for none. For the signal handler.
static REALTIME_THREAD: AtomicI32 = AtomicI32::new(0);
/// Set by the signal handler when it took the priority away.
static DEMOTED: AtomicBool = AtomicBool::new(false);

/// Whether the capture thread lost its priority by using up its budget.
#[derive(Debug, Clone, Copy)]
pub struct Demotion;

impl Demotion {
    /// Whether it did since the newest session began.
    pub fn happened() -> bool {
        DEMOTED.load(Ordering::Relaxed)
    }
}

/// From now on a real-time thread that exceeds its processor budget (`RLIMIT_RTTIME`, signal `SIGXCPU`)
/// loses its priority instead of ending the daemon.
///
/// # Errors
/// The signal cannot be handled.
pub fn guard_budget() -> Result<()> {
    let demote = || {
        let thread = REALTIME_THREAD.load(Ordering::Relaxed);
        if thread != 0 {
            set_scheduler(thread, libc::SCHED_OTHER, 0);
            DEMOTED.store(true, Ordering::Relaxed);
        }
    };
    // SAFETY: the handler makes one system call and touches two atomics; both are safe in a signal.
    let registered = unsafe { signal_hook::low_level::register(libc::SIGXCPU, demote) };
    registered.map(|_| ()).context(|| "cannot handle SIGXCPU".to_owned())
}

fn set_scheduler(thread: i32, policy: i32, priority: i32) -> bool {
    let param = libc::sched_param { sched_priority: priority };
    // SAFETY: the parameter outlives the call; a wrong thread id is an error, not a fault.
    unsafe { libc::sched_setscheduler(thread, policy, &raw const param) == 0 }
}

/// Gives the priority back when dropped.
pub struct Schedule {
    counters: Arc<Counters>,
}

/// Asks for `SCHED_FIFO` for this thread; 0 asks for none. The priority should stay below 50, where
/// threaded interrupt handlers run: the card's own must win.
pub fn enter(priority: u8, counters: &Arc<Counters>) -> Schedule {
    DEMOTED.store(false, Ordering::Relaxed);
    let realtime = if priority == 0 {
        Realtime::Off
    } else if set_scheduler(0, libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK, priority.into()) {
        // SAFETY: gettid has no preconditions.
        REALTIME_THREAD.store(unsafe { libc::gettid() }, Ordering::Relaxed);
        Realtime::Fifo
    } else {
        Realtime::Denied
    };
    counters.set_realtime(realtime);
    touch_stack();
    Schedule { counters: counters.clone() }
}

impl Drop for Schedule {
    fn drop(&mut self) {
        REALTIME_THREAD.store(0, Ordering::Relaxed);
        self.counters.set_realtime(Realtime::Off);
    }
}

/// Grows and touches the stack now, so that the loop does not meet a page fault on it.
#[inline(never)]
fn touch_stack() {
    let mut stack = [0_u8; STACK_BYTES];
    for byte in stack.iter_mut().step_by(4096) {
        // SAFETY: writes one byte through a valid reference; volatile keeps the compiler from dropping it.
        unsafe { std::ptr::write_volatile(byte, 1) };
    }
}

/// Unlocks when dropped.
pub struct LockedMemory {
    regions: Vec<(usize, usize)>,
}

/// Touches and locks the ring and the read buffer: only these, never the whole process, which would pin
/// every other thread's stack and arena too. Refusal (a small `RLIMIT_MEMLOCK`) is no harm: the
/// memory has been touched. The ring must be empty, else it is left as it is: it was touched before.
pub fn lock_memory(ring: &mut RingWriter<Stamp>, buffer: &mut [u8]) -> LockedMemory {
    let mut regions = Vec::with_capacity(3);
    buffer.fill(0);
    regions.push((buffer.as_ptr() as usize, buffer.len()));
    ring.with_memory(|samples| {
        samples.fill(0.0);
        regions.push((samples.as_ptr() as usize, size_of_val(samples)));
    });
    regions.retain(|(start, bytes)| {
        // SAFETY: mlock only pins pages; the range is memory that this process owns.
        *bytes > 0 && unsafe { libc::mlock(*start as *const libc::c_void, *bytes) } == 0
    });
    if regions.is_empty() {
        tracing::debug!(event = "memory_not_locked", reason = %io::Error::last_os_error(), "memory is not locked");
    }
    LockedMemory { regions }
}

impl Drop for LockedMemory {
    fn drop(&mut self) {
        for (start, bytes) in &self.regions {
            // SAFETY: as for mlock; the buffer is still alive, it was made before this guard.
            unsafe { libc::munlock(*start as *const libc::c_void, *bytes) };
        }
    }
}

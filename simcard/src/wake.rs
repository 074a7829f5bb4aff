//! What the client polls: a timer that expires when enough frames are there, and the bell that rings when the
//! card is given an order.
//!
//! Both stay readable until they are attended to, so `poll` behaves as with a real card: it returns at once for as
//! long as there is something to do, and a stalled card wakes nobody.

#![expect(unsafe_code, reason = "timerfd and inotify, which std does not have")]

use std::ffi::{CString, c_int};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;

/// Room for a few events of a watched file: 16 bytes each, without a name.
const BELL_BYTES: usize = 256;

/// The two descriptors.
pub struct Wake {
    timer: OwnedFd,
    bell: File,
}

impl Wake {
    /// A timer that is not set, and the bell of a card's control file.
    pub fn new(control: &Path) -> io::Result<Self> {
        // SAFETY: no pointers; the descriptor, if one comes back, is new and nobody else's.
        let timer = unsafe {
            owned(libc::timerfd_create(libc::CLOCK_MONOTONIC, libc::TFD_NONBLOCK | libc::TFD_CLOEXEC))
        }?;
        // SAFETY: as above.
        let bell = unsafe { owned(libc::inotify_init1(libc::IN_NONBLOCK | libc::IN_CLOEXEC)) }?;
        let path = CString::new(control.as_os_str().as_bytes())?;
        // SAFETY: `path` is a C string that outlives the call.
        let watch = unsafe { libc::inotify_add_watch(bell.as_raw_fd(), path.as_ptr(), libc::IN_MODIFY) };
        if watch < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Self { timer, bell: bell.into() })
    }

    /// The timer's descriptor and the bell's.
    pub fn descriptors(&self) -> [RawFd; 2] {
        [self.timer.as_raw_fd(), self.bell.as_raw_fd()]
    }

    /// Wakes the client when CLOCK_MONOTONIC reaches `mono_ns`, or at once if it has.
    pub fn at(&self, mono_ns: u64) {
        // 0 would stop the timer.
        self.set(mono_ns.max(1));
    }

    /// Wakes the client at once.
    pub fn now(&self) {
        self.at(0);
    }

    /// Lets the client sleep.
    pub fn never(&self) {
        self.set(0);
    }

    fn set(&self, mono_ns: u64) {
        let at = libc::timespec {
            tv_sec: (mono_ns / 1_000_000_000).cast_signed(),
            tv_nsec: (mono_ns % 1_000_000_000).cast_signed(),
        };
        let once = libc::itimerspec { it_interval: libc::timespec { tv_sec: 0, tv_nsec: 0 }, it_value: at };
        // SAFETY: the descriptor is a timerfd, `once` a valid itimerspec, and no old value is asked for.
        unsafe {
            libc::timerfd_settime(
                self.timer.as_raw_fd(),
                libc::TFD_TIMER_ABSTIME,
                &raw const once,
                ptr::null_mut(),
            );
        }
    }

    /// Silences the bell. What was ordered before is seen after this; what is ordered later rings again.
    pub fn attend(&self) {
        let mut events = [0; BELL_BYTES];
        // Its content says nothing that the block does not; an error means that it did not ring.
        while (&self.bell).read(&mut events).is_ok_and(|bytes| bytes == BELL_BYTES) {}
    }
}

/// # Safety
///
/// `fd`, unless negative, must be open and nobody else's.
unsafe fn owned(fd: c_int) -> io::Result<OwnedFd> {
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the caller's promise.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

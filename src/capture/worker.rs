//! The deadline loop: poll, classify, read, hand over. Everything it touches was made before it starts.
//!
//! One turn waits for the device and yields one [`Turn`]; each kind has one small handler. In here:
//! no memory management, no locks, no log lines, no waiting for anybody. A fault is a counter and a
//! mark on the next chunk; people hear of it from the other end of the ring.

use std::os::fd::{AsFd, AsRawFd};

use alsa::PollDescriptors;
use alsa::pcm::{IO, PCM, State};
use libc::pollfd;

use super::counters::Counters;
use super::lane::Lane;
use super::{End, pcm};
use crate::audio::{GapReason, SampleFormat};
use crate::dsp::convert;
use crate::tools::clock;
use crate::tools::stop::Stop;

/// Attempts to get a position and a time that belong together.
const TIGHT_ATTEMPTS: u32 = 4;
/// A position and a time read further apart than this are not a pair: half a frame at 48 kHz.
const TIGHT_NS: i64 = 10_000;

/// A device that runs, and the memory its loop works in.
pub struct Worker<'a> {
    pub pcm: &'a PCM,
    pub io: IO<'a, u8>,
    pub format: SampleFormat,
    pub channels: u16,
    /// Length of a period, in frames: when so many more are there, the device wakes.
    pub period_frames: u64,
    /// The stop signal first, then the device's own.
    pub fds: &'a mut [pollfd],
    /// Room for a few periods, a whole number of frames.
    pub buffer: &'a mut [u8],
    /// The device is stalled when it says nothing for so long.
    pub timeout_ms: i32,
    pub lane: &'a mut Lane,
}

/// What one turn found.
enum Turn {
    /// Woken for nothing.
    Idle,
    /// Asked to stop.
    Stop,
    /// Nothing for longer than a healthy device stays silent.
    Silent,
    /// So many frames can be read; the time belongs to that count.
    Ready { available: u64, mono_ns: i64 },
    /// The device stopped by itself: its buffer ran over, or it was suspended.
    Interrupted(GapReason),
    /// The device is gone.
    Gone(i32),
}

impl Worker<'_> {
    /// Captures until something ends it.
    pub fn run(&mut self, stop: &Stop) -> End {
        self.fds[0] = pollfd { fd: stop.as_fd().as_raw_fd(), events: libc::POLLIN, revents: 0 };
        if let Err(error) = self.pcm.start() {
            return End::Gone(pcm::errno(&error));
        }
        // The first chunk of a session always has to find its place on the timeline.
        let mut resumed = true;
        loop {
            self.lane.counters.pulse.beat();
            match self.turn() {
                Turn::Idle => {}
                Turn::Stop => return End::Stopped,
                Turn::Silent => return End::Stalled,
                Turn::Gone(errno) => return End::Gone(errno),
                Turn::Interrupted(reason) => {
                    resumed = true;
                    if let Some(end) = self.restart(reason) {
                        return end;
                    }
                }
                Turn::Ready { available, mono_ns } => {
                    self.place(available, mono_ns, std::mem::take(&mut resumed));
                    if let Some(end) = self.read(self.whole_periods(available)) {
                        return end;
                    }
                }
            }
        }
    }

    fn turn(&mut self) -> Turn {
        match poll(self.fds, self.timeout_ms) {
            Err(libc::EINTR) => return Turn::Idle,
            Err(errno) => return Turn::Gone(errno),
            Ok(0) => return Turn::Silent,
            Ok(_) if self.fds[0].revents != 0 => return Turn::Stop,
            Ok(_) => {}
        }
        // Not for its answer alone: plugins take their own wake-up away in here.
        match self.pcm.revents(&self.fds[1..]) {
            Ok(events) if events.is_empty() => Turn::Idle,
            Ok(_) | Err(_) => self.classify(),
        }
    }

    /// State, position and time in one look. (`snd_pcm_state` of a dead device is a negative number,
    /// which the binding turns into a panic.)
    fn classify(&self) -> Turn {
        let mut turn = Turn::Idle;
        for _ in 0..TIGHT_ATTEMPTS {
            let before_ns = clock::mono_ns();
            let status = match self.pcm.status() {
                Ok(status) => status,
                Err(error) => return Turn::Gone(pcm::errno(&error)),
            };
            match status.get_state() {
                State::XRun => return Turn::Interrupted(GapReason::Overrun),
                State::Suspended => return Turn::Interrupted(GapReason::Suspend),
                State::Disconnected => return Turn::Gone(libc::ENODEV),
                _ => {}
            }
            let Ok(available) = u64::try_from(status.get_avail()) else {
                return Turn::Interrupted(GapReason::Overrun);
            };
            let stamp = status.get_htstamp();
            let mut mono_ns = stamp.tv_sec * clock::NS_PER_S + stamp.tv_nsec;
            let after_ns = clock::mono_ns();
            if mono_ns == 0 {
                // Some plugins give no time: the moment of asking is the next best.
                mono_ns = before_ns + (after_ns - before_ns) / 2;
            }
            turn = Turn::Ready { available, mono_ns };
            // A kernel driver stamps the position in its interrupt; a plugin may have been held up in
            // between, and then the pair is worth nothing.
            if after_ns - before_ns < TIGHT_NS || mono_ns < before_ns {
                break;
            }
        }
        turn
    }

    fn place(&mut self, available: u64, mono_ns: i64, resumed: bool) {
        let slept_ns = clock::slept_ns();
        if resumed {
            self.lane.resume(mono_ns, slept_ns, available);
        } else {
            self.lane.observe(mono_ns, slept_ns, available);
        }
    }

    /// What of so many frames is read: whole periods. The device wakes when a period is there beyond what was
    /// read. If that were all there is a moment after each wake-up, each would come by that moment later than
    /// the one before, and a block that ends with a period would wait for up to another one.
    fn whole_periods(&self, available: u64) -> u64 {
        match available % self.period_frames {
            // Woken for less: left there it could wake again and again.
            rest if rest == available => available,
            rest => available - rest,
        }
    }

    fn read(&mut self, mut available: u64) -> Option<End> {
        let frame_bytes = self.format.bytes() * usize::from(self.channels);
        while available > 0 {
            let most = self.buffer.len() / frame_bytes;
            let want = usize::try_from(available).unwrap_or(most).min(most);
            let bytes = &mut self.buffer[..want * frame_bytes];
            let got = match self.io.readi(bytes) {
                Ok(0) => return None,
                Ok(got) => got,
                // Each of these shows again, and is dealt with, in the next turn.
                Err(error) if is_told_by_status(pcm::errno(&error)) => return None,
                Err(error) => return Some(End::Gone(pcm::errno(&error))),
            };
            available = available.saturating_sub(got as u64);
            let (format, bytes) = (self.format, &self.buffer[..got * frame_bytes]);
            self.lane.deliver(got, self.channels, |first, second| {
                let (head, tail) = bytes.split_at(first.len() * format.bytes());
                convert::to_f32(format, head, first) + convert::to_f32(format, tail, second)
            });
        }
        None
    }

    /// Capture has nothing worth resuming after a fault: drop, prepare and start anew.
    fn restart(&mut self, reason: GapReason) -> Option<End> {
        let counters = &self.lane.counters;
        let suspended = reason == GapReason::Suspend;
        Counters::add(if suspended { &counters.suspends } else { &counters.overruns }, 1);
        self.lane.interrupted(reason);
        // Of a stopped device `drop` has nothing to do; its failure means nothing.
        let _ = self.pcm.drop();
        match self.pcm.prepare().and_then(|()| self.pcm.start()) {
            Ok(()) => None,
            Err(error) => Some(End::Gone(pcm::errno(&error))),
        }
    }
}

fn is_told_by_status(errno: i32) -> bool {
    matches!(errno, libc::EAGAIN | libc::EINTR | libc::EPIPE | libc::ESTRPIPE)
}

fn poll(fds: &mut [pollfd], timeout_ms: i32) -> Result<i32, i32> {
    #[expect(unsafe_code, reason = "alsa-lib fills plain pollfd structures, which no safe wrapper takes")]
    // SAFETY: the pointer and the length are those of one exclusive slice.
    let ready = unsafe { libc::poll(fds.as_mut_ptr(), fds.len() as libc::nfds_t, timeout_ms) };
    if ready < 0 { Err(nix::errno::Errno::last_raw()) } else { Ok(ready) }
}

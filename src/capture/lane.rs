//! What the capture thread owns across sessions: the way into the ring, the timeline, the counters.
//! Nothing here allocates, locks or waits once it is made.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use nix::sys::eventfd::EventFd;

use super::counters::Counters;
use super::timeline::Timeline;
use crate::audio::GapReason;
use crate::tools::clock::NS_PER_MS;
use crate::tools::ring::RingWriter;

/// The shortest sleep of the machine that is told from two clocks read at different moments. No machine
/// goes to sleep and wakes in less.
const SLEEP_NS: i64 = 100 * NS_PER_MS;

/// What the pump gets with each chunk of samples.
#[derive(Debug, Clone, Copy)]
pub struct Stamp {
    /// Position of the first frame.
    pub position: u64,
    /// When it was captured, on the monotonic clock.
    pub mono_ns: i64,
    /// Interleaved channels.
    pub channels: u16,
    /// Sessions counted: which one captured it.
    pub session: u32,
    /// Why the position does not follow the chunk before, if it does not.
    pub reason: Option<GapReason>,
}

/// The capture side of the ring.
#[derive(Debug)]
pub struct Lane {
    ring: RingWriter<Stamp>,
    timeline: Timeline,
    /// Shared with everybody who wants to know.
    pub counters: Arc<Counters>,
    /// Wakes the pump.
    bell: Arc<EventFd>,
    /// Cause of the hole before the next chunk.
    pending: Option<GapReason>,
    session: u32,
}

impl Lane {
    /// A lane into a ring, for a rate in frames per second.
    pub fn new(
        ring: RingWriter<Stamp>,
        sample_rate: u32,
        counters: Arc<Counters>,
        bell: Arc<EventFd>,
    ) -> Self {
        Self { ring, timeline: Timeline::new(sample_rate), counters, bell, pending: None, session: 0 }
    }

    /// The next session begins; returns its number.
    pub fn begin_session(&mut self) -> u32 {
        self.session += 1;
        self.session
    }

    /// The ring, to prepare its memory before a session.
    pub fn ring(&mut self) -> &mut RingWriter<Stamp> {
        &mut self.ring
    }

    /// There is a hole before what comes next. The first cause stays.
    pub fn interrupted(&mut self, reason: GapReason) {
        self.pending.get_or_insert(reason);
    }

    /// The device (re)started: at this time `available` frames wait to be read.
    pub fn resume(&mut self, mono_ns: i64, slept_ns: i64, available: u64) {
        self.timeline.resume(mono_ns, slept_ns, available);
    }

    /// The device runs on: at this time `available` frames wait to be read.
    pub fn observe(&mut self, mono_ns: i64, slept_ns: i64, available: u64) {
        if self.notice_sleep(mono_ns, slept_ns, available) {
            return;
        }
        if let Some(ppm) = self.timeline.observe(mono_ns, slept_ns, available) {
            self.counters.set_drift_ppm(ppm);
        }
    }

    /// The same for a source that the system clock itself paces.
    pub fn pace(&mut self, mono_ns: i64, slept_ns: i64, available: u64) {
        if !self.notice_sleep(mono_ns, slept_ns, available) {
            self.timeline.pace(mono_ns, slept_ns, available);
        }
    }

    /// The machine slept and the device did not say so: a hole all the same.
    fn notice_sleep(&mut self, mono_ns: i64, slept_ns: i64, available: u64) -> bool {
        if self.timeline.slept_since(slept_ns) < SLEEP_NS {
            return false;
        }
        Counters::add(&self.counters.suspends, 1);
        self.interrupted(GapReason::Suspend);
        self.timeline.resume(mono_ns, slept_ns, available);
        true
    }

    /// Hands `frames` to the pump; `fill` writes the interleaved samples into two slices, one after the
    /// other, and returns how many were not finite. With a full ring they are dropped, counted, and
    /// missing before the next chunk.
    pub fn deliver(
        &mut self,
        frames: usize,
        channels: u16,
        fill: impl FnOnce(&mut [f32], &mut [f32]) -> u64,
    ) {
        let mono_ns = self.timeline.next_mono_ns();
        let stamp = Stamp {
            position: self.timeline.next(),
            mono_ns,
            channels,
            session: self.session,
            reason: self.pending,
        };
        let mut nonfinite = 0;
        let taken = self.ring.push(stamp, frames * usize::from(channels), |first, second| {
            nonfinite = fill(first, second);
        });
        if taken {
            self.pending = None;
            self.note_delivery(mono_ns, nonfinite);
            // Fails only when the counter is full, and then the pump is awake anyway.
            let _ = self.bell.write(1);
        } else {
            Counters::add(&self.counters.ring_dropped, frames as u64);
            self.pending.get_or_insert(GapReason::RingFull);
        }
        Counters::add(&self.counters.captured, frames as u64);
        self.timeline.advance(frames as u64);
    }

    fn note_delivery(&mut self, mono_ns: i64, nonfinite: u64) {
        let capacity = self.ring.capacity().max(1);
        let permille = (capacity - self.ring.free()) * 1000 / capacity;
        let permille = u32::try_from(permille).unwrap_or(u32::MAX);
        let counters = &self.counters;
        counters.ring_fill_permille.store(permille, Ordering::Relaxed);
        counters.ring_peak_permille.fetch_max(permille, Ordering::Relaxed);
        counters.delivered_ns.store(mono_ns, Ordering::Relaxed);
        counters.delivering.store(true, Ordering::Relaxed);
        if nonfinite > 0 {
            Counters::add(&counters.nonfinite, nonfinite);
        }
    }
}

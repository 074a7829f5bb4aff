//! The programme: what comes out of the ring, put in its place. Pure; time is told, nothing is waited for.
//!
//! Sound is cut along periods and block borders, holes become counted silence, and changes of state
//! become marks in the same order as the sound. While no source has a clock, silence is paced by the
//! monotonic clock a little behind real time, so that the returning device's own, exact position is
//! never overtaken; if it is, the programme keeps its place and the device's frames are moved up.

use std::sync::Arc;

use crate::audio::{Cutter, GapReason, Payload, Quantum, State, StateMark, duration_ns, frames_in};
use crate::capture::Stamp;
use crate::tools::clock::NS_PER_MS;

/// Silence longer than this is not played: players are told of a break.
const LONGEST_FILLER_S: u64 = 10;
/// How far paced silence stays behind real time, beyond two periods: the time that a returning device
/// and a busy machine may take to hand over their first chunk.
const FILLER_LAG_NS: i64 = 50 * NS_PER_MS;

/// What the programme is made of, fixed while it runs.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Frames per second.
    pub sample_rate: u32,
    /// Frames of a block.
    pub block_frames: u32,
    /// Frames of a period: the longest quantum of sound.
    pub period_frames: u32,
}

/// What happened, for the log and the observers.
#[derive(Debug, Clone)]
pub enum Event {
    /// An entry for the programme's log.
    Quantum(Quantum),
    /// A hole ended.
    GapEnded {
        /// Its first cause.
        reason: GapReason,
        /// Its length.
        frames: u64,
    },
}

#[derive(Debug, Clone, Copy)]
struct Hole {
    reason: GapReason,
    frames: u64,
}

/// The state of the programme.
#[derive(Debug)]
pub struct Programme {
    shape: Shape,
    cutter: Cutter,
    epoch: u64,
    paused: bool,
    /// Sound captured before this moment was captured while paused.
    heard_from_ns: i64,
    /// Where the programme ends now: position, and the time after its last frame. `None` before the first sound.
    end: Option<(u64, i64)>,
    /// Added to the device's positions: frames by which paced silence overtook it.
    shift: u64,
    hole: Option<Hole>,
    /// Why there is no sound, while there is none.
    idle: Option<GapReason>,
}

impl Programme {
    /// A programme that has not begun; its first block will have this number.
    pub const fn new(shape: Shape, paused: bool, first_block: u64) -> Self {
        Self {
            shape,
            cutter: Cutter::new(shape.block_frames, first_block),
            epoch: 0,
            paused,
            heard_from_ns: i64::MIN,
            end: None,
            shift: 0,
            hole: None,
            idle: None,
        }
    }

    /// Pauses counted so far.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Whether it is paused.
    pub fn is_paused(&self) -> bool {
        self.paused
    }

    /// Number of the next block.
    pub fn next_block(&self) -> u64 {
        self.cutter.next_block()
    }

    /// A chunk of interleaved samples came out of the ring.
    pub fn sound(&mut self, stamp: Stamp, samples: &[f32], emit: &mut dyn FnMut(Event)) {
        let channels = usize::from(stamp.channels).max(1);
        let frames = (samples.len() / channels) as u64;
        let position = self.place(stamp, emit);
        let silent = self.silent_frames(stamp.mono_ns, frames);
        if silent > 0 {
            self.fill(silent, stamp.mono_ns, GapReason::Paused, emit);
        }
        if silent < frames {
            self.end_hole(emit);
            let heard = &samples[usize::try_from(silent).unwrap_or(0) * channels..];
            let mono_ns = stamp.mono_ns + self.duration(silent);
            self.cut(heard, position + silent, mono_ns, stamp.channels, emit);
        }
    }

    /// How many frames of a chunk must not be heard: all while paused, else those captured before the
    /// programme was resumed.
    fn silent_frames(&self, mono_ns: i64, frames: u64) -> u64 {
        if self.paused {
            return frames;
        }
        if mono_ns >= self.heard_from_ns {
            return 0;
        }
        // The frame that was under way at that moment is not heard either.
        (frames_in(self.heard_from_ns - mono_ns, self.shape.sample_rate) + 1).min(frames)
    }

    /// Brings the programme up to where a chunk begins, and says where that is.
    fn place(&mut self, stamp: Stamp, emit: &mut dyn FnMut(Event)) -> u64 {
        let position = stamp.position + self.shift;
        let Some((end, end_ns)) = self.end else {
            self.end = Some((position, stamp.mono_ns));
            return position;
        };
        if position > end {
            let reason = stamp.reason.or(self.idle).unwrap_or(GapReason::Overrun);
            self.fill(position - end, end_ns, reason, emit);
        }
        self.shift += end.saturating_sub(position);
        position.max(end)
    }

    /// Nothing came out of the ring for a while.
    pub fn idle(&mut self, now_ns: i64, emit: &mut dyn FnMut(Event)) {
        let (Some(reason), Some((_, end_ns))) = (self.idle, self.end) else { return };
        let period = u64::from(self.shape.period_frames);
        let until_ns = now_ns - FILLER_LAG_NS - 2 * self.duration(period);
        let missing = frames_in(until_ns - end_ns, self.shape.sample_rate) / period * period;
        if missing > 0 {
            self.fill(missing, end_ns, reason, emit);
        }
    }

    /// What the source is doing: without it, silence is paced from here on.
    pub fn source(&mut self, state: State) {
        self.idle = match state {
            State::Stalled => Some(GapReason::Stalled),
            State::Absent => Some(GapReason::Absent),
            State::Starting | State::Running | State::Paused | State::Stopping => None,
        };
    }

    /// The state of the programme changed: the open block ends, and the change stands after it.
    pub fn mark(&mut self, mark: StateMark, now_ns: i64, emit: &mut dyn FnMut(Event)) {
        self.cutter.cut();
        let (position, _) = self.end.unwrap_or((0, now_ns));
        self.push(position, 0, now_ns, (self.cutter.next_block(), 0), Payload::State(mark), emit);
    }

    /// Pauses: what was captured before, and reached the log, is of an older epoch from here on. The
    /// caller withdraws it.
    pub fn pause(&mut self) {
        self.paused = true;
        self.epoch += 1;
        self.cutter.cut();
    }

    /// Resumes: what is captured from `now_ns` on is heard.
    pub fn resume(&mut self, now_ns: i64) {
        self.paused = false;
        self.heard_from_ns = now_ns;
    }

    fn duration(&self, frames: u64) -> i64 {
        duration_ns(frames, self.shape.sample_rate)
    }

    fn cut(
        &mut self,
        samples: &[f32],
        position: u64,
        mono_ns: i64,
        channels: u16,
        emit: &mut dyn FnMut(Event),
    ) {
        let width = usize::from(channels).max(1);
        let frames = samples.len() / width;
        let mut done = 0_usize;
        while done < frames {
            let most = self.cutter.room().min(self.shape.period_frames);
            let count = most.min(u32::try_from(frames - done).unwrap_or(u32::MAX));
            let piece: Arc<[f32]> = samples[done * width..(done + count as usize) * width].into();
            let place = self.cutter.sound(count);
            let payload = Payload::Sound { samples: piece, channels };
            let at_ns = mono_ns + self.duration(done as u64);
            self.push(position + done as u64, count.into(), at_ns, place, payload, emit);
            done += count as usize;
        }
        self.end = Some((position + frames as u64, mono_ns + self.duration(frames as u64)));
    }

    fn fill(&mut self, frames: u64, mono_ns: i64, reason: GapReason, emit: &mut dyn FnMut(Event)) {
        let (position, _) = self.end.unwrap_or((0, mono_ns));
        // Whatever else went wrong meanwhile, nobody would have heard it.
        let reason = if self.paused { GapReason::Paused } else { reason };
        self.cutter.missing(frames);
        self.hole.get_or_insert(Hole { reason, frames: 0 }).frames += frames;
        let discontinuity = frames > LONGEST_FILLER_S * u64::from(self.shape.sample_rate);
        let place = (self.cutter.next_block(), 0);
        self.push(position, frames, mono_ns, place, Payload::Filler { reason, discontinuity }, emit);
        self.end = Some((position + frames, mono_ns.saturating_add(self.duration(frames))));
    }

    fn end_hole(&mut self, emit: &mut dyn FnMut(Event)) {
        if let Some(Hole { reason, frames }) = self.hole.take() {
            emit(Event::GapEnded { reason, frames });
        }
    }

    fn push(
        &self,
        position: u64,
        frames: u64,
        mono_ns: i64,
        (block, offset): (u64, u32),
        payload: Payload,
        emit: &mut dyn FnMut(Event),
    ) {
        emit(Event::Quantum(Quantum {
            epoch: self.epoch,
            position,
            frames,
            mono_ns,
            block,
            offset,
            payload,
        }));
    }
}

/// Seconds of the programme that are kept, for listeners who come back and encodings that begin late.
pub const KEPT_S: u64 = 10;

#[cfg(test)]
#[path = "programme_tests.rs"]
mod tests;

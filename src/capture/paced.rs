//! Sources without a clock of their own, paced by `CLOCK_MONOTONIC` in periods, like a card would be.

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::os::fd::AsFd;
use std::time::Duration;

use super::counters::Counters;
use super::{End, Granted, Lane, Session, Settings, period_frames};
use crate::audio::{GapReason, duration_ns, frames_in};
use crate::error::Result;
use crate::tools::clock::{self, NS_PER_MS};
use crate::tools::stop::Stop;

/// A stalled source says nothing for so long before its session ends, as an ALSA one does.
const STALLED_MS: u64 = 100;

/// What a paced source plays.
pub trait Program: Send {
    /// Name of the sample format.
    fn format(&self) -> &'static str;
    /// Interleaved channels.
    fn channels(&self) -> u16;
    /// Fills whole frames. Returns how many; fewer than asked at the end.
    ///
    /// # Errors
    /// The material cannot be read.
    fn fill(&mut self, out: &mut [f32]) -> Result<usize>;
    /// Asked before each period: whether something goes wrong now.
    fn trouble(&mut self) -> Option<Trouble> {
        None
    }
}

/// What can go wrong on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Sound is lost for so long, as by a buffer that ran over.
    Overrun(Duration),
    /// The same, as by a suspend.
    Suspend(Duration),
    /// Nothing comes; the source is to be opened again.
    Stall,
    /// The device is gone.
    Unplug,
}

/// A program being played.
pub struct PacedSession<P> {
    program: P,
    sample_rate: u32,
    period_frames: u32,
    buffer_frames: u32,
}

impl<P: Program> PacedSession<P> {
    /// Plays a program at the configured rate and period.
    pub fn new(program: P, settings: &Settings) -> Self {
        let buffer_frames = settings.sample_rate / 10 * settings.buffer_ms.div_ceil(100);
        Self {
            program,
            sample_rate: settings.sample_rate,
            period_frames: period_frames(settings),
            buffer_frames,
        }
    }
}

/// The place in time of a paced session: frames since its clock was set.
struct Pace {
    start_ns: i64,
    delivered: u64,
    sample_rate: u32,
}

impl Pace {
    fn begin(lane: &mut Lane, sample_rate: u32) -> Self {
        let start_ns = clock::mono_ns();
        lane.resume(start_ns, clock::slept_ns(), 0);
        Self { start_ns, delivered: 0, sample_rate }
    }

    fn due(&self) -> u64 {
        frames_in(clock::mono_ns() - self.start_ns, self.sample_rate).saturating_sub(self.delivered)
    }

    /// When the frames up to this one have been captured.
    fn time_after(&self, frames: u64) -> i64 {
        self.start_ns + duration_ns(self.delivered + frames, self.sample_rate)
    }
}

impl<P: Program> Session for PacedSession<P> {
    fn granted(&self) -> Granted {
        Granted {
            format: self.program.format(),
            channels: self.program.channels(),
            period_frames: self.period_frames,
            buffer_frames: self.buffer_frames,
        }
    }

    fn run(mut self: Box<Self>, lane: &mut Lane, stop: &Stop) -> End {
        let mut buffer = vec![0.0; self.period_frames as usize * usize::from(self.program.channels())];
        let period = u64::from(self.period_frames);
        let mut pace = Pace::begin(lane, self.sample_rate);
        loop {
            lane.counters.pulse.beat();
            if let Some(trouble) = self.program.trouble() {
                match suffer(trouble, lane, stop) {
                    Some(end) => return end,
                    None => pace = Pace::begin(lane, self.sample_rate),
                }
            }
            if pace.due() > u64::from(self.buffer_frames) {
                // Held up for longer than a card would have kept the sound.
                Counters::add(&lane.counters.overruns, 1);
                lane.interrupted(GapReason::Overrun);
                pace = Pace::begin(lane, self.sample_rate);
            }
            while pace.due() >= period {
                lane.pace(pace.time_after(period), clock::slept_ns(), period);
                let Ok(frames) = self.program.fill(&mut buffer) else { return End::Gone(libc::EIO) };
                hand_over(lane, &buffer, frames, self.program.channels());
                pace.delivered += frames as u64;
                if (frames as u64) < period {
                    return End::Finished;
                }
            }
            if wait_until(pace.time_after(period), stop) {
                return End::Stopped;
            }
        }
    }
}

fn hand_over(lane: &mut Lane, samples: &[f32], frames: usize, channels: u16) {
    if frames == 0 {
        return;
    }
    lane.deliver(frames, channels, |first, second| {
        let (head, tail) = samples[..frames * usize::from(channels)].split_at(first.len());
        first.copy_from_slice(head);
        second.copy_from_slice(tail);
        0
    });
}

/// Lets the trouble happen; `Some` when it ends the session.
fn suffer(trouble: Trouble, lane: &mut Lane, stop: &Stop) -> Option<End> {
    let (reason, counter, lost) = match trouble {
        Trouble::Overrun(lost) => (GapReason::Overrun, &lane.counters.overruns, lost),
        Trouble::Suspend(lost) => (GapReason::Suspend, &lane.counters.suspends, lost),
        Trouble::Unplug => return Some(End::Gone(libc::ENODEV)),
        Trouble::Stall => {
            let stopped = wait(Duration::from_millis(STALLED_MS), stop);
            return Some(if stopped { End::Stopped } else { End::Stalled });
        }
    };
    Counters::add(counter, 1);
    lane.interrupted(reason);
    wait(lost, stop).then_some(End::Stopped)
}

fn wait(time: Duration, stop: &Stop) -> bool {
    wait_until(clock::mono_ns().saturating_add(i64::try_from(time.as_nanos()).unwrap_or(i64::MAX)), stop)
}

/// Waits for a moment of the monotonic clock; `true` when asked to stop before.
fn wait_until(mono_ns: i64, stop: &Stop) -> bool {
    loop {
        let left_ns = mono_ns.saturating_sub(clock::mono_ns());
        if left_ns <= 0 {
            return stop.is_stopped();
        }
        // Rounded up, so that the moment has passed on return.
        let left_ms = u16::try_from((left_ns + NS_PER_MS - 1) / NS_PER_MS).unwrap_or(u16::MAX);
        let mut fds = [PollFd::new(stop.as_fd(), PollFlags::POLLIN)];
        // An interruption is as good as a time-out: the loop looks at the clock again.
        if poll(&mut fds, PollTimeout::from(left_ms)).unwrap_or(0) > 0 {
            return true;
        }
    }
}

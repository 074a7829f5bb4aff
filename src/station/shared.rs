//! What the station's threads and the doors share: counters, states, wishes. No thread waits here.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use talas_wire::{LastGap, SourceKind};

use super::controls::Controls;
use super::frames;
use super::health::Health;
use super::history::History;
use super::listeners::Listeners;
use super::listening::Hearing;
use super::packets;
use super::processing::Processing;
use super::renditions::Renditions;
use crate::audio::GapReason;
use crate::capture::{self, Counters, Granted, ToneControl};
use crate::tools::clock::WallClock;
use crate::tools::lock::lock;
use crate::tools::pulse::Pulse;

/// Something counted for each reason of a gap.
type ByReason = [AtomicU64; GapReason::ALL.len()];

fn sum(counters: &ByReason, counts: impl Fn(GapReason) -> bool) -> u64 {
    let counted = GapReason::ALL.into_iter().filter(|reason| counts(*reason));
    counted.map(|reason| counters[reason as usize].load(Ordering::Relaxed)).sum()
}

/// Holes in the programme.
#[derive(Debug, Default)]
pub struct Gaps {
    /// How many ended, by their first cause.
    holes: ByReason,
    /// Frames of silence put in, by what each stands for.
    filler: ByReason,
    last: Mutex<Option<LastGap>>,
}

impl Gaps {
    /// So many frames of silence were put in.
    pub fn filled(&self, reason: GapReason, frames: u64) {
        self.filler[reason as usize].fetch_add(frames, Ordering::Relaxed);
    }

    /// How many there were.
    pub fn total(&self) -> u64 {
        sum(&self.holes, |_| true)
    }

    /// How many there were whose first cause was this.
    pub fn total_of(&self, reason: GapReason) -> u64 {
        sum(&self.holes, |counted| counted == reason)
    }

    /// Frames of filler, pauses included.
    pub fn filler(&self) -> u64 {
        sum(&self.filler, |_| true)
    }

    /// Frames of filler for one reason.
    pub fn filler_of(&self, reason: GapReason) -> u64 {
        sum(&self.filler, |counted| counted == reason)
    }

    /// Frames of filler that stand for lost sound: pauses are not a loss.
    pub fn lost(&self) -> u64 {
        sum(&self.filler, |reason| reason != GapReason::Paused)
    }

    /// A hole ended.
    pub fn ended(&self, reason: GapReason, frames: u64, now_ms: u64) {
        self.holes[reason as usize].fetch_add(1, Ordering::Relaxed);
        let gap = LastGap { reason: reason.as_str().to_owned(), lost_samples: frames, ended_ms: now_ms };
        *lock(&self.last) = Some(gap);
    }

    /// The newest.
    pub fn last(&self) -> Option<LastGap> {
        lock(&self.last).clone()
    }
}

/// Everything shared.
#[derive(Debug)]
pub struct Shared {
    /// `[capture]` as it was at start.
    pub settings: capture::Settings,
    /// Kind of the source.
    pub source_kind: SourceKind,
    /// Name of the source.
    pub source_name: String,
    /// Steers the tone, if the source is one.
    pub tone: Option<Arc<ToneControl>>,
    /// Monotonic to wall time.
    pub wall: Arc<WallClock>,
    /// When the daemon started.
    pub started: Instant,
    /// The same in milliseconds since the epoch, as the clock stood then.
    pub started_ms: u64,
    /// State of the programme.
    pub state: Health,
    /// State of the source, apart from pause.
    pub source_state: Health,
    /// What capture has seen.
    pub counters: Arc<Counters>,
    /// What the device granted; `None` before it was first opened.
    pub granted: Mutex<Option<Granted>>,
    /// Holes in the programme.
    pub gaps: Gaps,
    /// The newest trouble with the source.
    pub last_error: Mutex<Option<String>>,
    /// Number of the next block.
    pub blocks: AtomicU64,
    /// Where blocks lay.
    pub history: History,
    /// What the pump hears.
    pub hearing: Hearing,
    /// Wishes of the doors.
    pub controls: Controls,
    /// Effects of the programme.
    pub processing: Processing,
    /// Running encodings of the frame API.
    pub renditions: Renditions<frames::Key>,
    /// Running encodings of low-latency sound.
    pub packets: Renditions<packets::Form>,
    /// Who listens.
    pub listeners: Arc<Listeners>,
    /// Heartbeat of the pump.
    pub pump_pulse: Pulse,
    /// Heartbeat of the keeper.
    pub keeper_pulse: Pulse,
}

impl Shared {
    /// Blocks since the daemon started.
    pub fn blocks_made(&self) -> u64 {
        self.blocks.load(Ordering::Relaxed).saturating_sub(self.history.first_block())
    }

    /// The device's parameters, as granted last.
    pub fn granted(&self) -> Option<Granted> {
        lock(&self.granted).clone()
    }

    /// Remembers the newest trouble with the source.
    pub fn note_error(&self, error: String) {
        *lock(&self.last_error) = Some(error);
    }

    /// Tells the journal that sound flows.
    pub fn tell_running(&self) {
        let Some(granted) = self.granted() else { return };
        tracing::info!(
            event = "capture_running",
            source = self.source_name,
            format = granted.format,
            channels = granted.channels,
            sample_rate = self.settings.sample_rate,
            period_frames = granted.period_frames,
            buffer_frames = granted.buffer_frames,
            realtime = ?self.counters.realtime(),
            "capturing"
        );
    }
}

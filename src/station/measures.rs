//! What the metrics show: the snapshot, and the counters behind it that only a machine wants to see.

use std::sync::atomic::Ordering;

use talas_wire::{AudioPerformanceMetrics, AudioQualityMetrics, MemoryUsage, Status};

use super::Station;
use super::process::Process;
use super::totals::SoundTotals;
use crate::audio::GapReason;
use crate::dsp::analysis::Condition;
use crate::tools::histogram::Times;

/// Everything that is measured, at one moment.
#[derive(Debug, Clone)]
pub struct Measures {
    /// The snapshot.
    pub status: Status,
    /// When the daemon started, in milliseconds since the epoch.
    pub started_ms: u64,
    /// How long it has run, in seconds.
    pub uptime_s: f64,
    /// Blocks since the daemon started.
    pub blocks: u64,
    /// Holes in the programme, by reason.
    pub gaps: Vec<GapCount>,
    /// What is measured of the sound.
    pub quality: AudioQualityMetrics,
    /// What may be wrong with it: the word, whether it is so now, and how often it was seen.
    pub conditions: Vec<(&'static str, bool, u64)>,
    /// How well the pipeline does its work.
    pub performance: AudioPerformanceMetrics,
    /// Time that the pump spent on sound, in seconds, and the frames that it was.
    pub work: (f64, u64),
    /// Streams of live frames.
    pub streams: Streams,
    /// Streams of live sound.
    pub live: SoundStreams,
    /// Streams of low-latency sound.
    pub packets: SoundStreams,
    /// Memory of the daemon and of the machine, as the statistics have it.
    pub memory: MemoryUsage,
    /// Processor time over the last seconds in per cent of one core, as the statistics have it.
    pub cpu_percent: f64,
    /// What the system counts of this process.
    pub process: Option<Process>,
    /// Bytes in use on the file system of the state directory.
    pub disk_used_bytes: Option<u64>,
}

/// Holes that have a reason in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GapCount {
    /// The reason.
    pub reason: GapReason,
    /// How many ended whose first cause it was.
    pub holes: u64,
    /// Frames of silence put in for it.
    pub filler: u64,
}

/// Streams of live frames, since the daemon started.
#[derive(Debug, Clone, PartialEq)]
pub struct Streams {
    /// Streams now.
    pub active: u64,
    /// Streams ever begun.
    pub begun: u64,
    /// Streams ever ended.
    pub ended: u64,
    /// Bytes written to sockets.
    pub bytes: u64,
    /// Blocks that slow listeners missed.
    pub dropped: u64,
    /// Blocks written to sockets, by the time from the capture of the first sample.
    pub latency: Times,
    /// Mean of these times over the last seconds, in seconds; 0 without listeners.
    pub mean_latency_s: f64,
}

/// Streams of one kind of sound, since the daemon started.
#[derive(Debug, Clone, PartialEq)]
pub struct SoundStreams {
    /// Listeners now.
    pub active: u64,
    /// Listeners ever come.
    pub begun: u64,
    /// Listeners ever gone.
    pub ended: u64,
    /// Times that a listener was too slow: of live sound it was cut, of low-latency sound told what it missed.
    pub late: u64,
    /// Bytes written to sockets.
    pub bytes: u64,
    /// What was written to those who had everything before, by the time from the capture of the first sample.
    pub latency: Times,
}

impl Station {
    /// Measures everything. Asks the file system of the state directory, which may be slow: for a
    /// thread that may wait.
    pub fn measures(&self) -> Measures {
        let shared = &self.shared;
        let figures = self.rates.figures();
        let count = |reason| GapCount {
            reason,
            holes: shared.gaps.total_of(reason),
            filler: shared.gaps.filler_of(reason),
        };
        let reasons = GapReason::ALL.into_iter().filter(|reason| reason.is_of_programme());
        let disk = self.file_system();
        Measures {
            status: self.status(),
            started_ms: shared.started_ms,
            uptime_s: shared.started.elapsed().as_secs_f64(),
            blocks: shared.blocks_made(),
            gaps: reasons.map(count).collect(),
            quality: self.audio_quality(),
            conditions: self.conditions_seen(),
            performance: self.audio_performance(),
            work: self.work(),
            streams: self.streams(figures.latency_ms / 1e3),
            live: sound_streams(&shared.listeners.totals.live),
            packets: sound_streams(&shared.listeners.totals.packets),
            memory: figures.memory,
            cpu_percent: figures.cpu_percent,
            process: Process::now(),
            disk_used_bytes: disk.map(|disk| (disk.blocks() - disk.blocks_free()) * disk.fragment_size()),
        }
    }

    fn conditions_seen(&self) -> Vec<(&'static str, bool, u64)> {
        let hearing = &self.shared.hearing;
        let heard = hearing.meters.borrow().clone();
        let seen = |condition: Condition| {
            let count = hearing.counts[condition as usize].load(Ordering::Relaxed);
            (condition.as_str(), heard.report.conditions.of(condition).is_on, count)
        };
        Condition::ALL.into_iter().map(seen).collect()
    }

    fn work(&self) -> (f64, u64) {
        let [time_ns, frames] = &self.shared.hearing.work;
        (time_ns.load(Ordering::Relaxed) as f64 / 1e9, frames.load(Ordering::Relaxed))
    }

    fn streams(&self, mean_latency_s: f64) -> Streams {
        let listeners = &self.shared.listeners;
        let totals = &listeners.totals;
        Streams {
            active: listeners.frames(),
            // As below.
            ended: totals.ended.load(Ordering::Acquire),
            begun: totals.begun.load(Ordering::Acquire),
            bytes: totals.bytes.load(Ordering::Relaxed),
            dropped: totals.dropped.load(Ordering::Relaxed),
            latency: totals.latency.read(),
            mean_latency_s,
        }
    }
}

fn sound_streams(totals: &SoundTotals) -> SoundStreams {
    SoundStreams {
        active: totals.active.load(Ordering::Relaxed),
        // In this order more have begun than ended, whatever happens in between.
        ended: totals.ended.load(Ordering::Acquire),
        begun: totals.begun.load(Ordering::Acquire),
        late: totals.late.load(Ordering::Relaxed),
        bytes: totals.bytes.load(Ordering::Relaxed),
        latency: totals.latency.read(),
    }
}

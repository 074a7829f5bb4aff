//! How well the pipeline does its work: what processing costs, what was lost, and one score of both.
//! Sampled once a second by the housekeeper.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::Ordering;

use talas_wire::AudioPerformanceMetrics;

use super::Station;
use super::quality::{rfc3339, rounded};
use super::shared::Shared;
use crate::audio::GapReason;
use crate::dsp::analysis::Condition;
use crate::tools::lock::lock;

/// The score is over so many seconds of programme.
const SCORED: usize = 60;
/// What processing costs is over so many.
const TIMED: usize = 5;
/// Bytes in a megabyte.
const MB: f64 = 1e6;

/// A second of the programme; all 0 while paused, or before the first sound.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Second {
    /// Frames of sound.
    sound: u64,
    /// Frames of silence in the place of missing sound.
    lost: u64,
    /// Time that the pump spent on the sound, in nanoseconds.
    work_ns: u64,
    /// Something was wrong with the sound.
    has_defect: bool,
}

/// What the counters stood at.
#[derive(Debug, Clone, Copy, Default)]
struct Totals {
    sound: u64,
    lost: u64,
    work_ns: u64,
    defects: u64,
}

impl Totals {
    fn of(shared: &Shared) -> Self {
        let [work_ns, sound] = &shared.hearing.work;
        let defects = Condition::ALL.into_iter().filter(|condition| condition.is_defect());
        let count = |condition: Condition| shared.hearing.counts[condition as usize].load(Ordering::Relaxed);
        Self {
            sound: sound.load(Ordering::Relaxed),
            lost: shared.gaps.lost(),
            work_ns: work_ns.load(Ordering::Relaxed),
            defects: defects.map(count).sum(),
        }
    }

    /// The second that ended, if there was a programme in it.
    fn since(&self, before: &Self, has_standing_defect: bool) -> Option<Second> {
        let second = Second {
            sound: self.sound - before.sound,
            lost: self.lost - before.lost,
            work_ns: self.work_ns - before.work_ns,
            has_defect: has_standing_defect || self.defects > before.defects,
        };
        (second.sound + second.lost > 0).then_some(second)
    }
}

/// The last minute.
#[derive(Debug, Default)]
pub struct Performance {
    samples: Mutex<(Totals, VecDeque<Second>)>,
}

impl Performance {
    /// Once a second.
    pub fn sample(&self, shared: &Shared) {
        let totals = Totals::of(shared);
        let heard = shared.hearing.meters.borrow().clone();
        let is_wrong = heard.report.conditions.standing().any(|(condition, _)| condition.is_defect());
        let mut samples = lock(&self.samples);
        let (before, seconds) = &mut *samples;
        if let Some(second) = totals.since(before, is_wrong) {
            if seconds.len() == SCORED {
                seconds.pop_front();
            }
            seconds.push_back(second);
        }
        *before = totals;
    }

    fn seconds(&self) -> Vec<Second> {
        lock(&self.samples).1.iter().copied().collect()
    }
}

/// From 0 to 100: the share of the sound that came, times the share of the seconds without a defect;
/// `None` of nothing.
fn score(seconds: &[Second]) -> Option<f64> {
    let sound: u64 = seconds.iter().map(|second| second.sound).sum();
    let lost: u64 = seconds.iter().map(|second| second.lost).sum();
    let clean = seconds.iter().filter(|second| !second.has_defect).count();
    (!seconds.is_empty())
        .then(|| 100.0 * sound as f64 / (sound + lost) as f64 * clean as f64 / seconds.len() as f64)
}

/// Time that so many frames of sound take, in milliseconds; `None` without sound.
fn processing_ms(seconds: &[Second], frames: u32) -> Option<f64> {
    let sound: u64 = seconds.iter().map(|second| second.sound).sum();
    let work_ns: u64 = seconds.iter().map(|second| second.work_ns).sum();
    (sound > 0).then(|| work_ns as f64 / sound as f64 * f64::from(frames) / 1e6)
}

impl Station {
    /// How well the pipeline does its work.
    pub fn audio_performance(&self) -> AudioPerformanceMetrics {
        let shared = &self.shared;
        let figures = self.rates.figures();
        let seconds = self.performance.seconds();
        let newest = &seconds[seconds.len().saturating_sub(TIMED)..];
        let dry = [GapReason::Stalled, GapReason::Absent, GapReason::Suspend];
        let timestamp_ms = shared.wall.now_ms();
        AudioPerformanceMetrics {
            processing_time_ms: processing_ms(newest, shared.settings.block_frames).map(rounded(6)),
            cpu_usage_percent: rounded(3)(figures.cpu_percent),
            memory_usage_mb: rounded(3)(figures.memory.used_bytes as f64 / MB),
            buffer_underruns: dry.into_iter().map(|reason| shared.gaps.total_of(reason)).sum(),
            buffer_overruns: shared.counters.overruns.load(Ordering::Relaxed)
                + shared.gaps.total_of(GapReason::RingFull),
            quality_score: score(&seconds).map(rounded(2)),
            timestamp: rfc3339(timestamp_ms),
            timestamp_ms,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLEAN: Second = Second { sound: 48_000, lost: 0, work_ns: 2_000_000, has_defect: false };

    #[test]
    fn the_score_is_what_came_times_what_was_clean() {
        assert_eq!(score(&[]), None);
        assert_eq!(score(&[CLEAN; 60]), Some(100.0));
        let half = Second { sound: 24_000, lost: 24_000, ..CLEAN };
        assert_eq!(score(&[half; 10]), Some(50.0));
        let broken = Second { has_defect: true, ..CLEAN };
        assert_eq!(score(&[CLEAN, CLEAN, CLEAN, broken]), Some(75.0));
        assert_eq!(score(&[Second { has_defect: true, ..half }, half]), Some(25.0));
        let stalled = Second { sound: 0, lost: 48_000, ..CLEAN };
        assert_eq!(score(&[stalled; 3]), Some(0.0));
    }

    #[test]
    fn processing_is_told_for_a_block() {
        // 2 ms of work for a second of sound.
        let found = processing_ms(&[CLEAN; 5], 4800).expect("sound");
        assert!((found - 0.2).abs() < 1e-9);
        assert_eq!(processing_ms(&[], 1024), None);
    }

    #[test]
    fn a_second_without_a_programme_does_not_count() {
        let before = Totals { sound: 10, lost: 5, work_ns: 7, defects: 1 };
        assert_eq!(before.since(&before, true), None);
        let after = Totals { sound: 20, defects: 2, ..before };
        let expected = Second { sound: 10, lost: 0, work_ns: 0, has_defect: true };
        assert_eq!(after.since(&before, false), Some(expected));
    }
}

//! What a self-test has seen: the beginning, the end, and what was sampled in between.

use std::time::{Duration, Instant};

use talas_wire::{Hello, Meters, Status};

/// How things stood at one time.
#[derive(Debug, Clone)]
pub struct Look {
    /// The snapshot.
    pub status: Status,
    /// Blocks made since the daemon started.
    pub blocks: u64,
    /// When the snapshot was made, as well as that is known here.
    pub at: Instant,
}

/// What one channel was heard to do.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Heard {
    /// The highest sample in dB of full scale; `None` if there was only digital silence.
    pub peak_dbfs: Option<f64>,
    /// Samples at full scale, in the readings that were taken.
    pub clipped: u64,
}

/// All that was seen.
#[derive(Debug, Clone)]
pub struct Observation {
    /// How the daemon greeted.
    pub hello: Hello,
    /// How it began.
    pub first: Look,
    /// How it ended.
    pub last: Look,
    /// How long each answer took.
    pub round_trips: Vec<Duration>,
    /// The captured channels.
    pub channels: Vec<Heard>,
    /// Different readings of the meters that had channels.
    pub readings: u64,
    /// The longest time between two looks at the count of blocks between which it stood still.
    pub longest_standstill: Duration,
    newest_reading_ms: u64,
    /// The count of blocks, and since when it has been that.
    blocks: (u64, Instant),
}

impl Observation {
    /// Nothing but the beginning has been seen.
    pub fn begin(hello: Hello, first: Look) -> Self {
        let blocks = (first.blocks, first.at);
        Self {
            hello,
            last: first.clone(),
            first,
            round_trips: Vec::new(),
            channels: Vec::new(),
            readings: 0,
            longest_standstill: Duration::ZERO,
            newest_reading_ms: 0,
            blocks,
        }
    }

    /// Takes a reading of the meters; one that was taken already counts once.
    pub fn hear(&mut self, meters: &Meters, took: Duration) {
        self.round_trips.push(took);
        if meters.channels.is_empty() || meters.timestamp_ms == self.newest_reading_ms {
            return;
        }
        self.newest_reading_ms = meters.timestamp_ms;
        self.readings += 1;
        if self.channels.len() < meters.channels.len() {
            self.channels.resize(meters.channels.len(), Heard::default());
        }
        for (heard, meter) in self.channels.iter_mut().zip(&meters.channels) {
            // `None` is digital silence and less than any level.
            if meter.peak_dbfs > heard.peak_dbfs {
                heard.peak_dbfs = meter.peak_dbfs;
            }
            heard.clipped = heard.clipped.saturating_add(meter.clipped);
        }
    }

    /// Takes a look at the count of blocks.
    pub fn count_blocks(&mut self, blocks: u64, at: Instant, took: Duration) {
        self.round_trips.push(took);
        let (before, since) = self.blocks;
        if blocks == before {
            self.longest_standstill = self.longest_standstill.max(at.saturating_duration_since(since));
        } else {
            self.blocks = (blocks, at);
        }
    }

    /// Between the first look and the last.
    pub fn elapsed(&self) -> Duration {
        self.last.at.saturating_duration_since(self.first.at)
    }

    /// The answer that took the middle place and the one that took longest.
    pub fn round_trip(&self) -> (Duration, Duration) {
        let mut sorted = self.round_trips.clone();
        sorted.sort_unstable();
        let middle = sorted.get(sorted.len() / 2).copied().unwrap_or_default();
        (middle, sorted.last().copied().unwrap_or_default())
    }
}

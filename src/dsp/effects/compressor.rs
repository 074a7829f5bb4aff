//! The compressor: feed-forward, in decibels, the channels linked.
//!
//! Static curve with a quadratic knee, and smoothing of the gain that branches between attack and
//! release, after D. Giannoulis, M. Massberg and J. Reiss, "Digital dynamic range compressor design: a
//! tutorial and analysis", JAES 60 (6), 2012. The level is the largest magnitude of all channels, held
//! over a few milliseconds: without that, a tone would be measured lower than it is, since its samples go
//! through zero twice a period.

use super::ramp::Ramp;
use super::sliding::SlidingMax;
use super::{amplitude, decibels, keep};
use crate::dsp::effect;

/// The level is held for so long, which covers half a period from 100 Hz on, …
const HOLD_S: f64 = 0.005;
/// … but not for more than this part of the release, which begins that much later.
const HOLD_OF_RELEASE: f64 = 0.05;

/// A compressor at work.
#[derive(Debug, Clone)]
pub struct Compressor {
    sample_rate: u32,
    channels: usize,
    curve: Curve,
    attack_keep: f64,
    release_keep: f64,
    makeup: Ramp,
    held: SlidingMax,
    /// Reduction now, in dB.
    reduction_db: f64,
}

impl Compressor {
    /// For sound of this shape.
    pub fn new(settings: &effect::Compressor, sample_rate: u32, channels: usize) -> Self {
        let mut compressor = Self {
            sample_rate,
            channels,
            curve: Curve::new(settings),
            attack_keep: 0.0,
            release_keep: 0.0,
            makeup: Ramp::at(amplitude(settings.makeup_db), sample_rate),
            held: SlidingMax::new(hold_frames(settings, sample_rate)),
            reduction_db: 0.0,
        };
        compressor.time(settings);
        compressor
    }

    fn time(&mut self, settings: &effect::Compressor) {
        let rate = f64::from(self.sample_rate);
        self.attack_keep = keep(settings.attack_ms, rate);
        self.release_keep = keep(settings.release_ms, rate);
    }

    /// Goes over to other settings. The reduction follows the new curve as it follows a new level.
    pub fn change(&mut self, settings: &effect::Compressor) {
        self.curve = Curve::new(settings);
        self.time(settings);
        self.makeup.go(amplitude(settings.makeup_db));
        // What was held is out of the window within 5 ms.
        self.held = SlidingMax::new(hold_frames(settings, self.sample_rate));
    }

    /// Forgets all sound.
    pub fn reset(&mut self) {
        self.held.reset();
        self.reduction_db = 0.0;
    }

    /// By how much it lowers the sound now, in dB.
    pub fn reduction_db(&self) -> f64 {
        self.reduction_db
    }

    /// Compresses in place.
    pub fn process(&mut self, samples: &mut [f32]) {
        for frame in samples.chunks_exact_mut(self.channels) {
            let level = frame.iter().fold(0.0_f32, |largest, sample| largest.max(sample.abs()));
            let wanted_db = self.curve.reduction_db(self.held.push(level));
            let keep = if wanted_db > self.reduction_db { self.attack_keep } else { self.release_keep };
            self.reduction_db = wanted_db + (self.reduction_db - wanted_db) * keep;
            let gain = (self.makeup.next() * amplitude(-self.reduction_db)) as f32;
            frame.iter_mut().for_each(|sample| *sample *= gain);
        }
        if self.reduction_db < 1e-9 {
            self.reduction_db = 0.0;
        }
    }
}

fn hold_frames(settings: &effect::Compressor, sample_rate: u32) -> usize {
    let seconds = HOLD_S.min(HOLD_OF_RELEASE * settings.release_ms / 1000.0);
    (seconds * f64::from(sample_rate)).ceil() as usize
}

/// The static curve: how much a level is to be lowered.
#[derive(Debug, Clone, Copy)]
struct Curve {
    threshold_db: f64,
    knee_db: f64,
    /// Reduction for each dB above the threshold: 1 − 1/ratio.
    slope: f64,
    /// Below this magnitude nothing is lowered.
    bend: f32,
}

impl Curve {
    fn new(settings: &effect::Compressor) -> Self {
        let effect::Compressor { threshold_db, ratio, knee_db, .. } = *settings;
        let bend = amplitude(threshold_db - knee_db / 2.0) as f32;
        Self { threshold_db, knee_db, slope: 1.0 - 1.0 / ratio, bend }
    }

    fn reduction_db(&self, level: f32) -> f64 {
        if level <= self.bend {
            return 0.0;
        }
        let above_db = decibels(level.into()) - self.threshold_db;
        if 2.0 * above_db < self.knee_db {
            self.slope * (above_db + self.knee_db / 2.0).powi(2) / (2.0 * self.knee_db)
        } else {
            self.slope * above_db
        }
    }
}

//! The limiter: it looks ahead, and knows true peaks.
//!
//! For each moment the gain is found that would bring its true peak down to the ceiling; the lowest of
//! these over a window is held, released slowly, and averaged over the way that it looks ahead, so that it
//! has come down evenly when the peak is there (the classic of look-ahead limiting; U. Zölzer, "DAFX",
//! 2nd ed., 4.2.2). The window is wider than the average by what an interpolated peak depends on: around a
//! peak the gain stands still, and what lies between the samples is lowered as the samples are.

use super::sliding::SlidingMax;
use super::true_peak::{REACH, TruePeak};
use super::{PIECE, amplitude, decibels, keep};
use crate::dsp::effect;

/// It aims so much under the ceiling: for what may lie between the points that are looked at, and for the
/// ripple of 0.2 dB that the standard's own filter has.
const MARGIN_DB: f64 = 0.25;
/// Fewest frames over which the gain comes down.
const LEAST_SLOPE: usize = 8;

/// A limiter at work.
#[derive(Debug, Clone)]
pub struct Limiter {
    sample_rate: u32,
    channels: usize,
    ceiling: f32,
    release_keep: f64,
    peaks: TruePeak,
    found: [f32; PIECE],
    highest: SlidingMax,
    /// The gain before it is averaged.
    gain: f64,
    /// Gains over the slope, and their sum.
    slope: Vec<f64>,
    sum: f64,
    slope_at: usize,
    /// Sound on its way.
    delay: Vec<f32>,
    delay_at: usize,
}

impl Limiter {
    /// For sound of this shape.
    pub fn new(settings: &effect::Limiter, sample_rate: u32, channels: usize) -> Self {
        let ahead = (settings.lookahead_ms / 1000.0 * f64::from(sample_rate)).round() as usize;
        let slope = (ahead + 1).saturating_sub(2 * REACH).max(LEAST_SLOPE);
        let mut limiter = Self {
            sample_rate,
            channels,
            ceiling: 1.0,
            release_keep: 0.0,
            peaks: TruePeak::new(channels),
            found: [0.0; PIECE],
            highest: SlidingMax::new(slope + 1 + 2 * REACH),
            gain: 1.0,
            slope: vec![1.0; slope],
            sum: slope as f64,
            slope_at: 0,
            // What a peak depends on before and after it, and the slope towards it.
            delay: vec![0.0; (slope - 1 + 2 * REACH) * channels],
            delay_at: 0,
        };
        limiter.change(settings);
        limiter
    }

    /// Goes over to other settings, but for how far it looks ahead.
    pub fn change(&mut self, settings: &effect::Limiter) {
        self.ceiling = amplitude(settings.ceiling_dbtp - MARGIN_DB) as f32;
        self.release_keep = keep(settings.release_ms, self.sample_rate.into());
    }

    /// By how many frames it delays the sound.
    pub fn latency_frames(&self) -> usize {
        self.delay.len() / self.channels
    }

    /// Forgets all sound.
    pub fn reset(&mut self) {
        self.peaks.reset();
        self.highest.reset();
        self.gain = 1.0;
        self.slope.fill(1.0);
        self.sum = self.slope.len() as f64;
        self.delay.fill(0.0);
    }

    /// By how much it lowers the sound now, in dB.
    pub fn reduction_db(&self) -> f64 {
        -decibels(self.sum / self.slope.len() as f64)
    }

    /// Limits a piece in place; what comes out went in [`latency_frames`](Self::latency_frames) before.
    pub fn process(&mut self, samples: &mut [f32]) {
        self.peaks.find(samples, &mut self.found);
        for (at, frame) in samples.chunks_exact_mut(self.channels).enumerate() {
            let gain = self.next_gain(self.found[at]) as f32;
            let waiting = &mut self.delay[self.delay_at..self.delay_at + self.channels];
            for (sample, waiting) in frame.iter_mut().zip(waiting) {
                *sample = std::mem::replace(waiting, *sample) * gain;
            }
            self.delay_at += self.channels;
            if self.delay_at == self.delay.len() {
                self.delay_at = 0;
            }
        }
    }

    fn next_gain(&mut self, peak: f32) -> f64 {
        let highest = self.highest.push(peak);
        let wanted = if highest > self.ceiling { f64::from(self.ceiling / highest) } else { 1.0 };
        self.gain = wanted.min(wanted + (self.gain - wanted) * self.release_keep);
        // It would never quite arrive, and sound would never again be what it was.
        if self.gain > 1.0 - 1e-6 {
            self.gain = 1.0;
        }
        let oldest = std::mem::replace(&mut self.slope[self.slope_at], self.gain);
        self.sum += self.gain - oldest;
        self.slope_at = (self.slope_at + 1) % self.slope.len();
        self.sum / self.slope.len() as f64
    }
}

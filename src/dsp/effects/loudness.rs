//! Loudness normalisation: measured as ITU-R BS.1770-4 and EBU R 128 do, corrected as the sound goes by.
//!
//! Blocks of 400 ms, one every 100 ms, K-weighted. A block counts when it is above −70 LUFS, and not more
//! than 10 LU below what went before (the relative gate, against a mean over 10 s instead of a whole
//! programme, which a live one does not have): breath and pauses leave the gain where it is. The newest
//! blocks that count, as many as fill the window, give the loudness; the gain goes to what is missing to
//! the target, 63 % of the way in a window's length. All channels weigh the same.

use std::collections::VecDeque;

use super::biquad::{Coefficients, Memory};
use super::{amplitude, keep};
use crate::dsp::analysis::k_weighting;
use crate::dsp::effect;

/// Steps of the measurement a second, and steps of a block.
const STEPS_PER_S: u32 = 10;
const BLOCK_STEPS: usize = 4;
/// Absolute and relative gate of BS.1770-4.
const ABSOLUTE_GATE_LUFS: f64 = -70.0;
const RELATIVE_GATE_LU: f64 = -10.0;
/// Over how long the mean is taken that the relative gate goes by.
const MEMORY_MS: f64 = 10_000.0;
/// Most blocks that a window can have.
const MOST_BLOCKS: usize = 300;

/// A normaliser at work.
#[derive(Debug, Clone)]
pub struct Loudness {
    settings: effect::Loudness,
    channels: usize,
    weighting: [Coefficients; 2],
    /// For each pair of channels, the memory of both filters.
    memory: Vec<[Memory; 2]>,
    step_frames: u32,
    /// Frames of the open step, and the sum of their squares.
    frames: u32,
    squares: f64,
    /// Mean squares of the last steps, of a block at most.
    steps: VecDeque<f64>,
    /// Mean squares of the blocks that count.
    blocks: VecDeque<f64>,
    /// Mean square of what went before.
    before: Option<f64>,
    /// Gain that is gone to in this step, in dB.
    gain_db: f64,
    /// Gain now, and by how much it changes with each frame.
    gain: f64,
    gain_step: f64,
}

impl Loudness {
    /// For sound of this shape.
    pub fn new(settings: &effect::Loudness, sample_rate: u32, channels: usize) -> Self {
        Self {
            settings: *settings,
            channels,
            weighting: k_weighting::stages(sample_rate),
            memory: vec![Default::default(); channels.div_ceil(2)],
            step_frames: (sample_rate / STEPS_PER_S).max(1),
            frames: 0,
            squares: 0.0,
            steps: VecDeque::with_capacity(BLOCK_STEPS),
            blocks: VecDeque::with_capacity(MOST_BLOCKS),
            before: None,
            gain_db: 0.0,
            gain: 1.0,
            gain_step: 0.0,
        }
    }

    /// Goes over to other settings, as it goes over to another loudness.
    pub fn change(&mut self, settings: &effect::Loudness) {
        self.settings = *settings;
    }

    /// What another one has learnt of the same sound is known here too.
    pub fn learn(&mut self, other: &Self) {
        self.steps.clone_from(&other.steps);
        self.blocks.clone_from(&other.blocks);
        Self { before: self.before, gain_db: self.gain_db, gain: self.gain, .. } = *other;
    }

    /// Forgets all sound.
    pub fn reset(&mut self) {
        self.memory.fill(Default::default());
        self.steps.clear();
        self.blocks.clear();
        (self.frames, self.squares, self.before) = (0, 0.0, None);
        (self.gain_db, self.gain, self.gain_step) = (0.0, 1.0, 0.0);
    }

    /// By how much it makes the sound louder now, in dB.
    pub fn gain_db(&self) -> f64 {
        self.gain_db
    }

    /// Corrects in place.
    pub fn process(&mut self, samples: &mut [f32]) {
        let mut rest = samples;
        while !rest.is_empty() {
            let until = (self.step_frames - self.frames) as usize * self.channels;
            let (now, later) = rest.split_at_mut(until.min(rest.len()));
            self.squares += self.measure(now);
            self.correct(now);
            self.frames += (now.len() / self.channels) as u32;
            if self.frames == self.step_frames {
                self.end_step();
            }
            rest = later;
        }
        self.memory.iter_mut().flatten().for_each(Memory::settle);
    }

    /// Sum of the squares of the K-weighted sound.
    fn measure(&mut self, samples: &[f32]) -> f64 {
        let [first, second] = &self.weighting;
        let mut squares = [0.0; 2];
        for (pair, [head, low]) in self.memory.iter_mut().enumerate() {
            for frame in samples.chunks_exact(self.channels) {
                let lanes = &frame[2 * pair..];
                let x = [lanes[0].into(), lanes.get(1).copied().unwrap_or_default().into()];
                let y = low.step(second, head.step(first, x));
                squares.iter_mut().zip(y).for_each(|(sum, y)| *sum += y * y);
            }
        }
        squares[0] + squares[1]
    }

    fn correct(&mut self, samples: &mut [f32]) {
        for frame in samples.chunks_exact_mut(self.channels) {
            self.gain += self.gain_step;
            let gain = self.gain as f32;
            frame.iter_mut().for_each(|sample| *sample *= gain);
        }
    }

    fn end_step(&mut self) {
        if self.steps.len() == BLOCK_STEPS {
            self.steps.pop_front();
        }
        self.steps.push_back(self.squares / f64::from(self.frames));
        (self.frames, self.squares) = (0, 0.0);
        if self.steps.len() == BLOCK_STEPS {
            self.hear(self.steps.iter().sum::<f64>() / BLOCK_STEPS as f64);
        }
        let wanted_db = self.wanted_db().unwrap_or(self.gain_db);
        let keep = keep(self.settings.window_ms, STEPS_PER_S.into());
        // The gain of the step that ends is reached exactly, whatever was rounded on the way.
        self.gain = amplitude(self.gain_db);
        self.gain_db = wanted_db + (self.gain_db - wanted_db) * keep;
        self.gain_step = (amplitude(self.gain_db) - self.gain) / f64::from(self.step_frames);
    }

    /// Counts a block if it passes the gates.
    fn hear(&mut self, block: f64) {
        if lufs(block) < ABSOLUTE_GATE_LUFS {
            return;
        }
        let before = self.before.unwrap_or(block);
        let keep = keep(MEMORY_MS, STEPS_PER_S.into());
        self.before = Some(block + (before - block) * keep);
        if lufs(block) < lufs(before) + RELATIVE_GATE_LU {
            return;
        }
        // A window has as many blocks as lie whole in it.
        let most = (self.settings.window_ms * f64::from(STEPS_PER_S) / 1000.0) as usize + 1 - BLOCK_STEPS;
        while self.blocks.len() >= most.clamp(1, MOST_BLOCKS) {
            self.blocks.pop_front();
        }
        self.blocks.push_back(block);
    }

    /// The gain that would bring what was heard to the target.
    fn wanted_db(&self) -> Option<f64> {
        let mean = self.blocks.iter().sum::<f64>() / self.blocks.len() as f64;
        let missing_db = self.settings.target_lufs - lufs(mean);
        (!self.blocks.is_empty()).then(|| missing_db.min(self.settings.max_gain_db))
    }
}

/// Loudness of a K-weighted mean square, summed over the channels.
fn lufs(mean_square: f64) -> f64 {
    -0.691 + 10.0 * mean_square.log10()
}

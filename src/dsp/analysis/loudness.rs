//! Loudness as ITU-R BS.1770-4 and EBU R 128 define it: momentary, short-term, integrated, and its range
//! (EBU Tech 3341 and 3342).
//!
//! The K-weighted energy of each 10 ms is kept for three seconds; every figure is a sum over these. What
//! the gates of an endless programme have to remember is in histograms, so memory does not grow.

use std::collections::VecDeque;

use super::k_weighting::KWeighting;

/// Slices of 10 ms in the momentary window.
const MOMENTARY: usize = 40;
/// Slices in the short-term window.
const SHORT_TERM: usize = 300;
/// Slices from one gating block to the next: three quarters overlap.
const GATING_STEP: usize = 10;
/// What is quieter counts for nothing, in LUFS.
const ABSOLUTE_GATE: f64 = -70.0;
/// What is so much quieter than the rest, in LU, does not count for the integrated loudness …
const INTEGRATED_GATE: f64 = -10.0;
/// … nor for the range.
const RANGE_GATE: f64 = -20.0;
/// The range is from the 10th to the 95th percentile.
const RANGE: (f64, f64) = (0.10, 0.95);
/// Weight of a surround channel in BS.1770: +1.5 dB.
const SURROUND: f64 = 1.41;

/// Loudness now; `None` where there is nothing to measure yet, or nothing above the gate.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Loudness {
    /// Of the last 400 ms, in LUFS.
    pub momentary: Option<f64>,
    /// Of the last 3 s, in LUFS.
    pub short_term: Option<f64>,
    /// Of everything since measuring began, gated, in LUFS.
    pub integrated: Option<f64>,
    /// Between the quiet and the loud parts of everything since measuring began, in LU.
    pub range: Option<f64>,
    /// The highest momentary loudness since measuring began, in LUFS.
    pub max_momentary: Option<f64>,
    /// The highest short-term loudness since measuring began, in LUFS.
    pub max_short_term: Option<f64>,
}

/// Measures loudness.
#[derive(Debug)]
pub struct LoudnessMeter {
    /// One filter for each channel, and the channel's weight.
    channels: Vec<(KWeighting, f64)>,
    /// Energy of each slice, newest last.
    slices: VecDeque<f64>,
    /// Slices until the next gating block ends.
    until_gating: usize,
    blocks: Histogram,
    short_terms: Histogram,
    max_momentary: f64,
    max_short_term: f64,
}

/// What a channel counts. Five and six channels are taken as L R C (LFE) Ls Rs; of any other number no
/// layout is known, and all count the same.
fn weight(channel: usize, channels: usize) -> f64 {
    match (channels, channel) {
        (5, 3 | 4) | (6, 4 | 5) => SURROUND,
        (6, 3) => 0.0,
        _ => 1.0,
    }
}

impl LoudnessMeter {
    /// For sound of so many channels.
    pub fn new(sample_rate: u32, channels: usize) -> Self {
        let filter = KWeighting::new(sample_rate);
        Self {
            channels: (0..channels).map(|channel| (filter, weight(channel, channels))).collect(),
            slices: VecDeque::with_capacity(SHORT_TERM),
            until_gating: GATING_STEP,
            blocks: Histogram::new(),
            short_terms: Histogram::new(),
            max_momentary: 0.0,
            max_short_term: 0.0,
        }
    }

    /// Takes a slice of 10 ms: the samples of each channel.
    pub fn push(&mut self, lines: &[Vec<f32>]) {
        let energy =
            self.channels.iter_mut().zip(lines).map(|((filter, weight), line)| filter.energy(line) * *weight);
        let energy = energy.sum();
        if self.slices.len() == SHORT_TERM {
            self.slices.pop_front();
        }
        self.slices.push_back(energy);
        self.max_momentary = self.max_momentary.max(self.mean(MOMENTARY).unwrap_or(0.0));
        self.max_short_term = self.max_short_term.max(self.mean(SHORT_TERM).unwrap_or(0.0));
        self.until_gating -= 1;
        if self.until_gating == 0 {
            self.until_gating = GATING_STEP;
            self.mean(MOMENTARY).into_iter().for_each(|energy| self.blocks.add(energy));
            self.mean(SHORT_TERM).into_iter().for_each(|energy| self.short_terms.add(energy));
        }
    }

    /// Mean energy of the newest slices; `None` before there are so many.
    fn mean(&self, slices: usize) -> Option<f64> {
        let first = self.slices.len().checked_sub(slices)?;
        Some(self.slices.range(first..).sum::<f64>() / slices as f64)
    }

    /// How loud it is.
    pub fn loudness(&self) -> Loudness {
        let lufs = |energy: Option<f64>| energy.filter(|energy| *energy > 0.0).map(lufs);
        Loudness {
            momentary: lufs(self.mean(MOMENTARY)),
            short_term: lufs(self.mean(SHORT_TERM)),
            integrated: self.blocks.mean_above(INTEGRATED_GATE),
            range: self.short_terms.range(),
            max_momentary: lufs(Some(self.max_momentary)),
            max_short_term: lufs(Some(self.max_short_term)),
        }
    }

    /// What follows does not join what was before: the windows begin anew, the gated figures go on.
    pub fn interrupt(&mut self) {
        self.slices.clear();
        self.until_gating = GATING_STEP;
        self.channels.iter_mut().for_each(|(filter, _)| filter.reset());
    }
}

/// Energy, summed over weighted channels, in LUFS.
fn lufs(energy: f64) -> f64 {
    -0.691 + 10.0 * energy.log10()
}

/// How often each loudness was measured, from the absolute gate up.
#[derive(Debug)]
struct Histogram {
    bins: Vec<Bin>,
}

/// Count and energy of what fell into one bin.
#[derive(Debug, Clone, Copy, Default)]
struct Bin {
    count: u64,
    energy: f64,
}

impl Histogram {
    /// Bins in one LU: a gate that cuts through a bin is off by half of it.
    const PER_LU: f64 = 20.0;
    /// The last bin takes what is louder, in LUFS: 32 channels of full-scale square waves.
    const LOUDEST: f64 = 20.0;

    fn new() -> Self {
        let bins = ((Self::LOUDEST - ABSOLUTE_GATE) * Self::PER_LU) as usize;
        Self { bins: vec![Bin::default(); bins] }
    }

    fn add(&mut self, energy: f64) {
        let bin = (lufs(energy) - ABSOLUTE_GATE) * Self::PER_LU;
        if bin < 0.0 {
            return;
        }
        let last = self.bins.len() - 1;
        let bin = &mut self.bins[(bin as usize).min(last)];
        bin.count += 1;
        bin.energy += energy;
    }

    /// The bins that pass the relative gate.
    fn above(&self, gate: f64) -> Option<&[Bin]> {
        let mean = mean(&self.bins)?;
        let first = ((mean + gate - ABSOLUTE_GATE) * Self::PER_LU).round().max(0.0) as usize;
        Some(&self.bins[first.min(self.bins.len())..])
    }

    /// Mean loudness above the relative gate, in LUFS.
    fn mean_above(&self, gate: f64) -> Option<f64> {
        mean(self.above(gate)?)
    }

    /// Loudness range in LU.
    fn range(&self) -> Option<f64> {
        let bins = self.above(RANGE_GATE)?;
        let count: u64 = bins.iter().map(|bin| bin.count).sum();
        let last = count.checked_sub(1)? as f64;
        let percentile = |share: f64| {
            let rank = (share * last).round() as u64;
            let mut below = 0;
            bins.iter().position(|bin| {
                below += bin.count;
                below > rank
            })
        };
        Some((percentile(RANGE.1)? - percentile(RANGE.0)?) as f64 / Self::PER_LU)
    }
}

fn mean(bins: &[Bin]) -> Option<f64> {
    let count: u64 = bins.iter().map(|bin| bin.count).sum();
    let energy: f64 = bins.iter().map(|bin| bin.energy).sum();
    (count > 0).then(|| lufs(energy / count as f64))
}

#[cfg(test)]
#[path = "loudness_tests.rs"]
mod tests;

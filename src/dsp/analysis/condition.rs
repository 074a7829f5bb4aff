//! What may be wrong with sound, and the detectors that say so.
//!
//! Each looks at the measurements of a tenth of a second and has a threshold to go on, another to go off,
//! and a time for both. They tell apart: nothing is playing (*silence*: little, but something), the input
//! is dead (*digital silence*: no sample differs from the one before), one of its channels is (*dead
//! channel*). A card that delivers nothing at all gives nothing to measure: that is a state of the source.

use super::hysteresis::{Hysteresis, Sign};
use super::settings::Settings;
use crate::dsp::meter::Level;

/// What may be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Condition {
    /// Too quiet to be anything that plays.
    Silence,
    /// No sample of any channel differs from the one before.
    DigitalSilence,
    /// A channel is silent beside another that is not.
    DeadChannel,
    /// Sound does not swing around zero.
    DcOffset,
    /// Samples at or beyond the clipping level.
    Clipping,
    /// Sound fell into a hole of milliseconds.
    Dropout,
    /// A jump that is not the sound's own.
    Click,
    /// The first two channels cancel each other.
    OutOfPhase,
    /// 50 or 60 Hz and their harmonics.
    Hum,
}

impl Condition {
    /// Every one, in the order of their numbers.
    pub const ALL: [Self; 9] = [
        Self::Silence,
        Self::DigitalSilence,
        Self::DeadChannel,
        Self::DcOffset,
        Self::Clipping,
        Self::Dropout,
        Self::Click,
        Self::OutOfPhase,
        Self::Hum,
    ];

    /// The word used everywhere.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Silence => "silence",
            Self::DigitalSilence => "digital_silence",
            Self::DeadChannel => "dead_channel",
            Self::DcOffset => "dc_offset",
            Self::Clipping => "clipping",
            Self::Dropout => "dropout",
            Self::Click => "click",
            Self::OutOfPhase => "out_of_phase",
            Self::Hum => "hum",
        }
    }

    /// Whether it is a fault. Silence is none: there may be nothing to play.
    pub const fn is_defect(self) -> bool {
        !matches!(self, Self::Silence)
    }
}

/// How a condition stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Standing {
    /// Whether it holds.
    pub is_on: bool,
    /// The channels that it is about, a bit each from the lowest; 0 where it is about all together.
    pub channels: u64,
    /// How often it was seen: times it began; of clicks and dropouts each one, of clipping each sample.
    pub count: u64,
}

/// How every condition stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Conditions([Standing; Condition::ALL.len()]);

impl Conditions {
    /// How this one stands.
    pub const fn of(&self, condition: Condition) -> Standing {
        self.0[condition as usize]
    }

    /// Those that hold.
    pub fn standing(&self) -> impl Iterator<Item = (Condition, Standing)> {
        let all = Condition::ALL.into_iter().map(|condition| (condition, self.of(condition)));
        all.filter(|(_, standing)| standing.is_on)
    }

    fn set(&mut self, condition: Condition, is_on: bool, channels: u64) {
        let standing = &mut self.0[condition as usize];
        standing.count += u64::from(is_on && !standing.is_on);
        standing.is_on = is_on;
        standing.channels = if is_on { channels } else { 0 };
    }

    /// A condition that is counted by its events, and holds as long as they come.
    fn happened(&mut self, condition: Condition, events: u64, is_on: bool, channels: u64) {
        let standing = &mut self.0[condition as usize];
        standing.count += events;
        standing.channels = if is_on { standing.channels | channels } else { 0 };
        standing.is_on = is_on;
    }
}

/// What the detectors look at: measurements of a tenth of a second.
#[derive(Debug, Clone, Copy)]
pub struct Evidence<'a> {
    /// Level of each channel.
    pub levels: &'a [Level],
    /// Of the first two channels over the last second; `None` where there is too little sound to say.
    pub correlation: Option<f64>,
    /// Clicks and dropouts of each channel.
    pub glitches: &'a [super::glitch::Glitches],
    /// RMS of hum, in linear amplitude; `None` before it was looked for.
    pub hum_rms: Option<f64>,
}

/// Sound is back when it is so much above the threshold of silence: 3 dB.
const BACK: f64 = 1.41;
/// A dead channel is so far below another: 40 dB.
const FAR_BELOW: f64 = 0.01;
/// An offset is gone when it is below this share of its threshold.
const OFFSET_GONE: f64 = 0.5;
/// Offsets are averaged: the share of the newest tenth of a second, for a time constant of one second.
const OFFSET_SHARE: f64 = 0.1;
/// Channels are in phase again when their correlation is so much above the threshold.
const PHASE_BACK: f64 = 0.3;
/// Hum is gone when it is so far below its threshold: 3 dB.
const HUM_GONE: f64 = 0.7;
/// Milliseconds of an interval.
const INTERVAL_MS: u32 = 100;

/// The detectors of one channel.
#[derive(Debug, Clone, Copy, Default)]
struct Channel {
    dead: Hysteresis,
    offset: Hysteresis,
    /// Mean over about the last second.
    mean: f64,
}

/// All detectors.
#[derive(Debug, Default)]
pub struct Detectors {
    channels: Vec<Channel>,
    silence: Hysteresis,
    digital_silence: Hysteresis,
    clipping: Hysteresis,
    dropout: Hysteresis,
    click: Hysteresis,
    out_of_phase: Hysteresis,
    hum: Hysteresis,
    conditions: Conditions,
}

impl Detectors {
    /// For sound of so many channels.
    pub fn new(channels: usize) -> Self {
        Self { channels: vec![Channel::default(); channels], ..Self::default() }
    }

    /// How the conditions stand.
    pub fn conditions(&self) -> &Conditions {
        &self.conditions
    }

    /// Takes the evidence of an interval.
    pub fn judge(&mut self, evidence: &Evidence<'_>, settings: &Settings) {
        let loudest = evidence.levels.iter().map(|level| level.rms).fold(0.0, f64::max);
        let threshold = settings.silence_rms;
        let release = intervals(settings.release_ms);
        let silent = Sign::below(loudest, threshold, threshold * BACK);
        let is_silent = self.silence.judge(silent, intervals(settings.silence_hold_ms), release);
        let dead = Sign::of(evidence.levels.iter().all(|level| level.is_constant));
        // A single sample that differs proves an input that lives.
        let is_dead = self.digital_silence.judge(dead, intervals(settings.digital_silence_hold_ms), 1);
        // Nothing at all is quiet, too; but it is told by its own name.
        self.conditions.set(Condition::DigitalSilence, is_dead, 0);
        self.conditions.set(Condition::Silence, is_silent && !is_dead, 0);
        self.judge_channels(evidence.levels, loudest, settings);
        self.judge_phase(evidence.correlation, settings);
        self.judge_hum(evidence.hum_rms, settings);
        self.count_events(evidence, release);
    }

    fn judge_channels(&mut self, levels: &[Level], loudest: f64, settings: &Settings) {
        let threshold = settings.silence_rms;
        let release = intervals(settings.release_ms);
        let (mut dead, mut offset) = (0, 0);
        for ((number, channel), level) in self.channels.iter_mut().enumerate().zip(levels) {
            let sign = if loudest < threshold * BACK {
                // Where nothing plays, no channel is worse than the others.
                Sign::Between
            } else if level.is_constant {
                Sign::Yes
            } else {
                Sign::below(level.rms, threshold.min(loudest * FAR_BELOW), threshold * BACK)
            };
            let is_dead = channel.dead.judge(sign, intervals(settings.dead_channel_hold_ms), release);
            dead |= bit(number, is_dead);
            channel.mean += (level.offset - channel.mean) * OFFSET_SHARE;
            let sign = Sign::above(channel.mean.abs(), settings.dc_offset, settings.dc_offset * OFFSET_GONE);
            let is_off = channel.offset.judge(sign, intervals(settings.dc_offset_hold_ms), release);
            offset |= bit(number, is_off);
        }
        self.conditions.set(Condition::DeadChannel, dead != 0, dead);
        self.conditions.set(Condition::DcOffset, offset != 0, offset);
    }

    fn judge_phase(&mut self, correlation: Option<f64>, settings: &Settings) {
        let threshold = settings.out_of_phase;
        let sign = correlation.map_or(Sign::Between, |c| Sign::below(c, threshold, threshold + PHASE_BACK));
        let release = intervals(settings.release_ms);
        let is_on = self.out_of_phase.judge(sign, intervals(settings.out_of_phase_hold_ms), release);
        self.conditions.set(Condition::OutOfPhase, is_on, 0);
    }

    fn judge_hum(&mut self, rms: Option<f64>, settings: &Settings) {
        let threshold = 10_f64.powf(settings.hum_dbfs / 20.0);
        let sign = rms.map_or(Sign::Between, |rms| Sign::above(rms, threshold, threshold * HUM_GONE));
        let release = intervals(settings.release_ms);
        let is_on = self.hum.judge(sign, intervals(settings.hum_hold_ms), release);
        self.conditions.set(Condition::Hum, is_on, 0);
    }

    fn count_events(&mut self, evidence: &Evidence<'_>, release: u32) {
        let clipped = evidence.levels.iter().map(|level| level.clipped);
        self.clipping.count(&mut self.conditions, Condition::Clipping, clipped, release);
        let dropouts = evidence.glitches.iter().map(|found| u64::from(found.dropouts));
        self.dropout.count(&mut self.conditions, Condition::Dropout, dropouts, release);
        let clicks = evidence.glitches.iter().map(|found| u64::from(found.clicks));
        self.click.count(&mut self.conditions, Condition::Click, clicks, release);
    }
}

impl Hysteresis {
    /// On with the first event in any channel.
    fn count(
        &mut self,
        conditions: &mut Conditions,
        condition: Condition,
        events: impl Iterator<Item = u64>,
        release: u32,
    ) {
        let (mut sum, mut channels) = (0, 0);
        for (number, events) in events.enumerate() {
            sum += events;
            channels |= bit(number, events > 0);
        }
        let is_on = self.judge(Sign::of(sum > 0), 1, release);
        conditions.happened(condition, sum, is_on, channels);
    }
}

/// The bit of a channel; one beyond the bits there are has none.
fn bit(channel: usize, is_on: bool) -> u64 {
    u32::try_from(channel).ok().and_then(|channel| u64::from(is_on).checked_shl(channel)).unwrap_or(0)
}

fn intervals(ms: u32) -> u32 {
    ms.div_ceil(INTERVAL_MS)
}

#[cfg(test)]
#[path = "condition_tests.rs"]
mod tests;

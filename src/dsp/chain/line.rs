//! Effects one after the other, as they stand: a chain that does not change, or one of the two between
//! which it changes.

use crate::dsp::effect::Effect;
use crate::dsp::effects::PIECE;
use crate::dsp::effects::amplitude;
use crate::dsp::effects::compressor::Compressor;
use crate::dsp::effects::equaliser::Equaliser;
use crate::dsp::effects::limiter::Limiter;
use crate::dsp::effects::loudness::Loudness;
use crate::dsp::effects::ramp::{self, Ramp};
use crate::dsp::effects::reverb::Reverb;

/// The loudest sample that an effect is given, 40 dB over full scale: beyond it nothing is sound, and the
/// arithmetic stays far from infinity.
pub const LOUDEST: f32 = 100.0;
/// What is softer than this is silence: −400 dB, long before numbers become denormal.
const SOFTEST: f32 = 1e-20;

/// What an effect does to the sound at a moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Reading {
    /// Always the same.
    Steady,
    /// Lowers it by so many dB.
    Reduction(f64),
    /// Raises it by so many dB.
    Gain(f64),
}

/// An effect at work; neighbouring bands of the equaliser are one.
#[derive(Debug)]
enum Stage {
    Gain(Ramp),
    Bands(Equaliser),
    Compressor(Compressor),
    Limiter(Box<Limiter>),
    Loudness(Box<Loudness>),
    Reverb(Box<Reverb>),
}

/// Effects in a row.
#[derive(Debug)]
pub struct Line {
    effects: Vec<Effect>,
    /// Each with the number of effects that it stands for.
    stages: Vec<(Stage, usize)>,
    channels: usize,
    latency: usize,
    /// Frames at the beginning that come out of the effects and stand for no sound.
    early: usize,
}

fn is_band(effect: &Effect) -> bool {
    effect.frequency_hz().is_some()
}

impl Stage {
    /// Of one effect, or of neighbouring bands.
    fn new(effects: &[Effect], sample_rate: u32, channels: usize) -> Self {
        match &effects[0] {
            Effect::Gain(gain) => Self::Gain(Ramp::at(amplitude(gain.gain_db), sample_rate)),
            Effect::Compressor(settings) => {
                Self::Compressor(Compressor::new(settings, sample_rate, channels))
            }
            Effect::Limiter(settings) => {
                Self::Limiter(Box::new(Limiter::new(settings, sample_rate, channels)))
            }
            Effect::Loudness(settings) => {
                Self::Loudness(Box::new(Loudness::new(settings, sample_rate, channels)))
            }
            Effect::Reverb(settings) => Self::Reverb(Box::new(Reverb::new(settings, sample_rate, channels))),
            _ => Self::Bands(Equaliser::new(effects, sample_rate, channels)),
        }
    }

    fn process(&mut self, samples: &mut [f32], channels: usize) {
        match self {
            Self::Gain(gain) => ramp::apply(gain, samples, channels),
            Self::Bands(equaliser) => equaliser.process(samples),
            Self::Compressor(compressor) => compressor.process(samples),
            Self::Limiter(limiter) => limiter.process(samples),
            Self::Loudness(loudness) => loudness.process(samples),
            Self::Reverb(reverb) => reverb.process(samples),
        }
    }

    fn glide(&mut self, effects: &[Effect]) {
        match (self, &effects[0]) {
            (Self::Gain(gain), Effect::Gain(to)) => gain.go(amplitude(to.gain_db)),
            (Self::Bands(equaliser), _) => equaliser.change(effects),
            (Self::Compressor(compressor), Effect::Compressor(to)) => compressor.change(to),
            (Self::Limiter(limiter), Effect::Limiter(to)) => limiter.change(to),
            (Self::Loudness(loudness), Effect::Loudness(to)) => loudness.change(to),
            (Self::Reverb(reverb), Effect::Reverb(to)) => reverb.change(to),
            // `glides_to` said that the kinds are the same.
            _ => {}
        }
    }

    fn reset(&mut self) {
        match self {
            Self::Gain(_) => {}
            Self::Bands(equaliser) => equaliser.reset(),
            Self::Compressor(compressor) => compressor.reset(),
            Self::Limiter(limiter) => limiter.reset(),
            Self::Loudness(loudness) => loudness.reset(),
            Self::Reverb(reverb) => reverb.reset(),
        }
    }

    fn latency_frames(&self) -> usize {
        if let Self::Limiter(limiter) = self { limiter.latency_frames() } else { 0 }
    }

    fn reading(&self) -> Reading {
        match self {
            Self::Compressor(compressor) => Reading::Reduction(compressor.reduction_db()),
            Self::Limiter(limiter) => Reading::Reduction(limiter.reduction_db()),
            Self::Loudness(loudness) => Reading::Gain(loudness.gain_db()),
            Self::Gain(_) | Self::Bands(_) | Self::Reverb(_) => Reading::Steady,
        }
    }
}

impl Line {
    /// At rest.
    pub fn new(effects: &[Effect], sample_rate: u32, channels: usize) -> Self {
        let together = |one: &Effect, next: &Effect| is_band(one) && is_band(next);
        let stages: Vec<_> = effects
            .chunk_by(|one, next| together(one, next))
            .map(|group| (Stage::new(group, sample_rate, channels), group.len()))
            .collect();
        let latency = stages.iter().map(|(stage, _)| stage.latency_frames()).sum();
        Self { effects: effects.to_vec(), stages, channels, latency, early: latency }
    }

    /// The effects.
    pub fn effects(&self) -> &[Effect] {
        &self.effects
    }

    /// Channels of the sound.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Frames by which the effects delay the sound.
    pub fn latency_frames(&self) -> usize {
        self.latency
    }

    /// Takes interleaved samples and leaves in their place those that came out.
    pub fn process(&mut self, samples: &mut Vec<f32>) {
        if self.stages.is_empty() {
            samples.iter_mut().for_each(|sample| *sample = if sample.is_finite() { *sample } else { 0.0 });
            return;
        }
        for piece in samples.chunks_mut(PIECE * self.channels) {
            self.process_piece(piece);
        }
        if self.early > 0 {
            let early = self.early.min(samples.len() / self.channels);
            self.early -= early;
            samples.drain(..early * self.channels);
        }
    }

    fn process_piece(&mut self, piece: &mut [f32]) {
        piece.iter_mut().for_each(|sample| *sample = sound(*sample));
        for (stage, _) in &mut self.stages {
            stage.process(piece, self.channels);
        }
        // No effect leads here on its own, but many that amplify in a row may: then silence, and a fresh start.
        if piece.iter().fold(false, |broken, sample| broken | !sample.is_finite()) {
            piece.fill(0.0);
            self.reset();
        }
    }

    /// A new piece of sound begins: what comes out first stands for none.
    pub fn begin(&mut self) {
        self.early = self.latency;
    }

    /// Forgets all sound.
    pub fn reset(&mut self) {
        self.stages.iter_mut().for_each(|(stage, _)| stage.reset());
    }

    /// Whether other effects are the same ones with other settings, and no other delay.
    pub fn glides_to(&self, effects: &[Effect]) -> bool {
        let same = |(one, other): (&Effect, &Effect)| match (one, other) {
            (Effect::Limiter(one), Effect::Limiter(other)) => {
                one.lookahead_ms.to_bits() == other.lookahead_ms.to_bits()
            }
            _ => one.kind() == other.kind(),
        };
        self.effects.len() == effects.len() && self.effects.iter().zip(effects).all(same)
    }

    /// Goes over to other settings of the same effects.
    pub fn glide(&mut self, effects: &[Effect]) {
        let mut rest = effects;
        for (stage, count) in &mut self.stages {
            let (of_stage, others) = rest.split_at(*count);
            stage.glide(of_stage);
            rest = others;
        }
        self.effects.clear();
        self.effects.extend_from_slice(effects);
    }

    /// What a line that was running has learnt of the sound is known here too.
    pub fn learn(&mut self, running: &Self) {
        let loudness = |stage: &'_ (Stage, usize)| matches!(stage.0, Stage::Loudness(_));
        let Some((Stage::Loudness(from), _)) = running.stages.iter().find(|stage| loudness(stage)) else {
            return;
        };
        if let Some((Stage::Loudness(to), _)) = self.stages.iter_mut().find(|stage| loudness(stage)) {
            to.learn(from);
        }
    }

    /// What each effect does to the sound now.
    pub fn readings(&self) -> impl Iterator<Item = (&Effect, Reading)> {
        let readings =
            self.stages.iter().flat_map(|(stage, count)| std::iter::repeat_n(stage.reading(), *count));
        self.effects.iter().zip(readings)
    }
}

/// A sample as effects may be given it.
#[inline]
fn sound(sample: f32) -> f32 {
    let audible = sample.is_finite() && sample.abs() > SOFTEST;
    if audible { sample.clamp(-LOUDEST, LOUDEST) } else { 0.0 }
}

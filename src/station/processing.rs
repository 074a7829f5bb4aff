//! What effects the programme is to have, and what they do to it now: where the doors and the pump meet.
//!
//! A chain is made here, by whoever wishes for it, so that the pump only has to take it. What the wish
//! does to the sound is in `processor`.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU16, Ordering};

use talas_wire::{EffectState, Process};

use crate::dsp::chain::{self, Chain, Reading};
use crate::dsp::effect::Effect;
use crate::error::{Error, Kind, Result};
use crate::tools::lock::lock;

/// `[process]`
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Settings {
    /// Effects applied to the programme, in order.
    pub effects: Vec<Effect>,
}

/// The wish, and what became of it.
#[derive(Debug)]
pub struct Processing {
    sample_rate: u32,
    /// Channels of the sound that last came by.
    channels: AtomicU16,
    wish: Mutex<Wish>,
    readings: Mutex<Readings>,
}

#[derive(Debug)]
struct Wish {
    effects: Vec<Effect>,
    bypass: bool,
    /// Made for the wish, until the pump takes it.
    chain: Option<Chain>,
}

impl Wish {
    /// What is to be applied.
    fn effective(&self) -> &[Effect] {
        if self.bypass { &[] } else { &self.effects }
    }
}

#[derive(Debug, Default)]
struct Readings {
    latency_frames: usize,
    /// Of the effects that are at work, which may not be those wished for yet.
    effects: Vec<(Effect, Reading)>,
}

impl Processing {
    /// At the start: the configured effects, which were judged when they were read.
    pub fn new(settings: &Settings, sample_rate: u32, channels: u16) -> Self {
        let wish = Wish { effects: settings.effects.clone(), bypass: false, chain: None };
        let channels = AtomicU16::new(channels);
        Self { sample_rate, channels, wish: Mutex::new(wish), readings: Mutex::default() }
    }

    /// The chain to begin with.
    pub fn first_chain(&self) -> Chain {
        self.chain(lock(&self.wish).effective())
    }

    fn chain(&self, effects: &[Effect]) -> Chain {
        Chain::new(effects, self.sample_rate, self.channels.load(Ordering::Relaxed))
    }

    /// Whether effects can be applied.
    ///
    /// # Errors
    /// [`Kind::Invalid`] for settings that cannot be, with what would be right.
    pub fn check(&self, effects: &[Effect]) -> Result<()> {
        let wrong = chain::check(effects, self.sample_rate);
        if wrong.is_empty() { Ok(()) } else { Err(Error::new(Kind::Invalid, wrong.join("; "))) }
    }

    /// Wishes for other effects.
    ///
    /// # Errors
    /// As [`Processing::check`]: then nothing changes.
    pub fn set_effects(&self, effects: Vec<Effect>) -> Result<()> {
        self.check(&effects)?;
        let kinds: Vec<&str> = effects.iter().map(Effect::kind).collect();
        tracing::info!(event = "process_changed", effects = kinds.join(" "), "effects changed");
        self.change(|wish| wish.effects = effects);
        Ok(())
    }

    /// Wishes for the sound as it came in, or for the effects again.
    pub fn set_bypass(&self, bypass: bool) {
        tracing::info!(event = "process_bypassed", bypass, "bypass {}", if bypass { "on" } else { "off" });
        self.change(|wish| wish.bypass = bypass);
    }

    fn change(&self, change: impl FnOnce(&mut Wish)) {
        let mut wish = lock(&self.wish);
        change(&mut wish);
        wish.chain = Some(self.chain(wish.effective()));
    }

    /// The chain for a wish that was not taken yet.
    pub fn take(&self) -> Option<Chain> {
        lock(&self.wish).chain.take()
    }

    /// What the pump has: for the next wish, and for whoever asks.
    pub fn tell(&self, chain: &Chain) {
        self.channels.store(chain.channels(), Ordering::Relaxed);
        let mut readings = lock(&self.readings);
        readings.latency_frames = chain.latency_frames();
        readings.effects.clear();
        readings.effects.extend(chain.readings().map(|(effect, reading)| (*effect, reading)));
    }

    /// The snapshot.
    pub fn snapshot(&self) -> Process {
        let wish = lock(&self.wish);
        let readings = lock(&self.readings);
        let states = wish.effects.iter().enumerate().map(|(at, effect)| {
            // What belongs to effects of before says nothing about these.
            let reading = readings.effects.get(at).filter(|(known, _)| known.kind() == effect.kind());
            state(effect, reading.filter(|_| !wish.bypass).map(|(_, reading)| *reading))
        });
        Process {
            bypass: wish.bypass,
            latency_ms: readings.latency_frames as f64 * 1000.0 / f64::from(self.sample_rate),
            effects: states.collect(),
        }
    }
}

fn state(effect: &Effect, reading: Option<Reading>) -> EffectState {
    let parameters = effect.parameters().into_iter();
    let finite = |db: f64| db.is_finite().then_some(db);
    EffectState {
        kind: effect.kind().to_owned(),
        parameters: parameters.map(|(parameter, value)| (parameter.name.to_owned(), value)).collect(),
        reduction_db: reading.and_then(|r| if let Reading::Reduction(db) = r { finite(db) } else { None }),
        correction_db: reading.and_then(|r| if let Reading::Gain(db) = r { finite(db) } else { None }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dsp::effect::{Compressor, Gain};

    fn processing() -> Processing {
        let settings = Settings { effects: vec![Effect::Compressor(Compressor::default())] };
        Processing::new(&settings, 48_000, 2)
    }

    #[test]
    fn a_wish_is_taken_once_and_a_wrong_one_changes_nothing() {
        let processing = processing();
        assert_eq!(processing.first_chain().effects().len(), 1);
        assert!(processing.take().is_none());
        let loud = Effect::Gain(Gain { gain_db: 100.0 });
        let error = processing.set_effects(vec![loud]).expect_err("too much");
        assert_eq!(error.kind(), Kind::Invalid);
        assert_eq!(error.message(), "gain: gain_db is 100: expected a number from -80 to 40");
        assert!(processing.take().is_none());
        processing.set_effects(vec![Effect::Gain(Gain { gain_db: 1.0 })]).expect("right");
        assert_eq!(processing.take().expect("a chain").effects()[0].kind(), "gain");
        assert!(processing.take().is_none());
    }

    #[test]
    fn a_bypass_keeps_the_effects_and_applies_none() {
        let processing = processing();
        processing.tell(&processing.first_chain());
        assert_eq!(processing.snapshot().effects[0].reduction_db, Some(0.0));
        processing.set_bypass(true);
        assert!(processing.take().expect("a chain").effects().is_empty());
        let snapshot = processing.snapshot();
        assert!(snapshot.bypass && snapshot.effects[0].kind == "compressor");
        assert_eq!(snapshot.effects[0].reduction_db, None);
        assert_eq!(snapshot.effects[0].parameters["ratio"].to_bits(), 4.0_f64.to_bits());
        processing.set_bypass(false);
        assert_eq!(processing.take().expect("a chain").effects().len(), 1);
    }
}

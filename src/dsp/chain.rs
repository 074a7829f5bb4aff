//! The effects applied to sound, in order, and their change while it runs.
//!
//! What comes out of a chain is what went in, frame for frame: the delay of an effect that looks ahead
//! is taken out again, so that the n-th frame out is the n-th frame in, only later. Numbers of frames
//! and positions stay true; a chain just holds the newest [`Chain::held_frames`] back.
//!
//! No clock, no thread, no failure. No sample that is not finite gets in or out.

mod crossing;
mod line;

pub use line::{LOUDEST, Reading};

use crate::dsp::effect::Effect;
use crossing::Crossing;
use line::Line;

/// Most effects of a chain.
pub const MOST_EFFECTS: usize = 64;

/// Everything that is wrong with the settings of a chain at a sample rate, a sentence each that says what
/// would be right.
pub fn check(effects: &[Effect], sample_rate: u32) -> Vec<String> {
    let mut wrong: Vec<String> = effects.iter().flat_map(|effect| effect.check(sample_rate)).collect();
    if effects.len() > MOST_EFFECTS {
        wrong.push(format!("{} effects: expected {MOST_EFFECTS} or fewer", effects.len()));
    }
    wrong
}

/// Effects in order, for sound of one sample rate and number of channels.
#[derive(Debug)]
pub struct Chain {
    sample_rate: u32,
    line: Line,
    /// The way to other effects, while they are changing.
    crossing: Option<Crossing>,
    /// Where to go after that.
    then: Option<Line>,
    /// What is done with, until somebody has the time to free it.
    spent: Option<Crossing>,
    /// Frames that went in and are yet to come out.
    held: usize,
    /// Room for a copy of what comes in, while two lines need it.
    copy: Vec<f32>,
}

/// Frames that fit into the copy without an allocation.
const COPY_FRAMES: usize = 4096;

impl Chain {
    /// Effects whose settings are in their ranges, for sound of so many frames a second and channels, at
    /// least one of each.
    pub fn new(effects: &[Effect], sample_rate: u32, channels: u16) -> Self {
        let line = Line::new(effects, sample_rate, usize::from(channels.max(1)));
        let copy = Vec::with_capacity(COPY_FRAMES * line.channels());
        Self { sample_rate, line, crossing: None, then: None, spent: None, held: 0, copy }
    }

    /// The effects, or those that are gone over to.
    pub fn effects(&self) -> &[Effect] {
        self.then.as_ref().or(self.crossing.as_ref().map(Crossing::to)).unwrap_or(&self.line).effects()
    }

    /// Channels of the sound.
    pub fn channels(&self) -> u16 {
        self.line.channels() as u16
    }

    /// Whether sound comes out bit for bit as it went in, and at once.
    pub fn is_empty(&self) -> bool {
        self.effects().is_empty() && self.crossing.is_none() && self.held == 0
    }

    /// How many frames later sound comes out, once so many have gone in.
    pub fn latency_frames(&self) -> usize {
        let crossing = self.crossing.as_ref().map_or(0, |crossing| crossing.to().latency_frames());
        self.line.latency_frames().max(crossing)
    }

    /// Frames that went in and did not come out yet.
    pub fn held_frames(&self) -> usize {
        self.held
    }

    /// What each effect does to the sound now.
    pub fn readings(&self) -> impl Iterator<Item = (&Effect, Reading)> {
        self.crossing.as_ref().map_or(&self.line, Crossing::to).readings()
    }

    /// Takes interleaved samples, whole frames, and leaves in their place those that are complete: as many,
    /// or fewer at the beginning, or while effects change. Nothing is allocated or freed, save where more
    /// than 4096 frames are given while effects change, or where they change again meanwhile.
    pub fn process(&mut self, samples: &mut Vec<f32>) {
        let given = samples.len() / self.line.channels();
        if let Some(crossing) = &mut self.crossing {
            std::mem::swap(samples, &mut self.copy);
            samples.clear();
            crossing.process(&mut self.line, &self.copy, samples);
            self.copy.clear();
        } else {
            self.line.process(samples);
        }
        self.held = self.held + given - samples.len() / self.line.channels();
        self.end_crossing();
    }

    /// The sound ends here: appends the frames that were held back. What comes next begins anew, but the
    /// effects remember: a reverb fades, a compressor recovers.
    pub fn finish(&mut self, samples: &mut Vec<f32>) {
        let channels = self.line.channels();
        let due = self.held * channels;
        let mut rest = vec![0.0; if due > 0 { self.latency_frames() * channels } else { 0 }];
        self.process(&mut rest);
        rest.truncate(due);
        samples.append(&mut rest);
        self.begin();
    }

    /// Forgets all sound, heard and unheard. Effects that were changing have changed.
    pub fn reset(&mut self) {
        self.begin();
        self.line.reset();
    }

    /// Goes over to the effects of another chain, without a click: settings of the same effects glide, else
    /// the old and the new sound fade over. `next` is made for the same kind of sound and has heard none;
    /// it is made beforehand, so that nothing is built where the sound waits.
    pub fn change(&mut self, next: Self) {
        debug_assert_eq!(next.channels(), self.channels());
        let next = next.line;
        self.spent = None;
        if let Some(crossing) = &mut self.crossing {
            if crossing.to().glides_to(next.effects()) {
                crossing.glide(next.effects());
                self.then = None;
            } else {
                self.then = Some(next);
            }
        } else if self.line.glides_to(next.effects()) {
            self.line.glide(next.effects());
        } else {
            self.crossing = Some(Crossing::new(&self.line, next, self.sample_rate, self.held));
        }
    }

    /// At the beginning of a piece of sound there is nothing to fade over from.
    fn begin(&mut self) {
        let last = self.then.take().or_else(|| self.crossing.take().map(Crossing::into_line));
        self.crossing = None;
        if let Some(line) = last {
            self.line = line;
        }
        self.line.begin();
        self.held = 0;
    }

    fn end_crossing(&mut self) {
        if let Some(mut crossing) = self.crossing.take_if(|crossing| crossing.is_over()) {
            crossing.swap(&mut self.line);
            self.spent = Some(crossing);
            self.crossing =
                self.then.take().map(|next| Crossing::new(&self.line, next, self.sample_rate, self.held));
        }
    }
}

#[cfg(test)]
#[path = "chain/tests.rs"]
mod tests;

//! The way from one line of effects to another: both run, and when the new one has settled, one fades
//! into the other. Each frame of the one is mixed with the same frame of the other, however much later
//! one of them gives it out.

use super::line::Line;
use crate::dsp::effect::Effect;
use crate::dsp::effects::PIECE;

/// The new line hears so many seconds before it is heard: filters and envelopes need that to settle.
const LISTEN_S: f64 = 0.05;
/// How long the fade takes, in seconds.
const FADE_S: f64 = 0.02;

/// A change on its way.
#[derive(Debug)]
pub struct Crossing {
    to: Line,
    /// The sound that is worked on.
    piece: Vec<f32>,
    /// Sound of the old line that waits for the new one's.
    old: Vec<f32>,
    /// Sound of the new line that waits for the old one's.
    new: Vec<f32>,
    /// Frames that the old line gives alone yet, and frames of the new one that nobody hears.
    alone: usize,
    unheard: usize,
    /// Frames of the fade, and how many are mixed.
    fade: usize,
    faded: usize,
}

impl Crossing {
    /// From a line that is running, `held` frames of whose sound did not come out yet, to a fresh one.
    pub fn new(from: &Line, mut to: Line, sample_rate: u32, held: usize) -> Self {
        let frames = |seconds: f64| (seconds * f64::from(sample_rate)).ceil() as usize;
        to.learn(from);
        let room = (PIECE + from.latency_frames() + to.latency_frames()) * to.channels();
        Self {
            piece: Vec::with_capacity(PIECE * to.channels()),
            to,
            old: Vec::with_capacity(room),
            new: Vec::with_capacity(room),
            alone: held + frames(LISTEN_S),
            unheard: frames(LISTEN_S),
            fade: frames(FADE_S),
            faded: 0,
        }
    }

    /// Where it goes.
    pub fn to(&self) -> &Line {
        &self.to
    }

    /// Goes somewhat elsewhere: to other settings of the same effects.
    pub fn glide(&mut self, effects: &[Effect]) {
        self.to.glide(effects);
    }

    /// Whether only the new line is to be heard.
    pub fn is_over(&self) -> bool {
        self.faded == self.fade
    }

    /// The new line for the old one.
    pub fn swap(&mut self, line: &mut Line) {
        std::mem::swap(&mut self.to, line);
    }

    /// The new line alone.
    pub fn into_line(self) -> Line {
        self.to
    }

    /// Runs both lines over interleaved samples; what is complete is appended to `out`.
    pub fn process(&mut self, from: &mut Line, samples: &[f32], out: &mut Vec<f32>) {
        for piece in samples.chunks(PIECE * self.to.channels()) {
            run(&mut self.to, piece, &mut self.piece, &mut self.new);
            if !self.is_over() {
                run(from, piece, &mut self.piece, &mut self.old);
                self.mix(out);
            }
            if self.is_over() {
                out.append(&mut self.new);
            }
        }
    }

    fn mix(&mut self, out: &mut Vec<f32>) {
        let channels = self.to.channels();
        let unheard = self.unheard.min(self.new.len() / channels);
        self.unheard -= unheard;
        self.new.drain(..unheard * channels);
        let alone = self.alone.min(self.old.len() / channels);
        self.alone -= alone;
        out.extend(self.old.drain(..alone * channels));
        if self.alone > 0 || self.unheard > 0 {
            return;
        }
        let both = (self.old.len().min(self.new.len()) / channels).min(self.fade - self.faded);
        let (old, new) = (self.old.chunks_exact(channels), self.new.chunks_exact(channels));
        for (old, new) in old.zip(new).take(both) {
            self.faded += 1;
            let part = self.faded as f32 / self.fade as f32;
            out.extend(old.iter().zip(new).map(|(old, new)| old + (new - old) * part));
        }
        self.old.drain(..both * channels);
        self.new.drain(..both * channels);
    }
}

fn run(line: &mut Line, samples: &[f32], piece: &mut Vec<f32>, out: &mut Vec<f32>) {
    piece.clear();
    piece.extend_from_slice(samples);
    line.process(piece);
    out.append(piece);
}

//! From the programme to packets: the effects of a profile, its rate and channels, dither, its codec. Pure: quanta
//! in, packets out, each with its place in the programme.
//!
//! Packets lie on a grid: the first frame of each, less the codec's delay, has a number that is a multiple
//! of the packet's length, counted at the encoding's rate from the programme's beginning. For this the line
//! begins with a little silence, at a position that is a whole number of frames at both rates; effects and resampler keep frames in their places by themselves. So two
//! encodings of one shape cut the programme at the same places, and a listener can change from one to the
//! other.

use crate::audio::{Payload, Quantum, duration_ns};
use crate::codec::{Encoder, EncoderSettings, Format, Packet, encoder};
use crate::dsp::chain::Chain;
use crate::dsp::conform::{Conform, Shape};
use crate::dsp::dither::Dither;
use crate::dsp::effect::Effect;
use crate::error::{Error, Kind, Result};

/// What a pause withdraws is not longer than the programme is kept.
const LONGEST_WITHDRAWN_S: u64 = 15;
/// Silence is made in pieces of at most so many frames.
const PIECE_FRAMES: u64 = 4096;

/// What is to be made of the programme.
#[derive(Debug, Clone, PartialEq)]
pub struct Recipe {
    /// Frames per second of the programme.
    pub capture_rate: u32,
    /// Effects, in order.
    pub effects: Vec<Effect>,
    /// Whether sound is dithered before an encoder that rounds it.
    pub dither: bool,
    /// The encoding.
    pub encoding: EncoderSettings,
}

/// A packet and its place.
#[derive(Debug, Clone)]
pub struct Coded {
    /// Pauses counted when it was made.
    pub epoch: u64,
    /// Number of its first frame at the encoding's rate, from the programme's beginning.
    pub frame: u64,
    /// Position in the programme of its first frame.
    pub position: u64,
    /// Position after its last.
    pub end: u64,
    /// When its first frame was captured, on the monotonic clock.
    pub mono_ns: i64,
    /// The packet.
    pub packet: Packet,
}

/// Sound in, packets out.
pub struct Line {
    recipe: Recipe,
    encoder: Box<dyn Encoder>,
    /// What stands before the encoder; made for the programme's channels when sound comes.
    front: Option<Front>,
    /// Where the encoder rounds and it is wanted.
    dither: Option<Dither>,
    place: Place,
    work: Vec<f32>,
    conformed: Vec<f32>,
}

/// What stands before the encoder.
struct Front {
    channels: u16,
    chain: Chain,
    conform: Conform,
}

/// Where the line is.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    epoch: u64,
    /// Position of the frame that is to come; `None` before the first.
    due: Option<u64>,
    /// Number of the next frame that the encoder gets.
    fed: u64,
    /// Number of the first frame of the next packet; before the programme's beginning for the codec's delay.
    next: i64,
    /// A position and its capture time.
    moment: (u64, i64),
    /// Where what listeners have ends, when a pause has withdrawn what came after.
    withdrawn_from: Option<u64>,
}

impl Line {
    /// A line for this recipe.
    ///
    /// # Errors
    /// The encoding cannot be.
    pub fn new(recipe: Recipe) -> Result<Self> {
        let encoder = encoder(&recipe.encoding)?;
        let dither = recipe.encoding.integer_bits().filter(|_| recipe.dither).map(Dither::new);
        Ok(Self {
            recipe,
            encoder,
            front: None,
            dither,
            place: Place::default(),
            work: Vec::new(),
            conformed: Vec::new(),
        })
    }

    /// What comes out.
    pub fn format(&self) -> &Format {
        self.encoder.format()
    }

    /// Takes the next quantum; `emit` gets the packets that are complete. Listeners have everything up to the
    /// position `delivered`: what a pause withdraws after that becomes silence.
    ///
    /// # Errors
    /// The codec failed; the line begins anew with the next quantum.
    pub fn push(&mut self, quantum: &Quantum, delivered: u64, emit: &mut dyn FnMut(Coded)) -> Result<()> {
        if quantum.epoch > self.place.epoch {
            // Pause is privacy: nothing of what is under way may come out.
            self.front = None;
            self.encoder.reset()?;
            self.place = Place { epoch: quantum.epoch, withdrawn_from: Some(delivered), ..Place::default() };
        }
        let pushed = match &quantum.payload {
            Payload::State(_) | Payload::Filler { discontinuity: true, .. } => Ok(()),
            Payload::Filler { .. } => self.silence(quantum, emit),
            Payload::Sound { samples, channels } => self.begin(quantum, *channels, emit).and_then(|late| {
                let late = usize::try_from(late).unwrap_or(usize::MAX).saturating_mul(usize::from(*channels));
                self.feed(samples.get(late..).unwrap_or(&[]), emit)
            }),
        };
        if pushed.is_err() {
            self.front = None;
            self.place = Place { epoch: quantum.epoch, ..Place::default() };
            self.encoder.reset()?;
        }
        pushed
    }

    fn silence(&mut self, quantum: &Quantum, emit: &mut dyn FnMut(Coded)) -> Result<()> {
        let channels = self.front.as_ref().map_or(self.recipe.encoding.channels, |front| front.channels);
        let late = self.begin(quantum, channels, emit)?;
        self.feed_silence(quantum.frames - late, channels, emit)
    }

    fn feed_silence(&mut self, frames: u64, channels: u16, emit: &mut dyn FnMut(Coded)) -> Result<()> {
        let mut left = frames;
        while left > 0 {
            let frames = left.min(PIECE_FRAMES);
            let samples = usize::try_from(frames).unwrap_or(0) * usize::from(channels);
            self.feed(&vec![0.0; samples], emit)?;
            left -= frames;
        }
        Ok(())
    }

    /// Sees that the next frame that is fed is the quantum's first, or the first one of it that a line can
    /// begin with: so many frames later.
    fn begin(&mut self, quantum: &Quantum, channels: u16, emit: &mut dyn FnMut(Coded)) -> Result<u64> {
        let Quantum { position, frames, mono_ns, .. } = *quantum;
        self.place.moment = (position, mono_ns);
        let most = LONGEST_WITHDRAWN_S * u64::from(self.recipe.capture_rate);
        let withdrawn =
            self.place.withdrawn_from.take().filter(|from| *from < position && position - from < most);
        if let Some(from) = withdrawn.map(|from| from + self.to_start(from)).filter(|from| *from < position) {
            self.front = Some(Front::new(&self.recipe, channels)?);
            self.align(from, emit)?;
            self.place.due = Some(position);
            self.feed_silence(position - from, channels, emit)?;
        }
        let is_seamless = self.place.due == Some(position)
            && self.front.as_ref().is_some_and(|front| front.channels == channels);
        let late = if is_seamless { 0 } else { self.to_start(position) };
        if late >= frames {
            return Ok(frames);
        }
        if !is_seamless {
            self.front = Some(Front::new(&self.recipe, channels)?);
            self.align(position + late, emit)?;
        }
        self.place.due = Some(position + frames);
        Ok(late)
    }

    /// Frames from a position to the next that has a whole number at the encoding's rate.
    fn to_start(&self, position: u64) -> u64 {
        let unit = whole_frames(self.recipe.capture_rate, self.recipe.encoding.sample_rate);
        (unit - position % unit) % unit
    }

    /// Puts silence before a position so that it lies on the grid of packets.
    fn align(&mut self, position: u64, emit: &mut dyn FnMut(Coded)) -> Result<()> {
        let format = self.encoder.format();
        let packet = u64::from(format.frame_samples.max(1));
        let delay = i64::from(format.delay_frames);
        let target = self.to_encoding(position);
        // Frames since the last border that the encoder has, and that the position has.
        let (has, wants) = match self.place.due {
            Some(_) => (self.place.fed % packet, target % packet),
            None => (0, target % packet),
        };
        let pad = (wants + packet - has) % packet;
        if self.place.due.is_none() {
            self.place.next = signed(target - pad) - delay;
        } else {
            // What the encoder still holds of the sound before moves along: less than its delay.
            self.place.next += signed(target) - signed(self.place.fed + pad);
        }
        self.place.fed = target;
        let silence = vec![0.0; usize::try_from(pad).unwrap_or(0) * usize::from(format.channels)];
        self.encode(&silence, emit)
    }

    fn feed(&mut self, samples: &[f32], emit: &mut dyn FnMut(Coded)) -> Result<()> {
        let Some(front) = &mut self.front else { return Ok(()) };
        let mut work = std::mem::take(&mut self.work);
        let mut conformed = std::mem::take(&mut self.conformed);
        work.clear();
        work.extend_from_slice(samples);
        front.chain.process(&mut work);
        conformed.clear();
        front.conform.process(&work, &mut conformed);
        if let Some(dither) = &mut self.dither {
            dither.process(&mut conformed);
        }
        let channels = usize::from(self.recipe.encoding.channels);
        self.place.fed += (conformed.len() / channels) as u64;
        let encoded = self.encode(&conformed, emit);
        (self.work, self.conformed) = (work, conformed);
        encoded
    }

    fn encode(&mut self, samples: &[f32], emit: &mut dyn FnMut(Coded)) -> Result<()> {
        let Self { encoder, place, recipe, .. } = self;
        encoder.encode(samples, &mut |packet| {
            let frame = place.next;
            place.next += i64::from(packet.frames);
            let at = |frame: i64| {
                scale(u64::try_from(frame).unwrap_or(0), recipe.encoding.sample_rate, recipe.capture_rate)
            };
            let (position, end) = (at(frame), at(place.next));
            let (known, known_ns) = place.moment;
            let mono_ns = if position >= known {
                known_ns + duration_ns(position - known, recipe.capture_rate)
            } else {
                known_ns - duration_ns(known - position, recipe.capture_rate)
            };
            let frame = u64::try_from(frame).unwrap_or(0);
            emit(Coded { epoch: place.epoch, frame, position, end, mono_ns, packet });
        })
    }

    fn to_encoding(&self, position: u64) -> u64 {
        scale(position, self.recipe.capture_rate, self.recipe.encoding.sample_rate)
    }
}

impl Front {
    fn new(recipe: &Recipe, channels: u16) -> Result<Self> {
        let Recipe { capture_rate, effects, encoding, .. } = recipe;
        let chain = Chain::new(effects, *capture_rate, channels);
        let from = Shape { sample_rate: *capture_rate, channels };
        let to = Shape { sample_rate: encoding.sample_rate, channels: encoding.channels };
        let conform = Conform::new(from, to).map_err(|reason| Error::new(Kind::Invalid, reason))?;
        Ok(Self { channels, chain, conform })
    }
}

/// The least number of frames at a rate that is a whole number of frames at another.
fn whole_frames(rate: u32, other: u32) -> u64 {
    let (mut divisor, mut rest) = (rate, other);
    while rest > 0 {
        (divisor, rest) = (rest, divisor % rest);
    }
    u64::from(rate / divisor.max(1)).max(1)
}

/// The number of a frame at another rate, rounded down.
fn scale(frame: u64, from: u32, to: u32) -> u64 {
    let scaled = u128::from(frame) * u128::from(to) / u128::from(from.max(1));
    u64::try_from(scaled).unwrap_or(u64::MAX)
}

fn signed(frame: u64) -> i64 {
    i64::try_from(frame).unwrap_or(i64::MAX)
}

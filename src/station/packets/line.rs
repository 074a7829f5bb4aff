//! From the programme to packets with the least delay. Pure: quanta in; packets, gaps and states out, each
//! in its place.
//!
//! Sound without a hole is a run. A run begins with a fresh encoder and ends with everything that the
//! encoder holds, so that what comes before a hole is not late and nothing of it is heard after. Every
//! frame of the programme is in one packet or in one gap.

use bytes::Bytes;

use super::{About, Form};
use crate::audio::{GapReason, Payload, Quantum, StateMark, duration_ns};
use crate::codec::{self, Encoder};
use crate::dsp::conform::{Conform, Shape};
use crate::dsp::convert;
use crate::error::{Error, Kind, Result};
use crate::mux::packet::Content;

/// Frames of a packet of PCM at most. Pieces of the programme are shorter, unless its card is odd.
const MOST_FRAMES: usize = 4096;

/// A packet and its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Piece {
    /// Whether it does not go on from the one before.
    pub is_start: bool,
    /// Frames to skip at the beginning of what it decodes to.
    pub skip: u16,
    /// Frames after these, at the line's rate.
    pub frames: u16,
    /// Position in the programme of the first of them.
    pub position: u64,
    /// Position after the last.
    pub end: u64,
    /// When the first was captured, on the monotonic clock.
    pub mono_ns: i64,
    /// The sound.
    pub bytes: Bytes,
}

/// Sound that is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hole {
    /// Position of the first missing frame.
    pub position: u64,
    /// Missing frames of the programme.
    pub lost: u64,
    /// Why.
    pub reason: GapReason,
    /// When the first missing frame would have been captured, on the monotonic clock.
    pub mono_ns: i64,
}

/// What comes out.
#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    /// Sound.
    Piece(Piece),
    /// A hole, told when sound is back.
    Gap(Hole),
    /// A change of state.
    State(StateMark),
}

/// What makes sound into packets.
enum Coder {
    Codec(Box<dyn Encoder>),
    Pcm(fn(&[f32], &mut Vec<u8>)),
}

/// Sound without a hole.
struct Run {
    /// Channels that it comes with.
    channels: u16,
    conform: Conform,
    /// Position of its first frame.
    begin: u64,
    /// Position of the frame that is to come.
    due: u64,
    /// Frames of packets so far, at the line's rate, from its first frame on: less than none at first,
    /// where the codec has a delay.
    made: i64,
    /// Whether no packet has come yet.
    is_fresh: bool,
    /// A position and its capture time.
    moment: (u64, i64),
}

/// Sound in, packets out.
pub struct Line {
    coder: Coder,
    shape: Shape,
    capture_rate: u32,
    /// Frames that the codec makes before the first that it is given.
    delay: u32,
    epoch: u64,
    run: Option<Run>,
    /// Why there is no sound, while there is none.
    hole: Option<GapReason>,
    /// Position up to which everything is told; `None` before the first sound.
    told: Option<u64>,
    conformed: Vec<f32>,
}

impl Line {
    /// A line for a programme of this rate, and as many of these channels as the form can have.
    ///
    /// # Errors
    /// [`Kind::Invalid`] when the form cannot be.
    pub fn new(form: Form, capture_rate: u32, channels: u16) -> Result<Self> {
        let settings = form.settings(capture_rate, channels);
        let shape = Shape { sample_rate: settings.sample_rate, channels: settings.channels };
        let coder = match form.content() {
            Content::Opus => Coder::Codec(codec::encoder(&settings)?),
            Content::S16 => Coder::Pcm(convert::to_s16_le),
            Content::F32 => Coder::Pcm(convert::to_f32_le),
        };
        let delay = match &coder {
            Coder::Codec(encoder) => encoder.format().delay_frames,
            Coder::Pcm(_) => 0,
        };
        Ok(Self {
            coder,
            shape,
            capture_rate,
            delay,
            epoch: 0,
            run: None,
            hole: None,
            told: None,
            conformed: Vec::new(),
        })
    }

    /// What comes out.
    pub fn about(&self) -> About {
        let setup = match &self.coder {
            Coder::Codec(encoder) => encoder.format().headers.first().cloned().unwrap_or_default(),
            Coder::Pcm(_) => Bytes::new(),
        };
        let Shape { sample_rate, channels } = self.shape;
        About { sample_rate, channels, capture_rate: self.capture_rate, setup }
    }

    /// Takes the next quantum; `emit` gets what is complete.
    ///
    /// # Errors
    /// The codec failed.
    pub fn push(&mut self, quantum: &Quantum, emit: &mut dyn FnMut(Item)) -> Result<()> {
        if quantum.epoch != self.epoch {
            // Pause is privacy: nothing of what is under way may come out. It is in the gap to come.
            self.epoch = quantum.epoch;
            self.drop_run()?;
        }
        match &quantum.payload {
            Payload::Sound { samples, channels } => self.sound(quantum, samples, *channels, emit),
            Payload::Filler { reason, .. } => {
                // The first cause explains a hole; what came on top of it does not.
                self.hole.get_or_insert(*reason);
                self.end_run(emit)
            }
            Payload::State(mark) => {
                self.end_run(emit)?;
                emit(Item::State(mark.clone()));
                Ok(())
            }
        }
    }

    /// Quanta were dropped before they were read: their sound is in the gap to come.
    ///
    /// # Errors
    /// The codec cannot be set up again.
    pub fn interrupt(&mut self) -> Result<()> {
        self.hole.get_or_insert(GapReason::SlowListener);
        self.drop_run()
    }

    fn drop_run(&mut self) -> Result<()> {
        self.run = None;
        match &mut self.coder {
            Coder::Codec(encoder) => encoder.reset(),
            Coder::Pcm(_) => Ok(()),
        }
    }

    fn sound(
        &mut self,
        quantum: &Quantum,
        samples: &[f32],
        channels: u16,
        emit: &mut dyn FnMut(Item),
    ) -> Result<()> {
        let goes_on = |run: &Run| run.due == quantum.position && run.channels == channels;
        if !self.run.as_ref().is_some_and(goes_on) {
            self.end_run(emit)?;
        }
        let mut run = match self.run.take() {
            Some(run) => run,
            None => self.begin_run(quantum, channels, emit)?,
        };
        run.due = quantum.position + quantum.frames;
        run.moment = (quantum.position, quantum.mono_ns);
        let mut conformed = std::mem::take(&mut self.conformed);
        conformed.clear();
        run.conform.process(samples, &mut conformed);
        let encoded = self.encode(&mut run, &conformed, emit);
        self.conformed = conformed;
        self.run = Some(run);
        encoded
    }

    fn begin_run(&mut self, quantum: &Quantum, channels: u16, emit: &mut dyn FnMut(Item)) -> Result<Run> {
        let Quantum { position, mono_ns, .. } = *quantum;
        let hole = self.hole.take();
        // Before the first sound nobody misses anything.
        if let Some(told) = self.told.filter(|told| *told < position) {
            let lost = position - told;
            // Without a filler the sound was withdrawn, and only a pause does that.
            let reason = hole.unwrap_or(GapReason::Paused);
            let began_ns = mono_ns - duration_ns(lost, self.capture_rate);
            emit(Item::Gap(Hole { position: told, lost, reason, mono_ns: began_ns }));
        }
        let from = Shape { sample_rate: self.capture_rate, channels };
        let conform = Conform::new(from, self.shape).map_err(|reason| Error::new(Kind::Invalid, reason))?;
        Ok(Run {
            channels,
            conform,
            begin: position,
            due: position,
            made: -i64::from(self.delay),
            is_fresh: true,
            moment: (position, mono_ns),
        })
    }

    /// Gives all that the encoder still holds.
    fn end_run(&mut self, emit: &mut dyn FnMut(Item)) -> Result<()> {
        let Some(mut run) = self.run.take() else { return Ok(()) };
        let mut rest = Vec::new();
        run.conform.finish(&mut rest);
        self.encode(&mut run, &rest, emit)?;
        let Self { coder, told, shape, capture_rate, .. } = self;
        if let Coder::Codec(encoder) = coder {
            let mut place = Placing { run: &mut run, told, shape: *shape, capture_rate: *capture_rate };
            encoder.finish(&mut |packet| place.put(packet.bytes, packet.frames, emit))?;
            encoder.reset()?;
        }
        // The rates may not divide each other: what is less than a frame is not told as a gap.
        self.told = Some(run.due);
        Ok(())
    }

    fn encode(&mut self, run: &mut Run, samples: &[f32], emit: &mut dyn FnMut(Item)) -> Result<()> {
        let Self { coder, told, shape, capture_rate, .. } = self;
        let mut place = Placing { run, told, shape: *shape, capture_rate: *capture_rate };
        match coder {
            Coder::Codec(encoder) => {
                encoder.encode(samples, &mut |packet| place.put(packet.bytes, packet.frames, emit))
            }
            Coder::Pcm(pack) => {
                let channels = usize::from(shape.channels).max(1);
                for samples in samples.chunks(MOST_FRAMES * channels) {
                    let mut bytes = Vec::new();
                    pack(samples, &mut bytes);
                    place.put(bytes.into(), (samples.len() / channels) as u32, emit);
                }
                Ok(())
            }
        }
    }
}

/// Finds the place of packets.
struct Placing<'a> {
    run: &'a mut Run,
    told: &'a mut Option<u64>,
    shape: Shape,
    capture_rate: u32,
}

impl Placing<'_> {
    /// The next packet decodes to so many frames that count.
    fn put(&mut self, bytes: Bytes, frames: u32, emit: &mut dyn FnMut(Item)) {
        let run = &mut *self.run;
        let skip = u32::try_from(-run.made).map_or(0, |priming| priming.min(frames));
        let first = run.made + i64::from(skip);
        run.made += i64::from(frames);
        let at = |made: i64| {
            let made = u128::from(u64::try_from(made).unwrap_or(0));
            let frames = made * u128::from(self.capture_rate) / u128::from(self.shape.sample_rate.max(1));
            run.begin + u64::try_from(frames).unwrap_or(u64::MAX)
        };
        let (position, end) = (at(first), at(run.made));
        let (known, known_ns) = run.moment;
        let mono_ns = if position >= known {
            known_ns + duration_ns(position - known, self.capture_rate)
        } else {
            known_ns - duration_ns(known - position, self.capture_rate)
        };
        *self.told = Some(end);
        let is_start = std::mem::take(&mut run.is_fresh);
        // Packets are much shorter than that.
        let (skip, frames) = (clamped(skip), clamped(frames - skip));
        emit(Item::Piece(Piece { is_start, skip, frames, position, end, mono_ns, bytes }));
    }
}

fn clamped(frames: u32) -> u16 {
    u16::try_from(frames).unwrap_or(u16::MAX)
}

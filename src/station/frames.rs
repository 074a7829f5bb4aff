//! Renditions of the frame API: blocks, gaps and states as server-sent events.

use std::sync::Arc;

use super::controls::Scale;
use super::renditions::{self, Encode, Material, Recipe};
use crate::audio::{Assembler, Block, Gap, Item, Payload, Quantum, StateMark, Unit};
use crate::codec::frames::{self, Encoding, FrameEncoder};
use crate::codec::reduce::Reducer;
use crate::error::Result;
use crate::mux::sse::{self, Event};
use crate::tools::clock::WallClock;
use crate::tools::spread::Extent;

/// Which encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key {
    /// How samples are written.
    pub encoding: Encoding,
    /// At which rate.
    pub scale: Scale,
}

/// A listener's hold on one.
pub type Subscription = renditions::Subscription<Key>;

impl Recipe for Key {
    type Entry = Packet;
    type About = ();
    type Encoder = Encoder;

    fn name(self) -> String {
        format!("frames/{}/{}", self.encoding.as_str(), self.scale.value())
    }

    fn thread_name(self) -> String {
        format!("encode-{}-{}", self.encoding.as_str(), self.scale.factor())
    }

    fn entries_per_second(self, material: &Material) -> u64 {
        u64::from(material.sample_rate / material.block_frames.max(1)) + 1
    }

    /// With the block that is being filled: the first listener hears of it as soon as it is whole.
    fn may_begin(quantum: &Quantum) -> bool {
        quantum.offset == 0 && matches!(quantum.payload, Payload::Sound { .. })
    }

    fn encoder(self, material: &Material) -> Result<Encoder> {
        Ok(Encoder::new(self, material))
    }
}
/// What an entry tells, for those who must know more than its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// A block.
    Block {
        /// Its number.
        number: u64,
        /// Position of its first frame.
        position: u64,
        /// Captured frames it stands for.
        frames: u64,
        /// When its first frame was captured, on the monotonic clock.
        mono_ns: i64,
    },
    /// A hole that everybody has.
    Gap(Gap),
    /// A change of state.
    State(StateMark),
}

/// An entry of a rendition: a whole event, encoded once, shared by all who listen.
#[derive(Debug, Clone)]
pub struct Packet {
    epoch: u64,
    /// What it tells.
    pub told: Told,
    /// The event.
    pub event: Event,
}

impl Extent for Packet {
    fn span(&self) -> u64 {
        if let Told::Block { frames, .. } = self.told { frames } else { 0 }
    }

    fn bytes(&self) -> usize {
        self.event.length()
    }

    fn epoch(&self) -> u64 {
        self.epoch
    }
}

/// Blocks of the programme to packets of one encoding. Pure but for the wall clock it is given.
#[derive(Debug)]
pub struct Encoder {
    wall: Arc<WallClock>,
    assembler: Assembler,
    reducer: Reducer,
    frames: FrameEncoder,
}

impl Encoder {
    /// For this encoding of this programme.
    pub fn new(key: Key, material: &Material) -> Self {
        let (a, b) = material.shown;
        let factor = key.scale.factor();
        Self {
            wall: material.wall.clone(),
            assembler: Assembler::new(material.block_frames, a, b),
            reducer: Reducer::new(factor as usize),
            frames: FrameEncoder::new(key.encoding, material.sample_rate, factor),
        }
    }

    /// Captured frames on each side of a block that its encoding depends on.
    pub fn reach(key: Key) -> u64 {
        Reducer::new(key.scale.factor() as usize).reach()
    }

    /// Quanta were dropped before they were read: begins anew at the next block.
    pub fn begin_anew(&mut self) {
        self.assembler.interrupt();
    }

    /// Takes the next quantum; `emit` gets what is complete.
    pub fn take(&mut self, quantum: &Quantum, mut emit: impl FnMut(Packet)) {
        let Self { wall, assembler, reducer, frames } = self;
        assembler.push(quantum, |item| reducer.push(item, |item| emit(encode(frames, wall, item))));
    }
}

impl Encode for Encoder {
    type Entry = Packet;
    type About = ();

    fn about(&self) {}

    fn push(&mut self, quantum: &Quantum, emit: &mut dyn FnMut(Packet)) -> Result<()> {
        self.take(quantum, emit);
        Ok(())
    }

    fn interrupt(&mut self) -> Result<()> {
        self.begin_anew();
        Ok(())
    }
}

fn encode(encoder: &FrameEncoder, wall: &WallClock, item: Item) -> Packet {
    let Item { epoch, unit } = item;
    match unit {
        Unit::Block(block) => {
            let id = format!("frame-{}", block.number);
            let event = sse::event("audio-frame", Some(&id), &encoder.block(&block, wall));
            let Block { number, position, mono_ns, captured: frames, .. } = block;
            Packet { epoch, told: Told::Block { number, position, frames, mono_ns }, event }
        }
        Unit::Gap(gap) => Packet { epoch, event: gap_event(&gap, wall), told: Told::Gap(gap) },
        Unit::State(mark) => Packet { epoch, event: state_event(&mark), told: Told::State(mark) },
    }
}

/// A `gap` event.
pub fn gap_event(gap: &Gap, wall: &WallClock) -> Event {
    sse::event("gap", None, frames::gap(gap, wall).as_bytes())
}

/// A `state` event.
pub fn state_event(mark: &StateMark) -> Event {
    sse::event("state", None, frames::state(mark).as_bytes())
}

//! From quanta to what the frame API speaks of: whole blocks, gaps and changes of state.

use super::{Gap, GapReason, Payload, Quantum, StateMark};

/// A block of sound, de-interleaved to the two channels that are shown.
#[derive(Debug, Clone, PartialEq)]
pub struct Block {
    /// The block's number.
    pub number: u64,
    /// Position of its first frame.
    pub position: u64,
    /// When that was captured, on the monotonic clock.
    pub mono_ns: i64,
    /// Captured frames it stands for: as many as it has samples, unless its rate was lowered.
    pub captured: u64,
    /// First shown channel.
    pub a: Vec<f32>,
    /// Second shown channel; as long as `a`.
    pub b: Vec<f32>,
}

/// What comes next in the programme, as the frame API tells it.
#[derive(Debug, Clone, PartialEq)]
pub enum Unit {
    /// Sound.
    Block(Block),
    /// A hole, told when sound is back.
    Gap(Gap),
    /// A change of state.
    State(StateMark),
}

/// A [`Unit`] and the epoch it belongs to.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// Pauses counted.
    pub epoch: u64,
    /// What it is.
    pub unit: Unit,
}

#[derive(Debug, Clone, Copy)]
struct Hole {
    reason: GapReason,
    mono_ns: i64,
}

/// Where the newest block ended.
#[derive(Debug, Clone, Copy)]
struct End {
    /// Number of the block after it.
    number: u64,
    /// Position of the frame after it.
    position: u64,
}

/// Puts quanta together.
#[derive(Debug)]
pub struct Assembler {
    block_frames: u32,
    channel_a: usize,
    channel_b: usize,
    open: Option<Block>,
    hole: Option<Hole>,
    epoch: u64,
    /// `None` before the first block.
    end: Option<End>,
}

impl Assembler {
    /// Blocks of so many frames, showing two of the captured channels (counted from 0). A channel that
    /// the device does not have is shown as its first.
    pub const fn new(block_frames: u32, channel_a: usize, channel_b: usize) -> Self {
        Self { block_frames, channel_a, channel_b, open: None, hole: None, epoch: 0, end: None }
    }

    /// Takes the next quantum; `emit` gets what is complete. Sound that begins inside a block is left
    /// out until the next block begins, so that a late joiner gets whole blocks only.
    pub fn push(&mut self, quantum: &Quantum, mut emit: impl FnMut(Item)) {
        if quantum.epoch != self.epoch {
            // What an earlier epoch left open must reach nobody.
            self.open = None;
            self.epoch = quantum.epoch;
        }
        match &quantum.payload {
            Payload::Sound { samples, channels } => {
                self.sound(quantum, samples, usize::from(*channels), &mut emit);
            }
            Payload::Filler { reason, .. } => {
                self.flush(&mut emit);
                // The first cause explains a hole; what came on top of it does not.
                self.hole.get_or_insert(Hole { reason: *reason, mono_ns: quantum.mono_ns });
            }
            Payload::State(mark) => {
                self.flush(&mut emit);
                self.emit(Unit::State(mark.clone()), &mut emit);
            }
        }
    }

    /// The log dropped quanta before they were read: begin anew at the next block.
    pub fn interrupt(&mut self) {
        self.open = None;
        self.hole = None;
        self.end = None;
    }

    fn sound(&mut self, quantum: &Quantum, samples: &[f32], channels: usize, emit: &mut impl FnMut(Item)) {
        if quantum.offset == 0 {
            self.flush(emit);
            self.tell_hole(quantum, emit);
            self.open = Some(Block {
                number: quantum.block,
                position: quantum.position,
                mono_ns: quantum.mono_ns,
                captured: 0,
                a: Vec::with_capacity(self.block_frames as usize),
                b: Vec::with_capacity(self.block_frames as usize),
            });
        }
        let Some(block) = &mut self.open else { return };
        let pick = |wanted: usize| if wanted < channels { wanted } else { 0 };
        let (a, b) = (pick(self.channel_a), pick(self.channel_b));
        for frame in samples.chunks_exact(channels.max(1)) {
            block.a.push(frame[a]);
            block.b.push(frame[b]);
        }
        block.captured += quantum.frames;
        if block.captured >= u64::from(self.block_frames) {
            self.flush(emit);
        }
    }

    /// Whatever is not in a block is in a gap: numbers and positions say so, not the fillers seen.
    fn tell_hole(&mut self, next: &Quantum, emit: &mut impl FnMut(Item)) {
        let hole = self.hole.take();
        // Before the first block nobody misses anything.
        let Some(end) = self.end.filter(|end| end.number < next.block) else { return };
        let gap = Gap {
            from_frame: end.number,
            to_frame: next.block - 1,
            position: end.position,
            lost: next.position.saturating_sub(end.position),
            // Without a filler the sound was withdrawn, and only a pause does that.
            reason: hole.map_or(GapReason::Paused, |hole| hole.reason),
            mono_ns: hole.map_or(next.mono_ns, |hole| hole.mono_ns),
        };
        self.emit(Unit::Gap(gap), emit);
    }

    fn flush(&mut self, emit: &mut impl FnMut(Item)) {
        if let Some(block) = self.open.take() {
            self.end = Some(End { number: block.number + 1, position: block.position + block.captured });
            self.emit(Unit::Block(block), emit);
        }
    }

    fn emit(&self, unit: Unit, emit: &mut impl FnMut(Item)) {
        emit(Item { epoch: self.epoch, unit });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::{Cutter, State};

    /// A programme of two channels that counts its own frames.
    struct Programme {
        cutter: Cutter,
        position: u64,
        epoch: u64,
    }

    impl Programme {
        fn quantum(&self, frames: u64, block: u64, offset: u32, payload: Payload) -> Quantum {
            let mono_ns = i64::try_from(self.position).expect("small") * 10;
            Quantum { epoch: self.epoch, position: self.position, frames, mono_ns, block, offset, payload }
        }

        fn sound(&mut self, frames: u32) -> Quantum {
            let (block, offset) = self.cutter.sound(frames);
            let range = self.position..self.position + u64::from(frames);
            let samples = range.flat_map(|n| [n as f32, -(n as f32)]).collect();
            let quantum = self.quantum(frames.into(), block, offset, Payload::Sound { samples, channels: 2 });
            self.position += u64::from(frames);
            quantum
        }

        fn filler(&mut self, frames: u64, reason: GapReason) -> Quantum {
            self.cutter.missing(frames);
            let payload = Payload::Filler { reason, discontinuity: false };
            let quantum = self.quantum(frames, self.cutter.next_block(), 0, payload);
            self.position += frames;
            quantum
        }
    }

    fn programme() -> Programme {
        Programme { cutter: Cutter::new(8, 0), position: 0, epoch: 0 }
    }

    fn collect(assembler: &mut Assembler, quanta: &[Quantum]) -> Vec<Unit> {
        let mut units = Vec::new();
        quanta.iter().for_each(|quantum| assembler.push(quantum, |item| units.push(item.unit)));
        units
    }

    #[test]
    fn quanta_become_whole_blocks_of_the_chosen_channels() {
        let mut programme = programme();
        let quanta: Vec<_> = (0..4).map(|_| programme.sound(4)).collect();
        let units = collect(&mut Assembler::new(8, 1, 0), &quanta);
        let [Unit::Block(first), Unit::Block(second)] = &units[..] else { panic!("{units:?}") };
        assert_eq!((first.number, first.position, second.number, second.position), (0, 0, 1, 8));
        assert_eq!(first.b, (0..8).map(|n| n as f32).collect::<Vec<_>>());
        assert_eq!(second.a, (8..16).map(|n| -(n as f32)).collect::<Vec<_>>());
    }

    #[test]
    fn a_late_joiner_begins_with_a_whole_block_and_hears_of_no_old_gap() {
        let mut programme = programme();
        programme.sound(3);
        let quanta = [programme.filler(1, GapReason::Overrun), programme.sound(2), programme.sound(6)];
        let units = collect(&mut Assembler::new(8, 0, 1), &quanta);
        let [Unit::Block(block)] = &units[..] else { panic!("{units:?}") };
        assert_eq!((block.number, block.captured), (2, 8));
        let units = collect(&mut Assembler::new(8, 0, 1), &quanta[2..]);
        assert!(units.is_empty(), "sound from inside a block is left out");
    }

    #[test]
    fn a_gap_inside_a_block_sends_it_short_and_is_told_when_sound_is_back() {
        let mut programme = programme();
        let quanta = [
            programme.sound(8),
            programme.sound(3),
            programme.filler(9, GapReason::Overrun),
            programme.filler(1, GapReason::Stalled),
            programme.sound(8),
        ];
        let units = collect(&mut Assembler::new(8, 0, 1), &quanta);
        let [Unit::Block(_), Unit::Block(short), Unit::Gap(gap), Unit::Block(after)] = &units[..] else {
            panic!("{units:?}")
        };
        assert_eq!((short.number, short.captured), (1, 3));
        assert_eq!((gap.from_frame, gap.to_frame, gap.lost, gap.position), (2, 3, 10, 11));
        assert_eq!((gap.reason, gap.mono_ns), (GapReason::Overrun, 110));
        assert_eq!((after.number, after.position), (4, 21));
    }

    #[test]
    fn what_a_pause_withdraws_is_in_the_gap_and_in_no_block() {
        let mut programme = programme();
        let mut assembler = Assembler::new(8, 0, 1);
        let before = [programme.sound(8), programme.sound(5)];
        assert_eq!(collect(&mut assembler, &before).len(), 1);
        programme.epoch = 1;
        let quanta = [programme.filler(6, GapReason::Paused), programme.sound(8)];
        let units = collect(&mut assembler, &quanta);
        let [Unit::Gap(gap), Unit::Block(after)] = &units[..] else { panic!("{units:?}") };
        assert_eq!((gap.from_frame, gap.to_frame), (1, 2));
        assert_eq!((gap.position, gap.lost, gap.reason), (8, 11, GapReason::Paused));
        assert_eq!((after.number, after.position), (3, 19));
    }

    #[test]
    fn a_change_of_state_follows_the_sound_before_it() {
        let mut programme = programme();
        let sound = programme.sound(3);
        programme.cutter.cut();
        let mark = StateMark { state: State::Stalled, reason: None, since_ms: 5 };
        let state = programme.quantum(0, 1, 0, Payload::State(mark.clone()));
        let after = programme.sound(8);
        let units = collect(&mut Assembler::new(8, 0, 1), &[sound, state, after]);
        let [Unit::Block(short), Unit::State(told), Unit::Block(next)] = &units[..] else {
            panic!("{units:?}")
        };
        assert_eq!((short.number, short.captured, next.number), (0, 3, 1));
        assert_eq!(*told, mark);
    }

    #[test]
    fn a_mono_device_feeds_both_channels() {
        let samples = [0.1_f32, 0.2].into();
        let payload = Payload::Sound { samples, channels: 1 };
        let quantum = Quantum { epoch: 0, position: 0, frames: 2, mono_ns: 0, block: 0, offset: 0, payload };
        let units = collect(&mut Assembler::new(2, 0, 1), &[quantum]);
        let [Unit::Block(block)] = &units[..] else { panic!("{units:?}") };
        assert_eq!((&block.a, &block.b), (&vec![0.1, 0.2], &vec![0.1, 0.2]));
    }
}

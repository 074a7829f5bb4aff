//! Blocks at a lower rate: band-limited and decimated, number, position and time unchanged.
//!
//! The filter looks both ways, so a block is complete only when a little of the next one is there; where
//! sound ends, the future counts as silent.

use std::collections::VecDeque;

use crate::audio::{Block, Item, Unit};
use crate::dsp::decimate::Decimator;

#[derive(Debug, Clone, Copy)]
struct Waiting {
    number: u64,
    position: u64,
    mono_ns: i64,
    frames: usize,
}

/// Lowers the rate of blocks as they pass.
#[derive(Debug)]
pub struct Reducer {
    decimator: Decimator,
    epoch: u64,
    /// Position of the first sample in the lines.
    start: u64,
    /// Both channels: what the filter still needs of the past, and everything not yet given out.
    a: Vec<f32>,
    b: Vec<f32>,
    waiting: VecDeque<Waiting>,
}

impl Reducer {
    /// Keeps one sample of `factor`; 1 passes everything as it is.
    pub fn new(factor: usize) -> Self {
        let decimator = Decimator::new(factor);
        Self { decimator, epoch: 0, start: 0, a: Vec::new(), b: Vec::new(), waiting: VecDeque::new() }
    }

    /// Samples on each side of a block that it depends on; none when everything passes as it is.
    pub fn reach(&self) -> u64 {
        if self.decimator.factor() == 1 { 0 } else { self.decimator.reach() as u64 }
    }

    /// Takes the next item; `emit` gets what is complete.
    pub fn push(&mut self, item: Item, mut emit: impl FnMut(Item)) {
        if self.decimator.factor() == 1 {
            return emit(item);
        }
        if item.epoch != self.epoch {
            self.forget();
            self.epoch = item.epoch;
        }
        match item.unit {
            Unit::Block(block) => {
                if self.start + self.a.len() as u64 != block.position {
                    self.flush(&mut emit);
                    self.forget();
                    self.start = block.position;
                }
                self.take(&block);
                self.give(self.decimator.reach(), &mut emit);
            }
            Unit::Gap(_) | Unit::State(_) => {
                self.flush(&mut emit);
                self.forget();
                emit(item);
            }
        }
    }

    fn take(&mut self, block: &Block) {
        self.a.extend_from_slice(&block.a);
        self.b.extend_from_slice(&block.b);
        let Block { number, position, mono_ns, .. } = *block;
        self.waiting.push_back(Waiting { number, position, mono_ns, frames: block.a.len() });
    }

    /// Gives out the blocks after whose end there are `ahead` more samples.
    fn give(&mut self, ahead: usize, emit: &mut impl FnMut(Item)) {
        while let Some(next) = self.waiting.front().copied() {
            let offset = usize::try_from(next.position - self.start).unwrap_or(usize::MAX);
            if self.a.len() < offset + next.frames + ahead {
                return;
            }
            self.waiting.pop_front();
            let centres = || (offset..offset + next.frames).step_by(self.decimator.factor());
            let a = centres().map(|centre| self.decimator.at(&self.a, centre)).collect();
            let b = centres().map(|centre| self.decimator.at(&self.b, centre)).collect();
            let Waiting { number, position, mono_ns, frames } = next;
            let block = Block { number, position, mono_ns, captured: frames as u64, a, b };
            emit(Item { epoch: self.epoch, unit: Unit::Block(block) });
            self.drop_past(offset + frames);
        }
    }

    fn drop_past(&mut self, given: usize) {
        let past = given.saturating_sub(self.decimator.reach());
        self.a.drain(..past);
        self.b.drain(..past);
        self.start += past as u64;
    }

    fn flush(&mut self, emit: &mut impl FnMut(Item)) {
        self.give(0, emit);
    }

    fn forget(&mut self) {
        self.waiting.clear();
        self.a.clear();
        self.b.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::{State, StateMark};

    fn block(number: u64, position: u64, samples: &[f32]) -> Item {
        let captured = samples.len() as u64;
        let block =
            Block { number, position, mono_ns: 7, captured, a: samples.to_vec(), b: samples.to_vec() };
        Item { epoch: 0, unit: Unit::Block(block) }
    }

    fn state(epoch: u64) -> Item {
        let mark = StateMark { state: State::Stalled, reason: None, since_ms: 0 };
        Item { epoch, unit: Unit::State(mark) }
    }

    fn run(factor: usize, items: impl IntoIterator<Item = Item>) -> Vec<Unit> {
        let mut reducer = Reducer::new(factor);
        let mut units = Vec::new();
        items.into_iter().for_each(|item| reducer.push(item, |item| units.push(item.unit)));
        units
    }

    #[test]
    fn blocks_of_any_length_join_without_a_seam() {
        let signal: Vec<f32> = (0..4096).map(|n| (f64::from(n) * 0.05).sin() as f32).collect();
        for factor in [2, 4, 8] {
            for length in [64, 256, 1024] {
                let blocks = signal.chunks(length).enumerate();
                let items = blocks.map(|(n, samples)| block(n as u64, (n * length) as u64, samples));
                let units = run(factor, items.chain([state(0)]));
                let mut joined = Vec::new();
                for unit in &units[..units.len() - 1] {
                    let Unit::Block(block) = unit else { panic!("{unit:?}") };
                    assert_eq!(block.a.len(), length / factor);
                    joined.extend_from_slice(&block.a);
                }
                let expected: Vec<f32> = (0..signal.len())
                    .step_by(factor)
                    .map(|centre| Decimator::new(factor).at(&signal, centre))
                    .collect();
                assert_eq!(joined, expected, "factor {factor}, blocks of {length}");
                // Inside the pass band the samples are those of the signal itself.
                let worst = joined[100..joined.len() - 100]
                    .iter()
                    .zip(signal.iter().step_by(factor).skip(100))
                    .map(|(x, y)| (x - y).abs())
                    .fold(0.0, f32::max);
                assert!(worst < 0.005, "{worst}");
            }
        }
    }

    #[test]
    fn a_gap_ends_the_sound_before_it_and_a_short_block_is_rounded_up() {
        let units =
            run(8, [block(0, 0, &[0.5; 64]), block(1, 64, &[0.5; 9]), block(4, 900, &[0.0; 64]), state(0)]);
        let lengths: Vec<usize> = units
            .iter()
            .filter_map(|unit| if let Unit::Block(block) = unit { Some(block.a.len()) } else { None })
            .collect();
        assert_eq!(lengths, [8, 2, 8]);
    }

    #[test]
    fn what_waits_when_an_epoch_ends_reaches_nobody() {
        let units = run(2, [block(0, 0, &[0.5; 64]), state(1)]);
        assert!(matches!(units[..], [Unit::State(_)]), "{units:?}");
    }
}

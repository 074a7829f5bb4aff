//! The chain over the programme: quanta as they were cut, with other sound in them. Pure.
//!
//! A chain may hold sound back, so a quantum waits until all of its sound is there: its position, time
//! and block stay those of the sound in it. Where sound ends (a gap, a change of state), what waits is
//! completed first, so the order stays. Without effects quanta pass as they are.

use std::collections::VecDeque;

use crate::audio::{Payload, Quantum};
use crate::dsp::chain::Chain;

/// Applies a chain to quanta.
#[derive(Debug)]
pub struct Processor {
    chain: Chain,
    sample_rate: u32,
    epoch: u64,
    /// Quanta whose sound is in the chain.
    waiting: VecDeque<Quantum>,
    /// Sound that came out of the chain and does not fill the next quantum yet.
    sound: Vec<f32>,
    piece: Vec<f32>,
}

impl Processor {
    /// With these effects at first.
    pub fn new(chain: Chain, sample_rate: u32) -> Self {
        let (waiting, sound, piece) = Default::default();
        Self { chain, sample_rate, epoch: 0, waiting, sound, piece }
    }

    /// The chain.
    pub fn chain(&self) -> &Chain {
        &self.chain
    }

    /// Goes over to other effects.
    pub fn change(&mut self, next: Chain) {
        let next = if next.channels() == self.chain.channels() {
            next
        } else {
            Chain::new(next.effects(), self.sample_rate, self.chain.channels())
        };
        self.chain.change(next);
    }

    /// Forgets all sound: what was captured until now must reach nobody.
    pub fn forget(&mut self) {
        self.chain.reset();
        self.waiting.clear();
        self.sound.clear();
    }

    /// Takes the next quantum; `emit` gets those that are complete, in order.
    pub fn push(&mut self, quantum: Quantum, emit: &mut dyn FnMut(Quantum)) {
        if quantum.epoch != self.epoch {
            self.forget();
            self.epoch = quantum.epoch;
        }
        let Payload::Sound { samples, channels } = &quantum.payload else {
            self.flush(emit);
            return emit(quantum);
        };
        if *channels != self.chain.channels() {
            self.flush(emit);
            self.chain = Chain::new(self.chain.effects(), self.sample_rate, *channels);
        }
        if self.chain.is_empty() && self.waiting.is_empty() {
            return emit(quantum);
        }
        self.piece.clear();
        self.piece.extend_from_slice(samples);
        self.waiting.push_back(quantum);
        self.chain.process(&mut self.piece);
        self.give(emit);
    }

    /// Sound ends here.
    fn flush(&mut self, emit: &mut dyn FnMut(Quantum)) {
        self.piece.clear();
        self.chain.finish(&mut self.piece);
        self.give(emit);
    }

    /// Gives out the quanta that are complete with the sound in `piece`.
    fn give(&mut self, emit: &mut dyn FnMut(Quantum)) {
        self.sound.append(&mut self.piece);
        let mut given = 0;
        while let Some(next) = self.waiting.front()
            && let Payload::Sound { samples, .. } = &next.payload
            && let Some(processed) = self.sound.get(given..given + samples.len())
        {
            given += processed.len();
            let processed = processed.into();
            if let Some(mut quantum) = self.waiting.pop_front()
                && let Payload::Sound { samples, .. } = &mut quantum.payload
            {
                *samples = processed;
                emit(quantum);
            }
        }
        self.sound.drain(..given);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::audio::{GapReason, State, StateMark};
    use crate::dsp::effect::{Effect, Gain, Limiter};

    const RATE: u32 = 48_000;

    fn limiter() -> Effect {
        Effect::Limiter(Limiter::default())
    }

    fn chain(effects: &[Effect], channels: u16) -> Chain {
        Chain::new(effects, RATE, channels)
    }

    /// Quanta one after the other, as the programme cuts them.
    #[derive(Default)]
    struct Cut {
        epoch: u64,
        position: u64,
        block: u64,
    }

    impl Cut {
        fn quantum(&mut self, frames: u64, payload: Payload) -> Quantum {
            let (epoch, position) = (self.epoch, self.position);
            self.position += frames;
            self.block += 1;
            let mono_ns = i64::try_from(position).expect("small") * 7;
            Quantum { epoch, position, frames, mono_ns, block: self.block, offset: 3, payload }
        }

        fn sound(&mut self, frames: u64, channels: u16) -> Quantum {
            let first = self.position;
            let sample = |n: u64| ((first + n) as f32 * 0.05).sin() * 0.5;
            let samples: Vec<f32> = (0..frames).flat_map(|n| (0..channels).map(move |_| sample(n))).collect();
            self.quantum(frames, Payload::Sound { samples: samples.into(), channels })
        }

        fn filler(&mut self, frames: u64) -> Quantum {
            self.quantum(frames, Payload::Filler { reason: GapReason::Overrun, discontinuity: false })
        }

        fn state(&mut self) -> Quantum {
            self.quantum(0, Payload::State(StateMark { state: State::Running, reason: None, since_ms: 0 }))
        }
    }

    fn pushed(processor: &mut Processor, quantum: Quantum) -> Vec<Quantum> {
        let mut out = Vec::new();
        processor.push(quantum, &mut |quantum| out.push(quantum));
        out
    }

    fn place(quantum: &Quantum) -> (u64, u64, u64, i64, u64, u32) {
        let Quantum { epoch, position, frames, mono_ns, block, offset, .. } = *quantum;
        (epoch, position, frames, mono_ns, block, offset)
    }

    fn samples(quantum: &Quantum) -> Option<&Arc<[f32]>> {
        if let Payload::Sound { samples, .. } = &quantum.payload { Some(samples) } else { None }
    }

    proptest! {
        #[test]
        fn every_quantum_comes_out_once_in_order_and_in_place(
            steps in prop::collection::vec((0_u8..12, 1_u64..500), 1..60),
        ) {
            let mut processor = Processor::new(chain(&[], 1), RATE);
            let mut cut = Cut::default();
            let (mut sent, mut got) = (Vec::new(), Vec::new());
            for (step, frames) in steps {
                let quantum = match step {
                    0 => cut.filler(frames),
                    1 => cut.state(),
                    2 => cut.sound(frames, 2),
                    // Effects that leave soft sound as it is, however late it comes.
                    3 => {
                        let effects = vec![limiter(); usize::try_from(frames % 3).expect("small")];
                        processor.change(chain(&effects, 1));
                        continue;
                    }
                    _ => cut.sound(frames, 1),
                };
                sent.push(quantum.clone());
                processor.push(quantum, &mut |quantum| got.push(quantum));
            }
            let end = cut.state();
            sent.push(end.clone());
            processor.push(end, &mut |quantum| got.push(quantum));
            prop_assert_eq!(sent.len(), got.len());
            for (sent, got) in sent.iter().zip(&got) {
                prop_assert_eq!(place(sent), place(got));
                prop_assert_eq!(samples(sent).map(|x| x.len()), samples(got).map(|x| x.len()));
                for (one, other) in samples(sent).into_iter().zip(samples(got)).flat_map(|(x, y)| x.iter().zip(y.iter())) {
                    prop_assert!((one - other).abs() < 1e-6, "{} {}", one, other);
                }
            }
        }
    }

    #[test]
    fn without_effects_the_very_same_sound_passes() {
        let mut processor = Processor::new(chain(&[], 2), RATE);
        let quantum = Cut::default().sound(48, 2);
        let out = pushed(&mut processor, quantum.clone());
        let same = samples(&out[0]).zip(samples(&quantum)).is_some_and(|(x, y)| Arc::ptr_eq(x, y));
        assert!(same, "not even copied");
    }

    #[test]
    fn effects_are_applied() {
        let mut processor = Processor::new(chain(&[Effect::Gain(Gain { gain_db: -20.0 })], 1), RATE);
        let quantum = Cut::default().sound(100, 1);
        let out = pushed(&mut processor, quantum.clone());
        let pairs =
            samples(&out[0]).into_iter().zip(samples(&quantum)).flat_map(|(x, y)| x.iter().zip(y.iter()));
        assert!(pairs.clone().count() == 100 && pairs.clone().all(|(x, y)| (x - y / 10.0).abs() < 1e-6));
    }

    #[test]
    fn nothing_of_an_older_epoch_comes_out() {
        let mut processor = Processor::new(chain(&[limiter()], 1), RATE);
        let mut cut = Cut::default();
        assert!(pushed(&mut processor, cut.sound(200, 1)).is_empty(), "held back");
        cut.epoch = 1;
        let filler = cut.filler(100);
        assert_eq!(
            pushed(&mut processor, filler.clone()).iter().map(place).collect::<Vec<_>>(),
            [place(&filler)]
        );
        // And what the chain itself remembers is forgotten at once.
        processor.push(cut.sound(200, 1), &mut |_| ());
        processor.forget();
        assert_eq!(processor.chain().held_frames(), 0);
        assert_eq!(pushed(&mut processor, cut.state()).len(), 1);
    }
}

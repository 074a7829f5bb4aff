//! Bands of an equaliser that follow each other, in one pass over the samples.

use super::biquad::{Coefficients, Memory};
use super::ramp::Ramp;
use crate::dsp::effect::Effect;

/// While a band changes, its filter is made anew for so many frames at a time.
const STEP: usize = 16;

/// A band: the filter it is, the one it was, and how far it has come.
#[derive(Debug, Clone)]
struct Band {
    from: Coefficients,
    to: Coefficients,
    way: Ramp,
}

impl Band {
    fn rests(&self) -> bool {
        self.way.rests()
    }

    fn ahead(&mut self, frames: u32) -> Coefficients {
        let part = self.way.ahead(frames);
        self.from.towards(&self.to, part)
    }
}

/// Any number of bands over any number of channels.
#[derive(Debug, Clone)]
pub struct Equaliser {
    sample_rate: u32,
    channels: usize,
    bands: Vec<Band>,
    /// The filters as they are now.
    filters: Vec<Coefficients>,
    /// For each pair of channels, the memory of every band.
    memory: Vec<Memory>,
}

impl Equaliser {
    /// Of effects that are bands; others are left out.
    pub fn new(effects: &[Effect], sample_rate: u32, channels: usize) -> Self {
        let filters: Vec<_> =
            effects.iter().filter_map(|effect| Coefficients::of(effect, sample_rate)).collect();
        let band =
            |filter: &Coefficients| Band { from: *filter, to: *filter, way: Ramp::at(1.0, sample_rate) };
        let bands: Vec<_> = filters.iter().map(band).collect();
        let memory = vec![Memory::default(); bands.len() * channels.div_ceil(2)];
        Self { sample_rate, channels, bands, filters, memory }
    }

    /// Goes over to other settings of the same bands.
    pub fn change(&mut self, effects: &[Effect]) {
        let filters = effects.iter().filter_map(|effect| Coefficients::of(effect, self.sample_rate));
        for ((band, now), to) in self.bands.iter_mut().zip(&self.filters).zip(filters) {
            if to != band.to {
                *band = Band { from: *now, to, way: Ramp::at(0.0, self.sample_rate) };
                band.way.go(1.0);
            }
        }
    }

    /// Forgets all sound.
    pub fn reset(&mut self) {
        self.memory.fill(Memory::default());
    }

    /// Filters in place.
    pub fn process(&mut self, samples: &mut [f32]) {
        if self.bands.iter().all(Band::rests) {
            self.filter(samples);
        } else {
            for step in samples.chunks_mut(STEP * self.channels) {
                let frames = (step.len() / self.channels) as u32;
                for (filter, band) in self.filters.iter_mut().zip(&mut self.bands) {
                    *filter = band.ahead(frames);
                }
                self.filter(step);
            }
        }
        self.memory.iter_mut().for_each(Memory::settle);
    }

    fn filter(&mut self, samples: &mut [f32]) {
        let Self { filters, memory, channels, .. } = self;
        if *channels == 2 {
            let (frames, _) = samples.as_chunks_mut::<2>();
            for frame in frames {
                let y = cascade(filters, memory, frame.map(f64::from));
                *frame = y.map(|y| y as f32);
            }
            return;
        }
        for (pair, memory) in memory.chunks_exact_mut(filters.len()).enumerate() {
            for frame in samples.chunks_exact_mut(*channels) {
                let lanes = &mut frame[2 * pair..];
                let right = lanes.get(1).copied().unwrap_or_default();
                let y = cascade(filters, memory, [lanes[0].into(), right.into()]);
                lanes.iter_mut().zip(y).for_each(|(sample, y)| *sample = y as f32);
            }
        }
    }
}

#[inline]
fn cascade(filters: &[Coefficients], memory: &mut [Memory], x: [f64; 2]) -> [f64; 2] {
    filters.iter().zip(memory).fold(x, |x, (filter, memory)| memory.step(filter, x))
}

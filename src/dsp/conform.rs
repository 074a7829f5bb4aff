//! Sound of one sample rate and number of channels as sound of another: a fixed ratio of rates, whole
//! stretches of sound, any number of samples at a time.
//!
//! The n-th frame out is at the time of the n-th frame of the new rate: the delay of the filter is taken
//! out again. Pass band to 0.9 of half the lower rate, flat within 0.05 dB; what lies above half the lower
//! rate is 100 dB down. (rubato's FFT resampler with a squared Blackman-Harris window, over 10 ms of sound
//! or 256 frames, whichever is more.)

use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Fft, FixedSync, Resampler, WindowFunction};

use super::mix::Mix;

/// Sound that is transformed at a time, as a part of a second, and at least so many frames.
const BLOCKS_PER_S: u32 = 100;
const LEAST_FRAMES: u32 = 256;
/// Longest block, in seconds: rates without a common divisor would need seconds.
const LONGEST_BLOCK_S: u32 = 1;

/// Sample rate and channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Frames per second.
    pub sample_rate: u32,
    /// Samples of a frame.
    pub channels: u16,
}

/// A conversion at work.
#[derive(Debug)]
pub struct Conform {
    mix: Mix,
    /// Channels are made fewer before the rate is converted, and more afterwards.
    mix_first: bool,
    rate: Option<Rate>,
    mixed: Vec<f32>,
}

impl Conform {
    /// From one shape to another.
    ///
    /// # Errors
    /// Says which rates cannot be converted into each other: those whose ratio is no fraction of smaller
    /// numbers.
    pub fn new(from: Shape, to: Shape) -> Result<Self, String> {
        let mix_first = to.channels < from.channels;
        let channels = if mix_first { to.channels } else { from.channels };
        let rate = (from.sample_rate != to.sample_rate)
            .then(|| Rate::new(from.sample_rate, to.sample_rate, channels.max(1).into()))
            .transpose()?;
        Ok(Self { mix: Mix::new(from.channels, to.channels), mix_first, rate, mixed: Vec::new() })
    }

    /// By how many frames of the new rate the sound comes later, at most: a block, and half of one for the
    /// filter.
    pub fn latency_frames(&self) -> usize {
        self.rate.as_ref().map_or(0, |rate| rate.block_out + rate.block_out / 2)
    }

    /// Takes interleaved samples and appends what is complete.
    pub fn process(&mut self, samples: &[f32], out: &mut Vec<f32>) {
        let Self { mix, mix_first, rate, mixed } = self;
        mixed.clear();
        match rate {
            None if mix.is_identity() => out.extend_from_slice(samples),
            None => mix.process(samples, out),
            Some(rate) if mix.is_identity() => rate.process(samples, out),
            Some(rate) if *mix_first => {
                mix.process(samples, mixed);
                rate.process(mixed, out);
            }
            Some(rate) => {
                rate.process(samples, mixed);
                mix.process(mixed, out);
            }
        }
    }

    /// The sound ends here: appends what was held back. What comes next begins anew.
    pub fn finish(&mut self, out: &mut Vec<f32>) {
        let Self { mix, mix_first, rate, mixed } = self;
        let Some(rate) = rate else { return };
        mixed.clear();
        if *mix_first || mix.is_identity() {
            rate.finish(out);
        } else {
            rate.finish(mixed);
            mix.process(mixed, out);
        }
    }

    /// Forgets all sound.
    pub fn reset(&mut self) {
        if let Some(rate) = &mut self.rate {
            rate.begin();
        }
        self.mixed.clear();
    }
}

/// A conversion of the rate.
struct Rate {
    fft: Fft<f32>,
    channels: usize,
    from: u64,
    to: u64,
    block_in: usize,
    block_out: usize,
    /// Sound that does not fill a block yet.
    waiting: Vec<f32>,
    block: Vec<f32>,
    /// Frames at the beginning that come out of the filter and stand for no sound.
    early: usize,
    given: u64,
    taken: u64,
}

impl std::fmt::Debug for Rate {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Rate({} to {})", self.from, self.to)
    }
}

impl Rate {
    fn new(from: u32, to: u32, channels: usize) -> Result<Self, String> {
        let cannot = || format!("{from} Hz cannot be converted to {to} Hz: the ratio is no simple fraction");
        let divisor = greatest_common_divisor(from, to);
        let low = from.min(to) / divisor.max(1);
        let least = (from.min(to) / BLOCKS_PER_S).max(LEAST_FRAMES);
        // An even number, so that the filter's middle is on a frame at both rates.
        let units = least.div_ceil(low.max(1)).next_multiple_of(2);
        if divisor == 0 || units.saturating_mul(low) > LONGEST_BLOCK_S * from.min(to) {
            return Err(cannot());
        }
        let block_in = (units * (from / divisor)) as usize;
        let block_out = (units * (to / divisor)) as usize;
        let window = WindowFunction::BlackmanHarris2;
        let fft = Fft::new_custom(from as usize, to as usize, block_in, 1, channels, window, FixedSync::Both)
            .map_err(|_| cannot())?;
        debug_assert_eq!((fft.input_frames_max(), fft.output_frames_max()), (block_in, block_out));
        Ok(Self {
            early: fft.output_delay(),
            fft,
            channels,
            from: from.into(),
            to: to.into(),
            block_in,
            block_out,
            waiting: Vec::with_capacity(block_in * channels),
            block: vec![0.0; block_out * channels],
            given: 0,
            taken: 0,
        })
    }

    fn process(&mut self, samples: &[f32], out: &mut Vec<f32>) {
        self.given += (samples.len() / self.channels) as u64;
        let mut rest = samples;
        while !rest.is_empty() {
            let room = self.block_in * self.channels - self.waiting.len();
            let (now, later) = rest.split_at(room.min(rest.len()));
            self.waiting.extend_from_slice(now);
            rest = later;
            if now.len() == room {
                self.convert(out);
            }
        }
    }

    fn convert(&mut self, out: &mut Vec<f32>) {
        let Self { fft, channels, block_in, block_out, waiting, block, .. } = self;
        let input = InterleavedSlice::new(&waiting[..], *channels, *block_in);
        let output = InterleavedSlice::new_mut(&mut block[..], *channels, *block_out);
        if let (Ok(input), Ok(mut output)) = (input, output) {
            // Both are as long as the filter asks for, which is all that could be wrong.
            let _ = fft.process_into_buffer(&input, &mut output, None);
        }
        waiting.clear();
        let early = self.early.min(*block_out);
        self.early -= early;
        out.extend_from_slice(&block[early * *channels..]);
        self.taken += (*block_out - early) as u64;
    }

    fn finish(&mut self, out: &mut Vec<f32>) {
        let due = (self.given * self.to).div_ceil(self.from);
        while self.taken < due {
            self.waiting.resize(self.block_in * self.channels, 0.0);
            self.convert(out);
        }
        let beyond = usize::try_from(self.taken - due).unwrap_or(0) * self.channels;
        out.truncate(out.len() - beyond);
        self.begin();
    }

    fn begin(&mut self) {
        self.fft.reset();
        self.waiting.clear();
        self.block.fill(0.0);
        self.early = self.fft.output_delay();
        (self.given, self.taken) = (0, 0);
    }
}

fn greatest_common_divisor(one: u32, other: u32) -> u32 {
    if other == 0 { one } else { greatest_common_divisor(other, one % other) }
}

#[cfg(test)]
#[path = "conform_tests.rs"]
mod tests;

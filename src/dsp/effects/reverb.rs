//! The reverb: a feedback delay network.
//!
//! Eight delay lines of lengths without a common divisor feed each other through a Hadamard matrix, which
//! loses nothing; what is lost is lost in the lines, by as much as the decay asks for at low and at high
//! frequencies (J.-M. Jot and A. Chaigne, "Digital delay networks for designing artificial reverberators",
//! AES 90, 1991). So the decay is what was asked for, not what a set of constants happens to give.

use super::ramp::Ramp;
use crate::dsp::effect;

const LINES: usize = 8;
/// Lengths of the lines at 48 kHz, in frames: primes, from 23 ms to 54 ms.
const LENGTHS: [u32; LINES] = [1117, 1327, 1523, 1733, 1951, 2179, 2399, 2593];
const LENGTHS_RATE: f64 = 48_000.0;
/// Decay by 60 dB of the smallest room in seconds, and how many times longer that of the largest is.
const SHORTEST_S: f64 = 0.25;
const LONGEST: f64 = 32.0;
/// With full damping the highest frequencies decay in this part of the time.
const MOST_DAMPED: f64 = 0.1;
/// What is softer than this has faded: it must not go on as denormal numbers, which cost time.
const FADED: f32 = 1e-15;

type Frame = [f32; LINES];

/// A room.
#[derive(Debug, Clone)]
pub struct Reverb {
    sample_rate: u32,
    channels: usize,
    lengths: [usize; LINES],
    /// What entered the lines, newest at `at`; as many as a power of two.
    ring: Vec<Frame>,
    at: usize,
    /// How the lines lose sound: gain, and how much the last sample stays in the next.
    gains: Frame,
    stays: Frame,
    lasts: Frame,
    wet: Ramp,
    dry: Ramp,
}

/// Decay by 60 dB at low frequencies, in seconds.
pub fn decay_s(room_size: f64) -> f64 {
    SHORTEST_S * LONGEST.powf(room_size)
}

impl Reverb {
    /// For sound of this shape.
    pub fn new(settings: &effect::Reverb, sample_rate: u32, channels: usize) -> Self {
        let scale = f64::from(sample_rate) / LENGTHS_RATE;
        let lengths = LENGTHS.map(|length| ((f64::from(length) * scale).round() as usize).max(1));
        let longest = lengths[LINES - 1] + 1;
        let mut reverb = Self {
            sample_rate,
            channels,
            lengths,
            ring: vec![[0.0; LINES]; longest.next_power_of_two()],
            at: 0,
            gains: [0.0; LINES],
            stays: [0.0; LINES],
            lasts: [0.0; LINES],
            wet: Ramp::at(0.0, sample_rate),
            dry: Ramp::at(settings.dry, sample_rate),
        };
        let level = reverb.furnish(settings);
        reverb.wet = Ramp::at(settings.wet * level, sample_rate);
        reverb
    }

    /// Goes over to other settings.
    pub fn change(&mut self, settings: &effect::Reverb) {
        let level = self.furnish(settings);
        self.wet.go(settings.wet * level);
        self.dry.go(settings.dry);
    }

    /// Makes the lines lose as much as the settings ask for. Returns the factor by which the room is then as
    /// loud as the sound in it.
    fn furnish(&mut self, settings: &effect::Reverb) -> f64 {
        let decay_s = decay_s(settings.room_size);
        let high_decay_s = decay_s * (1.0 - settings.damping * (1.0 - MOST_DAMPED));
        let mut kept = 0.0;
        for (line, length) in self.lengths.iter().enumerate() {
            let seconds = *length as f64 / f64::from(self.sample_rate);
            let low = 10_f64.powf(-3.0 * seconds / decay_s);
            let high = 10_f64.powf(-3.0 * seconds / high_decay_s);
            let stays = (low - high) / (low + high);
            self.gains[line] = low as f32;
            self.stays[line] = stays as f32;
            // Energy that a one-pole keeps of noise.
            kept += low * low * (1.0 - stays) / (1.0 + stays) / LINES as f64;
        }
        (1.0 - kept).sqrt()
    }

    /// Forgets all sound.
    pub fn reset(&mut self) {
        self.ring.fill([0.0; LINES]);
        self.lasts = [0.0; LINES];
    }

    /// Puts the sound into the room, in place.
    pub fn process(&mut self, samples: &mut [f32]) {
        let mask = self.ring.len() - 1;
        for frame in samples.chunks_exact_mut(self.channels) {
            let mut lines = [0.0; LINES];
            for (line, length) in self.lengths.iter().enumerate() {
                lines[line] = self.ring[(self.at + self.ring.len() - length) & mask][line];
            }
            let losses = self.gains.iter().zip(&self.stays);
            for ((last, line), (gain, stays)) in self.lasts.iter_mut().zip(&lines).zip(losses) {
                let kept = line * gain;
                *last = kept + (*last - kept) * stays;
            }
            let mut next = hadamard(self.lasts);
            for (line, value) in next.iter_mut().enumerate() {
                *value += frame[line % self.channels];
                *value = if value.abs() < FADED { 0.0 } else { *value };
            }
            self.ring[self.at] = next;
            self.at = (self.at + 1) & mask;
            let (wet, dry) = (self.wet.next() as f32, self.dry.next() as f32);
            for (channel, sample) in frame.iter_mut().enumerate() {
                *sample = *sample * dry + mixed(&lines, channel) * wet;
            }
        }
    }
}

/// What a channel hears of the lines: all of them, with signs that are its own.
#[inline]
fn mixed(lines: &Frame, channel: usize) -> f32 {
    // Rows of the Hadamard matrix: any two are orthogonal. The first two split the lines otherwise than
    // the channels do where they enter.
    const ROWS: [usize; LINES] = [2, 4, 6, 3, 5, 7, 1, 0];
    let row = ROWS[channel % LINES];
    let signed = lines
        .iter()
        .enumerate()
        .map(|(line, value)| if (line & row).count_ones().is_multiple_of(2) { *value } else { -*value });
    signed.sum::<f32>() / (LINES as f32).sqrt()
}

/// The Hadamard matrix of order 8, scaled to lose and add no energy.
#[inline]
fn hadamard(mut x: Frame) -> Frame {
    for half in [1, 2, 4] {
        for line in (0..LINES).filter(|line| line & half == 0) {
            (x[line], x[line | half]) = (x[line] + x[line | half], x[line] - x[line | half]);
        }
    }
    x.map(|value| value / (LINES as f32).sqrt())
}

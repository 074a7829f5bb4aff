//! What the effects do to interleaved samples: in place, without allocation and without failure. Their
//! settings and ranges are in `dsp::effect`, their order and changes while running in `dsp::chain`.
//!
//! An effect may be given any finite sample of up to [`LOUDEST`](super::chain::LOUDEST) and any
//! settings within their ranges.

pub(super) mod biquad;
pub(super) mod compressor;
pub(super) mod equaliser;
pub(super) mod limiter;
pub(super) mod loudness;
pub(super) mod ramp;
pub(super) mod reverb;
pub(super) mod sliding;
pub(super) mod true_peak;

/// Frames that an effect is given at most at a time: little enough to stay in the nearest cache.
pub(super) const PIECE: usize = 256;

/// Amplitude of so many dB.
pub(super) fn amplitude(db: f64) -> f64 {
    10_f64.powf(db / 20.0)
}

/// dB of an amplitude; minus infinity for none.
pub(super) fn decibels(amplitude: f64) -> f64 {
    20.0 * amplitude.log10()
}

/// Factor by which a one-pole smoother keeps its old value in one step: it covers 63 % of a way in `ms`.
pub(super) fn keep(ms: f64, steps_per_s: f64) -> f64 {
    (-1000.0 / (ms * steps_per_s)).exp()
}

#[cfg(test)]
mod tests;

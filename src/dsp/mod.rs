//! Pure transforms of samples: no I/O, no clocks, no threads, and no failure.

pub mod analysis;
pub mod chain;
pub mod conform;
pub mod convert;
pub mod decimate;
pub mod dither;
pub mod effect;
mod effects;
mod kaiser;
pub mod meter;
mod mix;

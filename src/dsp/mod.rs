//! Pure transforms of samples: no I/O, no clocks, no threads, and no failure.

pub mod convert;
pub mod decimate;
pub mod meter;

//! The ideal low-pass and the window that makes it finite: J. F. Kaiser, "Nonrecursive digital filter
//! design using the I0-sinh window function", 1974.

use std::f64::consts::PI;

/// Impulse response of the ideal low-pass, 1 at 0 and 0 at every other whole number.
pub fn sinc(x: f64) -> f64 {
    if x == 0.0 { 1.0 } else { (PI * x).sin() / (PI * x) }
}

/// The window at `x` from −1 to 1; 0 beyond. `beta` trades the stop band for the transition band.
pub fn kaiser(x: f64, beta: f64) -> f64 {
    let inside = 1.0 - x * x;
    if inside < 0.0 { 0.0 } else { bessel_i0(beta * inside.sqrt()) / bessel_i0(beta) }
}

/// Modified Bessel function of the first kind, order 0, by its power series.
fn bessel_i0(x: f64) -> f64 {
    let quarter = x * x / 4.0;
    let mut term = 1.0;
    let mut sum = 1.0;
    for k in 1..40 {
        term *= quarter / f64::from(k * k);
        sum += term;
    }
    sum
}

//! Second-order filters.
//!
//! Coefficients after R. Bristow-Johnson, "Cookbook formulae for audio EQ biquad filter coefficients":
//! analogue prototypes taken over by the bilinear transform, exact at the frequency that is asked for.

use std::f64::consts::PI;

use crate::dsp::effect::Effect;

/// Highest frequency a filter is made for, as a part of the sample rate.
const HIGHEST: f64 = 0.499;

/// A filter `(b0 + b1 z⁻¹ + b2 z⁻²) / (1 + a1 z⁻¹ + a2 z⁻²)`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Coefficients {
    pub b: [f64; 3],
    pub a: [f64; 2],
}

impl Coefficients {
    /// Of a band of the equaliser; `None` for an effect that is none.
    pub fn of(effect: &Effect, sample_rate: u32) -> Option<Self> {
        let design = |frequency_hz, q| Design::new(frequency_hz, q, sample_rate);
        Some(match effect {
            Effect::HighPass(band) => design(band.frequency_hz, band.q).high_pass(),
            Effect::LowPass(band) => design(band.frequency_hz, band.q).low_pass(),
            Effect::Notch(band) => design(band.frequency_hz, band.q).notch(),
            Effect::Peaking(band) => design(band.frequency_hz, band.q).peaking(band.gain_db),
            Effect::LowShelf(band) => design(band.frequency_hz, band.q).shelf(band.gain_db, 1.0),
            Effect::HighShelf(band) => design(band.frequency_hz, band.q).shelf(band.gain_db, -1.0),
            _ => return None,
        })
    }

    /// The way from here to other coefficients, a part of it from 0 to 1. Every filter on it is stable if
    /// both ends are: the stable values of `a` are a triangle.
    pub fn towards(&self, other: &Self, part: f64) -> Self {
        let mix = |from: f64, to: f64| from + (to - from) * part;
        let (mut b, mut a) = (self.b, self.a);
        b.iter_mut().zip(other.b).for_each(|(from, to)| *from = mix(*from, to));
        a.iter_mut().zip(other.a).for_each(|(from, to)| *from = mix(*from, to));
        Self { b, a }
    }

    fn normalised(b: [f64; 3], a: [f64; 3]) -> Self {
        Self { b: b.map(|b| b / a[0]), a: [a[1] / a[0], a[2] / a[0]] }
    }
}

/// What all designs of the cookbook begin with.
struct Design {
    cos: f64,
    alpha: f64,
}

impl Design {
    fn new(frequency_hz: f64, q: f64, sample_rate: u32) -> Self {
        let omega = 2.0 * PI * (frequency_hz / f64::from(sample_rate)).min(HIGHEST);
        Self { cos: omega.cos(), alpha: omega.sin() / (2.0 * q) }
    }

    fn high_pass(&self) -> Coefficients {
        let Self { cos, alpha } = self;
        let half = f64::midpoint(1.0, *cos);
        Coefficients::normalised([half, -2.0 * half, half], [1.0 + alpha, -2.0 * cos, 1.0 - alpha])
    }

    fn low_pass(&self) -> Coefficients {
        let Self { cos, alpha } = self;
        let half = (1.0 - cos) / 2.0;
        Coefficients::normalised([half, 2.0 * half, half], [1.0 + alpha, -2.0 * cos, 1.0 - alpha])
    }

    fn notch(&self) -> Coefficients {
        let Self { cos, alpha } = self;
        Coefficients::normalised([1.0, -2.0 * cos, 1.0], [1.0 + alpha, -2.0 * cos, 1.0 - alpha])
    }

    fn peaking(&self, gain_db: f64) -> Coefficients {
        let Self { cos, alpha } = self;
        let a = 10_f64.powf(gain_db / 40.0);
        Coefficients::normalised(
            [1.0 + alpha * a, -2.0 * cos, 1.0 - alpha * a],
            [1.0 + alpha / a, -2.0 * cos, 1.0 - alpha / a],
        )
    }

    /// A shelf below (`side` 1) or above (`side` −1) the frequency: the two differ in the sign of the cosine.
    fn shelf(&self, gain_db: f64, side: f64) -> Coefficients {
        let a = 10_f64.powf(gain_db / 40.0);
        let cos = side * self.cos;
        let slope = 2.0 * a.sqrt() * self.alpha;
        let (more, less) = (a + 1.0, a - 1.0);
        Coefficients::normalised(
            [
                a * (more - less * cos + slope),
                side * 2.0 * a * (less - more * cos),
                a * (more - less * cos - slope),
            ],
            [more + less * cos + slope, side * -2.0 * (less + more * cos), more + less * cos - slope],
        )
    }
}

/// The memory of a filter for a pair of channels, in transposed direct form II.
#[derive(Debug, Clone, Copy, Default)]
pub struct Memory {
    first: [f64; 2],
    second: [f64; 2],
}

impl Memory {
    /// Filters one sample of each of two channels.
    #[inline]
    pub fn step(&mut self, filter: &Coefficients, x: [f64; 2]) -> [f64; 2] {
        let Coefficients { b, a } = filter;
        let mut y = [0.0; 2];
        for lane in 0..2 {
            y[lane] = b[0] * x[lane] + self.first[lane];
            self.first[lane] = b[1] * x[lane] - a[0] * y[lane] + self.second[lane];
            self.second[lane] = b[2] * x[lane] - a[1] * y[lane];
        }
        y
    }

    /// What has faded beyond any measure becomes nothing, before it costs time as a denormal number.
    pub fn settle(&mut self) {
        for value in self.first.iter_mut().chain(&mut self.second) {
            if value.abs() < 1e-30 {
                *value = 0.0;
            }
        }
    }
}

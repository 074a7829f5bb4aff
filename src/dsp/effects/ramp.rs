//! A value that goes to another in a straight line, so that a change is not heard as a click.

/// How long a change takes, in seconds.
const RAMP_S: f64 = 0.02;

/// A value on its way.
#[derive(Debug, Clone, Copy)]
pub struct Ramp {
    now: f64,
    to: f64,
    step: f64,
    left: u32,
    frames: u32,
}

impl Ramp {
    /// At rest at a value.
    pub fn at(value: f64, sample_rate: u32) -> Self {
        let frames = (RAMP_S * f64::from(sample_rate)).ceil() as u32;
        Self { now: value, to: value, step: 0.0, left: 0, frames: frames.max(1) }
    }

    /// Goes to another value from here.
    pub fn go(&mut self, to: f64) {
        self.to = to;
        self.left = self.frames;
        self.step = (to - self.now) / f64::from(self.frames);
    }

    /// Whether it has arrived.
    pub fn rests(&self) -> bool {
        self.left == 0
    }

    /// The value for the next frame.
    pub fn next(&mut self) -> f64 {
        self.ahead(1)
    }

    /// The value after so many frames.
    pub fn ahead(&mut self, frames: u32) -> f64 {
        if self.left > frames {
            self.left -= frames;
            self.now += self.step * f64::from(frames);
        } else {
            self.left = 0;
            self.now = self.to;
        }
        self.now
    }
}

/// Gain with a ramp: what the effect `gain` does.
pub fn apply(gain: &mut Ramp, samples: &mut [f32], channels: usize) {
    if gain.rests() {
        let gain = gain.next() as f32;
        samples.iter_mut().for_each(|sample| *sample *= gain);
    } else {
        for frame in samples.chunks_exact_mut(channels) {
            let gain = gain.next() as f32;
            frame.iter_mut().for_each(|sample| *sample *= gain);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_takes_20_ms_in_even_steps_and_ends_exactly() {
        let mut ramp = Ramp::at(1.0, 1000);
        let mut samples = [1.0_f32; 10];
        apply(&mut ramp, &mut samples, 1);
        assert_eq!(samples, [1.0; 10]);
        ramp.go(0.1);
        let mut samples = [1.0_f32; 60];
        apply(&mut ramp, &mut samples, 2);
        for (frame, pair) in samples.chunks_exact(2).enumerate() {
            let expected = (1.0 - 0.9 * (frame + 1) as f64 / 20.0).max(0.1);
            assert!((f64::from(pair[0]) - expected).abs() < 1e-6 && pair[0] == pair[1], "{frame}: {pair:?}");
        }
        assert!(ramp.rests() && samples[59].to_bits() == 0.1_f32.to_bits());
    }
}

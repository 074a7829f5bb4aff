//! Levels: root mean square, peak and clipping of each channel over an interval.

/// A sample at or beyond this magnitude is clipped: the largest positive value of 16 bits.
const CLIP: f32 = 32_767.0 / 32_768.0;

/// Level of one channel over an interval, in linear amplitude.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Level {
    /// Root mean square.
    pub rms: f64,
    /// Largest magnitude.
    pub peak: f32,
    /// Samples at full scale.
    pub clipped: u64,
}

impl Level {
    /// Root mean square in dB of full scale, where a full-scale square wave is 0; `None` for digital silence.
    pub fn rms_dbfs(&self) -> Option<f64> {
        dbfs(self.rms)
    }

    /// Peak in dB of full scale; `None` for digital silence.
    pub fn peak_dbfs(&self) -> Option<f64> {
        dbfs(f64::from(self.peak))
    }
}

fn dbfs(amplitude: f64) -> Option<f64> {
    (amplitude > 0.0).then(|| 20.0 * amplitude.log10())
}

#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    squares: f64,
    peak: f32,
    clipped: u64,
}

/// Sums up an interval.
#[derive(Debug, Default)]
pub struct Meter {
    sums: Vec<Sum>,
    frames: u64,
}

impl Meter {
    /// Takes interleaved samples. A change of the number of channels begins a new interval.
    pub fn push(&mut self, samples: &[f32], channels: usize) {
        if self.sums.len() != channels {
            self.sums = vec![Sum::default(); channels];
            self.frames = 0;
        }
        for frame in samples.chunks_exact(channels.max(1)) {
            for (sum, &sample) in self.sums.iter_mut().zip(frame) {
                let magnitude = sample.abs();
                sum.squares += f64::from(sample) * f64::from(sample);
                sum.peak = sum.peak.max(magnitude);
                sum.clipped += u64::from(magnitude >= CLIP);
            }
            self.frames += 1;
        }
    }

    /// Frames in the interval so far.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// Ends the interval: the level of each channel.
    pub fn take(&mut self) -> Vec<Level> {
        let frames = self.frames.max(1) as f64;
        self.frames = 0;
        self.sums
            .iter_mut()
            .map(|sum| {
                let Sum { squares, peak, clipped } = std::mem::take(sum);
                Level { rms: (squares / frames).sqrt(), peak, clipped }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sine_of_half_scale_reads_minus_six_and_minus_nine() {
        let samples: Vec<f32> = (0..48_000)
            .flat_map(|n| {
                let phase = f64::from(n) * 1000.0 / 48_000.0 * std::f64::consts::TAU;
                [(0.5 * phase.sin()) as f32, 0.0]
            })
            .collect();
        let mut meter = Meter::default();
        meter.push(&samples, 2);
        let levels = meter.take();
        assert!((levels[0].peak_dbfs().expect("sound") + 6.02).abs() < 0.01);
        assert!((levels[0].rms_dbfs().expect("sound") + 9.03).abs() < 0.01);
        assert_eq!((levels[1].rms_dbfs(), levels[1].peak_dbfs()), (None, None));
        assert_eq!(meter.take()[0].peak, 0.0, "an interval begins anew");
    }

    #[test]
    fn full_scale_is_clipped_and_just_below_is_not() {
        let mut meter = Meter::default();
        meter.push(&[1.0, -1.0, 32_767.0 / 32_768.0, 32_766.0 / 32_768.0], 1);
        assert_eq!(meter.take()[0].clipped, 3);
    }
}

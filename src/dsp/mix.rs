//! Sound of one number of channels as sound of another.
//!
//! | from | to | each channel gets |
//! |---|---|---|
//! | 1 | any | the one |
//! | any | 1 | the mean of left and right |
//! | 3 to 8 | 2 | left or right, and 0.707 of the centre and of the channels at its side or back |
//! | more | 2 | every other channel |
//! | else | | the channel of the same number, or silence |
//!
//! Three to eight channels are taken for the layouts of WAV and FLAC files (front left, right, centre,
//! low frequencies, back and side pairs; four are two pairs). The weights are those of ITU-R BS.775-4,
//! scaled so that full scale stays full scale; low frequencies of a channel of their own are left out,
//! as that recommendation does.

use std::f32::consts::FRAC_1_SQRT_2;

/// Where a channel of a layout goes, when there are only left and right.
#[derive(Clone, Copy)]
enum Side {
    Left,
    Right,
    BackLeft,
    BackRight,
    Centre,
    BackCentre,
    Low,
}

/// A mix from one number of channels to another.
#[derive(Debug, Clone)]
pub struct Mix {
    from: usize,
    to: usize,
    /// For each output channel the weight of every input channel.
    weights: Vec<f32>,
}

impl Mix {
    /// From and to so many channels, at least one.
    pub fn new(from: u16, to: u16) -> Self {
        let (from, to) = (usize::from(from.max(1)), usize::from(to.max(1)));
        let weights = match to {
            _ if from == 1 => vec![1.0; to],
            1 => {
                let stereo = stereo(from);
                stereo[0].iter().zip(&stereo[1]).map(|(left, right)| f32::midpoint(*left, *right)).collect()
            }
            2 => stereo(from).concat(),
            _ => (0..from * to).map(|at| f32::from(u8::from(at / from == at % from))).collect(),
        };
        Self { from, to, weights }
    }

    /// Whether every sample stays as it is.
    pub fn is_identity(&self) -> bool {
        self.from == self.to
    }

    /// Appends the mix of interleaved samples.
    pub fn process(&self, samples: &[f32], out: &mut Vec<f32>) {
        out.reserve(samples.len() / self.from * self.to);
        for frame in samples.chunks_exact(self.from) {
            out.extend(
                self.weights.chunks_exact(self.from).map(|row| -> f32 {
                    frame.iter().zip(row).map(|(sample, weight)| sample * weight).sum()
                }),
            );
        }
    }
}

/// Weights of the channels in left and right.
fn stereo(from: usize) -> [Vec<f32>; 2] {
    if from == 2 {
        return [vec![1.0, 0.0], vec![0.0, 1.0]];
    }
    let left = row(from, |channel| match side(from, channel) {
        Side::Left => 1.0,
        Side::BackLeft | Side::Centre | Side::BackCentre => FRAC_1_SQRT_2,
        _ => 0.0,
    });
    let right = row(from, |channel| match side(from, channel) {
        Side::Right => 1.0,
        Side::BackRight | Side::Centre | Side::BackCentre => FRAC_1_SQRT_2,
        _ => 0.0,
    });
    [left, right]
}

fn row(from: usize, weight: impl Fn(usize) -> f32) -> Vec<f32> {
    let weights: Vec<f32> = (0..from).map(weight).collect();
    let sum: f32 = weights.iter().sum();
    weights.iter().map(|weight| weight / sum.max(1.0)).collect()
}

fn side(from: usize, channel: usize) -> Side {
    use Side::{BackCentre, BackLeft, BackRight, Centre, Left, Low, Right};
    let layout: &[Side] = match from {
        3 => &[Left, Right, Centre],
        4 => &[Left, Right, BackLeft, BackRight],
        5 => &[Left, Right, Centre, BackLeft, BackRight],
        6 => &[Left, Right, Centre, Low, BackLeft, BackRight],
        7 => &[Left, Right, Centre, Low, BackCentre, BackLeft, BackRight],
        8 => &[Left, Right, Centre, Low, BackLeft, BackRight, BackLeft, BackRight],
        _ => &[Left, Right],
    };
    layout[channel % layout.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mixed(from: u16, to: u16, frame: &[f32]) -> Vec<f32> {
        let mut out = Vec::new();
        Mix::new(from, to).process(frame, &mut out);
        out
    }

    #[test]
    fn mono_and_stereo() {
        assert_eq!(mixed(1, 2, &[0.5, -0.25]), [0.5, 0.5, -0.25, -0.25]);
        assert_eq!(mixed(2, 1, &[0.5, 0.25, 1.0, -1.0]), [0.375, 0.0]);
        assert_eq!(mixed(2, 2, &[0.5, 0.25]), [0.5, 0.25]);
        assert_eq!(mixed(2, 4, &[0.5, 0.25]), [0.5, 0.25, 0.0, 0.0]);
        assert_eq!(mixed(4, 3, &[0.1, 0.2, 0.3, 0.4]), [0.1, 0.2, 0.3]);
    }

    #[test]
    fn surround_is_folded_and_full_scale_stays_full_scale() {
        for from in 1..=12 {
            for to in 1..=8 {
                let loudest = mixed(from, to, &vec![1.0; from.into()]);
                assert!(loudest.iter().all(|sample| *sample <= 1.0 + 1e-6), "{from} to {to}: {loudest:?}");
            }
            for sample in mixed(from, 2, &vec![1.0; from.into()]) {
                assert!((sample - 1.0).abs() < 1e-6, "{from}: {sample}");
            }
        }
        let centre = mixed(6, 2, &[0.0, 0.0, 1.0, 0.0, 0.0, 0.0]);
        let expected = FRAC_1_SQRT_2 / (1.0 + 2.0 * FRAC_1_SQRT_2);
        assert!(centre.iter().all(|sample| (sample - expected).abs() < 1e-6), "{centre:?}");
        assert_eq!(mixed(6, 2, &[0.0, 0.0, 0.0, 1.0, 0.0, 0.0]), [0.0, 0.0], "low frequencies");
        let back = mixed(6, 2, &[0.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
        assert!(back[0] > 0.2 && back[1] == 0.0, "{back:?}");
    }
}

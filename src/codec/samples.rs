//! What every encoder does to samples first: nothing but finite numbers within full scale reach a codec.
//!
//! Integers are rounded to the nearest, without dither: what came from 16 or 24 bits goes out bit by bit.
//! Sound that was changed on its way should be dithered before (`dsp`).

/// A sample as codecs take it: cut at ±1, 0 if it is not a finite number.
pub fn tame(sample: f32) -> f32 {
    if sample.is_finite() { sample.clamp(-1.0, 1.0) } else { 0.0 }
}

/// Interleaved samples as they are, tamed, into `out`.
pub fn tamed(samples: &[f32], out: &mut Vec<f32>) {
    out.clear();
    out.extend(samples.iter().map(|sample| tame(*sample)));
}

/// A sample as an integer of `bits` bits, at most 24. +1 itself is one step beyond the highest integer,
/// and becomes that.
pub fn to_integer(sample: f32, bits: u8) -> i32 {
    // In f64 neither the product nor the sum loses anything, so that cutting off rounds. `round` is a call on
    // processors whose newer instructions may not be counted on.
    let value = f64::from(tame(sample)) * f64::from(1_i32 << (bits - 1));
    let value = (value + 0.5_f64.copysign(value)) as i32;
    value.min((1 << (bits - 1)) - 1)
}

/// Cuts sound into pieces of one length, for codecs that take no other.
#[derive(Debug)]
pub struct Pieces {
    /// Samples, not frames.
    length: usize,
    begun: Vec<f32>,
}

impl Pieces {
    /// Pieces of `frames` frames of `channels` samples.
    pub fn new(frames: u32, channels: u16) -> Self {
        let length = frames as usize * usize::from(channels);
        Self { length, begun: Vec::with_capacity(length) }
    }

    /// Takes samples; `give` gets each piece that is complete, tamed.
    ///
    /// # Errors
    /// Those of `give`, at once.
    pub fn push<E>(
        &mut self,
        mut samples: &[f32],
        mut give: impl FnMut(&[f32]) -> Result<(), E>,
    ) -> Result<(), E> {
        while !samples.is_empty() {
            let count = samples.len().min(self.length - self.begun.len());
            let (now, later) = samples.split_at(count);
            self.begun.extend(now.iter().map(|sample| tame(*sample)));
            samples = later;
            if self.begun.len() == self.length {
                let given = give(&self.begun);
                self.begun.clear();
                given?;
            }
        }
        Ok(())
    }

    /// Fills the piece that is begun with silence, a whole one if none is, and gives it.
    ///
    /// # Errors
    /// Those of `give`.
    pub fn pad<E>(&mut self, give: impl FnOnce(&[f32]) -> Result<(), E>) -> Result<(), E> {
        self.begun.resize(self.length, 0.0);
        let given = give(&self.begun);
        self.begun.clear();
        given
    }

    /// Forgets the piece that is begun.
    pub fn clear(&mut self) {
        self.begun.clear();
    }
}

/// Frames that went in and are not yet counted in a packet, so that packets add up to what went in and the
/// delay, however much the encoder pads.
#[derive(Debug, Clone, Copy)]
pub struct Owed(u64);

impl Owed {
    /// Of an encoder that delays by so many frames.
    pub fn new(delay_frames: u32) -> Self {
        Self(u64::from(delay_frames))
    }

    /// So many samples went in.
    pub fn take(&mut self, samples: usize, channels: u16) {
        self.0 += (samples / usize::from(channels)) as u64;
    }

    /// A packet of that length came out: how much of it counts.
    pub fn count(&mut self, frames: u32) -> u32 {
        let counted = u64::from(frames).min(self.0);
        self.0 -= counted;
        counted as u32
    }

    /// Whether everything came out.
    pub fn is_settled(self) -> bool {
        self.0 == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_finite_numbers_within_full_scale_get_through() {
        for (sample, expected) in [
            (f32::NAN, 0.0),
            (f32::INFINITY, 0.0),
            (f32::NEG_INFINITY, 0.0),
            (f32::MAX, 1.0),
            (-7.5, -1.0),
            (0.25, 0.25),
        ] {
            assert_eq!(tame(sample), expected, "{sample}");
        }
    }

    #[test]
    fn integers_of_both_depths_come_back() {
        for bits in [16_u8, 24] {
            let top = 1_i32 << (bits - 1);
            for value in (-top..top).step_by(if bits == 16 { 1 } else { 257 }) {
                assert_eq!(to_integer(value as f32 / top as f32, bits), value);
            }
            assert_eq!(to_integer(1.0, bits), top - 1);
            assert_eq!(to_integer(-9.0, bits), -top);
        }
    }

    #[test]
    fn pieces_have_one_length_however_sound_comes() {
        let sound: Vec<f32> = (0..1000).map(|n| n as f32 / 1000.0).collect();
        for step in [2, 14, 64, 998] {
            let mut pieces = Pieces::new(32, 2);
            let mut got = Vec::new();
            for part in sound.chunks(step) {
                let pushed: Result<(), ()> = pieces.push(part, |piece| {
                    assert_eq!(piece.len(), 64);
                    got.extend_from_slice(piece);
                    Ok(())
                });
                pushed.expect("nothing fails");
            }
            assert_eq!(got, sound[..960]);
            let padded: Result<(), ()> = pieces.pad(|piece| {
                assert_eq!(piece[..40], sound[960..]);
                assert_eq!(piece[40..], [0.0; 24]);
                Ok(())
            });
            padded.expect("nothing fails");
        }
    }
}

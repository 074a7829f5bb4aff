//! What a card plays: sample formats, and the ramp, whose every frame carries its own number.
//!
//! The ramp needs 16 bits of a channel, so it survives every format of the card and every path that keeps 16
//! bits. Channel 0 carries the low half of the frame's number, channel 1 the high half, channels 2 and 3 their
//! complements, and so on round. One channel alone numbers frames modulo 65536.

/// The formats a card can offer. Samples are kept as S32; a narrower format gets the most significant bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// 16 bits.
    S16Le,
    /// 24 bits in three bytes.
    S24In3Le,
    /// 24 bits in the low three bytes of four; the card leaves the fourth zero, as some drivers do, so that a
    /// client that forgets to extend the sign is found out.
    S24Le,
    /// 32 bits.
    S32Le,
    /// 32-bit float in [-1, 1), made from the top 24 bits, so it is exact.
    FloatLe,
}

impl Format {
    /// Every format, narrowest first.
    pub const ALL: [Self; 5] = [Self::S16Le, Self::S24In3Le, Self::S24Le, Self::S32Le, Self::FloatLe];

    /// The name alsa-lib has for it.
    pub fn alsa_name(self) -> &'static str {
        match self {
            Self::S16Le => "S16_LE",
            Self::S24In3Le => "S24_3LE",
            Self::S24Le => "S24_LE",
            Self::S32Le => "S32_LE",
            Self::FloatLe => "FLOAT_LE",
        }
    }

    /// The format of that name.
    pub fn from_alsa_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.alsa_name() == name)
    }

    /// Bytes one sample takes.
    pub fn sample_bytes(self) -> usize {
        match self {
            Self::S16Le => 2,
            Self::S24In3Le => 3,
            Self::S24Le | Self::S32Le | Self::FloatLe => 4,
        }
    }
}

/// The ramp's sample for a frame and channel, as S32.
pub fn ramp_sample(frame: u64, channel: u32) -> i32 {
    let half = match channel % 4 {
        0 => frame,
        1 => frame >> 16,
        2 => !frame,
        _ => !(frame >> 16),
    };
    i32::from(((half & 0xffff) as u16).cast_signed()) << 16
}

/// The number a frame of the ramp carries, from its first two channels as S16.
pub fn ramp_number_s16(channel0: i16, channel1: i16) -> u32 {
    u32::from(channel1.cast_unsigned()) << 16 | u32::from(channel0.cast_unsigned())
}

/// The number a frame of the ramp carries, from its first two channels as S32; S24 counts when shifted up by 8.
pub fn ramp_number_s32(channel0: i32, channel1: i32) -> u32 {
    ramp_number_s16((channel0 >> 16) as i16, (channel1 >> 16) as i16)
}

/// The number a frame of the ramp carries, from its first two channels as float in [-1, 1).
pub fn ramp_number_f32(channel0: f32, channel1: f32) -> u32 {
    let s16 = |sample: f32| (sample * 32_768.0).round() as i16;
    ramp_number_s16(s16(channel0), s16(channel1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ramp_reads_back_its_number() {
        for frame in [0, 1, 32_767, 32_768, 65_535, 65_536, 123_456_789, 0xffff_ffff] {
            let (left, right) = (ramp_sample(frame, 0), ramp_sample(frame, 1));
            assert_eq!(u64::from(ramp_number_s32(left, right)), frame);
            let float = |sample: i32| (sample >> 8) as f32 / 8_388_608.0;
            assert_eq!(u64::from(ramp_number_f32(float(left), float(right))), frame);
            assert_eq!(ramp_sample(frame, 2) >> 16, !(left >> 16));
            assert_eq!(ramp_sample(frame, 7) >> 16, !(right >> 16));
        }
    }

    #[test]
    fn formats_know_their_names() {
        for format in Format::ALL {
            assert_eq!(Format::from_alsa_name(format.alsa_name()), Some(format));
        }
        assert_eq!(Format::from_alsa_name("S8"), None);
    }
}

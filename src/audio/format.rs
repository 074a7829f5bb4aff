//! Sample formats that a capture device can grant.

/// A little-endian sample format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SampleFormat {
    /// 32-bit integer.
    S32,
    /// 24-bit integer in three bytes.
    S24In3,
    /// 24-bit integer in the low three of four bytes; the top byte is undefined.
    S24In4,
    /// 16-bit integer.
    S16,
    /// 32-bit float, full scale at ±1.
    F32,
}

impl SampleFormat {
    /// In the order they are asked for: most exact first; float last, since a card that offers it
    /// converts in software.
    pub const BEST_FIRST: [Self; 5] = [Self::S32, Self::S24In3, Self::S24In4, Self::S16, Self::F32];

    /// Bytes of one sample.
    pub const fn bytes(self) -> usize {
        match self {
            Self::S32 | Self::S24In4 | Self::F32 => 4,
            Self::S24In3 => 3,
            Self::S16 => 2,
        }
    }

    /// ALSA's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::S32 => "S32_LE",
            Self::S24In3 => "S24_3LE",
            Self::S24In4 => "S24_LE",
            Self::S16 => "S16_LE",
            Self::F32 => "FLOAT_LE",
        }
    }
}

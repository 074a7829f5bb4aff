//! Arithmetic between frames, blocks and time, without drift: always from whole counts.

use crate::tools::clock::NS_PER_S;

/// Length of so many frames, in nanoseconds, rounded to the nearest.
pub fn duration_ns(frames: u64, sample_rate: u32) -> i64 {
    let rate = u128::from(sample_rate.max(1));
    let ns = (u128::from(frames) * NS_PER_S as u128 + rate / 2) / rate;
    i64::try_from(ns).unwrap_or(i64::MAX)
}

/// Frames that fit whole into a time; 0 for a negative one.
pub fn frames_in(ns: i64, sample_rate: u32) -> u64 {
    let Ok(ns) = u128::try_from(ns) else { return 0 };
    u64::try_from(ns * u128::from(sample_rate) / NS_PER_S as u128).unwrap_or(u64::MAX)
}

/// Blocks' lengths in so many frames, begun ones counted: what `frame_number` skips over a gap.
pub fn blocks_begun(frames: u64, block_frames: u32) -> u64 {
    frames.div_ceil(u64::from(block_frames.max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn time_and_back_is_the_same_frame(frames in 0_u64..(1 << 45), rate in 8000_u32..=384_000) {
            // A duration is rounded to the nearest nanosecond, so half a frame stands between neighbours.
            let half_ns = NS_PER_S / i64::from(rate) / 2;
            prop_assert_eq!(frames_in(duration_ns(frames, rate) + half_ns, rate), frames);
        }
    }

    #[test]
    fn a_gap_counts_every_block_it_began() {
        assert_eq!([0, 1, 1024, 1025].map(|lost| blocks_begun(lost, 1024)), [0, 1, 1, 2]);
    }
}

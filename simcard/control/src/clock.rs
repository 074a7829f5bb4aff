//! The card's clock as arithmetic: CLOCK_MONOTONIC in, device frames out. No clock is read here except by
//! [`monotonic_ns`]; who keeps the anchor is `control`'s business.
//!
//! Card time is kept in femtoseconds because one nanosecond at n ppm is a whole number of them: changing the
//! rate and asking for a position are exact, and the only rounding is the floor to a whole frame.

/// Femtoseconds of card time in one nanosecond of a card that is exactly right.
const FS_PER_NS: i64 = 1_000_000;
/// Femtoseconds in a second.
const FS_PER_S: u128 = 1_000_000_000_000_000;
/// The furthest a card may be off, in parts per million: a tenth, far beyond any crystal.
pub const MAX_PPM: i32 = 100_000;

/// CLOCK_MONOTONIC now, in nanoseconds.
#[expect(unsafe_code, reason = "one libc call")]
pub fn monotonic_ns() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is a valid timespec to write to; CLOCK_MONOTONIC always exists on Linux.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    now.tv_sec.cast_unsigned() * 1_000_000_000 + now.tv_nsec.cast_unsigned()
}

/// A moment at which card time was known, and how fast it has run since.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Anchor {
    /// CLOCK_MONOTONIC at that moment, in nanoseconds; 0 while the card's clock has not started.
    pub mono_ns: u64,
    /// Card time at that moment, in femtoseconds since the clock started.
    pub card_fs: u128,
    /// How much faster than CLOCK_MONOTONIC the card runs, in parts per million.
    pub ppm: i32,
}

impl Anchor {
    /// Whether the card's clock runs yet.
    pub fn started(&self) -> bool {
        self.mono_ns != 0
    }

    fn fs_per_ns(&self) -> u128 {
        u128::from((FS_PER_NS + i64::from(self.ppm)).cast_unsigned())
    }

    /// Card time at `mono_ns`, in femtoseconds.
    pub fn card_fs(&self, mono_ns: u64) -> u128 {
        if !self.started() {
            return 0;
        }
        self.card_fs + u128::from(mono_ns.saturating_sub(self.mono_ns)) * self.fs_per_ns()
    }

    /// How many frames have gone by at `mono_ns`: also the number of the frame being captured.
    pub fn frame(&self, mono_ns: u64, rate: u32) -> u64 {
        let frames = self.card_fs(mono_ns) * u128::from(rate) / FS_PER_S;
        u64::try_from(frames).unwrap_or(u64::MAX)
    }

    /// The first nanosecond of CLOCK_MONOTONIC at which `frame` frames have gone by.
    pub fn mono_ns_of(&self, frame: u64, rate: u32) -> u64 {
        let due_fs = (u128::from(frame) * FS_PER_S).div_ceil(u128::from(rate.max(1)));
        let wait_ns = due_fs.saturating_sub(self.card_fs).div_ceil(self.fs_per_ns());
        self.mono_ns.saturating_add(u64::try_from(wait_ns).unwrap_or(u64::MAX))
    }

    /// The same clock from `mono_ns` on at another speed: card time does not jump.
    pub fn detuned(&self, mono_ns: u64, ppm: i32) -> Self {
        let ppm = ppm.clamp(-MAX_PPM, MAX_PPM);
        if !self.started() {
            return Self { ppm, ..*self };
        }
        let mono_ns = mono_ns.max(self.mono_ns);
        Self { mono_ns, card_fs: self.card_fs(mono_ns), ppm }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE_S: u64 = 1_000_000_000;

    fn anchor(ppm: i32) -> Anchor {
        Anchor { mono_ns: 77, card_fs: 0, ppm }
    }

    #[test]
    fn a_second_is_the_rate_and_ppm_adds_its_part() {
        assert_eq!(anchor(0).frame(77 + ONE_S, 48_000), 48_000);
        assert_eq!(anchor(125).frame(77 + ONE_S, 48_000), 48_006);
        assert_eq!(anchor(-125).frame(77 + 1000 * ONE_S, 48_000), 48_000_000 - 6_000);
        assert_eq!(Anchor::default().frame(ONE_S, 48_000), 0);
    }

    #[test]
    fn the_time_of_a_frame_is_the_first_nanosecond_that_has_it() {
        for ppm in [-100_000, -37, 0, 119, 100_000] {
            for frame in [1, 441, 44_100, 1 << 40] {
                let ns = anchor(ppm).mono_ns_of(frame, 44_100);
                assert_eq!(anchor(ppm).frame(ns, 44_100), frame);
                assert_eq!(anchor(ppm).frame(ns - 1, 44_100), frame - 1);
            }
        }
    }

    #[test]
    fn detuning_never_moves_card_time() {
        let mut clock = anchor(0);
        for turn in 1..1000_u64 {
            let now = 77 + turn * 1_234_567;
            let next = clock.detuned(now, i32::try_from(turn % 400).expect("small") - 200);
            assert_eq!(next.card_fs(now), clock.card_fs(now));
            clock = next;
        }
    }

    #[test]
    fn detuning_before_the_start_only_notes_the_speed() {
        let clock = Anchor::default().detuned(5, 50);
        assert_eq!(clock, Anchor { ppm: 50, ..Anchor::default() });
        assert_eq!(Anchor::default().detuned(5, i32::MIN).ppm, -MAX_PPM);
    }
}

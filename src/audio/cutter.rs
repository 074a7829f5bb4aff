//! Where blocks begin and how they are numbered. One cutter numbers the programme for everybody, so
//! that every encoding shows the same block under the same number.

use super::position::blocks_begun;

/// Numbers blocks along the programme.
#[derive(Debug, Clone)]
pub struct Cutter {
    block_frames: u32,
    /// Number of the open block, or of the next to be opened.
    block: u64,
    /// Frames in the open block; 0 when none is open.
    filled: u32,
    /// Missing frames since the newest sound.
    missing: u64,
}

impl Cutter {
    /// Blocks of so many frames, numbered from `first`.
    pub const fn new(block_frames: u32, first: u64) -> Self {
        Self { block_frames, block: first, filled: 0, missing: 0 }
    }

    /// Frames that the open block still takes.
    pub const fn room(&self) -> u32 {
        self.block_frames - self.filled
    }

    /// Places `frames` of sound (at most [`room`](Self::room)): the number of their block and their
    /// offset in it.
    pub fn sound(&mut self, frames: u32) -> (u64, u32) {
        debug_assert!(frames <= self.room());
        self.block += blocks_begun(std::mem::take(&mut self.missing), self.block_frames);
        let place = (self.block, self.filled);
        self.filled += frames;
        if self.filled == self.block_frames {
            self.close();
        }
        place
    }

    /// `frames` are missing here: an open block ends short, and the next begins after the hole.
    pub fn missing(&mut self, frames: u64) {
        if frames > 0 {
            self.cut();
        }
        self.missing += frames;
    }

    /// An open block ends here, short: what comes next must not be in it.
    pub fn cut(&mut self) {
        if self.filled > 0 {
            self.close();
        }
    }

    /// Number of the next block that would be opened here.
    pub fn next_block(&self) -> u64 {
        self.block + u64::from(self.filled > 0)
    }

    fn close(&mut self) {
        self.block += 1;
        self.filled = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn neighbours_differ_by_one_and_a_gap_adds_every_block_it_began() {
        let mut cutter = Cutter::new(8, 0);
        assert_eq!(cutter.sound(8), (0, 0));
        assert_eq!(cutter.sound(3), (1, 0));
        assert_eq!(cutter.sound(2), (1, 3));
        // The open block is sent short; two blocks' lengths are begun by nine lost frames.
        cutter.missing(4);
        cutter.missing(5);
        assert_eq!(cutter.room(), 8);
        assert_eq!(cutter.sound(8), (1 + 1 + 2, 0));
        assert_eq!(cutter.sound(1), (5, 0));
    }

    #[test]
    fn nothing_missing_changes_nothing() {
        let mut cutter = Cutter::new(8, 0);
        cutter.sound(3);
        cutter.missing(0);
        assert_eq!(cutter.sound(5), (0, 3), "the block stays open");
    }

    proptest! {
        #[test]
        fn numbers_follow_the_contract(steps in prop::collection::vec((0_u64..40, 1_u32..8), 1..100)) {
            let mut cutter = Cutter::new(8, 0);
            let (mut newest, mut lost) = (None::<u64>, 0);
            for (missing, sound) in steps {
                cutter.missing(missing);
                lost += missing;
                let sound = sound.min(cutter.room());
                let (block, offset) = cutter.sound(sound);
                if let Some(newest) = newest {
                    let expected = if lost > 0 {
                        newest + 1 + blocks_begun(lost, 8)
                    } else {
                        newest + u64::from(offset == 0)
                    };
                    prop_assert_eq!(block, expected);
                }
                newest = Some(block);
                lost = 0;
            }
        }
    }
}

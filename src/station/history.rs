//! Where blocks lay, long after their sound is gone: the frames that a listener missed who was away for
//! longer than the programme is kept can still be told exactly.
//!
//! Blocks follow each other at a block's length but where something was missing, so one place for each
//! seam is enough.

use crate::tools::lock::lock;
use std::collections::VecDeque;
use std::sync::Mutex;

/// Seams that are kept: with one fault a minute, about three days.
const SEAMS: usize = 4096;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seam {
    block: u64,
    position: u64,
}

/// Places of all blocks since the daemon started.
#[derive(Debug)]
pub struct History {
    block_frames: u64,
    /// Number of the first block of this run.
    first_block: u64,
    seams: Mutex<VecDeque<Seam>>,
}

impl History {
    /// Of blocks of so many frames, numbered from `first_block`.
    pub fn new(block_frames: u32, first_block: u64) -> Self {
        Self { block_frames: block_frames.into(), first_block, seams: Mutex::default() }
    }

    /// Number of the first block of this run: a smaller one was given out by an earlier run.
    pub fn first_block(&self) -> u64 {
        self.first_block
    }

    /// A block began here.
    pub fn began(&self, block: u64, position: u64) {
        let mut seams = lock(&self.seams);
        let seam = Seam { block, position };
        if seams.back().is_some_and(|last| self.after(last, block) == position) {
            return;
        }
        if seams.len() == SEAMS {
            seams.pop_front();
        }
        seams.push_back(seam);
    }

    fn after(&self, seam: &Seam, block: u64) -> u64 {
        // A stranger may ask for any number: one that never was has no place, and no overflow either.
        (block - seam.block).saturating_mul(self.block_frames).saturating_add(seam.position)
    }

    /// Position of a block's first frame; of a number that fell into a hole, a place inside the hole.
    /// `None` for a block before all that is known.
    pub fn position_of(&self, block: u64) -> Option<u64> {
        let seams = lock(&self.seams);
        let next = seams.partition_point(|seam| seam.block <= block);
        let place = self.after(seams.get(next.checked_sub(1)?)?, block);
        Some(seams.get(next).map_or(place, |seam| place.min(seam.position)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_known_between_and_across_seams() {
        let history = History::new(100, 7);
        for (block, position) in [(7, 0), (8, 100), (9, 200), (12, 330), (13, 430)] {
            history.began(block, position);
        }
        assert_eq!(history.seams.lock().expect("unpoisoned").len(), 2, "one for each seam");
        let places = [6, 7, 9, 10, 11, 12, 14].map(|block| history.position_of(block));
        assert_eq!(history.position_of(u64::MAX), Some(u64::MAX));
        assert_eq!(places, [None, Some(0), Some(200), Some(300), Some(330), Some(330), Some(530)]);
    }

    #[test]
    fn the_oldest_seams_go_first() {
        let history = History::new(10, 0);
        (0..SEAMS as u64 + 5).for_each(|n| history.began(2 * n, 15 * n));
        assert_eq!(history.position_of(8), None);
        assert_eq!(history.position_of(10), Some(75));
    }
}

//! A listener's place in the programme: what is due to it next, and what must be told when something else
//! comes. Pure. The law: after its first block, each frame number is sent, skipped by the listener's own
//! wish, or covered by a told gap, once and in order.

use crate::audio::{Gap, GapReason};

/// What to do with an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It was told already.
    Drop,
    /// Send it as it is.
    Send,
    /// Tell this gap, then send it. Its time is that of its end: how long it is in time, others know.
    TellThenSend(Gap),
    /// Tell this gap instead of it.
    TellInstead(Gap),
}

/// Number and position of what is due next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Due {
    number: u64,
    position: u64,
}

/// The place.
#[derive(Debug, Clone, Copy, Default)]
pub struct Place {
    due: Option<Due>,
    /// Entries were dropped before this listener came for them.
    lagged: bool,
}

impl Place {
    /// A listener to whom this number, at this position, is due first.
    pub fn at(number: u64, position: u64) -> Self {
        Self { due: Some(Due { number, position }), lagged: false }
    }

    /// Number of the block that is due; `None` before the first.
    pub fn number(&self) -> Option<u64> {
        self.due.map(|due| due.number)
    }

    /// Entries were dropped before this listener came for them.
    pub fn lag(&mut self) {
        self.lagged = true;
    }

    /// The listener wished to skip this block.
    pub fn skip(&mut self, number: u64, position: u64, frames: u64) {
        // Only in order: a hole before it is still to be told.
        if self.due.is_some_and(|due| due.number == number) {
            self.due = Some(Due { number: number + 1, position: position + frames });
        }
    }

    /// A block comes, captured at `mono_ns`: the time at which a gap before it ends.
    pub fn block(&mut self, number: u64, position: u64, frames: u64, mono_ns: i64) -> Verdict {
        let missed = match self.due {
            // Another encoding's copy of a block that was already sent.
            Some(due) if number < due.number => return Verdict::Drop,
            due => due.filter(|due| due.number < number),
        };
        self.due = Some(Due { number: number + 1, position: position + frames });
        self.lagged = false;
        match missed {
            None => Verdict::Send,
            Some(due) => Verdict::TellThenSend(slow(due, number, position, mono_ns)),
        }
    }

    /// A gap comes that everybody has.
    pub fn gap(&mut self, gap: Gap) -> Verdict {
        let Some(due) = self.due.filter(|due| due.number <= gap.to_frame) else { return Verdict::Drop };
        let end = gap.position + gap.lost;
        self.due = Some(Due { number: gap.to_frame + 1, position: end });
        let was_slow = std::mem::take(&mut self.lagged);
        if due.number == gap.from_frame {
            return Verdict::Send;
        }
        if due.number < gap.from_frame && was_slow {
            // Two causes, two gaps: first what this listener alone missed.
            return Verdict::TellThenSend(slow(due, gap.from_frame, gap.position, gap.mono_ns));
        }
        // Blocks that a pause withdrew, or a part told already: the same hole from this listener's place.
        let lost = end.saturating_sub(due.position);
        Verdict::TellInstead(Gap { from_frame: due.number, position: due.position, lost, ..gap })
    }
}

fn slow(due: Due, until: u64, position: u64, mono_ns: i64) -> Gap {
    Gap {
        from_frame: due.number,
        to_frame: until - 1,
        position: due.position,
        lost: position.saturating_sub(due.position),
        reason: GapReason::SlowListener,
        mono_ns,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Gap =
        Gap { from_frame: 5, to_frame: 9, position: 500, lost: 450, reason: GapReason::Paused, mono_ns: 0 };

    #[test]
    fn blocks_in_order_are_sent_and_copies_are_not() {
        let mut place = Place::default();
        assert_eq!(place.block(3, 300, 100, 0), Verdict::Send);
        assert_eq!(place.block(3, 300, 100, 0), Verdict::Drop);
        assert_eq!(place.block(4, 400, 100, 0), Verdict::Send);
    }

    #[test]
    fn what_is_missing_before_a_block_is_told() {
        let mut place = Place::at(3, 300);
        place.lag();
        let Verdict::TellThenSend(gap) = place.block(6, 600, 100, 9) else { panic!("a hole") };
        assert_eq!((gap.from_frame, gap.to_frame, gap.position, gap.lost), (3, 5, 300, 300));
        assert_eq!((gap.reason, gap.mono_ns), (GapReason::SlowListener, 9));
    }

    #[test]
    fn a_gap_is_shared_by_those_who_stand_at_it() {
        let mut place = Place::at(5, 500);
        assert_eq!(place.gap(PAUSE), Verdict::Send);
        assert_eq!(place.gap(PAUSE), Verdict::Drop);
        assert_eq!(place.block(10, 950, 100, 0), Verdict::Send);
        assert_eq!(
            Place::default().gap(PAUSE),
            Verdict::Drop,
            "nobody misses anything before the first block"
        );
    }

    #[test]
    fn withdrawn_blocks_are_part_of_the_pause() {
        let mut place = Place::at(3, 300);
        let Verdict::TellInstead(gap) = place.gap(PAUSE) else { panic!("an own gap") };
        assert_eq!((gap.from_frame, gap.to_frame, gap.position, gap.lost), (3, 9, 300, 650));
        assert_eq!(gap.reason, GapReason::Paused);
        assert_eq!(place.number(), Some(10));
    }

    #[test]
    fn slowness_and_a_gap_are_told_apart() {
        let mut place = Place::at(3, 300);
        place.lag();
        let Verdict::TellThenSend(own) = place.gap(PAUSE) else { panic!("two gaps") };
        assert_eq!((own.from_frame, own.to_frame, own.lost), (3, 4, 200));
        assert_eq!(place.number(), Some(10));
    }

    #[test]
    fn skipping_is_neither_gap_nor_drop() {
        let mut place = Place::at(3, 300);
        place.skip(3, 300, 100);
        place.skip(9, 900, 100);
        assert_eq!(place.block(4, 400, 100, 0), Verdict::Send);
    }
}

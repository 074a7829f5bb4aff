//! A listener's place in the programme: what it must be told so that every frame after its first is in a
//! packet or in a gap, once. Pure.

use crate::audio::GapReason;
use crate::station::packets::Hole;

/// Sound that this listener alone did not get: from a position, so many frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Missed {
    /// Position of the first missing frame.
    pub position: u64,
    /// Missing frames of the programme.
    pub lost: u64,
    /// Why.
    pub reason: GapReason,
}

/// The place.
#[derive(Debug, Default)]
pub struct Place {
    /// Position that is due; `None` before the first packet.
    due: Option<u64>,
    /// Entries were dropped before they were read.
    is_late: bool,
}

impl Place {
    /// Entries were dropped before they were read.
    pub fn lag(&mut self) {
        self.is_late = true;
    }

    /// A packet with the sound from one position to another comes next: what must be told before it.
    pub fn packet(&mut self, position: u64, end: u64) -> Option<Missed> {
        let missed = self.missed_before(position);
        self.go_on(end);
        missed
    }

    /// A hole that everybody has comes next: what must be told before it, and what is left of it to tell.
    pub fn gap(&mut self, hole: Hole) -> (Option<Missed>, Option<Hole>) {
        let end = hole.position + hole.lost;
        let Some(due) = self.due.filter(|due| *due < end) else {
            // Before its first packet a listener misses nothing.
            return (None, None);
        };
        let missed = if self.is_late { self.missed_before(hole.position) } else { None };
        // What a pause withdrew before it was read belongs to the pause.
        let position = if missed.is_some() { hole.position } else { due };
        self.go_on(end);
        (missed, Some(Hole { position, lost: end - position, ..hole }))
    }

    fn missed_before(&self, position: u64) -> Option<Missed> {
        let due = self.due.filter(|due| *due < position)?;
        let reason = if self.is_late { GapReason::SlowListener } else { GapReason::Paused };
        Some(Missed { position: due, lost: position - due, reason })
    }

    fn go_on(&mut self, end: u64) {
        self.due = Some(end);
        self.is_late = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hole(position: u64, lost: u64) -> Hole {
        Hole { position, lost, reason: GapReason::Overrun, mono_ns: 0 }
    }

    #[test]
    fn nothing_is_told_of_what_was_before_the_first_packet() {
        let mut place = Place::default();
        assert_eq!(place.gap(hole(0, 100)), (None, None));
        assert_eq!(place.packet(100, 200), None);
        assert_eq!(place.packet(200, 300), None);
    }

    #[test]
    fn the_slow_are_told_what_they_missed_and_then_of_what_everybody_misses() {
        let mut place = Place::default();
        place.packet(0, 100);
        place.lag();
        let missed = Missed { position: 100, lost: 400, reason: GapReason::SlowListener };
        assert_eq!(place.gap(hole(500, 50)), (Some(missed), Some(hole(500, 50))));
        assert_eq!(place.packet(550, 600), None);
    }

    #[test]
    fn what_a_pause_withdrew_is_in_the_gap_of_the_pause() {
        let mut place = Place::default();
        place.packet(0, 100);
        let pause = Hole { reason: GapReason::Paused, ..hole(300, 700) };
        assert_eq!(place.gap(pause), (None, Some(Hole { position: 100, lost: 900, ..pause })));
    }

    proptest! {
        /// Whatever of the programme's packets and holes is not read, each frame after the first that came
        /// is told of once and in order.
        #[test]
        fn every_frame_is_told_once(entries in prop::collection::vec((1_u64..1000, any::<bool>(), any::<bool>()), 1..60)) {
            let (mut place, mut position, mut told) = (Place::default(), 0, None);
            let mut tell = |from: u64, frames: u64| {
                prop_assert!(told.is_none_or(|told| told == from), "{told:?} and then {from}");
                told = Some(from + frames);
                Ok(())
            };
            for (frames, is_hole, is_read) in entries {
                match (is_read, is_hole) {
                    (false, _) => place.lag(),
                    (true, false) => {
                        if let Some(missed) = place.packet(position, position + frames) {
                            tell(missed.position, missed.lost)?;
                        }
                        tell(position, frames)?;
                    }
                    (true, true) => {
                        let (missed, hole) = place.gap(hole(position, frames));
                        if let Some(missed) = missed {
                            tell(missed.position, missed.lost)?;
                        }
                        if let Some(hole) = hole {
                            tell(hole.position, hole.lost)?;
                        }
                    }
                }
                position += frames;
            }
        }
    }
}

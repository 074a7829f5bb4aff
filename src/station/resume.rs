//! Listeners who come back: where they were, and what they get.

use std::sync::atomic::Ordering;

use uuid::Uuid;

use super::Station;
use super::frames::Key;
use super::programme::KEPT_S;
use super::replay::Replay;
use crate::audio::{Gap, GapReason};
use crate::error::Result;
use crate::tools::clock::{self, NS_PER_MS};

/// What a listener says it had last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LastEvent {
    /// This block.
    Block(u64),
    /// Nothing but the greeting of a connection that began at this time, milliseconds since the epoch.
    Connected(u64),
}

impl LastEvent {
    /// Reads a `Last-Event-ID`. An id that is none of ours means nothing.
    pub fn parse(id: &str) -> Option<Self> {
        if let Some(number) = id.strip_prefix("frame-") {
            return number.parse().ok().map(Self::Block);
        }
        // The ids of connections carry the time at which they began.
        let (seconds, nanos) = id.parse::<Uuid>().ok()?.get_timestamp()?.to_unix();
        Some(Self::Connected(seconds.checked_mul(1000)? + u64::from(nanos) / 1_000_000))
    }
}

/// Where a listener who came back goes on.
#[derive(Debug)]
pub struct Resumed {
    /// Gives what it missed.
    pub replay: Replay,
    /// Number and position of what is due to it first; `None` when it has had no block yet.
    pub due: Option<(u64, u64)>,
    /// What it missed for good.
    pub lost: Option<Gap>,
}

impl Station {
    /// Takes a listener back. `None` when it has missed nothing that could be told.
    ///
    /// # Errors
    /// The daemon is not ready.
    pub fn resume(&self, key: Key, last: LastEvent) -> Result<Option<Resumed>> {
        match last {
            LastEvent::Connected(began_ms) => self.resume_since(key, began_ms),
            LastEvent::Block(number) => self.resume_after(key, number).map(Some),
        }
    }

    fn resume_since(&self, key: Key, began_ms: u64) -> Result<Option<Resumed>> {
        let age_ms = self.wall().now_ms().saturating_sub(began_ms);
        if age_ms > KEPT_S * 1000 {
            return Ok(None);
        }
        let since_ns = clock::mono_ns() - i64::try_from(age_ms).unwrap_or(0) * NS_PER_MS;
        let replay = Replay::since(key, self.shared.renditions.material()?, since_ns);
        Ok(Some(Resumed { replay, due: None, lost: None }))
    }

    fn resume_after(&self, key: Key, number: u64) -> Result<Resumed> {
        let due = number.saturating_add(1);
        let replay = Replay::from_block(key, self.shared.renditions.material()?, due);
        let history = &self.shared.history;
        let next = self.shared.blocks.load(Ordering::Relaxed);
        let place = |block| history.position_of(block).unwrap_or(0);
        if due > next {
            // Of an earlier run whose clock was ahead: nothing is known but where numbers go on.
            let lost = self.gone(next.saturating_sub(1), next, place(next), 0, GapReason::Restart);
            return Ok(Resumed { replay, due: Some((next, place(next))), lost: Some(lost) });
        }
        let oldest = replay.oldest_block().unwrap_or(next);
        if due >= oldest {
            return Ok(Resumed { replay, due: Some((due, place(due))), lost: None });
        }
        let end = place(oldest);
        let lost = match history.position_of(due) {
            Some(from) => self.gone(due, oldest, from, end.saturating_sub(from), GapReason::Disconnected),
            // Positions begin anew with each run; the numbers tell how much time passed.
            None => {
                let lost = (oldest - due).saturating_mul(self.shared.settings.block_frames.into());
                self.gone(due, oldest, end, lost, GapReason::Restart)
            }
        };
        Ok(Resumed { replay, due: Some((oldest, end)), lost: Some(lost) })
    }

    /// A gap from a block up to, and without, another, that ends where sound is kept.
    fn gone(&self, from: u64, until: u64, position: u64, lost: u64, reason: GapReason) -> Gap {
        let next = self.shared.blocks.load(Ordering::Relaxed);
        let place = |block| self.shared.history.position_of(block).unwrap_or(0);
        // What is kept, and before it what is lost, lies before now.
        let kept = place(next).saturating_sub(place(until));
        let mono_ns = clock::mono_ns() - self.duration_ns(kept.saturating_add(lost));
        Gap { from_frame: from, to_frame: until.saturating_sub(1), position, lost, reason, mono_ns }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::fuzz::{as_text, fuzz};

    #[test]
    fn ids_are_blocks_or_connections_or_nothing() {
        assert_eq!(LastEvent::parse("frame-12"), Some(LastEvent::Block(12)));
        let id = Uuid::now_v7().to_string();
        let Some(LastEvent::Connected(began_ms)) = LastEvent::parse(&id) else { panic!("{id}") };
        assert!(began_ms.abs_diff(clock::WallClock::new().now_ms()) < 1000);
        for nonsense in [
            "",
            "frame-",
            "frame--1",
            "frame-x",
            "12",
            "heartbeat-3",
            "frame-99999999999999999999999",
            "00000000-0000-0000-0000-000000000000",
            "\u{0}",
            "frame-1 ",
        ] {
            assert_eq!(LastEvent::parse(nonsense), None, "{nonsense:?}");
        }
    }

    #[test]
    fn fuzz_last_event_id() {
        const SEEDS: &[&str] = &["frame-84148816501", "019aa0ff-1234-7abc-8def-0123456789ab", "heartbeat-3"];
        const WORDS: &[&str] =
            &["frame-", "-", "0", "18446744073709551616", "ffffffff", "+", "{", "}", "urn:uuid:"];
        fuzz(
            SEEDS,
            WORDS,
            as_text(|id| match LastEvent::parse(id) {
                Some(LastEvent::Block(number)) => {
                    let digits =
                        id.strip_prefix("frame-").expect("an id of a block").trim_start_matches(['+', '0']);
                    assert_eq!(number.to_string().trim_start_matches('0'), digits);
                }
                // A time that a clock can have: it is held against one.
                Some(LastEvent::Connected(ms)) => assert!(ms <= 1 << 61),
                None => {}
            }),
        );
    }
}

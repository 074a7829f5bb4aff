//! Holes in the programme.

/// Why sound is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GapReason {
    /// The device's buffer ran over.
    Overrun,
    /// The device, or the whole machine, was suspended.
    Suspend,
    /// The device was open and delivered nothing.
    Stalled,
    /// There was no device.
    Absent,
    /// An operator paused.
    Paused,
    /// The ring between capture and pump was full.
    RingFull,
    /// One listener was too slow; the others missed nothing.
    SlowListener,
    /// One listener was away for longer than the programme is kept.
    Disconnected,
    /// The daemon was started anew.
    Restart,
}

impl GapReason {
    /// Every reason, in the order of declaration: counters are indexed by it.
    pub const ALL: [Self; 9] = [
        Self::Overrun,
        Self::Suspend,
        Self::Stalled,
        Self::Absent,
        Self::Paused,
        Self::RingFull,
        Self::SlowListener,
        Self::Disconnected,
        Self::Restart,
    ];

    /// Whether the programme itself can have such a hole: then every listener has it.
    pub const fn is_of_programme(self) -> bool {
        match self {
            Self::Overrun | Self::Suspend | Self::Stalled | Self::Absent | Self::Paused | Self::RingFull => {
                true
            }
            Self::SlowListener | Self::Disconnected | Self::Restart => false,
        }
    }

    /// The word used everywhere.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Overrun => "overrun",
            Self::Suspend => "suspend",
            Self::Stalled => "stalled",
            Self::Absent => "absent",
            Self::Paused => "paused",
            Self::RingFull => "ring_full",
            Self::SlowListener => "slow_listener",
            Self::Disconnected => "disconnected",
            Self::Restart => "restart",
        }
    }
}

/// A hole, in the numbers that the frame API uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// Number of the first missing block.
    pub from_frame: u64,
    /// Number of the last missing block; the next one sent has the number after it.
    pub to_frame: u64,
    /// Position of the first missing sample frame.
    pub position: u64,
    /// Missing sample frames.
    pub lost: u64,
    /// Why.
    pub reason: GapReason,
    /// When the first missing sample would have been captured, on the monotonic clock.
    pub mono_ns: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_reasons_are_listed_in_order() {
        for (at, reason) in GapReason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, at);
        }
        // The last one declared: a new one after it belongs into the list too.
        assert_eq!(GapReason::ALL.len(), GapReason::Restart as usize + 1);
    }
}

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

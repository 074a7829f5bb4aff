//! What the programme's log is made of: short pieces of sound, filler in its place, and changes of state.

use std::sync::Arc;

use super::{GapReason, State};
use crate::tools::spread::Extent;

/// A change of the programme's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateMark {
    /// The state from here on.
    pub state: State,
    /// Why, where there is something to say.
    pub reason: Option<Arc<str>>,
    /// Since when, milliseconds since the epoch.
    pub since_ms: u64,
}

/// What stands at a place of the programme.
#[derive(Debug, Clone)]
pub enum Payload {
    /// Captured sound, interleaved.
    Sound {
        /// `frames × channels` samples, full scale at ±1, all finite.
        samples: Arc<[f32]>,
        /// Captured channels.
        channels: u16,
    },
    /// Silence in the place of sound that is missing; players hear it, the frame API tells a gap.
    Filler {
        /// Why it is missing.
        reason: GapReason,
        /// Too long to be played as silence: players are told of a break instead.
        discontinuity: bool,
    },
    /// No sound: the state changed here.
    State(StateMark),
}

/// An entry of the programme's log.
#[derive(Debug, Clone)]
pub struct Quantum {
    /// Pauses counted: nothing of an older epoch may reach anybody.
    pub epoch: u64,
    /// Position of the first frame.
    pub position: u64,
    /// Frames; 0 for a change of state.
    pub frames: u64,
    /// When the first frame was captured, on the monotonic clock.
    pub mono_ns: i64,
    /// Number of the block that this sound belongs to.
    pub block: u64,
    /// Frames of that block that came before.
    pub offset: u32,
    /// What stands here.
    pub payload: Payload,
}

impl Extent for Quantum {
    fn span(&self) -> u64 {
        match self.payload {
            // Longer than all that is kept: it would be evicted by the next sound, and nobody would learn of it.
            Payload::Filler { discontinuity: true, .. } => 0,
            _ => self.frames,
        }
    }

    fn bytes(&self) -> usize {
        let samples = match &self.payload {
            Payload::Sound { samples, .. } => size_of_val::<[f32]>(samples),
            Payload::Filler { .. } | Payload::State(_) => 0,
        };
        samples + size_of::<Self>()
    }

    fn epoch(&self) -> u64 {
        self.epoch
    }
}

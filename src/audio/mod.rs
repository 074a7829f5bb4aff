//! The words of sound: formats, positions, gaps, and what the programme's log is made of.
//!
//! A *frame* here is one sample of every channel; a *block* is what the API calls an audio frame. A
//! *position* counts frames since the source began, lost ones included.

mod block;
mod cutter;
mod format;
mod gap;
mod position;
mod quantum;

pub use block::{Assembler, Block, Item, Unit};
pub use cutter::Cutter;
pub use format::SampleFormat;
pub use gap::{Gap, GapReason};
pub use position::{blocks_begun, duration_ns, frames_in};
pub use quantum::{Payload, Quantum, StateMark};

pub use talas_wire::State;

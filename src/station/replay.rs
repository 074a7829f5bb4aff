//! The programme's last seconds, encoded once more for a listener who comes back: what it missed while it
//! was away, under any encoding, from the programme's own log.

use std::collections::VecDeque;
use std::task::{Context, Poll};

use super::frames::{Encoder, Key, Packet};
use super::renditions::Material;
use crate::audio::{Payload, Quantum};
use crate::tools::spread::{Cursor, Extent, Next};

/// Blocks before the wanted one that are read too, so that a filter's past is there. They are not sent:
/// whoever listens knows from which number on it wants.
fn warm_up(material: &Material, key: Key) -> u64 {
    Encoder::reach(key).div_ceil(u64::from(material.block_frames.max(1))) + 1
}

/// An encoding for one listener, from a place in the past on. It does work only when asked for more.
#[derive(Debug)]
pub struct Replay {
    programme: Cursor<Quantum>,
    encoder: Encoder,
    ready: VecDeque<Packet>,
    oldest_block: Option<u64>,
}

impl Replay {
    /// From this block on, or from the oldest kept after it.
    pub(super) fn from_block(key: Key, material: &Material, block: u64) -> Self {
        let from = block.saturating_sub(warm_up(material, key));
        // Blocks rise along the log, so the place is found by halving.
        Self::at(key, material, material.programme.from_first(|quantum| quantum.block >= from))
    }

    /// From the first block that was captured at this time or later, on the monotonic clock.
    pub(super) fn since(key: Key, material: &Material, mono_ns: i64) -> Self {
        Self::at(key, material, material.programme.from_first(|quantum| quantum.mono_ns >= mono_ns))
    }

    fn at(key: Key, material: &Material, programme: Cursor<Quantum>) -> Self {
        let begins_block = |q: &Quantum| q.offset == 0 && matches!(q.payload, Payload::Sound { .. });
        let oldest_block = material.programme.find(begins_block).map(|quantum| quantum.block);
        Self { programme, encoder: Encoder::new(key, material), ready: VecDeque::new(), oldest_block }
    }

    /// Number of the oldest block that is kept whole.
    pub fn oldest_block(&self) -> Option<u64> {
        self.oldest_block
    }

    /// What comes next. At the end of the log it waits like any other reader.
    pub fn poll_next(&mut self, cx: &Context<'_>) -> Poll<Next<Packet>> {
        loop {
            while let Some(packet) = self.ready.pop_front() {
                // What was made before a pause must not be sent after it.
                if packet.epoch() >= self.programme.epoch() {
                    return Poll::Ready(Next::Entry(packet));
                }
            }
            match self.programme.poll_next(cx) {
                Poll::Ready(Next::Entry(quantum)) => {
                    let ready = &mut self.ready;
                    self.encoder.take(&quantum, |packet| ready.push_back(packet));
                }
                Poll::Ready(Next::Missed(count)) => {
                    self.encoder.begin_anew();
                    return Poll::Ready(Next::Missed(count));
                }
                Poll::Ready(Next::Closed) => return Poll::Ready(Next::Closed),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

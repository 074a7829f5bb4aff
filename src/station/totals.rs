//! What all listeners together got, of live frames and of each kind of sound, since the daemon started.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::listeners::Stream;
use crate::tools::histogram::Histogram;

/// Figures of all listeners ever.
#[derive(Debug)]
pub struct Totals {
    /// Each block written to a socket, by the time from the capture of its first sample to the write of
    /// its last byte.
    pub latency: Histogram,
    /// Bytes written to sockets.
    pub bytes: AtomicU64,
    /// Blocks that slow listeners missed.
    pub dropped: AtomicU64,
    /// Streams ever begun.
    pub begun: AtomicU64,
    /// Streams ever ended.
    pub ended: AtomicU64,
    /// The same of live sound.
    pub live: SoundTotals,
    /// The same of low-latency sound.
    pub packets: SoundTotals,
}

/// Figures of all listeners of one kind of sound ever.
#[derive(Debug)]
pub struct SoundTotals {
    /// Listeners now.
    pub active: AtomicU64,
    /// Listeners ever come.
    pub begun: AtomicU64,
    /// Listeners ever gone.
    pub ended: AtomicU64,
    /// Times that a listener was too slow: of live sound it was cut, of low-latency sound told what it missed.
    pub late: AtomicU64,
    /// Bytes written to sockets.
    pub bytes: AtomicU64,
    /// Groups written to listeners who had everything before, by the time from the capture of the group's
    /// first sample.
    pub latency: Histogram,
}

impl Default for SoundTotals {
    fn default() -> Self {
        Self {
            active: AtomicU64::new(0),
            begun: AtomicU64::new(0),
            ended: AtomicU64::new(0),
            late: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            latency: Histogram::new(&LATENCY_BOUNDS),
        }
    }
}

impl Totals {
    /// Those of one kind of sound; `None` for frames.
    pub fn sound(&self, stream: Stream) -> Option<&SoundTotals> {
        match stream {
            Stream::Frames { .. } => None,
            Stream::Live => Some(&self.live),
            Stream::Packets => Some(&self.packets),
        }
    }

    /// Bytes written to the sockets of listeners of every kind.
    pub fn all_bytes(&self) -> u64 {
        [&self.bytes, &self.live.bytes, &self.packets.bytes]
            .iter()
            .map(|bytes| bytes.load(Ordering::Relaxed))
            .sum()
    }
}

/// Bounds of [`Totals::latency`]. A block's own length is in it, 21.3 ms by default: around that they
/// are close, and they reach from the shortest blocks to a listener who hears the log's far end.
const LATENCY_BOUNDS: [Duration; 19] = [
    Duration::from_micros(2_500),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(15),
    Duration::from_millis(20),
    Duration::from_micros(22_500),
    Duration::from_millis(25),
    Duration::from_micros(27_500),
    Duration::from_millis(30),
    Duration::from_millis(35),
    Duration::from_millis(40),
    Duration::from_millis(50),
    Duration::from_millis(75),
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_millis(1_000),
    Duration::from_millis(2_500),
    Duration::from_millis(5_000),
];

impl Default for Totals {
    fn default() -> Self {
        Self {
            latency: Histogram::new(&LATENCY_BOUNDS),
            bytes: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            begun: AtomicU64::new(0),
            ended: AtomicU64::new(0),
            live: SoundTotals::default(),
            packets: SoundTotals::default(),
        }
    }
}

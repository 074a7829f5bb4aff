//! A wait-free ring from one thread to another: chunks of samples, each under a header.
//!
//! Two lock-free rings side by side, one for samples and one for headers. A chunk is visible to the
//! reader once its header is, and the header is written last. Neither side allocates, locks or waits.

use rtrb::{Consumer, Producer, RingBuffer};

#[derive(Debug, Clone, Copy)]
struct Head<H> {
    header: H,
    samples: usize,
}

/// The writing end.
#[derive(Debug)]
pub struct RingWriter<H> {
    samples: Producer<f32>,
    heads: Producer<Head<H>>,
}

/// The reading end.
#[derive(Debug)]
pub struct RingReader<H> {
    samples: Consumer<f32>,
    heads: Consumer<Head<H>>,
}

/// A ring for so many samples in so many chunks.
pub fn ring<H: Copy>(samples: usize, chunks: usize) -> (RingWriter<H>, RingReader<H>) {
    let (sample_tx, sample_rx) = RingBuffer::new(samples);
    let (head_tx, head_rx) = RingBuffer::new(chunks);
    (RingWriter { samples: sample_tx, heads: head_tx }, RingReader { samples: sample_rx, heads: head_rx })
}

impl<H: Copy> RingWriter<H> {
    /// Appends a chunk of `count` samples, which `fill` writes into the two slices one after the other.
    /// Returns `false` and calls nothing when there is no room.
    pub fn push(&mut self, header: H, count: usize, fill: impl FnOnce(&mut [f32], &mut [f32])) -> bool {
        if self.heads.is_full() {
            return false;
        }
        let Ok(mut chunk) = self.samples.write_chunk(count) else { return false };
        let (first, second) = chunk.as_mut_slices();
        fill(first, second);
        chunk.commit_all();
        // The reader looks at headers only, so the samples must be committed before this one.
        self.heads.push(Head { header, samples: count }).is_ok()
    }

    /// Samples there is room for.
    pub fn free(&self) -> usize {
        self.samples.slots()
    }

    /// Samples the ring can hold.
    pub fn capacity(&self) -> usize {
        self.samples.buffer().capacity()
    }

    /// Shows the ring's whole memory, so that it can be touched and locked before a deadline holds.
    /// The ring must be empty.
    pub fn with_memory(&mut self, mut see: impl FnMut(&mut [f32])) {
        let capacity = self.capacity();
        if let Ok(mut chunk) = self.samples.write_chunk(capacity) {
            let (first, second) = chunk.as_mut_slices();
            see(first);
            see(second);
            // Dropped without a commit: nothing was appended.
        }
    }
}

impl<H: Copy> RingReader<H> {
    /// The header of the oldest chunk.
    pub fn peek(&self) -> Option<H> {
        self.heads.peek().ok().map(|head| head.header)
    }

    /// Takes the oldest chunk and shows it as a header and two slices, one after the other.
    /// `None` when the ring is empty.
    pub fn pop<T>(&mut self, take: impl FnOnce(H, &[f32], &[f32]) -> T) -> Option<T> {
        let head = self.heads.pop().ok()?;
        let chunk = self.samples.read_chunk(head.samples).ok()?;
        let (first, second) = chunk.as_slices();
        let result = take(head.header, first, second);
        chunk.commit_all();
        Some(result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn write(ring: &mut RingWriter<u32>, header: u32, values: &[f32]) -> bool {
        ring.push(header, values.len(), |first, second| {
            let (a, b) = values.split_at(first.len());
            first.copy_from_slice(a);
            second.copy_from_slice(b);
        })
    }

    proptest! {
        #[test]
        fn what_goes_in_comes_out_in_order_and_a_full_ring_refuses_whole_chunks(
            lengths in prop::collection::vec(0_usize..40, 1..60), take_every in 1_usize..4,
        ) {
            let (mut tx, mut rx) = ring::<u32>(64, 8);
            let mut expected = std::collections::VecDeque::new();
            let mut seen = Vec::new();
            for (n, length) in lengths.iter().enumerate() {
                let header = u32::try_from(n).expect("few");
                let values: Vec<f32> = (0..*length).map(|k| n as f32 + k as f32 / 64.0).collect();
                if write(&mut tx, header, &values) {
                    expected.push_back((header, values));
                }
                if n % take_every == 0
                    && let Some(got) = rx.pop(|h, a, b| (h, [a, b].concat()))
                {
                    seen.push(got);
                }
            }
            while let Some(got) = rx.pop(|h, a, b| (h, [a, b].concat())) {
                seen.push(got);
            }
            prop_assert_eq!(seen, Vec::from(expected));
        }
    }

    #[test]
    fn a_full_ring_of_headers_refuses_too() {
        let (mut tx, mut rx) = ring::<u32>(64, 2);
        assert!(write(&mut tx, 1, &[1.0]) && write(&mut tx, 2, &[2.0]));
        assert!(!write(&mut tx, 3, &[3.0]));
        assert_eq!(rx.pop(|h, _, _| h), Some(1));
        assert!(write(&mut tx, 4, &[4.0]));
    }
}

//! Buffers that are used again: reading into fresh memory costs more than the reading, for the kernel
//! clears every page of it first.

use std::sync::Mutex;

use super::lock::lock;
use bytes::Bytes;

/// A stock of buffers of one size.
#[derive(Debug)]
pub struct Pool {
    size: usize,
    keep: usize,
    /// The one used last is used next: it is still in the processor's cache.
    free: Mutex<Vec<Box<[u8]>>>,
}

impl Pool {
    /// Buffers of `size` bytes, of which up to `keep` wait for use; what is in use is not limited here.
    pub const fn new(size: usize, keep: usize) -> Self {
        Self { size, keep, free: Mutex::new(Vec::new()) }
    }

    /// Bytes in a buffer.
    pub fn size(&self) -> usize {
        self.size
    }

    /// A buffer, with whatever was in it.
    pub fn lease(&'static self) -> Lease {
        let used = lock(&self.free).pop();
        let bytes = used.unwrap_or_else(|| vec![0; self.size].into_boxed_slice());
        Lease { bytes, filled: 0, pool: self }
    }
}

/// A buffer in use; it goes back by itself.
#[derive(Debug)]
pub struct Lease {
    bytes: Box<[u8]>,
    filled: usize,
    pool: &'static Pool,
}

impl Lease {
    /// All of it, to be written to.
    pub fn space(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    /// Its first `filled` bytes, shared; the buffer goes back with the last share.
    pub fn into_bytes(mut self, filled: usize) -> Bytes {
        self.filled = filled.min(self.bytes.len());
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Lease {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.filled]
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut free = lock(&self.pool.free);
        if free.len() < self.pool.keep {
            free.push(std::mem::take(&mut self.bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_with_its_last_share_and_only_so_many_are_kept() {
        static POOL: Pool = Pool::new(8, 1);
        let free = || POOL.free.lock().expect("not poisoned").len();
        let mut lease = POOL.lease();
        lease.space()[..3].copy_from_slice(b"abc");
        let bytes = lease.into_bytes(3);
        let share = bytes.slice(1..);
        drop(bytes);
        assert_eq!((free(), share.as_ref()), (0, &b"bc"[..]));
        drop(share);
        assert_eq!(free(), 1);
        let (one, other) = (POOL.lease(), POOL.lease());
        assert_eq!((&one.bytes[..3], &other.bytes[..3]), (&b"abc"[..], &[0; 3][..]), "the used one first");
        drop((one, other));
        assert_eq!(free(), 1);
    }
}

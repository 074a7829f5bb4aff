//! The control block: one page, mapped by the plugin inside the client and by whoever steers the card.
//!
//! Here: the layout, opening and claiming it, the clock's anchor, the bell. Not here: what a command means to a
//! stream (the plugin decides that), nor the pleasant handle (`Card`).
//!
//! Layout of `card.ctl`, 4096 bytes in the machine's byte order, every field an atomic of its own: [`Block`] from
//! byte 0, the bell in the last byte. Beside it lies `card.lock`, empty, held while an anchor is written.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicI32, AtomicU32, AtomicU64, fence};

use memmap2::{MmapOptions, MmapRaw};

use crate::clock::{Anchor, monotonic_ns};

/// Size of the control file, in bytes.
pub const BLOCK_BYTES: usize = 4096;
const MAGIC: u32 = u32::from_be_bytes(*b"TsIm");
/// Counts up with every change of [`Block`].
const VERSION: u32 = 1;
/// A byte past every field. Writing it with `write` wakes a client that sleeps in `poll`: the plugin watches the
/// file with inotify, which does not see stores through a mapping.
const BELL_BYTE: u64 = BLOCK_BYTES as u64 - 1;
/// Anchors kept. A reader copies one while writers fill others; it would have to be overtaken this many times
/// within one copy to read a torn one, and it checks for being overtaken once.
const ANCHORS: usize = 8;

/// The page itself. `present` to `unplugs` are commands, the rest is told by the card.
#[repr(C)]
#[derive(Debug)]
pub struct Block {
    magic: AtomicU32,
    version: AtomicU32,
    /// 0 = unplugged.
    pub present: AtomicU32,
    /// Not 0 = somebody else has the card.
    pub busy: AtomicU32,
    /// Not 0 = the hardware pointer stands still.
    pub stalled: AtomicU32,
    /// Counts up to overrun the running stream.
    pub overrun_orders: AtomicU32,
    /// Counts up to suspend the running stream.
    pub suspend_orders: AtomicU32,
    /// Counts up with every unplugging, so that a stream that slept through one notices.
    pub unplugs: AtomicU32,
    /// Which anchor is valid: `turn % ANCHORS`.
    turn: AtomicU32,
    /// Process that has the card open, 0 = none. For people: the claim itself is a file lock.
    pub owner_pid: AtomicU32,
    /// Sample rate of the last start, in Hz; 0 before the first.
    pub rate: AtomicU32,
    _pad: AtomicU32,
    anchors: [AnchorSlot; ANCHORS],
    /// Successful opens.
    pub opens: AtomicU64,
    /// Opens refused, because the card was unplugged or taken.
    pub refusals: AtomicU64,
    /// Closes by a client; one that is killed does not close.
    pub closes: AtomicU64,
    /// Streams started, restarts included.
    pub starts: AtomicU64,
    /// Overruns delivered, ordered or real.
    pub overruns: AtomicU64,
    /// Suspends delivered.
    pub suspends: AtomicU64,
    /// Frames handed to clients.
    pub frames: AtomicU64,
    /// Frames that went by between two transfers at one rate and that no client got.
    pub lost: AtomicU64,
    /// Device frame of the last start.
    pub start_frame: AtomicU64,
    /// Device frame after the last one handed over.
    pub end_frame: AtomicU64,
}

const _: () = assert!(size_of::<Block>() < BELL_BYTE as usize);

#[repr(C)]
#[derive(Debug)]
struct AnchorSlot {
    mono_ns: AtomicU64,
    card_fs_high: AtomicU64,
    card_fs_low: AtomicU64,
    ppm: AtomicI32,
    _pad: AtomicU32,
}

impl AnchorSlot {
    fn load(&self) -> Anchor {
        let high = u128::from(self.card_fs_high.load(Relaxed));
        let low = u128::from(self.card_fs_low.load(Relaxed));
        Anchor { mono_ns: self.mono_ns.load(Relaxed), card_fs: high << 64 | low, ppm: self.ppm.load(Relaxed) }
    }

    fn store(&self, anchor: Anchor) {
        self.mono_ns.store(anchor.mono_ns, Relaxed);
        self.card_fs_high.store((anchor.card_fs >> 64) as u64, Relaxed);
        self.card_fs_low.store(anchor.card_fs as u64, Relaxed);
        self.ppm.store(anchor.ppm, Relaxed);
    }
}

impl Block {
    fn anchor(&self) -> Anchor {
        loop {
            let turn = self.turn.load(Acquire);
            let anchor = self.anchors[turn as usize % ANCHORS].load();
            // The copy must be done before `turn` is looked at again.
            fence(Acquire);
            if self.turn.load(Relaxed) == turn {
                return anchor;
            }
        }
    }

    /// Only under the anchor lock: two writers would fill the same slot.
    fn publish(&self, anchor: Anchor) {
        let turn = self.turn.load(Relaxed).wrapping_add(1);
        self.anchors[turn as usize % ANCHORS].store(anchor);
        // The slot is complete before it becomes the valid one; a writer killed before this line changed nothing.
        self.turn.store(turn, Release);
    }
}

/// A mapped control file.
#[derive(Debug)]
pub struct Control {
    file: File,
    path: PathBuf,
    map: MmapRaw,
}

impl Control {
    /// Writes a new control file: plugged in, idle, clock not started, all counters 0.
    pub fn create(path: &Path) -> io::Result<Self> {
        File::create(lock_path(path))?;
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)?;
        file.set_len(BLOCK_BYTES as u64)?;
        let control = Self::map(file, path)?;
        let block = control.block();
        block.present.store(1, Relaxed);
        block.version.store(VERSION, Relaxed);
        block.magic.store(MAGIC, Release);
        Ok(control)
    }

    /// Opens a control file that [`Control::create`] made.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        if file.metadata()?.len() != BLOCK_BYTES as u64 {
            return Err(not_a_block(path));
        }
        let control = Self::map(file, path)?;
        let block = control.block();
        let (magic, version) = (block.magic.load(Acquire), block.version.load(Relaxed));
        if (magic, version) == (MAGIC, VERSION) { Ok(control) } else { Err(not_a_block(path)) }
    }

    fn map(file: File, path: &Path) -> io::Result<Self> {
        let map = MmapOptions::new().len(BLOCK_BYTES).map_raw(&file)?;
        Ok(Self { file, path: path.to_owned(), map })
    }

    /// The page.
    #[expect(unsafe_code, reason = "a view of shared memory")]
    pub fn block(&self) -> &Block {
        // SAFETY: the mapping is BLOCK_BYTES long, page-aligned, shared and lives as long as `self`; every field is
        // an atomic, for which any bit pattern is valid, and other processes write them only as such.
        unsafe { &*self.map.as_ptr().cast::<Block>() }
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes the card for this `Control`, as opening a `hw:` device does; false if another one has it. Gone with
    /// this value or its process, however that ends.
    pub fn claim(&self) -> io::Result<bool> {
        match self.file.try_lock() {
            Ok(()) => Ok(true),
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Gives the card up before this value goes.
    pub fn release(&self) -> io::Result<()> {
        self.file.unlock()
    }

    /// The clock as it runs now.
    pub fn anchor(&self) -> Anchor {
        self.block().anchor()
    }

    /// Starts the clock with frame 0 now, unless it runs already.
    pub fn start_clock(&self) -> io::Result<Anchor> {
        let anchor = self.anchor();
        if anchor.started() {
            return Ok(anchor);
        }
        self.replace_anchor(|anchor, now_ns| match anchor.started() {
            true => anchor,
            false => Anchor { mono_ns: now_ns, ..anchor },
        })
    }

    /// Lets the clock run `ppm` parts per million faster than CLOCK_MONOTONIC from now on.
    pub fn detune(&self, ppm: i32) -> io::Result<Anchor> {
        self.replace_anchor(|anchor, now_ns| anchor.detuned(now_ns, ppm))
    }

    fn replace_anchor(&self, next: impl Fn(Anchor, u64) -> Anchor) -> io::Result<Anchor> {
        // A file of its own, opened anew: its lock also holds between threads, and `claim` has the block's.
        let lock = OpenOptions::new().write(true).open(lock_path(&self.path))?;
        lock.lock()?;
        let anchor = next(self.anchor(), monotonic_ns());
        self.block().publish(anchor);
        Ok(anchor)
    }

    /// Wakes a client that sleeps in `poll`, so that it sees what was just ordered.
    pub fn ring_bell(&self) -> io::Result<()> {
        self.file.write_all_at(&[0], BELL_BYTE)
    }
}

fn lock_path(path: &Path) -> PathBuf {
    path.with_extension("lock")
}

fn not_a_block(path: &Path) -> io::Error {
    let message = format!("{}: not a control file of this version of the card", path.display());
    io::Error::new(ErrorKind::InvalidData, message)
}

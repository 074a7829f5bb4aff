//! The handle of a card: faults on command and the counters it keeps. Not here: making one (`builder`), the memory
//! it goes through (`control`).

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use crate::builder::Builder;
use crate::clock::{Anchor, monotonic_ns};
use crate::control::{Block, Control};

pub(crate) const SAMPLES_FILE: &str = "card.s32";
pub(crate) const CONTROL_FILE: &str = "card.ctl";
pub(crate) const DEFINITION_FILE: &str = "card.conf";
pub(crate) const CONF_FILE: &str = "asound.conf";
/// The configuration of the system's alsa-lib, which a card's own adds to.
pub(crate) const SYSTEM_CONF: &str = "/usr/share/alsa/alsa.conf";
const CONF_VARIABLE: &str = "ALSA_CONFIG_PATH";

/// A simulated card. Any number of handles, in any number of processes, may steer the same one.
///
/// A command takes effect at once where the client sleeps in `poll`, else with its next call of alsa-lib.
#[derive(Debug)]
pub struct Card {
    dir: PathBuf,
    control: Control,
}

impl Card {
    /// A card to be made in this folder.
    pub fn builder(dir: impl AsRef<Path>) -> Builder {
        Builder::new(dir.as_ref())
    }

    /// The card that was made in this folder.
    pub fn open(dir: impl AsRef<Path>) -> io::Result<Self> {
        let dir = dir.as_ref().canonicalize()?;
        let control = Control::open(&dir.join(CONTROL_FILE))?;
        Ok(Self::new(dir, control))
    }

    pub(crate) fn new(dir: PathBuf, control: Control) -> Self {
        Self { dir, control }
    }

    /// Its folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The environment variable that shows the card to a client's alsa-lib, and its value.
    pub fn env(&self) -> (&'static str, PathBuf) {
        (CONF_VARIABLE, self.dir.join(CONF_FILE))
    }

    /// Pulls the plug: a running stream is disconnected for good, opening says ENOENT.
    pub fn unplug(&self) -> io::Result<()> {
        // The count first: a stream that finds the card present again has then seen the count change.
        self.block().unplugs.fetch_add(1, Release);
        self.order(|block| &block.present, 0)
    }

    /// Plugs the card in again. A stream that was open when it was unplugged stays dead.
    pub fn replug(&self) -> io::Result<()> {
        self.order(|block| &block.present, 1)
    }

    /// Lets the hardware pointer stand still, or go on. What no longer fits the buffer then is an overrun.
    pub fn stall(&self, on: bool) -> io::Result<()> {
        self.order(|block| &block.stalled, u32::from(on))
    }

    /// Makes every open say EBUSY, as if somebody else had the card.
    pub fn busy(&self, on: bool) -> io::Result<()> {
        self.order(|block| &block.busy, u32::from(on))
    }

    /// Overruns the running stream; without one, nothing happens.
    pub fn overrun(&self) -> io::Result<()> {
        self.block().overrun_orders.fetch_add(1, Release);
        self.control.ring_bell()
    }

    /// Suspends the running stream; without one, nothing happens.
    pub fn suspend(&self) -> io::Result<()> {
        self.block().suspend_orders.fetch_add(1, Release);
        self.control.ring_bell()
    }

    /// Lets the card run `ppm` parts per million faster than CLOCK_MONOTONIC, without a jump.
    pub fn ppm(&self, ppm: i32) -> io::Result<()> {
        self.control.detune(ppm)?;
        self.control.ring_bell()
    }

    fn order(&self, field: impl Fn(&Block) -> &AtomicU32, value: u32) -> io::Result<()> {
        field(self.block()).store(value, Release);
        self.control.ring_bell()
    }

    /// The card's clock.
    pub fn clock(&self) -> Anchor {
        self.control.anchor()
    }

    /// The device frame being captured now, at `rate` Hz.
    pub fn frame_now(&self, rate: u32) -> u64 {
        self.clock().frame(monotonic_ns(), rate)
    }

    /// What the card has counted since it was made. Each number is whole; together they are no snapshot while a
    /// client reads.
    pub fn counters(&self) -> Counters {
        let block = self.block();
        Counters {
            opens: block.opens.load(Acquire),
            refusals: block.refusals.load(Acquire),
            closes: block.closes.load(Acquire),
            starts: block.starts.load(Acquire),
            overruns: block.overruns.load(Acquire),
            suspends: block.suspends.load(Acquire),
            frames: block.frames.load(Acquire),
            lost: block.lost.load(Acquire),
            start_frame: block.start_frame.load(Acquire),
            end_frame: block.end_frame.load(Acquire),
        }
    }

    /// Whether it is plugged in.
    pub fn is_present(&self) -> bool {
        self.block().present.load(Relaxed) != 0
    }

    /// Whether opening it says EBUSY by order.
    pub fn is_busy(&self) -> bool {
        self.block().busy.load(Relaxed) != 0
    }

    /// Whether its hardware pointer stands still.
    pub fn is_stalled(&self) -> bool {
        self.block().stalled.load(Relaxed) != 0
    }

    /// The process that has it open. For people: one in another container looks dead from here.
    pub fn owner_pid(&self) -> Option<u32> {
        Some(self.block().owner_pid.load(Relaxed)).filter(|&pid| pid != 0 && is_alive(pid))
    }

    fn block(&self) -> &Block {
        self.control.block()
    }
}

fn is_alive(pid: u32) -> bool {
    Path::new("/proc").join(pid.to_string()).exists()
}

/// What a card has counted. At one sample rate, `frames + lost` is `end_frame` less the frame of the first start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Successful opens.
    pub opens: u64,
    /// Opens refused, because the card was unplugged or taken.
    pub refusals: u64,
    /// Closes by a client; one that is killed does not close.
    pub closes: u64,
    /// Streams started, restarts included.
    pub starts: u64,
    /// Overruns delivered, ordered or real.
    pub overruns: u64,
    /// Suspends delivered.
    pub suspends: u64,
    /// Frames handed to clients.
    pub frames: u64,
    /// Frames that went by between two transfers and that no client got; a loss counts with the transfer after it.
    pub lost: u64,
    /// Device frame of the last start.
    pub start_frame: u64,
    /// Device frame after the last one handed over.
    pub end_frame: u64,
}

/// As [`Card::env`], for a client that is to see several cards, each of its own name.
pub fn env_of(cards: &[&Card]) -> (&'static str, OsString) {
    // alsa-lib takes a list of files and reads them one after the other.
    let mut files = OsString::from(SYSTEM_CONF);
    for card in cards {
        files.push(":");
        files.push(card.dir.join(DEFINITION_FILE));
    }
    (CONF_VARIABLE, files)
}

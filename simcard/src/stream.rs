//! A stream of the card: what its state becomes, where its hardware pointer is, what it transfers.
//!
//! The card's orders and its clock are looked at whenever alsa-lib asks for something; nothing runs in between.
//! Here is no pointer of alsa-lib's but the plain fields of [`Ioplug`]; the border is `callbacks`.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use alsa_sys::{
    SND_PCM_STATE_DISCONNECTED, SND_PCM_STATE_PREPARED, SND_PCM_STATE_RUNNING, SND_PCM_STATE_SUSPENDED,
    SND_PCM_STATE_XRUN,
};
use libc::c_short;
use talas_simcard_control::Format;
use talas_simcard_control::clock::monotonic_ns;
use talas_simcard_control::control::{Block, Control};

use crate::content::Content;
use crate::ffi::{Errno, Ioplug};
use crate::ring::Ring;
use crate::wake::Wake;

/// Before alsa-lib says where positions wrap: what it uses on a 64-bit machine, near enough.
const FIRST_BOUNDARY: u64 = 1 << 62;

/// Lets a client in, or says why not.
pub fn admit(control: &Control) -> Result<(), Errno> {
    let block = control.block();
    let refusal = if block.present.load(Acquire) == 0 {
        Some(libc::ENOENT)
    } else if block.busy.load(Acquire) != 0 || !control.claim()? {
        Some(libc::EBUSY)
    } else {
        None
    };
    match refusal {
        Some(errno) => {
            block.refusals.fetch_add(1, Release);
            Err(Errno(errno))
        }
        None => Ok(()),
    }
}

/// Orders that hit a stream once, by their count.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Orders {
    overruns: u32,
    suspends: u32,
}

impl Orders {
    fn of(block: &Block) -> Self {
        Self { overruns: block.overrun_orders.load(Acquire), suspends: block.suspend_orders.load(Acquire) }
    }
}

/// What the client and alsa-lib agreed on.
#[derive(Clone, Copy)]
struct Setup {
    rate: u32,
    channels: usize,
    format: Format,
    buffer_frames: u64,
    avail_min: u64,
}

/// An open PCM.
pub struct Stream {
    control: Control,
    content: Content,
    wake: Wake,
    ring: Ring,
    setup: Setup,
    /// Orders given before the last start are not for this stream.
    heard: Orders,
    /// Unpluggings before this stream was opened.
    unplugs: u32,
    /// Whether others are kept from opening the card.
    holds_card: bool,
}

impl Stream {
    /// An open PCM of a card that [`admit`]ted it.
    pub fn new(control: Control, content: Content, wake: Wake) -> Self {
        let block = control.block();
        let (heard, unplugs) = (Orders::of(block), block.unplugs.load(Acquire));
        block.opens.fetch_add(1, Release);
        block.owner_pid.store(std::process::id(), Release);
        let setup =
            Setup { rate: 48_000, channels: 1, format: Format::S16Le, buffer_frames: 1, avail_min: 1 };
        Self {
            control,
            content,
            wake,
            ring: Ring::new(FIRST_BOUNDARY),
            setup,
            heard,
            unplugs,
            holds_card: true,
        }
    }

    /// What the client polls.
    pub fn wake(&self) -> &Wake {
        &self.wake
    }

    /// Takes what was negotiated. Frames are counted anew: their number depends on the rate.
    pub fn configure(&mut self, io: &Ioplug, format: Format) {
        self.setup.rate = io.rate;
        self.setup.channels = io.channels as usize;
        self.setup.format = format;
        self.setup.buffer_frames = io.buffer_size;
        self.ring.restart(0, 0);
    }

    /// Takes the software parameters, in frames.
    pub fn tune(&mut self, boundary: u64, avail_min: u64) {
        self.ring.set_boundary(boundary);
        self.setup.avail_min = avail_min.max(1);
    }

    /// Ready to start, unless the card is gone.
    pub fn prepare(&mut self, io: &mut Ioplug) -> Result<(), Errno> {
        self.check_present(io)?;
        self.wake.never();
        Ok(())
    }

    /// Starts at the frame that is being captured now. Whatever was waiting to be read is dropped.
    pub fn start(&mut self, io: &mut Ioplug) -> Result<(), Errno> {
        self.check_present(io)?;
        let block = self.control.block();
        // The clock is read first: where this start is the card's first, nothing goes by before frame 0.
        let now_ns = monotonic_ns();
        let frame = self.control.start_clock()?.frame(now_ns, self.setup.rate).max(self.ring.frame());
        self.heard = Orders::of(block);
        io.appl_ptr = io.hw_ptr;
        self.ring.restart(io.hw_ptr, frame);
        if block.rate.swap(self.setup.rate, Relaxed) != self.setup.rate {
            // The first start, or frames of another length: nothing before this can be a loss.
            block.end_frame.store(frame, Relaxed);
        }
        block.starts.fetch_add(1, Relaxed);
        block.start_frame.store(frame, Release);
        self.sleep(io.appl_ptr);
        Ok(())
    }

    /// Goes on after a suspend, as a card that can resume does; the frames of the meantime are lost.
    pub fn resume(&mut self, io: &mut Ioplug) -> Result<(), Errno> {
        if io.state != SND_PCM_STATE_SUSPENDED {
            return Err(Errno(libc::EBADFD));
        }
        self.start(io)?;
        // alsa-lib ignores what this returns; a state left at SUSPENDED would have its client try for ever.
        io.state = SND_PCM_STATE_RUNNING;
        Ok(())
    }

    /// Stopped: polling says so at once.
    pub fn stop(&mut self) {
        self.wake.now();
    }

    /// The hardware position, in [0, boundary). An error is an overrun: alsa-lib takes every error here for one, so
    /// other ends of a stream are told by the state alone.
    pub fn pointer(&mut self, io: &mut Ioplug) -> Result<u64, Errno> {
        let frame = self.look(io);
        if io.state == SND_PCM_STATE_XRUN {
            return Err(Errno(libc::EPIPE));
        }
        self.ring.advance_to(frame);
        Ok(self.ring.position())
    }

    /// Bytes of a frame as the client gets it.
    pub fn frame_bytes(&self) -> usize {
        self.setup.channels * self.setup.format.sample_bytes()
    }

    /// Fills `to` with the frames from the client's position on.
    pub fn transfer(&mut self, io: &Ioplug, to: &mut [u8]) -> Result<(), Errno> {
        // alsa-lib asks in the state it saw before the pointer was read.
        match io.state {
            SND_PCM_STATE_DISCONNECTED => return Err(Errno(libc::ENODEV)),
            SND_PCM_STATE_SUSPENDED => return Err(Errno(libc::ESTRPIPE)),
            _ => {}
        }
        let frames = (to.len() / self.frame_bytes()) as u64;
        let first = self.ring.frame_at(io.appl_ptr);
        self.content.render(first, to, self.setup.channels, self.setup.format)?;
        self.account(first, frames);
        self.sleep(io.appl_ptr + frames);
        Ok(())
    }

    /// Counts what was handed over and, from the hole before it, what was lost. Frames handed over twice, as
    /// mapped access may do, count once.
    fn account(&self, first: u64, frames: u64) {
        let block = self.control.block();
        let (before, end) = (block.end_frame.load(Relaxed), first + frames);
        if end <= before {
            return;
        }
        block.lost.fetch_add(first.saturating_sub(before), Relaxed);
        block.frames.fetch_add(end - first.max(before), Relaxed);
        block.end_frame.store(end, Release);
    }

    /// What `poll` found, in PCM terms, as the kernel has it for a real card.
    pub fn events(&mut self, io: &mut Ioplug) -> c_short {
        self.wake.attend();
        let frame = self.look(io);
        match io.state {
            SND_PCM_STATE_RUNNING if self.ring.avail(io.appl_ptr, frame) >= self.setup.avail_min => {
                libc::POLLIN
            }
            SND_PCM_STATE_RUNNING => {
                self.sleep(io.appl_ptr);
                0
            }
            SND_PCM_STATE_PREPARED => 0,
            SND_PCM_STATE_DISCONNECTED => {
                self.wake.now();
                libc::POLLERR | libc::POLLNVAL
            }
            // Also a stream that overran or was suspended: clients that hear nothing here spin for ever.
            _ => {
                self.wake.now();
                libc::POLLIN | libc::POLLERR
            }
        }
    }

    /// Looks at the card, lets the stream's state follow, and says up to which frame there is sound.
    fn look(&mut self, io: &mut Ioplug) -> u64 {
        if self.check_present(io).is_err() || io.state != SND_PCM_STATE_RUNNING {
            return self.ring.frame();
        }
        if io.hw_ptr != self.ring.position() {
            // `snd_pcm_reset` moves both positions to 0 and tells nobody.
            self.ring.restart(io.hw_ptr, self.ring.frame());
        }
        let block = self.control.block();
        let orders = Orders::of(block);
        if orders.suspends != self.heard.suspends {
            block.suspends.fetch_add(1, Release);
            io.state = SND_PCM_STATE_SUSPENDED;
            return self.ring.frame();
        }
        let frame = self.frame_now();
        if orders.overruns != self.heard.overruns
            || self.ring.avail(io.appl_ptr, frame) >= self.setup.buffer_frames
        {
            block.overruns.fetch_add(1, Release);
            io.state = SND_PCM_STATE_XRUN;
        }
        frame
    }

    /// Up to where the hardware has written: the clock, or where a stall holds it.
    fn frame_now(&self) -> u64 {
        if self.control.block().stalled.load(Acquire) != 0 {
            return self.ring.frame();
        }
        // A clock just slowed down may lag what was read off it a moment before.
        self.control.anchor().frame(monotonic_ns(), self.setup.rate).max(self.ring.frame())
    }

    fn check_present(&mut self, io: &mut Ioplug) -> Result<(), Errno> {
        let block = self.control.block();
        if block.present.load(Acquire) != 0 && block.unplugs.load(Acquire) == self.unplugs {
            return Ok(());
        }
        io.state = SND_PCM_STATE_DISCONNECTED;
        self.give_up();
        Err(Errno(libc::ENODEV))
    }

    /// Lets others open the card: a dead handle does not hold what is plugged in anew.
    fn give_up(&mut self) {
        if !self.holds_card {
            return;
        }
        self.holds_card = false;
        self.control.block().owner_pid.store(0, Release);
        // Without the lock gone the next open says EBUSY, which tells; there is nobody here to tell more.
        let _ = self.control.release();
    }

    /// Lets a client at `appl` sleep until enough frames are there; a stalled card wakes nobody.
    fn sleep(&self, appl: u64) {
        // A full buffer wakes too: that is an overrun.
        let due = self.ring.frame_at(appl) + self.setup.avail_min.min(self.setup.buffer_frames);
        if due <= self.ring.frame() {
            self.wake.now();
        } else if self.control.block().stalled.load(Acquire) != 0 {
            self.wake.never();
        } else {
            self.wake.at(self.control.anchor().mono_ns_of(due, self.setup.rate));
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.give_up();
        self.control.block().closes.fetch_add(1, Release);
    }
}

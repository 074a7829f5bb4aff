//! What the tests of the card share: a rack of cards, and a client that reads as a careful capture program does.
//!
//! alsa-lib finds cards through one environment variable per process and reads their definitions once, so each test
//! binary makes all its cards before its first client, one for each test.

#![allow(dead_code, reason = "each test binary uses a part")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::thread::sleep;
use std::time::{Duration, Instant};

use alsa::pcm::{Access, Format as AlsaFormat, HwParams, PCM};
use alsa::poll::{Descriptors, Flags, poll};
use alsa::{Direction, ValueOr};
use talas_simcard_control::content::ramp_number_s16;
use talas_simcard_control::{Builder, Card, Format, env_of, plugin};

/// What a card is called, and what is special about it.
pub type Plan = (&'static str, fn(Builder) -> Builder);

/// Far beyond what a loaded machine needs: only a hang takes so long.
const PATIENCE: Duration = Duration::from_secs(20);
/// 2.7 s at 48 kHz: no test reads so late by accident.
pub const BIG_BUFFER: u32 = 1 << 17;

/// The card of that name. `binary` names the rack's folder, `plans` all its cards.
pub fn card(binary: &str, plans: &[Plan], name: &str) -> &'static Card {
    static RACK: OnceLock<Vec<(&'static str, Card)>> = OnceLock::new();
    let rack = RACK.get_or_init(|| build_rack(&rack_dir(binary), plans));
    &rack.iter().find(|(planned, _)| *planned == name).expect("a planned card").1
}

fn rack_dir(binary: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("rack-{binary}"))
}

#[expect(unsafe_code, reason = "alsa-lib is configured by the environment")]
fn build_rack(dir: &Path, plans: &[Plan]) -> Vec<(&'static str, Card)> {
    let plugin = plugin::build().expect("the plugin builds");
    let _ = fs::remove_dir_all(dir);
    let make = |&(name, special): &Plan| {
        let builder = Card::builder(dir.join(name)).name(name).plugin(&plugin);
        (name, special(builder).create().expect("a card"))
    };
    let rack: Vec<_> = plans.iter().map(make).collect();
    let (variable, files) = env_of(&rack.iter().map(|(_, card)| card).collect::<Vec<_>>());
    // SAFETY: every test gets its card here before it calls alsa-lib, the only reader outside std, whose own
    // accesses are locked.
    unsafe { std::env::set_var(variable, files) };
    rack
}

/// What a client asks of a card.
#[derive(Clone, Copy)]
pub struct Ask {
    pub format: Format,
    pub channels: u32,
    pub rate: u32,
    pub period: u32,
    pub buffer: u32,
}

/// Stereo S16 at 48 kHz in periods of 10 ms.
pub const PLAIN: Ask =
    Ask { format: Format::S16Le, channels: 2, rate: 48_000, period: 480, buffer: BIG_BUFFER };

/// A capture client: nonblocking, `poll` and `readi`.
pub struct Client {
    pub pcm: PCM,
    frame_bytes: usize,
}

impl Client {
    /// Opens and configures; the stream is prepared, not started.
    pub fn open(name: &str, ask: Ask) -> alsa::Result<Self> {
        let pcm = PCM::new(name, Direction::Capture, true)?;
        configure(&pcm, ask)?;
        Ok(Self { pcm, frame_bytes: ask.format.sample_bytes() * ask.channels as usize })
    }

    /// Opens, configures and starts.
    pub fn start(name: &str, ask: Ask) -> Self {
        let client = Self::open(name, ask).expect("the card opens");
        client.pcm.start().expect("the stream starts");
        client
    }

    /// Waits for anything to happen; what did, or nothing in `wait`.
    pub fn poll(&self, wait: Duration) -> Flags {
        let mut fds = self.pcm.get().expect("descriptors");
        let ready = poll(&mut fds, wait.as_millis() as i32).expect("poll");
        if ready == 0 {
            return Flags::empty();
        }
        self.pcm.revents(&fds).expect("revents")
    }

    /// Waits for these flags.
    pub fn await_flags(&self, flags: Flags) {
        wait_until("events", || self.poll(Duration::from_millis(500)).contains(flags));
    }

    /// Exactly this many frames, as bytes.
    pub fn read(&self, frames: usize) -> Vec<u8> {
        let mut bytes = vec![0xee; frames * self.frame_bytes];
        let mut done = 0;
        wait_until("frames", || {
            self.poll(Duration::from_millis(500));
            match self.pcm.io_bytes().readi(&mut bytes[done * self.frame_bytes..]) {
                Ok(read) => done += read,
                Err(error) if errno(&error) == libc::EAGAIN => {}
                Err(error) => panic!("{error} after {done} frames"),
            }
            done == frames
        });
        bytes
    }

    /// The error that reading ends with, whatever can still be read before it.
    pub fn read_error(&self) -> i32 {
        let mut bytes = vec![0; 1024 * self.frame_bytes];
        let mut found = 0;
        wait_until("an error", || {
            match self.pcm.io_bytes().readi(&mut bytes) {
                Ok(_) => {}
                Err(error) if errno(&error) == libc::EAGAIN => sleep(Duration::from_millis(1)),
                Err(error) => found = errno(&error),
            }
            found != 0
        });
        found
    }

    /// Reads frames of a stereo S16 ramp, proves that no frame is missing, and gives the numbers of the first and of
    /// the one after the last.
    pub fn read_ramp(&self, frames: usize) -> (u32, u32) {
        let bytes = self.read(frames);
        let numbers: Vec<u32> = bytes.as_chunks::<4>().0.iter().map(ramp_number).collect();
        let gap = numbers.windows(2).position(|pair| pair[1] != pair[0] + 1);
        assert_eq!(gap, None, "the content jumps in the middle of a stretch");
        (numbers[0], numbers[frames - 1] + 1)
    }

    /// As after an overrun.
    pub fn restart(&self) {
        self.pcm.prepare().expect("prepare");
        self.pcm.start().expect("start");
    }
}

fn ramp_number(frame: &[u8; 4]) -> u32 {
    let [a, b, c, d] = *frame;
    ramp_number_s16(i16::from_le_bytes([a, b]), i16::from_le_bytes([c, d]))
}

fn configure(pcm: &PCM, ask: Ask) -> alsa::Result<()> {
    let hw = HwParams::any(pcm)?;
    hw.set_access(Access::RWInterleaved)?;
    hw.set_format(alsa_format(ask.format))?;
    hw.set_channels(ask.channels)?;
    hw.set_rate(ask.rate, ValueOr::Nearest)?;
    hw.set_period_size_near(ask.period.into(), ValueOr::Nearest)?;
    hw.set_buffer_size_near(ask.buffer.into())?;
    pcm.hw_params(&hw)?;
    let sw = pcm.sw_params_current()?;
    sw.set_avail_min(ask.period.into())?;
    sw.set_tstamp_mode(true)?;
    pcm.sw_params(&sw)
}

pub fn alsa_format(format: Format) -> AlsaFormat {
    match format {
        Format::S16Le => AlsaFormat::S16LE,
        Format::S24In3Le => AlsaFormat::S243LE,
        Format::S24Le => AlsaFormat::S24LE,
        Format::S32Le => AlsaFormat::S32LE,
        Format::FloatLe => AlsaFormat::FloatLE,
    }
}

/// The errno of an error; the crate has it negative here and positive there.
pub fn errno(error: &alsa::Error) -> i32 {
    error.errno().abs()
}

/// The errno that opening a card ends with.
pub fn open_error(name: &str) -> i32 {
    Client::open(name, PLAIN).err().map_or(0, |error| errno(&error))
}

/// Tries until `done`, and gives up only when it can only be a hang.
pub fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < PATIENCE, "waited in vain for {what}");
    }
}

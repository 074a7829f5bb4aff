//! Running encodings of the programme for the frame API. Each is one thread that reads the programme's
//! log and writes its own; it runs while somebody listens and a little longer, and two listeners
//! never cause two.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use super::controls::Scale;
use super::replay::Replay;
use crate::audio::{Assembler, Block, Gap, Item, Payload, Quantum, StateMark, Unit};
use crate::codec::frames::{self, Encoding, FrameEncoder};
use crate::codec::reduce::Reducer;
use crate::error::{Error, Kind, Result};
use crate::mux::sse::{self, Event};
use crate::tools::clock::WallClock;
use crate::tools::lock::lock;
use crate::tools::spread::{Cursor, Extent, Limits, Log, Next, Writer, spread_log};
use crate::tools::tasks::Crew;

/// How far a listener may fall behind before entries are dropped before it.
const BACKLOG_S: u64 = 2;
/// The most memory that one rendition's entries may hold.
const BACKLOG_BYTES: usize = 32 << 20;
/// How long an encoding goes on when the last listener has left: a page that is loaded again finds it.
const LINGER: Duration = Duration::from_secs(2);
/// How often a thread that waits for the programme looks whether it is still wanted.
const LOOK: Duration = Duration::from_millis(200);

/// Which encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key {
    /// How samples are written.
    pub encoding: Encoding,
    /// At which rate.
    pub scale: Scale,
}

impl Key {
    /// Stable name, such as `frames/json/1`.
    pub fn name(self) -> String {
        format!("frames/{}/{}", self.encoding.as_str(), self.scale.value())
    }
}

/// What an entry tells, for those who must know more than its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// A block.
    Block {
        /// Its number.
        number: u64,
        /// Position of its first frame.
        position: u64,
        /// Captured frames it stands for.
        frames: u64,
        /// When its first frame was captured, on the monotonic clock.
        mono_ns: i64,
    },
    /// A hole that everybody has.
    Gap(Gap),
    /// A change of state.
    State(StateMark),
}

/// An entry of a rendition: a whole event, encoded once, shared by all who listen.
#[derive(Debug, Clone)]
pub struct Packet {
    epoch: u64,
    /// What it tells.
    pub told: Told,
    /// The event.
    pub event: Event,
}

impl Extent for Packet {
    fn span(&self) -> u64 {
        if let Told::Block { frames, .. } = self.told { frames } else { 0 }
    }

    fn bytes(&self) -> usize {
        self.event.length()
    }

    fn epoch(&self) -> u64 {
        self.epoch
    }
}

/// Figures of a running rendition.
#[derive(Debug)]
pub struct Running {
    /// Which.
    pub key: Key,
    /// Since when, milliseconds since the epoch.
    pub since_ms: u64,
    log: Log<Packet>,
    listeners: AtomicU64,
    bytes: AtomicU64,
    /// When the newest listener left.
    left: Mutex<Instant>,
}

impl Running {
    /// Listeners now.
    pub fn listeners(&self) -> u64 {
        self.listeners.load(Ordering::Relaxed)
    }

    /// Entries written.
    pub fn entries(&self) -> u64 {
        self.log.written()
    }

    /// Bytes written.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    fn is_wanted(&self) -> bool {
        self.listeners() > 0 || lock(&self.left).elapsed() < LINGER
    }
}

/// A listener's hold on a rendition.
#[derive(Debug)]
pub struct Subscription {
    /// The listener's place.
    pub cursor: Cursor<Packet>,
    running: Arc<Running>,
}

impl Drop for Subscription {
    fn drop(&mut self) {
        *lock(&self.running.left) = Instant::now();
        self.running.listeners.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What all renditions are made from.
#[derive(Debug, Clone)]
pub struct Material {
    /// The programme.
    pub programme: Log<Quantum>,
    /// Monotonic to wall time.
    pub wall: Arc<WallClock>,
    /// Frames per second.
    pub sample_rate: u32,
    /// Frames of a block.
    pub block_frames: u32,
    /// The captured channels that are shown.
    pub channels: (usize, usize),
}

/// The running renditions.
#[derive(Debug, Default)]
pub struct Renditions {
    running: Arc<Mutex<HashMap<Key, Arc<Running>>>>,
    material: std::sync::OnceLock<Material>,
    threads: Crew,
}

impl Renditions {
    /// Gives them what they are made from; once, before the doors open.
    pub fn provide(&self, material: Material) {
        // A second programme does not exist.
        let _ = self.material.set(material);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Arc<Running>>> {
        lock(&self.running)
    }

    /// Listens from now on, starting the encoding if it does not run.
    ///
    /// # Errors
    /// The daemon is not ready, or the system gives no thread.
    pub fn subscribe(&self, key: Key) -> Result<Subscription> {
        let material = self.material()?;
        let mut map = self.lock();
        let running = match map.get(&key) {
            Some(running) => running.clone(),
            None => {
                let running = self.start(key, material)?;
                map.insert(key, running.clone());
                running
            }
        };
        // Under the lock of the map, so that the thread does not end in between.
        running.listeners.fetch_add(1, Ordering::Relaxed);
        let cursor = running.log.from_now();
        Ok(Subscription { cursor, running })
    }

    /// From a block in the past on, for one listener alone.
    ///
    /// # Errors
    /// The daemon is not ready.
    pub fn replay(&self, key: Key, block: u64) -> Result<Replay> {
        Ok(Replay::from_block(key, self.material()?, block))
    }

    /// From a moment of the monotonic clock on, for one listener alone.
    ///
    /// # Errors
    /// The daemon is not ready.
    pub fn replay_since(&self, key: Key, mono_ns: i64) -> Result<Replay> {
        Ok(Replay::since(key, self.material()?, mono_ns))
    }

    fn material(&self) -> Result<&Material> {
        self.material.get().ok_or_else(|| Error::new(Kind::Unavailable, "there is no programme yet"))
    }

    fn start(&self, key: Key, material: &Material) -> Result<Arc<Running>> {
        let per_second = u64::from(material.sample_rate / material.block_frames.max(1)) + 1;
        let limits = Limits {
            // Twice the blocks leave room for gaps and states.
            entries: usize::try_from(2 * BACKLOG_S * per_second).unwrap_or(usize::MAX),
            span: BACKLOG_S * u64::from(material.sample_rate),
            bytes: BACKLOG_BYTES,
        };
        let (writer, log) = spread_log(limits);
        let running = Arc::new(Running {
            key,
            since_ms: material.wall.now_ms(),
            log,
            listeners: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            left: Mutex::new(Instant::now()),
        });
        let encode = Encode {
            programme: material.programme.clone(),
            encoder: Encoder::new(key, material),
            writer,
            running: running.clone(),
            all: self.running.clone(),
        };
        let name = format!("encode-{}-{}", key.encoding.as_str(), key.scale.factor());
        self.threads.start(&name, move || encode.run())?;
        tracing::info!(event = "rendition_started", rendition = key.name(), "encoding started");
        Ok(running)
    }

    /// Withdraws what was encoded before the epoch, and refuses what still will be.
    pub fn begin_epoch(&self, epoch: u64) {
        self.lock().values().for_each(|running| running.log.begin_epoch(epoch));
    }

    /// Those that run now, by name.
    pub fn list(&self) -> Vec<Arc<Running>> {
        let mut list: Vec<_> = self.lock().values().cloned().collect();
        list.sort_by_key(|running| running.key.name());
        list
    }

    /// Waits for the threads to end; the programme's writer must be gone.
    pub fn join(&self) {
        self.threads.join();
    }
}

/// Blocks of the programme to packets of one encoding. Pure but for the wall clock it is given.
#[derive(Debug)]
pub struct Encoder {
    wall: Arc<WallClock>,
    assembler: Assembler,
    reducer: Reducer,
    frames: FrameEncoder,
}

impl Encoder {
    /// For this encoding of this programme.
    pub fn new(key: Key, material: &Material) -> Self {
        let (a, b) = material.channels;
        let factor = key.scale.factor();
        Self {
            wall: material.wall.clone(),
            assembler: Assembler::new(material.block_frames, a, b),
            reducer: Reducer::new(factor as usize),
            frames: FrameEncoder::new(key.encoding, material.sample_rate, factor),
        }
    }

    /// Captured frames on each side of a block that its encoding depends on.
    pub fn reach(key: Key) -> u64 {
        Reducer::new(key.scale.factor() as usize).reach()
    }

    /// Takes the next quantum; `emit` gets what is complete.
    pub fn push(&mut self, quantum: &Quantum, mut emit: impl FnMut(Packet)) {
        let Self { wall, assembler, reducer, frames } = self;
        assembler.push(quantum, |item| reducer.push(item, |item| emit(encode(frames, wall, item))));
    }

    /// Quanta were dropped before they were read: begin anew at the next block.
    pub fn interrupt(&mut self) {
        self.assembler.interrupt();
    }
}

/// The work of one rendition's thread.
struct Encode {
    programme: Log<Quantum>,
    encoder: Encoder,
    writer: Writer<Packet>,
    running: Arc<Running>,
    all: Arc<Mutex<HashMap<Key, Arc<Running>>>>,
}

impl Encode {
    fn run(mut self) {
        // From the block that is being filled: the first listener hears of it as soon as it is whole.
        let begins_block = |q: &Quantum| q.offset == 0 && matches!(q.payload, Payload::Sound { .. });
        let mut programme = self.programme.from_newest(begins_block);
        loop {
            match programme.next_within(LOOK) {
                Some(Next::Entry(quantum)) => self.take(&quantum),
                Some(Next::Missed(entries)) => {
                    // Ten seconds behind: the machine is drowned. Listeners see the numbers jump.
                    let rendition = self.running.key.name();
                    tracing::warn!(event = "rendition_late", rendition, entries, "encoding fell behind");
                    self.encoder.interrupt();
                }
                Some(Next::Closed) => break,
                None => {}
            }
            if !self.running.is_wanted() && self.leave() {
                break;
            }
        }
        tracing::info!(event = "rendition_stopped", rendition = self.running.key.name(), "encoding stopped");
    }

    /// Takes itself off the list unless somebody came in the meantime.
    fn leave(&self) -> bool {
        let mut map = lock(&self.all);
        if self.running.is_wanted() {
            return false;
        }
        map.remove(&self.running.key);
        true
    }

    fn take(&mut self, quantum: &Quantum) {
        let Self { encoder, writer, running, .. } = self;
        encoder.push(quantum, |packet| {
            running.bytes.fetch_add(packet.event.length() as u64, Ordering::Relaxed);
            writer.append(packet);
        });
    }
}

fn encode(encoder: &FrameEncoder, wall: &WallClock, item: Item) -> Packet {
    let Item { epoch, unit } = item;
    match unit {
        Unit::Block(block) => {
            let id = format!("frame-{}", block.number);
            let event = sse::event("audio-frame", Some(&id), &encoder.block(&block, wall));
            let Block { number, position, mono_ns, captured: frames, .. } = block;
            Packet { epoch, told: Told::Block { number, position, frames, mono_ns }, event }
        }
        Unit::Gap(gap) => Packet { epoch, event: gap_event(&gap, wall), told: Told::Gap(gap) },
        Unit::State(mark) => Packet { epoch, event: state_event(&mark), told: Told::State(mark) },
    }
}

/// A `gap` event.
pub fn gap_event(gap: &Gap, wall: &WallClock) -> Event {
    sse::event("gap", None, frames::gap(gap, wall).as_bytes())
}

/// A `state` event.
pub fn state_event(mark: &StateMark) -> Event {
    sse::event("state", None, frames::state(mark).as_bytes())
}

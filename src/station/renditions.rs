//! Running encodings of the programme for those who are told of its gaps and states. Each is one thread
//! that reads the programme's log and writes its own; it runs while somebody listens and a little longer,
//! and two listeners never cause two.
//!
//! Not in here: what the encodings are (`frames`, `packets`), and those for players, who know sound
//! alone (`live`).

use std::collections::HashMap;
use std::fmt::Debug;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use crate::audio::Quantum;
use crate::error::{Error, Kind, Result};
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

/// Says which encoding.
pub trait Recipe: Copy + Eq + Hash + Debug + Send + Sync + 'static {
    /// What it makes of the programme.
    type Entry: Extent + Clone + Debug + Send + 'static;
    /// What a listener has to know before the first entry.
    type About: Clone + Debug + Send + Sync;
    /// What makes it.
    type Encoder: Encode<Entry = Self::Entry, About = Self::About>;

    /// Stable name, such as `frames/json/1`.
    fn name(self) -> String;
    /// Name of its thread.
    fn thread_name(self) -> String;
    /// Entries in a second while sound flows, at most.
    fn entries_per_second(self, material: &Material) -> u64;
    /// Whether it may begin with a quantum.
    fn may_begin(quantum: &Quantum) -> bool;
    /// What makes it.
    ///
    /// # Errors
    /// The encoding cannot be.
    fn encoder(self, material: &Material) -> Result<Self::Encoder>;
}

/// Makes entries of quanta.
pub trait Encode: Send + 'static {
    /// What it makes.
    type Entry;
    /// What it tells of them beforehand.
    type About;

    /// The same.
    fn about(&self) -> Self::About;

    /// Takes the next quantum; `emit` gets what is complete.
    ///
    /// # Errors
    /// The codec failed.
    fn push(&mut self, quantum: &Quantum, emit: &mut dyn FnMut(Self::Entry)) -> Result<()>;

    /// Quanta were dropped before they were read: begins anew.
    ///
    /// # Errors
    /// The codec cannot be set up again.
    fn interrupt(&mut self) -> Result<()>;
}

/// A running rendition.
#[derive(Debug)]
pub struct Running<R: Recipe> {
    /// Which.
    pub recipe: R,
    /// Since when, milliseconds since the epoch.
    pub since_ms: u64,
    /// What a listener has to know before the first entry.
    pub about: R::About,
    log: Log<R::Entry>,
    listeners: AtomicU64,
    bytes: AtomicU64,
    /// When the newest listener left.
    left: Mutex<Instant>,
}

impl<R: Recipe> Running<R> {
    /// What the snapshot tells of it.
    pub fn describe(&self) -> talas_wire::Rendition {
        talas_wire::Rendition {
            name: self.recipe.name(),
            listeners: self.listeners.load(Ordering::Relaxed),
            entries: self.log.written(),
            bytes: self.bytes.load(Ordering::Relaxed),
            since_ms: self.since_ms,
        }
    }

    fn is_wanted(&self) -> bool {
        self.listeners.load(Ordering::Relaxed) > 0 || lock(&self.left).elapsed() < LINGER
    }
}

/// A listener's hold on a rendition.
#[derive(Debug)]
pub struct Subscription<R: Recipe> {
    /// The listener's place.
    pub cursor: Cursor<R::Entry>,
    /// What it listens to.
    pub running: Arc<Running<R>>,
}

impl<R: Recipe> Drop for Subscription<R> {
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
    /// Captured channels that were asked for.
    pub channels: u16,
    /// Frames of a block.
    pub block_frames: u32,
    /// The captured channels that the frame API shows.
    pub shown: (usize, usize),
}

type Map<R> = Arc<Mutex<HashMap<R, Arc<Running<R>>>>>;

/// The running renditions of one kind.
#[derive(Debug)]
pub struct Renditions<R: Recipe> {
    running: Map<R>,
    material: OnceLock<Material>,
    threads: Crew,
}

impl<R: Recipe> Default for Renditions<R> {
    fn default() -> Self {
        Self { running: Arc::default(), material: OnceLock::new(), threads: Crew::default() }
    }
}

impl<R: Recipe> Renditions<R> {
    /// Gives them what they are made from; once, before the doors open.
    pub fn provide(&self, material: Material) {
        // A second programme does not exist.
        let _ = self.material.set(material);
    }

    /// Listens from now on, starting the encoding if it does not run.
    ///
    /// # Errors
    /// The daemon is not ready, the encoding cannot be, or the system gives no thread.
    pub fn subscribe(&self, recipe: R) -> Result<Subscription<R>> {
        let material = self.material()?;
        let mut map = lock(&self.running);
        let running = match map.get(&recipe) {
            Some(running) => running.clone(),
            None => {
                let running = self.start(recipe, material)?;
                map.insert(recipe, running.clone());
                running
            }
        };
        // Under the lock of the map, so that the thread does not end in between.
        running.listeners.fetch_add(1, Ordering::Relaxed);
        let cursor = running.log.from_now();
        Ok(Subscription { cursor, running })
    }

    /// What they are made from.
    ///
    /// # Errors
    /// [`Kind::Unavailable`] before there is a programme.
    pub fn material(&self) -> Result<&Material> {
        self.material.get().ok_or_else(|| Error::new(Kind::Unavailable, "there is no programme yet"))
    }

    fn start(&self, recipe: R, material: &Material) -> Result<Arc<Running<R>>> {
        let limits = Limits {
            // Twice as many leave room for gaps and states.
            entries: usize::try_from(2 * BACKLOG_S * recipe.entries_per_second(material))
                .unwrap_or(usize::MAX),
            span: BACKLOG_S * u64::from(material.sample_rate),
            bytes: BACKLOG_BYTES,
        };
        let encoder = recipe.encoder(material)?;
        let (writer, log) = spread_log(limits);
        let running = Arc::new(Running {
            recipe,
            since_ms: material.wall.now_ms(),
            about: encoder.about(),
            log,
            listeners: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            left: Mutex::new(Instant::now()),
        });
        let programme = material.programme.from_newest(R::may_begin);
        let work = Work { programme, encoder, writer, running: running.clone(), all: self.running.clone() };
        self.threads.start(&recipe.thread_name(), move || work.run())?;
        tracing::info!(event = "rendition_started", rendition = recipe.name(), "encoding started");
        Ok(running)
    }

    /// Withdraws what was encoded before the epoch, and refuses what still will be.
    pub fn begin_epoch(&self, epoch: u64) {
        lock(&self.running).values().for_each(|running| running.log.begin_epoch(epoch));
    }

    /// What the snapshot tells of those that run now, by name.
    pub fn list(&self) -> Vec<talas_wire::Rendition> {
        let mut list: Vec<_> = lock(&self.running).values().map(|running| running.describe()).collect();
        list.sort_by(|one, other| one.name.cmp(&other.name));
        list
    }

    /// Waits for the threads to end; the programme's writer must be gone.
    pub fn join(&self) {
        self.threads.join();
    }
}

/// The work of one rendition's thread.
struct Work<R: Recipe> {
    programme: Cursor<Quantum>,
    encoder: R::Encoder,
    writer: Writer<R::Entry>,
    running: Arc<Running<R>>,
    all: Map<R>,
}

impl<R: Recipe> Work<R> {
    fn run(mut self) {
        let rendition = self.running.recipe.name();
        if let Err(error) = self.encode(&rendition) {
            let reason = error.chain();
            tracing::error!(event = "rendition_failed", rendition, reason, "encoding failed");
            // So that whoever comes starts it anew.
            lock(&self.all).remove(&self.running.recipe);
        }
        tracing::info!(event = "rendition_stopped", rendition, "encoding stopped");
    }

    /// Until nobody listens any more, or the programme ends.
    fn encode(&mut self, rendition: &str) -> Result<()> {
        loop {
            match self.programme.next_within(LOOK) {
                Some(Next::Entry(quantum)) => self.take(&quantum)?,
                Some(Next::Missed(entries)) => {
                    // Ten seconds behind: the machine is drowned. Listeners see the numbers jump.
                    tracing::warn!(event = "rendition_late", rendition, entries, "encoding fell behind");
                    self.encoder.interrupt()?;
                }
                Some(Next::Closed) => return Ok(()),
                None => {}
            }
            if !self.running.is_wanted() && self.leave() {
                return Ok(());
            }
        }
    }

    /// Takes itself off the list unless somebody came in the meantime.
    fn leave(&self) -> bool {
        let mut map = lock(&self.all);
        if self.running.is_wanted() {
            return false;
        }
        map.remove(&self.running.recipe);
        true
    }

    fn take(&mut self, quantum: &Quantum) -> Result<()> {
        let Self { encoder, writer, running, .. } = self;
        encoder.push(quantum, &mut |entry| {
            running.bytes.fetch_add(entry.bytes() as u64, Ordering::Relaxed);
            writer.append(entry);
        })
    }
}

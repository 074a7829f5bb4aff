//! A running rendition for players: one thread that reads the programme, makes packets of it, and appends
//! them to two logs: in groups, for those who want a cheap and steady stream, and one by one, for those who
//! want to hear it soonest. The second is only written while somebody reads it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::group::{Group, Grouper};
use super::line::{Coded, Line, Recipe};
use super::profile::Suffix;
use super::running::Map;
use super::titles::Titles;
use crate::audio::Quantum;
use crate::codec::EncoderSettings;
use crate::error::Result;
use crate::mux::container::muxer;
use crate::tools::clock;
use crate::tools::lock::lock;
use crate::tools::spread::{Cursor, Limits, Log, Next, Writer, spread_log};

/// How often a thread that waits for the programme looks whether it is still wanted.
const LOOK: Duration = Duration::from_millis(200);
/// The most memory that the entries of one log may hold.
const LOG_BYTES: usize = 32 << 20;
/// Packets of the quick log at most: of the shortest packets, 2.5 ms long, ten seconds.
const LOG_PACKETS: usize = 4096;

/// Which rendition.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// Name of the profile.
    pub profile: Arc<str>,
    /// Codec and container.
    pub suffix: Suffix,
}

impl Key {
    /// Stable name, such as `live/high.mp3`.
    pub fn name(&self) -> String {
        format!("live/{}.{}", self.profile, self.suffix.as_str())
    }
}

/// How packets come to a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cadence {
    /// Several at once: least work for all.
    Grouped,
    /// Each by itself, as soon as it is made.
    Prompt,
    /// Several at once, and every title begins a stream of its own. In Ogg only.
    Chained,
}

/// What a rendition is made with.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Which.
    pub key: Key,
    /// How.
    pub recipe: Recipe,
    /// Length of a group.
    pub flush: Duration,
    /// What a new listener may get of the past.
    pub burst: Duration,
    /// How far a listener may fall behind.
    pub lag: Duration,
    /// How long it goes on when nobody listens.
    pub idle: Duration,
}

/// A log of a rendition, as its listeners see it.
#[derive(Debug)]
struct Outlet {
    head: Bytes,
    log: Log<Group>,
    readers: AtomicU64,
}

/// A running rendition.
#[derive(Debug)]
pub struct Running {
    /// What it is made with.
    pub plan: Plan,
    /// Since when, milliseconds since the epoch.
    pub since_ms: u64,
    packet_frames: u64,
    grouped: Outlet,
    prompt: Outlet,
    chained: Outlet,
    bytes: AtomicU64,
    packets: AtomicU64,
    /// When the newest listener left.
    left: Mutex<Instant>,
}

impl Running {
    fn outlet(&self, cadence: Cadence) -> &Outlet {
        match cadence {
            Cadence::Grouped => &self.grouped,
            Cadence::Prompt => &self.prompt,
            Cadence::Chained => &self.chained,
        }
    }

    /// Listeners now.
    pub fn listeners(&self) -> u64 {
        let outlets = [&self.grouped, &self.prompt, &self.chained];
        outlets.iter().map(|outlet| outlet.readers.load(Ordering::Relaxed)).sum()
    }

    /// Packets made.
    pub fn packets(&self) -> u64 {
        self.packets.load(Ordering::Relaxed)
    }

    /// Bytes made, counted once however many listen.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// The encoding.
    pub fn encoding(&self) -> &EncoderSettings {
        &self.plan.recipe.encoding
    }

    /// About how many bytes a listener gets in a second.
    pub fn bytes_per_second(&self) -> u32 {
        let encoding = self.encoding();
        match encoding.bit_depth {
            // As much as without any packing.
            Some(bits) => encoding.sample_rate * u32::from(encoding.channels) * u32::from(bits) / 8,
            None => encoding.bitrate() * 1000 / 8,
        }
    }

    /// Length of a packet in frames of the programme.
    pub fn packet_frames(&self) -> u64 {
        self.packet_frames
    }

    /// Withdraws what was encoded before the epoch, and refuses what still will be.
    pub fn begin_epoch(&self, epoch: u64) {
        self.grouped.log.begin_epoch(epoch);
        self.prompt.log.begin_epoch(epoch);
        self.chained.log.begin_epoch(epoch);
    }

    fn is_wanted(&self) -> bool {
        self.listeners() > 0 || lock(&self.left).elapsed() < self.plan.idle
    }

    /// Listens.
    pub fn subscribe(self: &Arc<Self>, cadence: Cadence) -> Subscription {
        self.outlet(cadence).readers.fetch_add(1, Ordering::Relaxed);
        Subscription { running: self.clone(), cadence }
    }
}

/// A listener's hold on a rendition.
#[derive(Debug)]
pub struct Subscription {
    /// What it listens to.
    pub running: Arc<Running>,
    cadence: Cadence,
}

impl Subscription {
    /// What comes before the first group.
    pub fn head(&self) -> Bytes {
        self.running.outlet(self.cadence).head.clone()
    }

    /// The groups.
    pub fn log(&self) -> &Log<Group> {
        &self.running.outlet(self.cadence).log
    }

    /// How packets come.
    pub fn cadence(&self) -> Cadence {
        self.cadence
    }

    /// The place in its log where one who has heard another rendition up to this group can go on: where a
    /// group begins that stands where this one does, and is a clean start.
    pub fn meeting(&self, group: &Group) -> Option<u64> {
        let near = self.running.packet_frames() / 2;
        let number = self.log().number_of(|other| other.position + near >= group.position)?;
        match self.log().read(&mut number.clone())? {
            Next::Entry(other) if other.position <= group.position + near && other.clean_start => {
                Some(number)
            }
            _ => None,
        }
    }

    /// Where a new listener begins: at a clean start, so far in the past as the burst reaches.
    pub fn begin(&self) -> Cursor<Group> {
        let log = self.log();
        if self.cadence == Cadence::Prompt {
            return log.from_now();
        }
        let Plan { burst, recipe, .. } = &self.running.plan;
        let frames = u64::try_from(burst.as_millis()).unwrap_or(0) * u64::from(recipe.capture_rate) / 1000;
        let newest = log.find_newest(|_| true).map_or(0, |group| group.end);
        log.from_first(|group| group.end + frames > newest)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        *lock(&self.running.left) = Instant::now();
        self.running.outlet(self.cadence).readers.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The work of one rendition's thread.
pub struct Encode {
    programme: Log<Quantum>,
    titles: Arc<Titles>,
    line: Line,
    grouped: (Grouper, Writer<Group>),
    prompt: (Grouper, Writer<Group>),
    /// Where the container knows chains.
    chained: Option<(Grouper, Writer<Group>)>,
    running: Arc<Running>,
    all: Map,
}

impl Encode {
    /// A rendition at rest.
    ///
    /// # Errors
    /// The encoding cannot be.
    pub fn new(
        plan: Plan,
        since_ms: u64,
        programme: Log<Quantum>,
        titles: Arc<Titles>,
        all: Map,
    ) -> Result<Self> {
        let line = Line::new(plan.recipe.clone())?;
        let format = line.format();
        let container = plan.key.suffix.container();
        let span = |time: Duration| {
            u64::try_from(time.as_millis()).unwrap_or(0) * u64::from(format.sample_rate) / 1000
        };
        let grouper = |frames: u64| {
            muxer(container, format).map(|muxer| Grouper::new(muxer, frames, format.frame_samples))
        };
        let (grouped, prompt) = (grouper(span(plan.flush))?, grouper(1)?);
        let kept = (plan.lag.max(plan.burst) + plan.flush).as_millis();
        let kept = u64::try_from(kept).unwrap_or(u64::MAX) * u64::from(plan.recipe.capture_rate) / 1000;
        let limits = Limits { entries: LOG_PACKETS, span: kept, bytes: LOG_BYTES };
        let (writer, log) = spread_log(limits);
        let (prompt_writer, prompt_log) = spread_log(limits);
        let (chained_writer, chained_log) = spread_log(limits);
        let can_be_chained = plan.key.suffix.can_be_chained();
        let chained = can_be_chained.then(|| (Grouper::chained(format, span(plan.flush)), chained_writer));
        let outlet =
            |grouper: &Grouper, log| Outlet { head: grouper.head(), log, readers: AtomicU64::new(0) };
        let running = Arc::new(Running {
            since_ms,
            packet_frames: u64::from(format.frame_samples.max(1)) * u64::from(plan.recipe.capture_rate)
                / u64::from(format.sample_rate.max(1)),
            grouped: outlet(&grouped, log),
            prompt: outlet(&prompt, prompt_log),
            // There the head comes with the sound.
            chained: Outlet { head: Bytes::new(), log: chained_log, readers: AtomicU64::new(0) },
            bytes: AtomicU64::new(0),
            packets: AtomicU64::new(0),
            left: Mutex::new(Instant::now()),
            plan,
        });
        let (grouped, prompt) = ((grouped, writer), (prompt, prompt_writer));
        Ok(Self { programme, titles, line, grouped, prompt, chained, running, all })
    }

    /// What its listeners hold.
    pub fn running(&self) -> &Arc<Running> {
        &self.running
    }

    /// Runs until nobody wants it any more or the programme ends.
    pub fn run(mut self) {
        // So far in the past that the first listener has its burst at once.
        let past = self.running.plan.burst + self.running.plan.flush;
        let since_ns = clock::mono_ns() - i64::try_from(past.as_nanos()).unwrap_or(0);
        let mut programme = self.programme.from_first(|quantum| quantum.mono_ns >= since_ns);
        let name = self.running.plan.key.name();
        // Only then is a packet prompt.
        let mut is_caught_up = false;
        loop {
            let next = programme.try_next().or_else(|| {
                is_caught_up = true;
                programme.next_within(LOOK)
            });
            match next {
                Some(Next::Entry(quantum)) => {
                    if let Err(error) = self.take(&quantum, is_caught_up) {
                        tracing::error!(
                            event = "rendition_failed",
                            rendition = name,
                            reason = error.chain(),
                            "encoding failed"
                        );
                        self.withdraw();
                        break;
                    }
                }
                Some(Next::Missed(entries)) => {
                    // Ten seconds behind: the machine is drowned. Listeners hear a jump.
                    tracing::warn!(
                        event = "rendition_late",
                        rendition = name,
                        entries,
                        "encoding fell behind"
                    );
                }
                Some(Next::Closed) => break,
                None => {}
            }
            if !self.running.is_wanted() && self.leave() {
                break;
            }
        }
        tracing::info!(event = "rendition_stopped", rendition = name, "encoding stopped");
    }

    /// Takes itself off the list unless somebody came in the meantime.
    fn leave(&self) -> bool {
        let mut map = lock(&self.all);
        if self.running.is_wanted() {
            return false;
        }
        map.remove(&self.running);
        true
    }

    /// Takes itself off the list, so that whoever comes starts it anew.
    fn withdraw(&self) {
        lock(&self.all).remove(&self.running);
    }

    fn take(&mut self, quantum: &Quantum, is_caught_up: bool) -> Result<()> {
        let Self { line, grouped, prompt, chained, running, titles, .. } = self;
        let is_prompt_read = is_caught_up && running.prompt.readers.load(Ordering::Relaxed) > 0;
        let delivered = grouped.0.delivered();
        line.push(quantum, delivered, &mut |coded| {
            running.packets.fetch_add(1, Ordering::Relaxed);
            running.bytes.fetch_add(coded.packet.bytes.len() as u64, Ordering::Relaxed);
            if is_prompt_read {
                append(prompt, &coded, titles);
            }
            if let Some(chained) = chained {
                append(chained, &coded, titles);
            }
            append(grouped, &coded, titles);
        })
    }
}

fn append((grouper, writer): &mut (Grouper, Writer<Group>), coded: &Coded, titles: &Titles) {
    if let Some(group) = grouper.push(coded, |position| titles.at(position)) {
        // One of an epoch that is over is refused, as it should be.
        writer.append(group);
    }
}

//! The station: the running pipeline from the source to the renditions, its controls, and the one
//! snapshot that describes it. The doors hold a [`Station`]; everything behind it is threads and atomics.
//!
//! In here: keeping the source open (`keeper`), the programme (`programme`, pure; `pump`, its thread),
//! renditions, listeners, figures. Not in here: protocols, configuration, the life of the process.

mod controls;
mod diagnosis;
mod frames;
mod health;
mod history;
mod keeper;
mod listeners;
mod listening;
pub mod live;
mod measures;
mod memory;
pub mod packets;
mod performance;
mod process;
pub mod processing;
mod processor;
mod programme;
mod pump;
pub mod push;
mod quality;
mod rates;
mod renditions;
mod replay;
mod resume;
mod shared;
mod snapshot;
mod tls;
mod totals;

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, OnceLock, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sys::eventfd::{EfdFlags, EventFd};
use tokio::sync::watch;

pub use controls::Scale;
pub use frames::{Key, Packet, Subscription, Told, gap_event, state_event};
pub use health::Health;
pub use listeners::{Arrival, Listener, Registered, Reset, Stream};
pub use listening::Heard;
pub use measures::{GapCount, Measures, SoundStreams, Streams};
pub use process::Process;
pub use quality::{meters, spectrogram_column};
pub use replay::Replay;
pub use resume::{LastEvent, Resumed};
pub use snapshot::{PAGE, redact};

use crate::audio::StateMark;
use crate::capture::{self, Counters, Lane, ToneControl};
use crate::dsp::analysis;
use crate::error::{Error, Kind, Result};
use crate::keys::Gate;
use crate::tools::clock::WallClock;
use crate::tools::lock::lock;
use crate::tools::ring;
use crate::tools::stop::Stop;
use keeper::Keeper;
use listeners::Listeners;
use live::Live;
use memory::Memory;
use processing::Processing;
use programme::Shape;
use pump::Pump;
use push::Pushes;
use rates::Rates;
use renditions::{Material, Renditions};
use shared::Shared;

/// What the ring holds: the pump may be held up for so long before captured sound is dropped.
const RING_S: usize = 2;
/// How long a start waits for a source that is required.
const REQUIRED_WAIT: Duration = Duration::from_secs(5);

/// A handle on the running pipeline.
#[derive(Debug)]
pub struct Station {
    shared: Arc<Shared>,
    live: Arc<Live>,
    pushes: Pushes,
    rates: Rates,
    performance: performance::Performance,
    memory: Memory,
    /// Why the newest wish to pause or resume could not be written down.
    unsaved: Mutex<Option<String>>,
    state_dir: PathBuf,
    config_warnings: Vec<String>,
    /// URLs of the HTTP door.
    addresses: OnceLock<Vec<String>>,
    /// How it is guarded.
    gate: OnceLock<Arc<Gate>>,
    /// Asked for what its TLS is like; unset where it has none.
    tls: OnceLock<tls::Describe>,
    bell: Arc<EventFd>,
    /// What the operators' wishes wait for one after the other, so that memory and programme agree.
    pausing: tokio::sync::Mutex<()>,
}

/// What is built and not yet started.
pub struct Parts {
    pump: Pump,
    keeper: Keeper,
    first: mpsc::Receiver<Result<()>>,
}

/// The station's threads.
#[derive(Debug)]
pub struct Threads {
    pump: JoinHandle<()>,
    keeper: JoinHandle<()>,
}

impl Station {
    /// Builds the pipeline; starts nothing.
    ///
    /// # Errors
    /// The process is out of descriptors.
    pub fn build(
        settings: &capture::Settings,
        live: live::Settings,
        effects: &processing::Settings,
        state_dir: &Path,
        config_warnings: Vec<String>,
    ) -> Result<(Arc<Self>, Parts)> {
        let bell = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)
            .map_err(|error| Error::caused(Kind::Internal, "cannot make an eventfd", error))?;
        let bell = Arc::new(bell);
        let (source, tone) = capture::source(settings);
        // A failure shows in the status, and with a reason when something is to be remembered.
        let _ = std::fs::create_dir_all(state_dir);
        let memory = Memory::new(state_dir);
        let remembered = memory.read();
        let live = Arc::new(Live::new(live, remembered.profile.as_deref()));
        let processing = Processing::new(effects, settings.sample_rate, settings.channels);
        let shared = Arc::new(share(settings, source.as_ref(), tone, processing, &remembered));
        let period_frames = capture::period_frames(settings);
        let shape =
            Shape { sample_rate: settings.sample_rate, block_frames: settings.block_frames, period_frames };
        let (writer, reader) = make_ring(settings, period_frames);
        let lane = Lane::new(writer, settings.sample_rate, shared.counters.clone(), bell.clone());
        let (pump, programme) = Pump::new(reader, bell.clone(), shape, shared.clone(), live.clone());
        live.provide(live::Material {
            programme: programme.clone(),
            wall: shared.wall.clone(),
            sample_rate: settings.sample_rate,
        });
        let material = Material {
            programme,
            wall: shared.wall.clone(),
            sample_rate: settings.sample_rate,
            channels: settings.channels,
            block_frames: settings.block_frames,
            shown: (settings.channel_a.into(), settings.channel_b.into()),
        };
        shared.packets.provide(material.clone());
        shared.renditions.provide(material);
        let (told, first) = mpsc::channel();
        let keeper = Keeper::new(source, lane, shared.clone(), bell.clone(), told);
        let pushes = Pushes::new(live.clone(), shared.wall.clone());
        let station = Self {
            shared,
            live,
            pushes,
            rates: Rates::default(),
            performance: performance::Performance::default(),
            memory,
            unsaved: Mutex::new(None),
            state_dir: state_dir.to_owned(),
            config_warnings,
            addresses: OnceLock::new(),
            gate: OnceLock::new(),
            tls: OnceLock::new(),
            bell,
            pausing: tokio::sync::Mutex::new(()),
        };
        Ok((Arc::new(station), Parts { pump, keeper, first }))
    }

    /// Says where the HTTP door listens; once, when it is bound.
    pub fn set_addresses(&self, urls: Vec<String>) {
        // A second door does not exist.
        let _ = self.addresses.set(urls);
    }

    /// Says who guards the HTTP door; once, when it is bound.
    pub fn set_gate(&self, gate: Arc<Gate>) {
        // As there is one door, there is one gate.
        let _ = self.gate.set(gate);
    }

    /// State of the programme.
    pub fn state(&self) -> StateMark {
        self.shared.state.get()
    }

    /// Follows the state of the programme.
    pub fn health(&self) -> &Health {
        &self.shared.state
    }

    /// Monotonic to wall time.
    pub fn wall(&self) -> &WallClock {
        &self.shared.wall
    }

    /// Blocks a second while sound flows without holes.
    pub fn blocks_per_second(&self) -> f64 {
        let settings = &self.shared.settings;
        f64::from(settings.sample_rate) / f64::from(settings.block_frames)
    }

    /// Length of so many captured frames, in nanoseconds.
    pub fn duration_ns(&self, frames: u64) -> i64 {
        crate::audio::duration_ns(frames, self.shared.settings.sample_rate)
    }

    /// Samples a second that a frame of two channels has at full quality.
    pub fn samples_per_second(&self) -> f64 {
        2.0 * f64::from(self.shared.settings.sample_rate)
    }

    /// Follows the levels.
    pub fn watch_meters(&self) -> watch::Receiver<Arc<Heard>> {
        self.shared.hearing.meters.subscribe()
    }

    /// Follows what is measured: once a second, and whenever a condition begins or ends.
    pub fn watch_heard(&self) -> watch::Receiver<Arc<Heard>> {
        self.shared.hearing.quality.subscribe()
    }

    /// Measures from now on as these say.
    pub fn apply_analysis(&self, settings: analysis::Settings) {
        self.shared.hearing.settings.store(Arc::new(settings));
    }

    /// Pauses or resumes. On return it is in force: after a pause nothing captured goes anywhere. Returns
    /// a warning when it will not outlive a restart.
    ///
    /// # Errors
    /// [`Kind::Unavailable`] when the programme does not follow in time.
    pub async fn pause(self: &Arc<Self>, paused: bool) -> Result<Option<String>> {
        // A client that leaves takes its request with it, and memory and programme must not part over that.
        let station = self.clone();
        let carried_out = tokio::spawn(async move { station.carry_out_pause(paused).await });
        carried_out.await.unwrap_or_else(|_| Err(Error::new(Kind::Unavailable, "the daemon is stopping")))
    }

    async fn carry_out_pause(self: &Arc<Self>, paused: bool) -> Result<Option<String>> {
        let _turn = self.pausing.lock().await;
        let station = self.clone();
        // First the memory: a crash in between must not open a paused microphone.
        let remembered = tokio::task::spawn_blocking(move || station.remember(paused)).await;
        let warning = match remembered {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.chain()),
            Err(_) => Some("the daemon is stopping".to_owned()),
        };
        if let Some(reason) = &warning {
            tracing::warn!(event = "state_not_saved", reason, "pause will not survive a restart");
        }
        lock(&self.unsaved).clone_from(&warning);
        self.shared.controls.pause(paused, || self.ring()).await?;
        let event = if paused { "programme_paused" } else { "programme_resumed" };
        tracing::info!(event, "{}", if paused { "paused" } else { "resumed" });
        Ok(warning.map(|reason| format!("this will not survive a restart: {reason}")))
    }

    /// Writes down what must outlive a restart. Blocks until it is on the disk.
    fn remember(&self, paused: bool) -> Result<()> {
        let next_block = self.shared.blocks.load(std::sync::atomic::Ordering::Relaxed);
        let profile = Some(self.live.chosen().to_string());
        self.memory.write(&memory::Remembered { paused, next_block, profile })
    }

    /// The last word before the end, when the pump has stopped.
    pub fn remember_end(&self) {
        if let Err(error) = self.remember(self.shared.controls.wants_pause()) {
            tracing::warn!(event = "state_not_saved", reason = error.chain(), "the state cannot be written");
        }
    }

    /// What players listen to.
    pub fn live(&self) -> &Live {
        &self.live
    }

    /// Chooses the profile of players that do not ask for one, and the rate of frames that it stands for, if
    /// it stands for one. Returns a warning when it will not outlive a restart.
    ///
    /// # Errors
    /// [`Kind::NotFound`] for a profile that does not exist.
    pub async fn choose_profile(self: &Arc<Self>, name: &str) -> Result<Option<String>> {
        let _turn = self.pausing.lock().await;
        self.live.choose(name)?;
        if let Ok(scale) = Scale::of_profile(name) {
            self.shared.controls.set_quality(scale);
        }
        tracing::info!(event = "profile_chosen", profile = name, "profile chosen");
        let station = self.clone();
        let paused = self.shared.controls.wants_pause();
        let remembered = tokio::task::spawn_blocking(move || station.remember(paused)).await;
        let error = remembered.ok().and_then(Result::err);
        Ok(error.map(|error| format!("this will not survive a restart: {}", error.chain())))
    }

    /// Changes the global quality.
    pub fn set_quality(&self, scale: Scale) {
        self.shared.controls.set_quality(scale);
        tracing::info!(event = "quality_changed", scale = scale.value(), "quality changed");
    }

    /// The global quality.
    pub fn scale(&self) -> Scale {
        self.shared.controls.quality()
    }

    /// Follows the global quality.
    pub fn watch_quality(&self) -> watch::Receiver<Scale> {
        self.shared.controls.watch_quality()
    }

    /// The effects of the programme.
    pub fn processing(&self) -> &Processing {
        &self.shared.processing
    }

    /// Listens to live frames from now on.
    ///
    /// # Errors
    /// The system gives no thread for the encoding.
    pub fn subscribe(&self, key: Key) -> Result<Subscription> {
        self.shared.renditions.subscribe(key)
    }

    /// Puts a listener on the list; `None` when there are `most` already (0 is no limit).
    pub fn register(&self, arrival: Arrival<'_>, most: u32) -> Option<Registered> {
        self.shared.listeners.register(arrival, most)
    }

    /// Resets the connection of a listener.
    ///
    /// # Errors
    /// [`Kind::Invalid`] for an id that is none, [`Kind::NotFound`] when nobody has it.
    pub fn kick(&self, id: &str) -> Result<()> {
        let wrong = |_| Error::new(Kind::Invalid, format!("{id:?} is no connection id"));
        let uuid = id.parse::<uuid::Uuid>().map_err(wrong)?;
        if !self.shared.listeners.kick(uuid) {
            return Err(Error::new(Kind::NotFound, format!("there is no connection {uuid}")));
        }
        tracing::info!(event = "listener_kicked", connection = %uuid, "listener kicked");
        Ok(())
    }

    /// Listeners of live frames now.
    pub fn listener_count(&self) -> u64 {
        self.shared.listeners.count()
    }

    /// Open HTTP connections, for the door to count.
    pub fn http_connections(&self) -> &AtomicU64 {
        &self.shared.listeners.connections
    }

    /// The tone, if it is the source.
    ///
    /// # Errors
    /// [`Kind::Conflict`] when it is not.
    pub fn tone(&self) -> Result<&ToneControl> {
        self.shared.tone.as_deref().ok_or_else(|| {
            Error::new(Kind::Conflict, "the source is no tone: set [capture.tone] to rehearse faults")
        })
    }

    /// The ALSA device in use, if there is one.
    pub fn alsa_device(&self) -> Option<&str> {
        match &self.shared.settings.source {
            capture::settings::SourceSettings::Alsa(alsa) => Some(&alsa.device),
            _ => None,
        }
    }

    /// Once a second: clocks and figures.
    pub fn housekeep(&self) {
        self.shared.wall.refresh();
        self.rates.sample(&self.shared);
        self.performance.sample(&self.shared);
    }

    /// The loops that must turn, and how long ago each did, in nanoseconds. A loop at rest has turned just now.
    pub fn pulses(&self, now_ns: i64) -> [(&'static str, i64); 3] {
        let shared = &self.shared;
        [
            ("capture", shared.counters.pulse.age_ns(now_ns)),
            ("keeper", shared.keeper_pulse.age_ns(now_ns)),
            ("pump", shared.pump_pulse.age_ns(now_ns)),
        ]
    }

    fn ring(&self) {
        // Fails only when the counter is full, and then the pump is awake anyway.
        let _ = self.bell.write(1);
    }

    /// Servers that are fed.
    pub fn pushes(&self) -> &Pushes {
        &self.pushes
    }

    /// Waits for the encodings and for what they are sent to to end, after the other threads did.
    pub fn join_renditions(&self) {
        self.shared.renditions.join();
        self.shared.packets.join();
        self.pushes.join();
        self.live.join();
    }
}

impl Parts {
    /// Starts the threads.
    ///
    /// # Errors
    /// The system gives no thread, or the source is required and cannot be had ([`Kind::Required`]).
    pub fn spawn(self, station: &Station, stop: &Stop) -> Result<Threads> {
        let pump = self.pump.spawn(stop.clone())?;
        let keeper = self.keeper.spawn(stop.clone())?;
        if station.shared.settings.required {
            keeper::require(&self.first, &station.shared.source_name, REQUIRED_WAIT)?;
        }
        Ok(Threads { pump, keeper })
    }
}

impl Threads {
    /// Waits for both; the stop signal must have been given.
    pub fn join(self) {
        // A panic in either has ended the process by now.
        let _ = self.keeper.join();
        let _ = self.pump.join();
    }
}

fn make_ring(
    settings: &capture::Settings,
    period_frames: u32,
) -> (ring::RingWriter<capture::Stamp>, ring::RingReader<capture::Stamp>) {
    let rate = settings.sample_rate as usize;
    // A device may have more channels than were asked for; then the ring holds less time.
    let samples = RING_S * rate * usize::from(settings.channels).max(2);
    let chunks = RING_S * rate / period_frames.max(1) as usize * 4;
    ring::ring(samples, chunks.max(64))
}

fn share(
    settings: &capture::Settings,
    source: &dyn capture::Source,
    tone: Option<Arc<ToneControl>>,
    processing: Processing,
    remembered: &memory::Remembered,
) -> Shared {
    let wall = Arc::new(WallClock::new());
    let now_ms = wall.now_ms();
    // By the clock, so that numbers go on across a restart, and by how much, even after a crash.
    let by_clock = now_ms * u64::from(settings.sample_rate) / 1000 / u64::from(settings.block_frames.max(1));
    let first_block = remembered.next_block.max(by_clock);
    Shared {
        settings: settings.clone(),
        source_kind: source.kind(),
        source_name: source.name(),
        tone,
        wall,
        started: Instant::now(),
        started_ms: now_ms,
        state: Health::new(now_ms),
        source_state: Health::new(now_ms),
        counters: Arc::new(Counters::new()),
        granted: Mutex::new(None),
        gaps: shared::Gaps::default(),
        last_error: Mutex::new(None),
        blocks: AtomicU64::new(first_block),
        history: history::History::new(settings.block_frames, first_block),
        hearing: listening::Hearing::new(analysis::Settings::default()),
        controls: controls::Controls::new(remembered.paused),
        processing,
        renditions: Renditions::default(),
        packets: Renditions::default(),
        listeners: Arc::new(Listeners::default()),
        pump_pulse: crate::tools::pulse::Pulse::resting(),
        keeper_pulse: crate::tools::pulse::Pulse::resting(),
    }
}

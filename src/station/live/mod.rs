//! Live listening for players: the programme in the codecs that they know, by profile.
//!
//! In here: profiles and what each becomes in each codec, renditions (started by their first listener,
//! stopped when nobody has listened for a while), titles. Whoever wants to listen gets a [`Subscription`]: a
//! log of groups, and where to begin in it. Not in here: HTTP, sockets, and who listens.

mod chain;
mod group;
mod line;
mod presets;
mod profile;
mod rendition;
mod running;
#[cfg(test)]
mod tests;
mod titles;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;

pub use chain::Link;
pub use group::Group;
pub use presets::built_in;
pub use profile::{FIRST, Profile, Profiles, Suffix};
pub use rendition::{Cadence, Key, Running, Subscription};
pub use titles::Title;

use crate::audio::Quantum;
use crate::error::{Error, Kind, Result};
use crate::tools::burst::Burst;
use crate::tools::clock::{self, WallClock};
use crate::tools::lock::lock;
use crate::tools::spread::Log;
use crate::tools::tasks::Crew;
use line::Recipe;
use rendition::{Encode, Plan};
use running::Map;
use titles::Titles;

/// `[live]` and `[profile.NAME]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// What players show as the station's name.
    pub name: String,
    /// Sound that a listener gets with one write.
    pub flush: Duration,
    /// Sound of the past that a listener gets at once.
    pub burst: Duration,
    /// A listener that has fallen so far behind is cut.
    pub lag: Duration,
    /// How long a rendition goes on when nobody listens.
    pub idle: Duration,
    /// Whether sound is dithered before it is rounded to whole numbers.
    pub dither: bool,
    /// The profiles, by name.
    pub profiles: Profiles,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            name: "Talas".to_owned(),
            flush: Duration::from_millis(160),
            burst: Duration::from_millis(1000),
            lag: Duration::from_secs(10),
            idle: Duration::from_secs(10),
            dither: true,
            profiles: built_in(),
        }
    }
}

/// What renditions are made from.
#[derive(Debug)]
pub struct Material {
    /// The programme.
    pub programme: Log<Quantum>,
    /// Monotonic to wall time.
    pub wall: Arc<WallClock>,
    /// Frames per second.
    pub sample_rate: u32,
}

/// Everything about live listening.
#[derive(Debug)]
pub struct Live {
    settings: ArcSwap<Settings>,
    /// The profile of those who do not ask for one.
    chosen: Mutex<Arc<str>>,
    /// Counts changes of it, and of what profiles are.
    changes: AtomicU64,
    titles: Arc<Titles>,
    title_lines: Mutex<Burst>,
    running: Map,
    material: OnceLock<Material>,
    threads: Crew,
}

impl Live {
    /// Nothing runs. `chosen` is the profile that was chosen before the daemon was restarted, if it was.
    pub fn new(settings: Settings, chosen: Option<&str>) -> Self {
        let known = chosen.filter(|name| settings.profiles.contains_key(*name));
        if let (Some(profile), None) = (chosen, known) {
            tracing::warn!(event = "profile_gone", profile, "the chosen profile is not configured any more");
        }
        Self {
            chosen: Mutex::new(known.unwrap_or(FIRST).into()),
            settings: ArcSwap::from_pointee(settings),
            changes: AtomicU64::new(0),
            titles: Arc::default(),
            title_lines: Mutex::default(),
            running: Map::default(),
            material: OnceLock::new(),
            threads: Crew::default(),
        }
    }

    /// Gives renditions what they are made from; once, before the doors open.
    pub fn provide(&self, material: Material) {
        // A second programme does not exist.
        let _ = self.material.set(material);
    }

    /// `[live]` and the profiles.
    pub fn settings(&self) -> Arc<Settings> {
        self.settings.load_full()
    }

    /// Takes on other settings. Renditions that are made in another way now go on for those who listen, until
    /// these have gone over to the new ones; who comes gets the new ones.
    pub fn apply(&self, settings: Settings) {
        let is_gone = !settings.profiles.contains_key(&*self.chosen());
        self.settings.store(Arc::new(settings));
        if is_gone {
            let profile = std::mem::replace(&mut *lock(&self.chosen), FIRST.into());
            tracing::warn!(event = "profile_gone", %profile, "the chosen profile is not configured any more");
        }
        let Some(material) = self.material.get() else { return };
        let renewed =
            lock(&self.running).retire(|plan| self.plan(&plan.key, material).ok().as_ref() != Some(plan));
        if renewed > 0 || is_gone {
            self.changes.fetch_add(1, Ordering::Release);
        }
    }

    /// The profile of those who do not ask for one.
    pub fn chosen(&self) -> Arc<str> {
        lock(&self.chosen).clone()
    }

    /// How often another profile was chosen, or one became another: who listens looks here.
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// Chooses the profile of those who do not ask for one.
    ///
    /// # Errors
    /// [`Kind::NotFound`] for one that does not exist.
    pub fn choose(&self, profile: &str) -> Result<()> {
        self.profile(profile)?;
        let mut chosen = lock(&self.chosen);
        if **chosen != *profile {
            *chosen = profile.into();
            self.changes.fetch_add(1, Ordering::Release);
        }
        Ok(())
    }

    /// A profile.
    ///
    /// # Errors
    /// [`Kind::NotFound`], naming those there are.
    pub fn profile(&self, name: &str) -> Result<Profile> {
        let settings = self.settings.load();
        settings.profiles.get(name).cloned().ok_or_else(|| {
            let names: Vec<&str> = settings.profiles.keys().map(String::as_str).collect();
            let shown: String = name.chars().take(40).collect();
            Error::new(Kind::NotFound, format!("no profile {shown:?}: there are {}", names.join(", ")))
        })
    }

    /// The key of a profile, or of the chosen one, in a codec.
    ///
    /// # Errors
    /// [`Kind::NotFound`] for a profile that does not exist.
    pub fn key(&self, profile: Option<&str>, suffix: Suffix) -> Result<Key> {
        let profile = match profile {
            Some(name) => self.profile(name).map(|_| name.into())?,
            None => self.chosen(),
        };
        Ok(Key { profile, suffix })
    }

    /// Listens to a rendition, starting it if it does not run.
    ///
    /// # Errors
    /// The profile does not exist, its container knows no chains, the daemon is not ready, or the system gives
    /// no thread.
    pub fn subscribe(&self, key: &Key, cadence: Cadence) -> Result<Subscription> {
        if cadence == Cadence::Chained && !key.suffix.can_be_chained() {
            return Err(Error::new(Kind::Invalid, "only .opus, .ogg and .oga are chained"));
        }
        let material = self.material.get();
        let material = material.ok_or_else(|| Error::new(Kind::Unavailable, "there is no programme yet"))?;
        let mut map = lock(&self.running);
        // Under the lock of the map, so that the thread does not end in between.
        if let Some(running) = map.get(key) {
            return Ok(running.subscribe(cadence));
        }
        let running = self.start(key, material)?;
        map.insert(running.clone());
        Ok(running.subscribe(cadence))
    }

    /// What a listener should go over to, if it can: another rendition whose packets can follow those of its
    /// own. That is one of the chosen profile for those who follow it, else of the same profile, which may have
    /// become another.
    pub fn successor(&self, now: &Subscription, follows: Option<Suffix>) -> Option<Subscription> {
        let old = &now.running;
        let key = match follows {
            Some(suffix) => self.key(None, suffix).ok()?,
            None => old.plan.key.clone(),
        };
        let (encoding, before) =
            (self.profile(&key.profile).ok()?.encoding_in(key.suffix.codec()), old.encoding());
        let is_alike = (encoding.sample_rate, encoding.channels, encoding.bit_depth, encoding.aac_profile)
            == (before.sample_rate, before.channels, before.bit_depth, before.aac_profile);
        let is_other = key != old.plan.key || !self.is_current(old);
        let can_follow = key.suffix.can_be_spliced() && is_alike && is_other;
        // Without a thread for the new encoding the listener keeps what it has.
        can_follow.then(|| self.subscribe(&key, now.cadence()).ok()).flatten()
    }

    /// Whether whoever comes would get this one.
    pub fn is_current(&self, running: &Arc<Running>) -> bool {
        lock(&self.running).get(&running.plan.key).is_some_and(|current| Arc::ptr_eq(current, running))
    }

    fn plan(&self, key: &Key, material: &Material) -> Result<Plan> {
        let profile = self.profile(&key.profile)?;
        let Settings { flush, burst, lag, idle, dither, .. } = **self.settings.load();
        let rate = material.sample_rate;
        let recipe = Recipe {
            capture_rate: rate,
            // What stands in the configuration fits; what is built in may be too high for a slow card.
            effects: profile
                .all_effects()
                .into_iter()
                .filter(|effect| effect.check(rate).is_empty())
                .collect(),
            dither,
            encoding: profile.encoding_in(key.suffix.codec()),
        };
        Ok(Plan { key: key.clone(), recipe, flush, burst, lag, idle })
    }

    fn start(&self, key: &Key, material: &Material) -> Result<Arc<Running>> {
        let plan = self.plan(key, material)?;
        let encode = Encode::new(
            plan,
            material.wall.now_ms(),
            material.programme.clone(),
            self.titles.clone(),
            self.running.clone(),
        )?;
        let running = encode.running().clone();
        let name = format!("encode-{}-{}", key.suffix.as_str(), key.profile);
        self.threads.start(&name, move || encode.run())?;
        tracing::info!(event = "rendition_started", rendition = key.name(), "encoding started");
        Ok(running)
    }

    /// Withdraws what was encoded before the epoch, and refuses what still will be.
    pub fn begin_epoch(&self, epoch: u64) {
        lock(&self.running).all().for_each(|running| running.begin_epoch(epoch));
    }

    /// Those that run now, by name.
    pub fn list(&self) -> Vec<Arc<Running>> {
        let mut list: Vec<_> = lock(&self.running).all().cloned().collect();
        list.sort_by(|one, other| one.plan.key.cmp(&other.plan.key));
        list
    }

    /// The sound that is captured from now on has this title; empty for none.
    ///
    /// # Errors
    /// [`Kind::Invalid`] for one that is too long or has control characters.
    pub fn set_title(&self, title: &str) -> Result<()> {
        let newest = self.material.get().and_then(|material| material.programme.find_newest(|_| true));
        let position = newest.map_or(0, |quantum| quantum.position + quantum.frames);
        self.titles.set(title, position)?;
        let (mut lines, now_ns) = (lock(&self.title_lines), clock::mono_ns());
        if let Some(sum) = lines.due(now_ns) {
            tracing::info!(event = "titles_changed", count = sum.count, "the title changed often");
        }
        if lines.happened(1, now_ns) {
            tracing::info!(event = "title_changed", title = self.title(), "title changed");
        }
        Ok(())
    }

    /// The title of the sound that is captured now.
    pub fn title(&self) -> String {
        self.titles.newest()
    }

    /// Waits for the threads to end; the programme's writer must be gone.
    pub fn join(&self) {
        self.threads.join();
    }
}

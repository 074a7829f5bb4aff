//! The library: the audio files below the configured directories, listed under stable names.
//!
//! In here: walking the directories, the listing with its short cache, opening a track by its id. A path
//! never comes from outside: an id is looked up in the listing, and the kernel holds the way from there
//! beneath the directory (see `root`). Not in here: tags, durations, covers, a database.

mod kept;
mod root;
mod scan;
mod settings;
mod track;

use std::collections::HashMap;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as URL_SAFE_NO_PAD;
use tokio::sync::Mutex;

pub use root::Opened;
pub use settings::Settings;
pub use track::{NoTrackId, Track, TrackId};

use crate::error::{Error, Kind, Result};
use kept::KeptFiles;
use scan::Walk;

/// How long a listing is taken for true at least.
const FRESH: Duration = Duration::from_secs(2);
/// A walk that took long is not repeated soon: at most one part in so many of a disk's time goes into it.
const REST: u32 = 20;

/// The library.
#[derive(Debug)]
pub struct Library {
    settings: ArcSwap<Settings>,
    listing: ArcSwap<Listing>,
    /// Held while walking: whoever asks meanwhile waits for that walk instead of starting another.
    walking: Mutex<()>,
    kept: Arc<KeptFiles>,
}

/// All tracks at a moment.
#[derive(Debug)]
pub struct Listing {
    /// In the order of their places.
    tracks: Vec<Arc<Track>>,
    by_id: HashMap<TrackId, Arc<Track>>,
    /// Configured directories that could not be opened, and whether a bound was reached: what was told.
    complaints: Vec<String>,
    stale_at: Instant,
    /// The settings it was made by.
    of: Arc<Settings>,
}

impl Library {
    /// A library that has not been looked at yet.
    pub fn new(settings: Settings) -> Self {
        let settings = Arc::new(settings);
        let none = Listing {
            tracks: Vec::new(),
            by_id: HashMap::new(),
            complaints: Vec::new(),
            stale_at: Instant::now(),
            of: settings.clone(),
        };
        Self {
            settings: ArcSwap::new(settings),
            listing: ArcSwap::from_pointee(none),
            walking: Mutex::new(()),
            kept: Arc::default(),
        }
    }

    /// Puts other directories into force; the next request sees them.
    pub fn apply(&self, settings: Settings) {
        self.settings.store(Arc::new(settings));
    }

    /// The tracks, from a listing of the last seconds.
    pub async fn listing(self: &Arc<Self>) -> Arc<Listing> {
        if let Some(listing) = self.fresh() {
            return listing;
        }
        let _walking = self.walking.lock().await;
        if let Some(listing) = self.fresh() {
            return listing;
        }
        let (settings, before) = (self.settings.load_full(), self.listing.load_full());
        match tokio::task::spawn_blocking(move || Listing::make(settings, &before)).await {
            Ok(listing) => {
                let listing = Arc::new(listing);
                self.listing.store(listing.clone());
                listing
            }
            // The runtime is shutting down: what is known will do.
            Err(_) => self.listing.load_full(),
        }
    }

    fn fresh(&self) -> Option<Arc<Listing>> {
        let listing = self.listing.load_full();
        let is_current = Arc::ptr_eq(&listing.of, &self.settings.load());
        (is_current && Instant::now() < listing.stale_at).then_some(listing)
    }

    /// Opens a track by its id. What is opened is of now, not of the listing; a track that is not listed,
    /// or not where it was, is looked for in a fresh listing.
    ///
    /// # Errors
    /// [`Kind::NotFound`] where there is none, [`Kind::Denied`] where the daemon may not read it,
    /// [`Kind::Unavailable`] where it is out of descriptors.
    pub async fn open(self: &Arc<Self>, id: TrackId) -> Result<(Arc<Track>, Opened)> {
        let settings = self.settings.load_full();
        if let Some(found) = self.kept.find(id, &settings) {
            return Ok(found);
        }
        let (track, opened) = self.find(id, &settings).await?;
        self.kept.keep(&track, &opened, &settings);
        Ok((track, opened))
    }

    async fn find(self: &Arc<Self>, id: TrackId, settings: &Arc<Settings>) -> Result<(Arc<Track>, Opened)> {
        let known = self.listing.load_full();
        if let Some(track) = known.by_id.get(&id).filter(|_| Arc::ptr_eq(&known.of, settings)) {
            match open(track).await {
                Err(error) if error.kind() == Kind::NotFound => {}
                opened => return opened.map(|opened| (track.clone(), opened)),
            }
        }
        let listing = self.listing().await;
        let track = listing.by_id.get(&id).ok_or_else(no_track)?;
        Ok((track.clone(), open(track).await?))
    }
}

async fn open(track: &Arc<Track>) -> Result<Opened> {
    let opened = match root::open_file_cached(&track.dir, &track.path) {
        Ok(None) => {
            let track = track.clone();
            let opening = tokio::task::spawn_blocking(move || root::open_file(&track.dir, &track.path));
            opening.await.map_err(|error| Error::caused(Kind::Unavailable, "cannot open the track", error))?
        }
        Ok(Some(opened)) => Ok(opened),
        Err(error) => Err(error),
    };
    opened.map_err(|error| match error.raw_os_error() {
        Some(libc::EACCES | libc::EPERM) => Error::new(Kind::Denied, "the daemon may not read this track"),
        Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM) => {
            Error::caused(Kind::Unavailable, "cannot open the track", error)
        }
        Some(libc::EIO) => Error::caused(Kind::Internal, "cannot open a track", error),
        // Gone, a directory by now, or a link out: none of it is a track.
        _ => no_track(),
    })
}

fn no_track() -> Error {
    Error::new(Kind::NotFound, "there is no such track")
}

impl Listing {
    fn make(settings: Arc<Settings>, before: &Self) -> Self {
        let began = Instant::now();
        let mut walk = Walk::default();
        let mut complaints = Vec::new();
        for dir in &settings.dirs {
            if let Err(error) = walk.add(&Arc::from(dir.as_path())) {
                complaints.push(format!("{}: {error}", dir.display()));
            }
        }
        if walk.is_cut {
            complaints
                .push(format!("more than {} tracks, or too deep: some are left out", scan::MOST_TRACKS));
        }
        tell(&complaints, &before.complaints);
        let tracks = in_order(walk.tracks);
        let by_id = tracks.iter().map(|track| (track.id, track.clone())).collect();
        let stale_at = Instant::now() + FRESH.max(began.elapsed() * REST);
        Self { tracks, by_id, complaints, stale_at, of: settings }
    }

    /// How many tracks there are.
    pub fn total(&self) -> usize {
        self.tracks.len()
    }

    /// Up to `limit` tracks from a place on, and the place after them if there are more. A place is where
    /// a track stands in the order, whether or not that track is still there.
    pub fn page(&self, after: Option<&Place>, limit: usize) -> (&[Arc<Track>], Option<Place>) {
        let begin = after.map_or(0, |after| self.tracks.partition_point(|track| Place::of(track) <= *after));
        let end = begin.saturating_add(limit).min(self.tracks.len());
        let page = &self.tracks[begin..end];
        let next = page.last().filter(|_| end < self.tracks.len()).map(|track| Place::of(track));
        (page, next)
    }
}

/// Where a track stands in the order of a listing: by its path, and by its id where two directories have
/// the same.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    path: Vec<u8>,
    id: TrackId,
}

impl Place {
    /// Where a track stands.
    pub fn of(track: &Track) -> Self {
        Self { path: track.path.as_os_str().as_bytes().to_vec(), id: track.id }
    }

    /// The place as a word that goes into a URL.
    pub fn to_token(&self) -> String {
        URL_SAFE_NO_PAD.encode([self.id.as_bytes(), self.path.as_slice()].concat())
    }

    /// Reads such a word; `None` where it is none.
    pub fn from_token(token: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (id, path) = bytes.split_first_chunk()?;
        Some(Self { path: path.to_vec(), id: TrackId::from_bytes(*id) })
    }
}

fn in_order(tracks: Vec<Track>) -> Vec<Arc<Track>> {
    let mut tracks: Vec<Arc<Track>> = tracks.into_iter().map(Arc::new).collect();
    tracks.sort_by(|one, other| (one.path.as_os_str(), one.id).cmp(&(other.path.as_os_str(), other.id)));
    // A directory that is configured twice has its tracks once.
    tracks.dedup_by_key(|track| track.id);
    tracks
}

/// Tells what is wrong when it begins, not with every walk.
fn tell(complaints: &[String], told: &[String]) {
    for complaint in complaints.iter().filter(|complaint| !told.contains(complaint)) {
        tracing::warn!(event = "library_incomplete", reason = complaint, "the library is not complete");
    }
}

#[cfg(test)]
mod tests;

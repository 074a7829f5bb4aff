//! Files that were opened a moment ago: a player asks for one range after another, and each time the way
//! through the directories would cost as much as the answer.
//!
//! A file that was deleted or replaced is found out at once, by its count of names; one that was moved
//! away is served under its old name for as long as it is kept.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use super::root::Opened;
use super::settings::Settings;
use super::track::{Track, TrackId};
use crate::tools::lock::lock;

/// How long a file is kept.
const KEPT_FOR: Duration = Duration::from_secs(1);
/// Most files kept: descriptors, of which there may be no more than a thousand.
const MOST: usize = 128;

#[derive(Debug)]
struct Kept {
    track: Arc<Track>,
    opened: Opened,
    /// By which settings it was found.
    of: Arc<Settings>,
}

/// The files.
#[derive(Debug, Default)]
pub(super) struct KeptFiles {
    files: Mutex<HashMap<TrackId, Kept>>,
}

impl KeptFiles {
    /// A file that is kept and still there, found by these settings.
    pub(super) fn find(&self, id: TrackId, settings: &Arc<Settings>) -> Option<(Arc<Track>, Opened)> {
        let files = lock(&self.files);
        let kept = files.get(&id).filter(|kept| Arc::ptr_eq(&kept.of, settings))?;
        Some((kept.track.clone(), kept.opened.renewed()?))
    }

    /// Keeps a file for a moment.
    pub(super) fn keep(self: &Arc<Self>, track: &Arc<Track>, opened: &Opened, of: &Arc<Settings>) {
        let kept = Kept { track: track.clone(), opened: opened.clone(), of: of.clone() };
        let mut files = lock(&self.files);
        if files.len() >= MOST && !files.contains_key(&track.id) {
            return;
        }
        if files.insert(track.id, kept).is_none() {
            tokio::spawn(forget(Arc::downgrade(self), track.id));
        }
    }
}

async fn forget(files: Weak<KeptFiles>, id: TrackId) {
    tokio::time::sleep(KEPT_FOR).await;
    if let Some(files) = files.upgrade() {
        lock(&files.files).remove(&id);
    }
}

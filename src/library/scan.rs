//! Walking a directory of the library: which audio files are below it.
//!
//! Hidden files and directories are left out, and so is what a link leads out to. The walk is bounded in
//! depth, in tracks and in entries looked at, so that a directory of any shape costs a known time.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Dir, FileType, Stat};

use super::root::Root;
use super::track::{Track, TrackId, media_type};

/// Directories within directories.
const MOST_DEPTH: usize = 16;
/// Tracks of the whole library: what bounds the memory of a listing.
pub const MOST_TRACKS: usize = 100_000;
/// Entries of directories that one walk looks at.
const MOST_ENTRIES: usize = 1_000_000;

/// What a walk came to.
#[derive(Debug, Default)]
pub struct Walk {
    /// The tracks, in no order.
    pub tracks: Vec<Track>,
    /// A bound was reached: there may be more.
    pub is_cut: bool,
    entries: usize,
}

impl Walk {
    /// Adds the tracks below a directory. What cannot be read is left out: it could not be served either.
    ///
    /// # Errors
    /// The directory itself cannot be opened.
    pub fn add(&mut self, dir: &Arc<Path>) -> io::Result<()> {
        let root = Root::open(dir)?;
        let mut ahead = vec![(PathBuf::new(), 0)];
        while let Some((path, depth)) = ahead.pop() {
            for (name, kind) in self.entries_of(&root, &path) {
                let path = path.join(&name);
                match kind {
                    FileType::Directory if depth < MOST_DEPTH => ahead.push((path, depth + 1)),
                    FileType::Directory => self.is_cut = true,
                    FileType::RegularFile | FileType::Symlink => self.add_file(&root, dir, path, &name),
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// The visible entries of a directory. Read at once: a deep walk holds one descriptor.
    fn entries_of(&mut self, root: &Root, path: &Path) -> Vec<(OsString, FileType)> {
        let Ok(dir) = root.open_dir(path).and_then(|fd| Ok(Dir::new(fd)?)) else { return Vec::new() };
        let mut entries = Vec::new();
        for entry in dir.map_while(Result::ok) {
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name.as_bytes().starts_with(b".") {
                continue;
            }
            self.entries += 1;
            if self.entries > MOST_ENTRIES {
                self.is_cut = true;
                break;
            }
            let kind = match entry.file_type() {
                // Some file systems do not tell; then the attempt does.
                FileType::Unknown if root.open_dir(&path.join(name)).is_ok() => FileType::Directory,
                FileType::Unknown => FileType::RegularFile,
                kind => kind,
            };
            entries.push((name.to_owned(), kind));
        }
        entries
    }

    fn add_file(&mut self, root: &Root, dir: &Arc<Path>, path: PathBuf, name: &OsStr) {
        let Some(media_type) = media_type(name) else { return };
        let Ok(stat) = root.stat_file(&path) else { return };
        if self.tracks.len() >= MOST_TRACKS {
            self.is_cut = true;
            return;
        }
        self.tracks.push(Track {
            id: TrackId::new(dir, &path),
            path,
            dir: dir.clone(),
            media_type,
            size_bytes: u64::try_from(stat.st_size).unwrap_or(0),
            modified_ms: modified_ms(&stat),
        });
    }
}

fn modified_ms(stat: &Stat) -> i64 {
    let ms_of_second = i64::try_from(stat.st_mtime_nsec).unwrap_or(0) / 1_000_000;
    stat.st_mtime.saturating_mul(1000).saturating_add(ms_of_second)
}

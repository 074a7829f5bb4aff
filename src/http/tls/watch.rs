//! When files changed, or may have: the directories that they are in are watched, since files of keys are not written
//! but replaced. A new file is renamed over the old one, a link is set to another target (as certbot does), or a
//! link to their directory is (as Kubernetes does, by `..data`).
//!
//! A pair is two files, and between the first and the second it is none. So a change is told when the directories
//! have been quiet for a moment. Waiting blocks: this is for a thread that does nothing else.

use std::collections::BTreeSet;
use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

use crate::tools::stop::Stop;

/// How long the directories must be quiet, and how long that is waited for at most.
const QUIET: Duration = Duration::from_millis(300);
const PATIENCE: Duration = Duration::from_secs(5);

/// What can be a change: of a name, of what is in a file, or of who may read it.
const CHANGES: AddWatchFlags = AddWatchFlags::IN_CREATE
    .union(AddWatchFlags::IN_MOVED_TO)
    .union(AddWatchFlags::IN_CLOSE_WRITE)
    .union(AddWatchFlags::IN_ATTRIB)
    .union(AddWatchFlags::IN_DELETE)
    .union(AddWatchFlags::IN_ONLYDIR);

/// Watches some files.
pub struct Watch {
    files: Vec<PathBuf>,
    /// As they were when they were looked at last.
    stamps: Vec<Stamp>,
    /// `None` where the system has no watches left: then the regular look finds changes.
    events: Option<Inotify>,
}

/// What became of waiting.
#[derive(Debug, PartialEq, Eq)]
pub enum Turn {
    /// The files are others.
    Changed,
    /// They are as they were.
    Same,
    /// The daemon stops.
    Stopped,
}

/// What ended a wait.
#[derive(PartialEq, Eq)]
enum Wake {
    Event,
    Time,
    Stop,
}

/// What differs when a file is another one; `None` without a file.
type Stamp = Option<(u64, u64, u64, [i64; 4])>;

impl Watch {
    /// From now on.
    pub fn new<'a>(files: impl IntoIterator<Item = &'a PathBuf>) -> Self {
        let events = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK).ok();
        let files = files.into_iter().cloned().collect();
        let mut watch = Self { stamps: Vec::new(), files, events };
        watch.look();
        watch
    }

    /// Waits for a change, and not longer than this.
    pub fn turn(&mut self, stop: &Stop, longest: Duration) -> Turn {
        let mut wake = self.wait(stop, longest);
        let latest = Instant::now() + PATIENCE;
        while wake == Wake::Event && Instant::now() < latest {
            wake = self.wait(stop, QUIET);
        }
        match wake {
            Wake::Stop => Turn::Stopped,
            Wake::Event | Wake::Time if self.is_stale() => Turn::Changed,
            Wake::Event | Wake::Time => Turn::Same,
        }
    }

    /// Whether the files are others than when they were looked at last.
    fn is_stale(&mut self) -> bool {
        let before = std::mem::take(&mut self.stamps);
        self.look();
        before != self.stamps
    }

    /// Notes how the files are, and watches the directories where they are now.
    fn look(&mut self) {
        if let Some(events) = &self.events {
            for directory in self.files.iter().flat_map(|file| directories(file)) {
                // One that is not there shows when the one that it was in changes, or at the next look.
                let _ = events.add_watch(&directory, CHANGES);
            }
        }
        self.stamps = self.files.iter().map(|file| stamp(file)).collect();
    }

    /// Sleeps until something happens in one of the directories, the time is over or the daemon stops.
    fn wait(&self, stop: &Stop, longest: Duration) -> Wake {
        let mut fds = vec![PollFd::new(stop.as_fd(), PollFlags::POLLIN)];
        fds.extend(self.events.iter().map(|events| PollFd::new(events.as_fd(), PollFlags::POLLIN)));
        // A signal that comes in between makes one look more.
        let _ = poll(&mut fds, PollTimeout::try_from(longest).unwrap_or(PollTimeout::MAX));
        if stop.is_stopped() {
            return Wake::Stop;
        }
        // What happened is not asked: the files themselves say whether they are others.
        let happened = self.events.as_ref().is_some_and(|events| events.read_events().is_ok());
        if happened { Wake::Event } else { Wake::Time }
    }
}

/// The directories of a file and of all that the links to it lead to.
fn directories(file: &Path) -> BTreeSet<PathBuf> {
    /// The kernel follows no more.
    const MOST_LINKS: usize = 40;
    let mut found = BTreeSet::new();
    let mut at = file.to_owned();
    for _ in 0..MOST_LINKS {
        let Some(directory) = at.parent().map(Path::to_owned) else { break };
        let next = fs::read_link(&at).map(|target| directory.join(target));
        found.insert(directory);
        match next {
            Ok(next) => at = next,
            Err(_) => break,
        }
    }
    found.extend(fs::canonicalize(file).ok().and_then(|real| Some(real.parent()?.to_owned())));
    found
}

fn stamp(file: &Path) -> Stamp {
    let meta = fs::metadata(file).ok()?;
    let times = [meta.mtime(), meta.mtime_nsec(), meta.ctime(), meta.ctime_nsec()];
    Some((meta.dev(), meta.ino(), meta.size(), times))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::tools::stop;

    fn tells(watch: &mut Watch, stop: &Stop, what: &str, change: impl FnOnce()) {
        change();
        assert_eq!(watch.turn(stop, Duration::from_secs(10)), Turn::Changed, "{what}");
    }

    #[test]
    fn changes_are_told_however_they_are_made() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let (owner, stop) = stop::pair().expect("descriptors");
        let at = |name: &str| dir.path().join(name);
        let write = |name: &str, text: &str| fs::write(at(name), text).expect("written");
        write("plain.pem", "1");
        // As certbot does.
        fs::create_dir(at("archive")).expect("a folder");
        write("archive/1.pem", "1");
        symlink("archive/1.pem", at("live.pem")).expect("a link");
        // As Kubernetes does.
        for version in ["..1", "..2"] {
            fs::create_dir(at(version)).expect("a folder");
            write(&format!("{version}/tls.pem"), version);
        }
        symlink("..1", at("..data")).expect("a link");
        symlink("..data/tls.pem", at("tls.pem")).expect("a link");

        let mut watch = Watch::new(&[at("plain.pem"), at("live.pem"), at("tls.pem")]);
        tells(&mut watch, &stop, "written over", || write("plain.pem", "22"));
        tells(&mut watch, &stop, "renamed over", || {
            write("new", "333");
            fs::rename(at("new"), at("plain.pem")).expect("renamed");
        });
        tells(&mut watch, &stop, "another target", || {
            write("archive/2.pem", "22");
            symlink("archive/2.pem", at("live.new")).expect("a link");
            fs::rename(at("live.new"), at("live.pem")).expect("renamed");
        });
        tells(&mut watch, &stop, "the target itself", || write("archive/2.pem", "333"));
        tells(&mut watch, &stop, "another directory", || {
            symlink("..2", at("..data.new")).expect("a link");
            fs::rename(at("..data.new"), at("..data")).expect("renamed");
        });
        tells(&mut watch, &stop, "gone", || fs::remove_file(at("plain.pem")).expect("removed"));
        tells(&mut watch, &stop, "and back", || write("plain.pem", "1"));

        write("other", "1");
        assert_eq!(watch.turn(&stop, Duration::from_secs(10)), Turn::Same, "another file");
        drop(owner);
        assert_eq!(watch.turn(&stop, Duration::from_secs(10)), Turn::Stopped);
    }
}

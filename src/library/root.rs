//! One directory of the library, opened, and the only way to the files below it.
//!
//! It is opened for each use and not kept: a directory that is mounted, unmounted or exchanged meanwhile
//! is what its path says. From there the kernel resolves every path beneath it (`openat2`, Linux 5.6): neither `..` nor a
//! symbolic link nor a rename leads out of it. A link that stays inside is followed to a file, and to a directory never, so that no walk is endless.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, Stat, fstat, openat2};

use crate::tools::paged_file::PagedFile;

/// Opened without waiting for a writer of a FIFO, without becoming a terminal's owner.
const READ: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);
const BENEATH: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_MAGICLINKS);

/// A directory of the library.
#[derive(Debug)]
pub(super) struct Root(OwnedFd);

/// A file opened for reading.
#[derive(Debug, Clone)]
pub struct Opened {
    /// The file; a regular one. Others may read it too: it has no position of its own.
    pub file: Arc<PagedFile>,
    /// Its metadata at that moment.
    pub stat: Stat,
}

impl Opened {
    /// The file with its metadata of now; `None` once its last name is gone.
    pub(super) fn renewed(&self) -> Option<Self> {
        let stat = fstat(&**self.file).ok().filter(|stat| stat.st_nlink > 0)?;
        Some(Self { file: self.file.clone(), stat })
    }
}

impl Root {
    /// Opens a directory by its configured path. May wait for a disk.
    pub(super) fn open(dir: &Path) -> io::Result<Self> {
        Self::open_with(dir, ResolveFlags::empty())
    }

    fn open_with(dir: &Path, resolve: ResolveFlags) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self(openat2(CWD, dir, flags, Mode::empty(), resolve)?))
    }

    /// Opens a directory below it, reached without any symbolic link; the directory itself for `""`.
    pub(super) fn open_dir(&self, path: &Path) -> io::Result<OwnedFd> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(openat2(&self.0, path, flags, Mode::empty(), BENEATH | ResolveFlags::NO_SYMLINKS)?)
    }

    /// The metadata of a regular file below it, through links that stay inside.
    pub(super) fn stat_file(&self, path: &Path) -> io::Result<Stat> {
        let fd = openat2(&self.0, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), BENEATH)?;
        regular(fstat(fd)?)
    }

    fn open_file(&self, path: &Path, resolve: ResolveFlags) -> io::Result<Opened> {
        let fd = openat2(&self.0, path, READ, Mode::empty(), BENEATH | resolve)?;
        let stat = regular(fstat(&fd)?)?;
        Ok(Opened { file: Arc::new(File::from(fd).into()), stat })
    }
}

/// Opens a regular file below a directory. May wait for a disk.
///
/// # Errors
/// It is not there, is no regular file, may not be read, or the path leads out of the directory.
pub(super) fn open_file(dir: &Path, path: &Path) -> io::Result<Opened> {
    Root::open(dir)?.open_file(path, ResolveFlags::empty())
}

/// As [`open_file`], if that takes no disk: `Ok(None)` when it might.
pub(super) fn open_file_cached(dir: &Path, path: &Path) -> io::Result<Option<Opened>> {
    let cached = ResolveFlags::CACHED;
    match Root::open_with(dir, cached).and_then(|root| root.open_file(path, cached)) {
        // The directory entries are not all in memory, or the kernel is older than 5.12.
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::InvalidInput) => {
            Ok(None)
        }
        opened => opened.map(Some),
    }
}

fn regular(stat: Stat) -> io::Result<Stat> {
    if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile {
        return Ok(stat);
    }
    Err(io::Error::new(io::ErrorKind::NotFound, "not a regular file"))
}

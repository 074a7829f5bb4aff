//! What a file must still be while it is served: the one that the head of the answer described.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;

/// What was promised of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Promise {
    size: u64,
    modified: (i64, i64),
}

impl Promise {
    /// Of a file of `size` bytes that was last written at a time in seconds and nanoseconds.
    pub fn new(size: u64, modified: (i64, i64)) -> Self {
        Self { size, modified }
    }

    /// Of a file as it is now.
    #[cfg(test)]
    pub fn of(file: &File) -> io::Result<Self> {
        let now = file.metadata()?;
        Ok(Self::new(now.size(), (now.mtime(), now.mtime_nsec())))
    }

    /// Bytes of the file.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Whether the file is still the very same, for a new answer to say of it what an older one said. `changed` is
    /// when anything of it changed last, as known then.
    ///
    /// # Errors
    /// The file cannot be asked.
    pub fn is_kept(&self, file: &File, changed: (i64, i64)) -> io::Result<bool> {
        let now = file.metadata()?;
        Ok(now.nlink() > 0
            && now.size() == self.size
            && (now.mtime(), now.mtime_nsec()) == self.modified
            && (now.ctime(), now.ctime_nsec()) == changed)
    }

    /// Whether it still holds. A file that has only grown is the same as far as was promised.
    ///
    /// # Errors
    /// It does not, for the reason given.
    pub fn check(&self, file: &File) -> io::Result<()> {
        let now = file.metadata()?;
        let reason = if now.nlink() == 0 {
            "the file was replaced or deleted while it was served"
        } else if now.size() < self.size {
            return Err(Self::cut());
        } else if now.size() == self.size && (now.mtime(), now.mtime_nsec()) != self.modified {
            "the file was written to while it was served"
        } else {
            return Ok(());
        };
        Err(io::Error::other(reason))
    }

    /// The file ended before its time.
    pub fn cut() -> io::Error {
        io::Error::other("the file was truncated while it was served")
    }
}

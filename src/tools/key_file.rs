//! Files of keys, read with care: a secret that others may read is none, and what is no file blocks nobody.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use zeroize::Zeroizing;

use crate::error::{Error, Kind, Result};

/// Reads a secret whose mode has none of the `forbidden` bits, and which is root's or this user's.
///
/// # Errors
/// [`Kind::Config`] for a file that is missing, open to others, of a stranger, too long, or no file at all.
pub fn read_secret(path: &Path, forbidden: u32, most_bytes: usize) -> Result<Zeroizing<Vec<u8>>> {
    let (mut file, mode, owner) = open(path)?;
    let shown = path.display();
    if mode & forbidden != 0 {
        let message = format!("{shown} has mode {mode:04o}, so others may read the key: chmod 0600 {shown}");
        return Err(Error::new(Kind::Config, message));
    }
    if owner != 0 && owner != nix::unistd::geteuid().as_raw() {
        let message = format!("{shown} belongs to user {owner}, neither root nor the daemon's own");
        return Err(Error::new(Kind::Config, message));
    }
    read_all(&mut file, path, most_bytes)
}

/// Reads what is no secret.
///
/// # Errors
/// [`Kind::Config`] for a file that is missing, too long, or no file at all.
pub fn read(path: &Path, most_bytes: usize) -> Result<Zeroizing<Vec<u8>>> {
    let (mut file, ..) = open(path)?;
    read_all(&mut file, path, most_bytes)
}

/// Opens a file, with its mode and owner. What is no file is not opened for long: a pipe would block.
fn open(path: &Path) -> Result<(File, u32, u32)> {
    let shown = path.display();
    let failed = |error| Error::caused(Kind::Config, format!("cannot read {shown}"), error);
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path).map_err(failed)?;
    let meta = file.metadata().map_err(failed)?;
    if !meta.is_file() {
        return Err(Error::new(Kind::Config, format!("{shown} is no file, so there is no key in it")));
    }
    Ok((file, meta.mode() & 0o7777, meta.uid()))
}

fn read_all(file: &mut File, path: &Path, most_bytes: usize) -> Result<Zeroizing<Vec<u8>>> {
    // With room for all of it: a buffer that grows leaves copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(most_bytes + 1));
    let read = file.take(most_bytes as u64 + 1).read_to_end(&mut bytes);
    let shown = path.display();
    read.map_err(|error| Error::caused(Kind::Config, format!("cannot read {shown}"), error))?;
    if bytes.len() > most_bytes {
        return Err(Error::new(Kind::Config, format!("{shown} is longer than any key is")));
    }
    Ok(bytes)
}

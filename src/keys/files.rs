//! Files of secrets: keys and passwords, and public keys, read with care.

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::access::Key;
use crate::error::{Context, Result};
use crate::tools::key_file;

/// Longest key file: a PEM of RSA with 8192 bits has a fifth of it.
const MOST_BYTES: usize = 16 * 1024;
/// The systemd credential of the shared secret.
const CREDENTIAL: &str = "talasd.jwt";
/// The daemon's own secret, below the state directory.
const OWN: &str = "jwt.key";

/// A secret, and how its mode is judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretFile {
    path: PathBuf,
    /// Bits of the mode that nobody may have.
    forbidden: u32,
}

impl SecretFile {
    /// The secret: the configured file, else systemd's credential, else the daemon's own; each where it is.
    pub fn find(configured: Option<&Path>, state_dir: &Path) -> Option<Self> {
        if let Some(path) = configured {
            return Some(Self::at(path));
        }
        let own = Self::own(state_dir);
        Self::credential(CREDENTIAL).or_else(|| own.path.exists().then_some(own))
    }

    /// A file that somebody named.
    pub fn at(path: &Path) -> Self {
        Self { path: path.to_owned(), forbidden: 0o077 }
    }

    /// A credential of systemd, if it was given.
    pub fn credential(name: &str) -> Option<Self> {
        let path = Path::new(&std::env::var_os("CREDENTIALS_DIRECTORY")?).join(name);
        // systemd lets the service's user in by an access list, whose mask shows as the group's bits.
        path.exists().then_some(Self { path, forbidden: 0o037 })
    }

    /// The daemon's own secret.
    pub fn own(state_dir: &Path) -> Self {
        Self { path: state_dir.join(OWN), forbidden: 0o077 }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads it. A text without its last end of line; anything else as it is.
    ///
    /// # Errors
    /// [`Kind::Config`](crate::error::Kind::Config) for a file that is missing, open to others, of a stranger, or no
    /// file at all.
    pub fn read(&self) -> Result<Zeroizing<Vec<u8>>> {
        let mut bytes = key_file::read_secret(&self.path, self.forbidden, MOST_BYTES)?;
        let is_text = bytes.iter().all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace());
        while is_text && bytes.last().is_some_and(|last| matches!(last, b'\n' | b'\r')) {
            bytes.pop();
        }
        Ok(bytes)
    }
}

/// Reads a public key.
///
/// # Errors
/// [`Kind::Config`](crate::error::Kind::Config) for a file that is missing or holds something else.
pub fn public_key(path: &Path) -> Result<Key> {
    let pem = key_file::read(path, MOST_BYTES)?;
    Key::from_pem(&pem).context(|| format!("{} is no key to check tokens with", path.display()))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::error::Kind;

    fn file(mode: u32, content: &[u8]) -> (tempfile::TempDir, SecretFile) {
        let dir = tempfile::tempdir().expect("temporary folder");
        let path = dir.path().join("key");
        fs::write(&path, content).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("set");
        let found = SecretFile::find(Some(&path), dir.path()).expect("named");
        (dir, found)
    }

    #[test]
    fn a_secret_that_others_may_read_is_none() {
        for mode in [0o600, 0o400] {
            assert!(file(mode, b"secret").1.read().is_ok(), "{mode:o}");
        }
        for mode in [0o640, 0o604, 0o660, 0o644, 0o620, 0o601] {
            let (_dir, file) = file(mode, b"secret");
            let error = file.read().expect_err("open to others");
            assert_eq!(error.kind(), Kind::Config);
            assert!(error.message().contains("chmod 0600"), "{error}");
        }
    }

    #[test]
    fn a_text_ends_before_its_line_does_and_bytes_are_as_they_are() {
        let read = |content: &[u8]| file(0o600, content).1.read().expect("read").to_vec();
        assert_eq!(read(b"abc=\r\n"), b"abc=");
        assert_eq!(read(b"\x00\xff\n"), b"\x00\xff\n");
    }

    #[test]
    fn what_is_no_file_is_told_and_blocks_nobody() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let pipe = dir.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::from_bits_truncate(0o600)).expect("a pipe");
        for path in [pipe.as_path(), dir.path(), Path::new("/nonexistent/key"), Path::new("/dev/zero")] {
            let file = SecretFile::find(Some(path), dir.path()).expect("named");
            assert_eq!(file.read().expect_err("no file").kind(), Kind::Config, "{}", path.display());
        }
    }
}

//! What can be set of a push.

use std::path::{Path, PathBuf};

use super::target::Target;
use crate::error::{Error, Kind, Result};
use crate::keys::SecretFile;
use crate::station::live::{FIRST, Suffix};
use crate::tools::secret::Secret;

/// The systemd credential that has the password where the configuration says nothing of one.
pub const CREDENTIAL: &str = "talasd.push";
/// Longest password, in bytes.
pub const PASSWORD_BYTES: usize = 256;

/// `[[live.push]]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Where to; the one thing without a default.
    pub url: Option<Target>,
    /// Who sends.
    pub user: String,
    /// The password itself; empty for one that is elsewhere.
    pub password: Secret,
    /// A file with the password.
    pub password_file: Option<PathBuf>,
    /// The profile.
    pub profile: String,
    /// Codec and container.
    pub format: Suffix,
    /// What the server shows as the stream's name; empty for the station's.
    pub name: String,
    /// What it shows as a description.
    pub description: String,
    /// What it shows as the genre.
    pub genre: String,
    /// Whether the server may list the stream in a public directory.
    pub public: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            url: None,
            user: "source".to_owned(),
            password: Secret::default(),
            password_file: None,
            profile: FIRST.to_owned(),
            format: Suffix::Mp3,
            name: String::new(),
            description: String::new(),
            genre: String::new(),
            public: false,
        }
    }
}

impl Settings {
    /// The password: the one that is set, else that of the file, else systemd's credential. A file is read
    /// each time, so that a mended one counts at the next attempt.
    ///
    /// # Errors
    /// [`Kind::Config`] for a file that is missing, open to others or no text, or where nothing is set.
    pub fn find_password(&self) -> Result<Secret> {
        if !self.password.is_empty() {
            return Ok(self.password.clone());
        }
        let file = match self.password_file.as_deref() {
            Some(path) => SecretFile::at(path),
            None => SecretFile::credential(CREDENTIAL).ok_or_else(|| {
                let message = "there is no password: set `password_file` or `password`, or give systemd's \
                               credential talasd.push";
                Error::new(Kind::Config, message)
            })?,
        };
        let bytes = file.read()?;
        password_of(&bytes, file.path())
    }
}

fn password_of(bytes: &[u8], path: &Path) -> Result<Secret> {
    let wrong = |what: &str| Error::new(Kind::Config, format!("{} {what}", path.display()));
    let text = std::str::from_utf8(bytes).map_err(|_| wrong("holds no text"))?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() || text.len() > PASSWORD_BYTES || text.chars().any(char::is_control) {
        return Err(wrong("holds no password: one line of at most 256 bytes"));
    }
    Ok(Secret::new(text))
}

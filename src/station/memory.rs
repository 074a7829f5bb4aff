//! What the station remembers over a restart: whether it is paused, how far blocks were numbered, and the
//! profile that was chosen.
//!
//! On disk: `station.json` in the state directory, replaced whole; on a full disk, overwritten. A file
//! that cannot be read means paused: a broken disk must not open a microphone.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::tools::atomic_file;

/// What is remembered.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remembered {
    /// Whether the programme was paused.
    pub paused: bool,
    /// A number that no block has had yet.
    #[serde(default)]
    pub next_block: u64,
    /// The profile that was chosen for players that do not ask for one, if any was.
    #[serde(default)]
    pub profile: Option<String>,
}

/// The file.
#[derive(Debug)]
pub struct Memory {
    path: PathBuf,
}

impl Memory {
    /// In this state directory.
    pub fn new(state_dir: &Path) -> Self {
        Self { path: state_dir.join("station.json") }
    }

    /// What was written last; what cannot be read means paused.
    pub fn read(&self) -> Remembered {
        let text = match std::fs::read(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Remembered::default(),
            Err(error) => return self.broken(&error),
        };
        serde_json::from_slice(&text).unwrap_or_else(|error| self.broken(&error))
    }

    fn broken(&self, error: &dyn std::error::Error) -> Remembered {
        let file = self.path.display();
        tracing::warn!(event = "state_unreadable", %file, reason = %error, "the state file cannot be read: starting paused");
        Remembered { paused: true, ..Remembered::default() }
    }

    /// Remembers. Blocks until it is on the disk.
    ///
    /// # Errors
    /// The state directory cannot be written.
    pub fn write(&self, remembered: &Remembered) -> Result<()> {
        if let Some(folder) = self.path.parent() {
            // A failure shows again, with a better message, when the file is written.
            let _ = std::fs::create_dir_all(folder);
        }
        let text = serde_json::to_vec(remembered).unwrap_or_default();
        atomic_file::replace(&self.path, &text, 0o600)
            .or_else(|error| self.overwrite(&text).map_err(|_| error))
    }

    /// A full disk has no room for a second file, but for other words in the old one. Words cut short by a
    /// crash cannot be read, which means paused: that is never wrong the dangerous way.
    fn overwrite(&self, text: &[u8]) -> std::io::Result<()> {
        let mut file = OpenOptions::new().write(true).open(&self.path)?;
        file.write_all(text)?;
        file.set_len(text.len() as u64)?;
        file.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembers_and_when_in_doubt_is_paused() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let memory = Memory::new(&dir.path().join("talas"));
        assert_eq!(memory.read(), Remembered::default(), "nothing to remember yet");
        for remembered in [
            Remembered { paused: true, next_block: 7, profile: Some("low".to_owned()) },
            Remembered { next_block: 9, ..Remembered::default() },
        ] {
            memory.write(&remembered).expect("written");
            assert_eq!(memory.read(), remembered);
        }
        // Longer and shorter than what it replaces.
        for remembered in [
            Remembered { next_block: 1_000_000, ..Remembered::default() },
            Remembered { paused: true, ..Remembered::default() },
        ] {
            memory.overwrite(&serde_json::to_vec(&remembered).expect("text")).expect("overwritten");
            assert_eq!(memory.read(), remembered);
        }
        std::fs::write(&memory.path, "{\"pau").expect("torn by somebody else");
        assert!(memory.read().paused);
    }
}

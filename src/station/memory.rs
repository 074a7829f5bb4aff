//! What the station remembers over a restart: whether it is paused.
//!
//! On disk: `station.json` in the state directory, replaced whole. A file that cannot be read means
//! paused: a broken disk must not open a microphone.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::tools::atomic_file;

#[derive(Debug, Serialize, Deserialize)]
struct Remembered {
    paused: bool,
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

    /// Whether the programme was paused when the daemon last ran.
    pub fn is_paused(&self) -> bool {
        let text = match std::fs::read(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return false,
            Err(error) => return self.broken(&error),
        };
        match serde_json::from_slice::<Remembered>(&text) {
            Ok(remembered) => remembered.paused,
            Err(error) => self.broken(&error),
        }
    }

    fn broken(&self, error: &dyn std::error::Error) -> bool {
        let file = self.path.display();
        tracing::warn!(event = "state_unreadable", %file, reason = %error, "the state file cannot be read: starting paused");
        true
    }

    /// Remembers. Blocks until it is on the disk.
    ///
    /// # Errors
    /// The state directory cannot be written.
    pub fn set_paused(&self, paused: bool) -> Result<()> {
        if let Some(folder) = self.path.parent() {
            // A failure shows again, with a better message, when the file is written.
            let _ = std::fs::create_dir_all(folder);
        }
        let text = serde_json::to_vec(&Remembered { paused }).unwrap_or_default();
        atomic_file::replace(&self.path, &text, 0o600)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembers_and_when_in_doubt_is_paused() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let memory = Memory::new(&dir.path().join("talas"));
        assert!(!memory.is_paused(), "nothing to remember yet");
        memory.set_paused(true).expect("written");
        assert!(memory.is_paused());
        memory.set_paused(false).expect("written");
        assert!(!memory.is_paused());
        std::fs::write(&memory.path, "{\"pau").expect("torn by somebody else");
        assert!(memory.is_paused());
    }
}

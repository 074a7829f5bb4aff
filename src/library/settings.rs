//! `[library]`.

use std::path::PathBuf;

use crate::tools::paths;

/// `[library]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Directories whose audio files are the library, all that is below them included.
    pub dirs: Vec<PathBuf>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { dirs: vec![paths::state_dir().join("library")] }
    }
}

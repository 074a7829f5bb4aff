//! `[control]`.

use std::path::PathBuf;

use crate::tools::paths;

/// `[control]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Path of the control socket.
    pub socket: PathBuf,
    /// Members of this group may steer; everybody may look.
    pub group: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self { socket: paths::control_socket(), group: "talas".to_owned() }
    }
}

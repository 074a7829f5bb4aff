//! Where the daemon keeps things: systemd's directories first, the system's for root, XDG's by hand.

use std::env;
use std::path::PathBuf;

fn env_path(name: &str) -> Option<PathBuf> {
    // systemd lists several directories with `:`; the unit has one of each.
    let value = env::var_os(name)?;
    let first = env::split_paths(&value).next()?;
    first.is_absolute().then_some(first)
}

fn place(systemd: &str, system: &str, xdg: &str, home: &str) -> PathBuf {
    if let Some(path) = env_path(systemd) {
        return path;
    }
    if nix::unistd::geteuid().is_root() {
        return PathBuf::from(system);
    }
    if let Some(path) = env_path(xdg) {
        return path.join("talas");
    }
    env_path("HOME").map_or_else(|| env::temp_dir().join("talas"), |dir| dir.join(home).join("talas"))
}

/// What must outlive a restart.
pub fn state_dir() -> PathBuf {
    place("STATE_DIRECTORY", "/var/lib/talas", "XDG_STATE_HOME", ".local/state")
}

/// The default configuration file.
pub fn config_file() -> PathBuf {
    place("CONFIGURATION_DIRECTORY", "/etc/talas", "XDG_CONFIG_HOME", ".config").join("talasd.toml")
}

/// The default control socket.
pub fn control_socket() -> PathBuf {
    if nix::unistd::geteuid().is_root() || env::var_os("STATE_DIRECTORY").is_some() {
        return PathBuf::from("/run/talas/talasd.sock");
    }
    // Not the folder for temporary files: there somebody else could make it first.
    let place = env_path("XDG_RUNTIME_DIR").map_or_else(state_dir, |dir| dir.join("talas"));
    place.join("talasd.sock")
}

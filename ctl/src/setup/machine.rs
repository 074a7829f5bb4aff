//! Acts on the machine: files, systemd, and talasd as the judge of its own configuration.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::exposure::Exposure;
use crate::error::{Error, Kind, Result};

/// Where Avahi looks for services; there where it is installed.
const AVAHI: &str = "/etc/avahi/services";
const ANNOUNCEMENT: &str = "talas.service";

/// Runs systemctl, which says itself what went wrong.
pub fn systemctl(words: &[&str]) -> Result<()> {
    succeed(Command::new("systemctl").arg("--no-ask-password").args(words), || {
        format!("systemctl {}", words.join(" "))
    })
    .map_err(|error| error.hint("systemctl status talasd; journalctl -u talasd"))
}

fn succeed(command: &mut Command, shown: impl Fn() -> String) -> Result<()> {
    let output = command.output();
    let output =
        output.map_err(|error| Error::new(Kind::Failed, format!("{} cannot be run: {error}", shown())))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(Error::new(Kind::Failed, format!("{} failed: {said}", shown())))
}

/// Puts a configuration in place of the old one, if talasd has nothing against it.
pub fn replace_checked(path: &Path, text: &str) -> Result<()> {
    let new = beside(path);
    write_whole(&new, text)?;
    let checked = succeed(Command::new("talasd").arg("--config").arg(&new).arg("--check"), || {
        "the check of the new configuration".to_owned()
    });
    let replaced = checked.and_then(|()| fs::rename(&new, path).map_err(|error| unwritten(path, &error)));
    if replaced.is_err() {
        // The error is what counts; what stays behind is only a file beside.
        let _ = fs::remove_file(&new);
    }
    replaced
}

/// Writes a file, and the folder for it.
pub fn write(path: &Path, text: &str) -> Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|error| unwritten(folder, &error))?;
    }
    let new = beside(path);
    write_whole(&new, text)?;
    fs::rename(&new, path).map_err(|error| unwritten(path, &error))
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    path.with_file_name(name)
}

fn write_whole(path: &Path, text: &str) -> Result<()> {
    let write = || {
        let mut file = File::create(path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    write().map_err(|error| unwritten(path, &error))
}

fn unwritten(path: &Path, error: &std::io::Error) -> Error {
    Error::new(Kind::Failed, format!("cannot write {}: {error}", path.display()))
}

/// Tells the network by mDNS, or no longer, where Avahi is there to do it.
pub fn announce(exposure: &Exposure) -> Result<()> {
    let folder = Path::new(AVAHI);
    let path = folder.join(ANNOUNCEMENT);
    match exposure.announcement() {
        Some(text) if folder.is_dir() => write(&path, &text),
        None if path.exists() => fs::remove_file(&path).map_err(|error| unwritten(&path, &error)),
        _ => Ok(()),
    }
}

/// The names of this machine on its network: its own, and that of mDNS.
pub fn names() -> Vec<String> {
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = host.trim().to_ascii_lowercase();
    if host.is_empty() || host == "(none)" || host == "localhost" {
        return Vec::new();
    }
    vec![format!("{host}.local"), host].into_iter().rev().collect()
}

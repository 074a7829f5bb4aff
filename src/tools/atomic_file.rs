//! Small files that are either old or new, never torn: write beside, sync, rename, sync the folder.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::error::{Context, Error, Kind, Result};

/// Replaces the content of a file; a reader sees the old or the new, also after a power cut.
///
/// # Errors
/// The folder is missing, read-only or full; the old content is then still there.
pub fn replace(path: &Path, content: &[u8], mode: u32) -> Result<()> {
    let folder = path
        .parent()
        .ok_or_else(|| Error::new(Kind::Invalid, format!("{} is not a file path", path.display())))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let beside = folder.join(format!(".{name}.new"));
    let result = write_synced(&beside, content, mode)
        .and_then(|()| fs::rename(&beside, path))
        .and_then(|()| File::open(folder)?.sync_all());
    if result.is_err() {
        let _ = fs::remove_file(&beside);
    }
    result.context(|| format!("cannot write {}", path.display()))
}

fn write_synced(path: &Path, content: &[u8], mode: u32) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_whole_and_leaves_nothing_beside() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let path = dir.path().join("state.json");
        replace(&path, b"one, and longer", 0o600).expect("first write");
        replace(&path, b"two", 0o600).expect("second write");
        assert_eq!(fs::read(&path).expect("readable"), b"two");
        assert_eq!(fs::read_dir(dir.path()).expect("listing").count(), 1);
    }

    #[test]
    fn a_missing_folder_is_told_and_nothing_is_made() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let error = replace(&dir.path().join("no/such/file"), b"x", 0o600).expect_err("no folder");
        assert_eq!(error.kind(), Kind::NotFound);
    }
}

//! A track: a file of the library, its stable name and what kind of sound it holds.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use sha2::{Digest, Sha256};

/// Endings of audio files, in lower case, and the media types they are served under.
const KINDS: [(&str, &str); 14] = [
    ("mp3", "audio/mpeg"),
    ("aac", "audio/aac"),
    ("m4a", "audio/mp4"),
    ("m4b", "audio/mp4"),
    ("mp4", "audio/mp4"),
    ("flac", "audio/flac"),
    ("wav", "audio/wav"),
    ("wave", "audio/wav"),
    ("ogg", "audio/ogg"),
    ("oga", "audio/ogg"),
    ("opus", "audio/ogg; codecs=opus"),
    ("aiff", "audio/aiff"),
    ("aif", "audio/aiff"),
    ("aifc", "audio/aiff"),
];

/// The media type of a file by its name, if it is an audio file.
pub fn media_type(name: &OsStr) -> Option<&'static str> {
    let ending = Path::new(name).extension()?.to_str()?;
    KINDS.iter().find(|(known, _)| ending.eq_ignore_ascii_case(known)).map(|(_, media_type)| *media_type)
}

/// The name of a track in the API: 32 hexadecimal digits, the same as long as the file has its place.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrackId([u8; 16]);

impl TrackId {
    /// Of the file at a path, relative to the library directory it is in.
    pub fn new(dir: &Path, path: &Path) -> Self {
        let mut hash = Sha256::new();
        hash.update(dir.as_os_str().as_bytes());
        // No path has a NUL, so no two pairs read the same.
        hash.update([0]);
        hash.update(path.as_os_str().as_bytes());
        let mut id = [0; 16];
        id.copy_from_slice(&hash.finalize()[..16]);
        Self(id)
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Of its bytes.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl std::fmt::Display for TrackId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl std::fmt::Debug for TrackId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

/// The text is not the name of any track.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoTrackId;

impl FromStr for TrackId {
    type Err = NoTrackId;

    /// One text for each id: capitals and shorter forms are refused.
    fn from_str(text: &str) -> Result<Self, NoTrackId> {
        let digits = text.as_bytes();
        let is_id = |digit: &u8| matches!(digit, b'0'..=b'9' | b'a'..=b'f');
        if digits.len() != 32 || !digits.iter().all(is_id) {
            return Err(NoTrackId);
        }
        let number = u128::from_str_radix(text, 16).map_err(|_| NoTrackId)?;
        Ok(Self(number.to_be_bytes()))
    }
}

/// A file of the library, as the listing found it.
#[derive(Debug, Clone)]
pub struct Track {
    /// Its name in the API.
    pub id: TrackId,
    /// Where it is, relative to the directory.
    pub path: PathBuf,
    /// The directory of the library it is in.
    pub(super) dir: Arc<Path>,
    /// Its media type.
    pub media_type: &'static str,
    /// Its size in bytes when it was listed.
    pub size_bytes: u64,
    /// When it was last written, in ms since the epoch, when it was listed.
    pub modified_ms: i64,
}

impl Track {
    /// The name of the file.
    pub fn name(&self) -> std::borrow::Cow<'_, str> {
        self.path.file_name().unwrap_or_default().to_string_lossy()
    }

    /// The name of the file without its ending.
    pub fn title(&self) -> std::borrow::Cow<'_, str> {
        self.path.file_stem().unwrap_or_default().to_string_lossy()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_go_by_the_ending() {
        let kind = |name: &str| media_type(OsStr::new(name));
        assert_eq!(kind("a.MP3"), Some("audio/mpeg"));
        assert_eq!(kind("a.b.FlAc"), Some("audio/flac"));
        assert_eq!(kind("a.opus"), Some("audio/ogg; codecs=opus"));
        for other in ["mp3", ".mp3", "a.txt", "a.mp3.part", "a.", "a", "a.html", "a.svg"] {
            assert_eq!(kind(other), None, "{other}");
        }
    }

    #[test]
    fn ids_are_stable_and_told_apart() {
        let id = TrackId::new(Path::new("/music"), Path::new("a/b.mp3"));
        // Links to tracks are kept for years: this text may never change.
        assert_eq!(id.to_string(), "3e88d9b16e797ad45f33e686dbdffbfc");
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_ne!(id, TrackId::new(Path::new("/music/a"), Path::new("b.mp3")));
        assert_ne!(id, TrackId::new(Path::new("/musi"), Path::new("ca/b.mp3")));
    }

    #[test]
    fn only_an_id_is_an_id() {
        let good = "0123456789abcdef0123456789abcdef";
        assert!(good.parse::<TrackId>().is_ok());
        for bad in [
            "",
            "0123456789abcdef0123456789abcde",
            "0123456789abcdef0123456789abcdef0",
            "0123456789ABCDEF0123456789abcdef",
            "+123456789abcdef0123456789abcdef",
            "0123456789abcdef0123456789abcde/",
            "../../../../../../../etc/passwd0",
        ] {
            assert_eq!(bad.parse::<TrackId>(), Err(NoTrackId), "{bad}");
        }
    }
}

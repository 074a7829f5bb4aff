//! The configuration file as text: reading it, and what it must be before TOML is spoken of.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::iter;
use std::ops::Range;
use std::os::unix::fs::PermissionsExt;
use std::path::{self, Path, PathBuf};

use crate::error::{Error, Kind, Result};

use super::complaint::{Complaint, Place, render};

/// Largest file read. The shipped one, with every key explained, is a twentieth of this.
const LARGEST_BYTES: u64 = 256 * 1024;

/// Permission bit of "everybody may write".
const WORLD_WRITABLE: u32 = 0o002;

/// A configuration file, read.
#[derive(Debug, Clone)]
pub(super) struct Document {
    path: PathBuf,
    name: String,
    text: String,
    /// The text as it may be shown.
    shown: String,
    /// Where lines begin.
    lines: Vec<usize>,
    world_writable: bool,
}

impl Document {
    /// Reads a file.
    ///
    /// # Errors
    /// [`Kind::Config`] where it cannot be read, is too large or is no text.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let missing =
            || Error::new(Kind::Config, format!("error: there is no configuration file {}", path.display()));
        Self::read_if_there(path)?.ok_or_else(missing)
    }

    /// Reads a file that need not exist.
    ///
    /// # Errors
    /// As [`Document::read`], but for a file that is not there.
    pub(super) fn read_if_there(path: &Path) -> Result<Option<Self>> {
        let failed = |reason: &str| {
            let path = path.display();
            Error::new(Kind::Config, format!("error: cannot read the configuration {path}: {reason}"))
        };
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(&error.to_string())),
        };
        let about = file.metadata().map_err(|error| failed(&error.to_string()))?;
        if about.is_dir() {
            return Err(failed("it is a directory"));
        }
        let mut bytes = Vec::new();
        // One byte beyond the limit tells a file that is larger from one that is just as large.
        file.take(LARGEST_BYTES + 1).read_to_end(&mut bytes).map_err(|error| failed(&error.to_string()))?;
        if bytes.len() as u64 > LARGEST_BYTES {
            return Err(failed(&format!("it is larger than {} KiB", LARGEST_BYTES / 1024)));
        }
        // A pipe (`--config <(…)`) has no owner to speak of.
        let world_writable = about.is_file() && about.permissions().mode() & WORLD_WRITABLE != 0;
        Self::from_bytes(path, &bytes, world_writable).map(Some)
    }

    fn from_bytes(path: &Path, bytes: &[u8], world_writable: bool) -> Result<Self> {
        let document = |text: &str| Self {
            path: path.to_owned(),
            name: path.display().to_string(),
            text: text.to_owned(),
            shown: without_secrets(text),
            lines: iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect(),
            world_writable,
        };
        // Editors of another system put a mark there that means nothing in UTF-8.
        let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(document(text)),
            Err(error) => {
                let document = document(&String::from_utf8_lossy(bytes));
                let byte = bytes.get(error.valid_up_to()).copied().unwrap_or_default();
                Err(Error::new(Kind::Config, document.not_text(error.valid_up_to(), byte)))
            }
        }
    }

    fn not_text(&self, at: usize, byte: u8) -> String {
        let start = at.min(self.text.len());
        let end =
            start + self.text.get(start..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8);
        let label = format!("the byte 0x{byte:02X}");
        let complaint = Complaint::new("the file is not UTF-8", Place::file(start..end), label)
            .help("save the file as UTF-8");
        render(vec![complaint], Some(self))
    }

    /// Its path as it is shown.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Its path.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What it says.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The same as it may be shown: bytes of passwords are hidden, and everything is in its place.
    pub(super) fn shown(&self) -> &str {
        &self.shown
    }

    /// Whether everybody may change it.
    pub(super) fn is_world_writable(&self) -> bool {
        self.world_writable
    }

    /// What relative paths in it are relative to.
    pub(super) fn base(&self) -> PathBuf {
        let whole = path::absolute(&self.path).unwrap_or_else(|_| self.path.clone());
        whole.parent().unwrap_or(Path::new("/")).to_owned()
    }

    /// The line of a byte, counted from 1, and its column in characters, also from 1.
    pub(super) fn position(&self, at: usize) -> (usize, usize) {
        let line = self.lines.partition_point(|start| *start <= at);
        let start = line.checked_sub(1).and_then(|line| self.lines.get(line)).copied().unwrap_or_default();
        let before = self.text.get(start..at).unwrap_or_default();
        (line, before.chars().count() + 1)
    }

    /// The lines that a span touches, counted from 1.
    pub(super) fn lines(&self, span: &Range<usize>) -> std::ops::RangeInclusive<usize> {
        self.position(span.start).0..=self.position(span.end).0
    }
}

/// Hides user and password of addresses, and what stands behind `password =`, to the end of the line. Each
/// byte becomes one letter, so that places stay. It is done to the letters and not to the values: a line that is no TOML may hold a password as well.
fn without_secrets(text: &str) -> String {
    const NAME: &str = "password";
    let hide = |line: &str| {
        let secret = line.match_indices(NAME).find_map(|(at, _)| {
            let behind = line[at + NAME.len()..].trim_start_matches(['"', '\'', ' ', '\t']);
            behind.strip_prefix('=').map(str::trim_start).map(|value| line.len() - value.len())
        });
        let (open, hidden) = line.split_at(secret.unwrap_or(line.len()));
        let end = hidden.trim_end_matches(['\r', '\n']).len();
        format!("{}{}{}", without_users(open), "*".repeat(end), &hidden[end..])
    };
    text.split_inclusive('\n').map(hide).collect()
}

/// Hides what stands between `://` and `@`, as in `icecast://source:hackme@radio.example`.
pub(super) fn without_users(text: &str) -> String {
    let mut parts = text.split("://");
    let mut shown = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let authority = part.split(['/', '"', '\'', ' ']).next().unwrap_or_default();
        let hidden = authority.rfind('@').unwrap_or(0);
        shown.push_str("://");
        shown.push_str(&"*".repeat(hidden));
        shown.push_str(&part[hidden..]);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_hidden_in_its_place() {
        for (text, shown) in [
            ("password = \"hackme\"\r\nx = 1\n", "password = ********\r\nx = 1\n"),
            ("  \"password\"=hackmé", "  \"password\"=*******"),
            ("password_file = \"a\"\n", "password_file = \"a\"\n"),
            ("push = [{ user = \"a\", password = 'b' }]", "push = [{ user = \"a\", password = ******"),
            ("# the password is elsewhere", "# the password is elsewhere"),
            ("url = \"a://b:c@d/e@f\"\nx = 'a://b'\n", "url = \"a://***@d/e@f\"\nx = 'a://b'\n"),
        ] {
            assert_eq!(without_secrets(text), shown);
            assert_eq!(text.len(), shown.len());
        }
    }

    #[test]
    fn positions_count_characters_from_one() {
        let text = "a = 1\r\n\tgrüße = \"日\" # x\n\nlast";
        let document = Document::from_bytes(Path::new("x"), text.as_bytes(), false).expect("text");
        let at = |part: &str| document.position(text.find(part).expect("part"));
        assert_eq!(document.position(0), (1, 1));
        assert_eq!(at("1"), (1, 5));
        assert_eq!(at("grüße"), (2, 2));
        assert_eq!(at("\"日"), (2, 10));
        assert_eq!(at("# x"), (2, 14));
        assert_eq!(at("last"), (4, 1));
        assert_eq!(document.position(text.len()), (4, 5));
    }

    #[test]
    fn what_is_not_text_is_shown() {
        let error =
            Document::from_bytes(Path::new("x"), b"\xEF\xBB\xBFa\nb\xFF", false).expect_err("no text");
        assert!(error.message().contains("x:2:2"), "{error}");
        assert!(error.message().contains("0xFF"), "{error}");
    }
}

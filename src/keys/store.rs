//! What must outlive a restart, in one file of the state directory, `access.json` (mode 0600): API keys as
//! hashes, what is known of tokens that were made here (never the tokens), what was revoked. It is
//! replaced whole or not at all.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use serde::{Deserialize, Serialize};

use super::api_key::ApiKey;
use crate::access::Revoked;
use crate::error::{Context, Error, Kind, Result};
use crate::tools::atomic_file;
use crate::tools::lock::lock;

const FILE: &str = "access.json";
const MODE: u32 = 0o600;
/// Version of the file's layout.
const VERSION: u32 = 1;
/// Most API keys, most tokens that are listed, and most of what is revoked: an answer stays short, and a
/// script that has gone wild does not fill the disk.
pub const MOST: usize = 1000;
/// Of what is revoked more is kept: other issuers' tokens are in it.
pub const MOST_REVOKED: usize = 100_000;

/// What is known of a token that was made here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Minted {
    /// `sub`.
    pub subject: String,
    /// `roles`.
    pub roles: Vec<String>,
    /// `audio_id`; empty is not bound.
    pub tracks: Vec<String>,
    /// `paths`; empty is not bound.
    pub paths: Vec<String>,
    /// `iat`.
    pub issued_s: i64,
    /// `exp`.
    pub expires_s: i64,
}

/// All of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    version: u32,
    /// API keys by id.
    pub keys: BTreeMap<String, ApiKey>,
    /// Tokens made here that may still be good, by `jti`.
    pub tokens: BTreeMap<String, Minted>,
    /// What was revoked.
    pub revoked: Revoked,
}

impl Kept {
    /// Forgets what time has settled. Whether there was any.
    fn prune(&mut self, now_s: i64) -> bool {
        let before = self.tokens.len();
        self.tokens.retain(|_, token| token.expires_s > now_s);
        self.revoked.prune(now_s) || self.tokens.len() < before
    }
}

/// The file and what is in it.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    kept: ArcSwap<Kept>,
    /// One change at a time.
    turn: Mutex<()>,
}

impl Store {
    /// Reads the file; without one there is nothing.
    ///
    /// # Errors
    /// [`Kind::Conflict`] for a file that cannot be read: what was revoked would be good again.
    pub fn open(state_dir: &Path) -> Result<Self> {
        let path = state_dir.join(FILE);
        let kept = match std::fs::read(&path) {
            Ok(json) => read(&json).map_err(|error| {
                let help =
                    "revoked tokens would be good again without it: mend it, or remove it and revoke anew";
                Error::caused(Kind::Conflict, format!("cannot read {} ({help})", path.display()), error)
            })?,
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR)) => {
                Kept::default()
            }
            Err(error) => {
                return Err(Error::caused(Kind::Conflict, format!("cannot read {}", path.display()), error));
            }
        };
        Ok(Self { path, kept: ArcSwap::from_pointee(kept), turn: Mutex::new(()) })
    }

    /// What is kept now.
    pub fn kept(&self) -> Arc<Kept> {
        self.kept.load_full()
    }

    /// Whether somebody came by what was revoked; without a copy of all that is kept.
    pub fn with<T>(&self, look: impl FnOnce(&Kept) -> T) -> T {
        look(&self.kept.load())
    }

    /// Changes what is kept: first on the disk, then in force. Blocks until it is there.
    ///
    /// # Errors
    /// The change is refused, or cannot be written: nothing changed.
    pub fn change<T>(&self, now_s: i64, act: impl FnOnce(&mut Kept) -> Result<T>) -> Result<T> {
        let _turn = lock(&self.turn);
        let mut kept = Kept::clone(&self.kept.load());
        kept.prune(now_s);
        let done = act(&mut kept)?;
        self.write(kept)?;
        Ok(done)
    }

    /// Forgets what time has settled, on the disk too. Blocks until it is there.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn prune(&self, now_s: i64) -> Result<()> {
        let _turn = lock(&self.turn);
        let mut kept = Kept::clone(&self.kept.load());
        if kept.prune(now_s) { self.write(kept) } else { Ok(()) }
    }

    fn write(&self, mut kept: Kept) -> Result<()> {
        kept.version = VERSION;
        let json = serde_json::to_vec(&kept)
            .map_err(|error| Error::caused(Kind::Internal, "what is kept cannot be written", error))?;
        atomic_file::replace(&self.path, &json, MODE).context(|| "nothing changed".to_owned())?;
        self.kept.store(Arc::new(kept));
        Ok(())
    }
}

fn read(json: &[u8]) -> Result<Kept> {
    let kept: Kept = serde_json::from_slice(json)
        .map_err(|error| Error::caused(Kind::Conflict, "it is not as it was written", error))?;
    if kept.version != VERSION {
        let message = format!("it has version {}, and this daemon knows {VERSION}", kept.version);
        return Err(Error::new(Kind::Conflict, message));
    }
    kept.keys.values().try_for_each(|key| key.pass().map(drop))?;
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn token(expires_s: i64) -> Minted {
        let (tracks, paths, roles) = (Vec::new(), Vec::new(), vec!["listener".to_owned()]);
        Minted { subject: "ada".to_owned(), roles, tracks, paths, issued_s: 1, expires_s }
    }

    #[test]
    fn what_is_kept_outlives_a_restart_and_nobody_else_reads_it() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let store = Store::open(dir.path()).expect("nothing there is no error");
        let change = store.change(10, |kept| {
            kept.tokens.insert("short".to_owned(), token(20));
            kept.tokens.insert("long".to_owned(), token(90));
            kept.revoked.add_token("short", 20);
            Ok(())
        });
        change.expect("written");
        let mode = std::fs::metadata(dir.path().join(FILE)).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, MODE);
        let again = Store::open(dir.path()).expect("read");
        assert_eq!(again.kept(), store.kept());
        again.prune(20).expect("written");
        let kept = Store::open(dir.path()).expect("read").kept();
        assert!(kept.tokens.len() == 1 && kept.revoked.count() == 0);
    }

    #[test]
    fn a_change_that_fails_changes_nothing() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let store = Store::open(&dir.path().join("gone")).expect("nothing there");
        let refused = store.change(1, |_| Err::<(), _>(Error::new(Kind::NotFound, "no")));
        assert_eq!(refused.expect_err("refused").kind(), Kind::NotFound);
        let unwritten = store.change(1, |kept| {
            kept.revoked.add_token("one", 9);
            Ok(())
        });
        assert!(unwritten.is_err() && store.kept().revoked.count() == 0);
    }

    #[test]
    fn a_file_that_cannot_be_understood_is_not_taken_for_an_empty_one() {
        let dir = tempfile::tempdir().expect("temporary folder");
        for broken in
            ["", "{}", "[]", r#"{"version":2,"keys":{},"tokens":{},"revoked":{"tokens":{},"subjects":{}}}"#]
        {
            std::fs::write(dir.path().join(FILE), broken).expect("written");
            let error = Store::open(dir.path()).expect_err(broken);
            assert!(error.message().contains("revoke anew"), "{error}");
        }
    }
}

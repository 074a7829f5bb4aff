//! The one error type: what the reader can do about it, what happened, and the cause beneath.
//!
//! [`Kind`] is chosen by remedy, not by origin. One table maps kinds to exit codes (here), one to
//! HTTP statuses (`http::reply`), one to control-socket codes (`control::answer`).

use std::fmt;
use std::io;

/// What can be done about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The command line is wrong: read `--help`.
    Usage,
    /// The configuration is wrong: the message holds every place to mend.
    Config,
    /// A socket or device that the configuration requires cannot be had: free it, or change the key.
    Required,
    /// The request is wrong: mend it and ask again.
    Invalid,
    /// The caller is not allowed to do this.
    Denied,
    /// The thing named does not exist.
    NotFound,
    /// Not possible in the present state: change the state first.
    Conflict,
    /// Not now: ask again later.
    Unavailable,
    /// A device went away or was never there; it is looked for again by itself.
    Gone,
    /// A device or file is in use by another program.
    Busy,
    /// The daemon's own failure: the journal says more.
    Internal,
}

impl Kind {
    /// Exit code of a daemon that ends by an error of this kind.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Usage => 2,
            Self::Config => 3,
            Self::Required => 4,
            _ => 1,
        }
    }
}

/// An error: kind, message, cause.
///
/// `Display` prints this level only; the chain is the caller's to print, see [`Error::chain`].
#[derive(Debug)]
pub struct Error {
    kind: Kind,
    message: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// Result with the project's error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error without a cause beneath it.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    /// An error caused by another.
    pub fn caused(
        kind: Kind,
        message: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self { kind, message: message.into(), source: Some(source.into()) }
    }

    /// What can be done about it.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The message of this level.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// This message and those of all causes, joined by `: `.
    pub fn chain(&self) -> String {
        let mut text = self.message.clone();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            // A foreign error taken in as it is has the words of its own cause: said once.
            let said = error.to_string();
            if !text.ends_with(&said) {
                text.push_str(": ");
                text.push_str(&said);
            }
            cause = error.source();
        }
        text
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        use io::ErrorKind as Io;
        let kind = match error.kind() {
            Io::NotFound => Kind::NotFound,
            Io::PermissionDenied => Kind::Denied,
            Io::AddrInUse | Io::ResourceBusy => Kind::Busy,
            Io::WouldBlock | Io::TimedOut | Io::Interrupted => Kind::Unavailable,
            _ => Kind::Internal,
        };
        Self { kind, message: error.to_string(), source: Some(Box::new(error)) }
    }
}

/// Adds what was being done to a failed result.
pub trait Context<T> {
    /// Wraps the error under a message, keeping its kind.
    fn context(self, message: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: Into<Error>> Context<T> for std::result::Result<T, E> {
    fn context(self, message: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|error| {
            let error = error.into();
            Error::caused(error.kind, message(), error)
        })
    }
}

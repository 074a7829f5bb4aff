//! The one error type, and the one table from kinds to exit codes.

use std::fmt;
use std::process::ExitCode;

use talas_wire::{ErrorBody, Hello, Level, code};

use crate::text::escape;

/// What the person or program that called can do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The daemon refused or could not: read the reason.
    Failed,
    /// Type something else; what the command line cannot know, such as whether there is a terminal.
    Usage,
    /// No daemon there: start it, or name another socket.
    Unreachable,
    /// Ask for the right, or somebody who has it.
    Denied,
    /// Install matching versions; or what answers there is not the daemon.
    Protocol,
    /// Wait longer, or look at why the daemon hangs.
    TimedOut,
    /// Nobody reads our output any more (`| head`): nothing to do and nothing to say.
    OutputClosed,
}

impl Kind {
    /// The exit code; the command-line parser has 2 for wrong usage as well.
    const fn exit_code(self) -> u8 {
        match self {
            Self::OutputClosed => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Unreachable => 3,
            Self::Denied => 4,
            Self::Protocol => 5,
            Self::TimedOut => 6,
        }
    }
}

/// Why a command did not do what was asked.
#[derive(Debug)]
pub struct Error {
    kind: Kind,
    message: String,
    hint: Option<String>,
}

/// The result of everything here that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of this kind. Whatever the message quotes is escaped when it is printed.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None }
    }

    /// The same error with a word on what to try.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// What can be done about it.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// What happened, without what to try.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The daemon's own refusal, as an error of ours.
    pub fn refused(body: &ErrorBody, hello: Option<&Hello>) -> Self {
        let message = &body.message;
        match (body.code.as_str(), hello) {
            (code::DENIED, hello) => {
                Self::new(Kind::Denied, format!("not permitted: {message}")).hint(denied_hint(hello))
            }
            (code::NO_SUCH_METHOD, Some(hello)) => Self::new(Kind::Failed, message.as_str())
                .hint(format!("the daemon has version {}, this program {}", hello.version, CLIENT_VERSION)),
            _ => Self::new(Kind::Failed, message.as_str()),
        }
    }

    /// Says it on standard error and gives the exit code.
    pub fn report(&self) -> ExitCode {
        if self.kind != Kind::OutputClosed {
            eprintln!("{self}");
        }
        ExitCode::from(self.kind.exit_code())
    }
}

/// Version of this program.
pub const CLIENT_VERSION: &str = env!("CARGO_PKG_VERSION");

fn denied_hint(hello: Option<&Hello>) -> String {
    match hello.map(|hello| hello.level) {
        Some(Level::Change) => {
            "members of group talas may steer what plays; this needs root or user talasd".to_owned()
        }
        _ => "members of group talas may steer what plays (usermod -aG talas USER, then log in again); \
              root and user talasd may do everything"
            .to_owned(),
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "talasctl: {}", escape(&self.message))?;
        match &self.hint {
            Some(hint) => write!(f, "\nhint: {}", escape(hint)),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(code: &str, message: &str) -> ErrorBody {
        ErrorBody { code: code.to_owned(), message: message.to_owned() }
    }

    #[test]
    fn a_refusal_keeps_the_daemons_words_and_loses_its_escapes() {
        let error = Error::refused(&body(code::CONFLICT, "not \x1b[31ma\ntone"), None);
        assert_eq!(error.to_string(), "talasctl: not \\u{1b}[31ma\\ntone");
        assert_eq!(error.kind().exit_code(), 1);
    }

    #[test]
    fn denied_says_which_group() {
        let error = Error::refused(&body(code::DENIED, "capture.pause needs change"), None);
        assert_eq!(error.kind().exit_code(), 4);
        assert!(error.to_string().contains("group talas"), "{error}");
    }
}

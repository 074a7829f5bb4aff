//! The one place where a panic may be survived: around third-party parsers of stored files.
//!
//! Everywhere else the panic hook (see `daemon::panic`) logs and aborts: a daemon that lost a thread
//! runs on as a ghost.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::error::{Error, Kind, Result};

thread_local! {
    static CONTAINED: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is inside [`contain`], so that the panic hook must let it unwind.
pub fn is_contained() -> bool {
    CONTAINED.get()
}

/// Runs a parser; a panic inside becomes an error. What the parser touched must be thrown away after one.
///
/// # Errors
/// [`Kind::Invalid`] when the parser panicked, with `what` in the message.
pub fn contain<T>(what: &str, parse: impl FnOnce() -> T) -> Result<T> {
    let outer = CONTAINED.replace(true);
    let result = catch_unwind(AssertUnwindSafe(parse));
    CONTAINED.set(outer);
    result.map_err(|_| Error::new(Kind::Invalid, format!("the decoder failed on {what}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_inside_is_an_error_and_the_mark_is_taken_off() {
        let error = contain("x.flac", || panic!("deep in a parser")).expect_err("panicked");
        assert_eq!(error.kind(), Kind::Invalid);
        assert!(error.message().contains("x.flac"));
        assert!(!is_contained());
        assert!(contain("y.flac", is_contained).expect("no panic"));
    }
}

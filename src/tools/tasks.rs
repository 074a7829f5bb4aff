//! Named threads. Every thread has a name, an owner and a join.

use std::thread::{Builder, JoinHandle};

use crate::error::{Error, Kind, Result};

/// Starts a named thread. Linux shows the first 15 bytes of the name.
///
/// # Errors
/// [`Kind::Internal`] when the system gives no thread.
pub fn thread<T: Send + 'static>(
    name: &str,
    body: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>> {
    Builder::new()
        .name(name.to_owned())
        .spawn(body)
        .map_err(|error| Error::caused(Kind::Internal, format!("cannot start thread {name}"), error))
}

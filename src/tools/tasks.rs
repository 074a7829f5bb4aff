//! Named threads. Every thread has a name, an owner and a join.

use std::sync::Mutex;
use std::thread::{Builder, JoinHandle};

use super::lock::lock;
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

/// Threads that come and go, and are waited for together.
#[derive(Debug, Default)]
pub struct Crew(Mutex<Vec<JoinHandle<()>>>);

impl Crew {
    /// Starts one more, and lets go of those that have ended.
    ///
    /// # Errors
    /// [`Kind::Internal`] when the system gives no thread.
    pub fn start(&self, name: &str, body: impl FnOnce() + Send + 'static) -> Result<()> {
        let handle = thread(name, body)?;
        let mut threads = lock(&self.0);
        threads.retain(|thread| !thread.is_finished());
        threads.push(handle);
        Ok(())
    }

    /// Waits for all of them to end.
    pub fn join(&self) {
        let threads = std::mem::take(&mut *lock(&self.0));
        for thread in threads {
            // A panic has ended the process by now.
            let _ = thread.join();
        }
    }
}

//! The stop signal, usable from async tasks, blocking threads and the deadline thread alike.
//!
//! Dropping the [`StopOwner`] is the signal. A [`Stop`] can be awaited, polled, or watched as a
//! descriptor that becomes readable and stays so.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use nix::sys::eventfd::{EfdFlags, EventFd};
use tokio_util::sync::CancellationToken;

use crate::error::{Error, Kind, Result};

#[derive(Debug)]
struct Shared {
    token: CancellationToken,
    /// Written once and never read, so that it stays readable for every watcher.
    event: EventFd,
}

/// Fires the signal when dropped.
#[derive(Debug)]
pub struct StopOwner {
    shared: Arc<Shared>,
}

/// Watches for the signal.
#[derive(Debug, Clone)]
pub struct Stop {
    shared: Arc<Shared>,
}

/// An owner and its first watcher.
///
/// # Errors
/// [`Kind::Internal`] when the process is out of descriptors.
pub fn pair() -> Result<(StopOwner, Stop)> {
    let event = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)
        .map_err(|error| Error::caused(Kind::Internal, "cannot make an eventfd", error))?;
    let shared = Arc::new(Shared { token: CancellationToken::new(), event });
    Ok((StopOwner { shared: shared.clone() }, Stop { shared }))
}

impl Drop for StopOwner {
    fn drop(&mut self) {
        self.shared.token.cancel();
        // The counter cannot overflow by one write; there is nothing else to fail.
        let _ = self.shared.event.write(1);
    }
}

impl Stop {
    /// Resolves once the owner is dropped.
    pub async fn stopped(&self) {
        self.shared.token.cancelled().await;
    }

    /// Whether the owner has been dropped.
    pub fn is_stopped(&self) -> bool {
        self.shared.token.is_cancelled()
    }
}

impl AsFd for Stop {
    /// A descriptor that is readable once the owner is dropped. Watch it, never read it.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.shared.event.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

    #[tokio::test]
    async fn dropping_the_owner_tells_every_watcher_in_every_way() {
        let (owner, stop) = pair().expect("descriptors");
        let other = stop.clone();
        assert!(!stop.is_stopped());
        let readable = |stop: &Stop| {
            let mut fds = [PollFd::new(stop.as_fd(), PollFlags::POLLIN)];
            poll(&mut fds, PollTimeout::ZERO).expect("poll") > 0
        };
        assert!(!readable(&stop));
        drop(owner);
        stop.stopped().await;
        assert!(other.is_stopped());
        assert!(readable(&stop) && readable(&other), "stays readable for all");
    }
}

//! Handing a connection over: when HTTP has said all that it has to say, somebody else goes on with the
//! socket, and with what the connection holds of the door.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::OwnedSemaphorePermit;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::wire::Meter;
use crate::station::Station;

/// Takes a connection over: its socket, and what it holds of the door.
pub struct Heir {
    inherit: Box<dyn FnOnce(OwnedFd, Held) + Send>,
    kick: KickHeir,
}

/// Resets a connection that was handed over.
pub struct KickHeir(Box<dyn Fn() + Send + Sync>);

impl KickHeir {
    /// Does it.
    pub fn kick(&self) {
        (self.0)();
    }
}

impl std::fmt::Debug for KickHeir {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KickHeir")
    }
}

impl Heir {
    /// By calling `inherit`; afterwards `kick` is called to reset it.
    pub fn new(
        inherit: impl FnOnce(OwnedFd, Held) + Send + 'static,
        kick: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        Self { inherit: Box::new(inherit), kick: KickHeir(Box::new(kick)) }
    }

    /// Hands the connection over. Who would reset it goes on asking its meter.
    pub fn inherit(self, meter: &Meter, socket: OwnedFd, held: Held) {
        // First the seat: a kick that came before it would find nobody.
        (self.inherit)(socket, held);
        meter.handed_over(self.kick);
    }
}

impl std::fmt::Debug for Heir {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Heir")
    }
}

/// What a connection holds of the door for as long as it lasts: it counts as open, takes one of the
/// places, and the door's end waits for it.
#[derive(Debug)]
pub struct Held {
    station: Arc<Station>,
    _permit: OwnedSemaphorePermit,
    _token: TaskTrackerToken,
}

impl Held {
    /// For one more connection.
    pub fn new(station: Arc<Station>, permit: OwnedSemaphorePermit, token: TaskTrackerToken) -> Self {
        station.http_connections().fetch_add(1, Ordering::Relaxed);
        Self { station, _permit: permit, _token: token }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.station.http_connections().fetch_sub(1, Ordering::Relaxed);
    }
}

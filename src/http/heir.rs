//! What comes after HTTP on a connection. An [`Heir`] takes the socket away, and what the connection
//! holds of the door. A [`Sequel`] goes on where it was, under the same deadlines and kicks.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame};
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::socket::Handed;
use super::wire::Meter;
use crate::station::Station;
use crate::tools::lock::lock;
use crate::tools::workers;

/// Takes a connection over.
pub struct Heir {
    inherit: Box<dyn FnOnce(Estate) + Send>,
    kick: KickHeir,
}

/// What is handed over.
#[derive(Debug)]
pub struct Estate {
    /// The connection.
    pub socket: Handed,
    /// What it holds of the door.
    pub held: Held,
    /// Its place at the thread that has served it so far.
    pub worker: workers::Seat,
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
        inherit: impl FnOnce(Estate) + Send + 'static,
        kick: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        Self { inherit: Box::new(inherit), kick: KickHeir(Box::new(kick)) }
    }

    /// Hands the connection over. Who would reset it goes on asking its meter.
    pub fn inherit(self, meter: &Meter, estate: Estate) {
        // First the seat: a kick that came before it would find nobody.
        (self.inherit)(estate);
        meter.handed_over(self.kick);
    }
}

impl std::fmt::Debug for Heir {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Heir")
    }
}

/// Waits for the head to be written; what comes then goes another way.
#[derive(Debug)]
pub struct Bequest {
    meter: Arc<Meter>,
    heir: Option<Heir>,
}

impl Bequest {
    /// The connection of this meter goes to the heir.
    pub fn new(meter: Arc<Meter>, heir: Heir) -> Self {
        Self { meter, heir: Some(heir) }
    }
}

impl Body for Bequest {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(heir) = self.heir.take() {
            self.meter.bequeath(heir);
        }
        // Never woken: the connection is taken from under it.
        Poll::Pending
    }
}

/// What goes on on a connection that was upgraded, in its own task.
pub struct Sequel {
    /// Bytes that the kernel may hold unsent.
    pub unsent_bytes: u32,
    /// All of it.
    pub task: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl std::fmt::Debug for Sequel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sequel")
    }
}

/// In an answer that upgrades its connection: what goes on on it. If the answer is not sent after all, that is
/// dropped with it.
#[derive(Debug, Clone)]
pub struct Upgrade(Arc<Mutex<Option<Sequel>>>);

impl Upgrade {
    /// To this.
    pub fn to(sequel: Sequel) -> Self {
        Self(Arc::new(Mutex::new(Some(sequel))))
    }

    /// Takes it out, once.
    pub fn take(&self) -> Option<Sequel> {
        lock(&self.0).take()
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

//! The control socket: how `talasctl`, and everybody else on this machine, looks at the daemon and
//! steers it. JSON objects, one per line; the words are the crate `talas-wire`'s.
//!
//! In here: who the peer is and what that allows (`peer`), how many there may be (`limits`), lines with
//! a cap and a deadline (`lines`), one conversation (`talk`), the table of methods (`methods`), what they
//! answer (`answer`) and watches (`watch`). Not in here: binding the socket, the socket's file, and
//! everything that only the daemon can do: that is asked of it as an [`Order`].
//!
//! Everybody may connect, so nothing that a peer sends, or refuses to read, costs anybody else more
//! than a turn: there are only so many seats, a line has a length, a write has a deadline, a
//! conversation is one request at a time, and what is said about strangers in the journal is folded.

mod access;
mod answer;
mod limits;
mod lines;
mod methods;
mod peer;
mod server;
pub mod settings;
mod talk;
mod watch;

use std::os::unix::net::UnixListener;
use std::sync::Arc;

use talas_wire::ReloadReport;
use tokio::sync::{Semaphore, mpsc, oneshot};

pub use server::open;
pub use settings::Settings;

use crate::error::Result;
use crate::keys::Gate;
use crate::station::Station;
use limits::{Limits, Seats};
use peer::Authority;
use watch::Feeds;

/// What only the daemon can do.
#[derive(Debug)]
pub enum Order {
    /// Read the configuration again.
    Reload {
        /// What came of it. When nobody waits any more, the answer is dropped.
        reply: oneshot::Sender<Result<ReloadReport>>,
    },
}

/// The door, built and not yet open.
#[derive(Debug)]
pub struct Door {
    listener: UnixListener,
    shared: Arc<Shared>,
}

impl Door {
    /// A door at this listener. Nothing is served before [`open`].
    pub fn new(
        listener: UnixListener,
        settings: &Settings,
        station: Arc<Station>,
        gate: Arc<Gate>,
        orders: mpsc::Sender<Order>,
    ) -> Self {
        Self::limited(listener, settings, (station, gate), orders, Limits::default())
    }

    fn limited(
        listener: UnixListener,
        settings: &Settings,
        (station, gate): (Arc<Station>, Arc<Gate>),
        orders: mpsc::Sender<Order>,
        limits: Limits,
    ) -> Self {
        let shared = Shared {
            station,
            gate,
            orders,
            authority: Authority::new(&settings.group),
            seats: Seats::new(limits.seats),
            limits,
            feeds: Feeds::default(),
            probing: Arc::new(Semaphore::new(1)),
        };
        Self { listener, shared: Arc::new(shared) }
    }
}

/// What all conversations have in common.
#[derive(Debug)]
struct Shared {
    station: Arc<Station>,
    gate: Arc<Gate>,
    orders: mpsc::Sender<Order>,
    authority: Authority,
    seats: Arc<Seats>,
    limits: Limits,
    feeds: Feeds,
    /// Held while the capture devices are being asked what they can do.
    probing: Arc<Semaphore>,
}

#[cfg(test)]
mod tests;

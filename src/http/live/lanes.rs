//! The lanes of a door: as many as the machine has cores, started by the first listener.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use uuid::Uuid;

use super::lane::{Lane, Order, Way};
use super::seat::{Seat, Ticket};
use crate::error::Result;
use crate::http::heir::{Estate, Held};
use crate::http::socket::Handed;
use crate::http::watched::Stay;
use crate::station::Station;
use crate::tools::lock::lock;
use crate::tools::tasks;

/// Every lane.
#[derive(Debug)]
pub struct Lanes {
    station: Arc<Station>,
    running: Mutex<Vec<Running>>,
}

#[derive(Debug)]
struct Running {
    entry: Entry,
    thread: JoinHandle<()>,
}

/// The way into a lane.
#[derive(Debug, Clone)]
pub struct Entry {
    way: Way,
    /// Listeners who sit in it or are about to.
    taken: Arc<AtomicUsize>,
}

/// What a listener holds for as long as it sits.
#[derive(Debug)]
pub struct Hold {
    _held: Held,
    /// Its places among the streams of its client, and of what runs on under a token or key.
    _stay: Option<Stay>,
    _taken: Taken,
}

/// A seat that is taken.
#[derive(Debug)]
pub struct Taken(Arc<AtomicUsize>);

impl Drop for Taken {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Lanes {
    /// None runs yet.
    pub fn new(station: Arc<Station>) -> Self {
        Self { station, running: Mutex::new(Vec::new()) }
    }

    /// The lane with the fewest listeners.
    ///
    /// # Errors
    /// The system gives no thread or no descriptor.
    pub fn fewest(&self) -> Result<Entry> {
        let mut running = lock(&self.running);
        if running.is_empty() {
            let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
            for number in 0..cores {
                let (lane, way) = Lane::new(self.station.clone())?;
                let thread = tasks::thread(&format!("lane-{number}"), move || lane.run())?;
                let entry = Entry { way, taken: Arc::default() };
                running.push(Running { entry, thread });
            }
        }
        let entries = running.iter().map(|running| &running.entry);
        let fewest = entries.min_by_key(|entry| entry.taken.load(Ordering::Relaxed));
        // There is one for each core.
        fewest
            .cloned()
            .ok_or_else(|| crate::error::Error::new(crate::error::Kind::Internal, "there is no lane"))
    }
}

impl Drop for Lanes {
    fn drop(&mut self) {
        let running = std::mem::take(&mut *lock(&self.running));
        running.iter().for_each(|lane| lane.entry.way.tell(Order::Stop));
        for lane in running {
            // A panic has ended the process by now.
            let _ = lane.thread.join();
        }
    }
}

impl Entry {
    /// Resets a listener who is seated.
    pub fn kick(&self, id: Uuid) {
        self.way.tell(Order::Kick(id));
    }

    /// Seats a listener on a connection of its own.
    pub fn seat(&self, estate: Estate, ticket: Ticket, stay: Option<Stay>) {
        let Estate { socket, held, worker: _ } = estate;
        // Under TLS a player's stream stays with the HTTP library.
        let Handed::Plain(socket) = socket else { return };
        self.taken.fetch_add(1, Ordering::Relaxed);
        let taken = Taken(self.taken.clone());
        self.way.tell(Order::Seat(Box::new(Seat::new(
            socket,
            ticket,
            Hold { _held: held, _stay: stay, _taken: taken },
        ))));
    }
}

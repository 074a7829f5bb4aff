//! How many may be connected, and how long anything may take. Pure: the numbers and the counting.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use talas_wire::Level;

use crate::error::{Error, Kind, Result};
use crate::tools::lock::lock;

/// How much patience there is.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How many may be connected.
    pub seats: SeatLimits,
    /// A connection on which nothing was asked for so long is closed.
    pub idle: Duration,
    /// A peer that has not taken a line after so long reads nothing: it is hung up on.
    pub write: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { seats: SeatLimits::default(), idle: Duration::from_secs(300), write: Duration::from_secs(5) }
    }
}

/// How many may be connected.
#[derive(Debug, Clone, Copy)]
pub struct SeatLimits {
    /// In all.
    pub all: usize,
    /// Of one user, whoever it is: a script of root's that leaks connections must not keep the
    /// operators out, and an operator needs no more.
    pub per_uid: usize,
    /// Of all, seats that no reader gets, so that strangers cannot keep the operators out.
    pub kept: usize,
}

impl Default for SeatLimits {
    fn default() -> Self {
        Self { all: 64, per_uid: 8, kept: 8 }
    }
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    readers: usize,
    by_uid: HashMap<u32, usize>,
}

/// The seats, and who sits there.
#[derive(Debug)]
pub struct Seats {
    limits: SeatLimits,
    taken: Mutex<Taken>,
}

/// The right to be connected; free again when dropped.
#[derive(Debug)]
pub struct Seat {
    seats: Arc<Seats>,
    uid: u32,
    level: Level,
}

impl Seats {
    /// All free.
    pub fn new(limits: SeatLimits) -> Arc<Self> {
        Arc::new(Self { limits, taken: Mutex::default() })
    }

    /// Takes a seat.
    ///
    /// # Errors
    /// [`Kind::Busy`] when there is none for this peer, with the reason.
    pub fn take(self: &Arc<Self>, uid: u32, level: Level) -> Result<Seat> {
        let SeatLimits { all, per_uid, kept } = self.limits;
        let mut taken = self.lock();
        let own = taken.by_uid.get(&uid).copied().unwrap_or(0);
        if own >= per_uid {
            return Err(busy(format!("user {uid} already has {per_uid} connections: close one")));
        }
        if taken.all >= all {
            return Err(busy(format!("all {all} connections are taken: try again later")));
        }
        let is_reader = level == Level::Read;
        if is_reader && taken.readers >= all.saturating_sub(kept) {
            return Err(busy(format!("the last {kept} connections are kept for operators: try again later")));
        }
        taken.all += 1;
        taken.readers += usize::from(is_reader);
        taken.by_uid.insert(uid, own + 1);
        Ok(Seat { seats: self.clone(), uid, level })
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        lock(&self.taken)
    }
}

fn busy(message: String) -> Error {
    Error::new(Kind::Busy, message)
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.lock();
        taken.all -= 1;
        taken.readers -= usize::from(self.level == Level::Read);
        // No entry stays for a user who left: the table is no larger than the house.
        let own = taken.by_uid.remove(&self.uid).unwrap_or(0);
        if own > 1 {
            taken.by_uid.insert(self.uid, own - 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seats() -> Arc<Seats> {
        Seats::new(SeatLimits::default())
    }

    #[test]
    fn one_user_has_eight_whatever_the_level() {
        for level in [Level::Read, Level::Change, Level::Admin] {
            let seats = seats();
            let mut held: Vec<_> = (0..8).map(|_| seats.take(0, level).expect("a seat")).collect();
            let error = seats.take(0, level).expect_err("the ninth");
            assert_eq!(error.kind(), Kind::Busy);
            assert!(error.message().contains("user 0 already has 8"), "{error}");
            assert!(seats.take(1, level).is_ok(), "others are not concerned");
            held.pop();
            assert!(seats.take(0, level).is_ok(), "a seat that was left is free again");
        }
    }

    #[test]
    fn strangers_cannot_keep_the_operators_out() {
        let seats = seats();
        let readers: Vec<_> =
            (0..56).map(|n| seats.take(1000 + n / 8, Level::Read).expect("a seat")).collect();
        assert!(seats.take(3000, Level::Read).expect_err("kept").message().contains("kept for operators"));
        let change: Vec<_> = (0..4).map(|n| seats.take(2000 + n, Level::Change).expect("kept")).collect();
        let admin: Vec<_> = (0..4).map(|_| seats.take(0, Level::Admin).expect("kept")).collect();
        let error = seats.take(0, Level::Admin).expect_err("the 65th");
        assert!(error.message().contains("all 64"), "{error}");
        drop((readers, change, admin));
        let taken = seats.lock();
        assert_eq!((taken.all, taken.readers, taken.by_uid.len()), (0, 0, 0));
    }
}

//! Handshakes with strangers: each has a deadline, there is a most of them at a time, and rubbish costs little.
//!
//! When there are too many, the oldest gives way to the newest: an honest handshake takes two round trips, and
//! whoever holds places for nothing holds the oldest. The journal gets a few lines a second, and the sum of the rest.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::sync::Notify;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::{Sealed, Tls};
use crate::http::wire::Wire;
use crate::tools::burst::Burst;
use crate::tools::clock;
use crate::tools::lock::lock;

/// How long a handshake may take.
const DEADLINE: Duration = Duration::from_secs(10);
/// Most handshakes at a time; each holds some 30 KB.
const MOST: usize = 512;
/// What a TLS client begins with: a record of a handshake (RFC 8446, 5.1).
const HANDSHAKE_RECORD: u8 = 22;
/// For whoever begins with something else, which is HTTP without TLS as a rule.
const NOT_TLS: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 40\r\n\
    Connection: close\r\n\r\nthis port speaks TLS: use an https URL.\n";

/// Handshakes under way, and how those before ended.
#[derive(Debug, Default)]
pub struct Handshakes {
    under_way: Mutex<UnderWay>,
    done: AtomicU64,
    failed: AtomicU64,
    not_tls: AtomicU64,
    late: AtomicU64,
    displaced: AtomicU64,
    left: AtomicU64,
    lines: Mutex<Burst>,
}

/// Those under way, by the order in which they began.
#[derive(Debug, Default)]
struct UnderWay {
    next: u64,
    seats: BTreeMap<u64, Arc<Notify>>,
}

/// A place among them; free again when dropped.
struct Seat<'a> {
    all: &'a Handshakes,
    number: u64,
    displaced: Arc<Notify>,
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        lock(&self.all.under_way).seats.remove(&self.number);
    }
}

/// Why no connection came of it.
enum Failure {
    Left,
    NotTls,
    Late,
    Displaced,
    Failed(io::Error),
}

impl Handshakes {
    /// How they ended.
    pub fn counts(&self) -> talas_wire::Handshakes {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        talas_wire::Handshakes {
            under_way: lock(&self.under_way).seats.len() as u64,
            done: read(&self.done),
            failed: read(&self.failed),
            not_tls: read(&self.not_tls),
            late: read(&self.late),
            displaced: read(&self.displaced),
            left: read(&self.left),
        }
    }

    /// A place, at the cost of the oldest where all are taken.
    fn seat(&self) -> Seat<'_> {
        let displaced = Arc::new(Notify::new());
        let mut under_way = lock(&self.under_way);
        if under_way.seats.len() >= MOST
            && let Some((_, oldest)) = under_way.seats.pop_first()
        {
            oldest.notify_one();
        }
        let number = under_way.next;
        under_way.next += 1;
        under_way.seats.insert(number, displaced.clone());
        Seat { all: self, number, displaced }
    }

    fn count(&self, failure: &Failure) {
        let counter = match failure {
            Failure::Left => &self.left,
            Failure::NotTls => &self.not_tls,
            Failure::Late => &self.late,
            Failure::Displaced => &self.displaced,
            Failure::Failed(_) => &self.failed,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    fn tell(&self, failure: &Failure, address: SocketAddr) {
        let reason = match failure {
            // Whoever looks whether the port is open does nothing else.
            Failure::Left => return,
            Failure::NotTls => "it begins with something else than TLS".to_owned(),
            Failure::Late => format!("it took more than {} s", DEADLINE.as_secs()),
            Failure::Displaced => format!("it was the oldest of {MOST}"),
            Failure::Failed(error) => error.to_string(),
        };
        let now_ns = clock::mono_ns();
        let mut lines = lock(&self.lines);
        if let Some(sum) = lines.due(now_ns) {
            tracing::info!(event = "handshake_failed", count = sum.count, "handshakes failed");
        }
        if lines.happened(1, now_ns) {
            tracing::info!(event = "handshake_failed", %address, reason, "a handshake failed");
        }
    }
}

impl Tls {
    /// Shakes hands with whoever is at the other end; `None` when nothing came of it.
    pub async fn accept(&self, wire: Wire, address: SocketAddr) -> Option<Sealed> {
        let all = &self.handshakes;
        let seat = all.seat();
        let made = tokio::select! {
            made = tokio::time::timeout(DEADLINE, self.shake(wire)) => {
                made.unwrap_or(Err(Failure::Late))
            }
            () = seat.displaced.notified() => Err(Failure::Displaced),
        };
        match made {
            Ok(stream) => {
                all.done.fetch_add(1, Ordering::Relaxed);
                Some(Box::new(stream))
            }
            Err(failure) => {
                all.count(&failure);
                all.tell(&failure, address);
                None
            }
        }
    }

    async fn shake(&self, mut wire: Wire) -> Result<TlsStream<Wire>, Failure> {
        match wire.read_ahead().await {
            Ok(0) | Err(_) => return Err(Failure::Left),
            Ok(_) => {}
        }
        if wire.ahead().first() != Some(&HANDSHAKE_RECORD) {
            // Who does not take it does not learn it.
            let _ = wire.write_all(NOT_TLS).await;
            let _ = wire.shutdown().await;
            return Err(Failure::NotTls);
        }
        let acceptor = TlsAcceptor::from(self.pair.load().config());
        acceptor.accept(wire).await.map_err(Failure::Failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_to_plain_http_is_as_long_as_it_says() {
        let text = std::str::from_utf8(NOT_TLS).expect("text");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head");
        assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{}", body.len());
    }

    #[tokio::test]
    async fn the_oldest_gives_way_and_nobody_else() {
        let all = Handshakes::default();
        let seats: Vec<Seat<'_>> = (0..=MOST).map(|_| all.seat()).collect();
        let is_displaced = |seat: &Seat<'_>| {
            use futures_util::FutureExt;
            seat.displaced.notified().now_or_never().is_some()
        };
        assert!(is_displaced(&seats[0]));
        assert!(!seats[1..].iter().any(is_displaced));
        assert_eq!(all.counts().under_way, MOST as u64);
        drop(seats);
        assert_eq!(all.counts().under_way, 0);
    }
}

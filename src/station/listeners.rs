//! Who listens to live frames, to live sound and to low-latency sound: one entry for each, with figures that its connection keeps up to date.
//!
//! A block counts as sent when its last byte was written to the socket, not when it was handed to the
//! HTTP library: only the connection's own I/O wrapper knows.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use talas_wire::ConnectionInfo;
use uuid::Uuid;

use super::totals::Totals;
use crate::tools::clock;
use crate::tools::lock::lock;

/// Longest client name that is kept, in characters.
const USER_AGENT_CHARS: usize = 256;

/// Resets the connection of a listener.
pub struct Reset(Box<dyn Fn() + Send + Sync>);

impl Reset {
    /// By calling this.
    pub fn new(reset: impl Fn() + Send + Sync + 'static) -> Self {
        Self(Box::new(reset))
    }
}

impl std::fmt::Debug for Reset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Reset")
    }
}

/// What somebody listens to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Stream {
    /// Live frames.
    Frames {
        /// What the request should need while sound flows, in Mbit/s.
        needs_mbps: f64,
    },
    /// Live sound, for a player.
    Live,
    /// Low-latency sound, over WebSocket.
    Packets,
}

impl Stream {
    /// The word for it in lists.
    const fn kind(self) -> &'static str {
        match self {
            Self::Frames { .. } => "sse",
            Self::Live => "live",
            Self::Packets => "websocket",
        }
    }
}

/// Somebody who wants to listen.
#[derive(Debug)]
pub struct Arrival<'a> {
    /// Where from.
    pub ip: IpAddr,
    /// Who, where access knows.
    pub user_id: Option<&'a str>,
    /// What the client calls itself.
    pub user_agent: &'a str,
    /// The path that it asked for.
    pub path: &'a str,
    /// What it is to get.
    pub stream: Stream,
    /// Resets its connection.
    pub reset: Reset,
}

#[cfg(test)]
impl Arrival<'_> {
    /// Somebody for a test.
    pub fn test(ip: impl Into<IpAddr>, user_agent: &str) -> Arrival<'_> {
        Arrival {
            ip: ip.into(),
            user_id: None,
            user_agent,
            path: "/api/audio/stream",
            stream: Stream::Frames { needs_mbps: 0.0 },
            reset: Reset::new(|| ()),
        }
    }
}

/// A block on its way to the socket.
#[derive(Debug, Clone, Copy)]
struct InFlight {
    /// Bytes of the stream up to its end.
    until: u64,
    /// When its first sample was captured.
    captured_ns: i64,
}

/// One listener.
#[derive(Debug)]
pub struct Listener {
    /// Its id, which the first event carries.
    pub id: Uuid,
    ip: IpAddr,
    user_id: Option<String>,
    user_agent: String,
    connected_at: Timestamp,
    last_write_ms: AtomicI64,
    frames_sent: AtomicU64,
    bytes_sent: AtomicU64,
    errors: AtomicU64,
    /// Time from capture to socket, smoothed, nanoseconds; 0 before the first block.
    latency_ns: AtomicU64,
    /// Bytes written up to the newest look, and per second before it.
    looked_at: Mutex<(u64, f64)>,
    /// The path that it asked for.
    path: String,
    stream: Stream,
    /// Resets the connection.
    reset: Reset,
    /// Touched by the body and the I/O wrapper of one connection, one after the other: never contended.
    flight: Mutex<Flight>,
    totals: Arc<Totals>,
}

#[derive(Debug, Default)]
struct Flight {
    handed_over: u64,
    written: u64,
    blocks: VecDeque<InFlight>,
}

impl Listener {
    /// The body handed over so many bytes of the stream, framing included; `captured_ns` is the capture
    /// time of the block that ends with them, if one does.
    pub fn handed_over(&self, bytes: usize, captured_ns: Option<i64>) {
        let mut flight = lock(&self.flight);
        flight.handed_over += bytes as u64;
        if let Some(captured_ns) = captured_ns {
            let until = flight.handed_over;
            flight.blocks.push_back(InFlight { until, captured_ns });
        }
    }

    /// So many bytes were written to the socket.
    pub fn written(&self, bytes: usize) {
        let now_ns = clock::mono_ns();
        let mut flight = lock(&self.flight);
        // The head of the response is written too, and was never handed over.
        let before = flight.written;
        flight.written = (before + bytes as u64).min(flight.handed_over);
        self.count_bytes(flight.written - before);
        while let Some(block) = flight.blocks.front().copied().filter(|block| block.until <= flight.written) {
            flight.blocks.pop_front();
            self.frames_sent.fetch_add(1, Ordering::Relaxed);
            let latency_ns = u64::try_from(now_ns - block.captured_ns).unwrap_or(0);
            self.smooth_latency(latency_ns);
            self.totals.latency.add(Duration::from_nanos(latency_ns));
        }
    }

    /// An eighth of the newest, seven of what was: about the last eight blocks.
    fn smooth_latency(&self, newest_ns: u64) {
        let before = self.latency_ns.load(Ordering::Relaxed);
        let smoothed = if before == 0 { newest_ns } else { before - before / 8 + newest_ns / 8 };
        self.latency_ns.store(smoothed, Ordering::Relaxed);
    }

    /// Once a second: how much was written since the look before, which was so many seconds ago.
    fn look(&self, seconds: f64) {
        let bytes = self.bytes_sent.load(Ordering::Relaxed);
        let mut looked_at = lock(&self.looked_at);
        *looked_at = (bytes, (bytes - looked_at.0) as f64 / seconds);
    }

    /// Time from capture to socket, smoothed over the last blocks, in milliseconds.
    pub fn latency_ms(&self) -> f64 {
        self.latency_ns.load(Ordering::Relaxed) as f64 / 1e6
    }

    /// Written over the last second, in Mbit/s.
    pub fn throughput_mbps(&self) -> f64 {
        lock(&self.looked_at).1 * 8.0 / 1e6
    }

    /// What the request should need while sound flows, in Mbit/s.
    pub fn needs_mbps(&self) -> f64 {
        if let Stream::Frames { needs_mbps } = self.stream { needs_mbps } else { 0.0 }
    }

    /// What it listens to.
    pub fn stream(&self) -> Stream {
        self.stream
    }

    /// So many bytes of sound were written to its socket.
    pub fn live_wrote(&self, bytes: usize, now_ms: i64) {
        self.bytes_sent.fetch_add(bytes as u64, Ordering::Relaxed);
        if let Some(totals) = self.totals.sound(self.stream) {
            totals.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        }
        self.last_write_ms.store(now_ms, Ordering::Relaxed);
    }

    /// So many packets of sound were written whole; `latency` since the capture of the first sample,
    /// where the listener had everything before.
    pub fn live_finished(&self, packets: u32, latency: Option<Duration>) {
        self.frames_sent.fetch_add(packets.into(), Ordering::Relaxed);
        if let Some(latency) = latency {
            self.smooth_latency(u64::try_from(latency.as_nanos()).unwrap_or(0));
            if let Some(totals) = self.totals.sound(self.stream) {
                totals.latency.add(latency);
            }
        }
    }

    /// It fell too far behind.
    pub fn live_late(&self) {
        self.errors.fetch_add(1, Ordering::Relaxed);
        if let Some(totals) = self.totals.sound(self.stream) {
            totals.late.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn count_bytes(&self, bytes: u64) {
        if bytes > 0 {
            self.bytes_sent.fetch_add(bytes, Ordering::Relaxed);
            self.totals.bytes.fetch_add(bytes, Ordering::Relaxed);
            self.last_write_ms.store(Timestamp::now().as_millisecond(), Ordering::Relaxed);
        }
    }

    /// It was too slow and missed so many blocks.
    pub fn missed(&self, blocks: u64) {
        self.errors.fetch_add(1, Ordering::Relaxed);
        self.totals.dropped.fetch_add(blocks, Ordering::Relaxed);
    }

    /// What people may know of it.
    pub fn info(&self) -> ConnectionInfo {
        let last_write = Timestamp::from_millisecond(self.last_write_ms.load(Ordering::Relaxed));
        ConnectionInfo {
            id: self.id.to_string(),
            user_id: self.user_id.clone(),
            ip_address: self.ip.to_string(),
            user_agent: self.user_agent.clone(),
            connected_at: self.connected_at.to_string(),
            last_heartbeat: last_write.unwrap_or(self.connected_at).to_string(),
            frames_sent: self.frames_sent.load(Ordering::Relaxed),
            bytes_sent: self.bytes_sent.load(Ordering::Relaxed),
            errors_count: self.errors.load(Ordering::Relaxed),
            path: self.path.clone(),
            kind: self.stream.kind().to_owned(),
        }
    }
}

/// A stranger's name for terminals and logs: a tab is the one control character that a header may hold.
fn printable(name: &str) -> String {
    name.chars().take(USER_AGENT_CHARS).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Everybody who listens.
#[derive(Debug, Default)]
pub struct Listeners {
    /// By id, which grows with time: oldest first.
    list: Mutex<std::collections::BTreeMap<Uuid, Arc<Listener>>>,
    /// Figures of all of them ever.
    pub totals: Arc<Totals>,
    /// Open HTTP connections.
    pub connections: AtomicU64,
}

/// Takes a listener off the list when dropped.
#[derive(Debug)]
pub struct Registered {
    /// The listener.
    pub listener: Arc<Listener>,
    all: Arc<Listeners>,
}

impl Listeners {
    /// Puts a listener on the list; `None` when there are `most` already (0 is no limit).
    pub fn register(self: &Arc<Self>, arrival: Arrival<'_>, most: u32) -> Option<Registered> {
        let now = Timestamp::now();
        let listener = Arc::new(Listener {
            id: Uuid::now_v7(),
            ip: arrival.ip,
            user_id: arrival.user_id.map(printable),
            user_agent: printable(arrival.user_agent),
            connected_at: now,
            last_write_ms: AtomicI64::new(now.as_millisecond()),
            frames_sent: AtomicU64::new(0),
            bytes_sent: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            latency_ns: AtomicU64::new(0),
            looked_at: Mutex::new((0, 0.0)),
            path: arrival.path.to_owned(),
            stream: arrival.stream,
            reset: arrival.reset,
            flight: Mutex::default(),
            totals: self.totals.clone(),
        });
        // Counted and put on the list in one step: of a crowd that comes at once no more than `most` get in.
        let mut list = lock(&self.list);
        if most > 0 && list.len() >= most as usize {
            return None;
        }
        list.insert(listener.id, listener.clone());
        match self.totals.sound(arrival.stream) {
            None => &self.totals.begun,
            Some(totals) => {
                totals.active.fetch_add(1, Ordering::Relaxed);
                &totals.begun
            }
        }
        .fetch_add(1, Ordering::Release);
        Some(Registered { listener, all: self.clone() })
    }

    /// Resets the connection of a listener. Whether there is one of this id.
    pub fn kick(&self, id: Uuid) -> bool {
        let listener = lock(&self.list).get(&id).cloned();
        listener.as_ref().inspect(|listener| (listener.reset.0)()).is_some()
    }

    /// Once a second, `seconds` after the time before: measures what each listener gets.
    pub fn look(&self, seconds: f64) {
        lock(&self.list).values().for_each(|listener| listener.look(seconds));
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        lock(&self.list).len() as u64
    }

    /// How many of them listen to live sound.
    pub fn live(&self) -> u64 {
        self.totals.live.active.load(Ordering::Relaxed)
    }

    /// How many of them listen to low-latency sound.
    pub fn packets(&self) -> u64 {
        self.totals.packets.active.load(Ordering::Relaxed)
    }

    /// How many of them listen to live frames.
    pub fn frames(&self) -> u64 {
        self.count().saturating_sub(self.live() + self.packets())
    }

    /// Those after an id, oldest first, at most so many.
    pub fn page(&self, after: Option<Uuid>, limit: usize) -> Vec<Arc<Listener>> {
        use std::ops::Bound;
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        lock(&self.list)
            .range((from, Bound::Unbounded))
            .take(limit)
            .map(|(_, listener)| listener.clone())
            .collect()
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        let mut list = lock(&self.all.list);
        list.remove(&self.listener.id);
        let totals = &self.all.totals;
        match totals.sound(self.listener.stream) {
            None => &totals.ended,
            Some(totals) => {
                totals.active.fetch_sub(1, Ordering::Relaxed);
                &totals.ended
            }
        }
        .fetch_add(1, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn register(all: &Arc<Listeners>, n: u32) -> Registered {
        let user_agent = format!("{n}{}", "x".repeat(400));
        all.register(Arrival::test(Ipv4Addr::LOCALHOST, &user_agent), 5).expect("there is room")
    }

    #[test]
    fn a_block_counts_when_its_last_byte_is_on_the_socket() {
        let all = Arc::new(Listeners::default());
        let registered = register(&all, 1);
        let listener = &registered.listener;
        let counts = || {
            let info = listener.info();
            (info.frames_sent, info.bytes_sent)
        };
        listener.written(300);
        assert_eq!(counts(), (0, 0), "the head is no part of the stream");
        listener.handed_over(20, None);
        listener.handed_over(1000, Some(clock::mono_ns()));
        listener.written(1019);
        assert_eq!(counts(), (0, 1019));
        listener.written(1);
        assert_eq!(counts(), (1, 1020));
        assert_eq!(all.totals.latency.count(), 1);
    }

    #[test]
    fn pages_go_from_the_oldest_to_the_newest_and_those_who_left_are_gone() {
        let all = Arc::new(Listeners::default());
        let mut registered: Vec<_> = (0..5).map(|n| register(&all, n)).collect();
        assert!(all.register(Arrival::test(Ipv4Addr::LOCALHOST, "6"), 5).is_none(), "no room for a sixth");
        drop(registered.remove(1));
        let first = all.page(None, 3);
        let rest = all.page(first.last().map(|l| l.id), 3);
        let agents: Vec<_> = first.iter().chain(&rest).map(|l| l.info().user_agent).collect();
        assert_eq!(agents.iter().map(|a| &a[..1]).collect::<Vec<_>>(), ["0", "2", "3", "4"]);
        assert!(agents.iter().all(|agent| agent.len() == USER_AGENT_CHARS));
        assert_eq!(all.count(), 4);
    }
}

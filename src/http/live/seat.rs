//! One listener on a socket of its own: what was written, what waits, and when it is over.
//!
//! A seat takes whole groups. What the socket did not take of one waits as its rest; of those after it only
//! the place is kept, so a stalled player costs a rest and a number. A seat ends at the border of a packet.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use bytes::Bytes;
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, send, sendmsg};

use super::lanes::Hold;
use super::woven::{Woven, skip};
use crate::http::stream::is_worth_a_line;
use crate::http::wire::Wire;
use crate::mux::icy::Weaver;
use crate::station::Registered;
use crate::station::live::{Group, Subscription, Suffix};
use crate::tools::burst::Burst;
use crate::tools::clock::{self, WallClock};
use crate::tools::lock::lock;
use crate::tools::spread::Next;

/// Pieces that go out with one call: a burst of groups.
const PIECES: usize = 32;
/// Bytes that the kernel may hold unsent for a listener, or a second of its stream if that is more: one who
/// stalls is known by what the log keeps, not by what the kernel swallows.
const LEAST_UNSENT: u32 = 16 * 1024;
/// How long a listener that is cut may take for what it has begun.
const GRACE: Duration = Duration::from_secs(10);
/// Nothing else waits for the socket, and nobody is killed by a closed one.
const FLAGS: MsgFlags = MsgFlags::MSG_DONTWAIT.union(MsgFlags::MSG_NOSIGNAL);

/// A moment.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// On the monotonic clock, in nanoseconds.
    mono_ns: i64,
    /// In milliseconds since the epoch.
    pub wall_ms: i64,
}

impl Now {
    /// This one.
    pub fn new(wall: &WallClock) -> Self {
        let mono_ns = clock::mono_ns();
        Self { mono_ns, wall_ms: i64::try_from(wall.ms_at(mono_ns)).unwrap_or(0) }
    }

    /// How long ago a moment of the monotonic clock is.
    pub fn since(self, mono_ns: i64) -> Duration {
        Duration::from_nanos(u64::try_from(self.mono_ns - mono_ns).unwrap_or(0))
    }
}

/// Why a listener is no longer there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It went away.
    Left,
    /// It fell too far behind.
    Late,
    /// An operator threw it out.
    Kicked,
    /// The programme or its encoding ended.
    Over,
}

impl End {
    /// The word in the journal and in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Late => "fell too far behind",
            Self::Kicked => "kicked",
            Self::Over => "the programme ended",
        }
    }
}

/// How a seat stands after it was given something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// It has everything there is.
    CaughtUp,
    /// Its socket takes no more for now.
    Full,
    /// It is done.
    Done(End),
}

/// What a seat begins with.
#[derive(Debug)]
pub struct Ticket {
    /// What it listens to.
    pub source: Subscription,
    /// Number of its first group.
    pub next: u64,
    /// What comes before that.
    pub head: Bytes,
    /// Set for those who listen to the chosen profile, whatever that is.
    pub follows: Option<Suffix>,
    /// Set for those who want titles.
    pub icy: Option<Weaver>,
    /// Its place on the list.
    pub registered: Registered,
}

/// A listener.
#[derive(Debug)]
pub struct Seat {
    socket: OwnedFd,
    /// What it listens to.
    pub source: Subscription,
    /// The rendition that it is to go over to.
    pub moving: Option<Subscription>,
    /// Set for those who listen to the chosen profile, whatever that is.
    pub follows: Option<Suffix>,
    /// Number of the next group.
    pub next: u64,
    icy: Option<Weaver>,
    /// The link of a chain that it is in.
    link: Option<u64>,
    rest: Vec<Bytes>,
    /// Bytes of the rest up to the end of a packet that was begun.
    to_border: usize,
    /// Packets that are sent when the rest is.
    packets_under_way: u32,
    epoch: u64,
    /// Since when it is being cut, and why.
    leaving: Option<(Instant, End)>,
    registered: Registered,
    _hold: Hold,
}

impl Seat {
    /// On this socket. What goes before the first group counts as one packet that is under way.
    pub fn new(socket: OwnedFd, ticket: Ticket, hold: Hold) -> Self {
        let Ticket { source, next, head, follows, icy, registered } = ticket;
        let epoch = source.log().epoch();
        let unsent = source.running.bytes_per_second().max(LEAST_UNSENT);
        // Without it the kernel takes more before it refuses.
        let _ = socket2::SockRef::from(&socket).set_tcp_notsent_lowat(unsent);
        Self {
            socket,
            source,
            moving: None,
            follows,
            next,
            icy,
            link: None,
            to_border: head.len(),
            rest: if head.is_empty() { Vec::new() } else { vec![head] },
            packets_under_way: 0,
            epoch,
            leaving: None,
            registered,
            _hold: hold,
        }
    }

    /// Its id.
    pub fn id(&self) -> uuid::Uuid {
        self.registered.listener.id
    }

    /// Whether nothing waits for it before this group.
    pub fn is_ready_for(&self, number: u64) -> bool {
        self.next == number && self.rest.is_empty() && self.leaving.is_none()
    }

    /// Takes the group that it is ready for.
    pub fn take(&mut self, group: &Group, now: Now) -> Progress {
        if self.icy.is_some() || group.link.is_some() {
            return self.take_all(std::slice::from_ref(group), now, true);
        }
        match send(self.socket.as_raw_fd(), &group.bytes, FLAGS) {
            Ok(sent) => {
                self.begun(group);
                self.wrote(sent, now);
                if sent == group.bytes.len() {
                    self.finished(group.packets, Some(now.since(group.mono_ns)));
                    return Progress::CaughtUp;
                }
                self.rest = vec![group.bytes.slice(sent..)];
                self.to_border = group.border_after(sent) - sent;
                self.packets_under_way = group.packets;
                Progress::Full
            }
            Err(errno) => self.refused(errno),
        }
    }

    /// Takes groups in order, as many as fit into one call and as the socket takes. `is_fresh` says that the
    /// seat had everything before.
    fn take_all(&mut self, groups: &[Group], now: Now, is_fresh: bool) -> Progress {
        let mut woven: Vec<Woven> = Vec::with_capacity(groups.len());
        let mut count = 0;
        for group in groups {
            let (icy, link) = match woven.last() {
                Some(before) => (before.icy.as_ref(), before.link),
                None => (self.icy.as_ref(), self.link),
            };
            let next = Woven::new(group, icy, link);
            count += next.pieces.len();
            if count > PIECES && !woven.is_empty() {
                break;
            }
            woven.push(next);
        }
        let pieces = woven.iter().flat_map(|woven| &woven.pieces).map(|piece| &*piece.bytes);
        let mut sent = match send_pieces(self.socket.as_fd(), pieces) {
            Ok(sent) => sent,
            Err(errno) => return self.refused(errno),
        };
        self.wrote(sent, now);
        for (group, woven) in groups.iter().zip(woven) {
            if sent == 0 {
                return Progress::Full;
            }
            self.begun(group);
            self.icy.clone_from(&woven.icy);
            self.link = woven.link;
            let length = woven.len();
            if sent < length {
                (self.rest, self.to_border) = woven.rest(sent, group);
                self.packets_under_way = group.packets;
                return Progress::Full;
            }
            sent -= length;
            self.finished(group.packets, is_fresh.then(|| now.since(group.mono_ns)));
        }
        Progress::CaughtUp
    }

    /// Goes on where it stood: the rest, then everything there is.
    pub fn catch_up(&mut self, now: Now) -> Progress {
        if self.source.log().epoch() > self.epoch {
            self.forget_rest();
        }
        while !self.rest.is_empty() {
            let sent = match send_pieces(self.socket.as_fd(), self.rest.iter().map(|bytes| &**bytes)) {
                Ok(sent) => sent,
                Err(errno) => return self.refused(errno),
            };
            self.wrote(sent, now);
            self.to_border = self.to_border.saturating_sub(sent);
            skip(&mut self.rest, sent);
            if self.rest.is_empty() {
                let packets = std::mem::take(&mut self.packets_under_way);
                self.finished(packets, None);
            }
        }
        if let Some((_, end)) = self.leaving {
            return Progress::Done(end);
        }
        self.take_backlog(now)
    }

    fn take_backlog(&mut self, now: Now) -> Progress {
        loop {
            let mut groups = Vec::new();
            let mut next = self.next;
            while groups.len() < PIECES / 4 {
                match self.source.log().read(&mut next) {
                    Some(Next::Entry(group)) => groups.push(group),
                    Some(Next::Missed(_)) if groups.is_empty() => return self.cut(End::Late),
                    Some(Next::Closed) if groups.is_empty() => return Progress::Done(End::Over),
                    Some(Next::Missed(_) | Next::Closed) | None => break,
                }
                // After a pause the numbers go on behind what was withdrawn.
                self.next = next - groups.len() as u64;
            }
            if groups.is_empty() {
                self.next = next;
                return Progress::CaughtUp;
            }
            match self.take_all(&groups, now, false) {
                Progress::CaughtUp => {}
                other => return other,
            }
        }
    }

    /// Once a second: whether it fell too far behind, or takes too long to be cut.
    pub fn look(&mut self, now: Now) -> Progress {
        if let Some((since, end)) = self.leaving {
            if since.elapsed() < GRACE {
                return Progress::Full;
            }
            self.reset();
            return Progress::Done(end);
        }
        let mut next = self.next;
        match self.source.log().read(&mut next) {
            Some(Next::Missed(_)) => self.cut(End::Late),
            None if self.rest.is_empty() => Progress::CaughtUp,
            _ => self.catch_up(now),
        }
    }

    /// Ends it at the next border of a packet.
    fn cut(&mut self, end: End) -> Progress {
        let (_, end) = *self.leaving.get_or_insert((Instant::now(), end));
        self.forget_rest();
        if self.rest.is_empty() { Progress::Done(end) } else { Progress::Full }
    }

    /// Keeps of the rest what belongs to a packet that was begun.
    fn forget_rest(&mut self) {
        self.epoch = self.source.log().epoch();
        let mut left = std::mem::take(&mut self.to_border);
        self.to_border = left;
        self.rest.retain_mut(|bytes| {
            bytes.truncate(left);
            left -= bytes.len();
            !bytes.is_empty()
        });
    }

    /// From here on closing means a reset: what the kernel still holds is thrown away.
    pub fn reset(&self) {
        Wire::reset_on_close(&self.socket);
    }

    /// Goes over to the rendition that it is on its way to, if that one has come as far as this seat: to the
    /// group that stands where the next one of the old does. Gives back the hold on the old.
    pub fn go_over(&mut self, group: &Group) -> Option<Subscription> {
        let to = self.moving.take()?;
        match to.meeting(group) {
            Some(number) => {
                self.next = number;
                self.epoch = to.log().epoch();
                Some(std::mem::replace(&mut self.source, to))
            }
            None => {
                self.moving = Some(to);
                None
            }
        }
    }

    /// Tells the journal that it is over.
    pub fn tell_end(&self, end: End) {
        tell_end(&self.registered, &self.source, end);
    }

    fn begun(&mut self, group: &Group) {
        self.next += 1;
        self.epoch = group.epoch;
    }

    fn wrote(&self, bytes: usize, now: Now) {
        self.registered.listener.live_wrote(bytes, now.wall_ms);
    }

    fn finished(&self, packets: u32, latency: Option<Duration>) {
        self.registered.listener.live_finished(packets, latency);
    }

    fn refused(&self, errno: Errno) -> Progress {
        match errno {
            Errno::EAGAIN | Errno::EINTR | Errno::ENOBUFS | Errno::ENOMEM => Progress::Full,
            _ => Progress::Done(self.leaving.map_or(End::Left, |(_, end)| end)),
        }
    }
}

impl AsFd for Seat {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Tells the journal that a listener is gone.
pub fn tell_end(registered: &Registered, source: &Subscription, end: End) {
    let listener = &registered.listener;
    let stream = source.running.plan.key.name();
    if end == End::Late {
        static CUT: Mutex<Burst> = Mutex::new(Burst::new());
        let (mut cut, now_ns) = (lock(&CUT), clock::mono_ns());
        if let Some(sum) = cut.due(now_ns) {
            tracing::warn!(event = "listeners_cut", count = sum.count, "listeners were cut");
        }
        if cut.happened(1, now_ns) {
            let (connection, reason) = (listener.id, end.as_str());
            tracing::warn!(event = "listener_cut", %connection, stream, reason, "listener cut");
        }
    } else if is_worth_a_line() {
        let info = listener.info();
        tracing::info!(
            event = "listener_left",
            connection = info.id,
            stream,
            reason = end.as_str(),
            packets = info.frames_sent,
            bytes = info.bytes_sent,
            "listener left"
        );
    }
    if end == End::Late {
        listener.live_late();
    }
}

/// Sends as many pieces as go out with one call.
fn send_pieces<'a>(socket: BorrowedFd<'_>, pieces: impl Iterator<Item = &'a [u8]>) -> nix::Result<usize> {
    let mut slices = [IoSlice::new(&[]); PIECES];
    let mut count = 0;
    for (slice, piece) in slices.iter_mut().zip(pieces) {
        *slice = IoSlice::new(piece);
        count += 1;
    }
    sendmsg::<()>(socket.as_raw_fd(), &slices[..count], &[], FLAGS, None)
}

/// Reads and throws away what a player says after its request. `false` when it has left.
pub fn drain_input(socket: BorrowedFd<'_>) -> bool {
    let mut waste = [0; 1024];
    match nix::unistd::read(socket, &mut waste).map_err(io::Error::from) {
        Ok(0) => false,
        Ok(_) => true,
        Err(error) => matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted),
    }
}

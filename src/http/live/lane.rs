//! A lane: one thread that writes the groups of renditions to many sockets.
//!
//! It sleeps until a log has something new or a socket has something to say, and then goes through its
//! seats: one wake and one call for each listener and group. Nothing in it waits for anybody. Seats that
//! lag go on from their own place whenever their sockets take more.

use std::os::fd::AsFd;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::{EfdFlags, EventFd};
use uuid::Uuid;

use super::seat::{End, Now, Progress, Seat, drain_input};
use crate::error::{Error, Kind, Result};
use crate::station::Station;
use crate::station::live::Group;
use crate::tools::lock::lock;
use crate::tools::spread::{Cursor, Log, Next};

/// How often seats that lag are looked at.
const LOOK: Duration = Duration::from_secs(1);
/// Events taken with one call.
const EVENTS: usize = 256;
/// The event that is no seat's.
const BELL: u64 = u64::MAX;

/// What a lane is told.
#[derive(Debug)]
pub enum Order {
    /// A listener came.
    Seat(Box<Seat>),
    /// A listener is to go.
    Kick(Uuid),
    /// The lane is to end, with whoever sits in it.
    Stop,
}

/// Wakes a lane.
#[derive(Debug)]
struct Bell(EventFd);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Fails only when the counter is full, and then the lane is awake anyway.
        let _ = self.0.write(1);
    }
}

/// The way to a lane.
#[derive(Debug, Clone)]
pub struct Way {
    bell: Arc<Bell>,
    orders: Arc<Mutex<Vec<Order>>>,
}

impl Way {
    /// Tells the lane.
    pub fn tell(&self, order: Order) {
        lock(&self.orders).push(order);
        self.bell.wake_by_ref();
    }
}

/// A log that seats of this lane listen to.
#[derive(Debug)]
struct Feed {
    log: Log<Group>,
    cursor: Cursor<Group>,
    /// Places of the seats that listen to it.
    members: Vec<usize>,
}

/// The thread's own.
pub struct Lane {
    station: Arc<Station>,
    epoll: Epoll,
    way: Way,
    seats: Vec<Option<Seat>>,
    free: Vec<usize>,
    feeds: Vec<Feed>,
    /// How often another profile was chosen, as far as this lane has followed.
    changes: u64,
    looked: Instant,
    is_stopping: bool,
}

impl Lane {
    /// A lane without seats, and the way to it.
    ///
    /// # Errors
    /// The process is out of descriptors.
    pub fn new(station: Arc<Station>) -> Result<(Self, Way)> {
        let failed = |error| Error::caused(Kind::Internal, "cannot watch sockets", error);
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map_err(failed)?;
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        let bell = Arc::new(Bell(EventFd::from_flags(flags).map_err(failed)?));
        epoll.add(bell.0.as_fd(), EpollEvent::new(EpollFlags::EPOLLIN, BELL)).map_err(failed)?;
        let way = Way { bell, orders: Arc::default() };
        let lane = Self {
            changes: station.live().changes(),
            station,
            epoll,
            way: way.clone(),
            seats: Vec::new(),
            free: Vec::new(),
            feeds: Vec::new(),
            looked: Instant::now(),
            is_stopping: false,
        };
        Ok((lane, way))
    }

    /// Runs until it is told to stop.
    pub fn run(mut self) {
        let mut events = [EpollEvent::empty(); EVENTS];
        let timeout = EpollTimeout::try_from(LOOK).unwrap_or(EpollTimeout::NONE);
        while !self.is_stopping {
            // An interrupted wait is a turn like any other.
            let count = self.epoll.wait(&mut events, timeout).unwrap_or(0);
            for event in &events[..count] {
                self.handle(*event);
            }
            self.follow_orders();
            self.follow_choice();
            self.deliver();
            if self.looked.elapsed() >= LOOK {
                self.looked = Instant::now();
                self.look();
            }
        }
    }

    fn handle(&mut self, event: EpollEvent) {
        if event.data() == BELL {
            // Whatever rang, the turn looks at everything.
            let _ = self.way.bell.0.read();
            return;
        }
        let Ok(place) = usize::try_from(event.data()) else { return };
        let Some(Some(seat)) = self.seats.get_mut(place) else { return };
        let flags = event.events();
        let gone = EpollFlags::EPOLLERR | EpollFlags::EPOLLHUP | EpollFlags::EPOLLRDHUP;
        if flags.intersects(gone) || (flags.contains(EpollFlags::EPOLLIN) && !drain_input(seat.as_fd())) {
            return self.leave(place, End::Left);
        }
        if flags.contains(EpollFlags::EPOLLOUT) {
            self.catch_up(place, self.now());
        }
    }

    fn settle(&mut self, place: usize, progress: Progress) {
        if let Progress::Done(end) = progress {
            self.leave(place, end);
        }
    }

    fn follow_orders(&mut self) {
        let orders = std::mem::take(&mut *lock(&self.way.orders));
        for order in orders {
            match order {
                Order::Seat(seat) => self.seat(*seat),
                Order::Kick(id) => self.kick(id),
                Order::Stop => self.is_stopping = true,
            }
        }
    }

    fn seat(&mut self, seat: Seat) {
        let place = self.free.pop().unwrap_or(self.seats.len());
        let flags = EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT | EpollFlags::EPOLLRDHUP | EpollFlags::EPOLLET;
        if let Err(errno) = self.epoll.add(&seat, EpollEvent::new(flags, place as u64)) {
            tracing::warn!(event = "listener_refused", reason = %errno, "a listener cannot be watched");
            self.free.extend((place < self.seats.len()).then_some(place));
            return;
        }
        if place == self.seats.len() {
            self.seats.push(None);
        }
        self.join(place, seat.source.log().clone());
        // The socket has room: its first event says so, and brings the backlog.
        self.seats[place] = Some(seat);
    }

    /// Enters a seat in the feed of a log. What the log has before that the seat fetches itself.
    fn join(&mut self, place: usize, log: Log<Group>) {
        match self.feeds.iter_mut().find(|feed| feed.log.is(&log)) {
            Some(feed) => feed.members.push(place),
            None => self.feeds.push(Feed { cursor: log.from_now(), log, members: vec![place] }),
        }
    }

    /// Takes a seat out of the feed of a log. An empty feed goes at the end of the turn.
    fn part(&mut self, place: usize, log: &Log<Group>) {
        if let Some(feed) = self.feeds.iter_mut().find(|feed| feed.log.is(log)) {
            feed.members.retain(|member| *member != place);
        }
    }

    fn leave(&mut self, place: usize, end: End) {
        let Some(seat) = self.seats.get_mut(place).and_then(Option::take) else { return };
        self.part(place, seat.source.log());
        self.free.push(place);
        seat.tell_end(end);
    }

    fn kick(&mut self, id: Uuid) {
        let found = self.seats.iter().position(|seat| seat.as_ref().is_some_and(|seat| seat.id() == id));
        let Some(place) = found else { return };
        if let Some(Some(seat)) = self.seats.get(place) {
            seat.reset();
        }
        self.leave(place, End::Kicked);
    }

    fn now(&self) -> Now {
        Now::new(self.station.wall())
    }

    /// Hands out what is new.
    fn deliver(&mut self) {
        let waker = Waker::from(self.way.bell.clone());
        let cx = Context::from_waker(&waker);
        let mut at = 0;
        while let Some(feed) = self.feeds.get_mut(at) {
            let number = feed.cursor.number();
            match feed.cursor.poll_next(&cx) {
                Poll::Ready(Next::Entry(group)) => self.hand_out(at, number, &group),
                Poll::Ready(Next::Missed(_)) => self.catch_up_all(at),
                Poll::Ready(Next::Closed) => {
                    // Whoever has everything is done; the others come here again when their sockets take more.
                    self.catch_up_all(at);
                    at += 1;
                }
                Poll::Pending => at += 1,
            }
        }
        self.feeds.retain(|feed| !feed.members.is_empty());
    }

    fn hand_out(&mut self, at: usize, number: u64, group: &Group) {
        let now = self.now();
        let Self { feeds, seats, .. } = self;
        // Few, if any.
        let (mut done, mut going_over) = (Vec::new(), Vec::new());
        for place in &feeds[at].members {
            let Some(Some(seat)) = seats.get_mut(*place) else { continue };
            if !seat.is_ready_for(number) {
                continue;
            }
            if seat.moving.is_some() {
                going_over.push(*place);
            } else if let Progress::Done(end) = seat.take(group, now) {
                done.push((*place, end));
            }
        }
        for (place, end) in done {
            self.leave(place, end);
        }
        for place in going_over {
            self.go_over(place, group, now);
        }
    }

    /// A seat on its way to another rendition is there as soon as that one has come so far; until then it
    /// gets one more group of the old one.
    fn go_over(&mut self, place: usize, group: &Group, now: Now) {
        let Some(Some(seat)) = self.seats.get_mut(place) else { return };
        let Some(from) = seat.go_over(group) else {
            let progress = seat.take(group, now);
            return self.settle(place, progress);
        };
        let log = seat.source.log().clone();
        self.part(place, from.log());
        self.join(place, log);
        self.catch_up(place, now);
    }

    fn catch_up(&mut self, place: usize, now: Now) {
        if let Some(Some(seat)) = self.seats.get_mut(place) {
            let progress = seat.catch_up(now);
            self.settle(place, progress);
        }
    }

    fn catch_up_all(&mut self, at: usize) {
        let now = self.now();
        for place in self.feeds[at].members.clone() {
            self.catch_up(place, now);
        }
    }

    /// Those that lag: did they fall too far behind, do they take too long to be cut, or was an event of
    /// their sockets lost to a shortage of memory?
    fn look(&mut self) {
        let now = self.now();
        for place in 0..self.seats.len() {
            if let Some(Some(seat)) = self.seats.get_mut(place) {
                let progress = seat.look(now);
                self.settle(place, progress);
            }
        }
    }

    /// Another profile was chosen, or one is another now: those whom it concerns begin to go over where their
    /// codec allows.
    fn follow_choice(&mut self) {
        let live = self.station.live();
        let changes = live.changes();
        if changes == self.changes {
            return;
        }
        self.changes = changes;
        for seat in self.seats.iter_mut().flatten() {
            seat.moving = live.successor(&seat.source, seat.follows);
        }
    }
}

//! `GET /api/audio/stream`: live frames as server-sent events.
//!
//! The body holds a cursor into a rendition's log and hands the shared bytes on. Whatever happens, each
//! frame number after a listener's first is either sent or covered by a told gap, once, in order.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use http_body::{Body, Frame};
use tokio::time::{Instant, Interval, MissedTickBehavior, Sleep, interval_at, sleep_until};

use super::extra::Extra;
use super::feed::Feed;
use super::pacing::Pacing;
use super::place::{Place, Verdict};
use super::query::StreamQuery;
use crate::audio::Gap;
use crate::error::Result;
use crate::mux::sse::{self, Event};
use crate::station::{Key, LastEvent, Listener, Packet, Registered, Station, Told, gap_event, state_event};
use crate::tools::burst::Burst;
use crate::tools::clock;
use crate::tools::lock::lock;
use crate::tools::spread::Next;

/// How long a client is told to wait before it comes back.
const RETRY_MS: u32 = 2000;

/// Whether a listener who comes or goes gets a line in the log. A crowd, or somebody who connects in a
/// loop, becomes a sum once a second.
pub fn is_worth_a_line() -> bool {
    static COMING_AND_GOING: Mutex<Burst> = Mutex::new(Burst::new());
    let now_ns = clock::mono_ns();
    let mut burst = lock(&COMING_AND_GOING);
    if let Some(sum) = burst.due(now_ns) {
        tracing::info!(event = "listeners_came_and_went", count = sum.count, "listeners came and went");
    }
    burst.happened(1, now_ns)
}

/// How the bytes of the body reach the socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// HTTP/1.1: each piece is a chunk on a [line](super::line) of its own.
    Chunked,
    /// HTTP/1.0: the bytes as they are on such a line, to the end of the connection.
    Plain,
    /// HTTP/2: interleaved with other streams; a piece counts as sent when it is handed over.
    Multiplexed,
}

impl Transport {
    /// What an event is on the socket.
    pub fn framed(self, event: &Event) -> Bytes {
        match self {
            Self::Chunked => event.chunk().clone(),
            Self::Plain | Self::Multiplexed => event.bytes(),
        }
    }
}

/// A piece of the body, and the capture time of the block in it if it is one.
type Piece = (Event, Option<i64>);

/// A listener that wants few blocks is not woken for each: it sleeps until one is due, or the state
/// changes, or its backlog must be looked through before entries are dropped.
struct Paced {
    pacing: Pacing,
    began: Instant,
    timer: Pin<Box<Sleep>>,
    /// The newest block that was not yet sent.
    held: Option<Packet>,
    state_changes: BoxStream<'static, ()>,
    /// The state changed, and the entry that tells of it has not come yet.
    is_urgent: bool,
}

/// A sleeping listener looks through its backlog so often: well within what a rendition keeps.
const LOOK_THROUGH: Duration = Duration::from_secs(1);

/// The body.
pub struct StreamBody {
    station: Arc<Station>,
    feed: Feed,
    place: Place,
    paced: Option<Paced>,
    extra: Extra,
    queue: VecDeque<Piece>,
    heartbeat: Interval,
    heartbeats: u64,
    registered: Registered,
    transport: Transport,
    ended: bool,
}

impl StreamBody {
    /// A stream that begins now, or where the listener was when it left.
    ///
    /// # Errors
    /// The system gives no thread for the encoding.
    pub fn new(
        station: &Arc<Station>,
        wanted: &StreamQuery,
        last: Option<LastEvent>,
        registered: Registered,
        transport: Transport,
        heartbeat: Duration,
    ) -> Result<Self> {
        let key = Key { encoding: wanted.encoding, scale: wanted.scale.unwrap_or_else(|| station.scale()) };
        let feed = Feed::new(station, key, wanted.scale.is_none())?;
        // After the subscription: a change in between is told twice rather than not at all.
        let state = state_event(&station.state());
        let first = sse::connected(&registered.listener.id.to_string(), RETRY_MS);
        let mut heartbeat = interval_at(Instant::now() + heartbeat, heartbeat);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut body = Self {
            station: station.clone(),
            feed,
            place: Place::default(),
            paced: wanted.max_fps.and_then(|fps| Paced::new(fps, station)),
            extra: Extra::new(station, wanted.events),
            queue: VecDeque::from([(first, None), (state, None)]),
            heartbeat,
            heartbeats: 0,
            registered,
            transport,
            ended: false,
        };
        if let Some(resumed) = last.map(|last| station.resume(key, last)).transpose()?.flatten() {
            body.place = resumed.due.map_or(body.place, |(number, position)| Place::at(number, position));
            resumed.lost.iter().for_each(|gap| body.tell(gap));
            body.feed.catch_up(resumed.replay);
        }
        Ok(body)
    }

    fn tell(&mut self, gap: &Gap) {
        self.queue.push_back((gap_event(gap, self.station.wall()), None));
    }

    /// Tells of blocks that this listener alone missed. The gap comes with the time of its end.
    fn tell_missed(&mut self, gap: &Gap) {
        self.registered.listener.missed(gap.to_frame + 1 - gap.from_frame);
        let began_ns = gap.mono_ns - self.station.duration_ns(gap.lost);
        self.tell(&Gap { mono_ns: began_ns, ..*gap });
    }

    /// Puts the event of an entry into the queue, with what must be told before it.
    fn take(&mut self, packet: Packet) {
        match packet.told {
            Told::Block { .. } => self.take_block(packet),
            Told::Gap(gap) => {
                self.let_go();
                match self.place.gap(gap) {
                    Verdict::Drop => return,
                    Verdict::Send => {}
                    Verdict::TellThenSend(missed) => self.tell_missed(&missed),
                    Verdict::TellInstead(own) => return self.tell(&own),
                }
                self.queue.push_back((packet.event, None));
            }
            Told::State(_) => {
                self.let_go();
                if let Some(paced) = &mut self.paced {
                    paced.is_urgent = false;
                }
                self.queue.push_back((packet.event, None));
            }
        }
    }

    fn take_block(&mut self, packet: Packet) {
        if self.paced.is_none() {
            return self.send_block(&packet);
        }
        let newest = self.newest();
        if matches!(packet.told, Told::Block { number, .. } if newest.is_some_and(|newest| number < newest)) {
            // Another encoding's copy of a block that came already must not replace the held one.
            return;
        }
        let Some(paced) = &mut self.paced else { return };
        // Of those that come before one is due, the newest is kept.
        if let Some(Packet { told: Told::Block { number, position, frames, .. }, .. }) =
            paced.held.replace(packet)
        {
            self.place.skip(number, position, frames);
        }
    }

    fn send_block(&mut self, packet: &Packet) {
        let Told::Block { number, position, frames, mono_ns } = packet.told else { return };
        match self.place.block(number, position, frames, mono_ns) {
            Verdict::Drop => return,
            Verdict::TellThenSend(missed) => self.tell_missed(&missed),
            Verdict::Send | Verdict::TellInstead(_) => {}
        }
        self.queue.push_back((packet.event.clone(), Some(mono_ns)));
    }

    /// A held block is older than what comes now: it is skipped.
    fn let_go(&mut self) {
        let held = self.paced.as_mut().and_then(|paced| paced.held.take());
        if let Some(Packet { told: Told::Block { number, position, frames, .. }, .. }) = held {
            self.place.skip(number, position, frames);
        }
    }

    /// The backlog was looked through: sends the newest block if one is due, and sets the timer anew.
    /// Whether there is something to send.
    fn finish_look(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(paced) = &mut self.paced else { return false };
        let now = paced.began.elapsed();
        let is_due = now >= paced.pacing.due();
        let Some(packet) = paced.held.take_if(|_| is_due) else {
            // With a block due and none there, the feed wakes; else the timer.
            if !is_due {
                paced.sleep(now, cx);
            }
            return false;
        };
        paced.pacing.sent(now);
        paced.sleep(now, cx);
        self.send_block(&packet);
        true
    }

    /// Number of the block after the newest that came, sent or not.
    fn newest(&self) -> Option<u64> {
        let held = self.paced.as_ref().and_then(|paced| paced.held.as_ref());
        match held.map(|packet| &packet.told) {
            Some(Told::Block { number, .. }) => Some(number + 1),
            _ => self.place.number(),
        }
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Piece>> {
        loop {
            if let Some(piece) = self.queue.pop_front() {
                return Poll::Ready(Some(piece));
            }
            if self.ended {
                return Poll::Ready(None);
            }
            if let Poll::Ready(event) = self.extra.poll_event(cx) {
                self.queue.push_back((event, None));
                continue;
            }
            if self.paced.as_mut().is_some_and(|paced| paced.is_asleep(cx)) {
                ready!(self.poll_heartbeat(cx));
                continue;
            }
            match self.feed.poll_next(self.newest(), cx) {
                Poll::Ready(Next::Entry(packet)) => self.take(packet),
                Poll::Ready(Next::Missed(_)) => self.place.lag(),
                Poll::Ready(Next::Closed) => self.ended = true,
                Poll::Pending if self.finish_look(cx) => {}
                Poll::Pending => ready!(self.poll_heartbeat(cx)),
            }
        }
    }

    /// Asked only when there is nothing to send: the clock is not looked at for every block.
    fn poll_heartbeat(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        ready!(self.heartbeat.poll_tick(cx));
        self.heartbeats += 1;
        let data = format!("heartbeat-{}", self.heartbeats);
        self.queue.push_back((sse::event("heartbeat", None, data.as_bytes()), None));
        Poll::Ready(())
    }

    /// The next event, as it is on the socket; none when the programme is over. A line tells the listener what
    /// of it was written.
    pub fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let Some((event, captured_ns)) = ready!(self.poll_piece(cx)) else { return Poll::Ready(None) };
        let bytes = self.transport.framed(&event);
        self.listener().handed_over(bytes.len(), captured_ns);
        Poll::Ready(Some(bytes))
    }

    /// Who listens.
    pub fn listener(&self) -> &Listener {
        &self.registered.listener
    }
}

impl Paced {
    fn new(max_fps: f64, station: &Station) -> Option<Self> {
        let pacing = Pacing::new(max_fps, station.blocks_per_second())?;
        let began = Instant::now();
        Some(Self {
            pacing,
            began,
            timer: Box::pin(sleep_until(began)),
            held: None,
            state_changes: station.health().changes().boxed(),
            is_urgent: false,
        })
    }

    /// Whether nothing is to be done before the timer or a change of state.
    fn is_asleep(&mut self, cx: &mut Context<'_>) -> bool {
        while let Poll::Ready(Some(())) = self.state_changes.poll_next_unpin(cx) {
            self.is_urgent = true;
        }
        !self.is_urgent && self.timer.as_mut().poll(cx).is_pending()
    }

    /// Sleeps until a block is due, or the next look through the backlog.
    fn sleep(&mut self, now: Duration, cx: &mut Context<'_>) {
        let wake = self.pacing.due().min(now + LOOK_THROUGH);
        self.timer.as_mut().reset(self.began + wake);
        // Asks to be woken; a time that has passed already shows in the next turn.
        let _ = self.timer.as_mut().poll(cx);
    }
}

impl Body for StreamBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<std::result::Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        let Some(bytes) = ready!(this.poll_bytes(cx)) else { return Poll::Ready(None) };
        // Handed over is all that is known of it here.
        this.listener().written(bytes.len());
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }
}

impl Drop for StreamBody {
    fn drop(&mut self) {
        if !is_worth_a_line() {
            return;
        }
        let info = self.registered.listener.info();
        tracing::info!(
            event = "listener_left",
            connection = info.id,
            frames = info.frames_sent,
            bytes = info.bytes_sent,
            errors = info.errors_count,
            "listener left"
        );
    }
}

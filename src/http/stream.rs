//! `GET /api/audio/stream`: live frames as server-sent events.
//!
//! The body holds a cursor into a rendition's log and hands the shared bytes on. Whatever happens, each
//! frame number after a listener's first is either sent or covered by a told gap, once, in order.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame};
use tokio::time::{Interval, MissedTickBehavior, interval_at};

use super::wire::Meter;
use crate::audio::{Gap, GapReason};
use crate::codec::frames::Encoding;
use crate::error::Result;
use crate::mux::sse;
use crate::station::{Key, Packet, Registered, Scale, Station, Subscription, Told, gap_event, state_event};
use crate::tools::spread::Next;

/// How long a client is told to wait before it comes back.
const RETRY_MS: u32 = 2000;

/// How the bytes of the body reach the socket.
#[derive(Debug, Clone)]
pub enum Transport {
    /// HTTP/1.1: each piece is a chunk, and the connection carries this stream alone.
    Chunked(Arc<Meter>),
    /// HTTP/1.0: the bytes as they are, to the end of the connection.
    Plain(Arc<Meter>),
    /// HTTP/2: interleaved with other streams; a piece counts as sent when it is handed over.
    Multiplexed,
}

impl Transport {
    /// Bytes that a piece takes on the socket.
    fn cost(&self, piece: usize) -> usize {
        match self {
            // Its length in hexadecimal, and two line ends.
            Self::Chunked(_) => piece + format!("{piece:x}").len() + 4,
            Self::Plain(_) | Self::Multiplexed => piece,
        }
    }

    fn meter(&self) -> Option<&Arc<Meter>> {
        match self {
            Self::Chunked(meter) | Self::Plain(meter) => Some(meter),
            Self::Multiplexed => None,
        }
    }
}

/// What a listener has been told so far.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// Number of the next block due.
    number: u64,
    /// Position of the next frame due.
    position: u64,
}

/// A piece of the body, and the capture time of the block in it if it is one.
type Piece = (Bytes, Option<i64>);

/// The body.
pub struct StreamBody {
    station: Arc<Station>,
    encoding: Encoding,
    follows_quality: bool,
    subscription: Subscription,
    /// On the way to another quality: its subscription, and its next block once there is one.
    incoming: Option<(Subscription, Option<Packet>)>,
    place: Option<Place>,
    /// Entries were dropped before this listener came for them.
    lagged: bool,
    queue: VecDeque<Piece>,
    heartbeat: Interval,
    heartbeats: u64,
    registered: Registered,
    transport: Transport,
    ended: bool,
}

impl StreamBody {
    /// A stream that begins now.
    ///
    /// # Errors
    /// The system gives no thread for the encoding.
    pub fn new(
        station: &Arc<Station>,
        encoding: Encoding,
        scale: Option<Scale>,
        registered: Registered,
        transport: Transport,
        heartbeat: Duration,
    ) -> Result<Self> {
        let key = Key { encoding, scale: scale.unwrap_or_else(|| station.scale()) };
        let subscription = station.subscribe(key)?;
        // After the subscription: a change in between is told twice rather than not at all.
        let state = state_event(&station.state());
        let first = sse::connected(&registered.listener.id.to_string(), RETRY_MS);
        if let Some(meter) = transport.meter() {
            meter.carry(Some(registered.listener.clone()));
        }
        let mut heartbeat = interval_at(tokio::time::Instant::now() + heartbeat, heartbeat);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Self {
            station: station.clone(),
            encoding,
            follows_quality: scale.is_none(),
            subscription,
            incoming: None,
            place: None,
            lagged: false,
            queue: VecDeque::from([(first, None), (state, None)]),
            heartbeat,
            heartbeats: 0,
            registered,
            transport,
            ended: false,
        })
    }

    /// Puts the event of an entry into the queue, with a gap before it where numbers are missing.
    fn take(&mut self, packet: Packet) {
        match packet.told {
            Told::Block { number, position, frames, mono_ns } => {
                if self.place.is_some_and(|place| number < place.number) {
                    // Another quality's copy of a block that was already sent.
                    return;
                }
                self.tell_missed(number, position, GapReason::SlowListener);
                self.place = Some(Place { number: number + 1, position: position + frames });
                self.queue.push_back((packet.bytes, Some(mono_ns)));
            }
            Told::Gap(gap) => self.take_gap(gap, packet.bytes),
            Told::State(_) => self.queue.push_back((packet.bytes, None)),
        }
    }

    fn take_gap(&mut self, gap: Gap, event: Bytes) {
        let Some(place) = self.place.filter(|place| place.number <= gap.to_frame) else { return };
        if place.number < gap.from_frame && self.lagged {
            // Two causes, two gaps: first what this listener alone missed.
            self.tell_missed(gap.from_frame, gap.position, GapReason::SlowListener);
        }
        let place = self.place.unwrap_or(place);
        let end = gap.position + gap.lost;
        let event = if place.number == gap.from_frame {
            event
        } else {
            // Blocks that a pause withdrew, or another quality told of already: the same hole from this listener's place.
            let lost = end.saturating_sub(place.position);
            let own = Gap { from_frame: place.number, position: place.position, lost, ..gap };
            gap_event(&own, self.station.wall())
        };
        self.queue.push_back((event, None));
        self.lagged = false;
        self.place = Some(Place { number: gap.to_frame + 1, position: end });
    }

    /// Tells of blocks before `number` that were due and are not there.
    fn tell_missed(&mut self, number: u64, position: u64, reason: GapReason) {
        let Some(place) = self.place.filter(|place| place.number < number) else { return };
        self.lagged = false;
        let gap = Gap {
            from_frame: place.number,
            to_frame: number - 1,
            position: place.position,
            lost: position.saturating_sub(place.position),
            reason,
            mono_ns: crate::tools::clock::mono_ns(),
        };
        self.registered.listener.missed(number - place.number);
        self.queue.push_back((gap_event(&gap, self.station.wall()), None));
        self.place = Some(Place { number, position });
    }

    /// Begins the way to another quality when the global one has changed.
    fn follow_quality(&mut self) {
        let scale = self.station.scale();
        let target =
            self.incoming.as_ref().map_or(self.subscription.key(), |(incoming, _)| incoming.key()).scale;
        if !self.follows_quality || scale == target {
            return;
        }
        if scale == self.subscription.key().scale {
            self.incoming = None;
            return;
        }
        // Without a thread for the new encoding the listener keeps what it has.
        if let Ok(subscription) = self.station.subscribe(Key { encoding: self.encoding, scale }) {
            self.incoming = Some((subscription, None));
        }
    }

    /// Changes over once the new encoding has just the block that is due.
    fn change_over(&mut self, cx: &Context<'_>) {
        loop {
            let Some((incoming, ready)) = &mut self.incoming else { return };
            match ready {
                Some(Packet { told: Told::Block { number, .. }, .. }) => {
                    let due = self.place.map_or(*number, |place| place.number);
                    if *number > due {
                        return;
                    }
                    let fits = *number == due;
                    let packet = ready.take();
                    if fits && let Some((subscription, _)) = self.incoming.take() {
                        self.subscription = subscription;
                        packet.into_iter().for_each(|packet| self.take(packet));
                        return;
                    }
                }
                // States and gaps come by the old encoding as long as that one is followed.
                _ => match incoming.cursor.poll_next(cx) {
                    Poll::Ready(Next::Entry(packet)) => *ready = Some(packet),
                    Poll::Ready(Next::Missed(_)) => {}
                    Poll::Ready(Next::Closed) | Poll::Pending => return,
                },
            }
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
            if self.heartbeat.poll_tick(cx).is_ready() {
                self.heartbeats += 1;
                let data = format!("heartbeat-{}", self.heartbeats);
                self.queue.push_back((sse::event("heartbeat", None, data.as_bytes()), None));
                continue;
            }
            self.follow_quality();
            self.change_over(cx);
            if !self.queue.is_empty() {
                continue;
            }
            match self.subscription.cursor.poll_next(cx) {
                Poll::Ready(Next::Entry(packet)) => self.take(packet),
                Poll::Ready(Next::Missed(_)) => self.lagged = true,
                Poll::Ready(Next::Closed) => self.ended = true,
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    fn count(&self, bytes: usize, captured_ns: Option<i64>) {
        let listener = &self.registered.listener;
        let cost = self.transport.cost(bytes);
        listener.handed_over(cost, captured_ns);
        if matches!(self.transport, Transport::Multiplexed) {
            listener.written(cost);
        }
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
        match this.poll_piece(cx) {
            Poll::Ready(Some((bytes, captured_ns))) => {
                this.count(bytes.len(), captured_ns);
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl Drop for StreamBody {
    fn drop(&mut self) {
        if let Some(meter) = self.transport.meter() {
            meter.carry(None);
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

//! The conversation with one listener: packets, gaps and states in order, a ping now and then, and an end
//! that says why.

use std::collections::VecDeque;
use std::future::{pending, poll_fn};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{self, Message};

use super::place::{Missed, Place};
use super::words;
use crate::access::Refusal;
use crate::audio::GapReason;
use crate::http::stream::is_worth_a_line;
use crate::http::watched::{Stay, last_words};
use crate::http::websocket::Socket;
use crate::station::packets::{Entry, Form, Hole, Subscription, Told};
use crate::station::{Registered, Station};
use crate::tools::clock;
use crate::tools::spread::Next;

/// Messages that a client may send between two pings of ours: answers to them, and questions for the time.
const MOST_SAID: u32 = 64;
/// How long the last words may take.
const GRACE: Duration = Duration::from_millis(500);

/// Why a session is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// The client left.
    Left,
    /// The client closed, and is owed the same.
    Closed,
    /// The programme or its encoding ended.
    Over,
    /// What it was let in by is over.
    Refused(Refusal),
    /// The client broke the rules of the protocol.
    Broken,
    /// The client said what means nothing here.
    Senseless,
    /// The client said too much.
    Talkative,
}

impl End {
    /// The words before the end, and how the socket is closed; nothing for who has left.
    fn last_words(self) -> Option<(Option<String>, CloseCode, String)> {
        let told = |code, word: &'static str, message: &str| {
            Some((Some(words::error(word, message)), code, word.to_owned()))
        };
        match self {
            Self::Left | Self::Closed => None,
            Self::Over => Some((None, CloseCode::Away, "the programme ended".to_owned())),
            Self::Refused(refusal) => {
                let (code, message) = last_words(refusal);
                told(CloseCode::Policy, code, &message)
            }
            Self::Broken => {
                told(CloseCode::Protocol, "protocol_error", "this is not WebSocket as RFC 6455 has it")
            }
            Self::Senseless => told(
                CloseCode::Unsupported,
                "message_unknown",
                "a client may say {\"type\":\"clock\",\"sent\":NUMBER} and nothing else",
            ),
            Self::Talkative => told(CloseCode::Policy, "too_many_messages", "the client says too much"),
        }
    }

    /// The word in the journal.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Left | Self::Closed => "left",
            Self::Over => "the programme ended",
            Self::Refused(_) => "access is over",
            Self::Broken | Self::Senseless | Self::Talkative => "said what it may not",
        }
    }
}

/// Something to send; with the capture time of the sound in it, if there is some.
type Outgoing = (Message, Option<i64>);

/// One listener.
pub struct Session {
    station: Arc<Station>,
    subscription: Subscription,
    registered: Registered,
    /// What it was let in by, and its place among the streams of its client.
    stay: Option<Stay>,
    place: Place,
    queue: VecDeque<Outgoing>,
    /// Messages that the client sent since the newest ping.
    said: u32,
}

impl Session {
    /// Of a listener that has a place on the list.
    pub fn new(
        station: Arc<Station>,
        form: Form,
        subscription: Subscription,
        registered: Registered,
        stay: Option<Stay>,
    ) -> Self {
        let id = registered.listener.id.to_string();
        let first = words::connected(id, form, &subscription.running.about);
        // After the subscription: a change in between is told twice rather than not at all.
        let state = words::state(&station.state());
        let queue = [first, state].map(|text| (Message::text(text), None)).into();
        Self { station, subscription, registered, stay, place: Place::default(), queue, said: 0 }
    }

    /// Talks until either side has enough.
    pub async fn run(mut self, mut socket: Socket, heartbeat: Duration) {
        let end = self.talk(&mut socket, heartbeat).await;
        if end != End::Left {
            // Who does not listen to it is cut off.
            let _ = timeout(GRACE, say_farewell(&mut socket, end)).await;
        }
        self.tell_end(end);
    }

    async fn talk(&mut self, socket: &mut Socket, heartbeat: Duration) -> End {
        let mut heartbeat = interval_at(Instant::now() + heartbeat, heartbeat);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            while let Some(outgoing) = self.queue.pop_front() {
                if let Err(end) = self.send(socket, outgoing).await {
                    return end;
                }
            }
            let heard = tokio::select! {
                biased;
                refusal = ended(self.stay.as_ref()) => Err(End::Refused(refusal)),
                said = socket.next() => self.hear(said),
                next = self.subscription.cursor.next() => self.take(next),
                _ = heartbeat.tick() => {
                    self.said = 0;
                    self.queue.push_back((Message::Ping(Bytes::new()), None));
                    Ok(())
                }
            };
            if let Err(end) = heard {
                return end;
            }
        }
    }

    async fn send(&self, socket: &mut Socket, (message, captured_ns): Outgoing) -> Result<(), End> {
        let bytes = message.len();
        tokio::select! {
            biased;
            refusal = ended(self.stay.as_ref()) => return Err(End::Refused(refusal)),
            sent = socket.send(message) => sent.map_err(|_| End::Left)?,
        }
        let (now_ns, listener) = (clock::mono_ns(), &self.registered.listener);
        let now_ms = i64::try_from(self.station.wall().ms_at(now_ns)).unwrap_or(0);
        listener.live_wrote(bytes, now_ms);
        if let Some(captured_ns) = captured_ns {
            let latency = Duration::from_nanos(u64::try_from(now_ns - captured_ns).unwrap_or(0));
            listener.live_finished(1, Some(latency));
        }
        Ok(())
    }

    /// What the client says. Pings are answered by the protocol itself.
    fn hear(&mut self, said: Option<Result<Message, tungstenite::Error>>) -> Result<(), End> {
        self.said += 1;
        match said {
            None => Err(End::Left),
            Some(Ok(Message::Close(_))) => Err(End::Closed),
            Some(Err(tungstenite::Error::Protocol(_) | tungstenite::Error::Utf8(_))) => Err(End::Broken),
            Some(Err(tungstenite::Error::Capacity(_))) => Err(End::Senseless),
            Some(Err(_)) => Err(End::Left),
            Some(Ok(_)) if self.said > MOST_SAID => Err(End::Talkative),
            Some(Ok(Message::Text(asked))) => {
                let answer = words::answer(&asked, self.station.wall()).ok_or(End::Senseless)?;
                self.say(answer);
                Ok(())
            }
            Some(Ok(Message::Binary(_))) => Err(End::Senseless),
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => Ok(()),
        }
    }

    /// What the rendition gives.
    fn take(&mut self, next: Next<Entry>) -> Result<(), End> {
        match next {
            Next::Entry(entry) => self.tell(entry.told),
            Next::Missed(_) => {
                self.place.lag();
                // What it missed may have been a change of state.
                self.say(words::state(&self.station.state()));
            }
            Next::Closed => return Err(End::Over),
        }
        Ok(())
    }

    fn tell(&mut self, told: Told) {
        match told {
            Told::Packet { position, end, mono_ns, bytes } => {
                if let Some(missed) = self.place.packet(position, end) {
                    self.tell_missed(missed, mono_ns);
                }
                self.queue.push_back((Message::Binary(bytes), Some(mono_ns)));
            }
            Told::Gap(hole) => {
                let (missed, rest) = self.place.gap(hole);
                if let Some(missed) = missed {
                    self.tell_missed(missed, hole.mono_ns);
                }
                if let Some(hole) = rest {
                    self.say(words::gap(&hole, self.station.wall()));
                }
            }
            Told::State(mark) => self.say(words::state(&mark)),
        }
    }

    /// Tells of sound that this listener alone missed, up to what was captured at this time.
    fn tell_missed(&mut self, missed: Missed, until_ns: i64) {
        let Missed { position, lost, reason } = missed;
        if reason == GapReason::SlowListener {
            self.registered.listener.live_late();
        }
        let mono_ns = until_ns - self.station.duration_ns(lost);
        self.say(words::gap(&Hole { position, lost, reason, mono_ns }, self.station.wall()));
    }

    fn say(&mut self, text: String) {
        self.queue.push_back((Message::text(text), None));
    }

    fn tell_end(&self, end: End) {
        if !is_worth_a_line() {
            return;
        }
        let info = self.registered.listener.info();
        tracing::info!(
            event = "listener_left",
            connection = info.id,
            stream = info.path,
            reason = end.as_str(),
            packets = info.frames_sent,
            bytes = info.bytes_sent,
            errors = info.errors_count,
            "listener left"
        );
    }
}

/// Says why it ends, and waits until the client has closed too, so that it gets to read that.
async fn say_farewell(socket: &mut Socket, end: End) -> Result<(), tungstenite::Error> {
    if let Some((word, code, reason)) = end.last_words() {
        if let Some(word) = word {
            socket.send(Message::text(word)).await?;
        }
        socket.close(Some(CloseFrame { code, reason: reason.into() })).await?;
    }
    // Where the client closed first, the answer goes out with this.
    while socket.next().await.is_some_and(|said| said.is_ok()) {}
    Ok(())
}

/// Resolves when what a listener was let in by is over.
async fn ended(stay: Option<&Stay>) -> Refusal {
    match stay {
        Some(stay) => poll_fn(|cx| stay.poll_ended(cx)).await,
        None => pending().await,
    }
}

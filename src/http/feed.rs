//! Where a stream's entries come from: a running rendition, a replay of what a listener missed, and the
//! way from one to the other without a seam.

use std::sync::Arc;
use std::task::{Context, Poll};

use crate::error::Result;
use crate::station::{Key, Packet, Replay, Scale, Station, Subscription, Told};
use crate::tools::spread::Next;

#[derive(Debug)]
enum Source {
    Live(Subscription),
    Replay(Box<Replay>),
}

impl Source {
    fn poll_next(&mut self, cx: &Context<'_>) -> Poll<Next<Packet>> {
        match self {
            Self::Live(live) => live.cursor.poll_next(cx),
            Self::Replay(replay) => replay.poll_next(cx),
        }
    }
}

/// A running rendition that is to take over, and its next block once there is one.
#[derive(Debug)]
struct Incoming {
    live: Subscription,
    next: Option<Packet>,
}

/// Entries in order.
#[derive(Debug)]
pub struct Feed {
    station: Arc<Station>,
    source: Source,
    incoming: Option<Incoming>,
    key: Key,
    follows_quality: bool,
}

impl Feed {
    /// From now on, at this rate or at the global one, whatever that is.
    ///
    /// # Errors
    /// The system gives no thread for the encoding.
    pub fn new(station: &Arc<Station>, key: Key, follows_quality: bool) -> Result<Self> {
        let source = Source::Live(station.subscribe(key)?);
        Ok(Self { station: station.clone(), source, incoming: None, key, follows_quality })
    }

    /// First what this replay gives, then what is live.
    pub fn catch_up(&mut self, replay: Replay) {
        if let Source::Live(live) = std::mem::replace(&mut self.source, Source::Replay(Box::new(replay))) {
            self.incoming = Some(Incoming { live, next: None });
        }
    }

    /// The next entry. `due` is the number of the block that is due to the listener.
    pub fn poll_next(&mut self, due: Option<u64>, cx: &Context<'_>) -> Poll<Next<Packet>> {
        self.follow_quality();
        if let Some(packet) = self.change_over(due, cx) {
            return Poll::Ready(Next::Entry(packet));
        }
        self.source.poll_next(cx)
    }

    /// Begins the way to another rendition when the global quality has changed.
    fn follow_quality(&mut self) {
        let scale: Scale = self.station.scale();
        if !self.follows_quality || scale == self.key.scale {
            return;
        }
        let key = Key { scale, ..self.key };
        // Without a thread for the new encoding the listener keeps what it has.
        if let Ok(live) = self.station.subscribe(key) {
            self.key = key;
            self.incoming = Some(Incoming { live, next: None });
        }
    }

    /// Changes over once the incoming rendition has come as far as the block that is due, and returns its
    /// block. A lower rate looks ahead and so stays behind the old source for ever: if its block was sent
    /// already, the stream waits for its next.
    /// States and gaps come by the old source as long as that one is followed.
    fn change_over(&mut self, due: Option<u64>, cx: &Context<'_>) -> Option<Packet> {
        loop {
            let Incoming { live, next } = self.incoming.as_mut()?;
            let number = match next {
                Some(Packet { told: Told::Block { number, .. }, .. }) => *number,
                _ => match live.cursor.poll_next(cx) {
                    Poll::Ready(Next::Entry(packet)) => {
                        *next = Some(packet);
                        continue;
                    }
                    Poll::Ready(Next::Missed(_)) => continue,
                    Poll::Ready(Next::Closed) | Poll::Pending => return None,
                },
            };
            if due.is_some_and(|due| number > due) {
                return None;
            }
            let Incoming { live, next } = self.incoming.take()?;
            self.source = Source::Live(live);
            return next.filter(|_| due.is_none_or(|due| number >= due));
        }
    }
}

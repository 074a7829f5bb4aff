//! The bodies of live streams.
//!
//! Over HTTP/1 a stream has its connection to itself, to the end of it, and a [lane](super::lane) takes it
//! over after the head: no task, no timer and no buffer for a listener. Over HTTP/2, and under TLS, the body is
//! what stands here: it reads the rendition's log itself.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame};

use super::seat::{End, Now, Ticket, tell_end};
use super::woven::Woven;
use crate::station::Station;
use crate::station::live::{Group, Subscription};
use crate::tools::spread::{Cursor, Next};

/// Reads the log itself.
#[derive(Debug)]
pub struct Pulled {
    station: Arc<Station>,
    ticket: Ticket,
    cursor: Cursor<Group>,
    /// The link of a chain that it is in.
    link: Option<u64>,
    /// How often another profile was chosen, as far as this listener has followed.
    changes: u64,
    /// The rendition that it is to go over to.
    moving: Option<Subscription>,
    queue: VecDeque<Bytes>,
    end: End,
}

impl Pulled {
    /// A listener that is not on a connection of its own.
    pub fn new(station: Arc<Station>, mut ticket: Ticket) -> Self {
        let cursor = ticket.source.begin();
        let head = std::mem::take(&mut ticket.head);
        let queue = VecDeque::from([head]);
        let changes = station.live().changes();
        Self { station, ticket, cursor, link: None, changes, moving: None, queue, end: End::Left }
    }

    fn now(&self) -> Now {
        Now::new(self.station.wall())
    }

    /// Another profile may have been chosen. Then it goes over at the group that stands where this one does:
    /// whether it has.
    fn has_gone_over(&mut self, group: &Group) -> bool {
        let live = self.station.live();
        let changes = live.changes();
        if changes != self.changes {
            self.changes = changes;
            let Ticket { follows, source, .. } = &self.ticket;
            self.moving = live.successor(source, *follows);
        }
        let Some(to) = self.moving.take() else { return false };
        match to.meeting(group) {
            Some(number) => {
                self.cursor = to.log().from_number(number);
                self.ticket.source = to;
                true
            }
            None => {
                self.moving = Some(to);
                false
            }
        }
    }

    fn take(&mut self, group: &Group) {
        let Woven { pieces, icy, link } = Woven::new(group, self.ticket.icy.as_ref(), self.link);
        (self.ticket.icy, self.link) = (icy, link);
        self.queue.extend(pieces.into_iter().map(|piece| piece.bytes));
        let listener = &self.ticket.registered.listener;
        listener.live_finished(group.packets, Some(self.now().since(group.mono_ns)));
    }
}

impl Body for Pulled {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = &mut *self;
        loop {
            if let Some(bytes) = this.queue.pop_front() {
                if bytes.is_empty() {
                    continue;
                }
                // Handed over is all that is known of it here.
                this.ticket.registered.listener.live_wrote(bytes.len(), this.now().wall_ms);
                return Poll::Ready(Some(Ok(Frame::data(bytes))));
            }
            match this.cursor.poll_next(cx) {
                Poll::Ready(Next::Entry(group)) => {
                    if !this.has_gone_over(&group) {
                        this.take(&group);
                    }
                }
                Poll::Ready(Next::Missed(_)) => {
                    this.end = End::Late;
                    return Poll::Ready(None);
                }
                Poll::Ready(Next::Closed) => {
                    this.end = End::Over;
                    return Poll::Ready(None);
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

impl Drop for Pulled {
    fn drop(&mut self) {
        tell_end(&self.ticket.registered, &self.ticket.source, self.end);
    }
}

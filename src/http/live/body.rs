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
use crate::station::Station;
use crate::station::live::Group;
use crate::tools::spread::{Cursor, Next};

/// Reads the log itself.
#[derive(Debug)]
pub struct Pulled {
    station: Arc<Station>,
    ticket: Ticket,
    cursor: Cursor<Group>,
    queue: VecDeque<Bytes>,
    end: End,
}

impl Pulled {
    /// A listener that is not on a connection of its own.
    pub fn new(station: Arc<Station>, mut ticket: Ticket) -> Self {
        let cursor = ticket.source.begin();
        let head = std::mem::take(&mut ticket.head);
        let queue = VecDeque::from([head]);
        Self { station, ticket, cursor, queue, end: End::Left }
    }

    fn now(&self) -> Now {
        Now::new(self.station.wall())
    }

    fn take(&mut self, group: &Group) {
        match &mut self.ticket.icy {
            Some(weaver) => {
                let title = (group.title.number, &group.title.icy);
                let queue = &mut self.queue;
                weaver.weave(group.bytes.clone(), title, |bytes, _| queue.push_back(bytes));
            }
            None => self.queue.push_back(group.bytes.clone()),
        }
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
                Poll::Ready(Next::Entry(group)) => this.take(&group),
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

//! A stream of events that has its connection to itself.
//!
//! Over HTTP/1 nothing follows such a stream on its connection. So once the head of the answer is on the
//! socket, the HTTP library is out of it, and its buffers and layers with it: what a listener then takes is
//! one task that writes shared memory to a socket, an event with each call.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use futures_util::task::AtomicWaker;
use tokio::time::{Sleep, sleep};

use super::heir::{Estate, Heir, Held};
use super::site::Site;
use super::socket::Socket;
use super::stream::{StreamBody, Transport};
use super::watched::{Stay, StayPlace, last_word};
use crate::tools::workers;

/// The chunk that ends a chunked answer.
const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// The heir of a connection whose answer is this stream.
pub fn heir(site: Arc<Site>, stream: StreamBody, transport: Transport, stay: StayPlace) -> Heir {
    let kick = Arc::<Kick>::default();
    let kicked = kick.clone();
    let begin = move |Estate { socket, held, worker }: Estate| {
        // Fails where the kernel watches no more descriptors: the connection is closed then.
        let Ok(socket) = Socket::new(socket) else { return };
        let stay = stay.take();
        let line = Line {
            socket,
            stream,
            transport,
            rest: Bytes::new(),
            is_last: false,
            stuck: None,
            stay,
            kicked,
            site,
            _held: held,
            _worker: worker,
        };
        tokio::spawn(line.run());
    };
    Heir::new(begin, move || kick.kick())
}

/// Asks a line to reset its connection.
#[derive(Debug, Default)]
struct Kick {
    is_asked: AtomicBool,
    line: AtomicWaker,
}

impl Kick {
    fn kick(&self) {
        self.is_asked.store(true, Ordering::Release);
        self.line.wake();
    }
}

struct Line {
    socket: Socket,
    stream: StreamBody,
    transport: Transport,
    /// What is not written yet of the event under way.
    rest: Bytes,
    /// Nothing comes after it.
    is_last: bool,
    /// Runs while the peer takes nothing.
    stuck: Option<Pin<Box<Sleep>>>,
    stay: Option<Stay>,
    kicked: Arc<Kick>,
    site: Arc<Site>,
    _held: Held,
    _worker: workers::Seat,
}

/// How a line ends.
enum End {
    /// All was said, or the peer is gone.
    Closed,
    /// The connection is to be reset, for this reason.
    Reset(&'static str),
}

impl Line {
    async fn run(mut self) {
        let end = std::future::poll_fn(|cx| {
            let end = ready!(self.poll_end(cx));
            if matches!(end, End::Closed) {
                self.socket.close(cx);
            }
            Poll::Ready(end)
        });
        if let End::Reset(reason) = end.await {
            let connection = self.stream.listener().id;
            tracing::debug!(event = "connection_reset", %connection, reason, "connection reset");
            self.socket.reset_on_close();
        }
    }

    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        self.kicked.line.register(cx.waker());
        if self.kicked.is_asked.load(Ordering::Acquire) {
            return Poll::Ready(End::Reset("kicked"));
        }
        if self.socket.poll_gone(cx).is_ready() {
            return Poll::Ready(End::Closed);
        }
        loop {
            match self.poll_rest(cx) {
                Poll::Ready(Ok(())) if self.is_last => return Poll::Ready(End::Closed),
                Poll::Ready(Ok(())) => {}
                // The peer's own doing: nobody is left to tell.
                Poll::Ready(Err(_)) => return Poll::Ready(End::Closed),
                Poll::Pending => return self.poll_stuck(cx),
            }
            self.rest = ready!(self.poll_bytes(cx));
        }
    }

    fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.rest.is_empty() {
            let (taken, written) = ready!(self.socket.poll_write(cx, &self.rest))?;
            self.rest.advance(taken);
            self.stream.listener().written(written);
            self.stuck = None;
        }
        let written = ready!(self.socket.poll_flush(cx))?;
        if written > 0 {
            self.stream.listener().written(written);
            self.stuck = None;
        }
        Poll::Ready(Ok(()))
    }

    /// Resolves when the peer has taken nothing for too long.
    fn poll_stuck(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        let stale_after = || self.site.settings.load().stale_after;
        let stuck = self.stuck.get_or_insert_with(|| Box::pin(sleep(stale_after())));
        stuck.as_mut().poll(cx).map(|()| End::Reset("the peer takes nothing"))
    }

    /// What is to be written next.
    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Bytes> {
        let refusal = match &self.stay {
            Some(stay) => stay.poll_ended(cx),
            None => Poll::Pending,
        };
        if let Poll::Ready(refusal) = refusal {
            let word = self.transport.framed(&last_word(refusal));
            return Poll::Ready(self.end(&word));
        }
        match ready!(self.stream.poll_bytes(cx)) {
            Some(bytes) => Poll::Ready(bytes),
            None => Poll::Ready(self.end(b"")),
        }
    }

    /// These words, and then no more.
    fn end(&mut self, words: &[u8]) -> Bytes {
        self.is_last = true;
        let end = if self.transport == Transport::Chunked { LAST_CHUNK } else { b"" };
        [words, end].concat().into()
    }
}

//! The body of an answer that is bytes of a file, with text between them where there are several ranges.
//!
//! Long spans do not come by here where the connection has a way past this process, see `passage`. Of
//! the others, what the page cache holds is read at once, without a thread: `preadv2(RWF_NOWAIT)` gives
//! what is there and never waits for a disk. The rest is read on a blocking thread. Nothing is mapped: a
//! mapped file that shrinks ends the process by SIGBUS.
//!
//! After every read the file is asked whether it is still the one that the head of the answer
//! described. If not, the body fails, and with it the connection: a length that was promised and is not met
//! is how HTTP says that an answer is broken. A file that has only grown is the same as far as was
//! promised.

use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::task::JoinHandle;

use super::passage;
use super::promise::Promise;
use super::wire::Meter;
use crate::tools::buffers::{Lease, Pool};
use crate::tools::page_cache;
use crate::tools::paged_file::PagedFile;

/// Buffers of all answers.
static BUFFERS: Pool = Pool::new(READ_BYTES, KEPT_BUFFERS);
/// Bytes read at a time.
const READ_BYTES: usize = 64 * 1024;
/// Buffers kept for the next answers: 2 MiB.
const KEPT_BUFFERS: usize = 32;

/// Spans of so many bytes go past this process: at 64 KiB and above that was measured to cost less than two
/// copies; where below it the two meet was not.
const PASSAGE_LEAST_BYTES: u64 = 32 * 1024;

/// A piece of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Bytes as they are.
    Text(Bytes),
    /// Bytes of the file.
    Span(Range<u64>),
}

impl Piece {
    fn length(&self) -> u64 {
        match self {
            Self::Text(text) => text.len() as u64,
            Self::Span(span) => span.end.saturating_sub(span.start),
        }
    }
}

/// The body.
#[derive(Debug)]
pub struct FileBody {
    file: Arc<PagedFile>,
    promise: Promise,
    /// The pieces to come; the front one from where reading is.
    pieces: VecDeque<Piece>,
    /// Bytes to come.
    left: u64,
    /// A read that waits for a disk.
    reading: Option<JoinHandle<io::Result<Bytes>>>,
    /// The way past this process, where the connection has it.
    passage: Option<Arc<Meter>>,
}

impl FileBody {
    /// A body of these pieces of a file.
    pub fn new(
        file: Arc<PagedFile>,
        promise: Promise,
        pieces: VecDeque<Piece>,
        connection: Option<Arc<Meter>>,
    ) -> Self {
        let left = pieces.iter().map(Piece::length).sum();
        let passage = connection.filter(|_| passage::is_open());
        Self { file, promise, pieces, left, reading: None, passage }
    }

    /// Bytes to come.
    pub fn left(&self) -> u64 {
        self.left
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        while self.pieces.front().is_some_and(|piece| piece.length() == 0) {
            self.pieces.pop_front();
        }
        let span = match self.pieces.pop_front() {
            None => return Poll::Ready(None),
            Some(Piece::Text(text)) => return Poll::Ready(Some(Ok(text))),
            Some(Piece::Span(span)) => span,
        };
        let read = match self.large(&span) {
            Some(connection) => {
                let length = span.end - span.start;
                Poll::Ready(Ok(connection.passage().send(&self.file, self.promise, span.start, length)))
            }
            None => self.poll_read(&span, cx),
        };
        let taken = match &read {
            Poll::Ready(Ok(bytes)) => bytes.len() as u64,
            _ => 0,
        };
        self.pieces.push_front(Piece::Span(span.start + taken..span.end));
        read.map(Some)
    }

    /// The connection, for a span that is worth the passage.
    fn large(&self, span: &Range<u64>) -> Option<&Arc<Meter>> {
        self.passage.as_ref().filter(|_| span.end - span.start >= PASSAGE_LEAST_BYTES)
    }

    /// The next bytes of a span, as many as fit into a buffer or as are at hand.
    fn poll_read(&mut self, span: &Range<u64>, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        if self.reading.is_none() {
            let mut lease = BUFFERS.lease();
            let length = usize::try_from(span.end - span.start).unwrap_or(usize::MAX).min(BUFFERS.size());
            match page_cache::read(&self.file, &mut lease.space()[..length], span.start)? {
                Some(0) => return Poll::Ready(Err(Promise::cut())),
                Some(read) => return Poll::Ready(self.checked(lease, read)),
                None => self.reading = Some(read_on_a_thread(self.file.clone(), lease, length, span.start)),
            }
        }
        let Some(reading) = &mut self.reading else { return Poll::Pending };
        let read = ready!(Pin::new(reading).poll(cx));
        self.reading = None;
        let bytes = read.map_err(io::Error::other)??;
        self.promise.check(&self.file)?;
        Poll::Ready(Ok(bytes))
    }

    fn checked(&self, lease: Lease, read: usize) -> io::Result<Bytes> {
        self.promise.check(&self.file)?;
        Ok(lease.into_bytes(read))
    }
}

fn read_on_a_thread(
    file: Arc<PagedFile>,
    mut lease: Lease,
    length: usize,
    offset: u64,
) -> JoinHandle<io::Result<Bytes>> {
    tokio::task::spawn_blocking(move || match file.read_at(&mut lease.space()[..length], offset)? {
        0 => Err(Promise::cut()),
        read => Ok(lease.into_bytes(read)),
    })
}

impl Body for FileBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = self.get_mut();
        let piece = ready!(this.poll_piece(cx));
        match &piece {
            Some(Ok(bytes)) => this.left = this.left.saturating_sub(bytes.len() as u64),
            Some(Err(error)) => {
                tracing::debug!(event = "file_broken", reason = %error, "an answer ends before its time");
            }
            None => {}
        }
        Poll::Ready(piece.map(|piece| piece.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

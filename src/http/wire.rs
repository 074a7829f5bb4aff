//! The I/O of one connection: knows when a peer stopped taking, and what goes past the HTTP library.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use super::heir::{Heir, KickHeir, Sequel};
use super::passage::{Passage, Sender, is_stand_in};
use crate::tools::clock;
use crate::tools::lock::lock;

/// Bytes that the kernel may hold unsent for one connection: enough for a few blocks, so that a slow
/// listener is known as slow before the kernel has swallowed seconds.
const NOTSENT_LOWAT: u32 = 128 * 1024;

/// Bytes read ahead at a time: the head of a request as browsers write them.
const AHEAD_BYTES: usize = 2048;

/// What a connection and its requests share.
#[derive(Debug)]
pub struct Meter {
    opened_ns: i64,
    /// Since when the socket takes nothing; 0 while it does.
    stuck_since_ns: AtomicI64,
    /// When anything last came in or went out.
    active_ns: AtomicI64,
    /// Whether the first request has been read.
    spoke: AtomicBool,
    /// Requests being answered.
    in_flight: AtomicU64,
    /// Somebody asked for the connection's end.
    kicked: Notify,
    /// Whether anybody did: a kick while the connection changes hands must not be lost.
    is_kicked: AtomicBool,
    /// Set when somebody else has the connection: resets it there.
    kick_heir: OnceLock<KickHeir>,
    /// Who takes the connection over once all that HTTP has to say is on the socket.
    heir: Mutex<Option<Heir>>,
    /// Whether there is one: looked at with every flush.
    has_heir: AtomicBool,
    /// All is on the socket, and there is an heir.
    freed: Notify,
    /// What goes on on the connection once it is upgraded.
    sequel: Mutex<Option<Sequel>>,
    /// Bytes of files on their way to this connection.
    passage: Passage,
}

impl Meter {
    /// Of a connection that begins now.
    pub fn new() -> Self {
        let now_ns = clock::mono_ns();
        Self {
            opened_ns: now_ns,
            stuck_since_ns: AtomicI64::new(0),
            active_ns: AtomicI64::new(now_ns),
            spoke: AtomicBool::new(false),
            in_flight: AtomicU64::new(0),
            kicked: Notify::new(),
            is_kicked: AtomicBool::new(false),
            kick_heir: OnceLock::new(),
            heir: Mutex::new(None),
            has_heir: AtomicBool::new(false),
            freed: Notify::new(),
            sequel: Mutex::new(None),
            passage: Passage::default(),
        }
    }

    /// The connection is to be reset, whoever has it.
    pub fn kick(&self) {
        self.is_kicked.store(true, Ordering::SeqCst);
        self.kicked.notify_one();
        if let Some(heir) = self.kick_heir.get() {
            heir.kick();
        }
    }

    /// Resolves when it is.
    pub async fn kicked(&self) {
        self.kicked.notified().await;
    }

    /// The answer under way has no more to say than its head, and the connection then belongs to the heir.
    pub fn bequeath(&self, heir: Heir) {
        *lock(&self.heir) = Some(heir);
        self.has_heir.store(true, Ordering::Release);
    }

    /// Resolves when the heir can have the connection.
    pub async fn freed(&self) {
        self.freed.notified().await;
    }

    /// Who is to have the connection.
    pub fn take_heir(&self) -> Option<Heir> {
        lock(&self.heir).take()
    }

    /// The answer under way upgrades the connection, and this goes on on it.
    pub fn go_on_with(&self, sequel: Sequel) {
        *lock(&self.sequel) = Some(sequel);
    }

    /// What goes on on the connection.
    pub fn take_sequel(&self) -> Option<Sequel> {
        lock(&self.sequel).take()
    }

    /// Somebody else has the connection from now on, and resets it by this.
    pub fn handed_over(&self, kick: KickHeir) {
        // Inherited once.
        let _ = self.kick_heir.set(kick);
        if self.is_kicked.load(Ordering::SeqCst) {
            self.kick();
        }
    }

    /// The way of files past this process.
    pub fn passage(&self) -> &Passage {
        &self.passage
    }

    /// A request was read; what is returned ends with its answer.
    pub fn begin_request(self: &Arc<Self>) -> InFlight {
        self.spoke.store(true, Ordering::Relaxed);
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(self.clone())
    }

    /// Whether the first request has been read.
    pub fn spoke(&self) -> bool {
        self.spoke.load(Ordering::Relaxed)
    }

    /// Whether a request is being answered.
    pub fn is_answering(&self) -> bool {
        self.in_flight.load(Ordering::Relaxed) > 0
    }

    /// How long ago the connection began.
    pub fn age(&self, now_ns: i64) -> Duration {
        nanos(now_ns - self.opened_ns)
    }

    /// For how long the peer has taken nothing that waits for it.
    pub fn stuck_for(&self, now_ns: i64) -> Duration {
        match self.stuck_since_ns.load(Ordering::Relaxed) {
            0 => Duration::ZERO,
            since_ns => nanos(now_ns - since_ns),
        }
    }

    /// For how long nothing has happened without a request being answered.
    pub fn idle_for(&self, now_ns: i64) -> Duration {
        if self.is_answering() {
            return Duration::ZERO;
        }
        nanos(now_ns - self.active_ns.load(Ordering::Relaxed))
    }

    fn note_write(&self, result: &Poll<io::Result<usize>>) {
        match result {
            Poll::Ready(Ok(_)) => self.note_taken(),
            Poll::Pending => self.note_refusal(),
            Poll::Ready(Err(_)) => {}
        }
    }

    /// The socket took something.
    fn note_taken(&self) {
        self.stuck_since_ns.store(0, Ordering::Relaxed);
        self.active_ns.store(clock::mono_ns(), Ordering::Relaxed);
    }

    /// The socket took nothing. Only the first of many refusals begins the time.
    fn note_refusal(&self) {
        let now_ns = clock::mono_ns();
        let _ = self.stuck_since_ns.compare_exchange(0, now_ns, Ordering::Relaxed, Ordering::Relaxed);
    }
}

fn nanos(ns: i64) -> Duration {
    Duration::from_nanos(u64::try_from(ns).unwrap_or(0))
}

/// A request being answered.
#[derive(Debug)]
pub struct InFlight(Arc<Meter>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.active_ns.store(clock::mono_ns(), Ordering::Relaxed);
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A TCP connection with its meter.
#[derive(Debug)]
pub struct Wire {
    stream: TcpStream,
    meter: Arc<Meter>,
    sender: Sender,
    /// What was read and is nobody's yet.
    ahead: BytesMut,
    /// Bytes that the kernel may hold unsent.
    unsent_bytes: u32,
}

/// What came of offering bytes to a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offer {
    /// Some bytes were taken; all that were offered, or what the socket had room for.
    Written {
        /// Whether all were.
        is_all: bool,
    },
    /// There was nothing to offer.
    Nothing,
}

impl Wire {
    /// Sets the socket up: small writes at once, little unsent in the kernel, and an end to peers that
    /// vanish without a word.
    pub fn new(stream: TcpStream, vanished_after: Duration) -> (Self, Arc<Meter>) {
        // None of these can fail on a connected TCP socket but by the peer's leaving, which the first read tells.
        let _ = stream.set_nodelay(true);
        let socket = socket2::SockRef::from(&stream);
        let _ = socket.set_tcp_notsent_lowat(NOTSENT_LOWAT);
        let _ = socket.set_tcp_user_timeout(Some(vanished_after));
        let meter = Arc::new(Meter::new());
        (
            Self {
                stream,
                meter: meter.clone(),
                sender: Sender::default(),
                ahead: BytesMut::new(),
                unsent_bytes: NOTSENT_LOWAT,
            },
            meter,
        )
    }

    /// From here on closing means a reset: what the kernel still holds is thrown away.
    pub fn reset_on_close(stream: &impl AsFd) {
        let _ = socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO));
    }

    /// Another descriptor of the same connection.
    ///
    /// # Errors
    /// The process is out of descriptors.
    pub fn duplicate(&self) -> io::Result<OwnedFd> {
        self.stream.as_fd().try_clone_to_owned()
    }
}

impl Wire {
    /// What was read and is nobody's yet.
    pub fn ahead(&self) -> &[u8] {
        &self.ahead
    }

    /// So many bytes of that have been dealt with.
    pub fn take_ahead(&mut self, length: usize) {
        self.ahead.advance(length);
    }

    /// Reads more of it; 0 at the end.
    ///
    /// # Errors
    /// The connection is broken.
    pub async fn read_ahead(&mut self) -> io::Result<usize> {
        self.ahead.reserve(AHEAD_BYTES);
        let read = self.stream.read_buf(&mut self.ahead).await?;
        self.meter.active_ns.store(clock::mono_ns(), Ordering::Relaxed);
        Ok(read)
    }

    /// Bytes that the kernel may hold unsent.
    pub fn unsent_bytes(&self) -> u32 {
        self.unsent_bytes
    }

    /// Lets the kernel hold so many bytes unsent from now on.
    pub fn hold_unsent(&mut self, bytes: u32) {
        // As in `new`, it fails when the peer has left.
        let _ = SockRef::from(&self.stream).set_tcp_notsent_lowat(bytes);
        self.unsent_bytes = bytes;
    }

    /// Nothing special holds for this connection any more.
    pub fn hold_usual(&mut self) {
        if self.unsent_bytes != NOTSENT_LOWAT {
            self.hold_unsent(NOTSENT_LOWAT);
        }
    }

    /// Lets `send` write to the socket when it takes something. A short write is no reason to try again at
    /// once: the socket is full then.
    ///
    /// # Errors
    /// Those of `send`, and the connection's.
    pub async fn offer(
        &mut self,
        mut send: impl FnMut(&SockRef<'_>) -> io::Result<Offer>,
    ) -> io::Result<Offer> {
        poll_fn(|cx| {
            let result = self.poll_offer(cx, &mut send);
            match &result {
                Poll::Ready(Ok(_)) => self.meter.note_taken(),
                Poll::Ready(Err(_)) => {}
                Poll::Pending => self.meter.note_refusal(),
            }
            result
        })
        .await
    }

    fn poll_offer(
        &self,
        cx: &mut Context<'_>,
        send: &mut impl FnMut(&SockRef<'_>) -> io::Result<Offer>,
    ) -> Poll<io::Result<Offer>> {
        loop {
            ready!(self.stream.poll_write_ready(cx))?;
            let mut offer = None;
            let tried =
                self.stream.try_io(Interest::WRITABLE, || match send(&SockRef::from(&self.stream))? {
                    full @ Offer::Written { is_all: false } => {
                        offer = Some(full);
                        Err(io::ErrorKind::WouldBlock.into())
                    }
                    done => Ok(done),
                });
            match (tried, offer) {
                (Err(error), None) if error.kind() == io::ErrorKind::WouldBlock => {}
                (tried, full) => return Poll::Ready(full.map_or(tried, Ok)),
            }
        }
    }

    /// Writes memory, or the files that stand-ins mean.
    fn poll_send(&mut self, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        match bufs.iter().position(|buf| is_stand_in(buf)) {
            None => Pin::new(&mut self.stream).poll_write_vectored(cx, bufs),
            Some(first) if bufs[..first].iter().all(|buf| buf.is_empty()) => {
                self.sender.poll_send(&self.meter.passage, &self.stream, bufs[first].len(), cx)
            }
            // In packets of their own: corked onto a file, they make its last bytes wait for a second packet.
            Some(first) => Pin::new(&mut self.stream).poll_write_vectored(cx, &bufs[..first]),
        }
    }
}

impl AsFd for Wire {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.ahead.is_empty() {
            let length = this.ahead.len().min(buf.remaining());
            buf.put_slice(&this.ahead.split_to(length));
            return Poll::Ready(Ok(()));
        }
        ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
        this.meter.active_ns.store(clock::mono_ns(), Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = this.poll_send(cx, &[IoSlice::new(buf)]);
        this.meter.note_write(&result);
        result
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = this.poll_send(cx, bufs);
        this.meter.note_write(&result);
        result
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(Pin::new(&mut this.stream).poll_flush(cx))?;
        // The HTTP library flushes when it has written all that it has.
        if this.meter.has_heir.load(Ordering::Acquire) {
            this.meter.freed.notify_one();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

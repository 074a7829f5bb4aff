//! The I/O of one connection: knows when a peer stopped taking, and credits a
//! live stream with what really reached the socket.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use super::passage::{Passage, Sender, is_stand_in};
use crate::station::Listener;
use crate::tools::clock;
use crate::tools::lock::lock;

/// Bytes that the kernel may hold unsent for one connection: enough for a few blocks, so that a slow
/// listener is known as slow before the kernel has swallowed seconds.
const NOTSENT_LOWAT: u32 = 128 * 1024;

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
    /// The live stream that this connection carries. Never contended: the connection's own task alone uses it.
    listener: Mutex<Option<Arc<Listener>>>,
    /// Bytes of files on their way to this connection.
    passage: Passage,
}

impl Meter {
    fn new() -> Self {
        let now_ns = clock::mono_ns();
        Self {
            opened_ns: now_ns,
            stuck_since_ns: AtomicI64::new(0),
            active_ns: AtomicI64::new(now_ns),
            spoke: AtomicBool::new(false),
            in_flight: AtomicU64::new(0),
            kicked: Notify::new(),
            listener: Mutex::new(None),
            passage: Passage::default(),
        }
    }

    /// What is written from now on belongs to this stream, or to none.
    pub fn carry(&self, listener: Option<Arc<Listener>>) {
        *lock(&self.listener) = listener;
    }

    /// The connection is to be reset.
    pub fn kick(&self) {
        self.kicked.notify_one();
    }

    /// Resolves when it is.
    pub async fn kicked(&self) {
        self.kicked.notified().await;
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
        if self.in_flight.load(Ordering::Relaxed) > 0 {
            return Duration::ZERO;
        }
        nanos(now_ns - self.active_ns.load(Ordering::Relaxed))
    }

    fn note_write(&self, result: &Poll<io::Result<usize>>) {
        match result {
            Poll::Ready(Ok(bytes)) => {
                self.stuck_since_ns.store(0, Ordering::Relaxed);
                self.active_ns.store(clock::mono_ns(), Ordering::Relaxed);
                if let Some(listener) = &*lock(&self.listener) {
                    listener.written(*bytes);
                }
            }
            Poll::Pending => {
                let now_ns = clock::mono_ns();
                // Only the first of many refusals begins the time.
                let _ = self.stuck_since_ns.compare_exchange(0, now_ns, Ordering::Relaxed, Ordering::Relaxed);
            }
            Poll::Ready(Err(_)) => {}
        }
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
        (Self { stream, meter: meter.clone(), sender: Sender::default() }, meter)
    }

    /// From here on closing means a reset: what the kernel still holds is thrown away.
    pub fn reset_on_close(stream: &impl std::os::fd::AsFd) {
        let _ = socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO));
    }

    /// Another descriptor of the same connection.
    ///
    /// # Errors
    /// The process is out of descriptors.
    pub fn duplicate(&self) -> io::Result<std::os::fd::OwnedFd> {
        use std::os::fd::AsFd;
        self.stream.as_fd().try_clone_to_owned()
    }
}

impl Wire {
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

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
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
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

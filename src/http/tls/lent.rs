//! A connection under TLS, lent to the HTTP library: when that is done with it, it is there for who comes next.
//! Without TLS a second descriptor of the socket does that; under TLS what was agreed on is in memory.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::server::TlsStream;

use crate::http::wire::Wire;
use crate::tools::lock::lock;

/// A connection under TLS.
pub type Sealed = Box<TlsStream<Wire>>;

/// Where a lent connection comes back to.
#[derive(Debug, Default, Clone)]
pub struct Lender(Arc<Mutex<Option<Sealed>>>);

impl Lender {
    /// Lends it until what is returned is dropped.
    pub fn lend(&self, stream: Sealed) -> Lent {
        Lent { stream: Some(stream), lender: self.clone() }
    }

    /// The connection, if it has come back.
    pub fn take(&self) -> Option<Sealed> {
        lock(&self.0).take()
    }
}

/// The connection, in other hands.
#[derive(Debug)]
pub struct Lent {
    /// There until this is dropped.
    stream: Option<Sealed>,
    lender: Lender,
}

impl Lent {
    fn stream(self: Pin<&mut Self>) -> io::Result<Pin<&mut TlsStream<Wire>>> {
        let stream = self.get_mut().stream.as_deref_mut();
        stream.map(Pin::new).ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        *lock(&self.lender.0) = self.stream.take();
    }
}

impl AsyncRead for Lent {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_read(cx, buf)
    }
}

impl AsyncWrite for Lent {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.stream()?.poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.stream()?.poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_shutdown(cx)
    }
}

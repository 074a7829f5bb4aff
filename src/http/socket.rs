//! The socket of a connection that was handed over, with or without TLS.

use std::io;
use std::net::TcpStream as StdTcpStream;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::tls::Sealed;
use super::wire::Wire;

/// It, as it is handed over.
#[derive(Debug)]
pub enum Handed {
    /// A descriptor of it.
    Plain(OwnedFd),
    /// What was agreed on with the other end, and the socket.
    Sealed(Sealed),
}

impl Handed {
    /// From here on closing means a reset.
    pub fn reset_on_close(&self) {
        match self {
            Self::Plain(socket) => Wire::reset_on_close(socket),
            Self::Sealed(stream) => Wire::reset_on_close(stream.get_ref().0),
        }
    }
}

/// It, on a worker.
pub enum Socket {
    /// What is written is on the socket.
    Plain(TcpStream),
    /// What is written is encrypted, and is on the socket after a flush.
    Sealed {
        /// The connection.
        stream: Sealed,
        /// Bytes that were taken since the last flush.
        unsettled: usize,
    },
}

impl Socket {
    /// On this worker.
    ///
    /// # Errors
    /// The kernel watches no more descriptors.
    pub fn new(handed: Handed) -> io::Result<Self> {
        Ok(match handed {
            Handed::Plain(socket) => Self::Plain(TcpStream::from_std(StdTcpStream::from(socket))?),
            Handed::Sealed(stream) => Self::Sealed { stream, unsettled: 0 },
        })
    }

    /// Takes some bytes: how many, and how many more are on the socket now.
    pub fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<(usize, usize)>> {
        match self {
            Self::Plain(socket) => {
                let written = ready!(Pin::new(socket).poll_write(cx, bytes))?;
                Poll::Ready(Ok((written, written)))
            }
            Self::Sealed { stream, unsettled } => {
                let taken = ready!(Pin::new(stream).poll_write(cx, bytes))?;
                *unsettled += taken;
                Poll::Ready(Ok((taken, 0)))
            }
        }
    }

    /// Resolves when all that was taken is on the socket: how many bytes more than before.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(_) => Poll::Ready(Ok(0)),
            Self::Sealed { stream, unsettled } => {
                if *unsettled > 0 {
                    ready!(Pin::new(stream).poll_flush(cx))?;
                }
                Poll::Ready(Ok(std::mem::take(unsettled)))
            }
        }
    }

    /// Resolves when the peer closes. What else it says is of no interest: it has its answer.
    pub fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut ignored = [0; 512];
        match self {
            Self::Plain(socket) => loop {
                match ready!(socket.poll_read_ready(cx)).and_then(|()| socket.try_read(&mut ignored)) {
                    Ok(0) => return Poll::Ready(()),
                    Ok(_) => {}
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(_) => return Poll::Ready(()),
                }
            },
            Self::Sealed { stream, .. } => loop {
                let mut said = ReadBuf::new(&mut ignored);
                let read = ready!(Pin::new(&mut **stream).poll_read(cx, &mut said));
                if read.is_err() || said.filled().is_empty() {
                    return Poll::Ready(());
                }
            },
        }
    }

    /// From here on closing means a reset.
    pub fn reset_on_close(&self) {
        match self {
            Self::Plain(socket) => Wire::reset_on_close(socket),
            Self::Sealed { stream, .. } => Wire::reset_on_close(stream.get_ref().0),
        }
    }

    /// Says under TLS that nothing follows, if the socket takes that at once.
    pub fn close(&mut self, cx: &mut Context<'_>) {
        if let Self::Sealed { stream, .. } = self {
            // Who does not take it sees the connection's end.
            let _ = Pin::new(stream).poll_shutdown(cx);
        }
    }
}

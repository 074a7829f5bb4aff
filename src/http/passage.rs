//! Bytes of files that go from the page cache to a socket without coming by: `sendfile` behind the writes
//! of the HTTP library.
//!
//! The library wants memory to write. So a body hands it slices of a block of zeros that nobody ever
//! touches, as stand-ins, and puts what they stand for into the connection's queue. The connection's socket
//! knows a stand-in by its address and sends the file instead. Both come by the same order, so the
//! queue's front is always what the next stand-in means; should they ever disagree, the connection ends.
//!
//! A worker never waits for a disk: what the page cache lacks is fetched on a blocking thread first. After
//! every send the file is asked whether it is still the one that was promised, as in `file_body`. What is
//! already on its way then are pages of the cache itself: of a file that is overwritten or cut in place,
//! the last bytes before the answer breaks off may be the new ones.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::sync::{Arc, LazyLock, Mutex};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::task::JoinHandle;

use super::promise::Promise;
use crate::tools::lock::lock;
use crate::tools::page_cache;
use crate::tools::paged_file::PagedFile;

/// Length of the longest stand-in.
pub const MOST_BYTES: usize = 1024 * 1024;
/// Bytes that are looked for in the page cache, and fetched into it, at a time.
const WINDOW_BYTES: u64 = 256 * 1024;

/// Zeros that are never read, so that the kernel never gives them memory.
static STAND_IN: LazyLock<&'static [u8]> =
    LazyLock::new(|| Box::leak(vec![0; MOST_BYTES].into_boxed_slice()));

/// Whether bytes are a stand-in.
pub fn is_stand_in(bytes: &[u8]) -> bool {
    STAND_IN.as_ptr_range().contains(&bytes.as_ptr())
}

/// Whether files can go this way on this system.
pub fn is_open() -> bool {
    page_cache::can_tell()
}

/// Bytes of a file that wait to be sent.
#[derive(Debug)]
struct Parcel {
    file: Arc<PagedFile>,
    promise: Promise,
    offset: u64,
    left: u64,
}

/// The queue of one connection.
#[derive(Debug, Default)]
pub struct Passage {
    parcels: Mutex<VecDeque<Parcel>>,
}

impl Passage {
    /// Puts bytes of a file into the queue, as many as one stand-in can mean, and gives that stand-in. It
    /// must be written to the connection before anything that is given later.
    pub fn send(&self, file: &Arc<PagedFile>, promise: Promise, offset: u64, length: u64) -> Bytes {
        let length = usize::try_from(length).unwrap_or(usize::MAX).min(MOST_BYTES);
        let parcel = Parcel { file: file.clone(), promise, offset, left: length as u64 };
        lock(&self.parcels).push_back(parcel);
        Bytes::from_static(&STAND_IN[..length])
    }

    /// Sends what the next `length` bytes of stand-ins mean, or a beginning of it.
    fn send_front(&self, socket: impl AsFd, length: u64) -> io::Result<usize> {
        let mut parcels = lock(&self.parcels);
        let parcel = parcels.front_mut().filter(|parcel| length <= parcel.left).ok_or_else(disordered)?;
        let count = usize::try_from(length.min(WINDOW_BYTES)).unwrap_or(usize::MAX);
        let sent = rustix::fs::sendfile(socket, &**parcel.file, Some(&mut parcel.offset), count)?;
        parcel.promise.check(&parcel.file)?;
        if sent == 0 {
            return Err(Promise::cut());
        }
        parcel.left -= sent as u64;
        if parcel.left == 0 {
            parcels.pop_front();
        }
        Ok(sent)
    }

    /// What is to be sent next, if the page cache lacks any of it.
    fn missing(&self) -> Option<(Arc<PagedFile>, u64, u64)> {
        let parcels = lock(&self.parcels);
        let parcel = parcels.front()?;
        let window = parcel.left.min(WINDOW_BYTES);
        let is_held = page_cache::holds(&parcel.file, parcel.offset, window);
        (!is_held).then(|| (parcel.file.clone(), parcel.offset, window))
    }
}

/// The other end of the queue, beside the socket.
#[derive(Debug, Default)]
pub struct Sender {
    fetching: Option<JoinHandle<io::Result<()>>>,
    /// The window at the front was fetched or found: it is not asked about again until some of it is sent.
    is_held: bool,
}

impl Sender {
    /// Sends a beginning of what `length` bytes of stand-ins mean.
    pub fn poll_send(
        &mut self,
        passage: &Passage,
        stream: &tokio::net::TcpStream,
        length: usize,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_held(passage, cx))?;
        loop {
            ready!(stream.poll_write_ready(cx))?;
            let sent =
                stream.try_io(tokio::io::Interest::WRITABLE, || passage.send_front(stream, length as u64));
            match sent {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                sent => {
                    self.is_held = false;
                    if let Err(error) = &sent {
                        tracing::debug!(event = "file_broken", reason = %error, "an answer ends before its time");
                    }
                    return Poll::Ready(sent);
                }
            }
        }
    }

    /// Waits until the page cache has what is sent next.
    fn poll_held(&mut self, passage: &Passage, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_held {
            return Poll::Ready(Ok(()));
        }
        if self.fetching.is_none() {
            self.fetching = passage.missing().map(|(file, offset, length)| {
                tokio::task::spawn_blocking(move || fetch(&file, offset, length))
            });
        }
        if let Some(fetching) = &mut self.fetching {
            let fetched = ready!(Pin::new(fetching).poll(cx));
            self.fetching = None;
            fetched.map_err(io::Error::other)??;
        }
        // Evicted again already? Then the worker waits for a disk once, under a pressure of memory in which
        // everything does.
        self.is_held = true;
        Poll::Ready(Ok(()))
    }
}

/// Reads a window for the page cache's sake.
fn fetch(file: &File, offset: u64, length: u64) -> io::Result<()> {
    use std::os::unix::fs::FileExt;
    let mut space = vec![0; 64 * 1024];
    let (mut at, end) = (offset, offset + length);
    while at < end {
        let wanted = usize::try_from(end - at).unwrap_or(usize::MAX).min(space.len());
        match file.read_at(&mut space[..wanted], at)? {
            // The end of a file that was cut; sending it tells.
            0 => return Ok(()),
            read => at += read as u64,
        }
    }
    Ok(())
}

fn disordered() -> io::Error {
    io::Error::other("a stand-in means nothing")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stand_ins_are_known_wherever_they_begin() {
        let passage = Passage::default();
        let file = tempfile::NamedTempFile::new().expect("a file");
        let file = Arc::new(PagedFile::from(file.reopen().expect("opened")));
        let promise = Promise::of(&file).expect("metadata");
        let stand_in = passage.send(&file, promise, 0, u64::MAX);
        assert_eq!(stand_in.len(), MOST_BYTES);
        assert!(is_stand_in(&stand_in) && is_stand_in(&stand_in[MOST_BYTES - 1..]));
        assert!(!is_stand_in(&vec![0; MOST_BYTES]) && !is_stand_in(b""));
    }

    #[test]
    fn what_stands_for_nothing_is_not_sent() {
        let passage = Passage::default();
        let (near, _far) = std::os::unix::net::UnixStream::pair().expect("sockets");
        assert!(passage.send_front(&near, 1).is_err(), "nothing waits");
        let file = tempfile::NamedTempFile::new().expect("a file");
        let file = Arc::new(PagedFile::from(file.reopen().expect("opened")));
        file.set_len(10).expect("made longer");
        let promise = Promise::of(&file).expect("metadata");
        drop(passage.send(&file, promise, 0, 10));
        assert!(passage.send_front(&near, 11).is_err(), "more than waits");
    }
}

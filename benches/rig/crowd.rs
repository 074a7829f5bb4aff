//! Many listeners in one thread, which throws away what it reads.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::socket::{MsgFlags, recv};

use super::{Pair, shake};

/// What a block's event begins with, at talasd and in the payload that the peer is given.
const BLOCK: &[u8] = b"{\"channel_a\"";

/// How often a crowd in the background reads: about twice a block, and not in step with it.
const PAUSE: Duration = Duration::from_millis(7);

/// How far a listener has come.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
pub enum Progress {
    Asked,
    /// Some bytes have come.
    Answered,
    /// A block has begun to come.
    Served,
}

struct Member {
    stream: TcpStream,
    progress: Progress,
    /// What was read last, in which a block's beginning may be cut off.
    tail: Vec<u8>,
}

impl Member {
    /// Reads what is there. Once served, it is thrown away by the kernel: nobody looks at it.
    fn read(&mut self, buffer: &mut [u8]) -> nix::Result<usize> {
        let is_served = self.progress == Progress::Served;
        let flags = if is_served { MsgFlags::MSG_TRUNC } else { MsgFlags::empty() };
        let count = recv(self.stream.as_raw_fd(), buffer, flags)?;
        if !is_served {
            self.take(&buffer[..count]);
        }
        Ok(count)
    }

    fn take(&mut self, bytes: &[u8]) {
        self.tail.extend_from_slice(bytes);
        let is_served = self.tail.windows(BLOCK.len()).any(|part| part == BLOCK);
        self.progress = if is_served { Progress::Served } else { Progress::Answered };
        let keep = if is_served { 0 } else { BLOCK.len() - 1 };
        self.tail.drain(..self.tail.len().saturating_sub(keep));
        self.tail.shrink_to_fit();
    }
}

/// Asks for a stream on a new connection.
pub fn ask(address: SocketAddr, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n").unwrap();
    stream
}

/// Many connections, read by one thread.
pub struct Crowd {
    epoll: Epoll,
    members: Vec<Member>,
    buffer: Vec<u8>,
    /// Bytes read so far.
    pub bytes: u64,
}

impl Crowd {
    pub fn new() -> Self {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).unwrap();
        Self { epoll, members: Vec::new(), buffer: vec![0; 256 * 1024], bytes: 0 }
    }

    /// So many listeners of a path.
    pub fn connect(address: SocketAddr, path: &str, count: usize) -> Self {
        let mut crowd = Self::new();
        (0..count).for_each(|_| crowd.join(address, path));
        crowd
    }

    /// One listener more.
    pub fn join(&mut self, address: SocketAddr, path: &str) {
        self.take(ask(address, path), Progress::Asked);
    }

    /// The same under TLS. Nothing of what comes is decrypted: it is the server's work that counts.
    pub fn join_under_tls(&mut self, address: SocketAddr, path: &str, trusted: &Pair) {
        let mut sealed = shake(address, trusted, &["http/1.1"], rustls::ALL_VERSIONS).unwrap();
        write!(sealed, "GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n")
            .unwrap();
        sealed.flush().unwrap();
        self.take(sealed.sock, Progress::Served);
    }

    fn take(&mut self, stream: TcpStream, progress: Progress) {
        stream.set_nonblocking(true).unwrap();
        let number = self.members.len() as u64;
        self.epoll.add(&stream, EpollEvent::new(EpollFlags::EPOLLIN, number)).unwrap();
        self.members.push(Member { stream, progress, tail: Vec::new() });
    }

    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// How many have come so far at least.
    pub fn count(&self, progress: Progress) -> usize {
        self.members.iter().filter(|member| member.progress >= progress).count()
    }

    /// Reads what is there; waits up to a millisecond where nothing is, if that is wished. From how many.
    pub fn read(&mut self, waits: bool) -> usize {
        let mut events = [EpollEvent::empty(); 1024];
        let timeout = EpollTimeout::from(u8::from(waits));
        let ready = self.epoll.wait(&mut events, timeout).unwrap_or(0);
        for event in &events[..ready] {
            let member = &mut self.members[usize::try_from(event.data()).unwrap()];
            match member.read(&mut self.buffer) {
                Ok(0) => panic!("a listener was thrown out"),
                Ok(count) => self.bytes += count as u64,
                Err(error) => assert_eq!(error, Errno::EAGAIN),
            }
        }
        ready
    }

    /// Reads everything for so long, calling `tick` about every millisecond; bytes read.
    pub fn read_for(&mut self, time: Duration, mut tick: impl FnMut()) -> u64 {
        let (end, before) = (Instant::now() + time, self.bytes);
        while Instant::now() < end {
            tick();
            self.read(true);
        }
        self.bytes - before
    }

    /// Goes on reading on a thread of its own until dropped, once every few milliseconds what has come by
    /// then: listeners are elsewhere, and must not take the cores whenever the daemon sends.
    pub fn in_background(mut self) -> Background {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                while self.read(false) > 0 {}
                std::thread::sleep(PAUSE);
            }
        });
        Background { stop, thread: Some(thread) }
    }
}

/// A crowd that is read by a thread of its own.
pub struct Background {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Background {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

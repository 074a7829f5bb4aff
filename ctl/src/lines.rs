//! Lines from a socket, with a deadline and a cap.
//!
//! Not in here: what a line means (`client`).

use std::io::{self, ErrorKind, Read};
use std::os::unix::net::UnixStream;
use std::time::Instant;

/// Longest line taken from the daemon. Its longest answers are pages of connections, of some hundred
/// kilobytes when every client's description is as long as allowed; beyond this it is not the daemon.
pub const MAX_REPLY_BYTES: usize = 4 * 1024 * 1024;

/// Bytes asked of the socket at once.
const CHUNK_BYTES: usize = 64 * 1024;

/// What came first.
#[derive(Debug, PartialEq, Eq)]
pub enum Turn {
    /// A line, without its newline.
    Line(Vec<u8>),
    /// The deadline; what has arrived of a line is kept for the next turn.
    TimedOut,
    /// The end of the stream; an unfinished line is not one.
    Closed,
    /// More than [`MAX_REPLY_BYTES`] without a newline.
    TooLong,
}

/// The reading half of a connection.
#[derive(Debug)]
pub struct Lines {
    stream: UnixStream,
    /// What has arrived and was not yet given out.
    pending: Vec<u8>,
    /// Where in `pending` no newline needs to be looked for again.
    searched: usize,
}

impl Lines {
    /// Reads from this stream, whose read time-out it takes over.
    pub fn new(stream: UnixStream) -> Self {
        Self { stream, pending: Vec::new(), searched: 0 }
    }

    /// Waits for the next line, without a deadline for ever.
    pub fn next(&mut self, deadline: Option<Instant>) -> io::Result<Turn> {
        loop {
            if let Some(line) = self.take_line() {
                return Ok(if line.len() > MAX_REPLY_BYTES { Turn::TooLong } else { Turn::Line(line) });
            }
            if self.pending.len() > MAX_REPLY_BYTES {
                return Ok(Turn::TooLong);
            }
            let patience = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if patience.is_some_and(|patience| patience.is_zero()) {
                return Ok(Turn::TimedOut);
            }
            self.stream.set_read_timeout(patience)?;
            match self.receive() {
                Ok(0) => return Ok(Turn::Closed),
                // A peer that closes while it has unread bytes of ours resets the connection.
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(Turn::Closed),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                Err(error) => return Err(error),
                Ok(_) => {}
            }
        }
    }

    fn take_line(&mut self) -> Option<Vec<u8>> {
        let Some(at) = self.pending[self.searched..].iter().position(|&byte| byte == b'\n') else {
            self.searched = self.pending.len();
            return None;
        };
        let rest = self.pending.split_off(self.searched + at + 1);
        let mut line = std::mem::replace(&mut self.pending, rest);
        line.pop();
        self.searched = 0;
        Some(line)
    }

    fn receive(&mut self) -> io::Result<usize> {
        let filled = self.pending.len();
        self.pending.resize(filled + CHUNK_BYTES, 0);
        let result = self.stream.read(&mut self.pending[filled..]);
        self.pending.truncate(filled + result.as_ref().unwrap_or(&0));
        result
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::time::Duration;

    use super::*;

    fn pair() -> (Lines, UnixStream) {
        let (ours, theirs) = UnixStream::pair().expect("a socket pair");
        (Lines::new(ours), theirs)
    }

    fn line(text: &str) -> Turn {
        Turn::Line(text.as_bytes().to_vec())
    }

    #[test]
    fn lines_come_one_by_one_and_the_unfinished_one_is_dropped() {
        let (mut lines, mut daemon) = pair();
        daemon.write_all(b"one\ntwo\n\nthr").expect("written");
        drop(daemon);
        for expected in [line("one"), line("two"), line(""), Turn::Closed] {
            assert_eq!(lines.next(None).expect("read"), expected);
        }
    }

    #[test]
    fn a_deadline_does_not_lose_the_beginning_of_a_line() {
        let (mut lines, mut daemon) = pair();
        daemon.write_all(b"be").expect("written");
        let soon = Instant::now() + Duration::from_millis(20);
        assert_eq!(lines.next(Some(soon)).expect("read"), Turn::TimedOut);
        daemon.write_all(b"gun\n").expect("written");
        assert_eq!(lines.next(None).expect("read"), line("begun"));
    }

    #[test]
    fn a_line_may_be_long_but_not_endless() {
        let (mut lines, mut daemon) = pair();
        let writer = std::thread::spawn(move || {
            let mut longest = vec![b'x'; MAX_REPLY_BYTES];
            longest.push(b'\n');
            daemon.write_all(&longest).expect("written");
            let endless = vec![b'x'; MAX_REPLY_BYTES + CHUNK_BYTES];
            // The reader may give up, and close, before all of it is sent.
            let _ = daemon.write_all(&endless);
        });
        assert!(matches!(lines.next(None).expect("read"), Turn::Line(line) if line.len() == MAX_REPLY_BYTES));
        assert_eq!(lines.next(None).expect("read"), Turn::TooLong);
        drop(lines);
        writer.join().expect("the writer ends");
    }
}

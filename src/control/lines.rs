//! Lines on a connection: a cap on those that come, a deadline on those that go.
//!
//! Not in here: what a line means (`talk`).

use std::ops::ControlFlow;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use talas_wire::{ErrorBody, Hello, MAX_LINE_BYTES, Reply};
use tokio::net::UnixStream;
use tokio_util::codec::{AnyDelimiterCodec, AnyDelimiterCodecError, Framed};

/// The longest message of an error in bytes: some quote what the peer sent, and that may be a line long.
const MESSAGE_BYTES: usize = 8 * 1024;

/// Whether the conversation goes on; it breaks off when the peer is gone or does not read.
pub type Flow<T = ()> = ControlFlow<(), T>;

/// What came.
#[derive(Debug)]
pub enum Turn {
    /// A line, without its end.
    Line(Bytes),
    /// More than [`MAX_LINE_BYTES`] without an end. Nothing follows but this again.
    TooLong,
    /// The peer has nothing more to say; it may still listen.
    End,
}

/// A connection, as lines.
#[derive(Debug)]
pub struct Lines {
    framed: Framed<UnixStream, AnyDelimiterCodec>,
    patience: Duration,
    too_long: bool,
}

impl Lines {
    /// Lines on this connection; each that goes out must be taken within `patience`.
    pub fn new(stream: UnixStream, patience: Duration) -> Self {
        // Bytes and not text: a line that is not UTF-8 is refused like any other nonsense. One byte more
        // for the carriage return of those who send one.
        let codec = AnyDelimiterCodec::new_with_max_length(b"\n".into(), b"\n".into(), MAX_LINE_BYTES + 1);
        Self { framed: Framed::new(stream, codec), patience, too_long: false }
    }

    /// What comes next. Nothing is lost when the caller stops waiting. A last line without an end counts.
    pub async fn next(&mut self) -> Turn {
        if self.too_long {
            return Turn::TooLong;
        }
        let line = match self.framed.next().await {
            Some(Ok(line)) => line,
            Some(Err(AnyDelimiterCodecError::MaxChunkLengthExceeded)) => {
                self.too_long = true;
                return Turn::TooLong;
            }
            // The connection broke.
            Some(Err(_)) | None => return Turn::End,
        };
        let line = if line.ends_with(b"\r") { line.slice(..line.len() - 1) } else { line };
        self.too_long = line.len() > MAX_LINE_BYTES;
        if self.too_long { Turn::TooLong } else { Turn::Line(line) }
    }

    /// Says hello.
    pub async fn greet(&mut self, hello: &Hello) -> Flow {
        self.send(serde_json::to_string(hello)).await
    }

    /// Answers a request; `more` when further answers to it follow.
    pub async fn answer(&mut self, id: u64, result: Value, more: bool) -> Flow {
        self.send(serde_json::to_string(&Reply { id, result: Some(result), error: None, more })).await
    }

    /// Refuses a request, or says why the conversation ends.
    pub async fn refuse(&mut self, id: u64, code: &str, message: &str) -> Flow {
        let end = message.floor_char_boundary(MESSAGE_BYTES);
        let error = ErrorBody { code: code.to_owned(), message: message[..end].to_owned() };
        self.send(serde_json::to_string(&Reply { id, result: None, error: Some(error), more: false })).await
    }

    async fn send(&mut self, line: serde_json::Result<String>) -> Flow {
        // Our own types always become JSON.
        let Ok(line) = line else { return Flow::Break(()) };
        match tokio::time::timeout(self.patience, self.framed.send(line)).await {
            Ok(Ok(())) => Flow::Continue(()),
            Ok(Err(_)) | Err(_) => Flow::Break(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    fn pair() -> (Lines, UnixStream) {
        let (ours, theirs) = UnixStream::pair().expect("a pair");
        (Lines::new(ours, Duration::from_millis(100)), theirs)
    }

    async fn text(lines: &mut Lines) -> Result<String, Turn> {
        match lines.next().await {
            Turn::Line(line) => Ok(String::from_utf8_lossy(&line).into_owned()),
            other => Err(other),
        }
    }

    #[tokio::test]
    async fn both_line_ends_and_a_last_line_without_one() {
        let (mut lines, mut peer) = pair();
        peer.write_all(b"one\r\n\ntwo\nthree").await.expect("written");
        peer.shutdown().await.expect("half closed");
        for expected in ["one", "", "two", "three"] {
            assert_eq!(text(&mut lines).await.expect("a line"), expected);
        }
        assert!(matches!(lines.next().await, Turn::End));
    }

    #[tokio::test]
    async fn the_longest_line_is_a_line_and_one_byte_more_is_not() {
        for end in ["\n", "\r\n"] {
            let (mut lines, mut peer) = pair();
            let longest = "x".repeat(MAX_LINE_BYTES);
            peer.write_all(format!("{longest}{end}{longest}x{end}short{end}").as_bytes())
                .await
                .expect("written");
            assert_eq!(text(&mut lines).await.expect("a line").len(), MAX_LINE_BYTES);
            assert!(matches!(lines.next().await, Turn::TooLong));
            assert!(matches!(lines.next().await, Turn::TooLong), "there is no way back");
        }
    }

    #[tokio::test]
    async fn a_line_without_an_end_takes_no_more_room_than_a_line() {
        let (mut lines, mut peer) = pair();
        let flood = tokio::spawn(async move {
            // Fails once our side is dropped.
            while peer.write_all(&[b'x'; 4096]).await.is_ok() {}
        });
        assert!(matches!(lines.next().await, Turn::TooLong));
        assert!(lines.framed.read_buffer().capacity() < 4 * MAX_LINE_BYTES);
        drop(lines);
        flood.await.expect("joined");
    }

    #[tokio::test]
    async fn a_peer_that_never_reads_is_given_up() {
        let (mut lines, _peer) = pair();
        let result = Value::String("x".repeat(MAX_LINE_BYTES));
        let mut said = 0;
        while lines.answer(1, result.clone(), false).await.is_continue() {
            said += 1;
            assert!(said < 1000, "a socket holds some lines, not all");
        }
    }

    #[tokio::test]
    async fn a_refusal_quotes_no_more_than_its_share() {
        let (mut lines, mut peer) = pair();
        assert!(lines.refuse(7, "bad_request", &"ä".repeat(MAX_LINE_BYTES)).await.is_continue());
        drop(lines);
        let mut got = String::new();
        peer.read_to_string(&mut got).await.expect("read");
        assert!(got.starts_with(r#"{"id":7,"error":{"code":"bad_request","message":"ää"#));
        assert!(got.len() < 2 * MESSAGE_BYTES && got.ends_with("\"}}\n"));
    }
}

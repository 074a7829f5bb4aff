//! Server-sent events (WHATWG HTML, "Server-sent events"): name, id and one line of data.
//!
//! An event is laid out once, with the chunk of HTTP/1.1 (RFC 9112, section 7.1) that carries it around it:
//! to a crowd of listeners it is then one piece of memory and one write each.

use bytes::Bytes;

/// An event, shared by all who get it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Length in hexadecimal and line end, the event, line end.
    chunk: Bytes,
    /// Where the event begins.
    begin: usize,
}

/// What ends a line of HTTP.
const LINE_END: &[u8] = b"\r\n";

impl Event {
    /// An event of these pieces of text.
    fn of(pieces: &[&[u8]]) -> Self {
        let length: usize = pieces.iter().map(|piece| piece.len()).sum();
        let head = format!("{length:X}\r\n");
        let chunk = [&[head.as_bytes()], pieces, &[LINE_END]].concat().concat();
        Self { chunk: chunk.into(), begin: head.len() }
    }

    /// The event alone.
    pub fn bytes(&self) -> Bytes {
        self.chunk.slice(self.begin..self.chunk.len() - LINE_END.len())
    }

    /// The chunk that carries it.
    pub fn chunk(&self) -> &Bytes {
        &self.chunk
    }

    /// Bytes of the event alone.
    pub fn length(&self) -> usize {
        self.chunk.len() - self.begin - LINE_END.len()
    }
}

/// An event. Neither part may hold a line break: names and ids are ours, data is JSON or base64.
pub fn event(name: &str, id: Option<&str>, data: &[u8]) -> Event {
    debug_assert!(!data.contains(&b'\n') && !data.contains(&b'\r'));
    let (id_field, id): (&[u8], &str) = id.map_or((b"", ""), |id| (b"\nid: ", id));
    Event::of(&[b"event: ", name.as_bytes(), id_field, id.as_bytes(), b"\ndata: ", data, b"\n\n"])
}

/// The first event of a stream: data `connected` under the connection's id, and how long a client should
/// wait before it comes back. It has no name, so a browser hands it to `onmessage`.
pub fn connected(id: &str, retry_ms: u32) -> Event {
    Event::of(&[format!("retry: {retry_ms}\nid: {id}\ndata: connected\n\n").as_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_its_fields_and_an_empty_line() {
        assert_eq!(
            event("audio-frame", Some("frame-3"), b"{}").bytes(),
            "event: audio-frame\nid: frame-3\ndata: {}\n\n"
        );
        assert_eq!(event("state", None, b"{}").bytes(), "event: state\ndata: {}\n\n");
        assert_eq!(connected("abc", 2000).bytes(), "retry: 2000\nid: abc\ndata: connected\n\n");
    }

    #[test]
    fn a_chunk_is_the_event_between_its_length_and_a_line_end() {
        let event = event("state", None, &[b'x'; 300]);
        assert_eq!(event.length(), event.bytes().len());
        let expected = [format!("{:X}\r\n", event.length()).as_bytes(), &event.bytes(), b"\r\n"].concat();
        assert_eq!(event.chunk(), &expected);
    }
}

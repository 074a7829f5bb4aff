//! Server-sent events (WHATWG HTML, "Server-sent events"): name, id and one line of data.

use bytes::Bytes;

/// An event. Neither part may hold a line break: names and ids are ours, data is JSON or base64.
pub fn event(name: &str, id: Option<&str>, data: &[u8]) -> Bytes {
    debug_assert!(!data.contains(&b'\n') && !data.contains(&b'\r'));
    let mut text = Vec::with_capacity(name.len() + id.map_or(0, str::len) + data.len() + 24);
    text.extend_from_slice(b"event: ");
    text.extend_from_slice(name.as_bytes());
    if let Some(id) = id {
        text.extend_from_slice(b"\nid: ");
        text.extend_from_slice(id.as_bytes());
    }
    text.extend_from_slice(b"\ndata: ");
    text.extend_from_slice(data);
    text.extend_from_slice(b"\n\n");
    text.into()
}

/// The first event of a stream: data `connected` under the connection's id, and how long a client should
/// wait before it comes back. It has no name, so a browser hands it to `onmessage`.
pub fn connected(id: &str, retry_ms: u32) -> Bytes {
    format!("retry: {retry_ms}\nid: {id}\ndata: connected\n\n").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_its_fields_and_an_empty_line() {
        assert_eq!(
            event("audio-frame", Some("frame-3"), b"{}"),
            "event: audio-frame\nid: frame-3\ndata: {}\n\n"
        );
        assert_eq!(event("state", None, b"{}"), "event: state\ndata: {}\n\n");
        assert_eq!(connected("abc", 2000), "retry: 2000\nid: abc\ndata: connected\n\n");
    }
}

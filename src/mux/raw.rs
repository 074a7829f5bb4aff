//! What needs no container: frames of MP3, and of FLAC behind its header, say themselves where they end.

use bytes::Bytes;

use super::container::Muxer;
use crate::codec::{Codec, Format, Packet};

/// The codec's headers, then packets one after the other.
pub struct Raw {
    content_type: &'static str,
    head: Bytes,
}

impl Raw {
    /// For packets of that format.
    pub fn new(format: &Format) -> Self {
        let content_type = if format.codec == Codec::Flac { "audio/flac" } else { "audio/mpeg" };
        Self { content_type, head: format.headers.concat().into() }
    }
}

impl Muxer for Raw {
    fn content_type(&self) -> &'static str {
        self.content_type
    }

    fn head(&self) -> Bytes {
        self.head.clone()
    }

    fn packet(&mut self, packet: &Packet, out: &mut Vec<u8>) {
        out.extend_from_slice(&packet.bytes);
    }

    fn flush(&mut self, _out: &mut Vec<u8>) {}

    fn end(&mut self, _out: &mut Vec<u8>) {}
}

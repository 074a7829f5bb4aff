//! Ogg (RFC 3533) with Opus (RFC 7845), Vorbis (its specification, appendix A) or FLAC (RFC 9639, 10.1).
//!
//! Packets are gathered to pages, which cost about 30 bytes each. A page ends when it has a second of
//! sound, or is flushed; until then its last packet is held back, as it has to know that it is the last.
//! The first page is short: in a stream of one page alone, players cannot tell what is cut off at its
//! beginning from what is at its end.
//! A page that a flush ended is a place to begin: no packet reaches over its end.
//!
//! Positions count from the encoder's start, so a listener who comes later sees them begin in the middle,
//! as players of live streams are used to. After an encoder's reset they go on.

use std::hash::{BuildHasher, Hasher, RandomState};

use bytes::{BufMut, Bytes, BytesMut};
use ogg::{PacketWriteEndInfo as End, PacketWriter};

use super::container::Muxer;
use crate::codec::{Codec, Format, OPUS_GRANULE_RATE, Packet};

/// RFC 7845 advises against longer pages.
const LONGEST_PAGE_MS: u64 = 1000;

/// One logical stream of packets.
pub struct Ogg {
    codec: Codec,
    serial: u32,
    head: Bytes,
    /// The header pages are in `head` only; counting pages goes on behind them.
    pages: PacketWriter<'static, Vec<u8>>,
    /// The last packet, and the position at its end.
    held: Option<(Bytes, u64)>,
    /// Granules for each frame.
    granules: u64,
    /// In granules: where the last packet ended, where the open page began, how long it may be.
    position: u64,
    page_start: u64,
    longest: u64,
}

impl Ogg {
    /// For packets of that format.
    pub fn new(format: &Format) -> Self {
        // Two streams in one file must not have the same number; nothing more is asked of it.
        let serial = RandomState::new().build_hasher().finish() as u32;
        let mut pages = PacketWriter::new(Vec::new());
        for packet in header_packets(format) {
            write(&mut pages, packet, serial, End::EndPage, 0);
        }
        let head = Bytes::from(std::mem::take(pages.inner_mut()));
        let granules = match format.codec {
            Codec::Opus => u64::from(OPUS_GRANULE_RATE / format.sample_rate),
            _ => 1,
        };
        let longest = u64::from(format.sample_rate) * granules * LONGEST_PAGE_MS / 1000;
        let codec = format.codec;
        Self { codec, serial, head, pages, held: None, granules, position: 0, page_start: 0, longest }
    }

    /// Writes the packet that is held back, and hands over what is complete.
    fn release(&mut self, end: End, out: &mut Vec<u8>) {
        if let Some((bytes, position)) = self.held.take() {
            write(&mut self.pages, bytes, self.serial, end, position);
            if !matches!(end, End::NormalPacket) {
                self.page_start = position;
            }
        }
        out.append(self.pages.inner_mut());
    }
}

impl Muxer for Ogg {
    fn content_type(&self) -> &'static str {
        match self.codec {
            Codec::Opus => "audio/ogg; codecs=opus",
            Codec::Flac => "audio/ogg; codecs=flac",
            _ => "audio/ogg; codecs=vorbis",
        }
    }

    fn head(&self) -> Bytes {
        self.head.clone()
    }

    fn packet(&mut self, packet: &Packet, out: &mut Vec<u8>) {
        let is_first = self.page_start == 0 && self.position > 0;
        let is_full = is_first || self.position - self.page_start >= self.longest;
        self.release(if is_full { End::EndPage } else { End::NormalPacket }, out);
        self.position += u64::from(packet.frames) * self.granules;
        self.held = Some((packet.bytes.clone(), self.position));
    }

    fn flush(&mut self, out: &mut Vec<u8>) {
        self.release(End::EndPage, out);
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        // A flush may have taken the last packet: then an empty one carries the mark.
        self.held.get_or_insert_with(|| (Bytes::new(), self.position));
        self.release(End::EndStream, out);
    }
}

/// Each on a page of its own.
fn header_packets(format: &Format) -> Vec<Bytes> {
    if format.codec != Codec::Flac {
        return format.headers.clone();
    }
    // `fLaC` and `STREAMINFO` wrapped, then the comment that the mapping asks for.
    let native = format.headers.first().cloned().unwrap_or_default();
    let mut first = BytesMut::with_capacity(9 + native.len());
    first.put_slice(b"\x7FFLAC\x01\x00");
    first.put_u16(1);
    first.put_slice(&native);
    if let Some(block_type) = first.get_mut(9 + 4) {
        *block_type &= !LAST_BLOCK;
    }
    vec![first.freeze(), flac_comment()]
}

/// In the type of a metadata block of FLAC: it is the last.
const LAST_BLOCK: u8 = 0x80;
const VORBIS_COMMENT: u8 = 4;

/// A metadata block without comments.
fn flac_comment() -> Bytes {
    let vendor = concat!("talasd ", env!("CARGO_PKG_VERSION"));
    let mut block = BytesMut::with_capacity(12 + vendor.len());
    block.put_u8(VORBIS_COMMENT | LAST_BLOCK);
    block.put_uint(8 + vendor.len() as u64, 3);
    block.put_u32_le(vendor.len() as u32);
    block.put_slice(vendor.as_bytes());
    block.put_u32_le(0);
    block.freeze()
}

fn write(pages: &mut PacketWriter<'static, Vec<u8>>, packet: Bytes, serial: u32, end: End, position: u64) {
    let written = pages.write_packet(Vec::from(packet), serial, end, position);
    debug_assert!(written.is_ok(), "a vector takes everything");
}

//! Ogg (RFC 3533) with Opus (RFC 7845), Vorbis (its specification, appendix A) or FLAC (RFC 9639, 10.1).
//!
//! Packets are gathered to pages, which cost about 30 bytes each. A page ends when it has a second of
//! sound, or is flushed; until then its last packet is held back, as it has to know that it is the last.
//! The first page is short: in a stream of one page alone, players cannot tell what is cut off at its
//! beginning from what is at its end.
//! A page that a flush ended is a place to begin: no packet reaches over its end.
//!
//! A stream may be a link of a chain: the same sound goes on in another stream, with another title in its
//! headers. A decoder begins anew there, so the packets that it needs to find its way come once more, and are
//! not heard: those of 80 ms in Opus, as RFC 7845 (4.6) advises, the last one in Vorbis, none in FLAC.
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
/// What a decoder of Opus needs to find its way (RFC 7845, 4.6).
const OPUS_PREROLL_MS: u32 = 80;

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
    /// Pages so far.
    count: u32,
}

impl Ogg {
    /// For packets of that format.
    pub fn new(format: &Format) -> Self {
        Self::with_headers(format, header_packets(format, ""))
    }

    /// A link of a chain with this title, empty for none. `before` are the last packets of the link before
    /// it, so many as [`repeated_frames`] asks for; none where there was no sound before. They go out with the
    /// first of the new ones.
    pub fn link(format: &Format, title: &str, before: &[Packet], out: &mut Vec<u8>) -> Self {
        let mut headers = header_packets(format, title);
        if let (Codec::Opus, Some(head), false) = (format.codec, headers.first_mut(), before.is_empty()) {
            *head = with_pre_skip(head, before.iter().map(|packet| packet.frames).sum(), format);
        }
        let mut link = Self::with_headers(format, headers);
        for packet in before {
            // The first packet of Vorbis makes no sound.
            let frames = if format.codec == Codec::Vorbis { 0 } else { packet.frames };
            link.packet(&Packet { frames, ..packet.clone() }, out);
        }
        link
    }

    fn with_headers(format: &Format, headers: Vec<Bytes>) -> Self {
        // Two streams in one file must not have the same number; nothing more is asked of it.
        let serial = RandomState::new().build_hasher().finish() as u32;
        let mut pages = PacketWriter::new(Vec::new());
        for packet in headers {
            write(&mut pages, packet, serial, End::EndPage, 0);
        }
        let head = Bytes::from(std::mem::take(pages.inner_mut()));
        let granules = match format.codec {
            Codec::Opus => u64::from(OPUS_GRANULE_RATE / format.sample_rate),
            _ => 1,
        };
        let longest = u64::from(format.sample_rate) * granules * LONGEST_PAGE_MS / 1000;
        let (codec, count) = (format.codec, pages_in(&head));
        Self { codec, serial, head, pages, held: None, granules, position: 0, page_start: 0, longest, count }
    }

    /// Writes the packet that is held back, and hands over what is complete.
    fn release(&mut self, end: End, out: &mut Vec<u8>) {
        if let Some((bytes, position)) = self.held.take() {
            write(&mut self.pages, bytes, self.serial, end, position);
            if !matches!(end, End::NormalPacket) {
                self.page_start = position;
            }
        }
        self.count += pages_in(self.pages.inner_mut());
        out.append(self.pages.inner_mut());
    }
}

/// Length of what a link of a chain repeats, in frames at the format's rate; at least one packet where it is
/// not 0.
pub fn repeated_frames(format: &Format) -> u32 {
    match format.codec {
        Codec::Opus => format.sample_rate * OPUS_PREROLL_MS / 1000,
        Codec::Vorbis => 1,
        _ => 0,
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
        if self.held.is_some() {
            return self.release(End::EndStream, out);
        }
        // A flush took the last packet: then a page without one carries the mark.
        out.extend_from_slice(&last_page(self.serial, self.count, self.position));
        self.count += 1;
    }
}

/// Each on a page of its own, with a title if there is one.
fn header_packets(format: &Format, title: &str) -> Vec<Bytes> {
    if format.codec != Codec::Flac {
        let mut headers = format.headers.clone();
        if let (Some(comments), false) = (headers.get_mut(1), title.is_empty()) {
            let magic: &[u8] = if format.codec == Codec::Opus { b"OpusTags" } else { b"\x03vorbis" };
            let mut titled = BytesMut::from(magic);
            titled.put_slice(&comment(vendor(&comments[magic.len()..]), title));
            if format.codec == Codec::Vorbis {
                // The bit that says that it is whole.
                titled.put_u8(1);
            }
            *comments = titled.freeze();
        }
        return headers;
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
    vec![first.freeze(), flac_comment(title)]
}

/// In the type of a metadata block of FLAC: it is the last.
const LAST_BLOCK: u8 = 0x80;
const VORBIS_COMMENT: u8 = 4;

/// A metadata block of comments.
fn flac_comment(title: &str) -> Bytes {
    let comment = comment(concat!("talasd ", env!("CARGO_PKG_VERSION")).as_bytes(), title);
    let mut block = BytesMut::with_capacity(4 + comment.len());
    block.put_u8(VORBIS_COMMENT | LAST_BLOCK);
    block.put_uint(comment.len() as u64, 3);
    block.put_slice(&comment);
    block.freeze()
}

/// What made the stream, and its title, as Vorbis has it (its specification, section 5) and the others after
/// it.
fn comment(vendor: &[u8], title: &str) -> BytesMut {
    let mut comment = BytesMut::with_capacity(20 + vendor.len() + title.len());
    comment.put_u32_le(vendor.len() as u32);
    comment.put_slice(vendor);
    if title.is_empty() {
        comment.put_u32_le(0);
    } else {
        comment.put_u32_le(1);
        let length = TITLE.len() + title.len();
        comment.put_u32_le(length as u32);
        comment.put_slice(TITLE.as_bytes());
        comment.put_slice(title.as_bytes());
    }
    comment
}

const TITLE: &str = "TITLE=";

/// The first text of a comment, with its length before it.
fn vendor(comment: &[u8]) -> &[u8] {
    let text = comment
        .split_first_chunk()
        .and_then(|(length, rest)| rest.get(..usize::try_from(u32::from_le_bytes(*length)).ok()?));
    text.unwrap_or_default()
}

/// `OpusHead` for a stream whose first frames are not heard (RFC 7845, 5.1).
fn with_pre_skip(head: &[u8], frames: u32, format: &Format) -> Bytes {
    let granules = frames * (OPUS_GRANULE_RATE / format.sample_rate);
    let mut head = BytesMut::from(head);
    if let Some(field) = head.get_mut(10..12) {
        field.copy_from_slice(&u16::try_from(granules).unwrap_or(u16::MAX).to_le_bytes());
    }
    head.freeze()
}

/// Length of the header of a page, without its table of segments; what stands at its end is their number.
const PAGE_HEADER: usize = 27;

/// Whole pages.
fn pages_in(bytes: &[u8]) -> u32 {
    let (mut rest, mut count) = (bytes, 0);
    while let Some(segments) = rest.get(PAGE_HEADER - 1) {
        let table = rest.get(PAGE_HEADER..PAGE_HEADER + usize::from(*segments)).unwrap_or_default();
        let length = table.iter().map(|length| usize::from(*length)).sum::<usize>();
        rest = rest.get(PAGE_HEADER + table.len() + length..).unwrap_or_default();
        count += 1;
    }
    count
}

/// A page without packets that ends a stream (RFC 3533, 6).
fn last_page(serial: u32, number: u32, position: u64) -> Vec<u8> {
    let mut page = Vec::with_capacity(PAGE_HEADER);
    page.put_slice(b"OggS\0\x04");
    page.put_u64_le(position);
    page.put_u32_le(serial);
    page.put_u32_le(number);
    page.put_slice(&[0; 5]);
    let checksum = page.iter().fold(0_u32, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte) << 24, |sum, _| {
            sum << 1 ^ if sum >> 31 == 1 { 0x04C1_1DB7 } else { 0 }
        })
    });
    page[22..26].copy_from_slice(&checksum.to_le_bytes());
    page
}

fn write(pages: &mut PacketWriter<'static, Vec<u8>>, packet: Bytes, serial: u32, end: End, position: u64) {
    let written = pages.write_packet(Vec::from(packet), serial, end, position);
    debug_assert!(written.is_ok(), "a vector takes everything");
}

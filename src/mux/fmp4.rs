//! Fragmented MP4 (ISO/IEC 14496-12) with AAC (14496-14), Opus ("Encapsulation of Opus in ISO Base Media
//! File Format") or FLAC ("Encapsulation of FLAC in ISO Base Media File Format"): an initialisation that
//! describes the one track, then fragments that can each be played by themselves behind it.
//!
//! A flush ends a fragment. Its place in time counts from the encoder's start, in the track's timescale.
//! The boxes are written by hand: the crates with types for them know no `AudioSpecificConfig` but LC's.

use bytes::Bytes;

use super::container::Muxer;
use crate::codec::{Codec, Format, OPUS_GRANULE_RATE, Packet};

/// A fragment that nobody flushed ends by itself.
const LONGEST_FRAGMENT_MS: u64 = 1000;

const TRACK: u32 = 1;

/// A sample that depends on no other: every packet of sound is one.
const INDEPENDENT: u32 = 0x0200_0000;

/// Fragments behind an initialisation.
pub struct Fmp4 {
    content_type: &'static str,
    head: Bytes,
    /// Packets of the open fragment, with their durations.
    open: Vec<(Bytes, u32)>,
    /// Of the next fragment.
    sequence: u32,
    /// In the timescale: where the open fragment begins, how long it is, how long it may be.
    start: u64,
    length: u64,
    longest: u64,
    /// Ticks for each frame.
    ticks: u32,
}

impl Fmp4 {
    /// For packets of that format.
    pub fn new(format: &Format) -> Self {
        let ticks = if format.codec == Codec::Opus { OPUS_GRANULE_RATE / format.sample_rate } else { 1 };
        let timescale = format.sample_rate * ticks;
        Self {
            content_type: content_type(format),
            head: head(format, timescale, ticks).into(),
            open: Vec::new(),
            sequence: 1,
            start: 0,
            length: 0,
            longest: u64::from(timescale) * LONGEST_FRAGMENT_MS / 1000,
            ticks,
        }
    }
}

impl Muxer for Fmp4 {
    fn content_type(&self) -> &'static str {
        self.content_type
    }

    fn head(&self) -> Bytes {
        self.head.clone()
    }

    fn packet(&mut self, packet: &Packet, out: &mut Vec<u8>) {
        let duration = packet.frames * self.ticks;
        self.open.push((packet.bytes.clone(), duration));
        self.length += u64::from(duration);
        if self.length >= self.longest {
            self.flush(out);
        }
    }

    fn flush(&mut self, out: &mut Vec<u8>) {
        if self.open.is_empty() {
            return;
        }
        fragment(out, self.sequence, self.start, &self.open);
        self.open.clear();
        self.sequence = self.sequence.wrapping_add(1);
        self.start += self.length;
        self.length = 0;
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        self.flush(out);
    }
}

/// With the codec as RFC 6381 has it.
fn content_type(format: &Format) -> &'static str {
    match (format.codec, format.headers.first().and_then(|config| config.first())) {
        (Codec::Opus, _) => "audio/mp4; codecs=\"opus\"",
        (Codec::Flac, _) => "audio/mp4; codecs=\"fLaC\"",
        // The first five bits are the object type.
        (_, Some(first)) if first >> 3 == 5 => "audio/mp4; codecs=\"mp4a.40.5\"",
        (_, Some(first)) if first >> 3 == 29 => "audio/mp4; codecs=\"mp4a.40.29\"",
        _ => "audio/mp4; codecs=\"mp4a.40.2\"",
    }
}

/// A box: its length, its name, and what `fill` writes into it.
fn boxed(out: &mut Vec<u8>, name: &[u8; 4], fill: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(name);
    fill(out);
    let length = (out.len() - start) as u32;
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
}

/// A box with a version and flags.
fn full(out: &mut Vec<u8>, name: &[u8; 4], version: u8, flags: u32, fill: impl FnOnce(&mut Vec<u8>)) {
    boxed(out, name, |out| {
        words(out, &[u32::from(version) << 24 | flags]);
        fill(out);
    });
}

fn words(out: &mut Vec<u8>, values: &[u32]) {
    values.iter().for_each(|value| out.extend_from_slice(&value.to_be_bytes()));
}

/// Nothing is turned, scaled or moved: 1.0 is 16.16 or 2.30.
const MATRIX: [u32; 9] = [0x1_0000, 0, 0, 0, 0x1_0000, 0, 0, 0, 0x4000_0000];

/// Full volume, 8.8, and reserved bits behind it.
const VOLUME: u32 = 0x0100_0000;

fn head(format: &Format, timescale: u32, ticks: u32) -> Vec<u8> {
    let mut out = Vec::with_capacity(700);
    boxed(&mut out, b"ftyp", |out| out.extend_from_slice(b"iso6\0\0\0\0iso6cmfcmp41"));
    boxed(&mut out, b"moov", |out| {
        full(out, b"mvhd", 0, 0, |out| {
            words(out, &[0, 0, timescale, 0, 0x1_0000, VOLUME, 0, 0]);
            words(out, &MATRIX);
            words(out, &[0, 0, 0, 0, 0, 0, TRACK + 1]);
        });
        boxed(out, b"trak", |out| track(out, format, timescale, ticks));
        boxed(out, b"mvex", |out| {
            full(out, b"trex", 0, 0, |out| words(out, &[TRACK, 1, 0, 0, INDEPENDENT]));
        });
    });
    out
}

fn track(out: &mut Vec<u8>, format: &Format, timescale: u32, ticks: u32) {
    // Enabled, and in the movie.
    full(out, b"tkhd", 0, 3, |out| {
        words(out, &[0, 0, TRACK, 0, 0, 0, 0, 0, VOLUME]);
        words(out, &MATRIX);
        words(out, &[0, 0]);
    });
    if format.delay_frames > 0 {
        // Begin behind the priming, at normal speed, as far as it goes.
        boxed(out, b"edts", |out| {
            full(out, b"elst", 0, 0, |out| words(out, &[1, 0, format.delay_frames * ticks, 0x1_0000]));
        });
    }
    boxed(out, b"mdia", |out| {
        // The language is "und", five bits for each letter.
        full(out, b"mdhd", 0, 0, |out| words(out, &[0, 0, timescale, 0, 0x55C4_0000]));
        full(out, b"hdlr", 0, 0, |out| {
            words(out, &[0]);
            out.extend_from_slice(b"soun");
            words(out, &[0, 0, 0]);
            out.extend_from_slice(b"sound\0");
        });
        boxed(out, b"minf", |out| {
            full(out, b"smhd", 0, 0, |out| words(out, &[0]));
            boxed(out, b"dinf", |out| {
                full(out, b"dref", 0, 0, |out| {
                    words(out, &[1]);
                    // In this same file.
                    full(out, b"url ", 0, 1, |_| {});
                });
            });
            boxed(out, b"stbl", |out| sample_table(out, format));
        });
    });
}

/// All samples are in fragments: only how they are encoded is said here.
fn sample_table(out: &mut Vec<u8>, format: &Format) {
    full(out, b"stsd", 0, 0, |out| {
        words(out, &[1]);
        let name = match format.codec {
            Codec::Opus => b"Opus",
            Codec::Flac => b"fLaC",
            _ => b"mp4a",
        };
        boxed(out, name, |out| {
            // Six reserved bytes, the index of the reference, eight reserved.
            words(out, &[0, 1, 0, 0]);
            let bits = u32::from(format.bit_depth.unwrap_or(16));
            words(out, &[u32::from(format.channels) << 16 | bits, 0]);
            // 16.16; what does not fit is told by the codec's own box.
            let rate = if format.codec == Codec::Opus { OPUS_GRANULE_RATE } else { format.sample_rate };
            words(out, &[if rate <= 0xFFFF { rate << 16 } else { 0 }]);
            configuration(out, format);
        });
    });
    for name in [b"stts", b"stsc", b"stco"] {
        full(out, name, 0, 0, |out| words(out, &[0]));
    }
    full(out, b"stsz", 0, 0, |out| words(out, &[0, 0]));
}

/// The codec's own box.
fn configuration(out: &mut Vec<u8>, format: &Format) {
    let header = format.headers.first().map_or(&[][..], |header| &header[..]);
    match format.codec {
        // As `OpusHead`, but big-endian and with another version.
        Codec::Opus => boxed(out, b"dOps", |out| {
            let pre_skip = format.delay_frames * (OPUS_GRANULE_RATE / format.sample_rate);
            out.extend_from_slice(&[0, format.channels as u8]);
            out.extend_from_slice(&(pre_skip as u16).to_be_bytes());
            words(out, &[format.sample_rate]);
            out.extend_from_slice(&[0, 0, 0]);
        }),
        // The metadata block behind `fLaC`.
        Codec::Flac => full(out, b"dfLa", 0, 0, |out| out.extend_from_slice(header.get(4..).unwrap_or(&[]))),
        _ => full(out, b"esds", 0, 0, |out| elementary_stream(out, header, format)),
    }
}

/// Descriptors (ISO/IEC 14496-1, 7.2.6), one within the other: elementary stream, decoder, its
/// configuration; and one that says nothing but has to be there.
fn elementary_stream(out: &mut Vec<u8>, config: &[u8], format: &Format) {
    let bitrate = format.bitrate_kbps.unwrap_or(0) * 1000;
    let length = config.len() as u8;
    out.extend_from_slice(&[3, 23 + length, 0, 0, 0]);
    // MPEG-4 audio, an audio stream; its buffer is not told.
    out.extend_from_slice(&[4, 15 + length, 0x40, 0x15, 0, 0, 0]);
    words(out, &[bitrate, bitrate]);
    out.extend_from_slice(&[5, length]);
    out.extend_from_slice(config);
    out.extend_from_slice(&[6, 1, 2]);
}

/// One fragment: where it is in time, length and size of each packet, and the packets.
fn fragment(out: &mut Vec<u8>, sequence: u32, start: u64, packets: &[(Bytes, u32)]) {
    // Offsets count from here on.
    const BASE_IS_FRAGMENT: u32 = 0x02_0000;
    // An offset for all; duration and size for each.
    const RUN: u32 = 0x301;
    let begin = out.len();
    let mut offset_at = 0;
    boxed(out, b"moof", |out| {
        full(out, b"mfhd", 0, 0, |out| words(out, &[sequence]));
        boxed(out, b"traf", |out| {
            full(out, b"tfhd", 0, BASE_IS_FRAGMENT, |out| words(out, &[TRACK]));
            full(out, b"tfdt", 1, 0, |out| out.extend_from_slice(&start.to_be_bytes()));
            full(out, b"trun", 0, RUN, |out| {
                words(out, &[packets.len() as u32]);
                offset_at = out.len();
                words(out, &[0]);
                packets.iter().for_each(|(bytes, duration)| words(out, &[*duration, bytes.len() as u32]));
            });
        });
    });
    // Behind the header of the box of data.
    let offset = (out.len() - begin + 8) as u32;
    out[offset_at..offset_at + 4].copy_from_slice(&offset.to_be_bytes());
    boxed(out, b"mdat", |out| packets.iter().for_each(|(bytes, _)| out.extend_from_slice(bytes)));
}

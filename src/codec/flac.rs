//! FLAC (RFC 9639) by libFLAC, which is bound here directly: of the wrappers, none gives frames one by one.
//!
//! Only the streamable subset is written, and `STREAMINFO` without length and checksum: neither is known
//! while sound is sent.

use std::ffi::c_void;
use std::ptr::NonNull;
use std::slice;

use bytes::Bytes;
use libflac_sys as ffi;

use super::encoder::{Encoder, Format, Packet};
use super::flac_frame::renumbered;
use super::samples::to_integer;
use super::settings::{Codec, EncoderSettings};
use crate::error::{Error, Kind, Result};

/// libFLAC's own choice of effort.
const DEFAULT_LEVEL: u8 = 5;

/// A block should not last longer than this, or listeners wait for it.
const LONGEST_BLOCK_MS: u32 = 100;

/// Length of `fLaC`, the header of a metadata block and `STREAMINFO`.
const STREAMINFO_END: usize = 4 + 4 + 34;

/// In the first byte of a metadata block's header: no other block follows.
const LAST_BLOCK: u8 = 0x80;

/// The FLAC encoder.
pub struct Flac {
    settings: EncoderSettings,
    format: Format,
    stream: Stream,
    /// Samples as integers.
    integers: Vec<i32>,
    /// Blocks given so far, those before a reset included.
    blocks: u32,
    /// Where libFLAC's own numbers begin.
    first_block: u32,
}

impl Flac {
    /// For settings that were checked.
    ///
    /// # Errors
    /// [`Kind::Internal`] when libFLAC refuses them all the same.
    pub fn new(settings: &EncoderSettings) -> Result<Self> {
        let mut stream = Stream::open(settings)?;
        let written = &mut stream.sink().metadata;
        let mut head = written.get(..STREAMINFO_END).ok_or_else(|| failed("wrote no header"))?.to_vec();
        head[4] |= LAST_BLOCK;
        let format = Format {
            codec: Codec::Flac,
            sample_rate: settings.sample_rate,
            channels: settings.channels,
            bit_depth: Some(bits(settings)),
            frame_samples: block_frames(settings),
            delay_frames: 0,
            bitrate_kbps: None,
            headers: vec![Bytes::from(head)],
        };
        Ok(Self {
            settings: settings.clone(),
            format,
            stream,
            integers: Vec::new(),
            blocks: 0,
            first_block: 0,
        })
    }
}

impl Flac {
    fn give(&mut self, emit: &mut dyn FnMut(Packet)) {
        for mut packet in std::mem::take(&mut self.stream.sink().packets) {
            if self.first_block > 0 {
                packet.bytes = renumbered(&packet.bytes, self.blocks).into();
            }
            // 31 bits, at most a hundred times a second: half a year and more.
            self.blocks = self.blocks.wrapping_add(1) & 0x7FFF_FFFF;
            emit(packet);
        }
    }
}

impl Encoder for Flac {
    fn format(&self) -> &Format {
        &self.format
    }

    fn encode(&mut self, samples: &[f32], emit: &mut dyn FnMut(Packet)) -> Result<()> {
        let bits = bits(&self.settings);
        self.integers.clear();
        self.integers.extend(samples.iter().map(|sample| to_integer(*sample, bits)));
        self.stream.process(&self.integers, self.format.channels)?;
        self.give(emit);
        Ok(())
    }

    fn finish(&mut self, emit: &mut dyn FnMut(Packet)) -> Result<()> {
        self.stream.finish()?;
        self.give(emit);
        Ok(())
    }

    fn reset(&mut self) -> Result<()> {
        self.stream = Stream::open(&self.settings)?;
        self.first_block = self.blocks;
        Ok(())
    }
}

fn bits(settings: &EncoderSettings) -> u8 {
    settings.bit_depth.unwrap_or(16)
}

fn level(settings: &EncoderSettings) -> u8 {
    settings.flac_level.unwrap_or(DEFAULT_LEVEL)
}

/// Frames of a block: those of the level, less where they would last too long.
fn block_frames(settings: &EncoderSettings) -> u32 {
    let usual: u32 = if level(settings) < 3 { 1152 } else { 4096 };
    let longest = settings.sample_rate * LONGEST_BLOCK_MS / 1000;
    (0..4).map(|halvings| usual >> halvings).find(|frames| *frames <= longest).unwrap_or(usual >> 3)
}

/// What libFLAC wrote and nobody has taken yet.
#[derive(Default)]
struct Sink {
    metadata: Vec<u8>,
    packets: Vec<Packet>,
}

/// libFLAC at work.
struct Stream {
    encoder: NonNull<ffi::FLAC__StreamEncoder>,
    /// From a `Box`. libFLAC has the pointer, and writes through it only inside of calls made here.
    sink: NonNull<Sink>,
}

// SAFETY: libFLAC keeps all of an encoder's state in the encoder and knows no threads; both pointers are
// owned here and not shared.
#[expect(unsafe_code, reason = "a C library's state may move between threads, which only we can promise")]
unsafe impl Send for Stream {}

#[expect(unsafe_code, reason = "a C library")]
impl Stream {
    fn open(settings: &EncoderSettings) -> Result<Self> {
        // SAFETY: a plain allocation, checked below.
        let encoder = NonNull::new(unsafe { ffi::FLAC__stream_encoder_new() });
        let encoder = encoder.ok_or_else(|| failed("had no memory"))?;
        let sink = NonNull::from(Box::leak(Box::<Sink>::default()));
        // From here on dropping it frees both.
        let stream = Self { encoder, sink };
        let raw = encoder.as_ptr();
        // SAFETY: the encoder is valid and not initialised yet, as these calls ask. The callback and its
        // data live as long as the encoder.
        let status = unsafe {
            ffi::FLAC__stream_encoder_set_channels(raw, u32::from(settings.channels));
            ffi::FLAC__stream_encoder_set_bits_per_sample(raw, u32::from(bits(settings)));
            ffi::FLAC__stream_encoder_set_sample_rate(raw, settings.sample_rate);
            ffi::FLAC__stream_encoder_set_compression_level(raw, u32::from(level(settings)));
            ffi::FLAC__stream_encoder_set_blocksize(raw, block_frames(settings));
            let data = sink.as_ptr().cast::<c_void>();
            ffi::FLAC__stream_encoder_init_stream(raw, Some(take), None, None, None, data)
        };
        if status != ffi::FLAC__STREAM_ENCODER_INIT_STATUS_OK {
            return Err(failed(&format!("would not be set up (status {status})")));
        }
        Ok(stream)
    }

    fn sink(&mut self) -> &mut Sink {
        // SAFETY: it came from a `Box` and is freed only in `drop`; libFLAC touches it only inside of its
        // own calls, which borrow `self` as this does.
        unsafe { self.sink.as_mut() }
    }

    fn process(&mut self, integers: &[i32], channels: u16) -> Result<()> {
        let frames = integers.len() / usize::from(channels);
        let frames = u32::try_from(frames).map_err(|_| failed("got too much at once"))?;
        // SAFETY: the encoder is initialised, and reads `frames` times `channels` integers, which are there.
        let done = unsafe {
            ffi::FLAC__stream_encoder_process_interleaved(self.encoder.as_ptr(), integers.as_ptr(), frames)
        };
        if done == 0 { Err(failed("did not take the samples")) } else { Ok(()) }
    }

    fn finish(&mut self) -> Result<()> {
        // SAFETY: the encoder is valid; finishing twice is allowed.
        let done = unsafe { ffi::FLAC__stream_encoder_finish(self.encoder.as_ptr()) };
        if done == 0 { Err(failed("could not write its last block")) } else { Ok(()) }
    }
}

#[expect(unsafe_code, reason = "a C library")]
impl Drop for Stream {
    fn drop(&mut self) {
        // SAFETY: both are valid and owned; the encoder, which may still write what is left into the sink,
        // goes first.
        unsafe {
            ffi::FLAC__stream_encoder_delete(self.encoder.as_ptr());
            drop(Box::from_raw(self.sink.as_ptr()));
        }
    }
}

/// libFLAC's write callback: metadata come with no frames, a block with its length.
#[expect(unsafe_code, reason = "called by a C library")]
unsafe extern "C" fn take(
    _encoder: *const ffi::FLAC__StreamEncoder,
    buffer: *const u8,
    bytes: usize,
    frames: u32,
    _number: u32,
    data: *mut c_void,
) -> ffi::FLAC__StreamEncoderWriteStatus {
    // SAFETY: libFLAC hands over `bytes` readable bytes, and the pointer given with the callback, to which
    // nobody else has a reference during its calls.
    let (bytes, sink) = unsafe { (slice::from_raw_parts(buffer, bytes), &mut *data.cast::<Sink>()) };
    if frames == 0 {
        sink.metadata.extend_from_slice(bytes);
    } else {
        sink.packets.push(Packet::clean(bytes.to_vec(), frames));
    }
    ffi::FLAC__STREAM_ENCODER_WRITE_STATUS_OK
}

fn failed(what: &str) -> Error {
    Error::new(Kind::Internal, format!("the FLAC encoder {what}"))
}

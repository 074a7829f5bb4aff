//! AAC-LC, HE-AAC and HE-AAC v2 by Fraunhofer's FDK, which is bound here directly: the wrapper that there is
//! cannot say how often HE-AAC has its header. Its licence is its own; see the README.
//!
//! HE-AAC describes the upper half of the spectrum, as differences to the packet before but where a header
//! stands. FDK would write one into every tenth packet, and a player that begins in between would hear the
//! lower half until then. Here every packet has one, so that it is a clean start as in the other codecs.
//!
//! FDK takes 16-bit integers: sound with more should be dithered to 16 bits before.

use std::ffi::{c_int, c_void};
use std::ptr::{self, NonNull};

use bytes::Bytes;
use fdk_aac_sys as ffi;

use super::encoder::{Encoder, Format, Packet};
use super::samples::{Owed, Pieces, to_integer};
use super::settings::{AacProfile, Codec, EncoderSettings};
use crate::error::{Error, Kind, Result};

/// Packets from one header of HE-AAC to the next.
const HEADER_PERIOD: u32 = 1;
/// Access units alone; what holds them is `mux`'s business.
const RAW: u32 = 0;

/// The AAC encoder.
pub struct Aac {
    settings: EncoderSettings,
    format: Format,
    pieces: Pieces,
    core: Core,
}

/// What turns pieces into packets.
struct Core {
    fdk: Fdk,
    frame_samples: u32,
    integers: Vec<i16>,
    out: Vec<u8>,
    owed: Owed,
}

impl Aac {
    /// For settings that were checked.
    ///
    /// # Errors
    /// [`Kind::Internal`] when FDK refuses them all the same.
    pub fn new(settings: &EncoderSettings) -> Result<Self> {
        let fdk = Fdk::open(settings)?;
        let info = fdk.info()?;
        let config = info.confBuf.get(..info.confSize as usize).unwrap_or_default();
        let format = Format {
            codec: Codec::Aac,
            sample_rate: settings.sample_rate,
            channels: settings.channels,
            bit_depth: None,
            frame_samples: info.frameLength,
            delay_frames: info.nDelay,
            bitrate_kbps: Some(settings.bitrate()),
            headers: vec![Bytes::copy_from_slice(config)],
        };
        let core = Core {
            fdk,
            frame_samples: info.frameLength,
            integers: Vec::new(),
            out: vec![0; info.maxOutBufBytes as usize],
            owed: Owed::new(info.nDelay),
        };
        let pieces = Pieces::new(format.frame_samples, format.channels);
        Ok(Self { settings: settings.clone(), format, pieces, core })
    }
}

impl Encoder for Aac {
    fn format(&self) -> &Format {
        &self.format
    }

    fn encode(&mut self, samples: &[f32], emit: &mut dyn FnMut(Packet)) -> Result<()> {
        let Self { format, pieces, core, .. } = self;
        core.owed.take(samples.len(), format.channels);
        pieces.push(samples, |piece| core.encode(piece, emit))
    }

    fn finish(&mut self, emit: &mut dyn FnMut(Packet)) -> Result<()> {
        while !self.core.owed.is_settled() {
            self.pieces.pad(|piece| self.core.encode(piece, emit))?;
        }
        Ok(())
    }

    fn reset(&mut self) -> Result<()> {
        self.core.fdk = Fdk::open(&self.settings)?;
        self.core.owed = Owed::new(self.format.delay_frames);
        self.pieces.clear();
        Ok(())
    }
}

impl Core {
    /// One piece is one packet: FDK is set up for pieces of this length.
    fn encode(&mut self, piece: &[f32], emit: &mut dyn FnMut(Packet)) -> Result<()> {
        self.integers.clear();
        self.integers.extend(piece.iter().map(|sample| to_integer(*sample, 16) as i16));
        let (consumed, written) = self.fdk.encode(&mut self.integers, &mut self.out)?;
        let packet = self.out.get(..written).filter(|packet| !packet.is_empty());
        let Some(packet) = packet.filter(|_| consumed == self.integers.len()) else {
            return Err(failed("made no packet of a frame"));
        };
        let frames = self.owed.count(self.frame_samples);
        emit(Packet::clean(packet.to_vec(), frames));
        Ok(())
    }
}

/// FDK at work.
struct Fdk(NonNull<ffi::AACENCODER>);

// SAFETY: FDK keeps all of an encoder's state in the encoder and knows no threads; the pointer is owned here
// and not shared.
#[expect(unsafe_code, reason = "a C library's state may move between threads, which only we can promise")]
unsafe impl Send for Fdk {}

#[expect(unsafe_code, reason = "a C library")]
impl Fdk {
    fn open(settings: &EncoderSettings) -> Result<Self> {
        let mut raw: ffi::HANDLE_AACENCODER = ptr::null_mut();
        // SAFETY: FDK writes one pointer, to what is there. All of its modules, two channels at most.
        check(unsafe { ffi::aacEncOpen(&raw mut raw, 0, 2) }, "had no memory")?;
        let fdk = Self(NonNull::new(raw).ok_or_else(|| failed("had no memory"))?);
        let object_type = match settings.aac_profile {
            AacProfile::Lc => ffi::AUDIO_OBJECT_TYPE_AOT_AAC_LC,
            AacProfile::He => ffi::AUDIO_OBJECT_TYPE_AOT_SBR,
            AacProfile::HeV2 => ffi::AUDIO_OBJECT_TYPE_AOT_PS,
        };
        let parameters = [
            (ffi::AACENC_PARAM_AACENC_AOT, object_type as u32),
            (ffi::AACENC_PARAM_AACENC_BITRATE, settings.bitrate() * 1000),
            (ffi::AACENC_PARAM_AACENC_BITRATEMODE, 0),
            (ffi::AACENC_PARAM_AACENC_SAMPLERATE, settings.sample_rate),
            (ffi::AACENC_PARAM_AACENC_TRANSMUX, RAW),
            // Not in the low-delay profile, which is the only one that would let it choose.
            (ffi::AACENC_PARAM_AACENC_SBR_MODE, 0),
            (ffi::AACENC_PARAM_AACENC_CHANNELMODE, u32::from(settings.channels)),
            (ffi::AACENC_PARAM_AACENC_HEADER_PERIOD, HEADER_PERIOD),
        ];
        for (parameter, value) in parameters {
            // SAFETY: the encoder is valid.
            let status = unsafe { ffi::aacEncoder_SetParam(fdk.0.as_ptr(), parameter, value) };
            check(status, &format!("refused {value} for its parameter {parameter:#x}"))?;
        }
        // SAFETY: the encoder is valid; without anything to encode this sets it up, as FDK documents it.
        let status = unsafe {
            ffi::aacEncEncode(fdk.0.as_ptr(), ptr::null(), ptr::null(), ptr::null(), ptr::null_mut())
        };
        check(status, "would not be set up")?;
        Ok(fdk)
    }

    fn info(&self) -> Result<ffi::AACENC_InfoStruct> {
        // SAFETY: numbers and an array of bytes, for which zeros are values.
        let mut info: ffi::AACENC_InfoStruct = unsafe { std::mem::zeroed() };
        // SAFETY: the encoder is valid, and so is what it writes to.
        check(unsafe { ffi::aacEncInfo(self.0.as_ptr(), &raw mut info) }, "told nothing of itself")?;
        Ok(info)
    }

    /// How many samples it took, and how many bytes it made. The samples are left as they are.
    fn encode(&mut self, samples: &mut [i16], out: &mut [u8]) -> Result<(usize, usize)> {
        let too_much = |_| failed("got too much at once");
        let count = c_int::try_from(samples.len()).map_err(too_much)?;
        let room = c_int::try_from(out.len()).map_err(too_much)?;
        let mut input =
            Buffer::new(samples.as_mut_ptr().cast(), ffi::AACENC_BufferIdentifier_IN_AUDIO_DATA, (count, 2));
        let mut output =
            Buffer::new(out.as_mut_ptr().cast(), ffi::AACENC_BufferIdentifier_OUT_BITSTREAM_DATA, (room, 1));
        let (input, output) = (input.describe(), output.describe());
        let given = ffi::AACENC_InArgs { numInSamples: count, numAncBytes: 0 };
        // SAFETY: numbers alone, for which zeros are values.
        let mut made: ffi::AACENC_OutArgs = unsafe { std::mem::zeroed() };
        // SAFETY: the encoder is valid; it reads `count` samples, and writes at most `room` bytes; what
        // describes them lives until it returns.
        let status = unsafe {
            ffi::aacEncEncode(
                self.0.as_ptr(),
                &raw const input,
                &raw const output,
                &raw const given,
                &raw mut made,
            )
        };
        check(status, "failed")?;
        let known = |number: c_int| usize::try_from(number).unwrap_or(0);
        Ok((known(made.numInSamples), known(made.numOutBytes)))
    }
}

#[expect(unsafe_code, reason = "a C library")]
impl Drop for Fdk {
    fn drop(&mut self) {
        let mut raw = self.0.as_ptr();
        // SAFETY: the encoder is valid and owned.
        unsafe { ffi::aacEncClose(&raw mut raw) };
    }
}

/// One buffer, as FDK wants it described: by pointers to lists of one.
struct Buffer {
    start: *mut c_void,
    kind: c_int,
    size: c_int,
    element: c_int,
}

impl Buffer {
    /// `size` in bytes, save for sound, where FDK counts elements; `element` in bytes.
    fn new(start: *mut c_void, kind: u32, (size, element): (c_int, c_int)) -> Self {
        Self { start, kind: kind.cast_signed(), size, element }
    }

    /// Good for as long as this is there.
    fn describe(&mut self) -> ffi::AACENC_BufDesc {
        ffi::AACENC_BufDesc {
            numBufs: 1,
            bufs: &raw mut self.start,
            bufferIdentifiers: &raw mut self.kind,
            bufSizes: &raw mut self.size,
            bufElSizes: &raw mut self.element,
        }
    }
}

fn check(status: ffi::AACENC_ERROR, what: &str) -> Result<()> {
    if status == ffi::AACENC_ERROR_AACENC_OK { Ok(()) } else { Err(failed(&format!("{what} ({status:#x})"))) }
}

fn failed(what: &str) -> Error {
    Error::new(Kind::Internal, format!("the AAC encoder {what}"))
}

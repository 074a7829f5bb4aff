//! Vorbis I by libvorbis with the aoTuV and Lancer patches, bound here directly: the wrapper writes pages
//! of several packets and does not tell where a packet ends in time.
//!
//! Encoding is steered by a mean rate, but varies with the sound.

use std::ffi::c_long;
use std::mem::MaybeUninit;
use std::{ptr, slice};

use aotuv_lancer_vorbis_sys as ffi;
use bytes::Bytes;
use ogg_next_sys::ogg_packet;

use super::encoder::{Encoder, Format, Packet};
use super::samples::tame;
use super::settings::{Codec, EncoderSettings};
use crate::error::{Error, Kind, Result};

/// Frames handed to libvorbis at a time; it gets slow with very many.
const STEP_FRAMES: usize = 4096;

/// The Vorbis encoder.
pub struct Vorbis {
    settings: EncoderSettings,
    format: Format,
    stream: Stream,
}

impl Vorbis {
    /// For settings that were checked.
    ///
    /// # Errors
    /// [`Kind::Internal`] when libvorbis refuses them all the same.
    pub fn new(settings: &EncoderSettings) -> Result<Self> {
        let (stream, headers) = Stream::open(settings)?;
        let format = Format {
            codec: Codec::Vorbis,
            sample_rate: settings.sample_rate,
            channels: settings.channels,
            bit_depth: None,
            frame_samples: 0,
            delay_frames: 0,
            bitrate_kbps: Some(settings.bitrate()),
            headers,
        };
        Ok(Self { settings: settings.clone(), format, stream })
    }
}

impl Encoder for Vorbis {
    fn format(&self) -> &Format {
        &self.format
    }

    fn encode(&mut self, samples: &[f32], emit: &mut dyn FnMut(Packet)) -> Result<()> {
        let channels = usize::from(self.format.channels);
        for part in samples.chunks(STEP_FRAMES * channels) {
            self.stream.take(part, channels)?;
            self.stream.give(emit)?;
        }
        Ok(())
    }

    fn finish(&mut self, emit: &mut dyn FnMut(Packet)) -> Result<()> {
        self.stream.end()?;
        self.stream.give(emit)
    }

    fn reset(&mut self) -> Result<()> {
        let last_block = self.stream.last_block;
        (self.stream, _) = Stream::open(&self.settings)?;
        self.stream.last_block = last_block;
        Ok(())
    }
}

/// libvorbis at work. The structures point to each other, so they stay where they are: each in a box of its
/// own, zeroed before libvorbis fills it, which is also what its `clear` functions take.
struct Stream {
    info: Box<ffi::vorbis_info>,
    state: Box<ffi::vorbis_dsp_state>,
    block: Box<ffi::vorbis_block>,
    /// Where the last packet ended, in frames; none came yet.
    position: Option<i64>,
    /// Length of the last packet's block, that of the stream before this one included.
    last_block: Option<c_long>,
}

// SAFETY: libvorbis keeps all of its state in these three structures and knows no threads; they are owned
// here and not shared.
#[expect(unsafe_code, reason = "a C library's state may move between threads, which only we can promise")]
unsafe impl Send for Stream {}

#[expect(unsafe_code, reason = "a C library")]
impl Stream {
    fn open(settings: &EncoderSettings) -> Result<(Self, Vec<Bytes>)> {
        // SAFETY: the three are plain C structures of numbers and pointers, for which zero is a value.
        let mut stream = unsafe {
            Self {
                info: Box::new(MaybeUninit::zeroed().assume_init()),
                state: Box::new(MaybeUninit::zeroed().assume_init()),
                block: Box::new(MaybeUninit::zeroed().assume_init()),
                position: None,
                last_block: None,
            }
        };
        let (channels, rate) = (c_long::from(settings.channels), c_long::from(settings.sample_rate));
        let target = c_long::from(settings.bitrate()) * 1000;
        let control = ffi::OV_ECTL_RATEMANAGE2_SET.cast_signed();
        let (info, state) = (&raw mut *stream.info, &raw mut *stream.state);
        // SAFETY: each call gets the structures that the ones before it have set up, in the order that
        // libvorbis documents. The null pointer switches rate management off.
        unsafe {
            ffi::vorbis_info_init(info);
            checked(ffi::vorbis_encode_setup_managed(info, channels, rate, -1, target, -1))?;
            checked(ffi::vorbis_encode_ctl(info, control, ptr::null_mut()))?;
            checked(ffi::vorbis_encode_setup_init(info))?;
            checked(ffi::vorbis_analysis_init(state, info))?;
            checked(ffi::vorbis_block_init(state, &raw mut *stream.block))?;
        }
        let headers = stream.headers()?;
        Ok((stream, headers))
    }

    /// Identification, comment (without comments) and setup.
    fn headers(&mut self) -> Result<Vec<Bytes>> {
        // SAFETY: zero is a value of these too; the comment is initialised before its use and cleared after
        // it. The packets' bytes belong to the state and are copied before it changes.
        unsafe {
            let mut comment: ffi::vorbis_comment = MaybeUninit::zeroed().assume_init();
            let [mut first, mut second, mut third]: [ogg_packet; 3] = MaybeUninit::zeroed().assume_init();
            ffi::vorbis_comment_init(&raw mut comment);
            let state = &raw mut *self.state;
            let status = ffi::vorbis_analysis_headerout(
                state,
                &raw mut comment,
                &raw mut first,
                &raw mut second,
                &raw mut third,
            );
            ffi::vorbis_comment_clear(&raw mut comment);
            checked(status)?;
            Ok([first, second, third].iter().map(|packet| Bytes::from(bytes_of(packet))).collect())
        }
    }

    /// Hands over interleaved samples.
    fn take(&mut self, samples: &[f32], channels: usize) -> Result<()> {
        let frames = samples.len() / channels;
        let count = i32::try_from(frames).map_err(|_| failed(ffi::OV_EINVAL))?;
        if count == 0 {
            // To libvorbis, nothing means the end.
            return Ok(());
        }
        let state = &raw mut *self.state;
        // SAFETY: libvorbis gives one line of `frames` floats for each channel, which only we write to,
        // before it is told that they are there.
        unsafe {
            let lines = slice::from_raw_parts(ffi::vorbis_analysis_buffer(state, count), channels);
            for (line, channel) in lines.iter().zip(order(channels)) {
                let line = slice::from_raw_parts_mut(*line, frames);
                let own = samples.iter().skip(*channel).step_by(channels);
                line.iter_mut().zip(own).for_each(|(to, from)| *to = tame(*from));
            }
            checked(ffi::vorbis_analysis_wrote(state, count))
        }
    }

    /// Says that nothing follows.
    fn end(&mut self) -> Result<()> {
        // SAFETY: the state is initialised.
        checked(unsafe { ffi::vorbis_analysis_wrote(&raw mut *self.state, 0) })
    }

    /// Gives the packets that are complete.
    fn give(&mut self, emit: &mut dyn FnMut(Packet)) -> Result<()> {
        let (info, state, block) = (&raw mut *self.info, &raw mut *self.state, &raw mut *self.block);
        // SAFETY: all three are initialised and belong together; a packet's bytes are copied before
        // the next call that could change them.
        unsafe {
            while ffi::vorbis_analysis_blockout(state, block) == 1 {
                checked(ffi::vorbis_analysis(block, ptr::null_mut()))?;
                checked(ffi::vorbis_bitrate_addblock(block))?;
                let mut packet: ogg_packet = MaybeUninit::zeroed().assume_init();
                while ffi::vorbis_bitrate_flushpacket(state, (&raw mut packet).cast()) == 1 {
                    let block = ffi::vorbis_packet_blocksize(info, (&raw mut packet).cast());
                    let frames = self.length(packet.granulepos, block);
                    emit(Packet::clean(bytes_of(&packet), frames));
                }
            }
        }
        Ok(())
    }
}

impl Stream {
    /// Frames that a decoder makes of a packet. Of the first, nothing, unless it goes on from another stream
    /// with which it overlaps: then a quarter of both blocks (Vorbis I, 4.3.8).
    fn length(&mut self, end: i64, block: c_long) -> u32 {
        let last = self.last_block.replace(block);
        let overlapped = last.map_or(0, |last| last / 4 + block / 4);
        match self.position.replace(end) {
            Some(position) => (end - position).max(0) as u32,
            None => overlapped as u32,
        }
    }
}

#[expect(unsafe_code, reason = "a C library")]
impl Drop for Stream {
    fn drop(&mut self) {
        // SAFETY: each is either set up or zero, and both can be cleared, once; in this order, as the later
        // ones are used by the earlier.
        unsafe {
            ffi::vorbis_block_clear(&raw mut *self.block);
            ffi::vorbis_dsp_clear(&raw mut *self.state);
            ffi::vorbis_info_clear(&raw mut *self.info);
        }
    }
}

/// Which of our channels, in the order of WAV, each of Vorbis's is (its specification, 4.3.9).
fn order(channels: usize) -> &'static [usize] {
    match channels {
        3 => &[0, 2, 1],
        5 => &[0, 2, 1, 3, 4],
        6 => &[0, 2, 1, 4, 5, 3],
        7 => &[0, 2, 1, 5, 6, 4, 3],
        8 => &[0, 2, 1, 6, 7, 4, 5, 3],
        _ => &[0, 1, 2, 3],
    }
}

/// A copy of what is in a packet.
///
/// # Safety
/// The packet is one that libvorbis has filled, and libvorbis was not called since.
#[expect(unsafe_code, reason = "a C library")]
unsafe fn bytes_of(packet: &ogg_packet) -> Vec<u8> {
    let length = usize::try_from(packet.bytes).unwrap_or(0);
    // SAFETY: so many bytes are there, by the promise above.
    unsafe { slice::from_raw_parts(packet.packet, length) }.to_vec()
}

/// Negative is an error.
fn checked(status: i32) -> Result<()> {
    if status < 0 { Err(failed(status)) } else { Ok(()) }
}

fn failed(status: i32) -> Error {
    Error::new(Kind::Internal, format!("the Vorbis encoder failed (status {status})"))
}

//! WAV and FLAC files as a stream of frames, for the `[capture.file]` source.
//!
//! Symphonia parses and decodes, a packet at a time, so that memory does not grow with the file. This
//! module says what a source may rely on: samples that are exact, a second round that equals the first,
//! and an end instead of an error where a damaged file stops making sense.
//!
//! Not in here: the pace, and what happens at the end (`capture::file`).

use std::fs::{self, File};
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};

use symphonia::core::audio::GenericAudioBufferRef;
use symphonia::core::codecs::CodecParameters;
use symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoder, AudioDecoderOptions, well_known};
use symphonia::core::errors::Error as DecoderError;
use symphonia::core::formats::{FormatOptions, FormatReader};
use symphonia::core::io::{MediaSourceStream, MediaSourceStreamOptions};
use symphonia::default::formats::{FlacReader, WavReader};
use symphonia::default::get_codecs;

use crate::error::{Error, Kind, Result};
use crate::tools::contain::contain;

/// Full scale of a 24-bit integer.
const SCALE_24: f32 = 8_388_608.0;

/// Undecodable packets in a row after which the rest is given up. One of FLAC is about a tenth of a second,
/// so nobody waits for what may come behind this many; and it bounds the time that one read takes.
const MAX_DAMAGED: usize = 256;

/// An open WAV or FLAC file.
pub struct AudioFile {
    path: PathBuf,
    /// Kept to begin anew from, so that a rewind plays the same file even if the path was replaced.
    file: File,
    sound: Sound,
    /// `None` when the end is reached, or after the decoder failed: then it cannot be trusted any more.
    stream: Option<Stream>,
    /// The samples of one packet, of which `used` are handed out.
    ready: Vec<f32>,
    used: usize,
}

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sound {
    sample_rate: u32,
    channels: u16,
    format: &'static str,
}

impl AudioFile {
    /// Opens a file, reads its header and decodes its first frames.
    ///
    /// # Errors
    /// [`Kind::Gone`] when it is missing or unreadable, [`Kind::Invalid`] when it is neither WAV nor
    /// FLAC, stored in a way that is not supported, or without any audio.
    pub fn open(path: &Path) -> Result<Self> {
        // Asked before opening: to open a named pipe would wait for a writer.
        let metadata = fs::metadata(path).map_err(|error| unreadable(path, &error))?;
        if !metadata.is_file() {
            return Err(invalid(path, "it is not a regular file"));
        }
        let file = File::open(path).map_err(|error| unreadable(path, &error))?;
        let (sound, stream) = Stream::begin(&file, path)?;
        let mut audio =
            Self { path: path.to_owned(), file, sound, stream: Some(stream), ready: Vec::new(), used: 0 };
        audio.decode_first()?;
        Ok(audio)
    }

    /// Frames per second.
    pub fn sample_rate(&self) -> u32 {
        self.sound.sample_rate
    }

    /// Samples per frame.
    pub fn channels(&self) -> u16 {
        self.sound.channels
    }

    /// ALSA's name of the smallest format that holds what is stored.
    pub fn format(&self) -> &'static str {
        self.sound.format
    }

    /// Fills `out`, a whole number of frames, with interleaved samples as far as the file goes. Full
    /// scale is ±1. Integers of up to 24 bits are exact, 32-bit ones keep their upper 24; a float that is
    /// not a finite number becomes 0. Damaged FLAC frames are left out.
    ///
    /// Returns the frames written: fewer than asked for only at the end, then 0.
    ///
    /// # Errors
    /// [`Kind::Gone`] when the file cannot be read any further, [`Kind::Invalid`] when the decoder
    /// failed. From then on only [`AudioFile::rewind`] brings more.
    pub fn read(&mut self, out: &mut [f32]) -> Result<usize> {
        let channels = usize::from(self.sound.channels);
        debug_assert!(out.len().is_multiple_of(channels), "a whole number of frames");
        let mut written = 0;
        while written < out.len() {
            if self.used == self.ready.len() {
                self.decode_next()?;
            }
            let from = &self.ready[self.used..];
            if from.is_empty() {
                break;
            }
            let count = from.len().min(out.len() - written);
            out[written..written + count].copy_from_slice(&from[..count]);
            self.used += count;
            written += count;
        }
        Ok(written / channels)
    }

    /// Goes back to the first frame.
    ///
    /// The file is parsed anew instead of sought in: the decoder's seeking searches, and gets lost behind
    /// damage or a wrong seek table. This way every round is the same by construction.
    ///
    /// # Errors
    /// As [`AudioFile::open`], and [`Kind::Invalid`] when the file was overwritten by something else.
    pub fn rewind(&mut self) -> Result<()> {
        self.stream = None;
        self.ready.clear();
        self.used = 0;
        let (sound, stream) = Stream::begin(&self.file, &self.path)?;
        if sound != self.sound {
            return Err(invalid(&self.path, "it changed while it was played"));
        }
        self.stream = Some(stream);
        self.decode_first()
    }

    /// Decodes the first packet. A file without one is refused, so that whoever repeats a file can rely
    /// on every round to bring something.
    fn decode_first(&mut self) -> Result<()> {
        self.decode_next()?;
        if self.ready.is_empty() {
            return Err(invalid(&self.path, "it holds no audio"));
        }
        Ok(())
    }

    /// Decodes the next good packet into `ready`, which stays empty at the end.
    fn decode_next(&mut self) -> Result<()> {
        self.ready.clear();
        self.used = 0;
        // Taken out while it works: it comes back only if it is still good for another packet.
        let Some(mut stream) = self.stream.take() else { return Ok(()) };
        let what = self.path.display().to_string();
        for _ in 0..MAX_DAMAGED {
            let step = contain(&what, || stream.step(&mut self.ready))?;
            match step.map_err(|error| unreadable(&self.path, &error))? {
                Step::Decoded => {
                    self.stream = Some(stream);
                    return Ok(());
                }
                Step::Damaged => {}
                Step::End => return Ok(()),
            }
        }
        Ok(())
    }
}

/// A parser and a decoder at some place in a file.
struct Stream {
    reader: Box<dyn FormatReader>,
    decoder: Box<dyn AudioDecoder>,
    /// A packet of integers, in the upper bits.
    integers: Vec<i32>,
}

/// What became of a packet.
enum Step {
    /// It has samples.
    Decoded,
    /// It could not be decoded, or has none.
    Damaged,
    /// There is none, or none that makes sense.
    End,
}

impl Stream {
    /// Reads the header, from the first byte of the file.
    fn begin(file: &File, path: &Path) -> Result<(Sound, Self)> {
        let (magic, file) = from_start(file).map_err(|error| refused(path, &error.into()))?;
        let parsed = contain(&path.display().to_string(), || Self::parse(magic, file))?;
        parsed.map_err(|error| refused(path, &error))
    }

    /// The formats are tried by name, not probed for: a probe searches the first megabyte for something
    /// that looks like a header, and finds it in what is no sound at all.
    fn parse(magic: [u8; 4], file: File) -> Result<(Sound, Self), DecoderError> {
        let source = MediaSourceStream::new(Box::new(file), MediaSourceStreamOptions::default());
        let reader: Box<dyn FormatReader> = match &magic {
            b"RIFF" => Box::new(WavReader::try_new(source, FormatOptions::default())?),
            b"fLaC" => Box::new(FlacReader::try_new(source, FormatOptions::default())?),
            _ => return Err(DecoderError::Unsupported("neither WAV nor FLAC")),
        };
        let Some(CodecParameters::Audio(params)) =
            reader.tracks().first().and_then(|track| track.codec_params.as_ref())
        else {
            return Err(DecoderError::Unsupported("no audio track"));
        };
        let sound = Sound::of(params)?;
        let decoder = get_codecs().make_audio_decoder(params, &AudioDecoderOptions::default())?;
        Ok((sound, Self { reader, decoder, integers: Vec::new() }))
    }

    /// Decodes one packet into `ready`.
    ///
    /// # Errors
    /// Those of the file system. Damage is not an error.
    fn step(&mut self, ready: &mut Vec<f32>) -> io::Result<Step> {
        let packet = match self.reader.next_packet() {
            Ok(Some(packet)) => packet,
            // A parser tells a file that ends too early, and only that, by this kind.
            Err(DecoderError::IoError(error)) if error.kind() != io::ErrorKind::UnexpectedEof => {
                return Err(error);
            }
            Ok(None) | Err(_) => return Ok(Step::End),
        };
        let Ok(decoded) = self.decoder.decode(&packet) else { return Ok(Step::Damaged) };
        to_f32(&decoded, &mut self.integers, ready);
        Ok(if ready.is_empty() { Step::Damaged } else { Step::Decoded })
    }
}

impl Sound {
    fn of(params: &AudioCodecParameters) -> Result<Self, DecoderError> {
        let sample_rate = params.sample_rate.filter(|rate| *rate > 0);
        let channels = params.channels.as_ref().and_then(|channels| u16::try_from(channels.count()).ok());
        match (sample_rate, channels.filter(|count| *count > 0), format(params)) {
            (Some(sample_rate), Some(channels), Some(format)) => Ok(Self { sample_rate, channels, format }),
            (None, ..) => Err(DecoderError::Unsupported("no sample rate")),
            (_, None, _) => Err(DecoderError::Unsupported("no channels")),
            (.., None) => Err(DecoderError::Unsupported(
                "its sample format (WAV may hold integers of 8 to 32 bits or floats, FLAC up to 24 bits)",
            )),
        }
    }
}

/// ALSA's name of the stored resolution, if it is supported.
fn format(params: &AudioCodecParameters) -> Option<&'static str> {
    Some(match params.codec {
        well_known::CODEC_ID_PCM_U8 => "U8",
        well_known::CODEC_ID_PCM_S16LE => "S16_LE",
        well_known::CODEC_ID_PCM_S24LE => "S24_3LE",
        well_known::CODEC_ID_PCM_S32LE => "S32_LE",
        well_known::CODEC_ID_PCM_F32LE => "FLOAT_LE",
        well_known::CODEC_ID_PCM_F64LE => "FLOAT64_LE",
        well_known::CODEC_ID_FLAC => match params.bits_per_sample? {
            ..=8 => "S8",
            9..=16 => "S16_LE",
            17..=24 => "S24_3LE",
            // The difference of two 32-bit channels needs 33 bits, which the decoder does not have.
            _ => return None,
        },
        _ => return None,
    })
}

/// One packet as interleaved `f32`; `integers` is working space.
fn to_f32(packet: &GenericAudioBufferRef<'_>, integers: &mut Vec<i32>, out: &mut Vec<f32>) {
    if let GenericAudioBufferRef::F32(_) | GenericAudioBufferRef::F64(_) = packet {
        packet.copy_to_vec_interleaved(out);
        out.iter_mut().filter(|sample| !sample.is_finite()).for_each(|sample| *sample = 0.0);
    } else {
        // The lower 8 bits are cut as those of a device are (`dsp::convert`): 24 bits fit a float's
        // mantissa, so the cast is exact and no sample rounds up to +1.
        packet.copy_to_vec_interleaved(integers);
        out.clear();
        out.extend(integers.iter().map(|value| (value >> 8) as f32 / SCALE_24));
    }
}

/// The first four bytes, and the file at its start.
fn from_start(file: &File) -> io::Result<([u8; 4], File)> {
    let mut file = file.try_clone()?;
    let mut magic = [0; 4];
    file.rewind()?;
    file.read_exact(&mut magic)?;
    file.rewind()?;
    Ok((magic, file))
}

fn unreadable(path: &Path, error: &io::Error) -> Error {
    Error::new(Kind::Gone, format!("cannot read {}: {error}", path.display()))
}

fn invalid(path: &Path, reason: &str) -> Error {
    Error::new(Kind::Invalid, format!("cannot play {}: {reason}", path.display()))
}

/// What an error in a header means.
fn refused(path: &Path, error: &DecoderError) -> Error {
    match error {
        DecoderError::IoError(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            invalid(path, "it ends before its first frame")
        }
        DecoderError::IoError(error) => unreadable(path, error),
        DecoderError::Unsupported(what) => invalid(path, &format!("not supported: {what}")),
        other => invalid(path, &other.to_string()),
    }
}

#[cfg(test)]
#[path = "decode_tests.rs"]
mod tests;

//! Sound files as a stream of frames.
//!
//! A file is decoded in this process where that is safe and good (`inside`), and by a confined `ffmpeg`
//! where it is not (`ffmpeg`); `signature` tells by its first bytes what it is. Either way a packet at a
//! time, so that memory does not grow with the file. This module says what a source may rely on: samples
//! that are exact where they are stored so, a second round that equals the first, and an end instead of an
//! error where a damaged file stops making sense.
//!
//! Not in here: the pace, and what happens at the end (`capture::file`).

mod edit_list;
mod ffmpeg;
mod inside;
mod signature;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::error::{Error, Kind, Result};

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sound {
    /// Frames per second.
    pub sample_rate: u32,
    /// Samples in a frame.
    pub channels: u16,
    /// ALSA's name of the smallest format that holds what is stored.
    pub format: &'static str,
}

/// Turns stored sound into samples. It begins at the first frame and only goes forward.
pub trait Decoder: Send {
    /// What it decodes.
    fn sound(&self) -> Sound;

    /// Replaces what is in `ready` by the next samples, interleaved, full scale ±1; by none at the end.
    /// Integers of up to 24 bits are exact, 32-bit ones keep their upper 24; a sample that is not a finite
    /// number becomes 0. Damage is left out.
    ///
    /// # Errors
    /// [`Kind::Gone`] when the file cannot be read any further, [`Kind::Invalid`] when the decoder failed.
    /// Then it is not to be used any more.
    fn next(&mut self, ready: &mut Vec<f32>) -> Result<()>;
}

/// A decoder for that file, from its first byte.
///
/// # Errors
/// [`Kind::Gone`] when it is unreadable, [`Kind::Invalid`] with the reason when it cannot be decoded.
pub fn decoder(file: &File) -> Result<Box<dyn Decoder>> {
    let signature = signature::of(file).map_err(|error| unreadable(&error))?;
    match inside::Inside::open(file, signature)? {
        inside::Opened::Here(decoder) => Ok(decoder),
        inside::Opened::NotHere(what) => match ffmpeg::Child::open(file) {
            Ok(child) => Ok(Box::new(child)),
            Err(error) => Err(Error::new(Kind::Invalid, format!("{what} is decoded by ffmpeg: {error}"))),
        },
        inside::Opened::Perhaps(decoder, what) => match ffmpeg::Child::open(file) {
            Ok(child) => Ok(Box::new(child)),
            Err(error) => {
                tracing::warn!(reason = %error, "{what}; without ffmpeg its upper half is not heard");
                Ok(decoder)
            }
        },
    }
}

/// An open sound file.
pub struct AudioFile {
    path: PathBuf,
    /// Kept to begin anew from, so that a rewind plays the same file even if the path was replaced.
    file: File,
    sound: Sound,
    /// `None` when the end is reached, or after the decoder failed: then it cannot be trusted any more.
    decoder: Option<Box<dyn Decoder>>,
    /// The samples of one packet, of which `used` are handed out.
    ready: Vec<f32>,
    used: usize,
}

impl AudioFile {
    /// Opens a file, reads its header and decodes its first frames.
    ///
    /// # Errors
    /// [`Kind::Gone`] when it is missing or unreadable, [`Kind::Invalid`] when it is no sound that is known,
    /// stored in a way that is not supported, or without any audio.
    pub fn open(path: &Path) -> Result<Self> {
        // Asked before opening: to open a named pipe would wait for a writer.
        let metadata = fs::metadata(path).map_err(|error| at(path, &unreadable(&error)))?;
        if !metadata.is_file() {
            return Err(invalid(path, "it is not a regular file"));
        }
        let file = File::open(path).map_err(|error| at(path, &unreadable(&error)))?;
        let decoder = decoder(&file).map_err(|error| at(path, &error))?;
        let sound = decoder.sound();
        let (ready, path) = (Vec::new(), path.to_owned());
        let mut audio = Self { path, file, sound, decoder: Some(decoder), ready, used: 0 };
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

    /// Fills `out`, a whole number of frames, with samples as [`Decoder::next`] gives them, as far as the
    /// file goes.
    ///
    /// Returns the frames written: fewer than asked for only at the end, then 0.
    ///
    /// # Errors
    /// Those of [`Decoder::next`]. From then on only [`AudioFile::rewind`] brings more.
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
    /// The file is parsed anew instead of sought in: a decoder's seeking searches, and gets lost behind
    /// damage or a wrong seek table. This way every round is the same by construction.
    ///
    /// # Errors
    /// As [`AudioFile::open`], and [`Kind::Invalid`] when the file was overwritten by something else.
    pub fn rewind(&mut self) -> Result<()> {
        self.decoder = None;
        self.ready.clear();
        self.used = 0;
        let decoder = decoder(&self.file).map_err(|error| at(&self.path, &error))?;
        if decoder.sound() != self.sound {
            return Err(invalid(&self.path, "it changed while it was played"));
        }
        self.decoder = Some(decoder);
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
        let Some(mut decoder) = self.decoder.take() else { return Ok(()) };
        decoder.next(&mut self.ready).map_err(|error| at(&self.path, &error))?;
        if !self.ready.is_empty() {
            self.decoder = Some(decoder);
        }
        Ok(())
    }
}

/// The same error, with the file that it is about.
fn at(path: &Path, error: &Error) -> Error {
    let verb = if error.kind() == Kind::Gone { "read" } else { "play" };
    Error::new(error.kind(), format!("cannot {verb} {}: {}", path.display(), error.message()))
}

fn invalid(path: &Path, reason: &str) -> Error {
    at(path, &Error::new(Kind::Invalid, reason))
}

fn unreadable(error: &io::Error) -> Error {
    Error::new(Kind::Gone, error.to_string())
}

#[cfg(test)]
mod tests;

//! What the card plays: a file of S32_LE frames, or the ramp. Device frame n is frame n of it.
//!
//! The file is read as it is played, from the page cache in all likelihood; nothing is allocated after opening.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use talas_simcard_control::Format;
use talas_simcard_control::content::ramp_sample;

use crate::convert::{S32_BYTES, convert};

/// Frames rendered at a time: 8 channels make 32 KiB.
const CHUNK_FRAMES: usize = 1024;

/// Where the frames come from.
enum Origin {
    File { file: File, frames: u64, looped: bool },
    Ramp,
}

/// A card's content and a place to put a chunk of it.
pub struct Content {
    origin: Origin,
    channels: u32,
    chunk: Vec<u8>,
}

impl Content {
    /// The samples in `file`, `channels` wide, or else the ramp.
    pub fn open(file: Option<&Path>, channels: u32, looped: bool) -> io::Result<Self> {
        let frame_bytes = channels as usize * S32_BYTES;
        let origin = match file {
            None => Origin::Ramp,
            Some(path) => {
                let file = File::open(path)?;
                let bytes = file.metadata()?.len();
                if bytes == 0 || !bytes.is_multiple_of(frame_bytes as u64) {
                    return Err(io::Error::from_raw_os_error(libc::EINVAL));
                }
                Origin::File { file, frames: bytes / frame_bytes as u64, looped }
            }
        };
        Ok(Self { origin, channels, chunk: vec![0; CHUNK_FRAMES * frame_bytes] })
    }

    /// Fills `to` with frames from device frame `first` on: the first `channels` of each, in `format`.
    pub fn render(&mut self, first: u64, to: &mut [u8], channels: usize, format: Format) -> io::Result<()> {
        let card_channels = self.channels as usize;
        let frame_bytes = channels * format.sample_bytes();
        let mut frame = first;
        for to in to.chunks_mut(CHUNK_FRAMES * frame_bytes) {
            let frames = to.len() / frame_bytes;
            let chunk = &mut self.chunk[..frames * card_channels * S32_BYTES];
            self.origin.read(frame, chunk, self.channels)?;
            convert(chunk, card_channels, to, channels, format);
            frame += frames as u64;
        }
        Ok(())
    }
}

impl Origin {
    fn read(&self, first: u64, to: &mut [u8], channels: u32) -> io::Result<()> {
        match self {
            Self::Ramp => {
                fill_ramp(first, to, channels);
                Ok(())
            }
            Self::File { file, frames, looped } => {
                read_file(file, *frames, *looped, first, to, channels as usize * S32_BYTES)
            }
        }
    }
}

fn fill_ramp(first: u64, to: &mut [u8], channels: u32) {
    for (frame, to) in (first..).zip(to.chunks_exact_mut(channels as usize * S32_BYTES)) {
        for (channel, to) in (0..).zip(to.chunks_exact_mut(S32_BYTES)) {
            to.copy_from_slice(&ramp_sample(frame, channel).to_le_bytes());
        }
    }
}

fn read_file(
    file: &File,
    frames: u64,
    looped: bool,
    first: u64,
    to: &mut [u8],
    frame_bytes: usize,
) -> io::Result<()> {
    let (mut frame, mut rest) = (first, to);
    while !rest.is_empty() {
        if frame >= frames && !looped {
            rest.fill(0);
            return Ok(());
        }
        let at = frame % frames;
        let until_end = usize::try_from(frames - at).unwrap_or(usize::MAX).saturating_mul(frame_bytes);
        let (now, later) = rest.split_at_mut(until_end.min(rest.len()));
        file.read_exact_at(now, at * frame_bytes as u64)?;
        frame += (now.len() / frame_bytes) as u64;
        rest = later;
    }
    Ok(())
}

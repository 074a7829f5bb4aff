//! The edit list of an MP4 file (ISO/IEC 14496-12, 8.6.6): which part of the track is to be played. It cuts
//! off the encoder's delay and padding, and the parser that is used does not know it.
//!
//! Only the plain case is taken, one piece at normal speed; a list that rearranges is not followed.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::{Decoder, Sound};
use crate::error::Result;

/// More boxes side by side than any sound file has before what is looked for.
const MOST_BOXES: usize = 1000;

/// What is played of a track, in frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edit {
    /// Not played at the beginning.
    pub skip: u64,
    /// Played then; `None` is everything.
    pub keep: Option<u64>,
}

/// The edit of a file's first track of sound; none where there is no list, or one that makes no sense.
pub fn of(file: &File, sample_rate: u32) -> Option<Edit> {
    let whole = Span { start: 0, end: file.metadata().ok()?.len() };
    let movie = child(file, whole, b"moov")?;
    let movie_scale = timescale(file, child(file, movie, b"mvhd")?)?;
    let tracks = children(file, movie).filter(|(name, _)| name == b"trak");
    let (track, media) = tracks.map(|(_, track)| track).find_map(|track| {
        let media = child(file, track, b"mdia")?;
        let handler: [u8; 12] = read(file, child(file, media, b"hdlr")?).ok()?;
        (handler[8..] == *b"soun").then_some((track, media))
    })?;
    let media_scale = timescale(file, child(file, media, b"mdhd")?)?;
    let list = child(file, child(file, track, b"edts")?, b"elst")?;
    let (duration, media_time) = only_piece(file, list)?;
    let frames = |ticks: u64, scale: u64| ticks.checked_mul(u64::from(sample_rate)).map(|all| all / scale);
    // The movie's clock is often coarse: rounded up, so that no sound is lost.
    let rounded = if movie_scale < u64::from(sample_rate) { duration.saturating_add(1) } else { duration };
    let keep = if duration == 0 { None } else { Some(frames(rounded, movie_scale)?) };
    Some(Edit { skip: frames(media_time, media_scale)?, keep })
}

/// A decoder of which only that much is heard.
pub struct Trimmed<D> {
    inner: D,
    edit: Edit,
}

impl<D> Trimmed<D> {
    /// Applies an edit to a decoder at its beginning.
    pub fn new(inner: D, edit: Edit) -> Self {
        Self { inner, edit }
    }
}

impl<D: Decoder> Decoder for Trimmed<D> {
    fn sound(&self) -> Sound {
        self.inner.sound()
    }

    fn next(&mut self, ready: &mut Vec<f32>) -> Result<()> {
        let channels = usize::from(self.sound().channels);
        loop {
            self.inner.next(ready)?;
            let frames = (ready.len() / channels) as u64;
            let skipped = self.edit.skip.min(frames);
            self.edit.skip -= skipped;
            ready.drain(..skipped as usize * channels);
            if let Some(keep) = &mut self.edit.keep {
                let kept = (*keep).min(frames - skipped);
                *keep -= kept;
                ready.truncate(kept as usize * channels);
                if *keep == 0 {
                    return Ok(());
                }
            }
            if frames == 0 || !ready.is_empty() {
                return Ok(());
            }
        }
    }
}

/// The inside of a box, as places in the file.
#[derive(Debug, Clone, Copy)]
struct Span {
    start: u64,
    end: u64,
}

fn read<const N: usize>(file: &File, span: Span) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    if span.end.saturating_sub(span.start) < N as u64 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    file.read_exact_at(&mut bytes, span.start)?;
    Ok(bytes)
}

/// The boxes directly within, by name, as far as they make sense.
fn children(file: &File, mut within: Span) -> impl Iterator<Item = ([u8; 4], Span)> {
    let next = move || {
        let [a, b, c, d, name @ ..]: [u8; 8] = read(file, within).ok()?;
        let (header, length) = match u32::from_be_bytes([a, b, c, d]) {
            // As far as the file goes; or told in 64 bits behind the name.
            0 => (8, within.end - within.start),
            1 => {
                let long = Span { start: within.start.checked_add(8)?, ..within };
                (16, u64::from_be_bytes(read(file, long).ok()?))
            }
            short => (8, u64::from(short)),
        };
        let end = within.start.checked_add(length).filter(|end| *end <= within.end)?;
        let inside = Span { start: within.start + header, end };
        within.start = end;
        (inside.start <= end).then_some((name, inside))
    };
    std::iter::from_fn(next).take(MOST_BOXES)
}

fn child(file: &File, within: Span, name: &[u8; 4]) -> Option<Span> {
    children(file, within).find(|(found, _)| found == name).map(|(_, span)| span)
}

/// Ticks in a second, of a `mvhd` or `mdhd`: behind two times, which are longer in version 1.
fn timescale(file: &File, header: Span) -> Option<u64> {
    let [version, ..] = read::<4>(file, header).ok()?;
    let at = if version == 1 { 20 } else { 12 };
    let scale = u32::from_be_bytes(read(file, Span { start: header.start + at, ..header }).ok()?);
    (scale > 0).then_some(scale.into())
}

/// Duration and beginning of the only piece of a list.
fn only_piece(file: &File, list: Span) -> Option<(u64, u64)> {
    let [version, _, _, _, count @ ..]: [u8; 8] = read(file, list).ok()?;
    if u32::from_be_bytes(count) != 1 {
        return None;
    }
    let piece = Span { start: list.start + 8, ..list };
    if version == 1 {
        let [duration @ .., _, _, _, _, _, _, _, _]: [u8; 16] = read(file, piece).ok()?;
        let begin = i64::from_be_bytes(read(file, Span { start: piece.start + 8, ..piece }).ok()?);
        Some((u64::from_be_bytes(duration), u64::try_from(begin).ok()?))
    } else {
        let [duration @ .., _, _, _, _]: [u8; 8] = read(file, piece).ok()?;
        let begin = i32::from_be_bytes(read(file, Span { start: piece.start + 4, ..piece }).ok()?);
        Some((u32::from_be_bytes(duration).into(), u64::try_from(begin).ok()?))
    }
}

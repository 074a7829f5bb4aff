//! Decoding by `ffmpeg`, in a process that can reach nothing but the file.
//!
//! The helper `talas-confine` shuts itself in (memory, processor time, file system, network) and becomes
//! `ffmpeg`, which writes WAV of floats into a pipe. Nothing of the daemon's environment goes along, and no
//! file name: the file is its standard input.

use std::fs::File;
use std::process::{Child as Process, Stdio};

use super::inside::Inside;
use super::{Decoder, Sound};
use crate::error::{Error, Kind, Result};
use crate::tools::confine;

/// What `ffmpeg` is told: read what standard input is, as a file that can be sought in; no protocol but
/// files; the first sound in it, without pictures and tags, as floats.
const ARGUMENTS: &[&str] = &[
    "-nostdin",
    "-hide_banner",
    "-loglevel",
    "quiet",
    "-threads",
    "1",
    "-protocol_whitelist",
    "file,pipe",
    "-i",
    "file:/proc/self/fd/0",
    "-map",
    "0:a:0",
    "-map_metadata",
    "-1",
    "-codec:a",
    "pcm_f32le",
    "-bitexact",
    "-f",
    "wav",
    "pipe:1",
];

/// A child that decodes, and what reads its output.
pub struct Child {
    process: Process,
    output: Inside,
}

impl Child {
    /// Starts decoding and waits for the header.
    ///
    /// # Errors
    /// [`Kind::Unavailable`] when the helper or `ffmpeg` is not installed or cannot be confined here,
    /// [`Kind::Invalid`] when `ffmpeg` finds no sound.
    pub fn open(file: &File) -> Result<Self> {
        let input = file.try_clone()?;
        let mut process = confine::command("ffmpeg")?
            .args(ARGUMENTS)
            .stdin(input)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let Some(pipe) = process.stdout.take() else {
            return Err(Error::new(Kind::Internal, "ffmpeg has no output"));
        };
        match Inside::wav_from_pipe(pipe) {
            Ok(output) => Ok(Self { process, output }),
            Err(_) => Err(confine::why_it_ended(process, "ffmpeg", "it finds no sound in it")),
        }
    }
}

impl Decoder for Child {
    fn sound(&self) -> Sound {
        self.output.sound()
    }

    fn next(&mut self, ready: &mut Vec<f32>) -> Result<()> {
        self.output.next(ready)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // It may be in the middle of a file that nobody wants any more. Both fail only when it is gone.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

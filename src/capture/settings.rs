//! `[capture]` and the table of its one source.

use std::path::PathBuf;

/// `[capture]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Frames per second, exactly: a device that cannot is refused.
    pub sample_rate: u32,
    /// Channels to ask the device for. One that has more or fewer is taken as it is; all are captured.
    pub channels: u16,
    /// Frames of a block of the frame API; a multiple of 8.
    pub block_frames: u32,
    /// The captured channel shown as `channel_a`, counted from 0.
    pub channel_a: u16,
    /// The captured channel shown as `channel_b`, counted from 0; a mono device feeds both.
    pub channel_b: u16,
    /// Wanted time between two wakes of the capture thread; the nearest that divides the block is taken.
    pub period_ms: u32,
    /// Wanted device buffer: how long the capture thread may be held up before sound is lost.
    pub buffer_ms: u32,
    /// `SCHED_FIFO` priority of the capture thread, 1…98; 0 asks for none. 99 is the kernel's own.
    pub realtime_priority: u8,
    /// End with exit code 4 instead of waiting when the source cannot be opened at start.
    pub required: bool,
    /// Where sound comes from.
    pub source: SourceSettings,
}

/// The one source.
#[derive(Debug, Clone, PartialEq)]
pub enum SourceSettings {
    /// `[capture.alsa]`
    Alsa(AlsaSettings),
    /// `[capture.file]`
    File(FileSettings),
    /// `[capture.tone]`
    Tone(ToneSettings),
}

/// `[capture.alsa]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlsaSettings {
    /// ALSA's name of the device; `talasctl devices` lists stable ones.
    pub device: String,
}

/// `[capture.file]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSettings {
    /// A sound file, played in real time.
    pub path: PathBuf,
    /// Begin anew at its end; otherwise the source is absent from there on.
    pub repeat: bool,
}

/// `[capture.tone]`.
#[derive(Debug, Clone, PartialEq)]
pub struct ToneSettings {
    /// Frequency of the sine.
    pub frequency_hz: f64,
    /// Its peak, in dB of full scale; `-inf` is digital silence.
    pub level_dbfs: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            sample_rate: 48_000,
            channels: 2,
            block_frames: 1024,
            channel_a: 0,
            channel_b: 1,
            period_ms: 10,
            buffer_ms: 500,
            realtime_priority: 40,
            required: false,
            source: SourceSettings::Alsa(AlsaSettings::default()),
        }
    }
}

impl Default for AlsaSettings {
    fn default() -> Self {
        Self { device: "default".to_owned() }
    }
}

impl Default for FileSettings {
    fn default() -> Self {
        Self { path: PathBuf::new(), repeat: true }
    }
}

impl Default for ToneSettings {
    fn default() -> Self {
        Self { frequency_hz: 440.0, level_dbfs: -18.0 }
    }
}

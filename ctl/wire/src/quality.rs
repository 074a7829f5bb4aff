//! What is measured of the sound: levels, loudness, spectrum, and what may be wrong with it.
//!
//! A level that does not exist, such as that of digital silence in decibels, is `null`.

use serde::{Deserialize, Serialize};

/// What there is to hear.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Signal {
    /// Sound.
    Sound,
    /// Little, but something: nothing is playing.
    Silence,
    /// No sample differs from the one before: the input is dead.
    Dead,
    /// The device is open and delivers nothing.
    Stalled,
    /// There is no device to capture from.
    Absent,
    /// An operator paused: nothing is measured.
    Paused,
    /// Nothing was measured yet.
    #[default]
    Unknown,
}

impl Signal {
    /// Every one.
    pub const ALL: [Self; 7] =
        [Self::Sound, Self::Silence, Self::Dead, Self::Stalled, Self::Absent, Self::Paused, Self::Unknown];

    /// The word used everywhere.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sound => "sound",
            Self::Silence => "silence",
            Self::Dead => "dead",
            Self::Stalled => "stalled",
            Self::Absent => "absent",
            Self::Paused => "paused",
            Self::Unknown => "unknown",
        }
    }
}

/// Something that may be wrong with the sound, and holds now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// `silence`, `digital_silence`, `dead_channel`, `dc_offset`, `clipping`, `dropout`, `click`,
    /// `out_of_phase` or `hum`.
    pub condition: String,
    /// The captured channels that it is about, counted from 0; empty where it is about all together.
    pub channels: Vec<u32>,
    /// Since when.
    pub since_ms: u64,
}

/// Levels of every captured channel over the last tenth of a second.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Meters {
    /// When the interval ended; 0 before the first.
    pub timestamp_ms: u64,
    /// One per captured channel; empty while paused or without a source.
    pub channels: Vec<Meter>,
    /// How loud the programme is.
    #[serde(default)]
    pub loudness: Loudness,
    /// Of the first two channels over about a second, from −1 (out of phase) to 1; `null` without sound.
    #[serde(default)]
    pub correlation: Option<f64>,
}

/// Level of one channel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Meter {
    /// Root mean square in dB of full scale (a full-scale square wave is 0); `null` for digital silence.
    pub rms_dbfs: Option<f64>,
    /// Highest sample in dB of full scale; `null` for digital silence.
    pub peak_dbfs: Option<f64>,
    /// Highest value between the samples in dB of full scale; `null` for digital silence.
    #[serde(default)]
    pub true_peak_dbtp: Option<f64>,
    /// Mean of the samples, full scale at ±1.
    #[serde(default)]
    pub dc_offset: f64,
    /// Samples at or beyond the clipping level in the interval.
    pub clipped: u64,
}

/// Loudness by EBU R 128; `null` before there is enough to measure, and where nothing is loud enough.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Loudness {
    /// Of the last 0.4 s, in LUFS.
    pub momentary_lufs: Option<f64>,
    /// Of the last 3 s, in LUFS.
    pub short_term_lufs: Option<f64>,
    /// Since the start or the last pause, gated, in LUFS.
    pub integrated_lufs: Option<f64>,
    /// Loudness range since then, in LU.
    pub range_lu: Option<f64>,
    /// Highest momentary loudness since then, in LUFS.
    pub max_momentary_lufs: Option<f64>,
    /// Highest short-term loudness since then, in LUFS.
    pub max_short_term_lufs: Option<f64>,
    /// Highest true peak of any channel since then, in dB of full scale.
    pub max_true_peak_dbtp: Option<f64>,
}

/// Hum of the mains.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Hum {
    /// 50 or 60 Hz.
    pub mains_hz: f64,
    /// Root mean square of the fundamental and its harmonics in dB of full scale.
    pub rms_dbfs: Option<f64>,
}

/// Answer of `GET /api/audio/quality`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AudioQualityMetrics {
    /// Root mean square of all channels over the last tenth of a second, full scale at 1.
    pub rms_level: f64,
    /// Highest sample of any channel in that time, full scale at 1.
    pub peak_level: f64,
    /// From the quiet to the loud parts of the last minute, in dB.
    pub dynamic_range: Option<f64>,
    /// Estimate over the last ten seconds, in dB, at most 100.
    pub signal_to_noise_ratio: Option<f64>,
    /// Level of each bin in dB, where a full-scale sine is 0; bin `n` is around `n × spectrum_bin_hz`.
    pub frequency_spectrum: Vec<Option<f64>>,
    /// There is silence, digital or not, for longer than configured.
    pub silence_detected: bool,
    /// Samples are or were a moment ago at or beyond the clipping level.
    pub clipping_detected: bool,
    /// When the interval ended, RFC 3339.
    pub timestamp: String,
    /// The same in milliseconds since the epoch; 0 before the first.
    pub timestamp_ms: u64,
    /// What there is to hear.
    pub signal: Signal,
    /// Sound measured since the start or the last pause, in seconds.
    pub measured_seconds: f64,
    /// Level of each captured channel.
    pub channels: Vec<Meter>,
    /// Loudness.
    pub loudness: Loudness,
    /// Of the first two channels over about a second, from −1 (out of phase) to 1.
    pub correlation: Option<f64>,
    /// Hum that is there, loud enough for the condition or not.
    pub hum: Option<Hum>,
    /// From one bin of the spectrum to the next, in Hz; 0 where it is not measured.
    pub spectrum_bin_hz: f64,
    /// What may be wrong now.
    pub conditions: Vec<Condition>,
}

/// A column of a spectrogram: SSE event `spectrum`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SpectrogramColumn {
    /// When the interval ended.
    pub timestamp_ms: u64,
    /// The middle of each band in Hz.
    pub frequencies_hz: Vec<f64>,
    /// The highest level in each band in dB, where a full-scale sine is 0.
    pub levels_dbfs: Vec<Option<f64>>,
}

/// Answer of `GET /api/audio/performance`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AudioPerformanceMetrics {
    /// What a block of sound takes the pump (processing, analysis, log) over the last seconds, in ms;
    /// `null` before there was sound.
    pub processing_time_ms: Option<f64>,
    /// Processor time of the daemon over the last seconds in per cent of one core.
    pub cpu_usage_percent: f64,
    /// Resident memory of the daemon in MB (10⁶ bytes).
    pub memory_usage_mb: f64,
    /// Times the programme ran dry since the start: the device stalled, slept or was away.
    pub buffer_underruns: u64,
    /// Times a buffer ran over since the start: the device's, or the ring to the pump.
    pub buffer_overruns: u64,
    /// From 0 to 100: the share of the sound of the last minute that came, times the share of its seconds
    /// without a defect; `null` before the first second.
    pub quality_score: Option<f64>,
    /// When it was measured, RFC 3339.
    pub timestamp: String,
    /// The same in milliseconds since the epoch.
    pub timestamp_ms: u64,
}

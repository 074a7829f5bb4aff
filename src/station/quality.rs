//! What was heard, as the wire has it: meters, quality, spectrogram, conditions.

use jiff::Timestamp;
use talas_wire::{
    AudioQualityMetrics, Condition, Hum, Loudness, Meter, Meters, Signal, SpectrogramColumn, State,
};

use super::Station;
use super::listening::{Heard, channels_of};
use crate::dsp::analysis::{self, REPORTS_PER_S, Report};
use crate::dsp::meter::{Level, decibels};

impl Station {
    /// Levels now.
    pub fn meters(&self) -> Meters {
        meters(&self.shared.hearing.meters.borrow())
    }

    /// Everything that is measured of the sound now.
    pub fn audio_quality(&self) -> AudioQualityMetrics {
        let heard = self.shared.hearing.meters.borrow().clone();
        self.quality_of(&heard)
    }

    /// What is measured of the sound, as it was heard then.
    pub fn quality_of(&self, heard: &Heard) -> AudioQualityMetrics {
        let report = &heard.report;
        let power: f64 = report.levels.iter().map(|level| level.rms.powi(2)).sum();
        let peak = report.levels.iter().map(|level| level.peak).fold(0.0, f32::max);
        let is_on = |condition| report.conditions.of(condition).is_on;
        AudioQualityMetrics {
            rms_level: rounded(6)((power / report.levels.len().max(1) as f64).sqrt()),
            peak_level: rounded(6)(peak.into()),
            dynamic_range: report.dynamic_range_db.map(rounded(2)),
            signal_to_noise_ratio: report.signal_to_noise_db.map(rounded(2)),
            frequency_spectrum: report.spectrum.iter().map(|power| level_of(*power)).collect(),
            silence_detected: is_on(analysis::Condition::Silence)
                || is_on(analysis::Condition::DigitalSilence),
            clipping_detected: is_on(analysis::Condition::Clipping),
            timestamp: rfc3339(heard.timestamp_ms),
            timestamp_ms: heard.timestamp_ms,
            signal: self.signal(),
            measured_seconds: report.intervals as f64 / f64::from(REPORTS_PER_S),
            channels: report.levels.iter().map(meter).collect(),
            loudness: loudness(report),
            correlation: report.correlation.map(rounded(3)),
            hum: report
                .hum
                .map(|hum| Hum { mains_hz: hum.mains_hz, rms_dbfs: decibels(hum.rms).map(rounded(2)) }),
            spectrum_bin_hz: report.bin_hz,
            conditions: conditions(heard),
        }
    }

    /// What there is to hear now.
    pub fn signal(&self) -> Signal {
        let heard = self.shared.hearing.meters.borrow().clone();
        let is_on = |condition| heard.report.conditions.of(condition).is_on;
        match self.shared.state.get().state {
            State::Paused => Signal::Paused,
            State::Stalled => Signal::Stalled,
            State::Absent => Signal::Absent,
            State::Running if heard.report.intervals == 0 => Signal::Unknown,
            State::Running if is_on(analysis::Condition::DigitalSilence) => Signal::Dead,
            State::Running if is_on(analysis::Condition::Silence) => Signal::Silence,
            State::Running => Signal::Sound,
            State::Starting | State::Stopping => Signal::Unknown,
        }
    }

    /// What may be wrong with the sound now.
    pub fn conditions(&self) -> Vec<Condition> {
        conditions(&self.shared.hearing.meters.borrow())
    }
}

/// The conditions that hold.
fn conditions(heard: &Heard) -> Vec<Condition> {
    let standing = heard.report.conditions.standing();
    standing
        .map(|(condition, standing)| Condition {
            condition: condition.as_str().to_owned(),
            channels: channels_of(standing.channels).collect(),
            since_ms: heard.since_ms[condition as usize],
        })
        .collect()
}

/// Levels as the wire has them.
pub fn meters(heard: &Heard) -> Meters {
    Meters {
        timestamp_ms: heard.timestamp_ms,
        channels: heard.report.levels.iter().map(meter).collect(),
        loudness: loudness(&heard.report),
        correlation: heard.report.correlation.map(rounded(3)),
    }
}

/// A column of the spectrogram as the wire has it; `None` where no spectrum is measured.
pub fn spectrogram_column(heard: &Heard) -> Option<SpectrogramColumn> {
    let Report { column, band_hz, .. } = &heard.report;
    (!column.is_empty()).then(|| SpectrogramColumn {
        timestamp_ms: heard.timestamp_ms,
        frequencies_hz: band_hz.iter().copied().map(rounded(1)).collect(),
        levels_dbfs: column.iter().map(|power| level_of(*power)).collect(),
    })
}

fn meter(level: &Level) -> Meter {
    Meter {
        rms_dbfs: level.rms_dbfs().map(rounded(2)),
        peak_dbfs: level.peak_dbfs().map(rounded(2)),
        true_peak_dbtp: level.true_peak_dbtp().map(rounded(2)),
        dc_offset: rounded(6)(level.offset),
        clipped: level.clipped,
    }
}

fn loudness(report: &Report) -> Loudness {
    let loudness = &report.loudness;
    let peak = report.max_true_peak.and_then(|peak| decibels(peak.into()));
    Loudness {
        momentary_lufs: loudness.momentary.map(rounded(2)),
        short_term_lufs: loudness.short_term.map(rounded(2)),
        integrated_lufs: loudness.integrated.map(rounded(2)),
        range_lu: loudness.range.map(rounded(2)),
        max_momentary_lufs: loudness.max_momentary.map(rounded(2)),
        max_short_term_lufs: loudness.max_short_term.map(rounded(2)),
        max_true_peak_dbtp: peak.map(rounded(2)),
    }
}

/// A power in dB to a tenth; `None` for none at all.
fn level_of(power: f32) -> Option<f64> {
    (power > 0.0).then(|| rounded(1)(10.0 * f64::from(power).log10()))
}

/// A time as people and programs read it, to the millisecond.
pub(super) fn rfc3339(ms: u64) -> String {
    let time = i64::try_from(ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    format!("{:.3}", time.unwrap_or_default())
}

/// To so many digits after the point: more would tell nothing and take room.
pub(super) fn rounded(digits: i32) -> impl Fn(f64) -> f64 {
    let scale = 10_f64.powi(digits);
    // The sum takes the sign off a zero.
    move |value| (value * scale).round() / scale + 0.0
}

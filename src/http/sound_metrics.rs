//! The part of `/metrics` that is about the sound itself: levels, loudness, conditions, and what
//! measuring costs. Labels are channels, states and conditions: as many as the card and the code have.

use std::fmt;

use super::families::Families;
use crate::station::Measures;
use talas_wire::{AudioQualityMetrics, Loudness, Meter, Signal};

/// All of them.
pub fn sound(to: &mut Families<'_>, measures: &Measures) -> fmt::Result {
    let quality = &measures.quality;
    let signal = Signal::ALL.map(|signal| (signal.as_str(), u64::from(signal == quality.signal)));
    to.gauges("talas_signal", "1 for what there is to hear", "state", signal)?;
    let standing = measures.conditions.iter().map(|(word, is_on, _)| (*word, u64::from(*is_on)));
    to.gauges("talas_condition", "1 for a condition of the sound that holds", "condition", standing)?;
    let seen = measures.conditions.iter().map(|(word, _, count)| (*word, *count));
    let help = "Times a condition began; each click, dropout and clipped sample";
    to.counters("talas_condition_seen_total", help, "condition", seen)?;
    levels(to, quality)?;
    loudness(to, &quality.loudness)?;
    work(to, measures)
}

fn levels(to: &mut Families<'_>, quality: &AudioQualityMetrics) -> fmt::Result {
    let numbers: Vec<String> = (0..quality.channels.len()).map(|channel| channel.to_string()).collect();
    let each = |level: fn(&Meter) -> Option<f64>| {
        let levels = numbers.iter().zip(&quality.channels);
        levels.map(|(number, meter)| (number.as_str(), amplitude(level(meter)))).collect::<Vec<_>>()
    };
    let rms = each(|meter| meter.rms_dbfs);
    to.gauges(
        "talas_rms_ratio",
        "RMS of a channel over a tenth of a second; 1 is full scale",
        "channel",
        rms,
    )?;
    let peak = each(|meter| meter.peak_dbfs);
    to.gauges("talas_peak_ratio", "Peak of a channel in that time; 1 is full scale", "channel", peak)?;
    to.gauge_if(
        "talas_channel_correlation",
        "Of the first two channels, from -1 (out of phase) to 1; absent without sound",
        quality.correlation,
    )?;
    to.gauge_if(
        "talas_dynamic_range_db",
        "From the quiet to the loud parts of the last minute; absent without sound",
        quality.dynamic_range,
    )?;
    to.gauge_if(
        "talas_signal_to_noise_db",
        "Estimated signal to noise of the last ten seconds; absent without sound",
        quality.signal_to_noise_ratio,
    )
}

fn loudness(to: &mut Families<'_>, loudness: &Loudness) -> fmt::Result {
    to.gauge_if("talas_loudness_momentary_lufs", "Of the last 0.4 s", loudness.momentary_lufs)?;
    to.gauge_if("talas_loudness_short_term_lufs", "Of the last 3 s", loudness.short_term_lufs)?;
    let help = "Gated, since the start or the last pause";
    to.gauge_if("talas_loudness_integrated_lufs", help, loudness.integrated_lufs)?;
    to.gauge_if("talas_loudness_range_lu", "Loudness range since then", loudness.range_lu)?;
    let help = "Highest true peak of any channel since then";
    to.gauge_if("talas_true_peak_max_dbtp", help, loudness.max_true_peak_dbtp)
}

fn work(to: &mut Families<'_>, measures: &Measures) -> fmt::Result {
    let (seconds, frames) = measures.work;
    let help = "Time that the pump spent on processing, analysis and the log";
    to.counter("talas_pump_work_seconds_total", help, seconds)?;
    to.counter("talas_pump_frames_total", "Frames of sound that it spent this on", frames)?;
    to.gauge_if(
        "talas_quality_score",
        "From 0 to 100: what came of the last minute's sound, times its share without defects",
        measures.performance.quality_score,
    )
}

/// A level in dB as an amplitude; none at all is 0.
fn amplitude(db: Option<f64>) -> f64 {
    db.map_or(0.0, |db| 10_f64.powf(db / 20.0))
}

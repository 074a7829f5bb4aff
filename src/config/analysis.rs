//! The keys of `[analysis]`.

use super::form::{Real, Switch, Whole, whole};
use super::keys::Keys;
use crate::dsp::analysis::Settings;

/// A share of full scale.
const LEVEL: Real =
    Real { expects: "a number above 0, at most 1 (full scale)", judge: |level| level > 0.0 && level <= 1.0 };
const CORRELATION: Real =
    Real { expects: "a number from -1 to 0", judge: |value| (-1.0..=0.0).contains(&value) };
const DBFS: Real =
    Real { expects: "a level in dBFS from -120 to 0", judge: |level| (-120.0..=0.0).contains(&level) };
/// How long something holds before it counts, in milliseconds: up to an hour.
const HOLD: Whole = whole(100, 3_600_000);

/// The table.
pub(super) fn describe(keys: &mut impl Keys, analysis: &mut Settings) {
    keys.table(
        "analysis",
        true,
        "What is measured of the sound, and from when on something is wrong with it. A condition begins\n\
         when it has held for its hold time, and ends when it has been over for release_ms.",
    );
    levels(keys, analysis);
    channels(keys, analysis);
    broken(keys, analysis);
    switches(keys, analysis);
}

fn levels(keys: &mut impl Keys, analysis: &mut Settings) {
    keys.key(
        "clipping_level",
        &mut analysis.clipping_level,
        &LEVEL,
        "Samples of this magnitude are clipped; 1 is full scale.",
    );
    keys.key(
        "silence_rms",
        &mut analysis.silence_rms,
        &LEVEL,
        "Sound whose RMS is below this share of full scale is silence: 0.001 is -60 dBFS.",
    );
    keys.key("silence_hold_ms", &mut analysis.silence_hold_ms, &HOLD, "Silence counts after so long, in ms.");
    keys.key(
        "digital_silence_hold_ms",
        &mut analysis.digital_silence_hold_ms,
        &HOLD,
        "An input none of whose samples differs from the one before counts as dead after so long, in ms.",
    );
}

fn channels(keys: &mut impl Keys, analysis: &mut Settings) {
    keys.key(
        "dead_channel_hold_ms",
        &mut analysis.dead_channel_hold_ms,
        &HOLD,
        "A channel that is silent beside one that is not counts as dead after so long, in ms.",
    );
    keys.key(
        "dc_offset",
        &mut analysis.dc_offset,
        &LEVEL,
        "A mean that is so far from zero is too much, as a share of full scale.",
    );
    keys.key("dc_offset_hold_ms", &mut analysis.dc_offset_hold_ms, &HOLD, "It counts after so long, in ms.");
    keys.key(
        "out_of_phase",
        &mut analysis.out_of_phase,
        &CORRELATION,
        "The first two channels are out of phase when their correlation is below this.",
    );
    keys.key(
        "out_of_phase_hold_ms",
        &mut analysis.out_of_phase_hold_ms,
        &HOLD,
        "They count as such after so long, in ms.",
    );
}

fn broken(keys: &mut impl Keys, analysis: &mut Settings) {
    keys.key(
        "click_level",
        &mut analysis.click_level,
        &LEVEL,
        "Smaller jumps than this share of full scale are no clicks.",
    );
    keys.key("hum_dbfs", &mut analysis.hum_dbfs, &DBFS, "Hum of the mains counts from this RMS level on.");
    keys.key("hum_hold_ms", &mut analysis.hum_hold_ms, &HOLD, "It counts after so long, in ms.");
    keys.key(
        "release_ms",
        &mut analysis.release_ms,
        &HOLD,
        "A condition ends when it has been over for so long, in ms.",
    );
}

fn switches(keys: &mut impl Keys, analysis: &mut Settings) {
    keys.key("true_peak", &mut analysis.true_peak, &Switch, "Measure the true peak, between the samples.");
    keys.key("loudness", &mut analysis.loudness, &Switch, "Measure loudness (EBU R 128).");
    keys.key(
        "spectrum",
        &mut analysis.spectrum,
        &Switch,
        "Measure the spectrum, and signal to noise from it.",
    );
    keys.key("hum", &mut analysis.hum, &Switch, "Look for hum.");
    keys.key("clicks", &mut analysis.clicks, &Switch, "Look for clicks and dropouts.");
}

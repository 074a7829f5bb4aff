//! `[analysis]`: thresholds, times, and what is measured at all.

/// `[analysis]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Magnitude from which on a sample is clipped; 1 is full scale.
    pub clipping_level: f64,
    /// RMS, in linear amplitude, below which sound is silence.
    pub silence_rms: f64,
    /// Silence counts after this time.
    pub silence_hold_ms: u32,
    /// Samples that do not differ at all count as digital silence after this time.
    pub digital_silence_hold_ms: u32,
    /// A channel that is silent beside others counts as dead after this time.
    pub dead_channel_hold_ms: u32,
    /// Offset from zero, in linear amplitude, that is too much.
    pub dc_offset: f64,
    /// An offset counts after this time.
    pub dc_offset_hold_ms: u32,
    /// Correlation of the first two channels below which they are out of phase, from −1 to 0.
    pub out_of_phase: f64,
    /// They count as such after this time.
    pub out_of_phase_hold_ms: u32,
    /// The smallest jump that can be a click, in linear amplitude.
    pub click_level: f64,
    /// Hum counts from this level on: RMS in dB of full scale.
    pub hum_dbfs: f64,
    /// Hum counts after this time.
    pub hum_hold_ms: u32,
    /// A condition ends when it has been over for this time.
    pub release_ms: u32,
    /// Measure the true peak.
    pub true_peak: bool,
    /// Measure loudness.
    pub loudness: bool,
    /// Measure the spectrum, and signal to noise from it.
    pub spectrum: bool,
    /// Look for hum.
    pub hum: bool,
    /// Look for clicks and dropouts.
    pub clicks: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            clipping_level: 1.0,
            silence_rms: 0.001,
            silence_hold_ms: 2000,
            digital_silence_hold_ms: 1000,
            dead_channel_hold_ms: 5000,
            dc_offset: 0.01,
            dc_offset_hold_ms: 2000,
            out_of_phase: -0.5,
            out_of_phase_hold_ms: 3000,
            click_level: 0.02,
            hum_dbfs: -60.0,
            hum_hold_ms: 5000,
            release_ms: 1000,
            true_peak: true,
            loudness: true,
            spectrum: true,
            hum: true,
            clicks: true,
        }
    }
}

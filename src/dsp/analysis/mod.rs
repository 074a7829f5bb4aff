//! Analysis: what is measured of sound, and what is found in it.
//!
//! An [`Analyzer`] takes the programme as it comes. It gathers slices of 10 ms, on which everything that
//! has to look at samples works, and after ten of them it fills in a [`Report`]: levels, loudness
//! (`loudness`), true peak, spectrum, noise, and how each [`Condition`] stands (`condition`). After
//! the first slice of sound with so many channels it allocates nothing.
//!
//! Not in here: time of day, threads, what becomes of a report (`station::listening`).

mod condition;
mod glitch;
mod hum;
mod hysteresis;
pub(super) mod k_weighting;
mod loudness;
mod noise;
mod section;
mod settings;
mod spectrum;
mod true_peak;

use glitch::{GlitchFinder, Glitches};
use hum::HumFinder;
use loudness::LoudnessMeter;
use noise::{DynamicRange, NoiseFloor};
use spectrum::Spectrum;
use true_peak::TruePeak;

pub use condition::{Condition, Conditions, Standing};
pub use hum::Hum;
pub use loudness::Loudness;
pub use settings::Settings;

use super::meter::{Level, Meter};
use condition::{Detectors, Evidence};

/// Slices in a second.
const SLICES_PER_S: u32 = 100;
/// Slices in an interval: reports come ten times a second.
const SLICES: u32 = 10;
/// Reports in a second.
pub const REPORTS_PER_S: u32 = SLICES_PER_S / SLICES;
/// Share of the newest interval in the correlation: it is averaged over about a second.
const CORRELATION_SHARE: f64 = 0.1;

/// What was measured of an interval of a tenth of a second, and of the time before it.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Intervals measured since the start or the last pause.
    pub intervals: u64,
    /// Level of each channel over the interval.
    pub levels: Vec<Level>,
    /// Correlation of the first two channels over about the last second, from −1 to 1; `None` without sound
    /// in both.
    pub correlation: Option<f64>,
    /// Loudness.
    pub loudness: Loudness,
    /// The highest true peak of any channel since measuring began, in linear amplitude.
    pub max_true_peak: Option<f32>,
    /// From the quiet to the loud parts of the last minute, in dB.
    pub dynamic_range_db: Option<f64>,
    /// Signal to noise of the last seconds, in dB.
    pub signal_to_noise_db: Option<f64>,
    /// Power of each bin, from the lowest; a full-scale sine on it is 1. Empty where it is not measured.
    pub spectrum: Vec<f32>,
    /// From one bin to the next, in Hz.
    pub bin_hz: f64,
    /// The highest power in each band of a spectrogram.
    pub column: Vec<f32>,
    /// The middle of each of these bands, in Hz.
    pub band_hz: Vec<f64>,
    /// Hum, whether it is loud enough for the condition or not.
    pub hum: Option<Hum>,
    /// What may be wrong.
    pub conditions: Conditions,
}

/// Measures sound.
#[derive(Debug)]
pub struct Analyzer {
    settings: Settings,
    sample_rate: u32,
    /// `None` before sound came.
    measuring: Option<Box<Measuring>>,
}

impl Analyzer {
    /// For sound of this rate, in Hz.
    pub fn new(settings: Settings, sample_rate: u32) -> Self {
        Self { settings, sample_rate, measuring: None }
    }

    /// Takes interleaved samples; `told` gets the report at the end of each interval in them. Another
    /// number of channels begins everything anew.
    pub fn sound(&mut self, samples: &[f32], channels: usize, mut told: impl FnMut(&Report)) {
        let channels = channels.max(1);
        if self.measuring.as_ref().is_none_or(|measuring| measuring.lines.len() != channels) {
            self.measuring = Some(Box::new(Measuring::new(&self.settings, self.sample_rate, channels)));
        }
        if let Some(measuring) = &mut self.measuring {
            measuring.sound(samples, &self.settings, &mut told);
        }
    }

    /// Sound is missing here: what follows does not join what was before.
    pub fn interrupt(&mut self) {
        self.measuring.iter_mut().for_each(|measuring| measuring.interrupt());
    }

    /// The source is gone: nothing holds of its sound any more. The loudness of the programme goes on with
    /// the next sound.
    pub fn lose_source(&mut self) {
        self.interrupt();
        self.measuring.iter_mut().for_each(|measuring| measuring.restart_detectors());
    }

    /// Forgets everything that was heard.
    pub fn forget(&mut self) {
        self.measuring = None;
    }

    /// Measures from now on as these say. A part that is switched on begins anew.
    pub fn apply(&mut self, settings: &Settings) {
        if self.settings != *settings {
            self.settings = settings.clone();
            let sample_rate = self.sample_rate;
            self.measuring.iter_mut().for_each(|measuring| measuring.apply(settings, sample_rate));
        }
    }
}

/// What works on one channel.
#[derive(Debug)]
struct Channel {
    meter: Meter,
    true_peak: Option<TruePeak>,
    glitches: Option<GlitchFinder>,
}

impl Channel {
    fn new(settings: &Settings, sample_rate: u32, slice: usize) -> Self {
        Self {
            meter: Meter::new(settings.clipping_level),
            true_peak: settings.true_peak.then(|| TruePeak::new(sample_rate, slice)),
            glitches: settings.clicks.then(|| GlitchFinder::new(settings.click_level)),
        }
    }
}

/// Everything that remembers sound, for one number of channels.
#[derive(Debug)]
struct Measuring {
    /// The slice that fills, by channel.
    lines: Vec<Vec<f32>>,
    slice: usize,
    slices: u32,
    channels: Vec<Channel>,
    found: Vec<Glitches>,
    correlation: Correlation,
    loudness: Option<LoudnessMeter>,
    spectrum: Option<Spectrum>,
    noise: NoiseFloor,
    range: DynamicRange,
    hum: Option<HumFinder>,
    detectors: Detectors,
    report: Report,
}

impl Measuring {
    fn new(settings: &Settings, sample_rate: u32, channels: usize) -> Self {
        let slice = (sample_rate as usize).div_ceil(SLICES_PER_S as usize).max(1);
        let spectrum = settings.spectrum.then(|| Spectrum::new(sample_rate, channels));
        let bins = spectrum.as_ref().map_or(0, Spectrum::bins);
        let report = Report {
            levels: Vec::with_capacity(channels),
            spectrum: Vec::with_capacity(bins),
            column: Vec::with_capacity(bins),
            bin_hz: spectrum.as_ref().map_or(0.0, Spectrum::bin_hz),
            band_hz: spectrum.iter().flat_map(Spectrum::band_hz).collect(),
            ..Report::default()
        };
        Self {
            lines: vec![Vec::with_capacity(slice); channels],
            slice,
            slices: 0,
            channels: (0..channels).map(|_| Channel::new(settings, sample_rate, slice)).collect(),
            found: vec![Glitches::default(); channels],
            correlation: Correlation::default(),
            loudness: settings.loudness.then(|| LoudnessMeter::new(sample_rate, channels)),
            noise: NoiseFloor::new(bins),
            spectrum,
            range: DynamicRange::new(),
            hum: settings.hum.then(|| HumFinder::new(sample_rate)),
            detectors: Detectors::new(channels),
            report,
        }
    }

    fn apply(&mut self, settings: &Settings, sample_rate: u32) {
        let channels = self.lines.len();
        let mut new = Self::new(settings, sample_rate, channels);
        // What is not changed by a setting goes on.
        if settings.loudness {
            new.loudness = self.loudness.take().or(new.loudness);
        }
        std::mem::swap(&mut new.detectors, &mut self.detectors);
        std::mem::swap(&mut new.range, &mut self.range);
        new.report.intervals = self.report.intervals;
        new.report.max_true_peak = self.report.max_true_peak.filter(|_| settings.true_peak);
        *self = new;
    }

    fn sound(&mut self, samples: &[f32], settings: &Settings, told: &mut impl FnMut(&Report)) {
        let channels = self.lines.len();
        let mut rest = samples;
        while !rest.is_empty() {
            let room = (self.slice - self.lines[0].len()) * channels;
            let (now, later) = rest.split_at(room.min(rest.len()));
            for (number, line) in self.lines.iter_mut().enumerate() {
                line.extend(now.iter().skip(number).step_by(channels));
            }
            rest = later;
            if self.lines[0].len() == self.slice {
                self.end_slice(settings, told);
            }
        }
    }

    fn end_slice(&mut self, settings: &Settings, told: &mut impl FnMut(&Report)) {
        for ((channel, line), found) in self.channels.iter_mut().zip(&self.lines).zip(&mut self.found) {
            channel.meter.push(line);
            channel.true_peak.iter_mut().for_each(|meter| meter.push(line));
            if let Some(finder) = &mut channel.glitches {
                let Glitches { clicks, dropouts } = finder.push(line);
                found.clicks += clicks;
                found.dropouts += dropouts;
            }
        }
        if let [first, second, ..] = &self.lines[..] {
            self.correlation.push(first, second);
        }
        self.loudness.iter_mut().for_each(|meter| meter.push(&self.lines));
        self.spectrum.iter_mut().for_each(|spectrum| spectrum.push(&self.lines));
        self.hum.iter_mut().for_each(|finder| finder.push(&self.lines));
        self.lines.iter_mut().for_each(Vec::clear);
        self.slices += 1;
        if self.slices == SLICES {
            self.slices = 0;
            self.end_interval(settings);
            told(&self.report);
        }
    }

    fn end_interval(&mut self, settings: &Settings) {
        let report = &mut self.report;
        report.intervals += 1;
        report.levels.clear();
        for channel in &mut self.channels {
            let true_peak = channel.true_peak.as_mut().map(TruePeak::take);
            report.levels.push(Level { true_peak, ..channel.meter.take() });
            if let Some(peak) = true_peak {
                report.max_true_peak = Some(report.max_true_peak.map_or(peak, |highest| highest.max(peak)));
            }
        }
        report.correlation = self.correlation.end_interval(settings.silence_rms);
        report.loudness = self.loudness.as_ref().map(LoudnessMeter::loudness).unwrap_or_default();
        if let Some(spectrum) = &mut self.spectrum
            && spectrum.end_interval()
        {
            self.noise.push(spectrum.power());
            report.spectrum.clear();
            report.spectrum.extend_from_slice(spectrum.power());
            report.column.clear();
            report.column.extend(spectrum.column());
        }
        report.signal_to_noise_db = self.noise.signal_to_noise_db();
        let power = report.levels.iter().map(|level| level.rms.powi(2)).sum::<f64>();
        let mean = (power / report.levels.len() as f64).sqrt();
        self.range.push(super::meter::decibels(mean));
        report.dynamic_range_db = self.range.range_db();
        report.hum = self.hum.as_ref().and_then(HumFinder::hum);
        let looked = self.hum.as_ref().is_some_and(|finder| finder.windows() > 1);
        let evidence = Evidence {
            levels: &report.levels,
            correlation: report.correlation,
            glitches: &self.found,
            hum_rms: looked.then(|| report.hum.map_or(0.0, |hum| hum.rms)),
        };
        self.detectors.judge(&evidence, settings);
        report.conditions = *self.detectors.conditions();
        self.found.fill(Glitches::default());
    }

    fn interrupt(&mut self) {
        self.lines.iter_mut().for_each(Vec::clear);
        for channel in &mut self.channels {
            channel.true_peak.iter_mut().for_each(TruePeak::interrupt);
            channel.glitches.iter_mut().for_each(GlitchFinder::interrupt);
        }
        self.loudness.iter_mut().for_each(LoudnessMeter::interrupt);
        self.spectrum.iter_mut().for_each(Spectrum::interrupt);
        self.hum.iter_mut().for_each(HumFinder::interrupt);
        self.noise.interrupt();
    }

    fn restart_detectors(&mut self) {
        self.slices = 0;
        self.detectors = Detectors::new(self.lines.len());
        self.correlation = Correlation::default();
        self.range = DynamicRange::new();
        for channel in &mut self.channels {
            // What was summed of an open interval is let go.
            let _ = channel.meter.take();
        }
        self.found.fill(Glitches::default());
    }
}

/// How alike two channels are.
#[derive(Debug, Default)]
struct Correlation {
    /// Products of this interval: first with first, second with second, first with second.
    sums: [f64; 3],
    frames: u64,
    /// The same, averaged over about a second, for each frame.
    means: [f64; 3],
}

impl Correlation {
    fn push(&mut self, first: &[f32], second: &[f32]) {
        let (mut a, mut b, mut both) = (0.0_f32, 0.0_f32, 0.0_f32);
        for (x, y) in first.iter().zip(second) {
            a += x * x;
            b += y * y;
            both += x * y;
        }
        let products = [a, b, both].map(f64::from);
        self.sums.iter_mut().zip(products).for_each(|(sum, product)| *sum += product);
        self.frames += first.len() as u64;
    }

    /// The correlation; `None` where a channel has less than this RMS.
    fn end_interval(&mut self, least_rms: f64) -> Option<f64> {
        let frames = self.frames.max(1) as f64;
        for (mean, sum) in self.means.iter_mut().zip(&mut self.sums) {
            *mean += (std::mem::take(sum) / frames - *mean) * CORRELATION_SHARE;
        }
        self.frames = 0;
        let [a, b, both] = self.means;
        let least = least_rms * least_rms;
        (a >= least && b >= least).then(|| (both / (a * b).sqrt()).clamp(-1.0, 1.0))
    }
}

#[cfg(test)]
mod tests;

//! A test tone: a sine whose level and frequency can be changed, and which can fail on demand the ways
//! a card fails, to rehearse what monitoring and listeners make of it.

use std::f64::consts::TAU;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use talas_wire::{Fault, SourceKind};

use super::paced::{PacedSession, Program, Trouble};
use super::settings::ToneSettings;
use super::{Session, Settings, Source};
use crate::error::{Error, Kind, Result};
use crate::tools::lock::lock;

/// A change of level takes so long, so that it does not click.
const RAMP_S: f64 = 0.005;
/// Longest fault that can be asked for.
const LONGEST_FAULT: Duration = Duration::from_secs(3600);

#[derive(Debug)]
struct Wishes {
    frequency_hz: f64,
    level_dbfs: f64,
    silence: bool,
    fault: Option<Trouble>,
    stalled_until: Option<Instant>,
    away_until: Option<Instant>,
}

/// Steers the tone while it plays.
#[derive(Debug)]
pub struct ToneControl {
    wishes: Mutex<Wishes>,
}

impl ToneControl {
    /// As configured.
    pub fn new(settings: &ToneSettings) -> Self {
        let wishes = Wishes {
            frequency_hz: settings.frequency_hz,
            level_dbfs: settings.level_dbfs,
            silence: false,
            fault: None,
            stalled_until: None,
            away_until: None,
        };
        Self { wishes: Mutex::new(wishes) }
    }

    fn lock(&self) -> MutexGuard<'_, Wishes> {
        lock(&self.wishes)
    }

    /// Changes level (dB of full scale, at most 0), frequency (above 0) or silence; what is `None` stays,
    /// but a level ends the silence.
    ///
    /// # Errors
    /// [`Kind::Invalid`] for a value out of range; nothing is changed then.
    pub fn set(
        &self,
        level_dbfs: Option<f64>,
        frequency_hz: Option<f64>,
        silence: Option<bool>,
    ) -> Result<()> {
        if level_dbfs.is_some_and(|level| level.is_nan() || level > 0.0) {
            return Err(Error::new(Kind::Invalid, "level_dbfs must be 0 or less"));
        }
        if frequency_hz.is_some_and(|hz| !hz.is_finite() || hz <= 0.0) {
            return Err(Error::new(Kind::Invalid, "frequency_hz must be above 0"));
        }
        let mut wishes = self.lock();
        wishes.level_dbfs = level_dbfs.unwrap_or(wishes.level_dbfs);
        wishes.frequency_hz = frequency_hz.unwrap_or(wishes.frequency_hz);
        wishes.silence = silence.unwrap_or(wishes.silence && level_dbfs.is_none());
        Ok(())
    }

    /// Level in dB of full scale, frequency in Hz, and whether it is silent.
    pub fn get(&self) -> (f64, f64, bool) {
        let wishes = self.lock();
        (wishes.level_dbfs, wishes.frequency_hz, wishes.silence)
    }

    /// Lets something go wrong for so long.
    ///
    /// # Errors
    /// [`Kind::Invalid`] for more than an hour.
    pub fn fail(&self, fault: Fault, time: Duration) -> Result<()> {
        if time > LONGEST_FAULT {
            return Err(Error::new(Kind::Invalid, "a fault lasts an hour at most (3600000 ms)"));
        }
        let mut wishes = self.lock();
        match fault {
            Fault::Overrun => wishes.fault = Some(Trouble::Overrun(time)),
            Fault::Suspend => wishes.fault = Some(Trouble::Suspend(time)),
            Fault::Stall => wishes.stalled_until = Some(Instant::now() + time),
            Fault::Unplug => wishes.away_until = Some(Instant::now() + time),
        }
        Ok(())
    }

    fn is_away(&self) -> bool {
        self.lock().away_until.is_some_and(|until| Instant::now() < until)
    }

    fn trouble(&self) -> Option<Trouble> {
        let mut wishes = self.lock();
        let now = Instant::now();
        if wishes.away_until.is_some_and(|until| now < until) {
            return Some(Trouble::Unplug);
        }
        if wishes.stalled_until.is_some_and(|until| now < until) {
            return Some(Trouble::Stall);
        }
        wishes.fault.take()
    }
}

/// The tone as a source.
pub struct ToneSource {
    settings: Settings,
    control: Arc<ToneControl>,
}

impl ToneSource {
    pub fn new(settings: &Settings, control: Arc<ToneControl>) -> Self {
        Self { settings: settings.clone(), control }
    }
}

impl Source for ToneSource {
    fn kind(&self) -> SourceKind {
        SourceKind::Tone
    }

    fn name(&self) -> String {
        let (level, frequency, silence) = self.control.get();
        if silence { "silence".to_owned() } else { format!("{frequency} Hz at {level} dBFS") }
    }

    fn open(&mut self) -> Result<Box<dyn Session>> {
        if self.control.is_away() {
            return Err(Error::new(Kind::Gone, "the tone was unplugged"));
        }
        let tone = Tone {
            control: self.control.clone(),
            sample_rate: f64::from(self.settings.sample_rate),
            channels: self.settings.channels,
            phase: 0.0,
            amplitude: 0.0,
        };
        Ok(Box::new(PacedSession::new(tone, &self.settings)))
    }
}

struct Tone {
    control: Arc<ToneControl>,
    sample_rate: f64,
    channels: u16,
    /// In turns, 0…1.
    phase: f64,
    amplitude: f64,
}

impl Program for Tone {
    fn format(&self) -> &'static str {
        "FLOAT_LE"
    }

    fn channels(&self) -> u16 {
        self.channels
    }

    fn fill(&mut self, out: &mut [f32]) -> Result<usize> {
        let (level_dbfs, frequency_hz, silence) = self.control.get();
        let target = if silence { 0.0 } else { 10_f64.powf(level_dbfs / 20.0) };
        let step = 1.0 / (RAMP_S * self.sample_rate);
        let channels = usize::from(self.channels);
        for frame in out.chunks_exact_mut(channels) {
            self.amplitude += (target - self.amplitude).clamp(-step, step);
            frame.fill((self.amplitude * (self.phase * TAU).sin()) as f32);
            self.phase = (self.phase + frequency_hz / self.sample_rate).fract();
        }
        Ok(out.len() / channels)
    }

    fn trouble(&mut self) -> Option<Trouble> {
        self.control.trouble()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tone_has_its_level_and_changes_without_a_click() {
        let control = Arc::new(ToneControl::new(&ToneSettings { frequency_hz: 1000.0, level_dbfs: -20.0 }));
        let mut tone =
            Tone { control: control.clone(), sample_rate: 48_000.0, channels: 2, phase: 0.0, amplitude: 0.0 };
        let mut samples = vec![0.0; 2 * 4800];
        tone.fill(&mut samples).expect("a tone never fails");
        let before = samples[4800..].iter().fold(0.0_f32, |peak, s| peak.max(s.abs()));
        assert!((before - 0.1).abs() < 1e-4);
        control.set(Some(0.0), None, None).expect("in range");
        let last = samples[samples.len() - 1];
        tone.fill(&mut samples).expect("a tone never fails");
        let left: Vec<f32> = std::iter::once(last).chain(samples.iter().copied().step_by(2)).collect();
        let jump = left.windows(2).map(|w| (w[1] - w[0]).abs()).fold(0.0, f32::max);
        // A full-scale sine of 1 kHz moves by at most 0.131 from one sample to the next.
        assert!(jump < 0.14, "{jump}");
        control.set(None, None, Some(true)).expect("in range");
        tone.fill(&mut samples).expect("a tone never fails");
        assert!(samples[4800..].iter().all(|s| *s == 0.0));
    }

    #[test]
    fn nonsense_is_refused() {
        let control = ToneControl::new(&ToneSettings::default());
        assert!(control.set(Some(0.1), None, None).is_err());
        assert!(control.set(Some(f64::NAN), None, None).is_err());
        assert!(control.set(None, Some(0.0), None).is_err());
        assert!(control.set(None, Some(f64::INFINITY), None).is_err());
        assert!(control.fail(Fault::Stall, Duration::from_secs(4000)).is_err());
        assert_eq!(control.get(), (-18.0, 440.0, false));
    }
}

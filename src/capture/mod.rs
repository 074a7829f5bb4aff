//! Sources of sound: an ALSA device, a file played in real time, a test tone.
//!
//! A [`Source`] is opened by its keeper as often as needed. An open one, a [`Session`], runs on the
//! `capture` thread until it ends and says why. What outlives a session, the [`Lane`], is handed from
//! one to the next: the ring to the pump, the timeline, the counters.
//!
//! Not in here: when to open again (`station::keeper`), and what becomes of the sound.

mod alsa;
mod counters;
mod devices;
mod drift;
mod file;
mod lane;
mod paced;
mod pcm;
mod realtime;
pub mod settings;
mod timeline;
mod tone;
mod worker;

use std::sync::Arc;

pub use counters::Counters;
pub use devices::list as list_devices;
pub use lane::{Lane, Stamp};
pub use realtime::{Demotion, guard_budget};
pub use settings::Settings;
pub use tone::ToneControl;

use settings::SourceSettings;
use talas_wire::SourceKind;

use crate::error::Result;
use crate::tools::stop::Stop;

/// What a device granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Granted {
    /// Name of the sample format.
    pub format: &'static str,
    /// Channels.
    pub channels: u16,
    /// Frames between two wakes.
    pub period_frames: u32,
    /// Frames that the device keeps while nobody reads.
    pub buffer_frames: u32,
}

/// Why a session ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// It was asked to.
    Stopped,
    /// The device is there and delivers nothing.
    Stalled,
    /// The device went away, with the system's error number.
    Gone(i32),
    /// The file is at its end.
    Finished,
}

/// Where sound comes from.
pub trait Source: Send {
    /// Which kind it is.
    fn kind(&self) -> SourceKind;
    /// What people call it.
    fn name(&self) -> String;
    /// Opens it. May block for as long as the driver likes.
    ///
    /// # Errors
    /// [`Kind::Gone`](crate::error::Kind::Gone) when it is not there,
    /// [`Kind::Busy`](crate::error::Kind::Busy) when another program holds it,
    /// [`Kind::Invalid`](crate::error::Kind::Invalid) when it cannot do what the configuration asks.
    fn open(&mut self) -> Result<Box<dyn Session>>;
}

/// An open source.
pub trait Session: Send {
    /// What the device granted.
    fn granted(&self) -> Granted;
    /// Captures into the lane until something ends it. Runs on the `capture` thread.
    fn run(self: Box<Self>, lane: &mut Lane, stop: &Stop) -> End;
}

/// The source that the settings name, and the control of the tone if it is one.
pub fn source(settings: &Settings) -> (Box<dyn Source>, Option<Arc<ToneControl>>) {
    match &settings.source {
        SourceSettings::Alsa(alsa) => (Box::new(alsa::AlsaSource::new(settings, alsa)), None),
        SourceSettings::File(file) => (Box::new(file::FileSource::new(settings, file)), None),
        SourceSettings::Tone(tone) => {
            let control = Arc::new(ToneControl::new(tone));
            (Box::new(tone::ToneSource::new(settings, control.clone())), Some(control))
        }
    }
}

/// The period to ask for: the divisor of the block nearest to the wanted time, so that a block is a
/// whole number of periods.
pub fn period_frames(settings: &Settings) -> u32 {
    let wanted = u64::from(settings.sample_rate) * u64::from(settings.period_ms) / 1000;
    let block = settings.block_frames.max(1);
    let divisors = (1..=block).filter(|n| block.is_multiple_of(*n));
    divisors.min_by_key(|n| u64::from(*n).abs_diff(wanted)).unwrap_or(block)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_period_divides_the_block_and_is_near_what_was_asked() {
        for (block_frames, period_ms, expected) in
            [(1024, 10, 512), (1024, 5, 256), (960, 10, 480), (64, 10, 64)]
        {
            let settings = Settings { block_frames, period_ms, ..Settings::default() };
            assert_eq!(period_frames(&settings), expected);
        }
    }
}

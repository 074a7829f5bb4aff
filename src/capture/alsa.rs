//! An ALSA device as a source: opens it, and prepares memory and scheduling for the worker.

use alsa::PollDescriptors;
use libc::pollfd;
use talas_wire::SourceKind;

use super::settings::AlsaSettings;
use super::worker::Worker;
use super::{End, Granted, Lane, Session, Settings, Source, pcm, realtime};
use crate::error::Result;
use crate::tools::stop::Stop;

/// Periods that one read takes at most: a late thread catches up in few reads.
const READ_PERIODS: usize = 4;
/// A healthy device speaks once a period. It is stalled after this many silent ones, ...
const STALLED_PERIODS: u32 = 8;
/// ... but not before this time, since a driver may be late by itself.
const STALLED_MIN_MS: u32 = 100;

/// An ALSA capture device.
pub struct AlsaSource {
    settings: Settings,
    device: String,
}

impl AlsaSource {
    pub fn new(settings: &Settings, alsa: &AlsaSettings) -> Self {
        Self { settings: settings.clone(), device: alsa.device.clone() }
    }
}

impl Source for AlsaSource {
    fn kind(&self) -> SourceKind {
        SourceKind::Alsa
    }

    fn name(&self) -> String {
        self.device.clone()
    }

    fn open(&mut self) -> Result<Box<dyn Session>> {
        // alsa-lib prints its troubles to stderr; the error that is returned says it better.
        let _quiet = alsa::Output::local_error_handler();
        let opened = pcm::open(&self.device, &self.settings)?;
        Ok(Box::new(AlsaSession { opened, settings: self.settings.clone() }))
    }
}

struct AlsaSession {
    opened: pcm::Opened,
    settings: Settings,
}

impl Session for AlsaSession {
    fn granted(&self) -> Granted {
        self.opened.granted.clone()
    }

    fn run(self: Box<Self>, lane: &mut Lane, stop: &Stop) -> End {
        let _quiet = alsa::Output::local_error_handler();
        let pcm::Opened { pcm, format, granted } = &self.opened;
        let descriptors = PollDescriptors::count(pcm);
        let mut fds = vec![pollfd { fd: -1, events: 0, revents: 0 }; descriptors + 1];
        if let Err(error) = PollDescriptors::fill(pcm, &mut fds[1..]) {
            return End::Gone(pcm::errno(&error));
        }
        let frame_bytes = format.bytes() * usize::from(granted.channels);
        let mut buffer = vec![0_u8; granted.period_frames as usize * READ_PERIODS * frame_bytes];
        let period_ms = granted.period_frames * 1000 / self.settings.sample_rate.max(1);
        let timeout_ms = (period_ms * STALLED_PERIODS).max(STALLED_MIN_MS);
        let _memory = realtime::lock_memory(lane.ring(), &mut buffer);
        let _schedule = realtime::enter(self.settings.realtime_priority, &lane.counters.clone());
        let mut worker = Worker {
            pcm,
            io: pcm.io_bytes(),
            format: *format,
            channels: granted.channels,
            period_frames: u64::from(granted.period_frames.max(1)),
            fds: &mut fds,
            buffer: &mut buffer,
            timeout_ms: i32::try_from(timeout_ms).unwrap_or(i32::MAX),
            lane,
        };
        without_allocation(|| worker.run(stop))
    }
}

/// In a build for tests any allocation inside aborts; otherwise this is nothing.
fn without_allocation<T>(body: impl FnOnce() -> T) -> T {
    #[cfg(feature = "assert-no-alloc")]
    return assert_no_alloc::assert_no_alloc(body);
    #[cfg(not(feature = "assert-no-alloc"))]
    body()
}

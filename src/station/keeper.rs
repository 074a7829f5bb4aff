//! The keeper: opens the source, runs its sessions on the `capture` thread, tells why one ended, and
//! opens it again when it is back. Listeners stay connected throughout.

use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::EventFd;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

use super::shared::Shared;
use crate::audio::{GapReason, State};
use crate::capture::{Counters, End, Lane, Session, Source};
use crate::error::{Error, Kind, Result};
use crate::tools::backoff::Backoff;
use crate::tools::lock::lock;
use crate::tools::stop::Stop;
use crate::tools::tasks;

/// First and longest wait before the source is opened again. The longest bounds how late a device that
/// gives no sign of its return is found.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// How often the keeper beats while a session runs.
const BEAT: Duration = Duration::from_millis(250);
/// A device node that just appeared is not usable yet: udev still sets its group.
const SETTLE: Duration = Duration::from_millis(100);

/// Keeps the source open.
pub struct Keeper {
    source: Box<dyn Source>,
    lane: Option<Lane>,
    shared: Arc<Shared>,
    /// Wakes the pump, so that a change of state is told at once.
    bell: Arc<EventFd>,
    /// Told the outcome of the first attempt.
    first: Option<mpsc::Sender<Result<()>>>,
    backoff: Backoff,
    /// Fires when something under `/dev/snd` changes.
    nodes: Option<Inotify>,
}

impl Keeper {
    /// A keeper at rest. `first` is told whether the source could be opened at once.
    pub fn new(
        source: Box<dyn Source>,
        lane: Lane,
        shared: Arc<Shared>,
        bell: Arc<EventFd>,
        first: mpsc::Sender<Result<()>>,
    ) -> Self {
        let backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
        Self { source, lane: Some(lane), shared, bell, first: Some(first), backoff, nodes: watch_nodes() }
    }

    /// Starts the thread.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn spawn(self, stop: Stop) -> Result<JoinHandle<()>> {
        tasks::thread("keeper", move || self.run(&stop))
    }

    fn run(mut self, stop: &Stop) {
        while !stop.is_stopped() {
            self.shared.keeper_pulse.beat();
            match self.source.open() {
                Ok(session) => {
                    self.report_first(Ok(()));
                    if self.run_session(session, stop) {
                        break;
                    }
                }
                Err(error) => self.note_absent(error),
            }
            let wait = self.backoff.wait();
            self.rest(wait, stop);
        }
        self.shared.keeper_pulse.rest();
    }

    fn report_first(&mut self, outcome: Result<()>) {
        if let Some(first) = self.first.take() {
            // Nobody waits any more: then nobody needs to know.
            let _ = first.send(outcome);
        }
    }

    fn note_absent(&mut self, error: Error) {
        let known = self.shared.source_state.get();
        if known.state == State::Absent && error.kind() == Kind::Gone {
            // Gone, and still gone: how it went says more than that it is not there.
            return self.report_first(Err(error));
        }
        let reason = error.chain();
        let changed =
            self.shared.source_state.end_session(State::Absent, Some(&reason), self.shared.wall.now_ms());
        if changed {
            let source = self.shared.source_name.as_str();
            tracing::warn!(event = "capture_absent", source, reason, "no sound: the source cannot be opened");
            self.shared.note_error(reason);
            self.ring();
        }
        self.report_first(Err(error));
    }

    /// Runs a session to its end. `true` when it ended because the daemon stops.
    fn run_session(&mut self, session: Box<dyn Session>, stop: &Stop) -> bool {
        let Some(mut lane) = self.lane.take() else { return true };
        *lock(&self.shared.granted) = Some(session.granted());
        let number = lane.begin_session();
        self.shared.counters.delivering.store(false, Ordering::Relaxed);
        self.shared.source_state.begin_session(number);
        let (done, ended) = mpsc::channel();
        let stop_capture = stop.clone();
        let thread = tasks::thread("capture", move || {
            let end = session.run(&mut lane, &stop_capture);
            lane.counters.pulse.rest();
            // The keeper waits for this; without it there is nobody to hand the lane to.
            let _ = done.send((lane, end));
        });
        let thread = match thread {
            Ok(thread) => thread,
            Err(error) => {
                // The lane went with the thread that could not start: there is no capture without it.
                tracing::error!(event = "capture_failed", reason = error.chain(), "no thread for capture");
                std::process::abort();
            }
        };
        let (lane, end) = loop {
            self.shared.keeper_pulse.beat();
            match ended.recv_timeout(BEAT) {
                Ok(result) => break result,
                Err(RecvTimeoutError::Timeout) => {}
                // The capture thread died of a panic, and the panic hook ends the process.
                Err(RecvTimeoutError::Disconnected) => std::process::abort(),
            }
        };
        let _ = thread.join();
        self.lane = Some(lane);
        self.note_end(&end)
    }

    fn note_end(&mut self, end: &End) -> bool {
        let delivered = self.shared.counters.delivering.swap(false, Ordering::Relaxed);
        if delivered {
            self.backoff.reset();
        }
        let (state, cause, reason) = match end {
            End::Stopped => return true,
            End::Stalled => (State::Stalled, GapReason::Stalled, "the device delivers nothing".to_owned()),
            End::Finished => (State::Absent, GapReason::Absent, "the file was played to its end".to_owned()),
            End::Gone(errno) => {
                let cause = nix::errno::Errno::from_raw(*errno).desc().to_lowercase();
                (State::Absent, GapReason::Absent, format!("the device went away ({cause})"))
            }
        };
        if let Some(lane) = &mut self.lane {
            lane.interrupted(cause);
        }
        let changed = self.shared.source_state.end_session(state, Some(&reason), self.shared.wall.now_ms());
        if changed {
            self.count_and_tell(end, &reason);
            self.shared.note_error(reason);
            self.ring();
        }
        false
    }

    fn count_and_tell(&self, end: &End, reason: &str) {
        let source = self.shared.source_name.as_str();
        match end {
            End::Stalled => {
                Counters::add(&self.shared.counters.stalls, 1);
                tracing::warn!(event = "capture_stalled", source, reason, "no sound: the source stalled");
            }
            End::Gone(_) => {
                Counters::add(&self.shared.counters.unplugs, 1);
                tracing::warn!(event = "capture_absent", source, reason, "no sound: the source is gone");
            }
            End::Finished | End::Stopped => {
                tracing::info!(event = "capture_absent", source, reason, "no sound: the source ended");
            }
        }
    }

    fn ring(&self) {
        // Fails only when the counter is full, and then the pump is awake anyway.
        let _ = self.bell.write(1);
    }

    /// Waits before the next attempt, or until a device node appears.
    fn rest(&mut self, wait: Duration, stop: &Stop) {
        let timeout = PollTimeout::try_from(wait).unwrap_or(PollTimeout::ZERO);
        let mut fds = vec![PollFd::new(stop.as_fd(), PollFlags::POLLIN)];
        if let Some(nodes) = &self.nodes {
            fds.push(PollFd::new(nodes.as_fd(), PollFlags::POLLIN));
        }
        let ready = poll(&mut fds, timeout).unwrap_or(0);
        if ready == 0 || stop.is_stopped() {
            return;
        }
        // Something came or went; the folder itself may be new, so watch anew.
        self.nodes = watch_nodes();
        self.backoff.reset();
        let settle = PollTimeout::try_from(SETTLE).unwrap_or(PollTimeout::ZERO);
        let _ = poll(&mut [PollFd::new(stop.as_fd(), PollFlags::POLLIN)], settle);
    }
}

/// Watches the folder of sound devices, or, while there is none, the folder it will appear in.
fn watch_nodes() -> Option<Inotify> {
    let nodes = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK).ok()?;
    let snd = Path::new("/dev/snd");
    if snd.exists() {
        nodes.add_watch(snd, AddWatchFlags::IN_CREATE | AddWatchFlags::IN_ATTRIB).ok()?;
    } else {
        // Every other device appears here too: only a new folder counts.
        nodes.add_watch("/dev", AddWatchFlags::IN_CREATE | AddWatchFlags::IN_ONLYDIR).ok()?;
    }
    Some(nodes)
}

/// Whether the source could be opened at the first attempt, waiting at most so long for the answer.
///
/// # Errors
/// [`Kind::Required`] when it could not.
pub fn require(first: &mpsc::Receiver<Result<()>>, source: &str, wait: Duration) -> Result<()> {
    match first.recv_timeout(wait) {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(Error::caused(
            Kind::Required,
            format!("capture.required is set and {source} cannot be had"),
            error,
        )),
        Err(_) => {
            Err(Error::new(Kind::Required, format!("capture.required is set and {source} does not open")))
        }
    }
}

//! The pump: one thread that empties the ring, keeps the programme, applies its effects, listens to it, and
//! appends to its log. It waits for the ring and a clock, never for a listener or a disk.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::EventFd;

use super::listening::Listening;
use super::live::Live;
use super::processor::Processor;
use super::programme::{Event, KEPT_S, Programme, Shape};
use super::shared::Shared;
use crate::audio::{GapReason, Payload, Quantum, State, StateMark};
use crate::capture::Stamp;
use crate::error::Result;
use crate::tools::burst::Burst;
use crate::tools::clock;
use crate::tools::ring::RingReader;
use crate::tools::spread::{Limits, Log, Writer, spread_log};
use crate::tools::stop::Stop;
use crate::tools::tasks;

/// How often it turns when nothing rings: often enough to pace silence and to beat.
const TURN: Duration = Duration::from_millis(20);

/// The programme's log, and the pump that will write it.
pub struct Pump {
    ring: RingReader<Stamp>,
    bell: Arc<EventFd>,
    log: Log<Quantum>,
    programme: Programme,
    sink: Sink,
    shared: Arc<Shared>,
    live: Arc<Live>,
    /// What was last marked in the log, so that a change is marked once.
    marked: Option<(State, Option<Arc<str>>)>,
}

impl Pump {
    /// A pump at rest.
    pub fn new(
        ring: RingReader<Stamp>,
        bell: Arc<EventFd>,
        shape: Shape,
        shared: Arc<Shared>,
        live: Arc<Live>,
    ) -> (Self, Log<Quantum>) {
        let period = u64::from(shape.period_frames.max(1));
        let span = KEPT_S * u64::from(shape.sample_rate);
        // Four entries a period leave room for marks and for pieces cut at gaps.
        let entries = usize::try_from(span / period * 4).unwrap_or(usize::MAX);
        let (writer, log) = spread_log(Limits { entries, span, bytes: usize::MAX });
        let paused = shared.controls.wants_pause();
        let processor = Processor::new(shared.processing.first_chain(), shape.sample_rate);
        let sink = Sink {
            processor,
            listening: Listening::new(shared.clone()),
            writer,
            shared: shared.clone(),
            gap_lines: Burst::default(),
        };
        let pump = Self {
            ring,
            bell,
            sink,
            log: log.clone(),
            programme: Programme::new(shape, paused, shared.history.first_block()),
            shared,
            live,
            marked: None,
        };
        (pump, log)
    }

    /// Starts the thread.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn spawn(self, stop: Stop) -> Result<std::thread::JoinHandle<()>> {
        tasks::thread("pump", move || self.run(&stop))
    }

    fn run(mut self, stop: &Stop) {
        self.follow_state();
        while !stop.is_stopped() {
            self.shared.pump_pulse.beat();
            self.follow_pause();
            self.follow_effects();
            self.empty_ring();
            self.follow_state();
            self.with_programme(|programme, emit| programme.idle(clock::mono_ns(), emit));
            self.tell_gaps();
            self.sink.listening.turn();
            self.wait(stop);
        }
        let mark = StateMark { state: State::Stopping, reason: None, since_ms: self.shared.wall.now_ms() };
        self.shared.state.set(State::Stopping, None, mark.since_ms);
        self.with_programme(|programme, emit| programme.mark(mark, clock::mono_ns(), emit));
        self.shared.pump_pulse.rest();
    }

    fn wait(&self, stop: &Stop) {
        let mut fds =
            [PollFd::new(self.bell.as_fd(), PollFlags::POLLIN), PollFd::new(stop.as_fd(), PollFlags::POLLIN)];
        let timeout = PollTimeout::try_from(TURN).unwrap_or(PollTimeout::ZERO);
        // Whatever ended the wait, the turn looks at everything.
        let _ = poll(&mut fds, timeout);
        let _ = self.bell.read();
    }

    fn empty_ring(&mut self) {
        while let Some(stamp) = self.ring.peek() {
            if self.shared.source_state.heard(stamp.session, self.shared.wall.now_ms()) {
                self.shared.tell_running();
                // The change of state stands before the sound that proves it.
                self.follow_state();
            }
            self.take_chunk();
            self.shared.blocks.store(self.programme.next_block(), Ordering::Relaxed);
        }
    }

    fn take_chunk(&mut self) {
        let began_ns = clock::mono_ns();
        let Self { ring, programme, sink, shared, .. } = self;
        ring.pop(|stamp, first, second| {
            // A chunk wraps around the ring's end at most once in many; only then is it copied.
            let joined;
            let samples = if second.is_empty() {
                first
            } else {
                joined = [first, second].concat();
                &joined[..]
            };
            programme.sound(stamp, samples, &mut |event| sink.record(event));
            if !programme.is_paused() {
                let frames = samples.len() / usize::from(stamp.channels).max(1);
                shared.hearing.worked(clock::mono_ns() - began_ns, frames as u64);
            }
        });
    }

    fn tell_gaps(&mut self) {
        if let Some(sum) = self.sink.gap_lines.due(clock::mono_ns()) {
            let source = self.shared.source_name.as_str();
            tracing::warn!(
                event = "capture_gap",
                source,
                frames = sum.amount,
                count = sum.count,
                "sound was missing often"
            );
        }
    }

    /// Brings a wish for other effects into force, and tells what the effects do.
    fn follow_effects(&mut self) {
        if let Some(chain) = self.shared.processing.take() {
            self.sink.processor.change(chain);
        }
        self.shared.processing.tell(self.sink.processor.chain());
    }

    /// Brings a wish to pause or resume into force.
    fn follow_pause(&mut self) {
        let wants = self.shared.controls.wants_pause();
        if wants == self.programme.is_paused() {
            return;
        }
        if wants {
            self.programme.pause();
            let epoch = self.programme.epoch();
            // What was captured until now must reach nobody: first the sources of new entries, then theirs.
            self.sink.processor.forget();
            self.log.begin_epoch(epoch);
            self.shared.renditions.begin_epoch(epoch);
            self.shared.packets.begin_epoch(epoch);
            self.live.begin_epoch(epoch);
            self.empty_ring();
            self.sink.listening.forget();
        } else {
            // What still waits in the ring was captured while paused.
            self.empty_ring();
            self.programme.resume(clock::mono_ns());
        }
        self.follow_state();
        self.shared.controls.confirm_pause(wants);
    }

    /// Marks a change of state in the log, where it belongs between the sounds.
    fn follow_state(&mut self) {
        let source = self.shared.source_state.get();
        self.programme.source(source.state);
        let paused = self.programme.is_paused();
        let (state, reason) = if paused { (State::Paused, None) } else { (source.state, source.reason) };
        if self.marked.as_ref().is_some_and(|(s, r)| *s == state && *r == reason) {
            return;
        }
        self.shared.state.set(state, reason.as_deref(), self.shared.wall.now_ms());
        let mark = self.shared.state.get();
        self.with_programme(|programme, emit| programme.mark(mark, clock::mono_ns(), emit));
        if !matches!(state, State::Running | State::Paused) {
            self.sink.listening.lose_source();
        }
        self.marked = Some((state, reason));
    }

    fn with_programme(&mut self, act: impl FnOnce(&mut Programme, &mut dyn FnMut(Event))) {
        let Self { programme, sink, .. } = self;
        act(programme, &mut |event| sink.record(event));
    }
}

/// Where the programme goes: through the effects into the log.
struct Sink {
    processor: Processor,
    listening: Listening,
    writer: Writer<Quantum>,
    shared: Arc<Shared>,
    gap_lines: Burst,
}

impl Sink {
    /// Appends to the log, counts, listens, and tells the journal.
    fn record(&mut self, event: Event) {
        let Self { processor, listening, writer, shared, gap_lines } = self;
        match event {
            Event::Quantum(quantum) => processor.push(quantum, &mut |quantum| {
                listening.hear(&quantum.payload);
                append(quantum, writer, shared);
            }),
            Event::GapEnded { reason, frames } => {
                if reason == GapReason::Suspend {
                    // While the machine slept, wall time went on without the monotonic clock.
                    shared.wall.refresh();
                }
                shared.gaps.ended(reason, frames, shared.wall.now_ms());
                if reason != GapReason::Paused {
                    shared.note_error(format!("{}: {frames} frames lost", reason.as_str()));
                }
                if gap_lines.happened(frames, clock::mono_ns()) {
                    let (source, reason) = (shared.source_name.as_str(), reason.as_str());
                    tracing::warn!(event = "capture_gap", source, frames, reason, "sound was missing");
                }
            }
        }
    }
}

fn append(quantum: Quantum, writer: &mut Writer<Quantum>, shared: &Shared) {
    if let Payload::Filler { reason, .. } = quantum.payload {
        shared.gaps.filled(reason, quantum.frames);
    }
    if quantum.offset == 0 && matches!(quantum.payload, Payload::Sound { .. }) {
        shared.history.began(quantum.block, quantum.position);
    }
    writer.append(quantum);
}

//! The laws of the programme.

use proptest::prelude::*;

use super::*;
use crate::tools::clock::NS_PER_S;
use crate::tools::spread::{Limits, Next, spread_log};

const RATE: u32 = 48_000;
const SHAPE: Shape = Shape { sample_rate: RATE, block_frames: 64, period_frames: 16 };

fn ns_of(position: u64) -> i64 {
    duration_ns(position, RATE)
}

fn stamp(position: u64, reason: Option<GapReason>) -> Stamp {
    Stamp { position, mono_ns: ns_of(position), channels: 1, session: 1, reason }
}

fn counting(position: u64, frames: u64) -> Vec<f32> {
    (position..position + frames).map(|n| n as f32).collect()
}

struct Listening {
    programme: Programme,
    quanta: Vec<Quantum>,
    gaps: Vec<(GapReason, u64)>,
}

impl Listening {
    fn new() -> Self {
        Self { programme: Programme::new(SHAPE, false, 0), quanta: Vec::new(), gaps: Vec::new() }
    }

    fn with(&mut self, act: impl FnOnce(&mut Programme, &mut dyn FnMut(Event))) {
        let Self { programme, quanta, gaps } = self;
        act(programme, &mut |event| match event {
            Event::Quantum(quantum) => quanta.push(quantum),
            Event::GapEnded { reason, frames } => gaps.push((reason, frames)),
        });
    }

    fn sound(&mut self, position: u64, frames: u64, reason: Option<GapReason>) {
        self.with(|p, emit| p.sound(stamp(position, reason), &counting(position, frames), emit));
    }

    fn mark(&mut self, state: State, now_ns: i64) {
        self.programme.source(state);
        self.with(|p, emit| p.mark(StateMark { state, reason: None, since_ms: 0 }, now_ns, emit));
    }

    fn idle(&mut self, now_ns: i64) {
        self.with(|p, emit| p.idle(now_ns, emit));
    }

    /// Every quantum begins where the one before ended, and sound is what was captured there.
    fn assert_seamless(&self) {
        let mut end = self.quanta.first().map_or(0, |q| q.position);
        for quantum in &self.quanta {
            assert_eq!(quantum.position, end);
            end += quantum.frames;
            if let Payload::Sound { samples, .. } = &quantum.payload {
                assert_eq!(samples.to_vec(), counting(quantum.position, quantum.frames));
                assert!(quantum.frames <= u64::from(SHAPE.period_frames));
                assert!(u64::from(quantum.offset) + quantum.frames <= u64::from(SHAPE.block_frames));
            }
        }
    }

    fn filler(&self) -> u64 {
        let is_filler = |q: &&Quantum| matches!(q.payload, Payload::Filler { .. });
        self.quanta.iter().filter(is_filler).map(|q| q.frames).sum()
    }
}

proptest! {
    #[test]
    fn chunks_of_any_size_with_holes_of_any_size_make_one_seamless_line(
        chunks in prop::collection::vec((0_u64..200, 1_u64..100), 1..60),
    ) {
        let mut listening = Listening::new();
        let mut position = 0;
        let mut lost = 0;
        for (n, (hole, frames)) in chunks.into_iter().enumerate() {
            let hole = if n == 0 { 0 } else { hole };
            position += hole;
            lost += hole;
            listening.sound(position, frames, (hole > 0).then_some(GapReason::Overrun));
            position += frames;
        }
        listening.assert_seamless();
        prop_assert_eq!(listening.filler(), lost);
        prop_assert_eq!(listening.gaps.iter().map(|(_, frames)| frames).sum::<u64>(), lost);
    }
}

#[test]
fn silence_is_paced_while_the_device_is_away_and_subtracted_when_it_is_back() {
    let mut listening = Listening::new();
    listening.sound(0, 64, None);
    listening.mark(State::Absent, ns_of(70));
    for ms in (0..2000).step_by(10) {
        listening.idle(ns_of(64) + ms * NS_PER_MS);
    }
    let paced = listening.filler();
    assert!(paced > 1900 * 48 && paced < 2000 * 48, "about two seconds, a little behind: {paced}");
    listening.sound(64 + 2000 * 48, 64, Some(GapReason::Absent));
    listening.assert_seamless();
    assert_eq!(listening.filler(), 2000 * 48, "paced and measured together are the whole hole");
    assert_eq!(listening.gaps, [(GapReason::Absent, 2000 * 48)]);
}

#[test]
fn a_device_that_silence_overtook_is_moved_up_for_good() {
    let mut listening = Listening::new();
    listening.sound(0, 64, None);
    listening.mark(State::Stalled, 0);
    listening.idle(ns_of(64) + NS_PER_S);
    let end = 64 + listening.filler();
    let positions = |listening: &Listening| listening.quanta.last().map(|q| q.position + q.frames);
    listening.sound(end - 1000, 16, None);
    assert_eq!(positions(&listening), Some(end + 16));
    listening.sound(end - 984, 16, None);
    assert_eq!(positions(&listening), Some(end + 32), "no second hole");
    assert_eq!(listening.gaps.len(), 1);
}

#[test]
fn no_silence_before_the_first_sound_nor_while_all_is_well() {
    let mut listening = Listening::new();
    listening.mark(State::Absent, 0);
    listening.idle(60 * NS_PER_S);
    assert_eq!(listening.filler(), 0, "the programme has not begun");
    listening.mark(State::Running, 0);
    listening.sound(0, 64, None);
    listening.idle(120 * NS_PER_S);
    assert_eq!(listening.filler(), 0, "a late thread is not a missing device");
}

#[test]
fn while_paused_no_captured_sample_is_in_any_quantum() {
    let mut listening = Listening::new();
    listening.sound(0, 40, None);
    listening.programme.pause();
    listening.mark(State::Paused, ns_of(40));
    listening.quanta.clear();
    listening.sound(40, 500, None);
    listening.sound(600, 40, Some(GapReason::Overrun));
    assert!(listening.quanta.iter().all(|q| matches!(q.payload, Payload::Filler { .. }) && q.epoch == 1));
    assert!(listening.gaps.is_empty(), "a gap is told when sound is back");
    // Resumed in the middle of a chunk: what was captured before is not heard.
    listening.programme.resume(ns_of(650) + 1);
    listening.mark(State::Running, ns_of(650));
    listening.sound(640, 40, None);
    let heard: Vec<_> =
        listening.quanta.iter().filter(|q| matches!(q.payload, Payload::Sound { .. })).collect();
    assert_eq!(heard[0].position, 651);
    assert_eq!(listening.gaps, [(GapReason::Paused, 651 - 40)]);
    listening.assert_seamless();
}

#[test]
fn a_hole_too_long_to_be_played_is_a_break() {
    let mut listening = Listening::new();
    listening.sound(0, 16, None);
    let hour = 3600 * u64::from(RATE);
    listening.sound(16 + hour, 16, Some(GapReason::Suspend));
    let breaks: Vec<_> = listening
        .quanta
        .iter()
        .filter(|q| matches!(q.payload, Payload::Filler { discontinuity: true, reason: GapReason::Suspend }))
        .collect();
    assert_eq!(breaks.len(), 1);
    assert_eq!(breaks[0].frames, hour);
    let kept = Limits { entries: 100, span: KEPT_S * u64::from(RATE), bytes: usize::MAX };
    let (mut writer, log) = spread_log(kept);
    let mut cursor = log.from_now();
    assert!(listening.quanta.iter().all(|quantum| writer.append(quantum.clone())));
    let told: Vec<_> = std::iter::from_fn(|| cursor.try_next()).collect();
    assert!(
        told.iter().all(|next| matches!(next, Next::Entry(_))),
        "sound after it does not evict it: {told:?}"
    );
}

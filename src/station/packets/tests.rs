//! Laws of low-latency packets: every frame in its place, in a packet or in a gap, and nothing over a pause.

use std::sync::Arc;

use proptest::prelude::*;

use super::line::{Hole, Item, Line, Piece};
use super::{Form, Told};
use crate::audio::{GapReason, Payload, Quantum, State, StateMark, duration_ns};
use crate::station::renditions::{Encode, Material, Recipe};
use crate::tools::clock::WallClock;
use crate::tools::spread::{Limits, spread_log};

const RATE: u32 = 48_000;
const OPUS: Form = Form::Opus { bitrate_kbps: Some(256), frame_ms: 10 };

/// A number that tells the position, and never silence.
fn counted(position: u64) -> f32 {
    f32::from(i16::try_from(position % 30_000).expect("small") + 1) / 32_768.0
}

/// A sweep from 100 to 400 Hz and back: at no two near places the same, and slow enough that a frame of
/// another rate, rounded to one of the programme, is nearly in its place.
fn swept(position: u64, rate: u32) -> f32 {
    let t = position as f64 / f64::from(rate);
    (0.5 * (std::f64::consts::TAU * (250.0 * t + 47.5 * (std::f64::consts::PI * t).sin())).sin()) as f32
}

fn quantum(epoch: u64, position: u64, frames: u64, rate: u32, payload: Payload) -> Quantum {
    let mono_ns = duration_ns(position, rate);
    Quantum { epoch, position, frames, mono_ns, block: 0, offset: 0, payload }
}

fn sound(epoch: u64, position: u64, frames: u64, rate: u32, sample: impl Fn(u64) -> f32) -> Quantum {
    let samples: Arc<[f32]> = (position..position + frames).flat_map(|at| [sample(at); 2]).collect();
    quantum(epoch, position, frames, rate, Payload::Sound { samples, channels: 2 })
}

fn filler(epoch: u64, position: u64, frames: u64, rate: u32) -> Quantum {
    let payload = Payload::Filler { reason: GapReason::Overrun, discontinuity: false };
    quantum(epoch, position, frames, rate, payload)
}

fn mark(position: u64) -> Quantum {
    let mark = StateMark { state: State::Running, reason: None, since_ms: 0 };
    quantum(0, position, 0, RATE, Payload::State(mark))
}

fn run(line: &mut Line, quanta: impl IntoIterator<Item = Quantum>) -> Vec<Item> {
    let mut items = Vec::new();
    for quantum in quanta {
        line.push(&quantum, &mut |item| items.push(item)).expect("encoded");
    }
    items
}

fn pieces(items: &[Item]) -> impl Iterator<Item = &Piece> {
    items.iter().filter_map(|item| if let Item::Piece(piece) = item { Some(piece) } else { None })
}

fn holes(items: &[Item]) -> Vec<Hole> {
    items.iter().filter_map(|item| if let Item::Gap(hole) = item { Some(*hole) } else { None }).collect()
}

/// Samples of the first channel of a packet of PCM.
fn read_s16(piece: &Piece) -> Vec<f32> {
    let frames = piece.bytes.as_chunks::<4>().0;
    frames.iter().map(|frame| f32::from(i16::from_le_bytes([frame[0], frame[1]])) / 32_768.0).collect()
}

/// What a decoder makes of packets, each frame with its position in frames of the line.
fn decode(pieces: impl Iterator<Item = Piece>, capture_rate: u32) -> Vec<(u64, f32)> {
    let mut decoder = opus::Decoder::new(48_000, opus::Channels::Stereo).expect("a decoder");
    let mut heard = Vec::new();
    for piece in pieces {
        if piece.is_start {
            decoder.reset_state().expect("begun anew");
        }
        let mut samples = [0.0; 2 * 5760];
        decoder.decode_float(&piece.bytes, &mut samples, false).expect("decoded");
        let first = piece.position * 48_000 / u64::from(capture_rate);
        let frames = samples.chunks(2).skip(piece.skip.into()).take(piece.frames.into());
        heard.extend(frames.zip(first..).map(|(frame, at)| (at, frame[0])));
    }
    heard
}

proptest! {
    /// Sound, holes, changes of state and pauses in any order: what comes out is the sound that went in,
    /// in its place, and the gaps between.
    #[test]
    fn every_frame_is_in_a_packet_or_in_a_gap(
        first in 0_u64..100_000,
        events in prop::collection::vec((0_u8..8, 1_u64..700), 1..40),
    ) {
        let mut line = Line::new(Form::S16, RATE, 2).expect("a line");
        let (mut position, mut epoch, mut quanta) = (first, 0, Vec::new());
        let mut sounds = 0;
        for (kind, frames) in events {
            match kind {
                0 => quanta.push(filler(epoch, position, frames, RATE)),
                1 => {
                    quanta.push(Quantum { epoch, ..mark(position) });
                    continue;
                }
                2 => {
                    epoch += 1;
                    continue;
                }
                // Dropped before it was read, or lost without a word.
                3 => {}
                _ => {
                    quanta.push(sound(epoch, position, frames, RATE, counted));
                    sounds += frames;
                }
            }
            position += frames;
        }
        let items = run(&mut line, quanta);
        let (mut told, mut heard) = (None, 0);
        for item in &items {
            let (from, end) = match item {
                Item::Piece(piece) => {
                    let samples = read_s16(piece);
                    prop_assert_eq!(samples.len(), usize::from(piece.frames));
                    for (sample, at) in samples.iter().zip(piece.position..) {
                        prop_assert_eq!(*sample, counted(at));
                    }
                    prop_assert_eq!(piece.mono_ns, duration_ns(piece.position, RATE));
                    prop_assert!(piece.is_start || told == Some(piece.position));
                    heard += u64::from(piece.frames);
                    (piece.position, piece.end)
                }
                Item::Gap(hole) => (hole.position, hole.position + hole.lost),
                Item::State(_) => continue,
            };
            prop_assert!(told.is_none_or(|told| told == from), "{told:?}, and then {from}");
            told = Some(end);
        }
        // PCM has no delay: nothing is under way when a pause comes.
        prop_assert_eq!(heard, sounds);
    }
}

#[test]
fn opus_decodes_to_the_sound_at_its_place_at_every_rate_and_over_holes() {
    for (rate, period) in [(48_000, 512), (44_100, 441), (96_000, 1000), (8_000, 80)] {
        for frame_ms in [5, 10, 20] {
            let form = Form::Opus { bitrate_kbps: Some(256), frame_ms };
            let mut line = Line::new(form, rate, 2).expect("a line");
            let first = 12_345;
            let hole = first + 100 * period;
            let quanta = (0..100)
                .map(|n| sound(0, first + n * period, period, rate, |at| swept(at, rate)))
                .chain([filler(0, hole, 3 * period, rate)])
                .chain((103..200).map(|n| sound(0, first + n * period, period, rate, |at| swept(at, rate))));
            let items = run(&mut line, quanta);
            let expected = Hole {
                position: hole,
                lost: 3 * period,
                reason: GapReason::Overrun,
                mono_ns: duration_ns(hole, rate),
            };
            assert_eq!(holes(&items), [expected], "{rate} Hz, {frame_ms} ms");
            assert_eq!(pieces(&items).filter(|piece| piece.is_start).count(), 2);
            let heard = decode(pieces(&items).cloned(), rate);
            let until_hole = (hole - first) * 48_000 / u64::from(rate);
            let before = heard.iter().filter(|(at, _)| *at < hole * 48_000 / u64::from(rate)).count() as u64;
            assert!(before.abs_diff(until_hole) <= 1, "{rate} Hz: {before} of {until_hole} frames");
            let (mut signal, mut noise) = (0.0, 0.0);
            for (at, sample) in heard {
                let wanted = swept(at, 48_000);
                signal += f64::from(wanted * wanted);
                noise += f64::from((wanted - sample) * (wanted - sample));
            }
            let snr_db = 10.0 * (signal / noise).log10();
            assert!(snr_db > 20.0, "{rate} Hz, {frame_ms} ms: {snr_db:.1} dB");
        }
    }
}

#[test]
fn sound_that_jumps_without_a_word_is_told_as_a_gap_and_nothing_before_it_is_lost() {
    let mut line = Line::new(OPUS, RATE, 2).expect("a line");
    let jump = [sound(0, 0, 700, RATE, counted), sound(0, 5000, 700, RATE, counted)];
    let items = run(&mut line, jump);
    let at = items.iter().position(|item| matches!(item, Item::Gap(_))).expect("told");
    assert_eq!(pieces(&items[..at]).last().map(|piece| piece.end), Some(700));
    assert_eq!(
        holes(&items).iter().map(|hole| (hole.position, hole.lost)).collect::<Vec<_>>(),
        [(700, 4300)]
    );
    let Item::Piece(next) = &items[at + 1] else { panic!("{items:?}") };
    assert_eq!((next.position, next.is_start), (5000, true));
}

#[test]
fn what_was_under_way_when_a_pause_came_is_in_its_gap() {
    let mut line = Line::new(OPUS, RATE, 2).expect("a line");
    let before = run(&mut line, (0..20).map(|n| sound(0, n * 500, 500, RATE, counted)));
    let sent = pieces(&before).last().expect("a packet").end;
    assert!(sent < 10_000, "something is under way");
    let after = run(
        &mut line,
        [filler(1, 10_000, 90_000, RATE), sound(1, 100_000, 5000, RATE, |at| swept(at, RATE))],
    );
    let [hole] = holes(&after)[..] else { panic!("{after:?}") };
    assert_eq!((hole.position, hole.lost), (sent, 100_000 - sent));
    assert!(pieces(&after).all(|piece| piece.position >= 100_000));
    assert!(matches!(&after[1], Item::Piece(piece) if piece.is_start), "the codec begins anew");
    let heard = decode(pieces(&after).cloned(), RATE);
    let peak = heard.iter().take(200).map(|(_, sample)| sample.abs()).fold(0.0, f32::max);
    let wanted = (100_000..100_200).map(|at| swept(at, RATE).abs()).fold(0.0, f32::max);
    assert!(peak < wanted + 0.1, "nothing of before is heard: {peak}");
}

#[test]
fn a_change_of_state_follows_all_the_sound_before_it() {
    let mut line = Line::new(OPUS, RATE, 2).expect("a line");
    let items =
        run(&mut line, [sound(0, 0, 700, RATE, counted), mark(700), sound(0, 700, 700, RATE, counted)]);
    let at = items.iter().position(|item| matches!(item, Item::State(_))).expect("told");
    assert_eq!(pieces(&items[..at]).last().map(|piece| piece.end), Some(700));
    assert_eq!(holes(&items), [], "nothing is missing");
}

#[test]
fn many_channels_become_two_and_one_stays_one() {
    for (captured, sent) in [(1, 1), (2, 2), (6, 2)] {
        let mut line = Line::new(Form::F32, RATE, captured).expect("a line");
        let samples: Arc<[f32]> = vec![0.25; 480 * usize::from(captured)].into();
        let payload = Payload::Sound { samples, channels: captured };
        let items = run(&mut line, [quantum(0, 0, 480, RATE, payload)]);
        let bytes: usize = pieces(&items).map(|piece| piece.bytes.len()).sum();
        assert_eq!((line.about().channels, bytes), (sent, 480 * 4 * usize::from(sent)));
    }
}

#[test]
fn headers_count_packets_and_tell_wall_time() {
    let (mut writer, programme) = spread_log(Limits { entries: 10, span: 1 << 20, bytes: 1 << 20 });
    let wall = Arc::new(WallClock::new());
    let material = Material {
        programme,
        wall: wall.clone(),
        sample_rate: RATE,
        channels: 2,
        block_frames: 1024,
        shown: (0, 1),
    };
    let mut encoder = OPUS.encoder(&material).expect("an encoder");
    assert_eq!(&encoder.about().setup[..8], b"OpusHead");
    let mut sequence = 0;
    for n in 0..10 {
        let quantum = sound(0, n * 480, 480, RATE, counted);
        writer.append(quantum.clone());
        encoder
            .push(&quantum, &mut |entry| {
                let Told::Packet { mono_ns, bytes, .. } = entry.told else { panic!("{entry:?}") };
                let number = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight"));
                assert_eq!((number(8), number(24)), (sequence, wall.us_at(mono_ns)));
                sequence += 1;
            })
            .expect("encoded");
    }
    assert!(sequence > 5);
}

#[test]
fn what_opus_cannot_be_is_refused_with_the_reason() {
    let mono = Line::new(Form::Opus { bitrate_kbps: Some(320), frame_ms: 10 }, RATE, 1);
    let error = mono.err().expect("too much for one channel");
    assert!(error.message().contains("6 to 256"), "{}", error.message());
}

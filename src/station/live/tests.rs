//! Laws of renditions: every packet in its place, one grid for all, and nothing over a pause.

use std::sync::Arc;

use super::group::{Group, Grouper};
use super::line::{Coded, Line, Recipe};
use super::profile::Suffix;
use super::{built_in, titles::Titles};
use crate::audio::{GapReason, Payload, Quantum};
use crate::codec::{Codec, EncoderSettings};
use crate::mux::muxer;

const RATE: u32 = 48_000;
/// Frames of a quantum.
const PERIOD: u64 = 240;

fn recipe(encoding: EncoderSettings) -> Recipe {
    Recipe { capture_rate: RATE, effects: Vec::new(), dither: true, encoding }
}

fn mp3(kbps: u32, rate: u32) -> Recipe {
    recipe(EncoderSettings { bitrate_kbps: Some(kbps), ..EncoderSettings::new(Codec::Mp3, rate, 2) })
}

fn wav() -> Recipe {
    recipe(EncoderSettings { bit_depth: Some(16), ..EncoderSettings::new(Codec::Wav, RATE, 2) })
}

/// What the programme has at a position: a number that tells the position, and never silence.
fn sample(position: u64) -> i16 {
    i16::try_from(position % 30_000).expect("small") + 1
}

fn quantum(epoch: u64, position: u64, payload: Payload) -> Quantum {
    let mono_ns = crate::audio::duration_ns(position, RATE);
    Quantum { epoch, position, frames: PERIOD, mono_ns, block: 0, offset: 0, payload }
}

fn sound(epoch: u64, position: u64) -> Quantum {
    let samples: Arc<[f32]> = (position..position + PERIOD)
        .flat_map(|position| [f32::from(sample(position)) / 32_768.0; 2])
        .collect();
    quantum(epoch, position, Payload::Sound { samples, channels: 2 })
}

fn filler(epoch: u64, position: u64, discontinuity: bool) -> Quantum {
    quantum(epoch, position, Payload::Filler { reason: GapReason::Overrun, discontinuity })
}

fn run(line: &mut Line, quanta: impl IntoIterator<Item = Quantum>) -> Vec<Coded> {
    let mut coded = Vec::new();
    for quantum in quanta {
        line.push(&quantum, u64::MAX, &mut |packet| coded.push(packet)).expect("encoded");
    }
    coded
}

fn sounds(epoch: u64, from: u64, count: u64) -> impl Iterator<Item = Quantum> {
    (0..count).map(move |n| sound(epoch, from + n * PERIOD))
}

/// Positions and samples of packets of PCM.
fn heard(coded: &[Coded]) -> Vec<(u64, i16)> {
    let frames = coded.iter().flat_map(|coded| {
        let samples =
            coded.packet.bytes.chunks_exact(4).map(|frame| i16::from_le_bytes([frame[0], frame[1]]));
        samples.enumerate().map(|(n, sample)| (coded.position + n as u64, sample))
    });
    frames.collect()
}

#[test]
fn every_frame_is_in_its_place_whatever_happens_between() {
    let mut line = Line::new(wav()).expect("a line");
    let first = 12_345;
    let quanta = sounds(0, first, 20)
        .chain([filler(0, first + 20 * PERIOD, false)])
        .chain(sounds(0, first + 21 * PERIOD, 3))
        // A suspend of an hour, and a thread that fell behind.
        .chain([filler(0, first + 24 * PERIOD, true)])
        .chain(sounds(0, 200_000_000, 20))
        .chain(sounds(0, 300_000_007, 20));
    let coded = run(&mut line, quanta);
    let heard = heard(&coded);
    assert_eq!(heard.iter().filter(|(_, value)| *value != 0).count() as u64, 63 * PERIOD);
    for (position, value) in heard.iter().filter(|(_, value)| *value != 0) {
        assert_eq!(*value, sample(*position), "at {position}");
    }
    let silent = heard.iter().filter(|(position, value)| *value == 0 && *position > first).count() as u64;
    assert_eq!(silent, PERIOD, "a gap is silence, a break is none");
    assert!(coded.windows(2).all(|two| two[0].end <= two[1].position));
    for coded in &coded {
        let off_ns = coded.mono_ns - crate::audio::duration_ns(coded.position, RATE);
        assert!(off_ns.abs() < 1000, "{off_ns} ns off");
    }
}

/// A tone of less than half a step of 16 bits, as a card of 24 bits hears it.
fn faint(position: u64) -> Quantum {
    let samples = (position..position + PERIOD).flat_map(|position| {
        let value = 0.4 / 32_768.0 * (position as f64 * 0.1).sin();
        [(value * 8_388_608.0).round() as f32 / 8_388_608.0; 2]
    });
    quantum(0, position, Payload::Sound { samples: samples.collect(), channels: 2 })
}

#[test]
fn what_is_softer_than_a_step_is_dithered_and_not_lost() {
    let level = |dither: bool| {
        let mut line = Line::new(Recipe { dither, ..wav() }).expect("a line");
        let coded = run(&mut line, (0..200).map(|n| faint(n * PERIOD)));
        let heard = heard(&coded);
        let tone = |position: u64| (position as f64 * 0.1).sin();
        let sum: f64 = heard.iter().map(|(position, value)| f64::from(*value) * tone(*position)).sum();
        2.0 * sum / heard.len() as f64
    };
    assert!((level(true) - 0.4).abs() < 0.03, "{}", level(true));
    assert_eq!(level(false), 0.0);
}

#[test]
fn nothing_goes_over_a_pause() {
    for recipe in [wav(), mp3(192, 44_100)] {
        let mut line = Line::new(recipe.clone()).expect("a line");
        run(&mut line, sounds(0, 5000, 51));
        let silence = (0..100).map(|n| filler(1, 5000 + (51 + n) * PERIOD, false));
        let coded = run(&mut line, silence);
        assert!(coded.iter().all(|coded| coded.epoch == 1));
        let mut fresh = Line::new(recipe).expect("a line");
        let silence = (0..100).map(|n| filler(0, 5000 + (51 + n) * PERIOD, false));
        let of_silence = run(&mut fresh, silence);
        let bytes =
            |coded: &[Coded]| coded.iter().map(|coded| coded.packet.bytes.clone()).collect::<Vec<_>>();
        assert_eq!(bytes(&coded), bytes(&of_silence), "as if there had been nothing before");
    }
}

#[test]
fn what_a_pause_withdraws_is_silence_of_the_same_length() {
    for recipe in [wav(), mp3(192, 48_000), mp3(192, 44_100)] {
        let mut line = Line::new(recipe).expect("a line");
        let format = line.format().clone();
        let muxer = || muxer(Suffix::of(format.codec).container(), &format).expect("a muxer");
        let span = u64::from(format.sample_rate) * 160 / 1000;
        let mut groupers = [span, 1].map(|span| Grouper::new(muxer(), span, format.frame_samples));
        let titles = Titles::default();
        let mut groups = [Vec::new(), Vec::new()];
        let silence = (0..300).map(|n| filler(1, 9600 + (97 + n) * PERIOD, false));
        for quantum in sounds(0, 9600, 97).chain(silence) {
            let delivered = groupers[0].delivered();
            let both = groupers.iter_mut().zip(&mut groups);
            let mut both: Vec<_> = both.collect();
            let push = &mut |coded: Coded| {
                for (grouper, groups) in &mut both {
                    groups.extend(grouper.push(&coded, |position| titles.at(position)));
                }
            };
            line.push(&quantum, delivered, push).expect("encoded");
        }
        for groups in groups {
            assert!(groups.iter().any(|group: &Group| group.epoch == 0) && groups.len() > 10);
            for two in groups.windows(2) {
                assert_eq!(two[0].end, two[1].position, "{} in all", groups.len());
            }
        }
    }
}

/// Everything a line and a grouper make of sound from here on.
fn groups(recipe: Recipe, from: u64, count: u64) -> Vec<Group> {
    let mut line = Line::new(recipe).expect("a line");
    let format = line.format().clone();
    let muxer = muxer(Suffix::of(format.codec).container(), &format).expect("a muxer");
    let mut grouper = Grouper::new(muxer, u64::from(format.sample_rate) * 160 / 1000, format.frame_samples);
    let titles = Titles::default();
    let coded = run(&mut line, sounds(0, from, count));
    coded.iter().filter_map(|coded| grouper.push(coded, |position| titles.at(position))).collect()
}

#[test]
fn encodings_of_one_shape_have_one_grid() {
    let places =
        |groups: &[Group]| groups.iter().map(|group| (group.position, group.end)).collect::<Vec<_>>();
    let one = places(&groups(mp3(320, 44_100), 96_017, 800));
    let other = places(&groups(mp3(128, 44_100), 150_000, 575));
    assert!(other.len() > 10);
    // Its first group is a part of one.
    assert!(other[1..].iter().all(|place| one.contains(place)), "{other:?} in {one:?}");
}

#[test]
fn a_group_is_whole_packets_and_may_end_after_each() {
    let all = groups(mp3(128, 44_100), 1000, 800);
    for group in &all[1..] {
        assert_eq!((group.packets, group.borders.len()), (6, 6));
        assert_eq!(group.borders.last().map(|border| *border as usize), Some(group.bytes.len()));
        assert!(group.clean_start);
        let mut start = 0;
        for border in &*group.borders {
            assert_eq!(group.bytes[start..start + 2], [0xff, 0xfb], "a frame begins");
            start = *border as usize;
        }
        assert_eq!(group.border_after(0), 0);
        assert_eq!(group.border_after(1), group.borders[0] as usize);
    }
    // 6 × 1152 frames at 44.1 kHz.
    assert!(all[1..].windows(2).all(|two| two[0].end == two[1].position));
    assert!(all[1..].iter().all(|group| (7522..=7525).contains(&(group.end - group.position))));
}

#[test]
fn every_stream_is_of_the_type_that_its_head_says() {
    let profile = &built_in()["high"];
    for suffix in Suffix::ALL {
        let line = Line::new(recipe(profile.encoding_in(suffix.codec()))).expect("a line");
        let muxer = muxer(suffix.container(), line.format()).expect("a muxer");
        let (whole, told) = (muxer.content_type(), suffix.content_type());
        assert!(whole == told || (suffix == Suffix::M4a && whole.starts_with(told)), "{whole}, {told}");
    }
}

use std::f64::consts::PI;

use super::*;

const RATES: [(u32, u32); 9] = [
    (48_000, 44_100),
    (44_100, 48_000),
    (48_000, 22_050),
    (48_000, 16_000),
    (48_000, 8_000),
    (8_000, 48_000),
    (192_000, 48_000),
    (96_000, 44_100),
    (11_025, 32_000),
];

fn mono(sample_rate: u32) -> Shape {
    Shape { sample_rate, channels: 1 }
}

fn sine(frequency_hz: f64, sample_rate: u32, frames: usize) -> Vec<f32> {
    let angle = 2.0 * PI * frequency_hz / f64::from(sample_rate);
    (0..frames).map(|n| (angle * n as f64).sin() as f32).collect()
}

/// Converted in pieces of uneven length.
fn converted(from: Shape, to: Shape, samples: &[f32]) -> Vec<f32> {
    let mut conform = Conform::new(from, to).expect("rates that convert");
    let mut out = Vec::new();
    let mut most = 0;
    for (at, piece) in samples.chunks(usize::from(from.channels) * 331).enumerate() {
        conform.process(piece, &mut out);
        let given = (at * 331 + piece.len() / usize::from(from.channels)) as f64;
        let due = given * f64::from(to.sample_rate) / f64::from(from.sample_rate);
        most = most.max(due as usize - (out.len() / usize::from(to.channels)).min(due as usize));
    }
    assert!(most <= conform.latency_frames(), "{most} frames late, more than {}", conform.latency_frames());
    conform.finish(&mut out);
    out
}

fn db(ratio: f64) -> f64 {
    20.0 * ratio.log10()
}

#[test]
fn what_the_lower_rate_can_hold_passes_in_its_place_and_nothing_else_does() {
    for (from, to) in RATES {
        let half = f64::from(from.min(to)) / 2.0;
        for part in [0.01, 0.1, 0.5, 0.8, 0.9] {
            let frequency_hz = part * half;
            let frames = from as usize;
            let out = converted(mono(from), mono(to), &sine(frequency_hz, from, frames));
            assert_eq!(out.len(), to as usize, "a second is a second");
            let expected = sine(frequency_hz, to, to as usize);
            // Away from the ends, where the filter sees silence.
            let inner = to as usize / 4..to as usize * 3 / 4;
            let worst = inner.map(|n| (out[n] - expected[n]).abs()).fold(0.0, f32::max);
            assert!(worst < 0.005, "{from} to {to} Hz, {frequency_hz} Hz: off by {worst}");
        }
        if to < from {
            let highest = f64::from(from) / f64::from(to);
            for part in [1.001, 1.05, 1.3, 0.99 * highest].into_iter().filter(|part| *part < highest) {
                let out = converted(mono(from), mono(to), &sine(part * half, from, from as usize));
                let inner = &out[to as usize / 4..to as usize * 3 / 4];
                let power: f64 =
                    inner.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>() / inner.len() as f64;
                assert!(db((2.0 * power).sqrt()) < -100.0, "{from} to {to}: {part}: {}", db(power.sqrt()));
            }
        }
    }
}

#[test]
fn an_image_of_a_raised_rate_is_not_heard() {
    for (from, to) in [(8_000, 48_000), (44_100, 48_000)] {
        let frequency_hz = 0.9 * f64::from(from) / 2.0;
        let out = converted(mono(from), mono(to), &sine(frequency_hz, from, from as usize));
        let expected = sine(frequency_hz, to, to as usize);
        let inner = to as usize / 4..to as usize * 3 / 4;
        // Without the tone itself, whose level and phase are fitted, nothing is left.
        let product = |f: &dyn Fn(usize) -> f64| inner.clone().map(f).sum::<f64>();
        let scale = product(&|n| f64::from(out[n]) * f64::from(expected[n]))
            / product(&|n| f64::from(expected[n]).powi(2));
        let left = product(&|n| (f64::from(out[n]) - scale * f64::from(expected[n])).powi(2));
        let left_db = 10.0 * (left / product(&|n| f64::from(out[n]).powi(2))).log10();
        assert!(left_db < -100.0, "{from} to {to}: {left_db}");
        assert!(db(scale).abs() < 0.05, "{from} to {to}: {}", db(scale));
    }
}

#[test]
fn a_reset_leaks_nothing_and_a_finish_begins_anew() {
    let (from, to) = (Shape { sample_rate: 48_000, channels: 2 }, mono(44_100));
    let loud = vec![0.9; 9_000];
    let soft: Vec<f32> = sine(300.0, 48_000, 9_600);
    let fresh = converted(from, to, &soft);
    let mut conform = Conform::new(from, to).expect("rates");
    let mut out = Vec::new();
    conform.process(&loud, &mut out);
    conform.reset();
    out.clear();
    conform.process(&soft, &mut out);
    conform.finish(&mut out);
    assert_eq!(out, fresh);
    out.clear();
    conform.process(&soft, &mut out);
    conform.finish(&mut out);
    assert_eq!(out, fresh);
    let silent = Conform::new(from, to).map(|mut conform| {
        let mut out = Vec::new();
        conform.finish(&mut out);
        out
    });
    assert_eq!(silent.expect("rates"), [0.0; 0], "nothing in, nothing out");
}

#[test]
fn one_rate_is_bit_for_bit() {
    let shape = Shape { sample_rate: 48_000, channels: 2 };
    let samples: Vec<f32> = sine(300.0, 48_000, 1_000);
    assert_eq!(converted(shape, shape, &samples), samples);
}

#[test]
fn mono_at_44100_becomes_stereo_at_48000() {
    let out =
        converted(mono(44_100), Shape { sample_rate: 48_000, channels: 2 }, &sine(440.0, 44_100, 44_100));
    assert_eq!(out.len(), 96_000);
    assert!(out.chunks_exact(2).all(|frame| frame[0].to_bits() == frame[1].to_bits()));
    let expected = sine(440.0, 48_000, 48_000);
    assert!((12_000..36_000).all(|n| (out[2 * n] - expected[n]).abs() < 0.005));
}

#[test]
fn rates_without_a_simple_ratio_are_refused_with_the_reason() {
    let error = Conform::new(mono(44_099), mono(48_000)).expect_err("no ratio");
    assert_eq!(error, "44099 Hz cannot be converted to 48000 Hz: the ratio is no simple fraction");
    for from in [
        8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 88_200, 96_000, 176_400,
        192_000, 384_000,
    ] {
        for to in
            [8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 88_200, 96_000, 192_000]
        {
            assert!(Conform::new(mono(from), mono(to)).is_ok(), "{from} to {to}");
        }
    }
}

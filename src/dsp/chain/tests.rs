use super::*;
use crate::dsp::effect::{Compressor, Gain, Limiter, Reverb};

const RATE: u32 = 48_000;

fn gain(gain_db: f64) -> Effect {
    Effect::Gain(Gain { gain_db })
}

fn limiter() -> Effect {
    Effect::Limiter(Limiter::default())
}

fn sine(frequency_hz: f64, level: f64, frames: usize) -> Vec<f32> {
    let angle = 2.0 * std::f64::consts::PI * frequency_hz / f64::from(RATE);
    (0..frames).map(|n| (level * (angle * n as f64).sin()) as f32).collect()
}

/// Given in pieces of uneven length, finished.
fn through(chain: &mut Chain, samples: &[f32]) -> Vec<f32> {
    let mut out = Vec::new();
    for piece in samples.chunks(441 * usize::from(chain.channels())) {
        let mut piece = piece.to_vec();
        chain.process(&mut piece);
        out.append(&mut piece);
    }
    chain.finish(&mut out);
    out
}

/// The largest step of the slope between neighbouring samples: what a click stands out by.
fn roughness(samples: &[f32]) -> f32 {
    samples.windows(3).map(|x| (x[2] - 2.0 * x[1] + x[0]).abs()).fold(0.0, f32::max)
}

#[test]
fn without_effects_sound_is_bit_for_bit_the_same() {
    let samples = sine(997.0, 1.3, 5_000);
    let mut chain = Chain::new(&[], RATE, 1);
    assert!(chain.is_empty());
    assert_eq!(through(&mut chain, &samples), samples);
}

#[test]
fn what_comes_out_is_in_its_place_whatever_looks_ahead() {
    let samples = sine(997.0, 0.5, 20_000);
    // 5 ms for each limiter.
    for (effects, latency) in [(vec![limiter()], 240), (vec![limiter(), gain(0.0), limiter()], 480)] {
        let mut chain = Chain::new(&effects, RATE, 2);
        assert_eq!(chain.latency_frames(), latency);
        assert_eq!(through(&mut chain, &samples), samples, "nothing to limit, nothing changed");
        assert_eq!(through(&mut chain, &samples), samples, "and once more");
    }
}

#[test]
fn what_is_no_number_neither_gets_in_nor_out() {
    let mut effects = Effect::kinds();
    // Overflows a float at any sample.
    effects.extend([gain(40.0); 30]);
    for effects in [&effects[..], &[]] {
        let mut chain = Chain::new(effects, RATE, 1);
        let mut samples = sine(997.0, 0.5, 4_000);
        for (at, broken) in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, 1e-42].iter().enumerate() {
            samples[700 * at] = *broken;
        }
        let out = through(&mut chain, &samples);
        assert_eq!(out.len(), samples.len());
        assert!(out.iter().all(|sample| sample.is_finite()));
    }
}

#[test]
fn a_broken_sample_does_not_silence_what_follows() {
    let mut chain =
        Chain::new(&[Effect::Reverb(Reverb { wet: 0.0, dry: 1.0, ..Reverb::default() })], RATE, 1);
    let mut samples = sine(997.0, 0.5, 4_000);
    samples[5] = f32::NAN;
    let out = through(&mut chain, &samples);
    assert_eq!(out[6..], samples[6..]);
}

#[test]
fn changes_are_heard_without_a_click_and_in_place() {
    let samples = sine(440.0, 0.5, 48_000);
    let steady = roughness(&samples);
    let compressor = Effect::Compressor(Compressor::default());
    let steps: [&[Effect]; 8] = [
        &[gain(-6.0)],
        &[gain(3.0)],
        &[gain(-3.0), limiter()],
        &[limiter()],
        &[],
        &[compressor, limiter(), limiter()],
        &[compressor],
        &[gain(0.0)],
    ];
    let mut chain = Chain::new(&[], RATE, 1);
    let mut out = Vec::new();
    for (at, piece) in samples.chunks(480).enumerate() {
        if at % 10 == 5
            && let Some(effects) = steps.get(at / 10)
        {
            chain.change(Chain::new(effects, RATE, 1));
            assert_eq!(chain.effects(), *effects);
        }
        let mut piece = piece.to_vec();
        chain.process(&mut piece);
        out.append(&mut piece);
        assert_eq!(out.len() + chain.held_frames(), (at + 1) * 480);
        assert!(chain.held_frames() <= chain.latency_frames());
    }
    assert_eq!(chain.held_frames(), 0, "the delay went with the limiter");
    assert_eq!(out.len(), samples.len());
    assert!(roughness(&out) < 1.5 * steady * 10_f32.powf(3.0 / 20.0), "{} {steady}", roughness(&out));
    // In place: at the end everything is as it was, sample for sample.
    assert_eq!(out[47_000..], samples[47_000..]);
}

#[test]
fn changes_faster_than_they_can_be_made_end_at_the_last_one() {
    let mut chain = Chain::new(&[], RATE, 1);
    let mut out = Vec::new();
    let samples = sine(440.0, 0.5, 48_000);
    for (at, piece) in samples.chunks(480).enumerate() {
        if at < 20 {
            let effects = if at % 2 == 0 { vec![gain(-20.0), limiter()] } else { vec![limiter()] };
            chain.change(Chain::new(&effects, RATE, 1));
        }
        let mut piece = piece.to_vec();
        chain.process(&mut piece);
        out.append(&mut piece);
    }
    chain.finish(&mut out);
    assert_eq!(chain.effects(), [limiter()]);
    assert_eq!(out.len(), samples.len());
    assert!(roughness(&out) < 1.5 * roughness(&samples));
    assert_eq!(out[40_000..], samples[40_000..]);
}

#[test]
fn a_finish_while_changing_gives_everything_once() {
    for pieces in 1..20 {
        for effects in [vec![limiter(), limiter()], vec![], vec![gain(-1.0), limiter()]] {
            let mut chain = Chain::new(&[limiter()], RATE, 1);
            let samples = sine(440.0, 0.5, 480 * 20);
            let mut out = Vec::new();
            for (at, piece) in samples.chunks(480).take(pieces).enumerate() {
                if at == 2 {
                    chain.change(Chain::new(&effects, RATE, 1));
                }
                let mut piece = piece.to_vec();
                chain.process(&mut piece);
                out.append(&mut piece);
            }
            chain.finish(&mut out);
            assert_eq!(out.len(), 480 * pieces);
            assert_eq!(chain.held_frames(), 0);
        }
    }
}

#[test]
fn a_reset_forgets_what_was_heard_and_what_was_held() {
    let effects = Effect::kinds();
    let mut chain = Chain::new(&effects, RATE, 2);
    let fresh = through(&mut Chain::new(&effects, RATE, 2), &sine(440.0, 0.3, 20_000));
    let mut loud = vec![0.9; 30_000];
    chain.process(&mut loud);
    assert!(chain.held_frames() > 0);
    chain.reset();
    assert_eq!(chain.held_frames(), 0);
    assert_eq!(through(&mut chain, &sine(440.0, 0.3, 20_000)), fresh);
}

#[test]
fn too_many_effects_are_refused() {
    assert_eq!(check(&[gain(0.0); 65], RATE), ["65 effects: expected 64 or fewer"]);
    assert_eq!(check(&[gain(0.0); 64], RATE), [""; 0]);
    assert_eq!(check(&[gain(90.0)], RATE), ["gain: gain_db is 90: expected a number from -80 to 40"]);
}

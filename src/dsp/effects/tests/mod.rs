//! The laws of the effects, by what comes out of a chain.

mod compressor;
mod equaliser;
mod limiter;
mod loudness;
mod reverb;

use std::f64::consts::PI;

use crate::dsp::chain::{Chain, Reading};
use crate::dsp::effect::Effect;

fn sine(frequency_hz: f64, level_db: f64, sample_rate: u32, frames: usize) -> Vec<f32> {
    let angle = 2.0 * PI * frequency_hz / f64::from(sample_rate);
    let level = 10_f64.powf(level_db / 20.0);
    (0..frames).map(|n| (level * (angle * n as f64).sin()) as f32).collect()
}

/// Even noise from −1 to 1, always the same.
fn noise(frames: usize) -> Vec<f32> {
    let mut state = 1_u32;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (f64::from(state) / f64::from(u32::MAX) * 2.0 - 1.0) as f32
    };
    (0..frames).map(next).collect()
}

fn db(ratio: f64) -> f64 {
    20.0 * ratio.log10()
}

fn rms(samples: &[f32]) -> f64 {
    (samples.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>() / samples.len() as f64).sqrt()
}

fn peak(samples: &[f32]) -> f64 {
    samples.iter().fold(0.0, |peak, x| peak.max(f64::from(x.abs())))
}

fn through(effects: &[Effect], sample_rate: u32, channels: u16, samples: &[f32]) -> Vec<f32> {
    let mut chain = Chain::new(effects, sample_rate, channels);
    let mut out = samples.to_vec();
    chain.process(&mut out);
    chain.finish(&mut out);
    out
}

/// What the only effect of a chain does now.
fn reading(chain: &Chain) -> f64 {
    match chain.readings().next() {
        Some((_, Reading::Reduction(db) | Reading::Gain(db))) => db,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_effect_bears_every_shape_of_sound_and_any_settings() {
    let all = Effect::kinds();
    let extremes = all.iter().flat_map(|effect| {
        let (mut least, mut most) = (*effect, *effect);
        for (parameter, _) in effect.parameters() {
            least.set(parameter.name, parameter.least);
            most.set(parameter.name, parameter.most);
        }
        [vec![least], vec![most]]
    });
    for effects in extremes.chain([all.clone()]) {
        for (sample_rate, channels) in [(8_000, 1), (48_000, 2), (192_000, 1), (48_000, 3), (48_000, 8)] {
            let frames = 3_000;
            let square =
                (0..frames * usize::from(channels)).map(|n| if n / 50 % 2 == 0 { 1.0 } else { -1.0 });
            let out = through(&effects, sample_rate, channels, &square.collect::<Vec<f32>>());
            assert_eq!(out.len(), frames * usize::from(channels));
            assert!(out.iter().all(|x| x.is_finite()), "{effects:?} {sample_rate} {channels}");
            let silence = vec![0.0; frames * usize::from(channels)];
            assert_eq!(through(&effects, sample_rate, channels, &silence), silence, "{effects:?}");
        }
    }
}

#[test]
fn what_fades_ends_in_silence_and_not_in_denormal_numbers() {
    for effect in Effect::kinds() {
        let mut effect = effect;
        // A small room fades soon enough for a test.
        effect.set("room_size", 0.0);
        let mut chain = Chain::new(&[effect], 8_000, 2);
        let mut sound = noise(4_000);
        chain.process(&mut sound);
        let mut silence = vec![0.0; 8_000 * 2 * 10];
        chain.process(&mut silence);
        assert!(!silence.iter().any(|x| x.is_subnormal()), "{effect:?}");
        assert_eq!(silence[silence.len() - 100..], [0.0; 100], "{effect:?}");
    }
}

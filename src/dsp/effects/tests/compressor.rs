use super::*;
use crate::dsp::effect::Compressor;

const RATE: u32 = 48_000;

fn chain(settings: Compressor) -> Chain {
    Chain::new(&[Effect::Compressor(settings)], RATE, 1)
}

fn curve_db(settings: &Compressor, input_db: f64) -> f64 {
    let Compressor { threshold_db, ratio, knee_db, makeup_db, .. } = *settings;
    let above = input_db - threshold_db;
    let output = if 2.0 * above.abs() < knee_db {
        input_db + (1.0 / ratio - 1.0) * (above + knee_db / 2.0).powi(2) / (2.0 * knee_db)
    } else {
        input_db + (1.0 / ratio - 1.0) * above.max(0.0)
    };
    output + makeup_db
}

#[test]
fn tones_follow_the_static_curve_within_a_tenth_of_a_db() {
    let settings = [
        Compressor::default(),
        Compressor { knee_db: 0.0, ratio: 2.0, ..Compressor::default() },
        Compressor {
            threshold_db: -30.0,
            knee_db: 12.0,
            ratio: 20.0,
            makeup_db: 5.0,
            ..Compressor::default()
        },
    ];
    for settings in settings {
        for input_db in (-60..=0).step_by(3).map(f64::from) {
            for frequency_hz in [200.0, 1_000.0, 7_000.0] {
                let out = through(
                    &[Effect::Compressor(settings)],
                    RATE,
                    1,
                    &sine(frequency_hz, input_db, RATE, 24_000),
                );
                // The gain stands still by now: what the tone has become is told by its power.
                let measured = db(rms(&out[14_400..]) * 2_f64.sqrt());
                let expected = curve_db(&settings, input_db);
                assert!(
                    (measured - expected).abs() < 0.1,
                    "{settings:?}, {frequency_hz} Hz at {input_db} dB: {measured}, not {expected}"
                );
            }
        }
    }
}

/// Frames until the reduction has come 63 % of the way to where it ends.
fn frames_to_63_percent(chain: &mut Chain, samples: &[f32]) -> f64 {
    let from = reading(chain);
    let trace: Vec<f64> = samples
        .iter()
        .map(|sample| {
            chain.process(&mut vec![*sample]);
            reading(chain)
        })
        .collect();
    let part = 1.0 - (-1.0_f64).exp();
    let to = trace[trace.len() - 1];
    let reached = trace.iter().position(|now| (now - from) / (to - from) >= part);
    reached.expect("it gets there") as f64 + 1.0
}

#[test]
fn attack_and_release_take_their_time_within_a_tenth() {
    for (attack_ms, release_ms) in [(5.0, 100.0), (1.0, 50.0), (30.0, 400.0), (0.1, 1000.0), (100.0, 10.0)] {
        let mut chain = chain(Compressor { attack_ms, release_ms, ..Compressor::default() });
        let frames = |ms: f64| (ms * 48.0 * 12.0) as usize + 4_800;
        chain.process(&mut sine(1_000.0, -40.0, RATE, 4_800));
        // Constant levels: a tone itself needs a quarter of its period to show how loud it is.
        let attack = frames_to_63_percent(&mut chain, &vec![0.7; frames(attack_ms)]) / 48.0;
        assert!((attack / attack_ms - 1.0).abs() < 0.1 || attack < 0.13, "{attack} ms, not {attack_ms}");
        let release = frames_to_63_percent(&mut chain, &vec![0.01; frames(release_ms)]) / 48.0;
        assert!((release / release_ms - 1.0).abs() < 0.1, "{release} ms, not {release_ms}");
    }
}

#[test]
fn channels_are_lowered_together() {
    let left = sine(1_000.0, -2.0, RATE, 24_000);
    let both: Vec<f32> = left.iter().flat_map(|sample| [*sample, sample / 100.0]).collect();
    let out = through(&[Effect::Compressor(Compressor::default())], RATE, 2, &both);
    for (out, sent) in out.chunks_exact(2).zip(both.chunks_exact(2)).skip(20_000) {
        assert!((out[0] - out[1] * 100.0).abs() < 1e-4, "{out:?} {sent:?}");
        assert!(out[0].abs() <= sent[0].abs() * 0.3 + 1e-6, "18 dB over at a ratio of 4");
    }
}

#[test]
fn a_peak_among_soft_samples_is_lowered_and_they_are_not() {
    let settings = Compressor {
        threshold_db: -20.0,
        ratio: 4.0,
        attack_ms: 5.0,
        release_ms: 100.0,
        ..Compressor::default()
    };
    let mut samples = vec![0.1; 1000];
    samples[500] = 0.8;
    let out = through(&[Effect::Compressor(settings)], 44_100, 1, &samples);
    assert!(out[500] < 0.8);
    let mean = out.iter().sum::<f32>() / out.len() as f32;
    assert!((mean - 0.1).abs() < 0.05, "{mean}");
}

#[test]
fn other_settings_are_gone_over_to_without_a_jump() {
    let tone = sine(1_000.0, -6.0, RATE, 24_000);
    let mut chain = chain(Compressor::default());
    let mut out = tone.clone();
    chain.process(&mut out);
    let next = Compressor { threshold_db: -40.0, makeup_db: 6.0, release_ms: 300.0, ..Compressor::default() };
    chain.change(Chain::new(&[Effect::Compressor(next)], RATE, 1));
    let mut after = tone.clone();
    chain.process(&mut after);
    out.extend(after);
    let step = |x: &[f32]| x.windows(3).map(|x| (x[2] - 2.0 * x[1] + x[0]).abs()).fold(0.0, f32::max);
    assert!(step(&out[23_000..26_000]) < 1.5 * step(&tone), "{}", step(&out[23_000..26_000]));
    let expected = curve_db(&next, -6.0);
    assert!((db(peak(&out[40_000..])) - expected).abs() < 0.1);
}

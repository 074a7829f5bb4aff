use super::*;
use crate::dsp::effect::Loudness;

/// A tone of 997 Hz in both channels: as many LUFS as its peak has dB of full scale (EBU Tech 3341).
fn tone(lufs: f64, sample_rate: u32, seconds: f64) -> Vec<f32> {
    let frames = (seconds * f64::from(sample_rate)) as usize;
    sine(997.0, lufs, sample_rate, frames).iter().flat_map(|x| [*x, *x]).collect()
}

fn chain(settings: Loudness, sample_rate: u32) -> Chain {
    Chain::new(&[Effect::Loudness(settings)], sample_rate, 2)
}

fn gain_after(chain: &mut Chain, mut samples: Vec<f32>) -> f64 {
    chain.process(&mut samples);
    reading(chain)
}

#[test]
fn any_loudness_is_brought_to_the_target() {
    for sample_rate in [44_100, 48_000, 96_000] {
        for (lufs, target_lufs) in [(-23.0, -16.0), (-33.0, -23.0), (-6.0, -16.0), (-16.0, -16.0)] {
            let mut chain = chain(Loudness { target_lufs, ..Loudness::default() }, sample_rate);
            let mut samples = tone(lufs, sample_rate, 12.0);
            chain.process(&mut samples);
            let gain = reading(&chain);
            assert!((gain - (target_lufs - lufs)).abs() < 0.1, "{sample_rate}: {lufs} by {gain} dB");
            let level = db(rms(&samples[samples.len() - 20_000..]) * 2_f64.sqrt());
            assert!((level - target_lufs).abs() < 0.1, "{sample_rate}: {level} LUFS");
        }
    }
}

#[test]
fn a_shorter_window_follows_faster() {
    let gain = |window_ms| {
        let mut chain = chain(Loudness { window_ms, ..Loudness::default() }, 48_000);
        gain_after(&mut chain, tone(-26.0, 48_000, 1.4))
    };
    // 63 % of 10 dB in the window's length after the first block.
    assert!((gain(1_000.0) - 6.3).abs() < 0.5, "{}", gain(1_000.0));
    assert!(gain(400.0) > 9.0 && gain(10_000.0) < 1.2);
}

#[test]
fn pauses_do_not_count() {
    let mut chain = chain(Loudness::default(), 48_000);
    let gain = gain_after(&mut chain, tone(-20.0, 48_000, 12.0));
    for (what, samples) in [
        ("digital silence", vec![0.0; 96_000 * 20]),
        ("a floor below -70 LUFS", tone(-75.0, 48_000, 20.0)),
        ("a breath", tone(-40.0, 48_000, 4.0)),
    ] {
        let after = gain_after(&mut chain, samples);
        // Three blocks have both in them and still count, in a window of seven.
        assert!((after - gain).abs() < 1.5, "{what}: {gain} became {after}");
        let back = gain_after(&mut chain, tone(-20.0, 48_000, 10.0));
        assert!((back - gain).abs() < 0.1, "{what}: {back}");
    }
    // What stays softer is the programme now.
    let later = gain_after(&mut chain, tone(-35.0, 48_000, 40.0));
    assert!((later - 19.0).abs() < 0.2, "{later}");
}

#[test]
fn it_makes_nothing_louder_than_allowed() {
    let mut chain = chain(Loudness { max_gain_db: 6.0, ..Loudness::default() }, 48_000);
    let gain = gain_after(&mut chain, tone(-40.0, 48_000, 20.0));
    assert!((gain - 6.0).abs() < 0.01, "{gain}");
}

#[test]
fn the_gain_moves_without_steps() {
    let mut chain = chain(Loudness { window_ms: 400.0, ..Loudness::default() }, 48_000);
    // A constant in one channel shows the gain itself.
    let mut samples: Vec<f32> = tone(-36.0, 48_000, 6.0).chunks_exact(2).flat_map(|x| [x[0], 1e-4]).collect();
    chain.process(&mut samples);
    let gains: Vec<f32> = samples.chunks_exact(2).map(|frame| frame[1] / 1e-4).collect();
    let step = gains.windows(2).map(|pair| (pair[1] / pair[0] - 1.0).abs()).fold(0.0, f32::max);
    assert!(step < 0.001, "{step}");
    assert!(gains[gains.len() - 1] > 5.0);
}

#[test]
fn what_was_learnt_is_kept_when_another_effect_is_put_beside_it() {
    let mut chain = chain(Loudness::default(), 48_000);
    let gain = gain_after(&mut chain, tone(-26.0, 48_000, 12.0));
    let effects =
        [Effect::Gain(crate::dsp::effect::Gain { gain_db: 0.0 }), Effect::Loudness(Loudness::default())];
    chain.change(Chain::new(&effects, 48_000, 2));
    let mut samples = tone(-26.0, 48_000, 1.0);
    chain.process(&mut samples);
    for part in samples.chunks_exact(960) {
        let level = db(rms(part) * 2_f64.sqrt());
        assert!((level - (gain - 26.0)).abs() < 0.3, "{level}");
    }
}

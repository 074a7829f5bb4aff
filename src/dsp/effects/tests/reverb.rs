use super::*;
use crate::dsp::effect::{HighPass, LowPass, Reverb};
use crate::dsp::effects::reverb::decay_s;

const RATE: u32 = 48_000;

/// The room alone, struck once.
fn struck(settings: Reverb, filter: &[Effect]) -> Vec<f32> {
    let mut effects = vec![Effect::Reverb(Reverb { wet: 1.0, dry: 0.0, ..settings })];
    effects.extend_from_slice(filter);
    let mut impulse = vec![0.0; (decay_s(settings.room_size) * f64::from(RATE) * 1.2) as usize];
    impulse[0] = 1.0;
    through(&effects, RATE, 1, &impulse)
}

/// Time of a decay by 60 dB, from the slope between −5 and −35 dB of the energy that is yet to come
/// (M. R. Schroeder, "New method of measuring reverberation time", 1965; ISO 3382-1: T30).
fn decay(response: &[f32]) -> f64 {
    let mut left: Vec<f64> = response
        .iter()
        .rev()
        .scan(0.0, |sum, x| {
            *sum += f64::from(*x).powi(2);
            Some(*sum)
        })
        .collect();
    left.reverse();
    let at =
        |level_db: f64| left.iter().position(|e| 10.0 * (e / left[0]).log10() < level_db).expect("it fades");
    (at(-35.0) - at(-5.0)) as f64 / f64::from(RATE) * 2.0
}

#[test]
fn it_decays_in_the_time_of_its_size() {
    for room_size in [0.0, 0.3, 0.6, 1.0] {
        let measured = decay(&struck(Reverb { room_size, damping: 0.0, ..Reverb::default() }, &[]));
        let expected = decay_s(room_size);
        assert!((measured / expected - 1.0).abs() < 0.05, "{room_size}: {measured} s, not {expected}");
    }
    assert!((decay_s(0.0) - 0.25).abs() < 1e-9 && (decay_s(1.0) - 8.0).abs() < 1e-9);
}

#[test]
fn damping_takes_the_high_frequencies_first() {
    let settings = Reverb { room_size: 0.5, damping: 0.7, ..Reverb::default() };
    let low = Effect::LowPass(LowPass { frequency_hz: 250.0, q: 0.707 });
    let high = Effect::HighPass(HighPass { frequency_hz: 12_000.0, q: 0.707 });
    let low_s = decay(&struck(settings, &[low, low]));
    let high_s = decay(&struck(settings, &[high, high]));
    assert!((low_s / decay_s(0.5) - 1.0).abs() < 0.1, "{low_s} s, not {}", decay_s(0.5));
    assert!(high_s < 0.6 * low_s, "{high_s} s, {low_s} s");
}

#[test]
fn a_room_is_about_as_loud_as_the_sound_in_it() {
    for room_size in [0.0, 0.5, 1.0] {
        for damping in [0.0, 0.5, 1.0] {
            let effect = Effect::Reverb(Reverb { room_size, damping, wet: 1.0, dry: 0.0 });
            let sent = noise(2 * RATE as usize * 12);
            let out = through(&[effect], RATE, 2, &sent);
            let louder = db(rms(&out[RATE as usize * 16..]) / rms(&sent));
            assert!(louder.abs() < 3.0, "size {room_size}, damping {damping}: {louder} dB");
        }
    }
}

#[test]
fn the_dry_sound_stands_beside_it_and_the_sides_differ() {
    let dry = Effect::Reverb(Reverb { wet: 0.0, dry: 1.0, ..Reverb::default() });
    let sent = noise(20_000);
    assert_eq!(through(&[dry], RATE, 2, &sent), sent);
    let wet = Effect::Reverb(Reverb { wet: 1.0, dry: 0.0, ..Reverb::default() });
    let mono: Vec<f32> = noise(48_000).iter().flat_map(|x| [*x, *x]).collect();
    let out = through(&[wet], RATE, 2, &mono);
    let sum = |f: fn(f32, f32) -> f32| out.chunks_exact(2).map(|x| f64::from(f(x[0], x[1]))).sum::<f64>();
    let alike = sum(|l, r| l * r) / (sum(|l, _| l * l) * sum(|_, r| r * r)).sqrt();
    assert!(alike.abs() < 0.3, "the room has a width: {alike}");
}

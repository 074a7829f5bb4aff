use super::*;
use crate::dsp::effect::{HighPass, HighShelf, LowPass, LowShelf, Notch, Peaking};

type Complex = (f64, f64);

fn times(x: Complex, y: Complex) -> Complex {
    (x.0 * y.0 - x.1 * y.1, x.0 * y.1 + x.1 * y.0)
}

/// `c2 s² + c1 s + c0` on the imaginary axis.
fn polynomial(c: [f64; 3], omega: f64) -> Complex {
    (c[0] - c[2] * omega * omega, c[1] * omega)
}

/// The response of the analogue prototype at the frequency that the bilinear transform takes to this one.
fn analytic_db(effect: &Effect, frequency_hz: f64, sample_rate: f64) -> f64 {
    let omega = |middle: f64| (PI * frequency_hz / sample_rate).tan() / (PI * middle / sample_rate).tan();
    let (above, below, omega) = match effect {
        Effect::HighPass(b) => ([0.0, 0.0, 1.0], [1.0, 1.0 / b.q, 1.0], omega(b.frequency_hz)),
        Effect::LowPass(b) => ([1.0, 0.0, 0.0], [1.0, 1.0 / b.q, 1.0], omega(b.frequency_hz)),
        Effect::Notch(b) => ([1.0, 0.0, 1.0], [1.0, 1.0 / b.q, 1.0], omega(b.frequency_hz)),
        Effect::Peaking(b) => {
            let a = 10_f64.powf(b.gain_db / 40.0);
            ([1.0, a / b.q, 1.0], [1.0, 1.0 / (a * b.q), 1.0], omega(b.frequency_hz))
        }
        Effect::LowShelf(b) => {
            let a = 10_f64.powf(b.gain_db / 40.0);
            let slope = a.sqrt() / b.q;
            ([a * a, a * slope, a], [1.0, slope, a], omega(b.frequency_hz))
        }
        Effect::HighShelf(b) => {
            let a = 10_f64.powf(b.gain_db / 40.0);
            let slope = a.sqrt() / b.q;
            ([a, a * slope, a * a], [a, slope, 1.0], omega(b.frequency_hz))
        }
        other => panic!("{other:?} is no band"),
    };
    let magnitude = |c| polynomial(c, omega).0.hypot(polynomial(c, omega).1);
    db(magnitude(above) / magnitude(below))
}

/// Response of a chain at a frequency, by its impulse response.
fn response_db(effects: &[Effect], sample_rate: u32, frequencies: &[f64]) -> Vec<f64> {
    let mut impulse = vec![0.0; sample_rate as usize * 2];
    impulse[0] = 1.0;
    let response = through(effects, sample_rate, 1, &impulse);
    let at = |frequency: &f64| {
        let angle = 2.0 * PI * frequency / f64::from(sample_rate);
        let step = (angle.cos(), -angle.sin());
        let mut turn = (1.0, 0.0);
        let mut sum = (0.0, 0.0);
        for x in &response {
            sum = (sum.0 + turn.0 * f64::from(*x), sum.1 + turn.1 * f64::from(*x));
            turn = times(turn, step);
        }
        db(sum.0.hypot(sum.1))
    };
    frequencies.iter().map(at).collect()
}

fn bands() -> Vec<Effect> {
    let mut bands = Vec::new();
    for frequency_hz in [40.0, 997.0, 9_000.0] {
        for q in [0.3, 0.707, 4.0] {
            bands.push(Effect::HighPass(HighPass { frequency_hz, q }));
            bands.push(Effect::LowPass(LowPass { frequency_hz, q }));
            bands.push(Effect::Notch(Notch { frequency_hz, q }));
            for gain_db in [-18.0, 0.5, 12.0] {
                bands.push(Effect::Peaking(Peaking { frequency_hz, gain_db, q }));
                bands.push(Effect::LowShelf(LowShelf { frequency_hz, gain_db, q }));
                bands.push(Effect::HighShelf(HighShelf { frequency_hz, gain_db, q }));
            }
        }
    }
    bands
}

#[test]
fn every_band_is_within_a_tenth_of_a_db_of_its_formula() {
    for sample_rate in [22_050_u32, 48_000] {
        let rate = f64::from(sample_rate);
        let frequencies: Vec<f64> =
            (0..24).map(|n| 20.0 * 1.32_f64.powi(n)).filter(|hz| *hz < 0.49 * rate).collect();
        for band in bands() {
            let measured = response_db(&[band], sample_rate, &frequencies);
            for (frequency, measured) in frequencies.iter().zip(measured) {
                let expected = analytic_db(&band, *frequency, rate);
                // Deeper than this, single precision at the output is all that is left.
                if expected > -80.0 {
                    assert!(
                        (measured - expected).abs() < 0.1,
                        "{band:?} at {frequency} Hz of {rate}: {measured} dB, not {expected}"
                    );
                }
            }
        }
    }
}

#[test]
fn ten_bands_in_a_row_are_the_sum_of_their_formulas() {
    let ten: Vec<Effect> =
        bands().into_iter().filter(|band| matches!(band, Effect::Peaking(_))).take(10).collect();
    let frequencies = [30.0, 100.0, 950.0, 5_000.0, 15_000.0];
    for (frequency, measured) in frequencies.iter().zip(response_db(&ten, 48_000, &frequencies)) {
        let expected: f64 = ten.iter().map(|band| analytic_db(band, *frequency, 48_000.0)).sum();
        assert!((measured - expected).abs() < 0.1, "{frequency} Hz: {measured} dB, not {expected}");
    }
}

#[test]
fn channels_do_not_hear_each_other() {
    let effects: Vec<Effect> = bands().into_iter().step_by(9).collect();
    for channels in [2, 3, 5] {
        let lines: Vec<Vec<f32>> =
            (0..channels).map(|n| sine(300.0 * f64::from(n + 1), -6.0, 48_000, 900)).collect();
        let frames = (0..900).flat_map(|n| lines.iter().map(move |line| line[n]));
        let out = through(&effects, 48_000, channels, &frames.collect::<Vec<f32>>());
        for (channel, line) in lines.iter().enumerate() {
            let alone = through(&effects, 48_000, 1, line);
            let heard: Vec<f32> = out.iter().skip(channel).step_by(channels.into()).copied().collect();
            assert_eq!(heard, alone);
        }
    }
}

use super::*;
use crate::dsp::effect::Limiter;

/// True peak by a finer and longer interpolation than the limiter's own: 16 points for each sample, 128
/// samples around each, Kaiser-windowed.
fn true_peak(samples: &[f32]) -> f64 {
    const REACH: i64 = 64;
    const POINTS: i64 = 16;
    let taps: Vec<Vec<f64>> = (0..POINTS)
        .map(|point| {
            let offset = |k: i64| (k - REACH + 1) as f64 - point as f64 / POINTS as f64;
            let taps = (0..2 * REACH).map(|k| {
                crate::dsp::kaiser::sinc(offset(k))
                    * crate::dsp::kaiser::kaiser(offset(k) / REACH as f64, 9.0)
            });
            taps.collect()
        })
        .collect();
    let mut padded = vec![0.0; REACH as usize];
    padded.extend_from_slice(samples);
    padded.extend(vec![0.0; REACH as usize]);
    let points = padded.windows(2 * REACH as usize).flat_map(|around| {
        taps.iter().map(move |taps| -> f64 {
            around.iter().zip(taps).map(|(x, tap)| f64::from(*x) * tap).sum::<f64>().abs()
        })
    });
    points.fold(0.0, f64::max)
}

/// True peak as ITU-R BS.1770-4 measures it: four points for each sample, by the filter in its annex 2.
fn standard_true_peak(samples: &[f32]) -> f64 {
    const OUTER: [f64; 12] = [
        0.001_708_984_375,
        0.010_986_328_125,
        -0.019_653_320_312_5,
        0.033_203_125,
        -0.059_448_242_187_5,
        0.137_329_101_562_5,
        0.972_167_968_75,
        -0.102_294_921_875,
        0.047_607_421_875,
        -0.026_611_328_125,
        0.014_892_578_125,
        -0.008_300_781_25,
    ];
    const INNER: [f64; 12] = [
        -0.029_174_804_687_5,
        0.029_296_875,
        -0.051_757_812_5,
        0.089_111_328_125,
        -0.166_503_906_25,
        0.465_087_890_625,
        0.779_785_156_25,
        -0.200_317_382_812_5,
        0.101_562_5,
        -0.058_227_539_062_5,
        0.033_081_054_687_5,
        -0.018_920_898_437_5,
    ];
    let mut padded = vec![0.0; 12];
    padded.extend_from_slice(samples);
    padded.extend([0.0; 12]);
    let (mut outer, mut inner) = (OUTER, INNER);
    outer.reverse();
    inner.reverse();
    let points = padded.windows(12).flat_map(|around| {
        [OUTER, INNER, inner, outer].map(|taps| -> f64 {
            around.iter().zip(taps).map(|(x, tap)| f64::from(*x) * tap).sum::<f64>().abs()
        })
    });
    points.fold(0.0, f64::max)
}

/// What is hard: peaks between samples, sudden ones, and ones that hide from a coarse look.
fn adversaries() -> Vec<(String, Vec<f32>)> {
    let mut all = Vec::new();
    let mut add = |name: String, samples: Vec<f32>| all.push((name, samples));
    // Samples at ±0.707 of the peak that lies between them.
    let quarter = (0..4_000).map(|n| 2.0 * (PI / 2.0 * f64::from(n) + PI / 4.0).sin() as f32);
    add("a quarter of the rate".to_owned(), quarter.collect());
    for part in [0.01, 0.123, 0.249, 0.31, 0.37, 0.41, 0.45, 0.48] {
        for phase in [0.0, 0.3, 0.77] {
            let wave = (0..4_000).map(|n| 3.0 * (2.0 * PI * part * f64::from(n) + phase).sin() as f32);
            add(format!("a tone at {part} of the rate"), wave.collect());
        }
    }
    for half in [1, 2, 3, 5, 50, 333] {
        let wave = (0..4_000).map(|n| if n / half % 2 == 0 { 1.5 } else { -1.5 });
        add(format!("a square wave, {half} samples each way"), wave.collect());
    }
    add("noise".to_owned(), noise(8_000).iter().map(|x| 4.0 * x).collect());
    add("noise of two values".to_owned(), noise(8_000).iter().map(|x| 2.0 * x.signum()).collect());
    let mut bursts = vec![0.0_f32; 6_000];
    for start in [500, 1_700, 3_333] {
        // The worst for an interpolator: every sample pushes the point in the middle the same way.
        for n in -20_i32..20 {
            let sign = if (f64::from(n) + 0.5).cos().is_sign_positive() == (n % 2 == 0) { 1.0 } else { -1.0 };
            bursts[usize::try_from(start + n).expect("inside")] = sign
                * if (PI * (f64::from(n) + 0.5)).sin() / (f64::from(n) + 0.5) > 0.0 { 1.0 } else { -1.0 };
        }
    }
    for n in -24_i32..24 {
        let x = f64::from(n) + 0.5;
        bursts[usize::try_from(5_000 + n).expect("inside")] = ((PI * x).sin() / (PI * x)).signum() as f32;
    }
    add("bursts that add up between samples".to_owned(), bursts);
    let mut clicks = vec![0.1_f32; 6_000];
    for (at, level) in
        [(1_000, 8.0), (1_001, -8.0), (2_500, 30.0), (2_600, -0.95), (4_000, 0.99), (4_001, 0.99)]
    {
        clicks[at] = level;
    }
    add("clicks".to_owned(), clicks);
    all
}

/// Sound with much at the very end of the band.
const ENDS_OF_THE_BAND: [&str; 6] = ["0.48", "noise", "wave, 1 ", "wave, 2 ", "wave, 3 ", "wave, 5 "];

#[test]
fn no_true_peak_is_above_the_ceiling() {
    let settings = [
        Limiter::default(),
        Limiter { ceiling_dbtp: -6.0, lookahead_ms: 2.0, release_ms: 5.0 },
        Limiter { ceiling_dbtp: 0.0, lookahead_ms: 20.0, release_ms: 500.0 },
    ];
    let mut above = Vec::new();
    for settings in settings {
        for (name, samples) in adversaries() {
            let out = through(&[Effect::Limiter(settings)], 48_000, 1, &samples);
            let over_db = db(standard_true_peak(&out)) - settings.ceiling_dbtp;
            let finer_db = db(true_peak(&out)) - settings.ceiling_dbtp;
            // Between 0.46 and half of the rate the standard's measure is blind, and the limiter not exact.
            let most_db = match name.as_str() {
                "bursts that add up between samples" => 2.0,
                name if ENDS_OF_THE_BAND.iter().any(|end| name.contains(end)) => 1.0,
                _ => 0.0,
            };
            if over_db > 0.0 || finer_db > most_db {
                above.push(format!("{name}: {over_db:.3} dB, finer {finer_db:.3} dB above {settings:?}"));
            }
        }
    }
    assert!(above.is_empty(), "{}", above.join("\n"));
}

#[test]
fn steady_tones_reach_the_ceiling_and_keep_their_shape() {
    for frequency_hz in [100.0, 1_000.0, 5_000.0] {
        let tone = sine(frequency_hz, 6.0, 48_000, 48_000);
        let out = through(&[Effect::Limiter(Limiter::default())], 48_000, 1, &tone);
        let level = db(rms(&out[24_000..]) * 2_f64.sqrt());
        assert!((-1.4..=-1.0).contains(&level), "{frequency_hz} Hz: {level}");
    }
}

#[test]
fn what_is_below_the_ceiling_is_not_touched_and_what_was_limited_recovers() {
    let soft = sine(1_000.0, -3.0, 48_000, 96_000);
    let mut samples = soft.clone();
    samples[5_000] = 4.0;
    let out = through(&[Effect::Limiter(Limiter::default())], 48_000, 1, &samples);
    assert_eq!(out[..4_700], soft[..4_700]);
    assert!(out[5_000] < 0.9);
    assert_eq!(out[60_000..], soft[60_000..], "bit for bit");
}

#[test]
fn channels_are_lowered_together() {
    let both: Vec<f32> = sine(1_000.0, 6.0, 48_000, 9_600).iter().flat_map(|x| [x / 10.0, *x]).collect();
    let out = through(&[Effect::Limiter(Limiter::default())], 48_000, 2, &both);
    assert!(out.chunks_exact(2).all(|frame| (frame[1] - 10.0 * frame[0]).abs() < 1e-5));
}

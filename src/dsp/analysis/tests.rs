//! The analyzer as a whole, on sound.

use super::*;
use std::f64::consts::TAU;

const RATE: u32 = 48_000;

/// Both channels at a time in seconds.
type Stereo<'a> = &'a dyn Fn(f64) -> [f64; 2];

/// Plays stereo through an analyzer in uneven pieces: the last report.
fn hear(seconds: f64, sound: impl Fn(f64) -> [f64; 2]) -> Report {
    let mut analyzer = Analyzer::new(Settings::default(), RATE);
    play(&mut analyzer, seconds, sound)
}

fn play(analyzer: &mut Analyzer, seconds: f64, sound: impl Fn(f64) -> [f64; 2]) -> Report {
    let frames = (seconds * f64::from(RATE)) as u32;
    let samples: Vec<f32> =
        (0..frames).flat_map(|n| sound(f64::from(n) / f64::from(RATE)).map(|sample| sample as f32)).collect();
    let mut last = Report::default();
    for piece in samples.chunks(2 * 333) {
        analyzer.sound(piece, 2, |report| last = report.clone());
    }
    last
}

fn sine(hz: f64, amplitude: f64) -> impl Fn(f64) -> f64 {
    move |t| amplitude * (TAU * hz * t).sin()
}

fn standing(report: &Report) -> Vec<&'static str> {
    report.conditions.standing().map(|(condition, _)| condition.as_str()).collect()
}

/// The acceptance test of the founding documents.
#[test]
fn test_quality_analysis() {
    let buffer: Vec<f32> = (0..1024)
        .map(|i| {
            let t = i as f32 / 1024.0;
            (2.0 * std::f32::consts::PI * 440.0 * t).sin() * 0.5
        })
        .collect();
    let mut analyzer = Analyzer::new(Settings::default(), 8000);
    let mut report = Report::default();
    analyzer.sound(&buffer, 1, |metrics| report = metrics.clone());
    assert_eq!(report.intervals, 1);
    assert!(report.levels[0].rms > 0.0);
    assert!(report.levels[0].peak <= 0.5);
    assert!(!report.conditions.of(Condition::Silence).is_on);
    assert!(!report.conditions.of(Condition::Clipping).is_on);
    assert!(!report.spectrum.is_empty());
}

#[test]
fn a_clean_tone_is_measured_and_nothing_is_wrong_with_it() {
    let tone = sine(1000.0, 0.1);
    let report = hear(6.0, |t| [tone(t), tone(t)]);
    assert_eq!(standing(&report), Vec::<&str>::new());
    for level in &report.levels {
        assert!((level.rms_dbfs().expect("sound") + 23.01).abs() < 0.01);
        assert!((level.peak_dbfs().expect("sound") + 20.0).abs() < 0.01);
        assert!((level.true_peak_dbtp().expect("sound") + 20.0).abs() < 0.1);
    }
    assert!((report.loudness.integrated.expect("sound") + 20.0).abs() < 0.1);
    assert!(report.loudness.range.expect("sound") < 0.1);
    assert!((report.correlation.expect("sound") - 1.0).abs() < 1e-3);
    assert!(report.dynamic_range_db.expect("sound") < 0.1);
    assert!(report.signal_to_noise_db.expect("sound") > 55.0);
    let loudest =
        (0..report.spectrum.len()).max_by(|a, b| report.spectrum[*a].total_cmp(&report.spectrum[*b]));
    assert!((loudest.expect("bins") as f64 * report.bin_hz - 1000.0).abs() < report.bin_hz);
    assert_eq!(report.column.len(), report.band_hz.len());
    assert_eq!(report.intervals, 60);
}

#[test]
fn each_fault_is_found_and_no_other() {
    let (tone, hum) = (sine(440.0, 0.2), sine(50.0, 0.01));
    let cases: [(&str, Stereo<'_>); 8] = [
        ("silence", &|t| [0.01 * tone(t) / 10.0, 0.0]),
        ("digital_silence", &|_| [0.0, 0.0]),
        ("dead_channel", &|t| [tone(t), 0.0]),
        ("dc_offset", &|t| [tone(t) + 0.03, tone(t)]),
        ("clipping", &|t| [(9.0 * tone(t)).clamp(-1.0, 1.0), tone(t)]),
        ("out_of_phase", &|t| [tone(t), -tone(t)]),
        ("hum", &|t| [tone(t) + hum(t), tone(t) + hum(t)]),
        ("dropout", &|t| if (9.5..9.52).contains(&t) { [0.0, 0.0] } else { [tone(t), tone(t)] }),
    ];
    for (expected, sound) in cases {
        let report = hear(10.0, sound);
        let mut found = standing(&report);
        // The edges of a hole may be a jump, too.
        found.retain(|name| expected != "dropout" || *name != "click");
        assert_eq!(found, [expected]);
    }
}

#[test]
fn another_number_of_channels_begins_anew() {
    let mut analyzer = Analyzer::new(Settings::default(), RATE);
    play(&mut analyzer, 1.0, |t| [sine(440.0, 0.5)(t); 2]);
    let mut seen = Vec::new();
    analyzer.sound(&vec![0.25; 8 * 4800], 8, |report| seen.push((report.intervals, report.levels.len())));
    assert_eq!(seen, [(1, 8)]);
}

#[test]
fn a_pause_leaves_nothing_of_what_was_heard() {
    let mut analyzer = Analyzer::new(Settings::default(), RATE);
    play(&mut analyzer, 5.05, |t| [sine(440.0, 1.0)(t); 2]);
    analyzer.forget();
    let after = play(&mut analyzer, 1.0, |_| [0.0; 2]);
    assert_eq!((after.intervals, after.loudness), (10, Loudness::default()));
    assert_eq!(after.max_true_peak, Some(0.0));
    assert!(after.spectrum.iter().all(|power| *power == 0.0));
    assert_eq!((after.signal_to_noise_db, after.dynamic_range_db, after.hum), (None, None, None));
}

#[test]
fn a_lost_source_takes_its_conditions_along_and_leaves_the_loudness() {
    let mut analyzer = Analyzer::new(Settings::default(), RATE);
    let before = play(&mut analyzer, 10.0, |t| [sine(440.0, 0.2)(t), 0.0]);
    assert_eq!(standing(&before), ["dead_channel"]);
    analyzer.lose_source();
    let after = play(&mut analyzer, 0.1, |t| [sine(440.0, 0.2)(t), 0.0]);
    assert_eq!(standing(&after), Vec::<&str>::new());
    assert_eq!((after.loudness.integrated, after.loudness.momentary), (before.loudness.integrated, None));
}

#[test]
fn parts_can_be_switched_off_while_running() {
    let mut analyzer = Analyzer::new(Settings::default(), RATE);
    let sound = |t: f64| [sine(440.0, 0.2)(t); 2];
    let full = play(&mut analyzer, 5.0, sound);
    let less = Settings {
        true_peak: false,
        loudness: false,
        spectrum: false,
        hum: false,
        clicks: false,
        ..Settings::default()
    };
    analyzer.apply(&less);
    let report = play(&mut analyzer, 1.0, sound);
    assert_eq!((report.loudness, report.max_true_peak), (Loudness::default(), None));
    assert!(report.spectrum.is_empty() && report.column.is_empty() && report.signal_to_noise_db.is_none());
    assert_eq!(report.levels[0].true_peak_dbtp(), None);
    assert!(report.levels[0].rms_dbfs().is_some() && report.dynamic_range_db.is_some());
    assert_eq!(report.intervals, full.intervals + 10);
    let strict = Settings { silence_rms: 0.5, silence_hold_ms: 500, ..Settings::default() };
    analyzer.apply(&strict);
    assert_eq!(standing(&play(&mut analyzer, 1.0, sound)), ["silence"]);
}

#[test]
fn any_rate_and_number_of_channels_is_measured() {
    for rate in [8000, 11_025, 22_050, 44_100, 96_000, 192_000, 384_000] {
        for channels in [1, 2, 8] {
            let mut analyzer = Analyzer::new(Settings::default(), rate);
            let sample = |n: u32| (0.1 * (TAU * 440.0 * f64::from(n) / f64::from(rate)).sin()) as f32;
            let mut last = Report::default();
            for n in 0..rate + rate / 10 {
                analyzer.sound(&vec![sample(n); channels], channels, |report| last = report.clone());
            }
            assert!(last.intervals >= 10, "{rate} Hz");
            assert!((last.levels[channels - 1].rms_dbfs().expect("sound") + 23.0).abs() < 0.1);
            assert!(last.loudness.momentary.is_some() && !last.spectrum.is_empty());
            assert_eq!(standing(&last), Vec::<&str>::new(), "{rate} Hz, {channels} channels");
        }
    }
}

#[test]
fn extremes_stay_numbers() {
    let squares = |t: f64| [if t % 0.01 < 0.005 { 1.0 } else { -1.0 }; 2];
    let impulse = |t: f64| [if t == 0.0 { 1.0 } else { 0.0 }; 2];
    let tiny = |t: f64| [sine(440.0, 1e-38)(t); 2];
    for report in [hear(4.0, squares), hear(4.0, impulse), hear(4.0, tiny), hear(4.0, |_| [0.0; 2])] {
        let loudness = report.loudness;
        let all = [loudness.momentary, loudness.short_term, loudness.integrated, loudness.range];
        let more = [report.correlation, report.dynamic_range_db, report.signal_to_noise_db];
        assert!(all.into_iter().chain(more).flatten().all(f64::is_finite), "{report:?}");
        assert!(report.spectrum.iter().chain(&report.column).all(|power| power.is_finite()));
        let levels = report.levels.iter().flat_map(|level| [level.rms_dbfs(), level.true_peak_dbtp()]);
        assert!(levels.flatten().all(f64::is_finite));
    }
}

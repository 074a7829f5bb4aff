//! Against the test signals of EBU Tech 3341 and 3342 that can be generated.

use super::*;
use std::f64::consts::TAU;

/// A sine of 1 kHz on some channels: seconds, and the level of each channel in dBFS of its peak.
type Part<'a> = (f64, &'a [f64]);

const SILENT: f64 = f64::NEG_INFINITY;

struct Bench {
    meter: LoudnessMeter,
    rate: u32,
    clock: u64,
    lines: Vec<Vec<f32>>,
}

impl Bench {
    fn new(rate: u32, channels: usize) -> Self {
        let meter = LoudnessMeter::new(rate, channels);
        Self { meter, rate, clock: 0, lines: vec![Vec::new(); channels] }
    }

    /// Plays a part; after each slice `look` sees the loudness.
    fn play(&mut self, (seconds, levels): Part<'_>, mut look: impl FnMut(f64, Loudness)) {
        let frames = (seconds * f64::from(self.rate)).round() as u64;
        for _ in 0..frames {
            let phase = TAU * 1000.0 * self.clock as f64 / f64::from(self.rate);
            for (line, dbfs) in self.lines.iter_mut().zip(levels) {
                line.push((10_f64.powf(dbfs / 20.0) * phase.sin()) as f32);
            }
            self.clock += 1;
            if self.lines[0].len() == self.rate as usize / 100 {
                self.meter.push(&self.lines);
                self.lines.iter_mut().for_each(Vec::clear);
                look(self.clock as f64 / f64::from(self.rate), self.meter.loudness());
            }
        }
    }

    fn hear(&mut self, parts: &[Part<'_>]) -> Loudness {
        parts.iter().for_each(|part| self.play(*part, |_, _| ()));
        self.meter.loudness()
    }
}

fn stereo(dbfs: f64) -> [f64; 2] {
    [dbfs, dbfs]
}

fn integrated(parts: &[(f64, f64)]) -> f64 {
    let mut bench = Bench::new(48_000, 2);
    for (seconds, dbfs) in parts {
        bench.play((*seconds, &stereo(*dbfs)), |_, _| ());
    }
    bench.meter.loudness().integrated.expect("above the gate")
}

fn assert_near(found: Option<f64>, expected: f64, tolerance: f64, what: &str) {
    let found = found.unwrap_or(SILENT);
    assert!((found - expected).abs() <= tolerance, "{what}: {found} instead of {expected}");
}

#[test]
fn tech_3341_1_and_2_steady_tones_at_any_rate() {
    for rate in [8000, 32_000, 44_100, 48_000, 96_000, 192_000] {
        for dbfs in [-23.0, -33.0] {
            let found = Bench::new(rate, 2).hear(&[(20.0, &stereo(dbfs))]);
            for (name, value) in [("M", found.momentary), ("S", found.short_term), ("I", found.integrated)] {
                assert_near(value, dbfs, 0.1, &format!("{name} at {rate} Hz"));
            }
        }
    }
}

#[test]
fn tech_3341_3_to_5_the_gates() {
    let cases: [&[(f64, f64)]; 3] = [
        &[(10.0, -36.0), (60.0, -23.0), (10.0, -36.0)],
        &[(10.0, -72.0), (10.0, -36.0), (60.0, -23.0), (10.0, -36.0), (10.0, -72.0)],
        &[(20.0, -26.0), (20.1, -20.0), (20.0, -26.0)],
    ];
    for (number, parts) in (3..).zip(cases) {
        assert_near(Some(integrated(parts)), -23.0, 0.1, &format!("signal {number}"));
    }
}

#[test]
fn tech_3341_6_five_channels() {
    let found = Bench::new(48_000, 5).hear(&[(20.0, &[-28.0, -28.0, -24.0, -30.0, -30.0])]);
    assert_near(found.integrated, -23.0, 0.1, "5.0");
    let with_lfe = Bench::new(48_000, 6).hear(&[(20.0, &[-28.0, -28.0, -24.0, 0.0, -30.0, -30.0])]);
    assert_near(with_lfe.integrated, -23.0, 0.1, "the low-frequency channel does not count");
}

#[test]
fn tech_3341_9_short_term_of_a_pattern_of_three_seconds() {
    let mut bench = Bench::new(48_000, 2);
    let look = |at: f64, loudness: Loudness| {
        if at > 3.0 {
            assert_near(loudness.short_term, -23.0, 0.1, &format!("at {at} s"));
        }
    };
    for _ in 0..5 {
        bench.play((1.34, &stereo(-20.0)), look);
        bench.play((1.66, &stereo(-30.0)), look);
    }
}

#[test]
fn tech_3341_10_and_11_the_highest_short_term_wherever_it_begins() {
    for step in 0..20 {
        let offset = f64::from(step) * 0.15;
        for dbfs in [-23.0, -38.0 + f64::from(step)] {
            let parts: [(f64, [f64; 2]); 3] =
                [(offset, stereo(SILENT)), (3.0, stereo(dbfs)), (1.0, stereo(SILENT))];
            let mut bench = Bench::new(48_000, 2);
            parts.iter().for_each(|(seconds, levels)| bench.play((*seconds, levels), |_, _| ()));
            assert_near(bench.meter.loudness().max_short_term, dbfs, 0.1, &format!("offset {offset}"));
        }
    }
}

#[test]
fn tech_3341_12_momentary_of_a_pattern_of_400_ms() {
    let mut bench = Bench::new(48_000, 2);
    let look = |at: f64, loudness: Loudness| {
        if at > 1.0 {
            assert_near(loudness.momentary, -23.0, 0.1, &format!("at {at} s"));
        }
    };
    for _ in 0..25 {
        bench.play((0.18, &stereo(-20.0)), look);
        bench.play((0.22, &stereo(-30.0)), look);
    }
}

#[test]
fn tech_3341_13_and_14_the_highest_momentary_wherever_it_begins() {
    for step in 0..20 {
        let offset = f64::from(step) * 0.02;
        for dbfs in [-23.0, -38.0 + f64::from(step)] {
            let found = Bench::new(48_000, 2).hear(&[
                (offset, &stereo(SILENT)),
                (0.4, &stereo(dbfs)),
                (1.0, &stereo(SILENT)),
            ]);
            assert_near(found.max_momentary, dbfs, 0.1, &format!("offset {offset}"));
        }
    }
}

#[test]
fn tech_3342_1_to_4_the_range() {
    let cases: [(&[f64], f64); 4] = [
        (&[-20.0, -30.0], 10.0),
        (&[-20.0, -15.0], 5.0),
        (&[-40.0, -20.0], 20.0),
        (&[-50.0, -35.0, -20.0, -35.0, -50.0], 15.0),
    ];
    for (levels, expected) in cases {
        let mut bench = Bench::new(48_000, 2);
        levels.iter().for_each(|dbfs| bench.play((20.0, &stereo(*dbfs)), |_, _| ()));
        assert_near(bench.meter.loudness().range, expected, 1.0, &format!("{levels:?}"));
    }
}

#[test]
fn silence_has_no_loudness_and_a_hole_empties_the_windows_only() {
    let mut bench = Bench::new(48_000, 2);
    assert_eq!(bench.hear(&[(5.0, &stereo(SILENT))]), Loudness::default());
    let before = bench.hear(&[(5.0, &stereo(-23.0))]);
    bench.meter.interrupt();
    let after = bench.meter.loudness();
    assert_eq!((after.momentary, after.short_term), (None, None));
    assert_eq!((after.integrated, after.range), (before.integrated, before.range));
}

#[test]
fn mono_counts_once() {
    let found = Bench::new(48_000, 1).hear(&[(5.0, &[-20.0])]);
    assert_near(found.integrated, -23.0, 0.1, "one channel of two");
}

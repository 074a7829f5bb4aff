//! Each detector with its thresholds, times and hysteresis, on levels made up.

use super::*;
use crate::dsp::analysis::glitch::Glitches;

fn level(rms: f64) -> Level {
    Level { rms, peak: rms as f32, ..Level::default() }
}

const DEAD: Level =
    Level { rms: 0.0, peak: 0.0, true_peak: None, offset: 0.0, is_constant: true, clipped: 0 };

struct Bench {
    detectors: Detectors,
    settings: Settings,
}

impl Bench {
    fn new(channels: usize) -> Self {
        Self { detectors: Detectors::new(channels), settings: Settings::default() }
    }

    /// The same evidence for so many milliseconds: whether the condition holds then.
    fn hear(&mut self, ms: u32, evidence: &Evidence<'_>, condition: Condition) -> Standing {
        (0..ms / 100).for_each(|_| self.detectors.judge(evidence, &self.settings));
        self.detectors.conditions().of(condition)
    }

    fn levels(&mut self, ms: u32, levels: &[Level], condition: Condition) -> Standing {
        self.hear(ms, &Evidence { levels, correlation: None, glitches: &[], hum_rms: None }, condition)
    }
}

#[test]
fn silence_is_a_low_level_for_a_time() {
    let mut bench = Bench::new(2);
    let quiet = [level(0.0009), level(0.0002)];
    assert!(!bench.levels(1900, &quiet, Condition::Silence).is_on);
    assert!(bench.levels(100, &quiet, Condition::Silence).is_on);
    let between = [level(0.0012), level(0.0002)];
    assert!(bench.levels(5000, &between, Condition::Silence).is_on, "3 dB more end it, not less");
    let sound = [level(0.0002), level(0.0015)];
    assert!(bench.levels(900, &sound, Condition::Silence).is_on);
    assert!(!bench.levels(100, &sound, Condition::Silence).is_on);
    assert_eq!(bench.levels(100, &sound, Condition::Silence).count, 1);
}

#[test]
fn a_dead_input_is_told_from_a_quiet_one() {
    let mut bench = Bench::new(2);
    assert!(bench.levels(1000, &[DEAD; 2], Condition::DigitalSilence).is_on);
    assert!(!bench.levels(5000, &[DEAD; 2], Condition::Silence).is_on, "told by one name");
    let hiss = [level(0.000_01); 2];
    assert!(
        !bench.levels(100, &hiss, Condition::DigitalSilence).is_on,
        "one sample that differs proves life"
    );
    assert!(bench.levels(100, &hiss, Condition::Silence).is_on, "it has been quiet for long");
    let stuck = [Level { rms: 0.4, offset: 0.4, ..DEAD }; 2];
    assert!(bench.levels(1000, &stuck, Condition::DigitalSilence).is_on, "stuck at a value is dead, too");
    assert!(!bench.levels(1000, &stuck, Condition::Silence).is_on);
}

#[test]
fn a_dead_channel_is_told_by_its_number_and_only_beside_sound() {
    let mut bench = Bench::new(3);
    let one_dead = [level(0.1), DEAD, level(0.05)];
    assert!(!bench.levels(4900, &one_dead, Condition::DeadChannel).is_on);
    let standing = bench.levels(100, &one_dead, Condition::DeadChannel);
    assert_eq!((standing.is_on, standing.channels, standing.count), (true, 0b010, 1));
    let all_quiet = [level(0.0001); 3];
    assert!(bench.levels(10_000, &all_quiet, Condition::DeadChannel).is_on, "nothing to judge by");
    assert!(!bench.levels(1000, &[level(0.1); 3], Condition::DeadChannel).is_on);
    let crosstalk = [level(0.1), level(0.000_5), level(0.05)];
    assert_eq!(bench.levels(5000, &crosstalk, Condition::DeadChannel).channels, 0b010);
    let mut fresh = Bench::new(2);
    assert!(!fresh.levels(60_000, &[level(0.1), level(0.01)], Condition::DeadChannel).is_on, "20 dB less");
    assert!(!fresh.levels(60_000, &all_quiet[..2], Condition::DeadChannel).is_on);
}

#[test]
fn an_offset_is_averaged_and_has_its_channel() {
    let mut bench = Bench::new(2);
    let off = |offset: f64| [level(0.1), Level { offset, ..level(0.1) }];
    let standing = bench.levels(5000, &off(0.02), Condition::DcOffset);
    assert_eq!((standing.is_on, standing.channels), (true, 0b10));
    assert!(bench.levels(10_000, &off(0.007), Condition::DcOffset).is_on, "not yet half of it");
    assert!(!bench.levels(5000, &off(0.001), Condition::DcOffset).is_on);
    for swing in 0..100 {
        let now = off(if swing % 2 == 0 { 0.05 } else { -0.05 });
        assert!(!bench.levels(100, &now, Condition::DcOffset).is_on, "low sound swings to both sides");
    }
}

#[test]
fn phase_needs_time_and_sound() {
    let mut bench = Bench::new(2);
    let levels = [level(0.1); 2];
    let evidence = |correlation| Evidence { levels: &levels, correlation, glitches: &[], hum_rms: None };
    assert!(!bench.hear(2900, &evidence(Some(-0.9)), Condition::OutOfPhase).is_on);
    assert!(bench.hear(100, &evidence(Some(-0.9)), Condition::OutOfPhase).is_on);
    assert!(bench.hear(9000, &evidence(None), Condition::OutOfPhase).is_on, "a pause says nothing");
    assert!(bench.hear(9000, &evidence(Some(-0.3)), Condition::OutOfPhase).is_on, "between the thresholds");
    assert!(!bench.hear(1000, &evidence(Some(0.4)), Condition::OutOfPhase).is_on);
    assert!(!bench.hear(60_000, &evidence(Some(0.0)), Condition::OutOfPhase).is_on, "wide stereo");
}

#[test]
fn hum_needs_its_level_and_time() {
    let mut bench = Bench::new(1);
    let levels = [level(0.1)];
    let evidence = |rms| Evidence { levels: &levels, correlation: None, glitches: &[], hum_rms: rms };
    assert!(!bench.hear(60_000, &evidence(Some(0.000_9)), Condition::Hum).is_on, "below −60 dBFS");
    assert!(!bench.hear(4900, &evidence(Some(0.002)), Condition::Hum).is_on);
    assert!(bench.hear(100, &evidence(Some(0.002)), Condition::Hum).is_on);
    assert!(bench.hear(5000, &evidence(None), Condition::Hum).is_on, "not looked for meanwhile");
    assert!(!bench.hear(1000, &evidence(Some(0.0)), Condition::Hum).is_on);
}

#[test]
fn events_are_counted_each_and_hold_for_a_while() {
    let mut bench = Bench::new(2);
    let clipped = [level(0.5), Level { clipped: 7, ..level(0.9) }];
    let glitches = [Glitches { clicks: 2, dropouts: 0 }, Glitches { clicks: 0, dropouts: 1 }];
    let evidence = Evidence { levels: &clipped, correlation: None, glitches: &glitches, hum_rms: None };
    let standing = bench.hear(200, &evidence, Condition::Clipping);
    assert_eq!((standing.is_on, standing.channels, standing.count), (true, 0b10, 14));
    let click = bench.detectors.conditions().of(Condition::Click);
    assert_eq!((click.is_on, click.channels, click.count), (true, 0b01, 4));
    let dropout = bench.detectors.conditions().of(Condition::Dropout);
    assert_eq!((dropout.is_on, dropout.channels, dropout.count), (true, 0b10, 2));
    let clean = [level(0.5); 2];
    assert!(bench.levels(900, &clean, Condition::Clipping).is_on);
    let over = bench.levels(100, &clean, Condition::Clipping);
    assert_eq!((over.is_on, over.channels, over.count), (false, 0, 14));
    assert!(bench.detectors.conditions().standing().next().is_none());
}

#[test]
fn every_condition_has_a_name_and_a_place_of_its_own() {
    for (number, condition) in Condition::ALL.into_iter().enumerate() {
        assert_eq!(condition as usize, number);
        let others = Condition::ALL.into_iter().filter(|other| other.as_str() == condition.as_str());
        assert_eq!(others.count(), 1);
    }
    assert_eq!(bit(63, true), 1 << 63);
    assert_eq!(bit(64, true), 0, "a channel beyond the bits is not told as another");
}

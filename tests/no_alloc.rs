//! In the build that watches over it, an allocation where none may be aborts: the watch is awake, and
//! the analysis, the effects and the conversions make none.

#![cfg(feature = "assert-no-alloc")]

use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use talasd::dsp::analysis::{Analyzer, Settings};
use talasd::dsp::chain::Chain;
use talasd::dsp::conform::{Conform, Shape};
use talasd::dsp::effect::Effect;

#[global_allocator]
static ALLOCATOR: assert_no_alloc::AllocDisabler = assert_no_alloc::AllocDisabler;

#[test]
fn the_analysis_allocates_nothing_once_it_listens() {
    let mut analyzer = Analyzer::new(Settings::default(), 48_000);
    let mut noise = 1_u32;
    let mut quantum = [0.0_f32; 2 * 480];
    let (mut reports, mut highest) = (0, 0.0_f32);
    let mut hear = |analyzer: &mut Analyzer| {
        for sample in &mut quantum {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *sample = (noise >> 8) as f32 / 16_777_216.0 - 0.5;
        }
        analyzer.sound(&quantum, 2, |report| {
            reports += 1;
            highest = report.levels[0].peak.max(highest);
        });
    };
    hear(&mut analyzer);
    // A minute and more: every window, histogram and ring has gone round.
    assert_no_alloc::assert_no_alloc(|| (0..7000).for_each(|_| hear(&mut analyzer)));
    assert!(reports == 700 && highest > 0.4);
}

/// Set in the process that is to abort.
const VICTIM: &str = "TALASD_TEST_ALLOCATES";

#[test]
fn an_allocation_inside_aborts() {
    if std::env::var_os(VICTIM).is_some() {
        assert_no_alloc::assert_no_alloc(|| std::hint::black_box(vec![0_u8; 100]));
        return;
    }
    let victim = Command::new(std::env::current_exe().expect("this test"))
        .args(["an_allocation_inside_aborts", "--exact"])
        .env(VICTIM, "1")
        .output()
        .expect("started");
    assert!(victim.status.signal().is_some(), "it ended by itself: {:?}", victim.status);
}

/// Noise in stereo.
fn noise(frames: usize) -> Vec<f32> {
    let mut state = 1_u32;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (f64::from(state) / f64::from(u32::MAX) * 2.0 - 1.0) as f32
    };
    (0..2 * frames).map(next).collect()
}

#[test]
fn effects_allocate_nothing_also_while_they_change() {
    let mut quieter = Effect::kinds();
    quieter.iter_mut().for_each(|effect| {
        effect.set("gain_db", -3.0);
        effect.set("ratio", 8.0);
    });
    let changes =
        [None, Some(quieter), Some(Effect::kinds()[..7].to_vec()), Some(Vec::new()), Some(Effect::kinds())];
    let mut chain = Chain::new(&Effect::kinds(), 48_000, 2);
    let sound = noise(480);
    // Sound that was held back may come out at once.
    let mut piece = Vec::with_capacity(sound.len() + 2 * chain.latency_frames());
    for change in changes {
        if let Some(effects) = change {
            chain.change(Chain::new(&effects, 48_000, 2));
        }
        for _ in 0..100 {
            assert_no_alloc::assert_no_alloc(|| {
                piece.clear();
                piece.extend_from_slice(&sound);
                chain.process(&mut piece);
            });
        }
    }
}

#[test]
fn conversions_allocate_nothing() {
    let shape = |sample_rate, channels| Shape { sample_rate, channels };
    for (from, to) in [(shape(48_000, 2), shape(44_100, 1)), (shape(44_100, 2), shape(48_000, 2))] {
        let mut conform = Conform::new(from, to).expect("rates that convert");
        let sound = noise(480);
        let mut out = Vec::with_capacity(4_000);
        // Once to find its size.
        conform.process(&sound, &mut out);
        for _ in 0..100 {
            out.clear();
            assert_no_alloc::assert_no_alloc(|| conform.process(&sound, &mut out));
        }
    }
}

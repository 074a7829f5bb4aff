//! In the build that watches over it, an allocation where none may be aborts: the watch is awake, and
//! the analysis makes none.

#![cfg(feature = "assert-no-alloc")]

use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use talasd::dsp::analysis::{Analyzer, Settings};

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

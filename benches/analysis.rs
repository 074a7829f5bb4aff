//! What the analysis costs: a second of stereo at 48 kHz, in periods of 10 ms, all parts together and each
//! part alone beside the levels that always run. 10 ms for a second of sound are 1 % of a core.

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use talasd::dsp::analysis::{Analyzer, Settings};

const RATE: u32 = 48_000;
const PERIOD: usize = 480;

fn main() {
    divan::main();
}

/// A chord with a little noise.
fn second() -> Vec<f32> {
    let mut noise = 1_u32;
    let mut sample = |n: u32, shift: f64| {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let hiss = f64::from(noise >> 16) / 65_536.0 - 0.5;
        let time = f64::from(n) / f64::from(RATE) + shift;
        let chord: f64 =
            [220.0, 277.18, 329.63].map(|hz| (time * hz * std::f64::consts::TAU).sin()).iter().sum();
        (chord * 0.1 + hiss * 0.01) as f32
    };
    (0..RATE).flat_map(|n| [sample(n, 0.0), sample(n, 0.3)]).collect()
}

fn only(part: &str) -> Settings {
    let all = part == "all";
    Settings {
        true_peak: all || part == "true_peak",
        loudness: all || part == "loudness",
        spectrum: all || part == "spectrum",
        hum: all || part == "hum",
        clicks: all || part == "clicks",
        ..Settings::default()
    }
}

#[divan::bench(sample_count = 100, args = ["all", "levels", "true_peak", "loudness", "spectrum", "hum", "clicks"])]
fn analyse(bencher: Bencher<'_, '_>, part: &str) {
    let mut analyzer = Analyzer::new(only(part), RATE);
    let sound = second();
    bencher.counter(ItemsCount::new(RATE)).bench_local(|| {
        for period in sound.chunks(2 * PERIOD) {
            analyzer.sound(black_box(period), 2, |report| {
                black_box(report);
            });
        }
    });
}

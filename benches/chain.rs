//! What the programme's effects cost: each alone, and a full chain, on 10 ms of stereo at 48 kHz. At 1 ms
//! for one of these, a core would be a tenth busy.

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use talasd::dsp::chain::Chain;
use talasd::dsp::conform::{Conform, Shape};
use talasd::dsp::effect::Effect;

const RATE: u32 = 48_000;
const FRAMES: usize = 480;
/// Sound that goes round: long enough that effects do not settle, short enough for the cache.
const PIECES: usize = 50;

fn main() {
    divan::main();
}

/// A loud chord with noise, whose level goes up and down, so that compressor and limiter have work.
fn sound() -> Vec<f32> {
    let mut noise = 1_u32;
    let frames = (0..FRAMES * PIECES).flat_map(|n| {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let hiss = f64::from(noise >> 16) / 65_536.0 - 0.5;
        let time = n as f64 / f64::from(RATE);
        let chord: f64 =
            [220.0, 277.18, 329.63].map(|hz| (time * hz * std::f64::consts::TAU).sin()).iter().sum();
        let level = 0.4 + 0.3 * (time * 5.0).sin();
        let sample = level * (chord + 0.3 * hiss);
        [sample as f32, (0.8 * sample + 0.1 * hiss) as f32]
    });
    frames.collect()
}

fn of_kind(kind: &str) -> Effect {
    Effect::of_kind(kind).expect("a known kind")
}

/// Ten bands from 31 Hz to 16 kHz.
fn ten_bands() -> Vec<Effect> {
    let band = |octave: i32| {
        let mut band = of_kind("peaking");
        band.set("frequency_hz", 31.25 * f64::from(1 << octave));
        band.set("gain_db", f64::from(octave % 5) - 2.0);
        band
    };
    (0..10).map(band).collect()
}

fn chain(name: &str) -> Vec<Effect> {
    match name {
        "ten_bands" => ten_bands(),
        "all" => {
            let mut all = ten_bands();
            all.extend(["compressor", "loudness", "reverb", "limiter"].map(of_kind));
            all
        }
        kind => vec![of_kind(kind)],
    }
}

#[divan::bench(
    sample_count = 2000,
    args = ["ten_bands", "compressor", "limiter", "loudness", "reverb", "all"]
)]
fn effects(bencher: Bencher<'_, '_>, name: &str) {
    let mut chain = Chain::new(&chain(name), RATE, 2);
    let sound = sound();
    let mut pieces = sound.chunks_exact(FRAMES * 2).cycle();
    let mut piece = Vec::with_capacity(FRAMES * 2);
    bencher.counter(ItemsCount::new(FRAMES)).bench_local(|| {
        piece.clear();
        piece.extend(pieces.next().unwrap_or_default());
        chain.process(black_box(&mut piece));
    });
}

#[divan::bench(sample_count = 2000, args = [44_100, 22_050, 16_000])]
fn conform(bencher: Bencher<'_, '_>, rate: u32) {
    let shape = |sample_rate| Shape { sample_rate, channels: 2 };
    let mut conform = Conform::new(shape(RATE), shape(rate)).expect("rates that convert");
    let sound = sound();
    let mut pieces = sound.chunks_exact(FRAMES * 2).cycle();
    let mut out = Vec::with_capacity(FRAMES * 4);
    bencher.counter(ItemsCount::new(FRAMES)).bench_local(|| {
        out.clear();
        conform.process(black_box(pieces.next().unwrap_or_default()), &mut out);
    });
}

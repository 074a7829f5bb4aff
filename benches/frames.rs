//! What a listener's rendition costs: a block as an event of the frame API, in every encoding, and a
//! block at a lower rate. A block is 1024 frames of stereo at 48 kHz, 21.3 ms of sound.

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use talasd::audio::{Block, Item, Unit};
use talasd::codec::frames::{Encoding, FrameEncoder};
use talasd::codec::reduce::Reducer;
use talasd::tools::clock::WallClock;

const RATE: u32 = 48_000;
const FRAMES: usize = 1024;

fn main() {
    divan::main();
}

/// A chord with a little noise, as exact as a 16-bit card gives it: what text and deflate make of it is
/// what they make of music.
fn channel(shift: f64) -> Vec<f32> {
    let mut noise = 1_u32;
    let sample = |n: usize| {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let hiss = f64::from(noise >> 16) / 65_536.0 - 0.5;
        let time = n as f64 / f64::from(RATE) + shift;
        let chord: f64 =
            [220.0, 277.18, 329.63].map(|hz| (time * hz * std::f64::consts::TAU).sin()).iter().sum();
        ((chord * 0.1 + hiss * 0.01) * 32_768.0).round() as f32 / 32_768.0
    };
    (0..FRAMES).map(sample).collect()
}

fn block(number: u64) -> Block {
    let position = number * FRAMES as u64;
    Block { number, position, mono_ns: 0, captured: FRAMES as u64, a: channel(0.0), b: channel(0.3) }
}

#[divan::bench(sample_count = 1000, args = ["json", "f32", "s16", "deflate"])]
fn encode(bencher: Bencher<'_, '_>, name: &str) {
    let known = Encoding::ALL.iter().find(|(known, _)| *known == name);
    let (_, encoding) = known.expect("an encoding of the frame API");
    let (encoder, block, wall) = (FrameEncoder::new(*encoding, RATE, 1), block(7), WallClock::new());
    bencher.counter(ItemsCount::new(FRAMES)).bench_local(|| encoder.block(black_box(&block), &wall));
}

#[divan::bench(sample_count = 1000, args = [2, 4, 8])]
fn reduce(bencher: Bencher<'_, '_>, factor: usize) {
    let mut reducer = Reducer::new(factor);
    let pattern = block(0);
    let mut number = 0;
    bencher.counter(ItemsCount::new(FRAMES)).bench_local(|| {
        let position = number * FRAMES as u64;
        let block = Block { number, position, ..pattern.clone() };
        number += 1;
        reducer.push(Item { epoch: 0, unit: Unit::Block(block) }, |item| drop(black_box(item)));
    });
}

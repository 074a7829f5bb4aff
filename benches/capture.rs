//! What the capture thread does with a period: its bytes become floats, and they go through the ring. A
//! period is 512 frames of stereo at 48 kHz, 10.7 ms of sound.

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use talasd::audio::SampleFormat;
use talasd::dsp::convert;
use talasd::tools::ring::ring;

const FRAMES: usize = 512;
const SAMPLES: usize = FRAMES * 2;
/// As much as the daemon's own ring holds: two seconds.
const RING_SAMPLES: usize = 48_000 * 2 * 2;
const RING_CHUNKS: usize = RING_SAMPLES / SAMPLES * 4;

fn main() {
    divan::main();
}

#[divan::bench(sample_count = 1000, args = ["S16_LE", "S24_3LE", "S24_LE", "S32_LE", "FLOAT_LE"])]
fn convert(bencher: Bencher<'_, '_>, name: &str) {
    let known = SampleFormat::BEST_FIRST.into_iter().find(|format| format.name() == name);
    let format = known.expect("a format that is captured");
    // The top byte keeps floats finite; integers take any.
    let bytes: Vec<u8> = (0..SAMPLES * format.bytes()).map(|n| (n * 37 % 64) as u8).collect();
    let mut out = vec![0.0; SAMPLES];
    bencher
        .counter(ItemsCount::new(FRAMES))
        .bench_local(|| convert::to_f32(format, black_box(&bytes), black_box(&mut out)));
}

#[divan::bench(sample_count = 1000)]
fn push_and_pop(bencher: Bencher<'_, '_>) {
    let (mut writer, mut reader) = ring::<u64>(RING_SAMPLES, RING_CHUNKS);
    let period = vec![0.25_f32; SAMPLES];
    bencher.counter(ItemsCount::new(FRAMES)).bench_local(|| {
        let pushed = writer.push(black_box(7), SAMPLES, |first, second| {
            let (head, tail) = period.split_at(first.len());
            first.copy_from_slice(head);
            second.copy_from_slice(tail);
        });
        let popped = reader.pop(|header, first, second| {
            black_box((header, first, second));
        });
        (pushed, popped)
    });
}

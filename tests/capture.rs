//! From a card to a listener, bit for bit, through real alsa-lib and a simulated card.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use common::*;
use talas_simcard_control::Format;

const DEMO_FRAMES: usize = 48_000 * 3;

/// Something like speech: bursts of changing tone and noise, every bit of 24 in use.
fn programme(channels: usize) -> Vec<i32> {
    let mut noise = 12_345_u32;
    (0..DEMO_FRAMES * channels)
        .map(|n| {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let frame = (n / channels) as f64;
            let envelope = (frame / 4000.0).sin().abs();
            let tone = (frame * 0.02 * (1.0 + (n % channels) as f64)).sin() * 6.0e6 * envelope;
            (tone as i32 + (noise >> 12).cast_signed() - (1 << 19)).clamp(-(1 << 23), (1 << 23) - 1)
        })
        .collect()
}

#[test]
fn every_card_format_reaches_the_client_bit_exact_in_every_encoding() {
    let samples = programme(2);
    for (format, encodings) in [
        (Format::S16Le, &["json", "f32", "s16", "deflate"][..]),
        (Format::S24In3Le, &["json", "f32"]),
        (Format::S24Le, &["json", "f32"]),
        (Format::S32Le, &["json", "f32"]),
        (Format::FloatLe, &["f32"]),
    ] {
        let card = SimCard::new(|b| b.formats(&[format]).samples_s24(&samples));
        let mut daemon = card.setup("").start();
        daemon.wait_for_log(&format!("format=\"{}\"", format.alsa_name()));
        for encoding in encodings {
            let mut stream = daemon.stream(&format!("?encoding={encoding}"));
            for frame in stream.frames(20) {
                // A 16-bit card hears the upper 16 of the 24 bits.
                let exact = |n: usize| match format {
                    Format::S16Le => (samples[n] >> 8) as f32 / 32_768.0,
                    _ => samples[n] as f32 / 8_388_608.0,
                };
                let first = usize::try_from(frame.position).unwrap() % DEMO_FRAMES;
                for (n, (a, b)) in frame.a.iter().zip(&frame.b).enumerate() {
                    let at = (first + n) % DEMO_FRAMES * 2;
                    assert_eq!(
                        (*a, *b),
                        (exact(at), exact(at + 1)),
                        "{format:?} as {encoding}, frame {}",
                        first + n
                    );
                }
            }
        }
        assert!(daemon.stop().success());
    }
}

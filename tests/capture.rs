//! From a card to a listener, bit for bit, through real alsa-lib and a simulated card.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use common::*;
use nix::sys::signal::Signal;
use talas_simcard_control::Format;

/// Speech and music of 16 bits, with a little noise below so that every bit of 24 is in use.
fn programme() -> Vec<i32> {
    let mut noise = 12_345_u32;
    let speech = demo();
    let with_noise = speech.iter().map(|sample| {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        ((sample * 32_768.0) as i32) << 8 | (noise >> 24).cast_signed()
    });
    with_noise.collect()
}

#[test]
fn every_card_format_reaches_the_client_bit_exact_in_every_encoding() {
    let samples = programme();
    let length = samples.len() / 2;
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
                let first = usize::try_from(frame.position).unwrap() % length;
                for (n, (a, b)) in frame.a.iter().zip(&frame.b).enumerate() {
                    let at = (first + n) % length * 2;
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

#[test]
fn a_thread_that_uses_up_its_budget_loses_its_priority_and_nothing_else() {
    let card = SimCard::new(|b| b.ramp());
    let daemon = card.setup("").start();
    let mut stream = daemon.stream("?encoding=s16");
    stream.frames(3);
    let before = daemon.status()["capture"]["realtime"].clone();
    daemon.signal(Signal::SIGXCPU);
    // Without the right to real time there is nothing to lose.
    let after = if before == "fifo" { "demoted" } else { "denied" };
    daemon.wait_for_status(after, |status| status["capture"]["realtime"] == after);
    stream.frames(20);
    let warnings = daemon.status()["warnings"].to_string();
    assert!(warnings.contains("real-time priority"), "{warnings}");
}

//! The card keeps time. Positions are read between two looks at the clock, so every bound holds however late the
//! machine is.

mod common;

use std::thread::sleep;
use std::time::Duration;

use alsa::poll::Flags;
use common::{Ask, BIG_BUFFER, Client, PLAIN, Plan};
use talas_simcard_control::Card;
use talas_simcard_control::clock::monotonic_ns;

/// Fast, so that a frame is few ppm of a short measurement.
const FINE_RATE: u32 = 192_000;

const PLANS: &[Plan] = &[
    ("paced", |card| card),
    ("detuned", |card| card.rates(&[FINE_RATE]).buffer_max_frames(1 << 22)),
    ("wavering", |card| card.rates(&[FINE_RATE]).buffer_max_frames(1 << 22)),
    ("stamped", |card| card),
];

fn card(name: &str) -> &'static Card {
    common::card("pace", PLANS, name)
}

/// The hardware's position, in frames since the start while nothing is read, and the moments around the look.
struct Look {
    before_ns: u64,
    frames: f64,
    after_ns: u64,
}

fn look(client: &Client) -> Look {
    let before_ns = monotonic_ns();
    let frames = client.pcm.avail().expect("no overrun") as f64;
    Look { before_ns, frames, after_ns: monotonic_ns() }
}

/// Asserts that from `a` to `b` the card ran between `ppm.0` and `ppm.1` fast, to the frame that it rounds to.
fn assert_pace(a: &Look, b: &Look, rate: u32, ppm: (i32, i32)) {
    let frames_in = |ns: u64, ppm: i32| ns as f64 * 1e-9 * f64::from(rate) * (1.0 + f64::from(ppm) * 1e-6);
    let least = frames_in(b.before_ns - a.after_ns, ppm.0) - 1.0;
    let most = frames_in(b.after_ns - a.before_ns, ppm.1) + 1.0;
    let went = b.frames - a.frames;
    assert!(least <= went && went <= most, "{went} frames, not {least} to {most}");
}

#[test]
fn the_card_runs_on_clock_monotonic_and_wakes_on_time() {
    let card = card("paced");
    let client = Client::start("paced", PLAIN);
    let start = look(&client);
    let mut read = 0;
    let mut promptest = u32::MAX;
    while read < 48_000 / 2 {
        client.await_flags(Flags::IN);
        let avail = u32::try_from(client.pcm.avail().expect("no overrun")).expect("frames");
        assert!(avail >= PLAIN.period, "woken {avail} frames early");
        promptest = promptest.min(avail - PLAIN.period);
        let now = look(&client);
        assert_pace(&start, &Look { frames: now.frames + f64::from(read), ..now }, PLAIN.rate, (0, 0));
        client.read_ramp(PLAIN.period as usize);
        read += PLAIN.period;
    }
    assert!(promptest < PLAIN.period, "never woken within a period: {promptest} frames late");
    assert_eq!(card.counters().lost, 0);
}

#[test]
fn a_detuned_card_is_off_by_what_was_ordered() {
    let card = card("detuned");
    let client = Client::start("detuned", Ask { rate: FINE_RATE, buffer: 1 << 21, ..PLAIN });
    for ppm in [150, -90] {
        card.ppm(ppm).expect("an order");
        let a = look(&client);
        sleep(Duration::from_millis(2_000));
        // A frame of rounding at either end is 5 ppm.
        assert_pace(&a, &look(&client), FINE_RATE, (ppm, ppm));
    }
}

#[test]
fn changing_the_speed_does_not_make_the_clock_jump() {
    let card = card("wavering");
    let client = Client::start("wavering", Ask { rate: FINE_RATE, buffer: 1 << 21, ..PLAIN });
    let start = look(&client);
    for turn in 0..200 {
        let a = look(&client);
        card.ppm(if turn % 2 == 0 { 50_000 } else { -50_000 }).expect("an order");
        assert_pace(&a, &look(&client), FINE_RATE, (-50_000, 50_000));
    }
    assert_pace(&start, &look(&client), FINE_RATE, (-50_000, 50_000));
    client.read_ramp(4_096);
    assert_eq!(card.counters().lost, 0);
}

#[test]
fn time_stamps_are_monotonic_and_fit_the_position() {
    let card = card("stamped");
    let client = Client::start("stamped", Ask { buffer: BIG_BUFFER, ..PLAIN });
    let mut last_ns = 0;
    for _ in 0..50 {
        let (end, before_ns) = (client.read_ramp(64).1, monotonic_ns());
        let status = client.pcm.status().expect("a status");
        let after_ns = monotonic_ns();
        let stamp = status.get_htstamp();
        let stamp_ns = u64::try_from(stamp.tv_sec * 1_000_000_000 + stamp.tv_nsec).expect("after boot");
        assert!(before_ns <= stamp_ns && stamp_ns <= after_ns && stamp_ns >= last_ns);
        let position = u64::from(end) + u64::try_from(status.get_avail()).expect("frames");
        let clock = card.clock();
        assert!(
            clock.frame(before_ns, PLAIN.rate) <= position && position <= clock.frame(after_ns, PLAIN.rate)
        );
        last_ns = stamp_ns;
    }
}

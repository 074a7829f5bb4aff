//! From the capture of a sound to its decoded samples at a client, and whether that grows:
//! `cargo bench --bench delay [NAME…]`, where the names are those of [`STREAMS`].
//!
//! The simulated card plays noise. What a client decodes is found in that noise, so that no time that the
//! daemon tells has a word in it: the place in the noise says which frame of the card it is, and the
//! card's own clock, which is `CLOCK_MONOTONIC`, when that was captured. What is timed is the first sample of
//! each packet, which waited longest. `TALAS_BENCH_SECONDS` is how long each stream is heard.

#![allow(clippy::unwrap_used, reason = "a benchmark that cannot go on ends")]

mod ear;
#[path = "../../tests/common/http.rs"]
#[allow(dead_code, reason = "tests use the rest of it")]
mod http;
#[path = "../rig/mod.rs"]
mod rig;
mod signal;
#[path = "../../tests/common/websocket.rs"]
#[allow(dead_code, reason = "tests use the rest of it")]
mod websocket;

use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use talas_simcard_control::Card;
use talasd::tools::clock::{NS_PER_S, mono_ns};

use ear::{Ear, Mp3, Opus, Pcm};
use http::{Answer, connect, read_head};
use rig::{RATE, Source, Talasd};
use signal::{Finder, PERIOD_S};

/// Longest time that anything may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// Nothing counts before encoder and decoder have settled.
const WARM_UP_S: i64 = 2;
/// Half a second of sound is looked for at a time.
const LOOKS_PER_S: usize = 2;

/// A way to listen: its name, what opens it, and the aim in ms for the delay that 99 of 100 packets keep to.
type Stream = (&'static str, fn(SocketAddr) -> Box<dyn Ear>, f64);

const STREAMS: [Stream; 4] = [
    ("opus-websocket", |address| Box::new(Opus::open(address, "/api/audio/live")), 80.0),
    ("opus-5ms-websocket", |address| Box::new(Opus::open(address, "/api/audio/live?frame_ms=5")), 80.0),
    ("pcm-websocket", |address| Box::new(Pcm::open(address)), 80.0),
    ("mp3-latency-low", |address| Box::new(Mp3::open(address, "/live.mp3?latency=low")), 250.0),
];

/// A packet that came, decoded.
struct Heard {
    came_ns: i64,
    samples: Vec<f32>,
}

fn main() {
    // Cargo adds --bench.
    let names: Vec<String> = std::env::args().skip(1).filter(|name| !name.starts_with('-')).collect();
    let seconds = rig::setting("TALAS_BENCH_SECONDS", 50);
    println!("delay: from the capture of a packet's first sample to that sample decoded, {seconds} s each");
    for (name, open, aim_ms) in STREAMS {
        if names.is_empty() || names.iter().any(|wanted| name.contains(wanted.as_str())) {
            run(name, open, aim_ms, seconds);
        }
    }
}

fn run(name: &str, open: fn(SocketAddr) -> Box<dyn Ear>, aim_ms: f64, seconds: usize) {
    let talasd = Talasd::start(&Source::Noise(signal::noise(RATE as usize)));
    let mut ear = open(talasd.address);
    let rate = ear.rate();
    let (tell, heard) = channel();
    let until_ns = mono_ns() + (WARM_UP_S + i64::try_from(seconds).unwrap()) * NS_PER_S;
    // On a thread of its own: looking for sound must not hold up hearing it.
    let listening = std::thread::spawn(move || {
        while mono_ns() < until_ns {
            let samples = ear.hear();
            tell.send(Heard { came_ns: mono_ns(), samples }).unwrap();
        }
    });
    let delays = measure(&heard, rate, talasd.card.as_ref().unwrap());
    listening.join().unwrap();
    let (_, lost) = talasd.losses();
    show(name, &delays, aim_ms, lost);
}

/// The delay of each packet in ms, with the time at which it came, in seconds.
fn measure(heard: &Receiver<Heard>, rate: usize, card: &Card) -> Vec<(f64, f64)> {
    let mut finder = Finder::new(rate);
    let begin_ns = mono_ns();
    let (mut window, mut packets, mut delays) = (Vec::new(), Vec::new(), Vec::new());
    for Heard { came_ns, samples } in heard {
        packets.push((window.len(), came_ns));
        window.extend(samples);
        if window.len() * LOOKS_PER_S < rate {
            continue;
        }
        let is_settled = packets[0].1 - begin_ns > WARM_UP_S * NS_PER_S;
        if is_settled {
            let first = finder.find(&window).expect("the card's noise is heard");
            delays.extend(packets.iter().map(|(at, came_ns)| {
                let delay_ns = came_ns - captured_ns(card, first + at, rate, *came_ns);
                ((came_ns - begin_ns) as f64 / 1e9, delay_ns as f64 / 1e6)
            }));
        }
        window.clear();
        packets.clear();
    }
    delays
}

/// When a sample of the noise was captured last before a moment, on the monotonic clock.
fn captured_ns(card: &Card, sample: usize, rate: usize, before_ns: i64) -> i64 {
    let period = PERIOD_S as u64 * u64::from(RATE);
    let wanted = (sample % (PERIOD_S * rate)) as u64 * u64::from(RATE) / rate as u64;
    let anchor = card.clock();
    let now = anchor.frame(u64::try_from(before_ns).unwrap(), RATE);
    let since = (now + period - wanted) % period;
    i64::try_from(anchor.mono_ns_of(now - since, RATE)).unwrap()
}

fn show(name: &str, delays: &[(f64, f64)], aim_ms: f64, lost: f64) {
    let mut sorted: Vec<f64> = delays.iter().map(|(_, ms)| *ms).collect();
    sorted.sort_by(f64::total_cmp);
    let share = |share| rig::percentile(&sorted, share);
    let (p50, p99, worst) = (share(0.5), share(0.99), share(1.0));
    let verdict = if p99 <= aim_ms { "reached" } else { "NOT reached" };
    println!(
        "  {name:<20} p50 {p50:>6.1} ms  p99 {p99:>6.1} ms  worst {worst:>6.1} ms  aim for p99 {aim_ms} ms: {verdict}"
    );
    let drift = slope(delays) * 1800.0;
    println!(
        "  {:<20} {} packets, {lost} frames lost; grows by {drift:+.2} ms in 30 minutes",
        "",
        delays.len()
    );
}

/// Milliseconds in a second, by the straight line that fits best.
fn slope(delays: &[(f64, f64)]) -> f64 {
    let count = delays.len() as f64;
    let mean = |pick: fn(&(f64, f64)) -> f64| delays.iter().map(pick).sum::<f64>() / count;
    let (mean_s, mean_ms) = (mean(|(s, _)| *s), mean(|(_, ms)| *ms));
    let both: f64 = delays.iter().map(|(s, ms)| (s - mean_s) * (ms - mean_ms)).sum();
    let spread: f64 = delays.iter().map(|(s, _)| (s - mean_s).powi(2)).sum();
    both / spread
}

//! What the whole appliance needs and how fast it answers: `cargo bench --bench appliance [NAME…]`, where
//! the names are those of [`PARTS`]. Each part prints its figure beside the aim.
//!
//! The real daemon captures from the simulated card, which plays the shipped recording in stereo at 48 kHz
//! in periods of 512 frames (10.7 ms). Listeners, card and daemon share the machine: what the listeners
//! and the card take is missing to the daemon.

mod latency;
mod load;
mod memory;
#[path = "../rig/mod.rs"]
mod rig;
mod start;
mod storm;

/// Everything that is measured here, by name.
const PARTS: [(&str, fn()); 7] = [
    ("latency", latency::run),
    ("storm", storm::run),
    ("token-storm", storm::by_token),
    ("memory", memory::run),
    ("start", start::run),
    ("capture-thread", load::capture_thread),
    ("status", load::status),
];

/// One figure beside its aim.
fn report(what: &str, figure: f64, aim: f64, unit: &str) {
    let verdict = if figure <= aim { "reached" } else { "NOT reached" };
    println!("  {what:<52} {figure:>9.2} {unit:<3}  aim {aim:>6} {unit:<3}  {verdict}");
}

fn main() {
    rig::raise_descriptor_limit();
    // Cargo adds --bench.
    let names: Vec<String> = std::env::args().skip(1).filter(|name| !name.starts_with('-')).collect();
    for (name, run) in PARTS {
        if names.is_empty() || names.iter().any(|wanted| name.contains(wanted.as_str())) {
            println!("{name}");
            run();
        }
    }
}

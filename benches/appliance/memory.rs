//! Resident memory: at rest, and what each listener adds. What the kernel holds for sockets is in no
//! process's account; it is told beside it.

use std::time::Duration;

use crate::report;
use crate::rig::{Crowd, Source, Talasd};

const FEW: usize = 100;
const MORE: usize = 1000;
const AIM_IDLE_MB: f64 = 25.0;
const AIM_LISTENER_KB: f64 = 16.0;
/// Memory has settled by then.
const SETTLE: Duration = Duration::from_secs(8);

/// Bytes that the kernel holds in TCP sockets, of the whole machine.
fn kernel_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/net/sockstat").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("TCP:")).unwrap_or_default();
    let pages = line.rsplit(' ').next().and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0);
    pages * procfs::page_size()
}

fn growth(path: &str) -> f64 {
    let talasd = Talasd::start(&Source::Card);
    let mut crowd = Crowd::connect(talasd.address, path, FEW);
    crowd.read_for(SETTLE, || ());
    let (few, _) = talasd.server.resident();
    (0..MORE).for_each(|_| crowd.join(talasd.address, path));
    crowd.read_for(SETTLE, || ());
    let (many, anonymous) = talasd.server.resident();
    let (dropped, _) = talasd.losses();
    println!(
        "  {path}: {:.1} MB with {FEW}, {:.1} MB with {} ({:.1} MB of it not from files); {dropped} blocks dropped; \
         {:.1} MB in the machine's TCP sockets",
        few as f64 / 1e6,
        many as f64 / 1e6,
        FEW + MORE,
        anonymous as f64 / 1e6,
        kernel_bytes() as f64 / 1e6,
    );
    (many as f64 - few as f64) / 1e3 / MORE as f64
}

pub fn run() {
    println!("  resident memory {} s after each change; 1 kB is 1000 bytes", SETTLE.as_secs());
    let talasd = Talasd::start(&Source::Card);
    std::thread::sleep(SETTLE);
    let (all, anonymous) = talasd.server.resident();
    println!("  at rest {:.1} MB, {:.1} MB of it not from files", all as f64 / 1e6, anonymous as f64 / 1e6);
    drop(talasd);
    let every_block = growth("/api/audio/stream");
    let one_a_second = growth("/api/audio/stream?max_fps=1");
    report("at rest", all as f64 / 1e6, AIM_IDLE_MB, "MB");
    report("a listener of every block", every_block, AIM_LISTENER_KB, "kB");
    report("a listener of one block a second", one_a_second, AIM_LISTENER_KB, "kB");
}

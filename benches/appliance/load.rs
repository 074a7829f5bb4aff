//! What capture costs, and how fast the control side answers while the doors are busy.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::report;
use crate::rig::{self, Crowd, Source, Talasd};

/// Listeners settle for so long before anything counts.
const WARM_UP: Duration = Duration::from_secs(3);
const AIM_CAPTURE_PERCENT: f64 = 0.6;
const AIM_STATUS_MS: f64 = 20.0;

/// The card's own work is in it: its plugin runs inside the thread that reads it. So it plays what costs
/// least.
pub fn capture_thread() {
    let seconds = rig::setting("TALAS_BENCH_SECONDS", 20);
    println!("  the thread's own processor time over {seconds} s, that of the card's plugin in it included");
    let talasd = Talasd::start(&Source::Ramp);
    std::thread::sleep(WARM_UP);
    let (began, before) = (Instant::now(), talasd.server.thread_cpu_seconds("capture"));
    std::thread::sleep(Duration::from_secs(seconds as u64));
    let used = talasd.server.thread_cpu_seconds("capture") - before;
    report(
        "capture thread, of a core",
        used / began.elapsed().as_secs_f64() * 100.0,
        AIM_CAPTURE_PERCENT,
        "%",
    );
}

pub fn status() {
    const TIMES: usize = 50;
    let listeners = rig::setting("TALAS_BENCH_LISTENERS", 500);
    println!("  talasctl status {TIMES} times, the whole process, beside {listeners} listeners of json");
    let talasctl = rig::sibling("talasctl");
    let talasd = Talasd::start(&Source::Card);
    let mut crowd = Crowd::connect(talasd.address, "/api/audio/stream", listeners);
    crowd.read_for(WARM_UP, || ());
    let _crowd = crowd.in_background();
    let mut command = Command::new(talasctl);
    command.arg("--socket").arg(talasd.socket()).arg("status").stdout(Stdio::null());
    let once = |_| {
        let began = Instant::now();
        assert!(command.status().expect("talasctl runs").success(), "talasctl status failed");
        let took_ms = began.elapsed().as_secs_f64() * 1e3;
        // Not in step with the blocks.
        std::thread::sleep(Duration::from_millis(37));
        took_ms
    };
    let mut times: Vec<f64> = (0..TIMES).map(once).collect();
    times.sort_by(f64::total_cmp);
    println!("  fastest {:.1} ms, p90 {:.1} ms", times[0], rig::percentile(&times, 0.9));
    report("talasctl status, median", rig::percentile(&times, 0.5), AIM_STATUS_MS, "ms");
    report("talasctl status, slowest", times[TIMES - 1], AIM_STATUS_MS, "ms");
}

//! From exec to `READY=1`, as systemd is told it.

use std::os::unix::net::UnixDatagram;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::report;
use crate::rig::{self, Server, Source, Talasd};

const TIMES: usize = 10;
const AIM_MS: f64 = 100.0;

/// Milliseconds of one start.
fn start() -> f64 {
    let (mut command, _card, dir) = Talasd::command(&Source::Card);
    let path = dir.path().join("notify");
    let socket = UnixDatagram::bind(&path).expect("a socket");
    socket.set_read_timeout(Some(Duration::from_secs(10))).expect("a time-out");
    command.env("NOTIFY_SOCKET", &path).stderr(Stdio::null());
    let began = Instant::now();
    let _server = Server(command.spawn().expect("talasd starts"));
    let mut buffer = [0; 4096];
    loop {
        let count = socket.recv(&mut buffer).expect("talasd gets ready");
        if buffer[..count].split(|byte| *byte == b'\n').any(|line| line == b"READY=1") {
            return began.elapsed().as_secs_f64() * 1e3;
        }
    }
}

pub fn run() {
    println!(
        "  {TIMES} starts, each with a card of its own; the first period, 10.7 ms of sound, is waited for"
    );
    let mut times: Vec<f64> = (0..TIMES).map(|_| start()).collect();
    times.sort_by(f64::total_cmp);
    println!("  fastest {:.1} ms, slowest {:.1} ms", times[0], times[TIMES - 1]);
    report("exec to READY=1, median", rig::percentile(&times, 0.5), AIM_MS, "ms");
}

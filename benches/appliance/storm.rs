//! A crowd that comes at once, from one thread: how long until everybody has an answer, and a block.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::report;
use crate::rig::{self, Crowd, Nchan, Progress, Source, Talasd};

const AIM_S: f64 = 3.0;
/// The connector reads what has come whenever it has made so many connections more.
const BATCH: usize = 50;
/// Whoever is not served by then never is.
const PATIENCE: Duration = Duration::from_secs(60);

/// A crowd, and when its first member set out.
struct Storm {
    crowd: Crowd,
    count: usize,
    began: Instant,
}

impl Storm {
    /// Everybody connects and asks.
    fn new(address: SocketAddr, path: &str, count: usize) -> Self {
        let began = Instant::now();
        let mut crowd = Crowd::new();
        while crowd.len() < count {
            (0..BATCH.min(count - crowd.len())).for_each(|_| crowd.join(address, path));
            crowd.read(false);
        }
        Self { crowd, count, began }
    }

    fn seconds(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }

    /// Seconds until everybody had come so far.
    fn seconds_until(&mut self, progress: Progress) -> f64 {
        while self.crowd.count(progress) < self.count {
            assert!(self.began.elapsed() < PATIENCE, "only {} were served", self.crowd.count(progress));
            self.crowd.read(true);
        }
        self.seconds()
    }
}

/// The same by one token, which each of them shows, and which each request is checked against: signature or
/// cache, permission, limits.
pub fn by_token() {
    const AIM_S: f64 = 4.0;
    const RAISED: &str = "{ requests_per_s = 1000000, new_streams_per_s = 1000000, streams = 1000000 }";
    let count = rig::setting("TALAS_BENCH_STORM", 5000);
    println!("  {count} listeners of json by one token, one block a second each, from one thread");
    let settings =
        format!("access.mode = \"token\"\naccess.limits.user = {RAISED}\naccess.limits.token = {RAISED}\n");
    let talasd = Talasd::start_with(&Source::Card, &settings);
    let path = format!("/api/audio/stream?max_fps=1&token={}", talasd.token());
    let mut storm = Storm::new(talasd.address, &path, count);
    let connected = storm.seconds();
    let answered = storm.seconds_until(Progress::Answered);
    let served = storm.seconds_until(Progress::Served);
    println!("  all connected after {connected:.2} s, answered {answered:.2} s, a block each {served:.2} s");
    report("until the last has a block, by token", served, AIM_S, "s");
}

pub fn run() {
    let count = rig::setting("TALAS_BENCH_STORM", 5000);
    println!("  {count} listeners of json, one block a second each, from one thread");
    let talasd = Talasd::start(&Source::Card);
    let mut storm = Storm::new(talasd.address, "/api/audio/stream?max_fps=1", count);
    let connected = storm.seconds();
    let answered = storm.seconds_until(Progress::Answered);
    let served = storm.seconds_until(Progress::Served);
    println!("  all connected after {connected:.2} s, answered {answered:.2} s, a block each {served:.2} s");
    // What the crowd does to capture shows while it is fed, too.
    storm.crowd.read_for(Duration::from_secs(3), || ());
    let overruns = talasd.card.as_ref().expect("a card").counters().overruns;
    let (dropped, lost) = talasd.losses();
    println!("  {overruns} overruns, {lost} frames lost, {dropped} blocks dropped");
    drop((storm, talasd));
    if let Some(nchan) = Nchan::start() {
        let mut storm = Storm::new(nchan.address, "/sub", count);
        let connected = storm.seconds();
        let answered = storm.seconds_until(Progress::Answered);
        println!("  nginx + nchan, nothing published: connected {connected:.2} s, answered {answered:.2} s");
    }
    report("until the last has a block", served, AIM_S, "s");
    report("overruns of the card", overruns as f64, 0.0, "");
}

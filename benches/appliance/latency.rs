//! From the moment at which a block's last sample is captured to its last byte at a listener.
//!
//! Both ends are read from one clock, `CLOCK_MONOTONIC`: the card's own says when it captured a frame, to
//! the nanosecond, and which frame a block ends with follows from its `position`.

use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::thread::JoinHandle;
use std::time::Duration;

use talasd::tools::clock;

use crate::report;
use crate::rig::{self, BLOCK_FRAMES, Crowd, RATE, Source, Talasd};

/// Nothing counts before the crowd has settled.
const WARM_UP: Duration = Duration::from_secs(3);
const AIM_P50_MS: f64 = 3.0;
const AIM_P99_MS: f64 = 8.0;

/// A block that came: its position, and when its last byte was there.
type Arrival = (u64, i64);

/// A listener that notes when blocks come, on a thread of its own, until `end_ns`.
struct Probe(JoinHandle<Vec<Arrival>>);

impl Probe {
    fn start(address: SocketAddr, begin_ns: i64, end_ns: i64) -> Self {
        let stream = rig::ask(address, "/api/audio/stream");
        Self(std::thread::spawn(move || listen(stream, begin_ns, end_ns)))
    }

    fn arrivals(self) -> Vec<Arrival> {
        self.0.join().expect("the probe listened")
    }
}

fn listen(mut stream: TcpStream, begin_ns: i64, end_ns: i64) -> Vec<Arrival> {
    let mut arrivals = Vec::new();
    let mut buffer = vec![0; 64 * 1024];
    let mut pending = Vec::new();
    loop {
        let count = stream.read(&mut buffer).expect("the stream goes on");
        let now_ns = clock::mono_ns();
        assert!(count > 0, "the probe was thrown out");
        if now_ns > end_ns {
            return arrivals;
        }
        pending.extend_from_slice(&buffer[..count]);
        while let Some(end) = pending.windows(2).position(|bytes| bytes == b"\n\n") {
            let event: Vec<u8> = pending.drain(..end + 2).collect();
            arrivals.extend(position(&event).filter(|_| now_ns > begin_ns).map(|at| (at, now_ns)));
        }
    }
}

/// The position that stands at a block's end.
fn position(event: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(event).ok()?;
    let (_, rest) = text.rsplit_once("\"position\":")?;
    rest.split('}').next()?.parse().ok()
}

pub fn run() {
    let listeners = rig::setting("TALAS_BENCH_LISTENERS", 200);
    let seconds = rig::setting("TALAS_BENCH_SECONDS", 20);
    println!(
        "  {listeners} listeners of json, three of them probes: the first, the middle one, the last; {seconds} s"
    );
    let talasd = Talasd::start(&Source::Card);
    let begin_ns = clock::mono_ns() + i64::try_from(WARM_UP.as_nanos()).expect("seconds");
    let end_ns = begin_ns + i64::try_from(seconds).expect("seconds") * clock::NS_PER_S;
    let mut probes = vec![Probe::start(talasd.address, begin_ns, end_ns)];
    let mut crowd = Crowd::new();
    for _ in 0..2 {
        (0..(listeners - 3) / 2).for_each(|_| crowd.join(talasd.address, "/api/audio/stream"));
        probes.push(Probe::start(talasd.address, begin_ns, end_ns));
    }
    let crowd = crowd.in_background();
    let arrivals: Vec<_> = probes.into_iter().map(Probe::arrivals).collect();
    let card = talasd.card.as_ref().expect("a card");
    let (anchor, first) = (card.clock(), card.counters().start_frame);
    let mut all = Vec::new();
    for (name, arrivals) in ["first", "middle", "last"].into_iter().zip(arrivals) {
        check_complete(&arrivals);
        let mut beyond_ms: Vec<f64> = arrivals
            .iter()
            .map(|(position, came_ns)| {
                let whole_ns = anchor.mono_ns_of(first + position + BLOCK_FRAMES, RATE);
                (came_ns - i64::try_from(whole_ns).expect("a time")) as f64 / 1e6
            })
            .collect();
        beyond_ms.sort_by(f64::total_cmp);
        let share = |share| rig::percentile(&beyond_ms, share);
        println!(
            "  {name:<6} p50 {:.2} ms, p99 {:.2} ms, worst {:.2} ms",
            share(0.5),
            share(0.99),
            share(1.0)
        );
        all.append(&mut beyond_ms);
    }
    all.sort_by(f64::total_cmp);
    let (dropped, lost) = talasd.losses();
    println!("  {dropped} blocks dropped, {lost} frames lost");
    drop(crowd);
    report("beyond the block's own length, p50", rig::percentile(&all, 0.5), AIM_P50_MS, "ms");
    report("beyond the block's own length, p99", rig::percentile(&all, 0.99), AIM_P99_MS, "ms");
}

/// A latency of blocks that did not come would be none.
fn check_complete(arrivals: &[Arrival]) {
    let has_hole = arrivals.windows(2).any(|pair| pair[1].0 != pair[0].0 + BLOCK_FRAMES);
    assert!(!has_hole && arrivals.len() > 10, "blocks are missing");
}

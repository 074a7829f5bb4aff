//! What a live listener costs: the processor time of the whole server, per listener and second, beside
//! nginx with nchan on the same payload at the same rate in the same run; and what TLS adds.
//!
//! The reader is one thread with epoll that throws everything away, on the same machine: it takes its
//! share of the cores, so only the server's own time counts. `scripts/bench-fanout.sh` installs the peer
//! and runs this; `TALAS_BENCH_LISTENERS` and `TALAS_BENCH_SECONDS` change the load.

mod rig;

use std::time::{Duration, Instant};

use rig::{BLOCKS_PER_SECOND, Crowd, Nchan, Pair, Publisher, Server, Source, Talasd, shake};

/// Listeners settle for so long before anything counts.
const WARM_UP: Duration = Duration::from_secs(3);

struct Figure {
    /// Milliseconds of processor time per listener and second.
    cost_ms: f64,
    mbit_per_listener: f64,
}

fn measure(server: &Server, crowd: &mut Crowd, time: Duration, mut tick: impl FnMut()) -> Figure {
    crowd.read_for(WARM_UP, &mut tick);
    let (began, cpu) = (Instant::now(), server.cpu_seconds());
    let bytes = crowd.read_for(time, &mut tick);
    let (seconds, cpu) = (began.elapsed().as_secs_f64(), server.cpu_seconds() - cpu);
    let listeners = crowd.len() as f64;
    Figure {
        cost_ms: cpu * 1000.0 / listeners / seconds,
        mbit_per_listener: bytes as f64 * 8.0 / 1e6 / listeners / seconds,
    }
}

fn report(name: &str, figure: &Figure) {
    println!(
        "{name:<14} {:.3} ms of processor time per listener and second, {:.2} Mbit/s each",
        figure.cost_ms, figure.mbit_per_listener
    );
}

/// The same under TLS, and what its listeners notice of a new certificate: nothing.
fn under_tls(listeners: usize, time: Duration, plain: &Figure) {
    let pair = Pair::new();
    let talasd = Talasd::start_with_tls(&Source::Demo, &pair);
    let mut crowd = Crowd::new();
    (0..listeners).for_each(|_| crowd.join_under_tls(talasd.address, "/api/audio/stream", &pair));
    let sealed = measure(&talasd.server, &mut crowd, time, || ());
    report("talasd, TLS", &sealed);
    println!("ratio to plain {:.2}", sealed.cost_ms / plain.cost_ms);
    let other = Pair::new();
    talasd.replace(&other);
    // A listener that is thrown out ends the benchmark.
    crowd.read_for(WARM_UP, || ());
    let shown = shake(talasd.address, &other, &["http/1.1"], rustls::ALL_VERSIONS);
    assert!(shown.is_ok(), "the new certificate is shown");
    println!("               {listeners} listeners stayed while the certificate changed");
}

fn main() {
    rig::raise_descriptor_limit();
    let listeners = rig::setting("TALAS_BENCH_LISTENERS", 500);
    let time = Duration::from_secs(rig::setting("TALAS_BENCH_SECONDS", 15) as u64);
    println!(
        "{listeners} listeners, json, blocks of 1024 frames at 48 kHz, {} s after {} s",
        time.as_secs(),
        WARM_UP.as_secs()
    );
    let talasd = Talasd::start(&Source::Demo);
    let payload = rig::payload(talasd.address);
    let mut crowd = Crowd::connect(talasd.address, "/api/audio/stream", listeners);
    let ours = measure(&talasd.server, &mut crowd, time, || ());
    report("talasd", &ours);
    println!("               {} blocks dropped", talasd.losses().0);
    drop((crowd, talasd));
    under_tls(listeners, time, &ours);
    let Some(nchan) = Nchan::start() else {
        println!(
            "nginx with nchan is not installed: nothing to compare with (scripts/bench-fanout.sh installs it)"
        );
        return;
    };
    let mut publisher = Publisher::new(nchan.address, &payload, BLOCKS_PER_SECOND);
    let mut crowd = Crowd::connect(nchan.address, "/sub", listeners);
    let theirs = measure(&nchan.server, &mut crowd, time, || publisher.tick());
    report("nginx + nchan", &theirs);
    println!("ratio          {:.2}", ours.cost_ms / theirs.cost_ms);
}

//! What a player's listener costs, in processor time and memory, beside Icecast that is fed the same bytes
//! at the same cadence in the same run; and how long a crowd takes that is dropped and comes back.
//!
//! One thread with epoll reads everything and throws it away, on the same machine: only the server's own
//! time counts. From it goes what the server spends on one listener, which is mostly the encoder.
//! `scripts/bench-live.sh` installs the peer and runs this; `TALAS_BENCH_LISTENERS` (a list),
//! `TALAS_BENCH_SECONDS` and `TALAS_BENCH_STORM` change the load.

#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark that cannot go on ends")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Listeners settle for so long before anything counts.
const WARM_UP: Duration = Duration::from_secs(4);
/// Whoever has so much of a stream plays: a second at 128 kbit/s.
const PLAYING_BYTES: usize = 16_000;
/// Where a storm must be over.
const STORM_DEADLINE: Duration = Duration::from_secs(30);

fn setting(name: &str, default: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| default.to_owned())
}

/// A process of ours, ended when dropped.
struct Server {
    child: Child,
    address: SocketAddr,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = kill(self.pid(), Signal::SIGTERM);
        let _ = self.child.wait();
    }
}

impl Server {
    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap())
    }

    fn process(&self) -> procfs::process::Process {
        procfs::process::Process::new(self.pid().as_raw()).unwrap()
    }

    /// Processor time so far, in seconds.
    fn cpu_s(&self) -> f64 {
        let stat = self.process().stat().unwrap();
        (stat.utime + stat.stime) as f64 / procfs::ticks_per_second() as f64
    }

    /// Resident memory, in bytes.
    fn memory(&self) -> u64 {
        self.process().statm().unwrap().resident * procfs::page_size()
    }

    /// A figure of talasd's metrics.
    fn metric(&self, name: &str) -> f64 {
        let mut stream = TcpStream::connect(self.address).unwrap();
        write!(stream, "GET /metrics HTTP/1.0\r\n\r\n").unwrap();
        let mut page = String::new();
        stream.read_to_string(&mut page).unwrap();
        let values =
            page.lines().filter(|line| line.starts_with(name)).filter_map(|line| line.rsplit(' ').next());
        values.map(|value| value.parse::<f64>().unwrap()).sum()
    }
}

/// Many connections, read by one thread.
struct Crowd {
    epoll: Epoll,
    streams: Vec<TcpStream>,
    bytes: Vec<usize>,
    reads: u64,
}

impl Crowd {
    fn connect(address: SocketAddr, path: &str, count: usize) -> Self {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).unwrap();
        let mut crowd = Self { epoll, streams: Vec::new(), bytes: vec![0; count], reads: 0 };
        for number in 0..count {
            let mut stream = TcpStream::connect(address).unwrap();
            write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
            stream.set_nonblocking(true).unwrap();
            crowd.epoll.add(&stream, EpollEvent::new(EpollFlags::EPOLLIN, number as u64)).unwrap();
            crowd.streams.push(stream);
            if number % 64 == 0 {
                crowd.read_for(Duration::ZERO);
            }
        }
        crowd
    }

    /// Reads everything for so long.
    fn read_for(&mut self, time: Duration) {
        self.read_until(Instant::now() + time, |_| false);
    }

    fn read_until(&mut self, end: Instant, is_done: impl Fn(&[usize]) -> bool) -> bool {
        let mut buffer = vec![0_u8; 256 * 1024];
        let mut events = vec![EpollEvent::empty(); 1024];
        loop {
            let ready = self.epoll.wait(&mut events, EpollTimeout::from(1_u8)).unwrap_or(0);
            for event in &events[..ready] {
                let number = usize::try_from(event.data()).unwrap();
                match self.streams[number].read(&mut buffer) {
                    Ok(0) => panic!("listener {number} was thrown out"),
                    Ok(count) => {
                        self.bytes[number] += count;
                        self.reads += 1;
                    }
                    Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock),
                }
            }
            if is_done(&self.bytes) {
                return true;
            }
            if Instant::now() >= end {
                return false;
            }
        }
    }

    fn total(&self) -> usize {
        self.bytes.iter().sum()
    }
}

/// What a crowd costs.
struct Figure {
    cpu_s: f64,
    seconds: f64,
    memory: u64,
    kbit: f64,
    reads: f64,
}

fn measure(server: &Server, path: &str, listeners: usize, time: Duration) -> Figure {
    let mut crowd = Crowd::connect(server.address, path, listeners);
    crowd.read_for(WARM_UP);
    let (began, cpu, bytes, reads) = (Instant::now(), server.cpu_s(), crowd.total(), crowd.reads);
    crowd.read_for(time);
    let seconds = began.elapsed().as_secs_f64();
    let each = listeners as f64 * seconds;
    Figure {
        cpu_s: server.cpu_s() - cpu,
        seconds,
        memory: server.memory(),
        kbit: (crowd.total() - bytes) as f64 * 8.0 / 1000.0 / each,
        reads: (crowd.reads - reads) as f64 / each,
    }
}

/// The cost of a crowd without that of one listener; microseconds for each listener and second.
fn report(name: &str, listeners: usize, one: &Figure, many: &Figure) -> f64 {
    let others = (listeners - 1) as f64;
    let cost_us = (many.cpu_s / many.seconds - one.cpu_s / one.seconds) / others * 1e6;
    let memory = many.memory.saturating_sub(one.memory) as f64 / others / 1000.0;
    println!(
        "{name:<22} {cost_us:>6.1} µs per listener and second, {memory:>5.1} kB each, {:.0} kbit/s, {:.1} reads/s",
        many.kbit, many.reads
    );
    cost_us
}

fn start_talasd(dir: &Path) -> (Server, thread::JoinHandle<u64>) {
    let config = dir.join("talasd.toml");
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/talas-demo.flac");
    let text = format!(
        "http.listen = [\"127.0.0.1:0\"]\ncontrol.socket = {:?}\n\
         access.limits.address = {{ requests_per_s = 1000000, \
         new_streams_per_s = 1000000, streams = 1000000 }}\n[capture.file]\npath = {demo:?}\n\
         [profile.bench]\ncodec = \"mp3\"\nbitrate_kbps = 128\nsample_rate = 44100\n",
        dir.join("talasd.sock")
    );
    fs::write(&config, text).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_talasd"))
        .arg("--config")
        .arg(config)
        .env("STATE_DIRECTORY", dir.join("state"))
        // The daemon takes what begins with TALAS_ for settings of its own.
        .env_remove("TALAS_BENCH_LISTENERS")
        .env_remove("TALAS_BENCH_SECONDS")
        .env_remove("TALAS_BENCH_STORM")
        .env("NO_COLOR", "1")
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    let line = lines.find(|line| line.contains("http_listening")).expect("talasd listens");
    let address = line.split("url=\"http://").nth(1).unwrap().split('"').next().unwrap().parse().unwrap();
    // What it says from here on must be read; encoders that start are counted.
    let starts =
        thread::spawn(move || lines.filter(|line| line.contains("rendition_started")).count() as u64);
    (Server { child, address }, starts)
}

fn start_icecast(dir: &Path) -> Option<Server> {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let config = dir.join("icecast.xml");
    let logs = dir.join("icecast");
    fs::create_dir_all(&logs).unwrap();
    let owner = if nix::unistd::geteuid().is_root() {
        fs::set_permissions(&logs, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
        "<changeowner><user>nobody</user><group>nogroup</group></changeowner>"
    } else {
        ""
    };
    let text = format!(
        "<icecast><limits><clients>20000</clients><sources>2</sources><queue-size>524288</queue-size>\
         <burst-on-connect>1</burst-on-connect><burst-size>16384</burst-size></limits>\
         <authentication><source-password>bench</source-password><admin-user>a</admin-user>\
         <admin-password>bench</admin-password></authentication><hostname>localhost</hostname>\
         <listen-socket><port>{port}</port><bind-address>127.0.0.1</bind-address></listen-socket>\
         <paths><logdir>{0}</logdir><webroot>/usr/share/icecast2/web</webroot>\
         <adminroot>/usr/share/icecast2/admin</adminroot></paths>\
         <logging><errorlog>error.log</errorlog><loglevel>1</loglevel></logging>\
         <security><chroot>0</chroot>{owner}</security></icecast>",
        logs.display()
    );
    fs::write(&config, text).unwrap();
    let child =
        Command::new("icecast2").arg("-c").arg(&config).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let server = Server { child: child.ok()?, address };
    let end = Instant::now() + Duration::from_secs(10);
    while TcpStream::connect(address).is_err() {
        assert!(Instant::now() < end, "icecast does not listen");
        thread::sleep(Duration::from_millis(50));
    }
    Some(server)
}

/// Hands talasd's own stream on to Icecast, group by group, until either ends.
fn feed(from: SocketAddr, to: SocketAddr) {
    let mut source = TcpStream::connect(from).unwrap();
    write!(source, "GET /live/bench.mp3 HTTP/1.0\r\n\r\n").unwrap();
    let mut source = BufReader::new(source);
    let mut line = String::new();
    while source.read_line(&mut line).unwrap() > 2 {
        line.clear();
    }
    let mut sink = TcpStream::connect(to).unwrap();
    sink.set_nodelay(true).unwrap();
    // The name and the password above, in base64.
    let head =
        "SOURCE /bench HTTP/1.0\r\nAuthorization: Basic c291cmNlOmJlbmNo\r\nContent-Type: audio/mpeg\r\n\r\n";
    sink.write_all(head.as_bytes()).unwrap();
    thread::spawn(move || {
        let mut piece = vec![0; 65_536];
        while let Ok(count) = source.read(&mut piece) {
            if count == 0 || sink.write_all(&piece[..count]).is_err() {
                return;
            }
        }
    });
    thread::sleep(Duration::from_secs(2));
}

/// Drops a whole crowd and lets it come back at once.
fn storm(name: &str, server: &Server, path: &str, listeners: usize) {
    let mut crowd = Crowd::connect(server.address, path, listeners);
    crowd.read_for(Duration::from_secs(2));
    drop(crowd);
    let began = Instant::now();
    let mut crowd = Crowd::connect(server.address, path, listeners);
    let connected = began.elapsed();
    let all_play = |bytes: &[usize]| bytes.iter().all(|count| *count >= PLAYING_BYTES);
    let is_over = crowd.read_until(began + STORM_DEADLINE, all_play);
    let took = began.elapsed();
    println!(
        "{name:<22} {listeners} listeners dropped and back: connected after {:.2} s, {} after {:.2} s",
        connected.as_secs_f64(),
        if is_over { "all playing" } else { "NOT all playing" },
        took.as_secs_f64()
    );
}

fn main() {
    let listeners: Vec<usize> = setting("TALAS_BENCH_LISTENERS", "1000,4000")
        .split(',')
        .map(|count| count.parse().unwrap())
        .collect();
    let time = Duration::from_secs(setting("TALAS_BENCH_SECONDS", "8").parse().unwrap());
    let crowd_of_storm: usize = setting("TALAS_BENCH_STORM", "5000").parse().unwrap();
    let dir = std::env::temp_dir().join(format!("talas-bench-{}", std::process::id()));
    fs::create_dir_all(&dir).unwrap();
    println!("MP3, 128 kbit/s, 44.1 kHz stereo; {} s after {} s", time.as_secs(), WARM_UP.as_secs());
    let (talasd, starts) = start_talasd(&dir);
    let icecast = start_icecast(&dir);
    if let Some(icecast) = &icecast {
        feed(talasd.address, icecast.address);
    } else {
        println!("icecast2 is not installed: nothing to compare with (scripts/bench-live.sh installs it)");
    }
    let path = "/live/bench.mp3";
    let one = measure(&talasd, path, 1, time);
    let their_one = icecast.as_ref().map(|icecast| measure(icecast, "/bench", 1, time));
    for listeners in listeners {
        println!("--- {listeners} listeners");
        let many = measure(&talasd, path, listeners, time);
        let ours = report("talasd", listeners, &one, &many);
        if let (Some(icecast), Some(one)) = (&icecast, &their_one) {
            let many = measure(icecast, "/bench", listeners, time);
            let theirs = report("icecast", listeners, one, &many);
            println!("ratio                  {:.2}", ours / theirs);
        }
        let many = measure(&talasd, "/live/bench.mp3?latency=low", listeners, time);
        report("talasd, latency=low", listeners, &one, &many);
    }
    println!("--- storm");
    storm("talasd", &talasd, path, crowd_of_storm);
    let gaps = talasd.metric("talas_capture_gaps_total");
    println!("                       {gaps} capture gaps, {} cut", talasd.metric("talas_live_cut_total"));
    if let Some(icecast) = &icecast {
        storm("icecast", icecast, "/bench", crowd_of_storm);
    }
    drop((icecast, talasd));
    println!("                       encoders started: {}", starts.join().unwrap());
    let _ = fs::remove_dir_all(&dir);
}

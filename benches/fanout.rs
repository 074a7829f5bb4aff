//! What a live listener costs: the processor time of the whole server, per listener and second, beside
//! nginx with nchan on the same payload at the same rate in the same run.
//!
//! The reader is one thread with epoll that throws everything away, on the same machine: it takes its
//! share of the cores, so only the server's own time counts. `scripts/bench-fanout.sh` installs the peer
//! and runs this; `TALAS_BENCH_LISTENERS` and `TALAS_BENCH_SECONDS` change the load.

#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark that cannot go on ends")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

/// Blocks of 1024 frames at 48 kHz.
const BLOCKS_PER_SECOND: f64 = 48_000.0 / 1024.0;
/// Listeners settle for so long before anything counts.
const WARM_UP: Duration = Duration::from_secs(3);

fn setting(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

/// Kills a process of ours when dropped.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        // TERM: nginx takes its workers along.
        let _ = nix::sys::signal::kill(
            nix::unistd::Pid::from_raw(i32::try_from(self.0.id()).unwrap()),
            nix::sys::signal::Signal::SIGTERM,
        );
        let _ = self.0.wait();
    }
}

/// Processor time in seconds of a process and its children.
fn cpu_seconds(pid: u32) -> f64 {
    let ticks = |pid: i32| {
        let stat = procfs::process::Process::new(pid).and_then(|process| process.stat());
        stat.map_or(0, |stat| stat.utime + stat.stime)
    };
    let pid = i32::try_from(pid).unwrap();
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    let of_children: u64 =
        children.split_whitespace().filter_map(|child| child.parse().ok()).map(ticks).sum();
    (ticks(pid) + of_children) as f64 / procfs::ticks_per_second() as f64
}

/// Many connections, read by one thread.
struct Crowd {
    epoll: Epoll,
    streams: Vec<TcpStream>,
}

impl Crowd {
    fn connect(address: SocketAddr, path: &str, count: usize) -> Self {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).unwrap();
        let streams: Vec<TcpStream> = (0..count)
            .map(|n| {
                let mut stream = TcpStream::connect(address).unwrap();
                write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n")
                    .unwrap();
                stream.set_nonblocking(true).unwrap();
                epoll.add(&stream, EpollEvent::new(EpollFlags::EPOLLIN, n as u64)).unwrap();
                stream
            })
            .collect();
        Self { epoll, streams }
    }

    /// Reads everything for so long, calling `tick` about every millisecond; bytes read.
    fn read_for(&mut self, time: Duration, mut tick: impl FnMut()) -> u64 {
        let mut buffer = vec![0_u8; 256 * 1024];
        let mut events = vec![EpollEvent::empty(); 1024];
        let end = Instant::now() + time;
        let mut bytes = 0;
        while Instant::now() < end {
            tick();
            let ready = self.epoll.wait(&mut events, EpollTimeout::from(1_u8)).unwrap_or(0);
            for event in &events[..ready] {
                let stream = &mut self.streams[usize::try_from(event.data()).unwrap()];
                match stream.read(&mut buffer) {
                    Ok(0) => panic!("a listener was thrown out"),
                    Ok(count) => bytes += count as u64,
                    Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock),
                }
            }
        }
        bytes
    }
}

struct Figure {
    /// Milliseconds of processor time per listener and second.
    cost_ms: f64,
    mbit_per_listener: f64,
}

fn measure(pid: u32, crowd: &mut Crowd, time: Duration, mut tick: impl FnMut()) -> Figure {
    crowd.read_for(WARM_UP, &mut tick);
    let (began, cpu) = (Instant::now(), cpu_seconds(pid));
    let bytes = crowd.read_for(time, &mut tick);
    let (seconds, cpu) = (began.elapsed().as_secs_f64(), cpu_seconds(pid) - cpu);
    let listeners = crowd.streams.len() as f64;
    Figure {
        cost_ms: cpu * 1000.0 / listeners / seconds,
        mbit_per_listener: bytes as f64 * 8.0 / 1e6 / listeners / seconds,
    }
}

fn start_talasd(dir: &Path) -> (Server, SocketAddr) {
    let config = dir.join("talasd.toml");
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/talas-demo.flac");
    let text = format!(
        "http.listen = [\"127.0.0.1:0\"]\ncontrol.socket = {:?}\n[capture.file]\npath = {demo:?}\n",
        dir.join("talasd.sock")
    );
    fs::write(&config, text).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_talasd"))
        .arg("--config")
        .arg(config)
        .env("STATE_DIRECTORY", dir.join("state"))
        .env("NO_COLOR", "1")
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    let line = lines.find(|line| line.contains("http_listening")).expect("talasd listens");
    let address = line.split("url=\"http://").nth(1).unwrap().split('"').next().unwrap().parse().unwrap();
    // What it says from here on is thrown away, but must be read.
    std::thread::spawn(move || lines.for_each(drop));
    (Server(child), address)
}

/// The data of one block as talasd sends it: the same payload for both.
fn payload(address: SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET /api/audio/stream HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let block = lines.find(|line| line.starts_with("data: {\"channel_a\"")).expect("a block");
    block["data: ".len()..].to_owned()
}

fn start_nchan(dir: &Path) -> Option<(Server, SocketAddr)> {
    let module = "/usr/lib/nginx/modules/ngx_nchan_module.so";
    if !Path::new(module).exists() {
        return None;
    }
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let config = dir.join("nginx.conf");
    let text = format!(
        "load_module {module};\nworker_processes 2;\ndaemon off;\nerror_log stderr crit;\npid {0}/nginx.pid;\n\
         worker_rlimit_nofile 20000;\nevents {{ worker_connections 16384; }}\n\
         http {{ access_log off; client_body_buffer_size 1m; client_max_body_size 1m;\n\
         client_body_temp_path {0}/body; proxy_temp_path {0}/proxy; fastcgi_temp_path {0}/f; uwsgi_temp_path {0}/u;\n\
         scgi_temp_path {0}/s; keepalive_requests 1000000000;\n\
         server {{ listen 127.0.0.1:{port};\n\
         location /pub {{ nchan_publisher; nchan_channel_id live; nchan_message_buffer_length 94; }}\n\
         location /sub {{ nchan_subscriber eventsource; nchan_channel_id live; nchan_subscriber_first_message newest; }}\n\
         }} }}\n",
        dir.display()
    );
    fs::write(&config, text).unwrap();
    let child = Command::new("nginx").arg("-c").arg(&config).arg("-p").arg(dir).spawn().ok()?;
    let server = Server(child);
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let end = Instant::now() + Duration::from_secs(10);
    while TcpStream::connect(address).is_err() {
        assert!(Instant::now() < end, "nginx does not listen");
        std::thread::sleep(Duration::from_millis(50));
    }
    Some((server, address))
}

/// Publishes the payload at the rate of blocks, on one connection.
struct Publisher {
    stream: TcpStream,
    message: Vec<u8>,
    began: Instant,
    sent: u64,
}

impl Publisher {
    fn new(address: SocketAddr, payload: &str) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        let head = format!(
            "POST /pub HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n",
            payload.len()
        );
        Self {
            stream,
            message: [head.as_bytes(), payload.as_bytes()].concat(),
            began: Instant::now(),
            sent: 0,
        }
    }

    fn tick(&mut self) {
        if self.began.elapsed().as_secs_f64() * BLOCKS_PER_SECOND < self.sent as f64 {
            return;
        }
        self.sent += 1;
        self.stream.write_all(&self.message).unwrap();
        self.stream.set_nonblocking(true).unwrap();
        // Answers are read when they are there; none is waited for.
        let _ = self.stream.read(&mut [0_u8; 4096]);
        self.stream.set_nonblocking(false).unwrap();
    }
}

fn report(name: &str, figure: &Figure) {
    println!(
        "{name:<14} {:.3} ms of processor time per listener and second, {:.2} Mbit/s each",
        figure.cost_ms, figure.mbit_per_listener
    );
}

fn main() {
    let listeners = setting("TALAS_BENCH_LISTENERS", 500);
    let time = Duration::from_secs(setting("TALAS_BENCH_SECONDS", 15) as u64);
    let dir = std::env::temp_dir().join(format!("talas-bench-{}", std::process::id()));
    fs::create_dir_all(&dir).unwrap();
    println!(
        "{listeners} listeners, json, blocks of 1024 frames at 48 kHz, {} s after {} s",
        time.as_secs(),
        WARM_UP.as_secs()
    );
    let (talasd, address) = start_talasd(&dir);
    let payload = payload(address);
    let mut crowd = Crowd::connect(address, "/api/audio/stream", listeners);
    let ours = measure(talasd.0.id(), &mut crowd, time, || ());
    let dropped = {
        let mut stream = TcpStream::connect(address).unwrap();
        write!(stream, "GET /metrics HTTP/1.0\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text.lines()
            .find(|line| line.starts_with("talas_") && line.contains("dropped"))
            .unwrap_or("?")
            .to_owned()
    };
    report("talasd", &ours);
    println!("               {dropped}");
    drop((crowd, talasd));
    if let Some((nginx, address)) = start_nchan(&dir) {
        let mut publisher = Publisher::new(address, &payload);
        let mut crowd = Crowd::connect(address, "/sub", listeners);
        let theirs = measure(nginx.0.id(), &mut crowd, time, || publisher.tick());
        report("nginx + nchan", &theirs);
        println!("ratio          {:.2}", ours.cost_ms / theirs.cost_ms);
    } else {
        println!(
            "nginx with nchan is not installed: nothing to compare with (scripts/bench-fanout.sh installs it)"
        );
    }
    let _ = fs::remove_dir_all(&dir);
}

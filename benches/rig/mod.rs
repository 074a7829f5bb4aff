//! What the whole-program benchmarks share: servers that end with the benchmark, crowds of listeners
//! (`crowd`), the peer (`nchan`), and what the kernel says of a process.

#![allow(
    dead_code,
    unused_imports,
    clippy::unwrap_used,
    missing_docs,
    reason = "each benchmark uses a part of it, and one that cannot go on ends"
)]

mod crowd;
#[path = "../../tests/common/demo.rs"]
mod demo;
mod nchan;
#[path = "../../tests/common/tls_pair.rs"]
mod tls_pair;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use talas_simcard_control::{Card, plugin};
use tempfile::TempDir;

pub use crowd::*;
pub use nchan::*;
pub use tls_pair::*;

/// Frames of a block, by default.
pub const BLOCK_FRAMES: u64 = 1024;
/// Frames per second.
pub const RATE: u32 = 48_000;
/// Blocks of 1024 frames at 48 kHz.
pub const BLOCKS_PER_SECOND: f64 = RATE as f64 / BLOCK_FRAMES as f64;

/// In a configuration, before its tables: limits that a crowd of one address does not meet, and that are
/// looked at all the same.
pub const RAISED: &str =
    "access.limits.address = { requests_per_s = 1000000, new_streams_per_s = 1000000, streams = 1000000 }\n";

/// A number from the environment.
pub fn setting(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

/// Lets this process, and those that it starts, have as many descriptors as the system allows.
pub fn raise_descriptor_limit() {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).unwrap();
}

/// A process that is asked to end when dropped.
pub struct Server(pub Child);

impl Server {
    pub fn pid(&self) -> i32 {
        i32::try_from(self.0.id()).unwrap()
    }

    fn process(&self) -> procfs::process::Process {
        procfs::process::Process::new(self.pid()).unwrap()
    }

    /// Processor time in seconds, that of its children included.
    pub fn cpu_seconds(&self) -> f64 {
        let ticks = |pid: i32| {
            let stat = procfs::process::Process::new(pid).and_then(|process| process.stat());
            stat.map_or(0, |stat| stat.utime + stat.stime)
        };
        let pid = self.pid();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        let of_children: u64 =
            children.split_whitespace().filter_map(|child| child.parse().ok()).map(ticks).sum();
        (ticks(pid) + of_children) as f64 / procfs::ticks_per_second() as f64
    }

    /// Processor time in seconds of one of its threads, to the nanosecond.
    pub fn thread_cpu_seconds(&self, name: &str) -> f64 {
        let mut tasks = self.process().tasks().unwrap().map(Result::unwrap);
        let thread = tasks.find(|task| task.stat().unwrap().comm == name).expect("a thread of this name");
        thread.schedstat().unwrap().sum_exec_runtime as f64 / 1e9
    }

    /// Resident memory in bytes: all, and what no file backs.
    pub fn resident(&self) -> (u64, u64) {
        let status = self.process().status().unwrap();
        (status.vmrss.unwrap() * 1024, status.rssanon.unwrap() * 1024)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // TERM: nginx takes its workers along.
        let _ = kill(Pid::from_raw(self.pid()), Signal::SIGTERM);
        let _ = self.0.wait();
    }
}

/// Where the sound comes from.
pub enum Source {
    /// The recording that is shipped: what text makes of it is what it makes of music and speech.
    Demo,
    /// The simulated card, playing the same recording, in periods of 512 frames (10.7 ms).
    Card,
    /// The same card with a ramp, which it counts instead of reading a file.
    Ramp,
    /// The same card with this in both channels, again and again.
    Noise(Vec<f32>),
}

/// A running daemon, with what it was given.
pub struct Talasd {
    pub server: Server,
    pub address: SocketAddr,
    /// The card, if it is the source.
    pub card: Option<Card>,
    dir: TempDir,
}

impl Talasd {
    /// Starts it and waits until it listens.
    pub fn start(source: &Source) -> Self {
        Self::start_with(source, "")
    }

    /// Starts it with further settings, which stand before the tables of its configuration.
    pub fn start_with(source: &Source, settings: &str) -> Self {
        let (command, card, dir) = Self::command(source);
        let config = dir.path().join("talasd.toml");
        let text = fs::read_to_string(&config).unwrap();
        fs::write(&config, format!("{settings}{text}")).unwrap();
        Self::begin((command, card, dir))
    }

    /// The same under TLS, with this certificate.
    pub fn start_with_tls(source: &Source, pair: &Pair) -> Self {
        let (mut command, card, dir) = Self::command(source);
        pair.put(dir.path());
        for (name, file) in [("TALAS_HTTP__TLS__CERT", CERT), ("TALAS_HTTP__TLS__KEY", KEY)] {
            command.env(name, dir.path().join(file));
        }
        Self::begin((command, card, dir))
    }

    fn begin((mut command, card, dir): (Command, Option<Card>, TempDir)) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let mut said = Vec::new();
        let line = loop {
            let line = lines.next().unwrap_or_else(|| panic!("talasd ended: {said:#?}"));
            if line.contains("http_listening") {
                break line;
            }
            said.push(line);
        };
        let (_, url) = line.split_once("url=\"http").unwrap();
        let address = url.split_once("://").unwrap().1.split('"').next().unwrap();
        // What it says from here on is thrown away, but must be read.
        std::thread::spawn(move || lines.for_each(drop));
        Self { server: Server(child), address: address.parse().unwrap(), card, dir }
    }

    /// How it would be started, with its card and the directory that must outlive it.
    pub fn command(source: &Source) -> (Command, Option<Card>, TempDir) {
        let dir = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_talasd"));
        let (table, card) = match source {
            Source::Demo => (format!("[capture.file]\npath = {:?}\n", demo::demo_path()), None),
            Source::Card | Source::Ramp | Source::Noise(_) => {
                let card = card(dir.path(), source);
                let (name, value) = card.env();
                command.env(name, value);
                ("[capture.alsa]\ndevice = \"talassim\"\n".to_owned(), Some(card))
            }
        };
        let config = dir.path().join("talasd.toml");
        let socket = dir.path().join("talasd.sock");
        let text = format!("http.listen = [\"127.0.0.1:0\"]\ncontrol.socket = {socket:?}\n{RAISED}{table}");
        fs::write(&config, text).unwrap();
        command.arg("--config").arg(config);
        command.env("STATE_DIRECTORY", dir.path().join("state")).env("NO_COLOR", "1");
        command.env_remove("NOTIFY_SOCKET").env_remove("WATCHDOG_USEC");
        // Its settings are the benchmark's affair, and it refuses those that are not its own.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("TALAS_") {
                command.env_remove(name);
            }
        }
        command.stdin(Stdio::null()).stdout(Stdio::null());
        (command, card, dir)
    }

    /// Its control socket.
    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("talasd.sock")
    }

    /// A token of a listener, made over the control socket.
    pub fn token(&self) -> String {
        let mut socket = UnixStream::connect(self.socket()).unwrap();
        let params = "{\"sub\":\"bench\",\"roles\":[\"listener\"],\"for_s\":3600}";
        writeln!(socket, "{{\"id\":1,\"method\":\"token.mint\",\"params\":{params}}}").unwrap();
        // After its greeting.
        let reply = BufReader::new(socket).lines().map_while(Result::ok).nth(1).expect("a reply");
        let reply: serde_json::Value = serde_json::from_str(&reply).unwrap();
        reply["result"]["token"].as_str().unwrap_or_else(|| panic!("{reply}")).to_owned()
    }

    /// A file that it was started with is another one now.
    pub fn replace(&self, pair: &Pair) {
        pair.put(self.dir.path());
    }

    /// A figure of `/metrics`; 0 when it is not there.
    pub fn metric(&self, name: &str) -> f64 {
        let mut stream = TcpStream::connect(self.address).unwrap();
        write!(stream, "GET /metrics HTTP/1.0\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        value.unwrap_or(0.0)
    }

    /// Blocks that listeners missed, and captured frames that were lost.
    pub fn losses(&self) -> (f64, f64) {
        (self.metric("talas_stream_dropped_blocks_total"), self.metric("talas_capture_lost_frames_total"))
    }
}

fn card(dir: &Path, source: &Source) -> Card {
    let plugin = plugin::build().expect("the simulated card builds");
    let builder = Card::builder(dir.join("card")).plugin(&plugin).channels(&[2]);
    let of_16_bits =
        |samples: &[f32]| -> Vec<i16> { samples.iter().map(|sample| (sample * 32_768.0) as i16).collect() };
    let samples = match source {
        // The recording has 16 bits.
        Source::Card => of_16_bits(&demo::demo()),
        Source::Noise(mono) => of_16_bits(mono).into_iter().flat_map(|sample| [sample; 2]).collect(),
        Source::Demo | Source::Ramp => return builder.create().unwrap(),
    };
    builder.samples_s16(&samples).create().unwrap()
}

/// A program of this workspace, built beside the daemon.
pub fn sibling(package: &str) -> PathBuf {
    let built =
        Command::new(env!("CARGO")).args(["build", "--quiet", "--release", "--package", package]).status();
    assert!(built.unwrap().success(), "{package} does not build");
    Path::new(env!("CARGO_BIN_EXE_talasd")).with_file_name(package)
}

/// The value below which such a share of the sorted values lies.
pub fn percentile(sorted: &[f64], share: f64) -> f64 {
    let last = sorted.len() - 1;
    sorted[(last as f64 * share).round() as usize]
}

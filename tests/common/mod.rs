//! The real daemon for whole-program tests: started on port 0 with its own directories, read through
//! real sockets, stopped in order.

#![allow(
    dead_code,
    unused_imports,
    clippy::unwrap_used,
    missing_docs,
    reason = "each test file uses a part of it"
)]

mod card;
mod chromium;
mod demo;
mod exposition;
pub mod h2;
mod http;
mod player;
mod shop;
mod sse;
mod tls;
mod tls_pair;
mod wav;
mod websocket;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

pub use card::*;
pub use chromium::*;
pub use demo::*;
pub use exposition::*;
pub use http::*;
pub use player::*;
pub use shop::*;
pub use sse::*;
pub use tls::*;
pub use tls_pair::*;
pub use wav::*;
pub use websocket::*;

/// Longest time anything in a test may take. Not a target: a bound for a machine under load.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// How a daemon is to be started.
pub struct Setup {
    config: String,
    environment: Vec<(String, String)>,
    /// A program and its arguments that runs the daemon in its own place.
    under: Vec<String>,
    dir: TempDir,
}

impl Setup {
    /// With this source table and settings, beside sockets in a directory of its own.
    pub fn new(config: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { config: config.to_owned(), environment: Vec::new(), under: Vec::new(), dir }
    }

    /// A test tone.
    pub fn tone() -> Self {
        Self::new("[capture.tone]\n")
    }

    /// Sets an environment variable.
    pub fn env(mut self, name: &str, value: impl AsRef<Path>) -> Self {
        self.environment.push((name.to_owned(), value.as_ref().to_str().unwrap().to_owned()));
        self
    }

    /// Lets another program prepare the ground and then become the daemon.
    pub fn under(mut self, program: &[&str]) -> Self {
        self.under = program.iter().map(|&word| word.to_owned()).collect();
        self
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    fn write_config(&self) -> PathBuf {
        let path = self.dir.path().join("talasd.toml");
        let socket = self.dir.path().join("talasd.sock");
        let listen = if self.config.contains("listen") { "" } else { "http.listen = [\"127.0.0.1:0\"]\n" };
        fs::write(&path, format!("{listen}control.socket = {socket:?}\n{}", self.config)).unwrap();
        path
    }

    /// The command that starts it, not yet run.
    pub fn command(&self) -> Command {
        let mut words = self.under.iter().map(String::as_str).chain([env!("CARGO_BIN_EXE_talasd")]);
        let mut command = Command::new(words.next().unwrap());
        command.args(words).arg("--config").arg(self.write_config());
        command.env("STATE_DIRECTORY", self.dir.path().join("state"));
        command.env_remove("NOTIFY_SOCKET").env_remove("WATCHDOG_USEC").env("NO_COLOR", "1");
        if !self.config.contains("buffer_ms") {
            // A machine that stands still for a moment must not lose sound that a test counts on.
            command.env("TALAS_CAPTURE__BUFFER_MS", "5000");
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        command
    }

    /// Starts it and waits until it is ready.
    pub fn start(self) -> Daemon {
        let daemon = self.launch();
        daemon.wait_for_log("event=\"ready\"");
        daemon
    }

    /// Starts it and waits for nothing.
    pub fn launch(self) -> Daemon {
        let mut child = self.command().spawn().unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let reader = collect(child.stderr.take().unwrap(), log.clone());
        Daemon { child, setup: self, log, reader: Some(reader) }
    }

    /// Runs it to its own end.
    pub fn run_to_end(&self) -> Output {
        self.command().output().unwrap()
    }
}

fn collect(stderr: impl std::io::Read + Send + 'static, log: Arc<Mutex<Vec<String>>>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            log.lock().unwrap().push(line);
        }
    })
}

/// A running daemon.
pub struct Daemon {
    child: Child,
    setup: Setup,
    log: Arc<Mutex<Vec<String>>>,
    reader: Option<JoinHandle<()>>,
}

impl Daemon {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn dir(&self) -> &Path {
        self.setup.dir()
    }

    pub fn socket(&self) -> PathBuf {
        self.dir().join("talasd.sock")
    }

    /// Lines of the log so far.
    pub fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    /// Waits for a line that contains `part`.
    pub fn wait_for_log(&self, part: &str) -> String {
        eventually(&format!("a log line with {part}"), || {
            self.log().into_iter().find(|line| line.contains(part))
        })
    }

    /// Lines of the log with this event.
    pub fn events(&self, event: &str) -> Vec<String> {
        let part = format!("event=\"{event}\"");
        self.log().into_iter().filter(|line| line.contains(&part)).collect()
    }

    /// Where HTTP listens.
    pub fn address(&self) -> SocketAddr {
        let line = self.wait_for_log("event=\"http_listening\"");
        let (_, url) = line.split_once("url=\"http").unwrap();
        let (_, url) = url.split_once("://").unwrap();
        url.split('"').next().unwrap().parse().unwrap()
    }

    /// A live stream.
    pub fn stream(&self, query: &str) -> Sse {
        Sse::open(self.address(), &format!("/api/audio/stream{query}"))
    }

    /// `GET` of a JSON document.
    pub fn get(&self, path: &str) -> serde_json::Value {
        let answer = request(self.address(), "GET", path, &[], b"");
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.json()
    }

    /// `GET`, whatever the answer.
    pub fn get_any(&self, path: &str) -> Answer {
        request(self.address(), "GET", path, &[], b"")
    }

    /// `POST /api/audio/control`.
    pub fn control(&self, command: &str) -> Answer {
        request(
            self.address(),
            "POST",
            "/api/audio/control",
            &[("Content-Type", "application/json")],
            command.as_bytes(),
        )
    }

    /// Runs `talasctl` against it.
    pub fn ctl(&self, arguments: &[&str]) -> Output {
        Command::new(talasctl())
            .arg("--socket")
            .arg(self.socket())
            .args(arguments)
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// One request on the control socket, by hand: its whole reply.
    pub fn ask(&self, method: &str, params: &serde_json::Value) -> serde_json::Value {
        let mut socket = BufReader::new(UnixStream::connect(self.socket()).unwrap());
        let request = serde_json::json!({"id": 1, "method": method, "params": params});
        writeln!(socket.get_mut(), "{request}").unwrap();
        let mut lines = socket.lines();
        lines.next().unwrap().unwrap();
        serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap()
    }

    /// `talasctl --json status`.
    pub fn status(&self) -> serde_json::Value {
        let output = self.ctl(&["--json", "status"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Waits until the status satisfies a condition.
    pub fn wait_for_status(
        &self,
        what: &str,
        fits: impl Fn(&serde_json::Value) -> bool,
    ) -> serde_json::Value {
        eventually(what, || Some(self.status()).filter(|status| fits(status)))
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), signal).unwrap();
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> ExitStatus {
        eventually("the daemon's end", || self.child.try_wait().unwrap())
    }

    /// Asks it to stop and waits.
    pub fn stop(&mut self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        let status = self.wait();
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        status
    }

    /// Stops it and starts another one in the same directories.
    pub fn restart(mut self) -> Self {
        assert!(self.stop().success());
        self.start_again()
    }

    /// After its end: starts another one in the same directories.
    pub fn start_again(mut self) -> Self {
        let setup = std::mem::replace(&mut self.setup, Setup::new(""));
        drop(self);
        setup.start()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the daemon's log ---\n{}", self.log().join("\n"));
        }
        // Already ended is fine too.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The control program, built beside the daemon.
pub fn talasctl() -> PathBuf {
    let path = Path::new(env!("CARGO_BIN_EXE_talasd")).with_file_name("talasctl");
    if !path.exists() {
        let profile = if cfg!(debug_assertions) { "dev" } else { "release" };
        // Where the daemon was built, however that was chosen.
        let target = path.ancestors().nth(2).unwrap();
        let built = Command::new(env!("CARGO"))
            .args(["build", "-q", "-p", "talasctl", "--profile", profile, "--target-dir"])
            .arg(target)
            .status();
        assert!(built.unwrap().success());
    }
    path
}

/// Asks again and again until there is an answer.
pub fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

//! What the service manager is told, and what it may ask: readiness, status, reload, watchdog, stopping,
//! inherited sockets. The manager here is the test itself.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;
#[path = "common/stuck.rs"]
mod stuck;

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use common::*;
use nix::sys::signal::Signal;
use nix::time::{ClockId, clock_gettime};
use nix::unistd::mkfifo;
use stuck::stuck_pcm;
use tempfile::TempDir;

/// What systemd and people were promised for the way down.
const DRAIN: Duration = Duration::from_secs(5);

/// The other end of `NOTIFY_SOCKET`.
struct Manager {
    socket: UnixDatagram,
    dir: TempDir,
}

impl Manager {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let socket = UnixDatagram::bind(dir.path().join("notify")).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { socket, dir }
    }

    /// A daemon that reports to it.
    fn watch(&self, setup: Setup) -> Setup {
        setup.env("NOTIFY_SOCKET", self.dir.path().join("notify"))
    }

    /// The assignments of the next datagram.
    fn next(&self) -> Vec<String> {
        let mut bytes = [0; 4096];
        let count = self.socket.recv(&mut bytes).expect("a datagram in time");
        std::str::from_utf8(&bytes[..count]).unwrap().lines().map(str::to_owned).collect()
    }

    /// The next datagram with this assignment, and those before it.
    fn until(&self, assignment: &str) -> (Vec<String>, Vec<Vec<String>>) {
        let mut before = Vec::new();
        let deadline = Instant::now() + PATIENCE;
        loop {
            let datagram = self.next();
            if datagram.iter().any(|line| line == assignment) {
                return (datagram, before);
            }
            before.push(datagram);
            assert!(Instant::now() < deadline, "waited in vain for {assignment}: {before:?}");
        }
    }

    /// Everything that has come meanwhile.
    fn meanwhile(&self) -> Vec<String> {
        self.socket.set_nonblocking(true).unwrap();
        let mut heard = Vec::new();
        let mut bytes = [0; 4096];
        while let Ok(count) = self.socket.recv(&mut bytes) {
            heard.extend(std::str::from_utf8(&bytes[..count]).unwrap().lines().map(str::to_owned));
        }
        self.socket.set_nonblocking(false).unwrap();
        heard
    }
}

/// A daemon whose card never answers: opening hangs while nobody has the pipe open for writing, then
/// reading does.
fn stuck_setup(manager: &Manager) -> Setup {
    let pipe = manager.dir.path().join("pipe");
    mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let config = manager.dir.path().join("asound.conf");
    let definition = stuck_pcm(pipe.to_str().unwrap());
    fs::write(&config, format!("</usr/share/alsa/alsa.conf>\n{definition}")).unwrap();
    manager.watch(Setup::new("[capture.alsa]\ndevice = \"stuck\"\n")).env("ALSA_CONFIG_PATH", config)
}

#[test]
fn ready_is_told_when_everything_works_and_stopping_at_the_end() {
    let manager = Manager::new();
    let mut daemon = manager.watch(Setup::tone()).launch();
    let (ready, before) = manager.until("READY=1");
    assert_eq!(ready, ["READY=1", "STATUS=running"]);
    assert!(before.iter().flatten().all(|line| line.starts_with("STATUS=")), "{before:?}");
    assert_eq!(daemon.get_any("/readyz").status, 200);
    assert_eq!(daemon.status()["state"], "running");
    assert!(daemon.stop().success());
    assert_eq!(manager.next(), ["STOPPING=1", "STATUS=stopping"]);
    assert_eq!(manager.meanwhile(), [""; 0]);
}

#[test]
fn a_source_that_is_not_there_is_no_reason_to_wait() {
    let manager = Manager::new();
    let began = Instant::now();
    let setup = Setup::new("[capture.alsa]\ndevice = \"hw:CARD=nosuchcard\"\n");
    let _daemon = manager.watch(setup).launch();
    let (ready, _) = manager.until("READY=1");
    assert!(ready[1].starts_with("STATUS=absent: "), "{ready:?}");
    assert!(began.elapsed() < Duration::from_millis(1900), "{:?}", began.elapsed());
}

#[test]
fn the_status_follows_the_state_and_a_restart_is_ready_in_it() {
    let manager = Manager::new();
    let daemon = manager.watch(Setup::tone()).launch();
    manager.until("READY=1");
    assert_eq!(daemon.control(r#"{"action": "pause"}"#).status, 200);
    assert_eq!(manager.next(), ["STATUS=paused"]);
    let mut daemon = daemon.restart();
    let (ready, _) = manager.until("READY=1");
    assert_eq!(ready, ["READY=1", "STATUS=paused"]);
    assert_eq!(daemon.control(r#"{"action": "resume"}"#).status, 200);
    manager.until("STATUS=running");
    assert!(daemon.stop().success());
}

#[test]
fn a_reload_is_told_in_one_datagram_and_then_its_end() {
    let manager = Manager::new();
    let daemon = manager.watch(Setup::tone()).launch();
    manager.until("READY=1");
    let now_us = || {
        let now = Duration::from(clock_gettime(ClockId::CLOCK_MONOTONIC).unwrap());
        u64::try_from(now.as_micros()).unwrap()
    };
    let config = daemon.dir().join("talasd.toml");
    let good = fs::read_to_string(&config).unwrap();
    for (text, event) in
        [(good.clone(), "reloaded"), ("nonsense".to_owned(), "reload_failed"), (good, "reloaded")]
    {
        fs::write(&config, text).unwrap();
        let before_us = now_us();
        daemon.signal(Signal::SIGHUP);
        let told = manager.next();
        assert_eq!(told[0], "RELOADING=1");
        let time_us: u64 = told[1].strip_prefix("MONOTONIC_USEC=").unwrap().parse().unwrap();
        assert!((before_us..=now_us()).contains(&time_us), "{before_us} {time_us}");
        assert_eq!(told.len(), 2);
        assert_eq!(manager.next(), ["READY=1", "STATUS=running"], "the status is the state's again");
        daemon.wait_for_log(&format!("event=\"{event}\""));
    }
}

#[test]
fn the_watchdog_is_fed_while_every_thread_turns() {
    let manager = Manager::new();
    let _daemon = manager.watch(Setup::tone()).env("WATCHDOG_USEC", "3000000").launch();
    manager.until("READY=1");
    for _ in 0..4 {
        let began = Instant::now();
        manager.until("WATCHDOG=1");
        // Half of its time is what systemd advises.
        assert!(began.elapsed() < Duration::from_millis(1500), "{:?}", began.elapsed());
    }
}

#[test]
fn nobody_feeds_a_watchdog_that_is_not_there() {
    let manager = Manager::new();
    let _daemon = manager.watch(Setup::tone()).launch();
    manager.until("READY=1");
    thread::sleep(Duration::from_millis(2500));
    assert_eq!(manager.meanwhile(), [""; 0]);
}

#[test]
fn a_card_that_hangs_in_a_read_starves_the_watchdog_and_does_not_hold_up_the_end() {
    let manager = Manager::new();
    let setup = stuck_setup(&manager).env("WATCHDOG_USEC", "3000000");
    // A writer that writes nothing.
    let pipe = fs::File::options().read(true).write(true).open(manager.dir.path().join("pipe")).unwrap();
    let mut daemon = setup.launch();
    manager.until("WATCHDOG=1");
    let line = daemon.wait_for_log("event=\"thread_hangs\"");
    assert!(line.contains("thread=\"capture\""), "{line}");
    manager.meanwhile();
    thread::sleep(Duration::from_millis(2500));
    assert_eq!(manager.meanwhile(), [""; 0]);
    assert_eq!(daemon.events("thread_hangs").len(), 1, "told once");
    assert_ne!(daemon.get_any("/readyz").status, 200);
    let began = Instant::now();
    assert!(daemon.stop().success());
    assert!(began.elapsed() < DRAIN, "{:?}", began.elapsed());
    drop(pipe);
}

#[test]
fn a_card_that_hangs_in_open_is_waited_for_two_seconds_and_no_longer() {
    let manager = Manager::new();
    let setup = stuck_setup(&manager);
    let began = Instant::now();
    let mut daemon = setup.launch();
    let (ready, _) = manager.until("READY=1");
    assert_eq!(ready, ["READY=1", "STATUS=starting"]);
    let took = began.elapsed();
    assert!((2000..4000).contains(&took.as_millis()), "{took:?}");
    // There is no watchdog, and it is told all the same.
    let line = daemon.wait_for_log("event=\"thread_hangs\"");
    assert!(line.contains("thread=\"keeper\""), "{line}");
    // The first signal waits for the thread in vain; the second one waits for nothing.
    daemon.signal(Signal::SIGTERM);
    manager.until("STOPPING=1");
    let began = Instant::now();
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait().code(), Some(1));
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
}

/// A listener that asked for the stream, and reads nothing of it yet.
fn listener(address: SocketAddr) -> TcpStream {
    let socket = socket2::Socket::new(socket2::Domain::for_address(address), socket2::Type::STREAM, None);
    let socket = socket.unwrap();
    // A small buffer is soon full.
    socket.set_recv_buffer_size(4096).unwrap();
    socket.connect(&address.into()).unwrap();
    let mut stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET /api/audio/stream HTTP/1.1\r\nHost: {address}\r\n\r\n").unwrap();
    stream
}

/// A daemon with so many listeners that read, and one that does not and whose buffers are full.
fn with_listeners(manager: &Manager, reading: usize) -> (Daemon, Vec<thread::JoinHandle<String>>, TcpStream) {
    let daemon = manager.watch(Setup::tone()).launch();
    manager.until("READY=1");
    let address = daemon.address();
    let never_reads = listener(address);
    let readers = (0..reading)
        .map(|_| {
            let mut stream = listener(address);
            thread::spawn(move || {
                let mut bytes = Vec::new();
                stream.read_to_end(&mut bytes).expect("an end, not a reset");
                String::from_utf8(bytes).unwrap()
            })
        })
        .collect();
    daemon.wait_for_status("all listeners", |status| status["listeners"]["sse"] == reading + 1);
    thread::sleep(Duration::from_secs(2));
    (daemon, readers, never_reads)
}

#[test]
fn twenty_listeners_are_told_goodbye_within_five_seconds() {
    let manager = Manager::new();
    let (mut daemon, readers, never_reads) = with_listeners(&manager, 19);
    let began = Instant::now();
    assert!(daemon.stop().success());
    assert!(began.elapsed() < DRAIN, "{:?}", began.elapsed());
    assert_eq!(manager.next(), ["STOPPING=1", "STATUS=stopping"]);
    for reader in readers {
        let text = reader.join().unwrap();
        let (_, last) = text.rsplit_once("event: ").unwrap();
        assert!(last.starts_with("state\n") && last.contains(r#""state":"stopping""#), "{last}");
        assert!(last.ends_with("\r\n0\r\n\r\n"), "the body has its end: {last:?}");
    }
    assert!(daemon.log().last().unwrap().contains("event=\"stopped\""));
    drop(never_reads);
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let manager = Manager::new();
    let (mut daemon, _readers, never_reads) = with_listeners(&manager, 0);
    daemon.signal(Signal::SIGTERM);
    manager.until("STOPPING=1");
    // Somebody takes nothing: the daemon waits, until it is told not to.
    thread::sleep(Duration::from_millis(500));
    let began = Instant::now();
    daemon.signal(Signal::SIGINT);
    assert_eq!(daemon.wait().code(), Some(1));
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    drop(never_reads);
}

#[test]
fn inherited_sockets_replace_the_configured_ones() {
    let manager = Manager::new();
    let setup = manager.watch(Setup::tone());
    let http = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = http.local_addr().unwrap();
    let path = setup.dir().join("inherited.sock");
    let control = UnixListener::bind(&path).unwrap();

    // The shell puts the sockets where a service manager does, and has the daemon's process id.
    let script = "exec 3<&0 4>&1 </dev/null >/dev/null
        LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=http:control exec \"$@\"";
    let daemon = setup.command();
    let environment = daemon.get_envs().filter_map(|(name, value)| Some((name, value?)));
    let mut activated = Command::new("sh")
        .args(["-c", script, "sh"])
        .arg(daemon.get_program())
        .args(daemon.get_args())
        .envs(environment)
        .stdin(Stdio::from(OwnedFd::from(http)))
        .stdout(Stdio::from(OwnedFd::from(control)))
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    manager.until("READY=1");
    let served = request(address, "GET", "/healthz", &[], b"").status;
    let status = Command::new(talasctl()).arg("--socket").arg(&path).arg("status").output().unwrap();
    let pid = nix::unistd::Pid::from_raw(i32::try_from(activated.id()).unwrap());
    nix::sys::signal::kill(pid, Signal::SIGTERM).unwrap();
    let mut log = String::new();
    activated.stderr.take().unwrap().read_to_string(&mut log).unwrap();
    assert!(activated.wait().unwrap().success(), "{log}");

    assert_eq!(served, 200, "{log}");
    assert!(status.status.success(), "{log}");
    let warning = log.lines().find(|line| line.contains("event=\"listen_replaced\"")).expect(&log);
    assert!(warning.contains("WARN") && warning.contains(&address.to_string()), "{warning}");
    assert!(!setup.dir().join("talasd.sock").exists(), "the configured one is not made");
    assert!(path.exists(), "what is inherited is not the daemon's to remove");
}

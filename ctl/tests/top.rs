//! `top` on a terminal of the kernel's: what it asks, that keys and sizes arrive, and that the terminal
//! is given back however it ends.

mod support;

use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use support::pty::{Pty, on_terminal};
use support::{FOREVER, HELLO, Talk, run};
use tempfile::TempDir;

const STATUS: &str = r#"{"state":"running","reason":null,"since_ms":0,"version":"0.1.0","uptime_seconds":3600,"source":{"kind":"alsa","name":"hw:0","state":"running","reason":null,"since_ms":0},"capture":{"sample_rate":48000,"format":"S16_LE","channels":2,"period_frames":256,"buffer_frames":4096,"captured_samples":1,"overruns":0,"suspends":0,"stalls":0,"unplugs":0,"lost_samples":0,"ring_dropped_samples":0,"filler_samples":0,"nonfinite_samples":0,"drift_ppm":null,"realtime":"fifo","ring_peak":0.03},"gaps":{"total":0,"last":null},"renditions":[],"listeners":{"sse":1,"live":0,"websocket":0,"http":1},"quality":{"profile":"high","scale":1.0},"disk":{"state_dir":"/var/lib/talas","writable":true,"free_bytes":1},"warnings":[]}"#;
const METERS: &str = r#"{"timestamp_ms":1,"channels":[{"rms_dbfs":-30.0,"peak_dbfs":-12.0,"clipped":0}]}"#;
const CONNECTIONS: &str = r#"{"connections":[{"id":"01a1f8d8-85df","user_id":null,"ip_address":"192.0.2.7","user_agent":"VLC","connected_at":"2026-01-01T00:00:00Z","last_heartbeat":"2026-01-01T00:00:00Z","frames_sent":1,"bytes_sent":2,"errors_count":0}],"next":null,"total":1}"#;

/// A daemon that takes any number of connections and answers what `top` asks.
struct House {
    _dir: TempDir,
    socket: PathBuf,
    /// Orders, as they came.
    orders: mpsc::Receiver<String>,
    open: Arc<Mutex<Vec<UnixStream>>>,
}

impl House {
    fn open() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let socket = dir.path().join("talasd.sock");
        let listener = UnixListener::bind(&socket).expect("a socket");
        let (told, orders) = mpsc::channel();
        let open = Arc::new(Mutex::new(Vec::new()));
        let streams = Arc::clone(&open);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.expect("a client");
                streams.lock().expect("not poisoned").push(stream.try_clone().expect("a clone"));
                let told = told.clone();
                std::thread::spawn(move || serve(stream, &told));
            }
        });
        Self { _dir: dir, socket, orders, open }
    }

    /// Every conversation ends.
    fn hang_up(&self) {
        for stream in self.open.lock().expect("not poisoned").drain(..) {
            // It may have ended already.
            let _ = stream.shutdown(std::net::Shutdown::Both);
        }
    }
}

fn serve(stream: UnixStream, orders: &mpsc::Sender<String>) {
    let mut talk = Talk::new(stream);
    talk.say(HELLO);
    while let Some(line) = talk.hear() {
        let request: serde_json::Value = serde_json::from_str(&line).expect("a request");
        let more = if request["more"] == true { r#","more":true"# } else { "" };
        let result = match request["method"].as_str().expect("a method") {
            "status" => STATUS,
            "meters" => METERS,
            "connections" => CONNECTIONS,
            _ => {
                orders.send(line.trim_end().to_owned()).expect("the test listens");
                "{}"
            }
        };
        talk.say(&format!(r#"{{"id":{},"result":{result}{more}}}"#, request["id"]));
    }
}

fn side(cells: u16) -> NonZeroU16 {
    NonZeroU16::new(cells).expect("a terminal has cells")
}

/// `top` on a terminal.
struct Top {
    pty: Pty,
    child: Child,
    cooked: [libc::tcflag_t; 4],
    seen: mpsc::Receiver<Vec<u8>>,
    /// All that was written.
    written: Vec<u8>,
    /// What it looks like.
    screen: vt100::Parser,
}

impl Top {
    fn start(house: &House) -> Self {
        let mut pty = Pty::open(90, 24);
        let cooked = pty.modes();
        let mut command = Command::new(env!("CARGO_BIN_EXE_talasctl"));
        command.env_clear().env("TERM", "xterm").arg("--socket").arg(&house.socket).arg("top");
        let child = on_terminal(&mut command, &mut pty).spawn().expect("talasctl runs");
        drop(command);
        let mut reader = pty.ours.try_clone().expect("another handle");
        let (saw, seen) = mpsc::channel();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            // The kernel tells the end of a terminal as an error.
            while let Ok(length @ 1..) = reader.read(&mut bytes) {
                if saw.send(bytes[..length].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self {
            pty,
            child,
            cooked,
            seen,
            written: Vec::new(),
            screen: vt100::Parser::new(side(24), side(90), 0),
        }
    }

    /// Waits until the screen looks as it should.
    #[track_caller]
    fn wait_until(&mut self, looks_so: impl Fn(&str) -> bool) {
        let deadline = Instant::now() + FOREVER;
        while !looks_so(&self.screen.screen().contents()) {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.seen.recv_timeout(left) {
                Ok(bytes) => self.take(&bytes),
                Err(_) => panic!("not to be seen in\n{}", self.screen.screen().contents()),
            }
        }
    }

    /// Waits until the screen shows this.
    #[track_caller]
    fn wait_for(&mut self, text: &str) {
        self.wait_until(|screen| screen.contains(text));
    }

    fn take(&mut self, bytes: &[u8]) {
        self.screen.process(bytes);
        self.written.extend_from_slice(bytes);
    }

    fn type_keys(&mut self, keys: &str) {
        self.pty.ours.write_all(keys.as_bytes()).expect("typed");
    }

    #[expect(unsafe_code, reason = "the standard library sends no signals but SIGKILL")]
    fn signal(&self, signal: libc::c_int) {
        let pid = libc::pid_t::try_from(self.child.id()).expect("a process id");
        // SAFETY: the process is our child and was not waited for.
        assert_eq!(unsafe { libc::kill(pid, signal) }, 0, "signalled");
    }

    /// Waits for the end, and asserts that the terminal is as it was.
    #[track_caller]
    fn end(mut self) -> (ExitStatus, String) {
        let status = self.child.wait().expect("it ends");
        assert_eq!(self.pty.modes(), self.cooked, "the terminal's modes");
        self.pty.close_theirs();
        while let Ok(bytes) = self.seen.recv_timeout(Duration::from_secs(10)) {
            self.take(&bytes);
        }
        let text = String::from_utf8_lossy(&self.written).into_owned();
        let entered = text.find("\x1b[?1049h").expect("the alternate screen was entered");
        let left = text.rfind("\x1b[?1049l").expect("and left");
        assert!(entered < left);
        assert!(!self.screen.screen().hide_cursor(), "the cursor is shown: {:?}", &text[left..]);
        (status, text)
    }
}

#[test]
fn it_shows_and_leaves_by_a_key() {
    let house = House::open();
    let mut top = Top::start(&house);
    for text in ["running for", "ALSA hw:0", "-30.0", "1 listener", "192.0.2.7", "quit"] {
        top.wait_for(text);
    }
    assert_ne!(top.pty.modes(), top.cooked, "keys come one by one");
    top.type_keys("q");
    let (status, _) = top.end();
    assert_eq!(status.code(), Some(0));
    assert!(house.orders.try_recv().is_err(), "looking changes nothing");
}

#[test]
fn ctrl_c_and_signals_give_the_terminal_back() {
    let house = House::open();
    let mut top = Top::start(&house);
    top.wait_for("quit");
    top.type_keys("\x03");
    assert_eq!(top.end().0.code(), Some(0));
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP] {
        let mut top = Top::start(&house);
        top.wait_for("quit");
        top.signal(signal);
        assert_eq!(top.end().0.code(), Some(0), "signal {signal}");
    }
}

#[test]
fn a_kick_and_a_pause_are_ordered_after_a_yes() {
    let house = House::open();
    let mut top = Top::start(&house);
    top.wait_for("192.0.2.7");
    top.type_keys("\x1b[Bk");
    top.wait_for("? ");
    top.type_keys("n");
    top.wait_for("nothing was done");
    top.type_keys("k");
    top.wait_for("any other key no");
    top.type_keys("y");
    let kick = house.orders.recv_timeout(FOREVER).expect("an order");
    assert!(kick.ends_with(r#""method":"connections.kick","params":{"id":"01a1f8d8-85df"}}"#), "{kick}");
    top.wait_for("kicked 01a1f8d8-85df");
    top.type_keys("py");
    let pause = house.orders.recv_timeout(FOREVER).expect("an order");
    assert!(pause.ends_with(r#""method":"capture.pause"}"#), "{pause}");
    top.type_keys("q");
    assert_eq!(top.end().0.code(), Some(0));
}

#[test]
fn another_size_is_drawn_anew() {
    let house = House::open();
    let mut top = Top::start(&house);
    top.wait_for("quit");
    assert!(!top.screen.screen().contents().contains("SENT"), "ninety columns have no room for it");
    top.pty.resize(130, 30);
    top.screen.screen_mut().set_size(side(30), side(130));
    top.wait_for("SENT");
    top.type_keys("q");
    assert_eq!(top.end().0.code(), Some(0));
}

#[test]
fn what_has_not_changed_is_not_written_again() {
    let house = House::open();
    let mut top = Top::start(&house);
    top.wait_for("VLC");
    std::thread::sleep(Duration::from_millis(2500));
    top.type_keys("q");
    let (_, text) = top.end();
    assert_eq!(text.matches("hw:0").count(), 1, "{text:?}");
    assert!(!text.contains("\x1b[2J"), "nothing was cleared: {text:?}");
}

#[test]
fn a_daemon_that_comes_back_is_found_again() {
    let house = House::open();
    let mut top = Top::start(&house);
    top.wait_for("192.0.2.7");
    house.hang_up();
    top.wait_for("trying again");
    top.wait_until(|screen| screen.contains("192.0.2.7") && !screen.contains("trying again"));
    top.type_keys("q");
    assert_eq!(top.end().0.code(), Some(0));
}

#[test]
fn without_a_terminal_or_for_programs_it_is_wrong_usage() {
    let house = House::open();
    let output = run(&house.socket, &["top"]);
    assert_eq!(output.status.code(), Some(2));
    let said = "talasctl: top needs a terminal\nhint: elsewhere: talasctl status\n";
    assert_eq!(String::from_utf8_lossy(&output.stderr), said);
    let output = run(&house.socket, &["top", "--json"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("talasctl: top is for people"));
}

#[test]
fn nobody_there_is_told_on_a_plain_screen() {
    let mut pty = Pty::open(90, 24);
    let mut command = Command::new(env!("CARGO_BIN_EXE_talasctl"));
    command.env_clear().env("TERM", "xterm").args(["--socket", "/nonexistent/talasd.sock", "top"]);
    let mut child = on_terminal(&mut command, &mut pty).spawn().expect("talasctl runs");
    drop(command);
    assert_eq!(child.wait().expect("it ends").code(), Some(3));
    pty.close_theirs();
    let mut bytes = Vec::new();
    let _ = pty.ours.read_to_end(&mut bytes);
    let text = String::from_utf8_lossy(&bytes);
    assert!(text.starts_with("talasctl: there is no socket /nonexistent/talasd.sock\r\n"), "{text:?}");
    assert!(!text.contains("\x1b[?1049h"), "{text:?}");
}

//! A fake daemon and the real `talasctl`.
//!
//! The daemon is a thread that takes one connection and follows a script; what it was asked is
//! compared as text, so that the tests hold the wire and not merely our own types.

// Each test file is a crate of its own and uses what it needs.
#![allow(dead_code)]

pub mod pty;

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::mpsc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tempfile::TempDir;

/// A hello of the protocol's present version.
pub const HELLO: &str = r#"{"hello":"talasd","version":"0.1.0","proto":[1,0],"level":"read"}"#;

/// Far beyond what any step takes: a test that waits for so long has failed.
pub const FOREVER: Duration = Duration::from_secs(60);

/// The fake daemon.
pub struct Daemon {
    /// Holds the socket; removed at the end.
    _dir: TempDir,
    /// Where it listens.
    pub socket: PathBuf,
    asked: mpsc::Receiver<Vec<String>>,
}

impl Daemon {
    /// Takes one connection and follows the script.
    pub fn start(script: impl FnOnce(&mut Talk) + Send + 'static) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let socket = dir.path().join("talasd.sock");
        let listener = UnixListener::bind(&socket).expect("a socket");
        let (done, asked) = mpsc::channel();
        std::thread::spawn(move || {
            let (stream, _) = listener.accept().expect("a client");
            let mut talk = Talk::new(stream);
            script(&mut talk);
            // The test may not care what was asked.
            let _ = done.send(talk.asked);
        });
        Self { _dir: dir, socket, asked }
    }

    /// Says hello and answers each request with the next of these results.
    pub fn answering(results: &[&str]) -> Self {
        let results: Vec<String> = results.iter().map(|&result| result.to_owned()).collect();
        Self::start(move |talk| {
            talk.say(HELLO);
            for (result, id) in results.iter().zip(1..) {
                talk.listen();
                talk.say(&format!(r#"{{"id":{id},"result":{result}}}"#));
            }
        })
    }

    /// Says hello and answers the first request with this error.
    pub fn refusing(code: &str, message: &str) -> Self {
        let error = format!(r#"{{"id":1,"error":{{"code":"{code}","message":"{message}"}}}}"#);
        Self::start(move |talk| {
            talk.say(HELLO);
            talk.listen();
            talk.say(&error);
        })
    }

    /// The request lines, once the script has ended.
    pub fn asked(&self) -> Vec<String> {
        self.asked.recv_timeout(FOREVER).expect("the fake daemon's script ends")
    }
}

/// The fake daemon's side of a connection.
pub struct Talk {
    stream: BufReader<UnixStream>,
    asked: Vec<String>,
}

impl Talk {
    /// The daemon's side of this connection.
    pub fn new(stream: UnixStream) -> Self {
        Self { stream: BufReader::new(stream), asked: Vec::new() }
    }

    /// Sends a line. The client may be gone: that is the test's to judge.
    pub fn say(&mut self, line: &str) {
        self.send(&format!("{line}\n"));
    }

    /// Sends these characters; says whether anybody is there to take them.
    pub fn send(&mut self, text: &str) -> bool {
        self.stream.get_mut().write_all(text.as_bytes()).is_ok()
    }

    /// Waits for a line of the client, or its end.
    pub fn listen(&mut self) {
        self.hear();
    }

    /// The client's next line; `None` at its end.
    pub fn hear(&mut self) -> Option<String> {
        let mut line = String::new();
        let heard = self.stream.read_line(&mut line).is_ok_and(|length| length > 0);
        heard.then(|| {
            self.asked.push(line.clone());
            line
        })
    }
}

/// `talasctl` against this socket, in an environment of its own, a hundred columns wide.
pub fn talasctl(socket: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_talasctl"));
    command.env_clear().env("COLUMNS", "100").arg("--socket").arg(socket).args(args);
    command
}

/// Runs `talasctl` to its end.
pub fn run(socket: &Path, args: &[&str]) -> Output {
    talasctl(socket, args).output().expect("talasctl runs")
}

/// Asserts the exit code and the whole of both outputs.
#[track_caller]
pub fn assert_output(output: &Output, code: i32, stdout: &str, stderr: &str) {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(err, stderr, "standard error; standard output was:\n{out}");
    assert_eq!(out, stdout, "standard output");
    assert_eq!(output.status.code(), Some(code), "exit code");
}

/// The time so many hours ago, and half an hour more: texts show whole hours, and no test takes
/// half an hour.
pub fn hours_ago_ms(hours: u64) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    (now - hours * 3600 - 1800) * 1000
}

//! The client of the control socket: connect, read the hello, ask, watch.
//!
//! In here: the protocol. Not in here: which questions there are (`call`), what answers look like
//! (`show`), and the cap and deadline on a line (`lines`).
//!
//! Nothing the daemon sends is trusted: its lines are capped, its answers belong to our question or
//! end the connection, and a whole answer is due by one deadline, however slowly its bytes trickle.

use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;
use talas_wire::{ErrorBody, Hello, LaggedNotice, PROTO, Request};

use crate::call::Call;
use crate::error::{Error, Kind, Result};
use crate::interrupt::Interrupt;
use crate::lines::{Lines, MAX_REPLY_BYTES, Turn};

/// Characters of a line that is not the protocol's, shown to say what was there instead.
const EXCERPT_CHARS: usize = 60;

/// A connection to the daemon.
#[derive(Debug)]
pub struct Client {
    stream: UnixStream,
    lines: Lines,
    hello: Hello,
    patience: Duration,
    last_id: u64,
}

/// What the daemon answered, as its own bytes.
#[derive(Debug, Clone)]
pub struct Answer(Box<RawValue>);

/// A reply line. The result stays unread here: `--json` passes it on as it came.
#[derive(Deserialize)]
struct Envelope<'a> {
    id: u64,
    #[serde(default, borrow)]
    result: Option<&'a RawValue>,
    error: Option<ErrorBody>,
    #[serde(default)]
    more: bool,
}

/// What every major version's hello has.
#[derive(Deserialize)]
struct Greeting {
    hello: String,
    #[serde(default)]
    version: String,
    proto: [u32; 2],
}

impl Answer {
    /// The object as JSON on one line.
    pub fn json(&self) -> &str {
        self.0.get()
    }

    /// The object as a type.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_str(self.json()).map_err(|error| {
            Error::new(Kind::Protocol, format!("the daemon's answer is not what was expected: {error}"))
                .hint("are talasd and talasctl of the same version? --json shows the answer as it is")
        })
    }
}

impl Client {
    /// Connects and reads the hello; each of the two may take `patience`.
    pub fn connect(path: &Path, patience: Duration) -> Result<Self> {
        let stream = connect_within(path, patience)?;
        let reader = stream.try_clone().map_err(|error| lost(&error))?;
        let mut lines = Lines::new(reader);
        let line = match lines.next(Some(Instant::now() + patience)) {
            Ok(Turn::Line(line)) => line,
            Ok(Turn::Closed) => {
                return Err(Error::new(
                    Kind::Unreachable,
                    format!("{} closed the connection without a word", path.display()),
                )
                .hint("is talasd starting or stopping? systemctl status talasd"));
            }
            other => return Err(no_line(other, patience)),
        };
        let hello = read_hello(&line)?;
        Ok(Self { stream, lines, hello, patience, last_id: 0 })
    }

    /// How the daemon greeted.
    pub fn hello(&self) -> &Hello {
        &self.hello
    }

    /// Asks, and waits for the answer.
    pub fn ask(&mut self, call: &Call) -> Result<Answer> {
        self.send(call, false)?;
        match self.receive(Some(Instant::now() + self.patience)) {
            Ok(Some(reply)) => Ok(reply.answer),
            Ok(None) => Err(closed()),
            Err(error) => Err(error),
        }
    }

    /// Asks for a snapshot and all changes that follow. From here on Ctrl-C ends the watch.
    pub fn watch(self, call: &Call) -> Result<Watch> {
        let handle = self.stream.try_clone().map_err(|error| lost(&error))?;
        let interrupt = Interrupt::closing(handle).map_err(|error| lost(&error))?;
        Ok(Watch { interrupt: Some(interrupt), ..self.follow(call)? })
    }

    /// The same for a watch among others: signals are somebody else's business.
    pub fn follow(mut self, call: &Call) -> Result<Watch> {
        self.send(call, true)?;
        let first_due = Some(Instant::now() + self.patience);
        Ok(Watch { client: self, interrupt: None, first_due, ended: false })
    }

    fn send(&mut self, call: &Call, more: bool) -> Result<()> {
        if call.since_minor > self.hello.proto[1] {
            let [major, minor] = self.hello.proto;
            return Err(Error::new(
                Kind::Protocol,
                format!(
                    "{} needs protocol {major}.{}; talasd {} speaks {major}.{minor}",
                    call.method, call.since_minor, self.hello.version
                ),
            ));
        }
        self.last_id += 1;
        let params = if call.params.is_empty() { Value::Null } else { call.params.clone().into() };
        let request = Request { id: self.last_id, method: call.method.to_owned(), params, more };
        let mut line = serde_json::to_vec(&request)
            .map_err(|error| Error::new(Kind::Failed, format!("cannot write the request: {error}")))?;
        line.push(b'\n');
        self.stream.set_write_timeout(Some(self.patience)).map_err(|error| lost(&error))?;
        match self.stream.write_all(&line) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Err(timed_out(self.patience)),
            // The daemon may have said why before it closed; the read that follows finds out.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            Err(error) => Err(lost(&error)),
        }
    }

    /// The next reply to the last request, or `None` at the end of the stream.
    fn receive(&mut self, deadline: Option<Instant>) -> Result<Option<Received>> {
        match self.lines.next(deadline) {
            Ok(Turn::Line(line)) => self.read_reply(&line).map(Some),
            Ok(Turn::Closed) => Ok(None),
            other => Err(no_line(other, self.patience)),
        }
    }

    fn read_reply(&self, line: &[u8]) -> Result<Received> {
        let envelope: Envelope<'_> =
            serde_json::from_slice(line).map_err(|_| not_the_protocol("reply", line))?;
        match envelope {
            // Id 0: the daemon could not read the request, or is closing the connection.
            Envelope { id, error: Some(body), .. } if id == self.last_id || id == 0 => {
                Err(Error::refused(&body, Some(&self.hello)))
            }
            Envelope { id, result: Some(result), more, error: None } if id == self.last_id => {
                Ok(Received { answer: Answer(result.to_owned()), more })
            }
            _ => Err(not_the_protocol("reply to the request", line)),
        }
    }
}

/// A reply that is not an error.
struct Received {
    answer: Answer,
    more: bool,
}

/// What a watch has to tell.
#[derive(Debug)]
pub enum Event {
    /// The object as it is now.
    Change(Answer),
    /// So many changes were missed, because whoever reads our output is slow.
    Lagged(u64, Answer),
    /// Nothing, for as long as the caller wanted to wait.
    Quiet,
    /// The end: the user's wish, or the daemon's last word.
    Over,
}

/// A running watch.
#[derive(Debug)]
pub struct Watch {
    client: Client,
    interrupt: Option<Interrupt>,
    /// When the first answer is due; later ones may take as long as nothing changes.
    first_due: Option<Instant>,
    ended: bool,
}

impl Watch {
    /// Waits for the next event, at most for `patience` where given.
    pub fn next(&mut self, patience: Option<Duration>) -> Result<Event> {
        if self.ended || self.interrupted() {
            return Ok(Event::Over);
        }
        let deadline = self.first_due.or_else(|| patience.map(|patience| Instant::now() + patience));
        match self.client.receive(deadline) {
            _ if self.interrupted() => Ok(Event::Over),
            Ok(Some(received)) => {
                self.first_due = None;
                self.ended = !received.more;
                Ok(event(received.answer))
            }
            Ok(None) => Err(closed()),
            Err(error) if error.kind() == Kind::TimedOut && self.first_due.is_none() => Ok(Event::Quiet),
            Err(error) => Err(error),
        }
    }

    fn interrupted(&self) -> bool {
        self.interrupt.as_ref().is_some_and(Interrupt::came)
    }
}

fn event(answer: Answer) -> Event {
    match serde_json::from_str(answer.json()) {
        Ok(LaggedNotice { lagged }) => Event::Lagged(lagged, answer),
        Err(_) => Event::Change(answer),
    }
}

/// Connects on a thread of its own: a daemon that no longer accepts would block us for ever once its
/// queue is full, and `connect` itself knows no deadline.
fn connect_within(path: &Path, patience: Duration) -> Result<UnixStream> {
    let (answer, answered) = mpsc::sync_channel(1);
    let target = path.to_owned();
    std::thread::Builder::new()
        .name("connect".to_owned())
        // The receiver is gone when the deadline has passed: then nobody wants the connection.
        .spawn(move || drop(answer.send(UnixStream::connect(target))))
        .map_err(|error| lost(&error))?;
    match answered.recv_timeout(patience) {
        Ok(connected) => connected.map_err(|error| unreachable(path, &error)),
        Err(_) => Err(timed_out(patience)),
    }
}

/// Why there is no connection, and what to try.
fn unreachable(path: &Path, error: &io::Error) -> Error {
    let shown = path.display();
    let is_socket = path.metadata().map(|metadata| metadata.file_type().is_socket());
    match error.kind() {
        ErrorKind::NotFound => Error::new(Kind::Unreachable, format!("there is no socket {shown}"))
            .hint("is talasd running? systemctl status talasd; another place: --socket PATH"),
        ErrorKind::PermissionDenied => {
            Error::new(Kind::Unreachable, format!("no permission to connect to {shown}")).hint(format!(
                "the socket is meant for everybody; which directory is not? namei -l {}",
                PathBuf::from(path).display()
            ))
        }
        ErrorKind::ConnectionRefused if matches!(is_socket, Ok(false)) => {
            Error::new(Kind::Unreachable, format!("{shown} is not a socket"))
                .hint("name the daemon's control socket: --socket PATH")
        }
        ErrorKind::ConnectionRefused => Error::new(Kind::Unreachable, format!("nobody listens on {shown}"))
            .hint("did talasd stop? systemctl status talasd"),
        _ => Error::new(Kind::Unreachable, format!("cannot connect to {shown}: {error}"))
            .hint("name the daemon's control socket: --socket PATH"),
    }
}

fn read_hello(line: &[u8]) -> Result<Hello> {
    // Instead of a hello, a daemon without room for another connection says so.
    if let Ok(Envelope { error: Some(body), .. }) = serde_json::from_slice(line) {
        return Err(Error::refused(&body, None));
    }
    let greeting: Greeting = serde_json::from_slice(line).map_err(|_| not_the_protocol("hello", line))?;
    let Greeting { hello, version, proto: [major, minor] } = greeting;
    if hello != "talasd" {
        return Err(not_the_protocol("hello", line));
    }
    if major != PROTO[0] {
        return Err(Error::new(
            Kind::Protocol,
            format!(
                "talasd {version} speaks protocol {major}.{minor}, this talasctl {}.{}",
                PROTO[0], PROTO[1]
            ),
        )
        .hint("install talasctl and talasd of the same version"));
    }
    serde_json::from_slice(line).map_err(|_| not_the_protocol("hello", line))
}

fn no_line(turn: io::Result<Turn>, patience: Duration) -> Error {
    match turn {
        Ok(Turn::TimedOut) => timed_out(patience),
        Ok(Turn::TooLong) => Error::new(
            Kind::Protocol,
            format!("the daemon sent a line of more than {} MiB", MAX_REPLY_BYTES / 1024 / 1024),
        ),
        Ok(Turn::Closed | Turn::Line(_)) => closed(),
        Err(error) => lost(&error),
    }
}

fn not_the_protocol(expected: &str, line: &[u8]) -> Error {
    let text = String::from_utf8_lossy(line);
    let mut excerpt: String = text.chars().take(EXCERPT_CHARS).collect();
    if excerpt.len() < text.len() {
        excerpt.push('…');
    }
    Error::new(Kind::Protocol, format!("not talasd's {expected}: {excerpt}"))
        .hint("does the socket belong to talasd, and are both of the same version?")
}

fn timed_out(patience: Duration) -> Error {
    let seconds = patience.as_secs_f64();
    Error::new(Kind::TimedOut, format!("the daemon did not answer within {seconds} s"))
        .hint("systemctl status talasd; or wait longer: --timeout SECONDS")
}

fn closed() -> Error {
    Error::new(Kind::Unreachable, "the daemon closed the connection").hint("systemctl status talasd")
}

fn lost(error: &io::Error) -> Error {
    Error::new(Kind::Unreachable, format!("lost the connection to the daemon: {error}"))
        .hint("systemctl status talasd")
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};

    use talas_wire::{Level, method};

    use super::*;

    fn hello() -> Hello {
        Hello { hello: "talasd".to_owned(), version: "0.1.0".to_owned(), proto: PROTO, level: Level::Read }
    }

    fn client() -> (Client, BufReader<UnixStream>) {
        let (ours, theirs) = UnixStream::pair().expect("a socket pair");
        let lines = Lines::new(ours.try_clone().expect("a clone"));
        let patience = Duration::from_secs(5);
        (Client { stream: ours, lines, hello: hello(), patience, last_id: 0 }, BufReader::new(theirs))
    }

    #[test]
    fn a_hello_may_have_news_but_not_another_major() {
        let news = br#"{"hello":"talasd","version":"0.9","proto":[1,7],"level":"admin","news":1}"#;
        assert_eq!(read_hello(news).expect("a hello").proto, [1, 7]);
        let other = read_hello(br#"{"hello":"talasd","version":"9.0","proto":[2,0],"rank":"boss"}"#);
        assert_eq!(other.expect_err("another major").kind(), Kind::Protocol);
        for garbage in [&b"\xff\xfe"[..], b"220 mail ready", b"{}", br#"{"hello":"smtpd","proto":[1,0]}"#] {
            assert_eq!(read_hello(garbage).expect_err("garbage").kind(), Kind::Protocol);
        }
    }

    #[test]
    fn an_older_daemon_is_not_asked_what_it_does_not_know() {
        let (mut client, mut daemon) = client();
        let newer = Call { method: method::STATUS, params: serde_json::Map::new(), since_minor: 1 };
        assert_eq!(client.ask(&newer).expect_err("too new").kind(), Kind::Protocol);
        drop(client);
        let mut sent = String::new();
        daemon.read_line(&mut sent).expect("read");
        assert_eq!(sent, "");
    }

    #[test]
    fn a_reply_to_another_question_is_refused() {
        let (mut client, mut daemon) = client();
        daemon.get_mut().write_all(b"{\"id\":7,\"result\":{}}\n").expect("written");
        let call = Call { method: method::STATUS, params: serde_json::Map::new(), since_minor: 0 };
        assert_eq!(client.ask(&call).expect_err("not ours").kind(), Kind::Protocol);
    }

    #[test]
    fn a_lagged_notice_is_not_a_change() {
        let raw = |text: &str| Answer(RawValue::from_string(text.to_owned()).expect("JSON"));
        assert!(matches!(event(raw(r#"{"lagged":3}"#)), Event::Lagged(3, _)));
        assert!(matches!(event(raw(r#"{"state":"running"}"#)), Event::Change(_)));
    }
}

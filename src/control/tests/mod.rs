//! The whole door: a station with a tone, a socket, and clients that are as rude as they can be.

mod crowd;
mod levels;
mod manners;
mod watching;

use std::io::{BufRead, BufReader, Read, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::{Value, json};
use talas_wire::ReloadReport;
use tokio::sync::mpsc;

use super::limits::{Limits, SeatLimits};
use super::{Door, Order, Settings, Shared, server};
use crate::access::{self, Guard};
use crate::capture;
use crate::capture::settings::{SourceSettings, ToneSettings};
use crate::error::{Error, Kind};
use crate::keys::Gate;
use crate::station::{Station, Threads};
use crate::tools::stop::{self, StopOwner};

/// Far beyond what any answer takes.
const FOREVER: Duration = Duration::from_secs(10);

/// A running station behind an open door.
struct House {
    address: SocketAddr,
    shared: Arc<Shared>,
    door: Option<StopOwner>,
    server: Option<JoinHandle<()>>,
    pipeline: Option<(StopOwner, Threads)>,
    _state: tempfile::TempDir,
}

/// A group that every system has; its members are the operators of the tests.
fn operators() -> nix::unistd::Group {
    nix::unistd::Group::from_gid(1.into()).expect("asked").expect("group 1 has a name")
}

fn open(limits: Limits) -> House {
    let (orders, daemon) = mpsc::channel(1);
    std::thread::spawn(move || carry_out(daemon));
    open_with(limits, orders)
}

fn open_with(limits: Limits, orders: mpsc::Sender<Order>) -> House {
    let state = tempfile::tempdir().expect("temporary folder");
    let source = SourceSettings::Tone(ToneSettings::default());
    let settings = capture::Settings { source, realtime_priority: 0, ..capture::Settings::default() };
    let (station, parts) =
        Station::build(&settings, Default::default(), &Default::default(), state.path(), Vec::new())
            .expect("built");
    let (owner, stop) = stop::pair().expect("descriptors");
    let threads = parts.spawn(&station, &stop).expect("spawned");
    let (address, listener) = listen();
    let settings = Settings { group: operators().name, ..Settings::default() };
    let gate = Gate::new(&access::Settings::default(), Guard::Open, state.path()).expect("a gate");
    let door = Door::limited(listener, &settings, (station, Arc::new(gate)), orders, limits);
    let shared = door.shared.clone();
    let (door_owner, door_stop) = stop::pair().expect("descriptors");
    let server = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async { server::open(door, door_stop).expect("opened").await });
    });
    House {
        address,
        shared,
        door: Some(door_owner),
        server: Some(server),
        pipeline: Some((owner, threads)),
        _state: state,
    }
}

/// A socket without a place in the file system: every user may reach it.
fn listen() -> (SocketAddr, UnixListener) {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!("talas-test-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let address = SocketAddr::from_abstract_name(name).expect("a name");
    let listener = UnixListener::bind_addr(&address).expect("bound");
    (address, listener)
}

/// The daemon: reloads once, then has found a fault.
fn carry_out(mut orders: mpsc::Receiver<Order>) {
    let mut first = true;
    while let Some(Order::Reload { reply }) = orders.blocking_recv() {
        let good = ReloadReport { applied: vec!["log.level".to_owned()], needs_restart: Vec::new() };
        let bad = || Error::new(Kind::Config, "talasd.toml:3:1: unknown key");
        let report = if first { Ok(good) } else { Err(bad()) };
        first = false;
        // The one who asked may be gone.
        let _ = reply.send(report);
    }
}

impl House {
    /// A client that was let in.
    fn client(&self) -> Client {
        let mut client = self.stranger();
        client.hello = client.hear();
        assert_eq!(client.hello["hello"], "talasd", "{}", client.hello);
        client
    }

    /// A client that has not heard anything yet.
    fn stranger(&self) -> Client {
        let stream = UnixStream::connect_addr(&self.address).expect("connected");
        stream.set_read_timeout(Some(FOREVER)).expect("set");
        stream.set_write_timeout(Some(FOREVER)).expect("set");
        Client { lines: BufReader::new(stream), hello: Value::Null }
    }

    /// Stops the door and waits for its end.
    fn close(&mut self) {
        self.door = None;
        if let Some(server) = self.server.take() {
            server.join().expect("no panic");
        }
    }
}

impl Drop for House {
    fn drop(&mut self) {
        self.door = None;
        if let Some(server) = self.server.take() {
            // A panic in there has failed the test already.
            let _ = server.join();
        }
        if let Some((owner, threads)) = self.pipeline.take() {
            drop(owner);
            threads.join();
        }
    }
}

struct Client {
    lines: BufReader<UnixStream>,
    hello: Value,
}

impl Client {
    fn send(&mut self, bytes: &[u8]) {
        self.lines.get_mut().write_all(bytes).expect("written");
    }

    fn say(&mut self, request: &Value) {
        self.send(format!("{request}\n").as_bytes());
    }

    /// The next line.
    fn hear(&mut self) -> Value {
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("a line in time");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
    }

    /// The whole reply to one request.
    fn call(&mut self, method: &str, params: &Value) -> Value {
        self.say(&json!({ "id": 9, "method": method, "params": params }));
        let reply = self.hear();
        assert_eq!(reply["id"], 9, "{reply}");
        reply
    }

    /// The result of a request that succeeds.
    fn ask(&mut self, method: &str, params: &Value) -> Value {
        let mut reply = self.call(method, params);
        assert!(reply.get("error").is_none() && reply.get("more").is_none(), "{reply}");
        reply["result"].take()
    }

    /// The code with which a request is refused.
    fn refused(&mut self, method: &str, params: &Value) -> String {
        code(&self.call(method, params)).to_owned()
    }

    /// Nothing more comes.
    fn expect_end(&mut self) {
        let mut rest = Vec::new();
        // A connection that is closed while requests wait in it ends by a reset.
        match self.lines.read_to_end(&mut rest) {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
        }
        assert!(rest.is_empty(), "{}", String::from_utf8_lossy(&rest));
    }
}

fn code(reply: &Value) -> &str {
    reply["error"]["code"].as_str().unwrap_or_else(|| panic!("not an error: {reply}"))
}

/// Limits with which nobody has to wait for minutes.
fn impatient(idle_ms: u64, write_ms: u64) -> Limits {
    Limits {
        idle: Duration::from_millis(idle_ms),
        write: Duration::from_millis(write_ms),
        ..Limits::default()
    }
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let until = std::time::Instant::now() + FOREVER;
    while !holds() {
        assert!(std::time::Instant::now() < until, "never: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

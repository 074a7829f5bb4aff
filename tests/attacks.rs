//! What attackers try against the whole daemon: floods of HTTP/2, false powers at the control socket.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use common::*;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Frames of a flood; a door that lets all of them through has no guard.
const FLOOD: usize = 200_000;
/// What a flood may cost.
const FLOOD_MEMORY_KB: u64 = 32 * 1024;

fn resident_kb(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn frame(kind: u8, flags: u8, stream: u32, bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), bytes].concat()
}

/// Whether the door hangs up before all of a flood is sent, or soon after. It is read from meanwhile: a peer that
/// does not read is another attack.
fn is_cut_off(mut stream: TcpStream, frames: impl Iterator<Item = Vec<u8>>) -> bool {
    let mut reader = stream.try_clone().unwrap();
    let reading = std::thread::spawn(move || {
        let mut waste = [0; 65_536];
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            match reader.read(&mut waste) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) => return !matches!(error.kind(), std::io::ErrorKind::WouldBlock),
            }
        }
        false
    });
    let mut pieces = frames.peekable();
    while pieces.peek().is_some() {
        let batch: Vec<u8> = pieces.by_ref().take(200).flatten().collect();
        if stream.write_all(&batch).is_err() {
            break;
        }
    }
    reading.join().unwrap()
}

/// Sends a flood of HTTP/2 beside an honest listener, and holds what it costs against the bound.
fn flood(what: &str, frames: impl Iterator<Item = Vec<u8>>) {
    let daemon = Setup::tone().start();
    let mut honest = daemon.stream("?encoding=s16");
    honest.frames(20);
    let before = resident_kb(daemon.pid());
    let mut stream = connect(daemon.address());
    stream.write_all(h2::HELLO).unwrap();
    assert!(is_cut_off(stream, frames), "{what}: the connection goes on");
    let grown = resident_kb(daemon.pid()).saturating_sub(before);
    assert!(grown < FLOOD_MEMORY_KB, "{what}: {grown} kB");
    // `frames` holds that none is missing.
    honest.frames(50);
    daemon.wait_for_status("its end", |status| status["listeners"]["http"].as_u64().unwrap() <= 1);
    assert_eq!(daemon.get_any("/healthz").status, 200);
}

/// `GET /healthz`, as HPACK has it.
fn question() -> Vec<u8> {
    [&[0x82, 0x86, 0x04, 8][..], b"/healthz", &[0x01, 9], b"localhost"].concat()
}

#[test]
fn streams_that_are_reset_as_soon_as_they_are_opened_end_the_connection() {
    const CANCEL: [u8; 4] = [0, 0, 0, 8];
    let pairs = (0..FLOOD as u32 / 2)
        .flat_map(|n| [frame(1, 5, 2 * n + 1, &question()), frame(3, 0, 2 * n + 1, &CANCEL)]);
    flood("rapid reset", pairs);
}

#[test]
fn a_head_that_goes_on_for_ever_ends_the_connection() {
    let head = std::iter::once(frame(1, 1, 1, &question()));
    // A field without indexing, again and again, and never the end of the head.
    let field = [&[0x00, 1, b'x', 100][..], &[b'y'; 100]].concat();
    let more = std::iter::repeat_n(frame(9, 0, 1, &field), FLOOD);
    flood("continuation", head.chain(more));
}

#[test]
fn cookies_without_end_are_refused() {
    let daemon = Setup::tone().start();
    let jar = |count: usize| vec![("Cookie", "session=0123456789abcdef"); count];
    let ask = |count| request(daemon.address(), "GET", "/healthz", &jar(count), b"").status;
    assert_eq!(ask(50), 200);
    // The door may hang up before its answer to a head that it stopped reading is read.
    let many = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| ask(500)));
    assert!(many.is_err() || many.is_ok_and(|status| status == 431));
    assert_eq!(ask(1), 200);
}

/// Listeners that read what comes, by one thread, for a time: how many blocks each heard at least, and how often
/// anything was missing.
fn listen(address: std::net::SocketAddr, count: usize, time: Duration) -> (usize, usize) {
    let open = |_| {
        let mut stream = connect(address);
        write!(stream, "GET /api/audio/stream?encoding=s16&max_fps=5 HTTP/1.1\r\nHost: localhost\r\n\r\n")
            .unwrap();
        stream.set_nonblocking(true).unwrap();
        (stream, Vec::new())
    };
    let mut crowd: Vec<(TcpStream, Vec<u8>)> = (0..count).map(open).collect();
    let (end, mut piece) = (Instant::now() + time, [0; 65_536]);
    while Instant::now() < end {
        for (stream, heard) in &mut crowd {
            while let Ok(count) = stream.read(&mut piece) {
                assert!(count > 0, "an honest listener was thrown out");
                heard.extend_from_slice(&piece[..count]);
            }
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let texts: Vec<String> =
        crowd.iter().map(|(_, heard)| String::from_utf8_lossy(heard).into_owned()).collect();
    let blocks = texts.iter().map(|text| text.matches("event: audio-frame").count()).min().unwrap();
    (blocks, texts.iter().map(|text| text.matches("event: gap").count()).sum())
}

#[test]
fn two_thousand_who_dawdle_cost_a_hundred_who_listen_nothing() {
    const ATTACKERS: usize = 2000;
    /// 32 kB each: a head or body that does not end, or the blocks that nobody takes.
    const MOST_KB: u64 = 64 * 1024;
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).unwrap();
    if hard < 10_000 {
        eprintln!("NOT TESTED: two thousand attackers, because only {hard} files may be open");
        return;
    }
    let daemon = Setup::tone().start();
    let address = daemon.address();
    let before = resident_kb(daemon.pid());
    let head = format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {}", "x".repeat(4000));
    let body = format!(
        "POST /api/audio/control HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Content-Length: 1000000\r\n\r\n{}",
        " ".repeat(4000)
    );
    let stream = "GET /api/audio/stream HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned();
    let kinds = [head, body, stream];
    let attackers: Vec<TcpStream> = (0..ATTACKERS)
        .map(|n| {
            let mut stream = connect(address);
            stream.write_all(kinds[n % kinds.len()].as_bytes()).unwrap();
            stream
        })
        .collect();
    let (blocks, gaps) = listen(address, 100, Duration::from_secs(6));
    let grown = resident_kb(daemon.pid()).saturating_sub(before);
    println!("{ATTACKERS} attackers: {grown} kB; the least that was heard: {blocks} blocks");
    assert_eq!(gaps, 0, "nobody who listens misses anything");
    assert!(blocks >= 20, "{blocks} in 6 s, of 30");
    assert!(grown < MOST_KB, "{grown} kB");
    drop(attackers);
}

/// Runs talasctl as nobody at all, after these words; `None`, said loudly, where this test may not.
fn as_nobody(daemon: &Daemon, words: &[&str], arguments: &[&str]) -> Option<Output> {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("NOT TESTED: other users at the control socket, because only root can become one");
        return None;
    }
    // A way to the socket, and a copy of the program where anybody can run it.
    fs::set_permissions(daemon.dir(), fs::Permissions::from_mode(0o755)).unwrap();
    let program = daemon.dir().join("talasctl");
    if !program.exists() {
        fs::copy(talasctl(), &program).unwrap();
    }
    let nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"];
    let mut all: Vec<&str> = nobody.into_iter().chain(words.iter().copied()).collect();
    let (program, socket) = (program.to_str().unwrap().to_owned(), daemon.socket());
    all.extend([program.as_str(), "--socket", socket.to_str().unwrap()]);
    Some(Command::new(all[0]).args(&all[1..]).args(arguments).env("NO_COLOR", "1").output().unwrap())
}

fn can_have_namespaces() -> bool {
    let words = [
        "--reuid",
        "65534",
        "--regid",
        "65534",
        "--clear-groups",
        "unshare",
        "--user",
        "--map-root-user",
        "true",
    ];
    let can = Command::new("setpriv").args(words).output().is_ok_and(|output| output.status.success());
    if !can {
        eprintln!("NOT TESTED: user namespaces, because this machine lets nobody have one");
    }
    can
}

#[test]
fn another_user_looks_and_changes_nothing_whoever_it_says_it_is() {
    let daemon = Setup::tone().start();
    let Some(looked) = as_nobody(&daemon, &[], &["status"]) else { return };
    assert!(looked.status.success(), "{}", String::from_utf8_lossy(&looked.stderr));
    let mut ways = vec![vec![]];
    if can_have_namespaces() {
        // Root in a namespace of its own is nobody outside of it.
        ways.push(vec!["unshare", "--user", "--map-root-user"]);
        ways.push(vec!["unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount"]);
    }
    for way in ways {
        for order in [&["pause"][..], &["token", "mint", "--sub", "me", "--role", "admin"], &["reload"]] {
            let refused = as_nobody(&daemon, &way, order).unwrap();
            let said = String::from_utf8_lossy(&refused.stderr).into_owned();
            assert_eq!(refused.status.code(), Some(4), "{way:?} {order:?}: {said}");
        }
    }
    assert_eq!(daemon.status()["state"], "running");
    assert!(!Path::new(&daemon.dir().join("state/jwt.key")).exists(), "no key was made for anybody");
}

#[test]
fn secrets_are_compared_in_constant_time() {
    // No measurement would notice a comparison of 32 bytes that ends early; so it is the code that is held.
    let read = |file: &str| fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
    let keys = read("src/keys/api_key.rs");
    let is = keys.split("pub fn is(").nth(1).unwrap().split("\n    }").next().unwrap();
    assert!(is.contains(".ct_eq(") && !is.contains("=="), "API keys: {is}");
    // Signatures are the library's to compare; by hand none is.
    let ring = read("src/access/keyring.rs");
    let verify = ring.split("pub fn verify(").nth(1).unwrap().split("\n    }").next().unwrap();
    assert!(verify.contains("crypto::verify(") && !verify.contains("=="), "tokens: {verify}");
}

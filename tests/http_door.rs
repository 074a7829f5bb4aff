//! What strangers may send to the HTTP door: each is refused or shown out, and nobody else notices.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use common::*;

/// The door's own deadline for a head or a body is 10 s; the rest is for a machine under load.
const SHOWN_OUT: Duration = Duration::from_secs(30);
/// What 200 rude connections may cost: their heads and a few blocks each, not what they ask for.
const RUDE_MEMORY_KB: u64 = 64 * 1024;

/// What comes until the door hangs up.
fn hear_out(stream: &mut TcpStream) -> Vec<u8> {
    let (mut heard, mut piece) = (Vec::new(), [0; 4096]);
    let deadline = Instant::now() + SHOWN_OUT;
    while Instant::now() < deadline {
        match stream.read(&mut piece) {
            Ok(0) => return heard,
            Ok(count) => heard.extend_from_slice(&piece[..count]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => return heard,
        }
    }
    panic!("the door does not hang up; it said {:?}", String::from_utf8_lossy(&heard));
}

/// Sends bytes as they are. Returns the statuses of all answers, and everything heard.
fn send(address: SocketAddr, bytes: &[u8]) -> (Vec<u16>, String) {
    let mut stream = connect(address);
    let mut writer = stream.try_clone().unwrap();
    let heard = thread::scope(|scope| {
        // The door may refuse before it has read everything.
        scope.spawn(move || drop(writer.write_all(bytes)));
        hear_out(&mut stream)
    });
    let text = String::from_utf8_lossy(&heard).into_owned();
    let answers = text.split("HTTP/1.").skip(1).filter_map(|answer| answer.get(2..5)?.parse().ok());
    (answers.collect(), text)
}

/// A listener that must hear every block, on a thread of its own until told to stop.
fn listen_honestly(mut stream: Sse, stop: &AtomicBool) -> usize {
    let mut heard = 0;
    while !stop.load(Ordering::Relaxed) {
        heard += stream.frames(10).len();
    }
    heard
}

fn post(length: &str, more: &str) -> Vec<u8> {
    let head = "POST /api/audio/control HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
                Content-Type: application/json\r\n";
    format!("{head}{length}\r\n\r\n{more}").into_bytes()
}

#[test]
fn what_is_no_request_is_refused() {
    let daemon = Setup::tone().start();
    let get = |line: &str, more: &str| format!("{line}\r\nHost: localhost\r\n{more}\r\n\r\n").into_bytes();
    let chunked = "Transfer-Encoding: chunked";
    let headers = (0..1000).map(|n| format!("X-{n}: {n}\r\n")).collect::<String>();
    let smuggled = "{\"action\":\"pause\"}";
    let client_hello = b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03\x00\x01\x02\x03\x04\x05\x06\r\n\r\n";
    let cases: Vec<(&str, Vec<u8>, &[u16])> = vec![
        ("garbage", b"\x00\xff\xfe\x80 \x01\r\n\r\n".to_vec(), &[400]),
        ("letters", b"hello\r\nare you there\r\n\r\n".to_vec(), &[400]),
        ("a TLS handshake", client_hello.to_vec(), &[400]),
        ("a version from the future", get("GET / HTTP/9.9", ""), &[400]),
        ("a header of 100 kB", get("GET /healthz HTTP/1.1", &format!("X: {}", "x".repeat(100_000))), &[431]),
        ("1000 headers", get("GET /healthz HTTP/1.1", &headers), &[431]),
        ("100,000 headers", get("GET /healthz HTTP/1.1", &headers.repeat(100)), &[431]),
        ("an address of 8 MB", get(&format!("GET /{} HTTP/1.1", "x".repeat(8 << 20)), ""), &[414, 431]),
        ("a header with a NUL", get("GET /healthz HTTP/1.1", "X: a\0b"), &[400]),
        ("no Host", b"GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n".to_vec(), &[400]),
        ("two Hosts", get("GET /healthz HTTP/1.1", "Connection: close\r\nHost: evil.example"), &[400]),
        ("a length that is none", post("Content-Length: ten", smuggled), &[400]),
        ("a negative length", post("Content-Length: -5", smuggled), &[400]),
        ("two lengths", post("Content-Length: 2\r\nContent-Length: 18", smuggled), &[400]),
        ("chunks that are none", post(chunked, "zz\r\n{}\r\n0\r\n\r\n"), &[400]),
        ("a chunk without an end", post(chunked, "ffffffffffffffff1\r\n{}"), &[400]),
        (
            "two ways to tell the length",
            post(&format!("Content-Length: 2\r\n{chunked}"), "0\r\n\r\n"),
            &[400],
        ),
    ];
    for (what, bytes, expected) in cases {
        let (statuses, text) = send(daemon.address(), &bytes);
        // A door that refuses early may reset before its answer is read.
        let reset_early = statuses.is_empty() && bytes.len() > 65_536;
        assert!(reset_early || statuses.len() == 1 && expected.contains(&statuses[0]), "{what}: {text:?}");
    }
    assert_eq!(daemon.get_any("/healthz").status, 200);
    assert_eq!(daemon.status()["state"], "running");
    assert_eq!(daemon.log().iter().filter(|line| line.contains("ERROR")).count(), 0, "{:?}", daemon.log());
}

#[test]
fn what_follows_a_body_is_not_a_request_of_its_own() {
    let daemon = Setup::tone().start();
    let hidden = "POST /api/audio/control HTTP/1.1\r\nHost: localhost\r\n\r\n{\"action\":\"pause\"}";
    let (statuses, text) = send(daemon.address(), &post("Content-Length: 2", &format!("{{}}{hidden}")));
    assert_eq!(statuses, [400], "{text}");
    let ways = format!("Content-Length: {}\r\nTransfer-Encoding: chunked", hidden.len() + 5);
    let (statuses, text) = send(daemon.address(), &post(&ways, &format!("0\r\n\r\n{hidden}")));
    assert_eq!(statuses, [400], "{text}");
    assert_eq!(daemon.status()["state"], "running", "nothing was slipped past the guards");
}

#[test]
fn who_dawdles_is_shown_out_while_others_listen() {
    let daemon = Setup::tone().start();
    let address = daemon.address();
    // What is sent at once, what follows byte for byte, and a word of the answer where there is one.
    let slow: Vec<(&str, Vec<u8>, &[u8], &str)> = vec![
        ("says nothing", vec![], b"", ""),
        ("a line without end", b"GET /aaaa".to_vec(), b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", ""),
        (
            "a header per minute",
            b"GET / HTTP/1.1\r\n".to_vec(),
            b"Host: localhost\r\nX: 1\r\nY: 2\r\nZ: 3\r\n",
            "",
        ),
        ("HTTP/2 in slow motion", vec![], b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0", ""),
        ("HTTP/2 without a word", h2::HELLO.to_vec(), b"", ""),
        ("a body that never comes", post("Content-Length: 10", ""), b"", " 408 "),
        (
            "a body drop by drop",
            post("Content-Length: 100", ""),
            b"                                        ",
            " 408 ",
        ),
    ];
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let honest = scope.spawn(|| listen_honestly(daemon.stream("?encoding=f32"), &stop));
        let slow = slow.into_iter().map(|(what, first, rest, answer)| {
            scope.spawn(move || {
                let mut stream = connect(address);
                let mut writer = stream.try_clone().unwrap();
                stream.write_all(&first).unwrap();
                let dribble = scope.spawn(move || {
                    for byte in rest {
                        thread::sleep(Duration::from_secs(1));
                        if writer.write_all(&[*byte]).is_err() {
                            break;
                        }
                    }
                });
                let heard = String::from_utf8_lossy(&hear_out(&mut stream)).into_owned();
                assert!(heard.contains(answer), "{what}: {heard:?}");
                // Ends the dribble too.
                let _ = stream.shutdown(Shutdown::Both);
                drop(dribble);
            })
        });
        let slow: Vec<_> = slow.collect();
        let outcomes: Vec<_> = slow.into_iter().map(thread::ScopedJoinHandle::join).collect();
        stop.store(true, Ordering::Relaxed);
        assert!(honest.join().unwrap() > 100);
        assert!(outcomes.iter().all(Result::is_ok));
    });
}

fn resident_kb(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn two_hundred_rude_connections_cost_an_honest_listener_nothing() {
    let daemon = Setup::tone().start();
    let address = daemon.address();
    daemon.stream("?encoding=json").frames(20);
    let before = resident_kb(daemon.pid());
    let mut honest = daemon.stream("?encoding=f32");
    let half_head = format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {}", "x".repeat(40_000)).into_bytes();
    let never_reads = b"GET /api/audio/stream HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec();
    let half_body = post("Content-Length: 1000000", &" ".repeat(200_000));
    let kinds = [half_head, never_reads, half_body, h2::HELLO.to_vec()];
    let rude: Vec<TcpStream> = (0..200)
        .map(|n| {
            let mut stream = connect(address);
            stream.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
            let _ = stream.write_all(&kinds[n % kinds.len()]);
            stream
        })
        .collect();
    honest.frames(200);
    let grown = resident_kb(daemon.pid()).saturating_sub(before);
    println!("200 rude connections: {grown} kB");
    assert!(grown < RUDE_MEMORY_KB, "{grown} kB");
    assert_eq!(daemon.status()["listeners"]["sse"], 51, "every fourth streams, and the honest one");
    drop(rude);
    daemon.wait_for_status("all gone", |status| status["listeners"]["http"].as_u64().unwrap() <= 1);
    honest.frames(10);
}

#[test]
fn old_clients_are_served_without_a_host() {
    let daemon = Setup::tone().start();
    let (statuses, text) = send(daemon.address(), b"GET /healthz HTTP/1.0\r\n\r\n");
    assert_eq!(statuses, [200], "{text}");
    let mut stream = connect(daemon.address());
    stream.write_all(b"GET /api/audio/stream?encoding=s16 HTTP/1.0\r\n\r\n").unwrap();
    let mut heard = String::new();
    let mut piece = [0; 4096];
    while heard.matches("event: audio-frame\nid: frame-").count() < 5 {
        let count = stream.read(&mut piece).unwrap();
        assert!(count > 0, "{heard}");
        heard.push_str(std::str::from_utf8(&piece[..count]).unwrap());
    }
    let (head, body) = heard.split_once("\r\n\r\n").unwrap();
    assert!(!head.to_ascii_lowercase().contains("chunked"), "{head}");
    assert!(body.starts_with("retry: "), "the events as they are: {}", &body[..100]);
}

#[test]
fn http_2_without_tls_streams_and_keeps_the_guards() {
    let daemon = Setup::tone().start();
    let address = daemon.address();
    let (head, body) = h2::get(address, &address.to_string(), "/api/audio/stream?encoding=s16", |body| {
        body.matches("event: audio-frame").count() >= 20
    });
    assert_eq!(head.first(), Some(&h2::STATUS_200));
    assert!(body.contains("data: connected\n\n"), "{body}");
    let numbers: Vec<u64> = body
        .split("\nid: frame-")
        .skip(1)
        .map(|rest| rest.split('\n').next().unwrap().parse().unwrap())
        .collect();
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "{numbers:?}");
    let (head, body) = h2::get(address, "evil.example", "/healthz", |body| body.contains('}'));
    assert_ne!(head.first(), Some(&h2::STATUS_200));
    assert!(body.contains("host_not_allowed"), "{body}");
}

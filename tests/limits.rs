//! Limits on what anybody may use, asked of the real daemon through its sockets.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs;
use std::io::{BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use common::*;
use serde_json::Value;

const BURST: u64 = 20;

/// Of one address so few requests that a machine under load cannot earn many more meanwhile.
const FEW: &str = "[access.limits]\nburst_s = 20\n[access.limits.address]\nrequests_per_s = 1\n";

fn start(limits: &str) -> Daemon {
    Setup::new(&format!("{limits}[capture.tone]\n")).start()
}

fn number(answer: &Answer, header: &str) -> u64 {
    answer.header(header).unwrap_or_else(|| panic!("{header} in {answer:?}")).parse().unwrap()
}

/// That of `requests` made since, a burst was granted and what was earned in the meantime, and no more.
fn assert_granted(granted: u64, requests: u64, since: Instant) {
    let most = BURST + since.elapsed().as_secs() + 1;
    assert!((BURST..=most).contains(&granted), "{granted} of {requests} in {:?}", since.elapsed());
}

fn refused(daemon: &Daemon, limit: &str) -> u64 {
    daemon.status()["access"]["refused"][limit].as_u64().unwrap()
}

#[test]
fn requests_beyond_the_rate_are_refused_whatever_they_ask_for() {
    let daemon = start(FEW);
    let began = Instant::now();
    // Pages for everybody, what is not there, what is refused for another reason.
    let paths = ["/healthz", "/", "/nothing", "/tracks", "/stream/x"];
    let ask = |n: usize| {
        let host = if n.is_multiple_of(3) { "evil.example" } else { "localhost" };
        request(daemon.address(), "GET", paths[n % paths.len()], &[("Host", host)], b"")
    };
    let answers: Vec<Answer> = (0..60).map(ask).collect();
    let granted: Vec<&Answer> = answers.iter().filter(|answer| answer.status != 429).collect();
    assert_granted(granted.len() as u64, 60, began);
    for (nth, answer) in granted.iter().enumerate().take(5) {
        assert_eq!(number(answer, "ratelimit-limit"), BURST);
        let left = number(answer, "ratelimit-remaining");
        assert!(left >= BURST - 1 - nth as u64 && left < BURST, "{left} after {}", nth + 1);
        assert!(number(answer, "ratelimit-reset") >= 1);
    }
    let last = answers.iter().rev().find(|answer| answer.status == 429).unwrap();
    assert_eq!(last.json()["code"], "rate_limited");
    assert!(last.text().contains("access.limits.address.requests_per_s"), "{}", last.text());
    assert_eq!(last.header("content-type"), Some("application/problem+json"));
    assert_eq!(number(last, "ratelimit-remaining"), 0);
    let key = "access.limits.address.requests_per_s";
    assert_eq!(refused(&daemon, key), 60 - granted.len() as u64);
    let told = String::from_utf8(daemon.ctl(&["status"]).stdout).unwrap();
    assert!(told.contains(&format!("refused by {key}")), "{told}");
    assert!(daemon.events("limit_reached").len() <= 10 * (began.elapsed().as_secs() as usize + 2));
    // What is told is so: after the wait there is one.
    std::thread::sleep(Duration::from_secs(number(last, "retry-after")));
    assert_eq!(daemon.get_any("/healthz").status, 200);
}

#[test]
fn a_page_that_may_ask_can_read_why_not_now() {
    let daemon = start("[access.limits]\nburst_s = 1\n[access.limits.address]\nrequests_per_s = 1\n");
    let ask = |origin| request(daemon.address(), "GET", "/tracks", &[("Origin", origin)], b"");
    let refused_to = |origin| eventually("a refusal", || Some(ask(origin)).filter(|a| a.status == 429));
    let answer = refused_to("http://localhost:3000");
    assert_eq!(answer.header("access-control-allow-origin"), Some("http://localhost:3000"));
    assert_eq!(answer.header("access-control-allow-credentials"), Some("true"));
    assert_eq!(refused_to("http://evil.example").header("access-control-allow-origin"), None);
}

#[test]
fn behind_a_trusted_proxy_each_client_counts_for_itself() {
    let trusted = format!("http.trusted_proxies = [\"127.0.0.1\"]\naccess.anonymous = [\"listen\"]\n{FEW}");
    let daemon = start(&trusted);
    let ask = |client: &str| {
        request(daemon.address(), "GET", "/healthz", &[("X-Forwarded-For", client)], b"").status
    };
    // Of one /64 all are one, whichever address of it they take.
    let began = Instant::now();
    let granted = (0..60).filter(|n| ask(&format!("2001:db8:1:2::{n:x}")) == 200).count();
    assert_granted(granted as u64, 60, began);
    assert_eq!(ask("2001:db8:1:2:ffff::1"), 429);
    assert_eq!((ask("2001:db8:1:3::1"), ask("192.0.2.7")), (200, 200), "others are others");
    let stranger = start(FEW);
    let claims = |n: usize| [("X-Forwarded-For", format!("192.0.2.{n}"))];
    let ask = |n: usize| {
        let [(name, value)] = claims(n);
        request(stranger.address(), "GET", "/healthz", &[(name, &value)], b"").status
    };
    let began = Instant::now();
    let granted = (0..60).filter(|n| ask(*n) == 200).count();
    assert_granted(granted as u64, 60, began);
}

#[test]
fn every_request_of_a_connection_counts() {
    let daemon = start(FEW);
    let began = Instant::now();
    let granted = h2::count_ok(daemon.address(), "/healthz", 60);
    assert_granted(granted as u64, 60, began);
    assert_eq!(daemon.get_any("/healthz").status, 429, "and other connections of the same address");
}

/// A daemon with a library of one track, and where that is.
fn library(limits: &str, bytes: &[u8]) -> (Daemon, String) {
    let setup = Setup::new(&format!("library.dirs = [\"music\"]\n{limits}[capture.tone]\n"));
    let music = setup.dir().join("music");
    fs::create_dir(&music).unwrap();
    fs::write(music.join("a.mp3"), bytes).unwrap();
    let daemon = setup.start();
    let id = loop {
        let answer = daemon.get("/tracks");
        if let Some(id) = answer["tracks"][0]["id"].as_str() {
            break id.to_owned();
        }
        std::thread::sleep(Duration::from_millis(500));
    };
    (daemon, format!("/stream/{id}"))
}

/// Asks for a range on a connection that stays.
fn ask_range(line: &mut BufReader<TcpStream>, path: &str, first: usize, last: usize) -> (u16, Vec<u8>) {
    let text = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nRange: bytes={first}-{last}\r\n\r\n");
    line.get_mut().write_all(text.as_bytes()).unwrap();
    let (status, headers) = read_head(line);
    let length = headers.iter().find(|(name, _)| name == "content-length").unwrap();
    let mut body = vec![0; length.1.parse().unwrap()];
    line.read_exact(&mut body).unwrap();
    (status, body)
}

#[test]
fn a_player_that_asks_for_range_after_range_is_counted_each_time() {
    let bytes = content(100_000);
    let (daemon, path) = library(&FEW.replace("20", "200"), &bytes);
    let began = Instant::now();
    let mut line = BufReader::new(connect(daemon.address()));
    let mut granted = 0;
    for at in 0..300 {
        let (status, body) = ask_range(&mut line, &path, at, at + 99);
        assert!([206, 429].contains(&status), "{status}");
        if status == 206 {
            assert_eq!(body, bytes[at..at + 100]);
            granted += 1;
        }
    }
    // Finding the track took a request or two.
    let most = 200 + began.elapsed().as_secs() + 1;
    assert!((190..=most).contains(&granted), "{granted}");
    let refusals = refused(&daemon, "access.limits.address.requests_per_s");
    assert_eq!(refusals, 300 - granted, "each was refused once");
}

/// Opens something that goes on, and says how that was answered.
fn open(daemon: &Daemon, path: &str, lines: &str) -> (u16, BufReader<TcpStream>) {
    let mut stream = connect(daemon.address());
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n").unwrap();
    let mut reader = BufReader::new(stream);
    (read_head(&mut reader).0, reader)
}

#[test]
fn streams_of_every_kind_share_the_places_of_an_address() {
    // Longer than what sockets take while nobody reads.
    let (daemon, path) = library("[access.limits.address]\nstreams = 3\n", &vec![7; 20_000_000]);
    let kinds = ["/api/audio/stream", "/live.mp3", path.as_str()];
    let crowd: Vec<_> = kinds.iter().map(|path| open(&daemon, path, "")).collect();
    assert!(crowd.iter().all(|(status, _)| *status == 200));
    let range = "Range: bytes=0-9999999\r\n";
    for (path, lines) in [(kinds[0], ""), (kinds[1], ""), (kinds[2], ""), (kinds[2], range)] {
        let (status, mut reader) = open(&daemon, path, lines);
        assert_eq!(status, 429, "{path} {lines}");
        let mut problem = String::new();
        let _ = reader.get_ref().set_read_timeout(Some(Duration::from_millis(300)));
        let _ = reader.read_to_string(&mut problem);
        assert!(problem.contains("streams_limited"), "{problem}");
    }
    let (head, _) = h2::get(daemon.address(), "localhost", "/api/audio/stream", |body| body.contains('}'));
    assert_ne!(head.first(), Some(&h2::STATUS_200), "over HTTP/2, too");
    let short = open(&daemon, &path, "Range: bytes=0-9\r\n");
    assert_eq!(short.0, 206, "what is short is no stream");
    assert_eq!(refused(&daemon, "access.limits.address.streams"), 5);
    assert_eq!(daemon.get_any("/healthz").status, 200);
    drop(crowd);
    // Each gives its place back, the one that left the HTTP library too.
    for path in kinds {
        let again: Vec<_> = eventually("three places", || {
            let three: Vec<_> = (0..3).map(|_| open(&daemon, path, "")).collect();
            three.iter().all(|(status, _)| *status == 200).then_some(three)
        });
        assert_eq!(open(&daemon, path, "").0, 429);
        drop(again);
    }
}

#[test]
fn streams_begun_beyond_the_rate_are_refused() {
    let daemon = start("[access.limits]\nburst_s = 5\n[access.limits.address]\nnew_streams_per_s = 1\n");
    let began = Instant::now();
    let granted = (0..20).filter(|_| open(&daemon, "/api/audio/stream", "").0 == 200).count() as u64;
    assert!((5..=6 + began.elapsed().as_secs()).contains(&granted), "{granted}");
    let answer = daemon.get_any("/api/audio/stream");
    assert_eq!((answer.status, answer.json()["code"].as_str()), (429, Some("rate_limited")));
    assert!(number(&answer, "retry-after") >= 1 && number(&answer, "ratelimit-limit") == 5);
    assert_eq!(daemon.get_any("/healthz").status, 200, "other requests have a rate of their own");
}

fn mint(daemon: &Daemon, sub: &str) -> String {
    let output = daemon.ctl(&["--json", "token", "mint", "--sub", sub]);
    let minted: Value = serde_json::from_slice(&output.stdout).unwrap();
    minted["token"].as_str().unwrap().to_owned()
}

fn key(daemon: &Daemon, name: &str) -> String {
    let output = daemon.ctl(&["--json", "key", "add", name, "--permission", "listen"]);
    let added: Value = serde_json::from_slice(&output.stdout).unwrap();
    added["key"].as_str().unwrap().to_owned()
}

#[test]
fn users_tokens_and_keys_have_limits_of_their_own() {
    let daemon = start(
        "access.mode = \"token\"\n[access.limits]\nburst_s = 10\n[access.limits.user]\nrequests_per_s = 2\n\
         [access.limits.token]\nrequests_per_s = 1\n[access.limits.key]\nrequests_per_s = 1\nstreams = 1\n",
    );
    let (first, second, third) = (mint(&daemon, "ada"), mint(&daemon, "ada"), mint(&daemon, "ada"));
    let other = mint(&daemon, "bob");
    let api_key = key(&daemon, "radio");
    let ask = |shown: &str| {
        let bearer = format!("Bearer {shown}");
        request(daemon.address(), "GET", "/tracks", &[("Authorization", &bearer)], b"")
    };
    let many = |shown: &str| (0..14).map(|_| ask(shown)).filter(|answer| answer.status == 200).count();
    assert!((10..=12).contains(&many(&first)), "a token has 10");
    assert!(ask(&first).text().contains("access.limits.token.requests_per_s"));
    assert!((8..=12).contains(&many(&second)), "with another the user has 20");
    let refused = eventually("the user's end", || Some(ask(&third)).filter(|answer| answer.status == 429));
    assert!(refused.text().contains("access.limits.user.requests_per_s"), "{}", refused.text());
    assert_eq!(number(&refused, "ratelimit-limit"), 20);
    let answer = ask(&other);
    assert_eq!((answer.status, number(&answer, "ratelimit-limit")), (200, 10), "another user; the token's");
    assert!((10..=12).contains(&many(&api_key)));
    let lines = format!("Authorization: Bearer {}\r\n", mint(&daemon, "eve"));
    let _stream = open(&daemon, "/api/audio/stream", &lines);
    let sessions: Value =
        serde_json::from_slice(&daemon.ctl(&["--json", "access", "sessions"]).stdout).unwrap();
    let uses = sessions["sessions"][0]["uses"].as_array().unwrap();
    let shown: Vec<_> = uses.iter().map(|of| (of["of"].as_str().unwrap(), &of["streams"])).collect();
    let one = Value::from(1);
    assert_eq!(shown, [("address", &one), ("user", &one), ("token", &one)]);
    assert_eq!(uses[2]["most_requests"], 10);
    let told = String::from_utf8(daemon.ctl(&["access", "sessions"]).stdout).unwrap();
    assert!(told.contains("address 1/1000, user 1/100, token 1/100"), "{told}");
}

#[test]
fn bytes_leave_at_the_rate_by_every_way() {
    let bytes = content(400_000);
    let limits = "[access.limits]\nburst_s = 1\n[access.limits.address]\nbytes_per_s = 100000\n";
    let (daemon, path) = library(limits, &bytes);
    let began = Instant::now();
    assert_eq!(daemon.get_any(&path).body, bytes);
    // 100 kB at once, and the rest at 100 kB a second.
    assert!(began.elapsed() >= Duration::from_millis(2900), "{:?}", began.elapsed());
    let began = Instant::now();
    let mut line = BufReader::new(connect(daemon.address()));
    for at in 0..20 {
        let (status, body) = ask_range(&mut line, &path, at * 10_000, at * 10_000 + 9_999);
        assert_eq!((status, &body[..]), (206, &bytes[at * 10_000..(at + 1) * 10_000]));
    }
    // 200 kB in ranges that are each small; at most 100 kB were saved up.
    assert!(began.elapsed() >= Duration::from_millis(900), "{:?}", began.elapsed());
    let mut stream = daemon.stream("?encoding=f32");
    let began = Instant::now();
    // Some 500 kB a second, at which live sound goes.
    stream.frames(100);
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[test]
fn other_limits_hold_as_soon_as_they_are_read() {
    let daemon = start(FEW);
    eventually("the end of the burst", || (daemon.get_any("/healthz").status == 429).then_some(()));
    let file = daemon.dir().join("talasd.toml");
    let raised = fs::read_to_string(&file).unwrap().replace("requests_per_s = 1", "requests_per_s = 1000");
    fs::write(&file, raised).unwrap();
    let told = String::from_utf8(daemon.ctl(&["reload"]).stdout).unwrap();
    assert!(told.contains("access.limits.address.requests_per_s"), "{told}");
    assert!((0..50).all(|_| daemon.get_any("/healthz").status == 200));
}

#[test]
fn refusals_are_in_the_metrics_by_their_key() {
    let daemon = Setup::new("http.max_streams = 1\n[capture.tone]\n").start();
    let _first = open(&daemon, "/api/audio/stream", "");
    assert_eq!(daemon.get_any("/api/audio/stream").status, 503);
    let page = daemon.get_any("/metrics").text();
    assert!(page.contains("talas_limit_refusals_total{limit=\"http.max_streams\"} 1\n"), "{page}");
    let series = page.matches("talas_limit_refusals_total{").count();
    assert_eq!(series, 4 * 3 + 1, "one for each key, refused or not");
}

#[test]
fn addresses_and_heads_have_a_longest() {
    let daemon = start("http.max_url_kb = 2\nhttp.max_head_kb = 8\n");
    let ask = |length: usize| daemon.get_any(&format!("/tracks?q={}", "x".repeat(length)));
    assert_eq!(ask(2 * 1024 - 10).status, 200);
    let answer = ask(2 * 1024);
    assert_eq!((answer.status, answer.json()["code"].as_str()), (414, Some("uri_too_long")));
    let padded = |length| {
        request(daemon.address(), "GET", "/healthz", &[("X-Padding", &"x".repeat(length))], b"").status
    };
    assert_eq!((padded(7000), padded(9000)), (200, 431));
}

//! The door under TLS: what is spoken, what a certificate's change does, and what strangers can do to it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::*;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, User, geteuid};
use rustls::version::{TLS12, TLS13};

const CONFIG: &str = "[http]\nlisten = [\"127.0.0.1:0\"]\n\
                      [http.tls]\ncert = \"cert.pem\"\nkey = \"key.pem\"\n";

fn setup(more: &str) -> (Setup, Pair) {
    let setup = Setup::new(&format!("{CONFIG}{more}\n[capture.tone]\n"));
    let pair = Pair::new();
    pair.put(setup.dir());
    (setup, pair)
}

fn start(more: &str) -> (Daemon, Pair) {
    let (setup, pair) = setup(more);
    (setup.start(), pair)
}

#[test]
fn http_1_and_2_are_spoken_under_tls_1_2_and_1_3() {
    let (daemon, pair) = start("");
    for version in [&TLS12, &TLS13] {
        let stream = shake(daemon.address(), &pair, &["http/1.1"], &[version]).unwrap();
        assert_eq!(stream.conn.alpn_protocol(), Some(&b"http/1.1"[..]));
        assert_eq!(ask_tls(stream, "/healthz", "").0, 200);
        let both = shake(daemon.address(), &pair, &["http/1.1", "h2"], &[version]).unwrap();
        assert_eq!(both.conn.alpn_protocol(), Some(&b"h2"[..]), "the better one");
        assert_eq!(healthz_by_h2(both), 200);
    }
    let neither = shake(daemon.address(), &pair, &["spdy/1"], rustls::ALL_VERSIONS);
    assert!(neither.is_err(), "nothing that both speak");
    let status = daemon.status();
    let address = status["addresses"][0].as_str().unwrap();
    assert!(address.starts_with("https://127.0.0.1:"), "{address}");
}

/// The status of `GET /healthz`, by frames written by hand (RFC 9113, 4.1) and static HPACK (RFC 7541, appendix A).
fn healthz_by_h2(mut stream: Tls) -> u16 {
    let mut head = vec![0x82, 0x87, 0x04, 8];
    head.extend(b"/healthz");
    head.extend([0x01, 9]);
    head.extend(b"localhost");
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
    bytes.extend([0, 0, u8::try_from(head.len()).unwrap(), 0x01, 0x05, 0, 0, 0, 1]);
    bytes.extend(head);
    stream.write_all(&bytes).unwrap();
    loop {
        let mut frame = [0; 9];
        stream.read_exact(&mut frame).unwrap();
        let length = u32::from_be_bytes([0, frame[0], frame[1], frame[2]]);
        let mut payload = vec![0; length as usize];
        stream.read_exact(&mut payload).unwrap();
        if frame[3] == 0x01 {
            return if payload[0] == 0x88 { 200 } else { u16::from(payload[0]) };
        }
    }
}

/// A live stream under TLS: numbers of its blocks, without end.
struct Listening(BufReader<Tls>);

impl Listening {
    fn open(daemon: &Daemon, pair: &Pair) -> Self {
        let (status, _, reader) = ask_tls(tls(daemon.address(), pair), "/api/audio/stream?encoding=s16", "");
        assert_eq!(status, 200);
        Self(reader)
    }

    fn block(&mut self) -> u64 {
        let mut line = String::new();
        loop {
            line.clear();
            assert_ne!(self.0.read_line(&mut line).unwrap(), 0, "the stream ended");
            assert!(!line.starts_with("event: gap"), "a block is missing");
            if let Some(number) = line.strip_prefix("id: frame-") {
                return number.trim().parse().unwrap();
            }
        }
    }
}

#[test]
fn a_new_certificate_is_shown_to_the_new_and_keeps_the_old_connected() {
    const LISTENERS: usize = 40;
    let (daemon, first) = start("");
    let mut listeners: Vec<(Listening, u64)> = (0..LISTENERS)
        .map(|_| {
            let mut listening = Listening::open(&daemon, &first);
            let block = listening.block();
            (listening, block)
        })
        .collect();
    let second = Pair::new();
    second.put(daemon.dir());
    eventually("the new certificate", || {
        shake(daemon.address(), &second, &["http/1.1"], rustls::ALL_VERSIONS).ok()
    });
    let old = shake(daemon.address(), &first, &["http/1.1"], rustls::ALL_VERSIONS);
    assert!(old.is_err(), "the old one is shown to nobody");
    for (listening, last) in &mut listeners {
        for _ in 0..60 {
            *last += 1;
            assert_eq!(listening.block(), *last, "each block once, in order");
        }
    }
    assert_eq!(daemon.status()["listeners"]["sse"], LISTENERS);
    let sha256 = daemon.status()["tls"]["certificate"]["sha256"].as_str().unwrap().to_owned();
    let shown = String::from_utf8(daemon.ctl(&["tls", "show"]).stdout).unwrap();
    assert!(shown.contains(&sha256) && shown.contains("good for"), "{shown}");
}

#[test]
fn what_cannot_be_used_stays_out_and_is_told() {
    let (daemon, first) = start("");
    let problem = || daemon.status()["tls"]["problem"].as_str().map(str::to_owned);
    assert_eq!(problem(), None);
    put(daemon.dir(), KEY, &Pair::new().key_pem);
    let told = eventually("the problem", problem);
    assert!(told.contains("another key"), "{told}");
    daemon.wait_for_log("event=\"certificate_refused\"");
    assert_eq!(get_tls(daemon.address(), &first, "/healthz", "").status, 200, "the old one stays");
    let metrics = get_tls(daemon.address(), &first, "/metrics", "").text();
    assert!(metrics.contains("talas_tls_certificate_refused 1"), "{metrics}");
    assert!(metrics.contains("talas_tls_certificate_expiry_timestamp_seconds "), "{metrics}");
    let reload = daemon.ctl(&["reload"]);
    assert_eq!(reload.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&reload.stderr).contains("another key"));
    let warnings = daemon.status()["warnings"].to_string();
    assert!(warnings.contains("not in use"), "{warnings}");
    put(daemon.dir(), KEY, &first.key_pem);
    eventually("the end of the problem", || problem().is_none().then_some(()));
    assert!(daemon.ctl(&["reload"]).status.success());
    assert_eq!(daemon.events("certificate_refused").len(), 1, "told once");
}

#[test]
fn what_is_no_pair_at_the_start_is_told_and_ends_it() {
    let (setup, pair) = setup("");
    let ends_with = |words: &str| {
        let output = setup.run_to_end();
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{text}");
        assert!(text.contains(words), "{words}: {text}");
    };
    fs::set_permissions(setup.dir().join(KEY), Permissions::from_mode(0o644)).unwrap();
    ends_with("others may read the key");
    put(setup.dir(), KEY, &Pair::new().key_pem);
    ends_with("for another key");
    put(setup.dir(), KEY, &pair.cert_pem);
    ends_with("no private key");
    fs::remove_file(setup.dir().join(CERT)).unwrap();
    ends_with("cert.pem");
}

#[test]
fn a_certificate_out_of_its_time_is_served_and_warned_about() {
    for (from, to, event, words) in [
        (2020, 2021, "certificate_expired", "has expired"),
        (2090, 2091, "certificate_early", "not valid yet"),
    ] {
        let (setup, _) = setup("");
        let pair = Pair::with(|parameters| {
            parameters.not_before = rcgen::date_time_ymd(from, 1, 1);
            parameters.not_after = rcgen::date_time_ymd(to, 1, 1);
        });
        pair.put(setup.dir());
        let daemon = setup.start();
        daemon.wait_for_log(event);
        let warnings = daemon.status()["warnings"].to_string();
        assert!(warnings.contains(words), "{warnings}");
    }
}

#[test]
fn files_and_live_sound_come_whole() {
    let (setup, pair) = setup("[library]\ndirs = [\"music\"]\n");
    let bytes = content(LENGTH);
    fs::create_dir(setup.dir().join("music")).unwrap();
    fs::write(setup.dir().join("music/a.mp3"), &bytes).unwrap();
    let daemon = setup.start();
    let id = eventually("the track", || {
        let tracks = get_tls(daemon.address(), &pair, "/tracks", "").json();
        tracks["tracks"][0]["id"].as_str().map(str::to_owned)
    });
    let path = format!("/stream/{id}");
    assert!(get_tls(daemon.address(), &pair, &path, "").body == bytes, "every byte as it is on disk");
    let range = get_tls(daemon.address(), &pair, &path, "Range: bytes=1000-500999\r\n");
    assert_eq!(range.status, 206);
    assert!(range.body == bytes[1000..501_000]);
    let (status, _, mut reader) = ask_tls(tls(daemon.address(), &pair), "/live.wav", "");
    assert_eq!(status, 200);
    let mut sound = vec![0; 200_000];
    reader.read_exact(&mut sound).unwrap();
    assert!(sound.starts_with(b"RIFF"));
    let samples = sound[1000..].chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]]));
    assert!(samples.map(i16::unsigned_abs).max().unwrap() > 1000, "the tone is heard");
}

#[test]
fn clients_without_tls_are_sent_there() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (daemon, pair) =
        start(&format!("redirect_listen = [\"127.0.0.1:{port}\"]\nhsts_max_age_s = 31536000\n"));
    let plain = ([127, 0, 0, 1], port).into();
    let https = daemon.address().port();
    for (host, path, location) in [
        ("localhost", "/", format!("https://localhost:{https}/")),
        ("127.0.0.1:80", "/tracks?q=a%20b", format!("https://127.0.0.1:{https}/tracks?q=a%20b")),
        ("[::1]", "//evil.example/", format!("https://[::1]:{https}//evil.example/")),
    ] {
        for method in ["GET", "POST"] {
            let answer = request(plain, method, path, &[("Host", host)], b"");
            assert_eq!(answer.status, 308, "{}", answer.text());
            assert_eq!(answer.header("location"), Some(location.as_str()));
            assert_eq!(answer.header("strict-transport-security"), None, "not without TLS");
        }
    }
    for host in ["evil.example", "localhost@evil.example", "localhost.evil.example"] {
        let answer = request(plain, "GET", "/", &[("Host", host)], b"");
        assert_eq!((answer.status, answer.header("location")), (403, None), "{host}");
    }
    let answer = get_tls(daemon.address(), &pair, "/healthz", "");
    assert_eq!(answer.header("strict-transport-security"), Some("max-age=31536000"));
}

#[test]
fn a_page_that_came_without_tls_is_another() {
    let (daemon, pair) = start("");
    let from = |origin: &str| {
        let headers = format!("Origin: {origin}\r\n");
        ask_tls(tls(daemon.address(), &pair), "/api/audio/stream", &headers).0
    };
    assert_eq!(from("https://localhost"), 200);
    assert_eq!(from("http://localhost"), 403);
    assert_eq!(from("https://evil.example"), 403);
}

#[test]
fn rubbish_costs_little() {
    let (daemon, pair) = start("");
    let plain = exchange(daemon.address(), b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!((plain.status, plain.text().contains("https")), (400, true), "{}", plain.text());
    // A client of TLS 1.1, and what only begins like one.
    let mut old = vec![0x16, 3, 1, 0, 45, 1, 0, 0, 41, 3, 2];
    old.extend([7; 32]);
    old.extend([0, 0, 2, 0, 0x2f, 1, 0]);
    let huge = [&[0x16, 3, 1, 0xff, 0xff][..], &[0; 70_000]].concat();
    for bytes in [&old[..], &huge, &content(5000)] {
        for _ in 0..20 {
            let mut stream = connect(daemon.address());
            // The other side may be gone before all is written.
            let _ = stream.write_all(bytes);
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer);
            assert!(answer.len() < 300, "an alert, or a hint");
        }
    }
    assert_eq!(get_tls(daemon.address(), &pair, "/healthz", "").status, 200);
    let tls = &daemon.status()["tls"]["handshakes"];
    assert!(tls["failed"].as_u64().unwrap() >= 40 && tls["not_tls"].as_u64().unwrap() >= 21, "{tls}");
    assert!(daemon.events("handshake_failed").len() < 60, "the journal is not flooded");
}

#[test]
fn the_slow_keep_nobody_out() {
    /// More than are served at a time.
    const SLOW: usize = 700;
    let (daemon, pair) = start("");
    let slow: Vec<TcpStream> = (0..SLOW)
        .map(|_| {
            let mut stream = connect(daemon.address());
            stream.write_all(&[0x16, 3, 1]).unwrap();
            stream
        })
        .collect();
    let handshakes = || daemon.status()["tls"]["handshakes"].clone();
    eventually("all of them", || {
        let now = handshakes();
        let seen = now["under_way"].as_u64().unwrap() + now["displaced"].as_u64().unwrap();
        (seen >= SLOW as u64).then_some(())
    });
    assert!(handshakes()["under_way"].as_u64().unwrap() <= 512, "{}", handshakes());
    assert_eq!(get_tls(daemon.address(), &pair, "/healthz", "").status, 200, "the newest come through");
    let began = Instant::now();
    eventually("the end of the slow", || (handshakes()["under_way"] == 0).then_some(()));
    assert!(began.elapsed() < Duration::from_secs(15));
    drop(slow);
}

#[test]
fn a_pair_that_was_made_on_request_is_served() {
    let setup = Setup::new(&format!("{CONFIG}[capture.tone]\n"));
    let at = |name: &str| setup.dir().join(name).to_str().unwrap().to_owned();
    let make = |more: &[&str]| {
        let (cert, key) = (at(CERT), at(KEY));
        let words = [&["--json", "tls", "self-signed", "--cert", &cert, "--key", &key][..], more].concat();
        Command::new(talasctl()).args(words).output().unwrap()
    };
    let myself = User::from_uid(geteuid()).unwrap().unwrap().name;
    let made = make(&["--name", "radio.example", "--owner", &myself]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let made: serde_json::Value = serde_json::from_slice(&made.stdout).unwrap();
    let mode = fs::metadata(at(KEY)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let key = fs::read(at(KEY)).unwrap();
    assert_eq!(make(&[]).status.code(), Some(1), "it is not overwritten");
    assert_eq!(fs::read(at(KEY)).unwrap(), key);
    let daemon = setup.start();
    let shown = &daemon.status()["tls"]["certificate"];
    assert_eq!(shown["sha256"], made["sha256"]);
    let names = shown["names"].to_string();
    for name in ["radio.example", "localhost", "127.0.0.1", "::1"] {
        assert!(names.contains(&format!("\"{name}\"")), "{names}");
    }
}

/// The daemon with these two listeners, as a service manager hands them over.
fn activated(setup: &Setup, names: &str, first: TcpListener, second: TcpListener) -> Child {
    // The shell puts the sockets where a service manager does, and has the daemon's process id.
    let script = format!(
        "exec 3<&0 4>&1 </dev/null >/dev/null
        LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES={names} exec \"$@\""
    );
    let daemon = setup.command();
    let environment = daemon.get_envs().filter_map(|(name, value)| Some((name, value?)));
    Command::new("sh")
        .args(["-c", &script, "sh"])
        .arg(daemon.get_program())
        .args(daemon.get_args())
        .envs(environment)
        .stdin(Stdio::from(OwnedFd::from(first)))
        .stdout(Stdio::from(OwnedFd::from(second)))
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn an_inherited_https_speaks_tls_and_http_beside_it_leads_there() {
    let listener = || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    };
    let (setup, pair) = setup("");
    let ((first, https), (second, http)) = (listener(), listener());
    let mut child = activated(&setup, "https:http", first, second);
    eventually("TLS", || shake(https, &pair, &["http/1.1"], rustls::ALL_VERSIONS).ok());
    let sent = request(http, "GET", "/live.mp3", &[("Host", "localhost")], b"");
    let location = format!("https://localhost:{}/live.mp3", https.port());
    assert_eq!((sent.status, sent.header("location")), (308, Some(location.as_str())));
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGTERM).unwrap();
    assert!(child.wait().unwrap().success());

    let bare = Setup::tone();
    let output = activated(&bare, "https:http", listener().0, listener().0).wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stderr).contains("http.tls.cert"));
}

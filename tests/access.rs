//! Who is let in, asked of the real daemon through its sockets.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::time::{Duration, Instant};

use common::*;
use nix::sys::signal::Signal;
use serde_json::{Value, json};

/// Every route that needs something.
const GUARDED: [&str; 5] =
    ["/api/audio/stream", "/api/audio/stats", "/api/audio/debug/connections", "/tracks", "/metrics"];

fn guarded(more: &str) -> Daemon {
    let listen = "http.listen = [\"127.0.0.1:0\"]";
    Setup::new(&format!("{listen}\naccess.mode = \"token\"\n{more}\n[capture.tone]\n")).start()
}

/// Makes a token by talasctl.
fn mint(daemon: &Daemon, arguments: &[&str]) -> (String, String) {
    let output = daemon.ctl(&[&["--json", "token", "mint", "--sub", "ada"], arguments].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let minted: Value = serde_json::from_slice(&output.stdout).unwrap();
    (minted["token"].as_str().unwrap().to_owned(), minted["jti"].as_str().unwrap().to_owned())
}

fn get(daemon: &Daemon, path: &str, token: &str) -> Answer {
    request(daemon.address(), "GET", path, &[("Authorization", &format!("Bearer {token}"))], b"")
}

fn head_of(daemon: &Daemon, path: &str, token: &str) -> u16 {
    request(daemon.address(), "HEAD", path, &[("Authorization", &format!("Bearer {token}"))], b"").status
}

fn code(answer: &Answer) -> (u16, String) {
    (answer.status, answer.json()["code"].as_str().unwrap().to_owned())
}

#[test]
fn nobody_gets_past_without_a_token_and_nobody_learns_why() {
    let daemon = guarded("");
    let (token, _) = mint(&daemon, &[]);
    for path in GUARDED {
        let answer = daemon.get_any(path);
        assert_eq!(code(&answer), (401, "token_missing".to_owned()), "{path}");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer realm=\"talas\""), "{path}");
        assert_eq!(head_of(&daemon, path, "x"), 401, "{path}");
        for wrong in ["x", "a.b.c", &token[..token.len() - 1], &format!("{token}A"), "talas_00000000_AAAA"] {
            let answer = get(&daemon, path, wrong);
            assert_eq!(code(&answer), (401, "token_invalid".to_owned()), "{path}");
            assert!(answer.header("www-authenticate").unwrap().contains("invalid_token"));
            assert!(!answer.text().contains("signature"), "{}", answer.text());
        }
    }
    for open in ["/", "/healthz", "/readyz", "/talas-client.js"] {
        assert_eq!(daemon.get_any(open).status, 200, "{open}");
    }
    assert_eq!(daemon.status()["access"]["mode"], "token");
    let log = daemon.wait_for_log("its signature does not fit");
    assert!(log.contains("access_denied"), "the operator learns why: {log}");
}

#[test]
fn roles_open_what_they_say() {
    let daemon = guarded("access.roles = { scraper = [\"metrics\", \"stats\"] }");
    let codes = |role: &str| {
        let (token, _) = mint(&daemon, &["--role", role]);
        GUARDED.map(|path| head_of(&daemon, path, &token))
    };
    assert_eq!(codes("listener"), [200, 403, 403, 200, 403]);
    assert_eq!(codes("service"), [200, 200, 403, 200, 403]);
    assert_eq!(codes("metrics"), [403, 403, 403, 403, 200]);
    assert_eq!(codes("scraper"), [403, 200, 403, 403, 200]);
    assert_eq!(codes("operator"), [200, 200, 200, 200, 200]);
    let (listener, _) = mint(&daemon, &[]);
    let answer = get(&daemon, "/metrics", &listener);
    assert_eq!(code(&answer), (403, "permission_missing".to_owned()));
    assert!(answer.text().contains("needs the permission metrics, and what was shown gives listen"));
    let post = |token: &str| {
        let bearer = format!("Bearer {token}");
        // A method in a header is no method.
        let headers = [
            ("Authorization", bearer.as_str()),
            ("Content-Type", "application/json"),
            ("X-HTTP-Method-Override", "GET"),
        ];
        request(daemon.address(), "POST", "/api/audio/control", &headers, br#"{"action":"pause"}"#).status
    };
    assert_eq!(post(&listener), 403);
    assert_eq!(daemon.status()["state"], "running");
    assert_eq!(post(&mint(&daemon, &["--role", "operator"]).0), 200);
}

#[test]
fn everybody_may_what_is_given_to_everybody() {
    let daemon = guarded("access.anonymous = [\"listen\"]");
    daemon.stream("").frames(3);
    assert_eq!(code(&daemon.get_any("/metrics")).0, 401);
    assert_eq!(code(&get(&daemon, "/tracks", "x")).0, 401, "a wrong token is not no token");
    let shown = daemon.ctl(&["status"]);
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains("everybody: listen"), "{shown}");
}

#[test]
fn a_token_in_the_address_is_for_what_is_held_open_and_for_nothing_else() {
    let daemon = guarded("");
    let (token, _) = mint(&daemon, &["--role", "admin"]);
    Sse::open(daemon.address(), &format!("/api/audio/stream?encoding=s16&token={token}")).frames(3);
    for path in ["/api/audio/stats", "/tracks", "/metrics"] {
        assert_eq!(daemon.get_any(&format!("{path}?token={token}")).status, 401, "{path}");
    }
    // In a path, in a Referer, in a cookie it is nothing.
    let referer = format!("http://localhost/?token={token}");
    let cookie = format!("token={token}");
    for headers in [[("Referer", referer.as_str())], [("Cookie", cookie.as_str())]] {
        assert_eq!(request(daemon.address(), "GET", "/tracks", &headers, b"").status, 401);
    }
    assert_eq!(daemon.get_any(&format!("/stream/{token}")).status, 401);
    let _ = daemon.get_any(&format!("/{token}"));
    let both = get(&daemon, &format!("/api/audio/stream?token={token}"), &token);
    assert_eq!(code(&both), (400, "credentials_ambiguous".to_owned()));
    // Nowhere does it come to light.
    let signature = token.rsplit('.').next().unwrap();
    let statistics =
        get(&daemon, "/api/audio/stats", &token).text() + &get(&daemon, "/metrics", &token).text();
    let places = [daemon.log().join("\n"), statistics, daemon.status().to_string()];
    assert!(places.iter().all(|place| !place.contains(signature)), "a token came to light");
}

#[test]
fn no_way_of_writing_a_path_gets_past_the_table() {
    let daemon = guarded("");
    let (link, _) = mint(&daemon, &["--audio-id", "0123456789abcdef0123456789abcdef"]);
    for path in [
        "//metrics",
        "/./metrics",
        "/healthz/../metrics",
        "/%6detrics",
        "/metrics%2f",
        "/metrics/",
        "/METRICS",
        "/metrics;x",
        "/healthz%2f..%2fmetrics",
        "/\u{ff4d}etrics",
        "/metrics%00",
        "/healthz/metrics",
        "/api//audio/stats",
        "/api/audio/stats/",
        "/api/audio/%73tats",
        "/api/audio/../audio/stats",
    ] {
        let answer = daemon.get_any(path);
        assert!([400, 401, 404].contains(&answer.status), "{path}: {}", answer.text());
    }
    assert_eq!(get(&daemon, "/stream/0123456789abcdef0123456789abcdef", &link).status, 404, "let through");
    for path in [
        "/stream/0123456789abcdef0123456789abcdee",
        "/stream/%30123456789abcdef0123456789abcdef",
        "/stream/0123456789ABCDEF0123456789ABCDEF",
        "/api/audio/stream",
        "/tracks",
    ] {
        let answer = get(&daemon, path, &link);
        assert_eq!(code(&answer), (403, "out_of_bounds".to_owned()), "{path}");
    }
}

/// Reads a stream to its end and says what its last event was.
fn last_event(mut reader: impl BufRead) -> String {
    let mut text = String::new();
    let mut line = String::new();
    // The last chunk has no bytes; the connection itself stays for another request.
    while reader.read_line(&mut line).is_ok_and(|read| read > 0) && line != "0\r\n" {
        if let Some(event) = line.strip_prefix("event: ") {
            text = event.to_owned();
        } else if line.starts_with("data: ") {
            text.push_str(&line);
        }
        line.clear();
    }
    text
}

fn open_stream(daemon: &Daemon, token: &str) -> BufReader<std::net::TcpStream> {
    let mut stream = connect(daemon.address());
    write!(
        stream,
        "GET /api/audio/stream?max_fps=2 HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n"
    )
    .unwrap();
    let mut reader = BufReader::new(stream);
    assert_eq!(read_head(&mut reader).0, 200);
    reader
}

#[test]
fn a_running_stream_ends_with_its_token_and_says_why() {
    let daemon = guarded("");
    let (short, _) = mint(&daemon, &["--for", "3s"]);
    let (long, jti) = mint(&daemon, &[]);
    let began = Instant::now();
    let (expiring, revoked) = (open_stream(&daemon, &short), open_stream(&daemon, &long));
    let sessions: Value =
        serde_json::from_slice(&daemon.ctl(&["--json", "access", "sessions"]).stdout).unwrap();
    assert_eq!(sessions["total"], 2);
    assert_eq!(sessions["sessions"][0]["sub"], "ada");
    let listeners = daemon.ask("connections", &json!({}));
    assert_eq!(listeners["result"]["connections"][0]["user_id"], "ada");
    let last = last_event(expiring);
    assert!(last.starts_with("error\ndata: {\"code\":\"token_expired\""), "{last}");
    assert!(began.elapsed() < Duration::from_secs(3 + 2), "within a second of its end");
    assert_eq!(code(&get(&daemon, "/tracks", &short)), (401, "token_expired".to_owned()));
    let asked = Instant::now();
    assert!(daemon.ctl(&["token", "revoke", &jti]).status.success());
    let last = last_event(revoked);
    assert!(last.starts_with("error\ndata: {\"code\":\"access_revoked\""), "{last}");
    assert!(asked.elapsed() < Duration::from_secs(2), "within a second of the order");
    assert_eq!(code(&get(&daemon, "/tracks", &long)), (401, "token_invalid".to_owned()));
    let daemon = daemon.restart();
    assert_eq!(get(&daemon, "/tracks", &long).status, 401, "still revoked");
}

#[test]
fn a_revoked_listener_who_takes_nothing_is_cut() {
    let daemon = guarded("");
    let (token, jti) = mint(&daemon, &[]);
    let mut stream = connect(daemon.address());
    write!(
        stream,
        "GET /api/audio/stream HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n"
    )
    .unwrap();
    daemon.wait_for_status("a listener", |status| status["listeners"]["sse"] == 1);
    // Long enough that nothing more fits on its way.
    std::thread::sleep(Duration::from_secs(3));
    assert!(daemon.ctl(&["token", "revoke", &jti]).status.success());
    daemon.wait_for_status("nobody", |status| status["listeners"]["sse"] == 0);
    let mut rest = Vec::new();
    // A reset, or the end after what was on its way.
    let _ = stream.read_to_end(&mut rest);
}

#[test]
fn keys_let_machines_in_from_where_they_may_come() {
    let daemon = guarded("");
    let add = |arguments: &[&str]| -> Value {
        let output = daemon.ctl(&[&["--json", "key", "add"], arguments].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let here = add(&["scraper", "--permission", "metrics", "--from", "127.0.0.0/8"]);
    let elsewhere = add(&["far", "--permission", "metrics", "--from", "192.0.2.0/24"]);
    let (here, elsewhere) = (here["key"].as_str().unwrap(), elsewhere["key"].as_str().unwrap());
    assert_eq!(get(&daemon, "/metrics", here).status, 200);
    assert_eq!(code(&get(&daemon, "/tracks", here)), (403, "permission_missing".to_owned()));
    assert_eq!(code(&get(&daemon, "/metrics", elsewhere)), (403, "out_of_bounds".to_owned()));
    let listed = String::from_utf8(daemon.ctl(&["key", "list"]).stdout).unwrap();
    assert!(listed.contains("scraper") && listed.contains("0 s ago") && !listed.contains(here), "{listed}");
    assert!(daemon.ctl(&["key", "remove", "scraper"]).status.success());
    assert_eq!(get(&daemon, "/metrics", here).status, 401);
    let daemon = daemon.restart();
    assert_eq!(get(&daemon, "/metrics", here).status, 401);
    assert_eq!(get(&daemon, "/metrics", elsewhere).status, 403, "the other is still known");
}

#[test]
fn an_operator_is_told_why() {
    let daemon = guarded("");
    let (token, _) = mint(&daemon, &[]);
    let test = |token: &str, path: &str| {
        let output = daemon.ctl(&["access", "test", token, "GET", path]);
        String::from_utf8(output.stdout).unwrap()
    };
    let told = test(&token, "/metrics");
    assert!(told.starts_with("refused\n") && told.contains("the permission metrics is missing"), "{told}");
    assert!(test(&token, "/tracks").starts_with("let through\n"));
    assert!(test("", "/tracks").contains("nothing is shown"));
    let told = test(&format!("{token}x"), "/tracks");
    assert!(told.contains("not accepted") && !told.contains(&token), "{told}");
}

#[test]
fn listeners_see_each_other_no_more_than_they_may() {
    let daemon = guarded("");
    let (operator, _) = mint(&daemon, &["--role", "operator"]);
    let (service, _) = mint(&daemon, &["--role", "service"]);
    let _stream = open_stream(&daemon, &service);
    daemon.wait_for_status("a listener", |status| status["listeners"]["sse"] == 1);
    let of = |token: &str| get(&daemon, "/api/audio/stats", token).json()["connections"][0].clone();
    assert_eq!(of(&operator)["ip_address"], "127.0.0.1");
    assert_eq!(
        (&of(&service)["ip_address"], &of(&service)["user_id"]),
        (&json!("redacted"), &json!("redacted"))
    );
}

#[test]
fn a_page_of_another_origin_holds_nothing_open_by_a_token() {
    let daemon = guarded("");
    let (token, _) = mint(&daemon, &[]);
    let ask = |origin: &str, path: &str| request(daemon.address(), "GET", path, &[("Origin", origin)], b"");
    let stream = format!("/api/audio/stream?token={token}");
    assert_eq!(code(&ask("http://evil.example", &stream)), (403, "origin_not_allowed".to_owned()));
    let refused = ask("http://localhost:3000", "/tracks");
    assert_eq!(refused.status, 401);
    let origin = refused.header("access-control-allow-origin");
    assert_eq!(origin, Some("http://localhost:3000"), "a page that may ask can read why not");
}

#[test]
fn a_reload_changes_who_may_and_a_bad_key_changes_nothing() {
    let daemon = guarded("");
    assert_eq!(daemon.get_any("/tracks").status, 401);
    let file = daemon.dir().join("talasd.toml");
    let old = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("access.anonymous = [\"listen\"]\n{old}")).unwrap();
    daemon.signal(Signal::SIGHUP);
    eventually("the reload", || (daemon.get_any("/tracks").status == 200).then_some(()));
    std::fs::write(&file, format!("access.jwt.key_file = \"/nonexistent/key\"\n{old}")).unwrap();
    let output = daemon.ctl(&["reload"]);
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && told.contains("/nonexistent/key"), "{told}");
    assert_eq!(daemon.get_any("/tracks").status, 200);
}

#[test]
fn a_daemon_that_cannot_know_what_was_revoked_does_not_start() {
    let setup = Setup::new("access.mode = \"token\"\n[capture.tone]\n");
    let state = setup.dir().join("state");
    std::fs::create_dir(&state).unwrap();
    std::fs::write(state.join("access.json"), "{").unwrap();
    let output = setup.run_to_end();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && told.contains("revoke anew"), "{told}");
}

//! The rules of the HTTP door: what each route takes, from which pages, and how it says no.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::net::SocketAddr;

use common::*;

const JSON: (&str, &str) = ("Content-Type", "application/json");
const PAGE: &str = "http://localhost:3000";
const ROUTES: [&str; 4] = ["/api/audio/stream", "/api/audio/stats", "/healthz", "/readyz"];

/// A refusal must be a problem document that says the same as its status.
fn assert_problem(answer: &Answer, status: u16, code: &str, what: &str) {
    assert_eq!(answer.status, status, "{what}: {}", answer.text());
    assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{what}");
    let document = answer.json();
    assert_eq!(
        (&document["status"], &document["code"]),
        (&status.into(), &code.into()),
        "{what}: {document}"
    );
    for field in ["type", "title", "detail"] {
        assert!(document[field].as_str().is_some_and(|text| !text.is_empty()), "{what}: {document}");
    }
    assert!(answer.body.len() < 1000, "{what}: an answer is not an echo");
}

fn get(address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Answer {
    request(address, "GET", path, headers, b"")
}

#[test]
fn a_query_that_means_nothing_is_told() {
    let daemon = Setup::tone().start();
    let long = format!("quality={}", "9".repeat(5000));
    for query in [
        "encoding=",
        "encoding=JSON",
        "encoding=mp3",
        "encoding=f64",
        "encoding=f32%20",
        "encoding=%00",
        "encoding=%ff%fe",
        "encoding=json&encoding=json",
        "quality=",
        "quality=0",
        "quality=0.09",
        "quality=-1",
        "quality=1.01",
        "quality=2",
        "quality=NaN",
        "quality=inf",
        "quality=-inf",
        "quality=1e400",
        "quality=high",
        "quality=0,5",
        "quality=0.5%00",
        "quality=0x1",
        "quality=[0.5]",
        "quality=0.5&quality=0.5",
        &long,
    ] {
        let answer = daemon.get_any(&format!("/api/audio/stream?{query}"));
        assert_problem(&answer, 400, "invalid_query", query);
    }
    assert_eq!(daemon.status()["listeners"]["sse"], 0, "none of them began to listen");
}

#[test]
fn a_command_is_taken_whole_or_refused_with_the_reason() {
    let daemon = Setup::new("http.max_json_mb = 1\n[capture.tone]\n").start();
    let adjust = |value: &str| format!(r#"{{"action":"adjust_quality","params":{{"quality":{value}}}}}"#);
    for (body, code) in [
        ("", "invalid_json"),
        ("{", "invalid_json"),
        ("null", "invalid_json"),
        ("[]", "invalid_json"),
        ("pause", "invalid_json"),
        ("{}", "invalid_json"),
        (r#"{"action":"pause"}}"#, "invalid_json"),
        (r#"{"action":"pause"} {"action":"resume"}"#, "invalid_json"),
        (r#"{"action":1}"#, "invalid_json"),
        (r#"{"action":"pause","extra":1}"#, "invalid_json"),
        (r#"{"action":"pause","action":"resume"}"#, "invalid_json"),
        (r#"{"action":"pause","params":[]}"#, "invalid_json"),
        ("{\"action\":\"pau\u{fffd}", "invalid_json"),
        (&"[".repeat(100_000), "invalid_json"),
        (r#"{"action":""}"#, "unknown_action"),
        (r#"{"action":"stop"}"#, "unknown_action"),
        (r#"{"action":"Pause"}"#, "unknown_action"),
        (&adjust("NaN"), "invalid_json"),
        (&adjust("1e999"), "invalid_json"),
        (&adjust("\"high\""), "invalid_params"),
        (&adjust("\"0.5\""), "invalid_params"),
        (&adjust("0"), "invalid_params"),
        (&adjust("0.09"), "invalid_params"),
        (&adjust("2"), "invalid_params"),
        (&adjust("-1"), "invalid_params"),
        (&adjust("[0.5]"), "invalid_params"),
        (&adjust("{}"), "invalid_params"),
        (&adjust("true"), "invalid_params"),
    ] {
        let what = &body[..body.len().min(60)];
        assert_problem(&daemon.control(body), 400, code, what);
    }
    let large = format!(r#"{{"action":"pause","params":{{"x":"{}"}}}}"#, "x".repeat(1 << 20));
    assert_problem(&daemon.control(&large), 413, "body_too_large", "1 MiB and a little");
    let fits = format!(r#"{{"action":"adjust_quality","params":{{"x":"{}"}}}}"#, "x".repeat((1 << 20) - 60));
    assert_eq!(daemon.control(&fits).status, 200, "just under 1 MiB");
    let status = daemon.status();
    assert_eq!((&status["state"], &status["quality"]["scale"]), (&"running".into(), &1.0.into()));
}

#[test]
fn commands_answer_in_the_founded_words() {
    let daemon = Setup::tone().start();
    let now_ms = || u64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap();
    for (command, message, scale, state) in [
        (r#"{"action":"pause"}"#, "Stream paused", 1.0, "paused"),
        (r#"{"action":"pause","params":{}}"#, "Stream paused", 1.0, "paused"),
        (r#"{"action":"resume","params":{"quality":7}}"#, "Stream resumed", 1.0, "running"),
        (
            r#"{"action":"adjust_quality","params":{"quality":0.5}}"#,
            "Quality adjusted to 0.5",
            0.5,
            "running",
        ),
        (
            r#"{"action":"adjust_quality","params":{"quality":0.3}}"#,
            "Quality adjusted to 0.25",
            0.25,
            "running",
        ),
        (
            r#"{"action":"adjust_quality","params":{"quality":0.1}}"#,
            "Quality adjusted to 0.125",
            0.125,
            "running",
        ),
        (r#"{"action":"adjust_quality"}"#, "Quality adjusted to 1", 1.0, "running"),
    ] {
        let answer = daemon.control(command);
        assert_eq!(answer.status, 200, "{command}: {}", answer.text());
        let document = answer.json();
        assert_eq!((&document["success"], &document["message"]), (&true.into(), &message.into()));
        assert!(document["timestamp"].as_u64().unwrap().abs_diff(now_ms()) < 10_000, "{document}");
        assert_eq!(document.as_object().unwrap().len(), 3, "{document}");
        assert_eq!(daemon.status()["quality"]["scale"], scale);
        daemon.wait_for_status(state, |status| status["state"] == state);
    }
}

#[test]
fn only_json_is_a_command() {
    let daemon = Setup::tone().start();
    let post = |headers: &[(&str, &str)]| {
        request(daemon.address(), "POST", "/api/audio/control", headers, br#"{"action":"pause"}"#)
    };
    for kind in [
        "",
        "text/plain",
        "text/json",
        "application/x-www-form-urlencoded",
        "application/jsonx",
        "multipart/form-data",
    ] {
        assert_problem(&post(&[("Content-Type", kind)]), 415, "unsupported_media_type", kind);
    }
    assert_problem(&post(&[]), 415, "unsupported_media_type", "none");
    assert_eq!(daemon.status()["state"], "running");
    assert_eq!(post(&[("Content-Type", "Application/JSON; charset=utf-8")]).status, 200);
}

#[test]
fn a_name_that_is_not_ours_is_refused_everywhere() {
    let daemon = Setup::new("http.hosts = [\"studio.local\"]\n[capture.tone]\n").start();
    let address = daemon.address();
    for host in ["evil.example", "127.0.0.1.evil.example", "192.0.2.1", "localhost@evil.example", "[::2]:80"]
    {
        for path in ROUTES.iter().chain(&["/", "/nowhere"]) {
            assert_problem(&get(address, path, &[("Host", host)]), 403, "host_not_allowed", host);
        }
        let command =
            request(address, "POST", "/api/audio/control", &[("Host", host), JSON], br#"{"action":"pause"}"#);
        assert_problem(&command, 403, "host_not_allowed", host);
        // The name in the address goes before the header.
        let answer = get(address, &format!("http://{host}/healthz"), &[("Host", "localhost")]);
        assert!([400, 403].contains(&answer.status), "{host}: {}", answer.text());
    }
    for host in [
        "localhost",
        "LOCALHOST:1",
        "127.0.0.1",
        "127.0.0.1:8080",
        "[::1]:9",
        "studio.local",
        "Studio.Local:80",
    ] {
        assert_eq!(get(address, "/healthz", &[("Host", host)]).status, 200, "{host}");
    }
    assert_eq!(daemon.status()["state"], "running");
}

#[test]
fn pages_of_others_change_nothing_and_hold_nothing_open() {
    let daemon = Setup::tone().start();
    let address = daemon.address();
    let own = format!("http://{address}");
    for origin in ["http://evil.example", "null", "http://localhost:3001", "https://localhost:3000", ""] {
        let headers = [("Origin", origin), JSON];
        let answer = request(address, "POST", "/api/audio/control", &headers, br#"{"action":"pause"}"#);
        assert_problem(&answer, 403, "origin_not_allowed", origin);
        assert_problem(&get(address, ROUTES[0], &headers), 403, "origin_not_allowed", origin);
        let stats = get(address, "/api/audio/stats", &headers);
        assert_eq!((stats.status, stats.header("access-control-allow-origin")), (200, None), "{origin}");
    }
    assert_eq!(daemon.status()["state"], "running");
    for origin in [PAGE, "http://localhost:8080", &own] {
        let headers = [("Origin", origin), JSON];
        let answer = request(address, "POST", "/api/audio/control", &headers, br#"{"action":"resume"}"#);
        assert_eq!(answer.status, 200, "{origin}: {}", answer.text());
        let allowed = (origin != own).then_some(origin);
        assert_eq!(answer.header("access-control-allow-origin"), allowed);
    }
}

fn words(answer: &Answer, header: &str) -> Vec<String> {
    let text = answer.header(header).unwrap_or("").to_ascii_lowercase();
    let mut words: Vec<String> = text.split(',').map(|word| word.trim().to_owned()).collect();
    words.sort();
    words
}

#[test]
fn a_preflight_says_exactly_what_is_configured() {
    let daemon = Setup::tone().start();
    let ask = |origin: &str, path: &str| {
        let headers = [
            ("Origin", origin),
            ("Access-Control-Request-Method", "POST"),
            ("Access-Control-Request-Headers", "content-type, x-evil"),
        ];
        request(daemon.address(), "OPTIONS", path, &headers, b"")
    };
    for path in ["/api/audio/control", "/api/audio/stream"] {
        let answer = ask(PAGE, path);
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.header("access-control-allow-origin"), Some(PAGE));
        assert_eq!(answer.header("access-control-allow-credentials"), Some("true"));
        assert_eq!(words(&answer, "access-control-allow-methods"), ["get", "options", "post"]);
        let headers = ["accept", "authorization", "cache-control", "content-type"];
        assert_eq!(words(&answer, "access-control-allow-headers"), headers);
        for foreign in ["http://evil.example", "null", "http://localhost:3000.evil.example"] {
            assert_eq!(ask(foreign, path).header("access-control-allow-origin"), None, "{foreign}");
        }
    }
    let no = Setup::new(
        "[http.cors]\norigins = [\"https://a.example\"]\nmethods = [\"GET\"]\nheaders = []\n\
                         credentials = false\n[capture.tone]\n",
    );
    let daemon = no.start();
    let headers = [("Origin", "https://a.example"), ("Access-Control-Request-Method", "GET")];
    let answer = request(daemon.address(), "OPTIONS", "/api/audio/stats", &headers, b"");
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://a.example"));
    assert_eq!(answer.header("access-control-allow-credentials"), None);
    assert_eq!(words(&answer, "access-control-allow-methods"), ["get"]);
    assert_eq!(words(&answer, "access-control-allow-headers"), [""]);
}

#[test]
fn head_is_get_without_a_body() {
    let daemon = Setup::tone().start();
    for path in ROUTES {
        let answer = request(daemon.address(), "HEAD", path, &[], b"");
        assert_eq!((answer.status, answer.body.len()), (200, 0), "{path}");
        let kind = if path == ROUTES[0] { "text/event-stream" } else { "application/json" };
        assert_eq!(answer.header("content-type"), Some(kind), "{path}");
    }
    assert_eq!(request(daemon.address(), "HEAD", "/api/audio/stream?quality=9", &[], b"").status, 400);
    assert_eq!(daemon.status()["listeners"]["sse"], 0, "HEAD does not listen");
}

#[test]
fn what_is_not_there_and_what_is_not_done_are_problems() {
    let daemon = Setup::tone().start();
    let address = daemon.address();
    for path in ["/api", "/api/audio/stream/", "//healthz", "/healthz/..", "/%2e%2e/etc/passwd", "/%00"] {
        assert_problem(&daemon.get_any(path), 404, "not_found", path);
    }
    for method in ["POST", "PUT", "DELETE", "PATCH", "TRACE", "FROBNICATE"] {
        for path in ROUTES {
            let answer = request(address, method, path, &[JSON], b"{}");
            assert_problem(&answer, 405, "method_not_allowed", &format!("{method} {path}"));
            assert_eq!(words(&answer, "allow"), ["get", "head"], "{method} {path}");
        }
    }
    for method in ["GET", "HEAD", "PUT"] {
        let answer = request(address, method, "/api/audio/control", &[], b"");
        assert_eq!((answer.status, words(&answer, "allow")), (405, vec!["post".to_owned()]), "{method}");
    }
}

#[test]
fn streams_beyond_the_limit_are_told_to_come_back() {
    let daemon = Setup::new("http.max_streams = 3\n[capture.tone]\n").start();
    let address = daemon.address();
    let crowd: Vec<_> = std::thread::scope(|scope| {
        let come = || {
            let mut stream = connect(address);
            std::io::Write::write_all(
                &mut stream,
                b"GET /api/audio/stream HTTP/1.1\r\nHost: localhost\r\n\r\n",
            )
            .unwrap();
            let mut reader = std::io::BufReader::new(stream);
            (read_head(&mut reader), reader)
        };
        let crowd: Vec<_> = (0..40).map(|_| scope.spawn(come)).collect();
        crowd.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let let_in = crowd.iter().filter(|((status, _), _)| *status == 200).count();
    assert_eq!(let_in, 3, "however many come at once");
    assert!(crowd.iter().all(|((status, _), _)| [200, 503].contains(status)));
    let answer = daemon.get_any("/api/audio/stream");
    assert_problem(&answer, 503, "too_many_streams", "a fourth");
    assert!(answer.header("retry-after").unwrap().parse::<u64>().unwrap() >= 1);
    assert_eq!(daemon.get_any("/healthz").status, 200, "only streams are limited");
    drop(crowd);
    daemon.wait_for_status("room again", |status| status["listeners"]["sse"] == 0);
    daemon.stream("").frames(3);
}

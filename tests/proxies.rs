//! The daemon behind a proxy: whose word on who asks is taken, and what hangs on it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::*;

/// Requests of a test come from 127.0.0.1.
const TRUSTING: &str = "http.listen = [\"127.0.0.1:0\"]\nhttp.hosts = [\"radio.example\"]\n\
                        http.trusted_proxies = [\"127.0.0.0/8\", \"10.0.0.0/8\"]\naccess.mode = \"open\"\n[capture.tone]\n";
const TRUSTING_ANOTHER: &str =
    "http.trusted_proxies = [\"10.0.0.0/8\"]\naccess.mode = \"open\"\n[capture.tone]\n";

/// The address that a listener is listed with who came with these headers.
fn listed(daemon: &Daemon, headers: &[(&str, &str)]) -> String {
    let listener = {
        let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        Sse::open_with(daemon.address(), "/api/audio/stream", &headers)
    };
    let stats = daemon.get("/api/audio/stats");
    drop(listener);
    let address = stats["connections"][0]["ip_address"].as_str().unwrap().to_owned();
    daemon.wait_for_status("nobody", |status| status["listeners"]["sse"] == 0);
    address
}

#[test]
fn listeners_are_listed_with_the_address_that_a_trusted_proxy_tells() {
    let daemon = Setup::new(TRUSTING).start();
    for (headers, address) in [
        (&[][..], "127.0.0.1"),
        (&[("X-Forwarded-For", "192.0.2.9")], "192.0.2.9"),
        (&[("X-Forwarded-For", "1.2.3.4, 192.0.2.9, 10.1.1.1")], "192.0.2.9"),
        (&[("Forwarded", "for=1.2.3.4, for=\"[2001:db8::7]:4711\"")], "2001:db8::7"),
    ] {
        assert_eq!(listed(&daemon, headers), address, "{headers:?}");
    }
    let line = daemon.events("listener_joined").pop().unwrap();
    assert!(line.contains("2001:db8::7"), "the journal too: {line}");
}

#[test]
fn strangers_are_not_believed() {
    let daemon = Setup::new(TRUSTING_ANOTHER).start();
    for header in ["X-Forwarded-For", "Forwarded"] {
        for value in ["192.0.2.9", "for=192.0.2.9", "10.0.0.1", "\"", "\u{e4}"] {
            assert_eq!(listed(&daemon, &[(header, value)]), "127.0.0.1", "{header}: {value}");
        }
    }
    let forged = [("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "evil.example")];
    let playlist = request(daemon.address(), "GET", "/live.m3u", &forged, b"").text();
    assert!(playlist.contains(&format!("\nhttp://{}/", daemon.address())), "{playlist}");
}

#[test]
fn what_a_proxy_cannot_have_meant_is_refused() {
    let daemon = Setup::new(TRUSTING).start();
    for (headers, code) in [
        (&[("Forwarded", "for=\"")][..], "forwarded_invalid"),
        (&[("X-Forwarded-Proto", "gopher")], "forwarded_invalid"),
        (&[("Forwarded", "for=1.2.3.4"), ("X-Forwarded-For", "192.0.2.9")], "forwarded_ambiguous"),
    ] {
        let answer = request(daemon.address(), "GET", "/healthz", headers, b"");
        assert_eq!((answer.status, &answer.json()["code"]), (400, &code.into()), "{headers:?}");
    }
}

#[test]
fn names_are_those_that_the_client_knows() {
    let daemon = Setup::new(TRUSTING).start();
    let ask = |path: &str, headers: &[(&str, &str)]| request(daemon.address(), "GET", path, headers, b"");
    let told = [("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "radio.example")];
    let playlist = ask("/live.m3u", &told).text();
    assert!(playlist.contains("\nhttps://radio.example/live.mp3\n"), "{playlist}");
    let foreign = ask("/healthz", &[("X-Forwarded-Host", "evil.example")]);
    assert_eq!((foreign.status, &foreign.json()["code"]), (403, &"host_not_allowed".into()));
    let pause = |origin: &str| {
        let headers = [told[0], told[1], ("Origin", origin), ("Content-Type", "application/json")];
        request(daemon.address(), "POST", "/api/audio/control", &headers, br#"{"action":"resume"}"#).status
    };
    assert_eq!(pause("https://radio.example"), 200);
    assert_eq!(pause("http://radio.example"), 403, "a page that came without TLS is another");
}

#[test]
fn keys_are_bound_to_the_client_and_not_to_the_proxy() {
    let daemon = Setup::new("http.trusted_proxies = [\"127.0.0.1\"]\n[capture.tone]\n").start();
    let status = daemon.status();
    assert_eq!(status["access"]["mode"], "token", "who knows whom the proxy lets in: {status}");
    let made = daemon.ctl(&["key", "add", "radio", "--permission", "listen", "--from", "192.0.2.0/24"]);
    let key = String::from_utf8(made.stdout).unwrap();
    let bearer = format!("Bearer {}", key.lines().find(|line| line.starts_with("talas_")).unwrap().trim());
    let ask = |client: &str| {
        let headers = [("Authorization", bearer.as_str()), ("X-Forwarded-For", client)];
        request(daemon.address(), "GET", "/tracks", &headers, b"").status
    };
    assert_eq!(ask("192.0.2.9"), 200);
    assert_eq!(ask("198.51.100.1"), 403);
    assert_eq!(ask("192.0.2.9, 198.51.100.1"), 403, "written by the client itself");
}

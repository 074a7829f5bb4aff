//! The life of the daemon: ending in order, reading its configuration again, living beside another one.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs;
use std::io::Write;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use common::*;
use nix::sys::signal::Signal;
use serde_json::Value;

/// Five seconds are promised; the sixth is for a machine under load.
const DRAINED: Duration = Duration::from_secs(6);

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Replaces the configuration of a running daemon; the sockets stay.
fn rewrite(daemon: &Daemon, config: &str) {
    let listen = if config.contains("listen") { "" } else { "http.listen = [\"127.0.0.1:0\"]\n" };
    let socket = daemon.socket();
    let text = format!("{listen}control.socket = {socket:?}\n{config}\n[capture.tone]\n");
    fs::write(daemon.dir().join("talasd.toml"), text).unwrap();
}

fn reload(daemon: &Daemon) -> Value {
    let output = daemon.ctl(&["--json", "reload"]);
    assert!(output.status.success(), "{}", stderr(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A client that asks for a stream and never takes it.
fn never_reads(daemon: &Daemon) -> std::net::TcpStream {
    let mut stream = connect(daemon.address());
    stream.write_all(b"GET /api/audio/stream HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    stream
}

#[test]
fn sigterm_ends_every_stream_in_order_and_the_daemon_in_time() {
    let mut daemon = Setup::tone().start();
    let mut streams = ["", "?encoding=f32", "?encoding=s16&quality=0.25"].map(|query| daemon.stream(query));
    streams.iter_mut().for_each(|stream| drop(stream.frames(3)));
    let _never_reads = never_reads(&daemon);
    let mut half_a_request = connect(daemon.address());
    half_a_request.write_all(b"POST /api/audio/control HTTP/1.1\r\nHost: loc").unwrap();
    let _silent = connect(daemon.address());
    let mut watch = Command::new(talasctl())
        .arg("--socket")
        .arg(daemon.socket())
        .args(["--json", "status", "--watch"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    daemon.wait_for_status("all of them", |status| status["listeners"]["sse"] == 4);
    streams.iter_mut().for_each(|stream| drop(stream.frames(60)));
    let asked = Instant::now();
    let status = daemon.stop();
    assert!(asked.elapsed() < DRAINED, "after {:?}", asked.elapsed());
    assert_eq!(status.code(), Some(0));
    for stream in &mut streams {
        stream.until_state("stopping");
        assert!(stream.event().is_none(), "the end, whole to the last chunk");
    }
    assert!(!daemon.socket().exists(), "the socket is removed");
    assert_eq!(daemon.events("stopped").len(), 1);
    eventually("the watch to end", || watch.try_wait().unwrap());
}

#[test]
fn without_listeners_the_end_is_quick_whatever_the_state() {
    for fault in [None, Some("stall"), Some("unplug"), Some("overrun")] {
        let mut daemon = Setup::tone().start();
        if let Some(fault) = fault {
            assert!(daemon.ctl(&["tone", "fault", fault, "--ms", "60000"]).status.success());
            std::thread::sleep(Duration::from_millis(100));
        }
        let asked = Instant::now();
        assert_eq!(daemon.stop().code(), Some(0), "{fault:?}");
        assert!(asked.elapsed() < Duration::from_secs(3), "{fault:?}: {:?}", asked.elapsed());
    }
}

#[test]
fn a_second_signal_means_now() {
    let mut daemon = Setup::tone().start();
    let _never_reads = never_reads(&daemon);
    let mut honest = daemon.stream("?encoding=f32");
    // Long enough that the other one is stuck, and the end has somebody to wait for.
    honest.frames(100);
    daemon.signal(Signal::SIGTERM);
    daemon.wait_for_log("event=\"stopping\"");
    daemon.signal(Signal::SIGINT);
    let asked = Instant::now();
    let status = daemon.wait();
    assert!(asked.elapsed() < Duration::from_secs(3), "{:?}", asked.elapsed());
    assert!(matches!(status.code(), Some(0 | 1)), "{status}");
}

#[test]
fn a_reload_puts_into_force_what_it_can_and_tells_the_rest() {
    let daemon = Setup::tone().start();
    assert_eq!(reload(&daemon), serde_json::json!({ "applied": [], "needs_restart": [] }));
    let mut stream = daemon.stream("?encoding=s16");
    rewrite(
        &daemon,
        "http.listen = [\"127.0.0.1:9\"]\nhttp.max_streams = 1\nhttp.cors.origins = [\"https://a.example\"]\n\
         http.cors.credentials = false\nlog.level = \"warn\"\ncapture.sample_rate = 44100",
    );
    daemon.signal(Signal::SIGHUP);
    let page = |origin| {
        let answer = request(daemon.address(), "GET", "/api/audio/stats", &[("Origin", origin)], b"");
        answer.header("access-control-allow-origin").map(str::to_owned)
    };
    let applied = || (page("https://a.example").as_deref() == Some("https://a.example")).then_some(());
    eventually("the new origin", applied);
    assert_eq!(page("http://localhost:3000"), None);
    assert_eq!(daemon.get_any("/api/audio/stream").status, 503);
    // What needs a restart is told again each time, as long as it is so.
    for _ in 0..2 {
        let report = reload(&daemon);
        assert_eq!(report["applied"], serde_json::json!([]), "{report}");
        let needs: Vec<&str> =
            report["needs_restart"].as_array().unwrap().iter().flat_map(Value::as_str).collect();
        for key in ["http.listen", "http.cors.credentials", "capture.sample_rate"] {
            assert!(needs.contains(&key), "{key} in {report}");
        }
        assert_eq!(needs.len(), 3, "{report}");
    }
    assert_eq!(daemon.get("/api/audio/stats")["active_subscribers"], 1);
    drop(stream.frames(20));
    // The log fell silent below warnings, and speaks again.
    let joined = daemon.events("listener_joined").len();
    drop(stream);
    daemon.wait_for_status("nobody", |status| status["listeners"]["sse"] == 0);
    daemon.stream("?encoding=s16").frames(2);
    assert_eq!(daemon.events("listener_joined").len(), joined);
    rewrite(&daemon, "");
    let report = reload(&daemon);
    let applied: Vec<&str> = report["applied"].as_array().unwrap().iter().flat_map(Value::as_str).collect();
    assert_eq!((applied.len(), &report["needs_restart"]), (3, &serde_json::json!([])), "{report}");
    for key in ["http.max_streams", "http.cors.origins", "log.level"] {
        assert!(applied.contains(&key), "{key} in {report}");
    }
    let _two = [daemon.stream(""), daemon.stream("")];
    eventually("the log speaks again", || (daemon.events("listener_joined").len() > joined).then_some(()));
}

#[test]
fn a_broken_configuration_changes_nothing_and_is_told() {
    let daemon = Setup::tone().start();
    let mut stream = daemon.stream("?encoding=s16");
    stream.frames(2);
    rewrite(&daemon, "http.max_streams = 1\nhttp.max_json_mb = \"much\"\nhttp.nonsense = 1");
    let output = daemon.ctl(&["reload"]);
    assert_eq!(output.status.code(), Some(1));
    let told = stderr(&output);
    assert!(told.contains("talasd.toml:4:20") && told.contains("nonsense"), "every place at once: {told}");
    daemon.signal(Signal::SIGHUP);
    eventually("both attempts in the log", || (daemon.events("reload_failed").len() == 2).then_some(()));
    fs::remove_file(daemon.dir().join("talasd.toml")).unwrap();
    let output = daemon.ctl(&["reload"]);
    assert!(
        output.status.code() == Some(1) && stderr(&output).contains("talasd.toml"),
        "{}",
        stderr(&output)
    );
    drop([daemon.stream(""), daemon.stream("")]);
    stream.frames(20);
    rewrite(&daemon, "http.max_streams = 1");
    assert_eq!(reload(&daemon)["applied"], serde_json::json!(["http.max_streams"]));
}

/// Runs a second daemon beside a running one, which must not notice.
fn beside(daemon: &Daemon, second: &Setup) -> Output {
    let mut stream = daemon.stream("?encoding=s16");
    stream.frames(3);
    let output = second.run_to_end();
    stream.frames(10);
    assert_eq!(daemon.status()["state"], "running");
    output
}

#[test]
fn two_daemons_do_not_share_a_socket_or_a_port() {
    let daemon = Setup::tone().start();
    let second = Setup::tone().env("TALAS_CONTROL__SOCKET", daemon.socket());
    let output = beside(&daemon, &second);
    assert_eq!(output.status.code(), Some(4));
    let told = stderr(&output);
    assert!(
        told.contains("another talasd answers") && told.contains(daemon.socket().to_str().unwrap()),
        "{told}"
    );

    let address = daemon.address();
    let second = Setup::new(&format!("http.listen = [\"{address}\"]\n[capture.tone]\n"));
    let output = beside(&daemon, &second);
    assert_eq!(output.status.code(), Some(4));
    let told = stderr(&output);
    assert!(told.contains(&address.to_string()) && told.contains("in use"), "{told}");
    assert!(!second.dir().join("talasd.sock").exists(), "nothing is left behind");
}

#[test]
fn a_dead_socket_is_replaced_also_after_a_violent_end() {
    let setup = Setup::tone();
    let path = setup.dir().join("talasd.sock");
    drop(UnixListener::bind(&path).unwrap());
    let mut daemon = setup.start();
    assert_eq!(daemon.status()["state"], "running");
    daemon.signal(Signal::SIGKILL);
    daemon.wait();
    assert!(path.exists());
    let heir = Setup::tone().env("TALAS_CONTROL__SOCKET", &path).start();
    let output = Command::new(talasctl()).arg("--socket").arg(&path).arg("status").output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    drop(heir);
}

#[test]
fn what_is_no_socket_is_left_alone() {
    for precious in ["file", "folder", "link"] {
        let setup = Setup::tone();
        let path = setup.dir().join("talasd.sock");
        match precious {
            "file" => fs::write(&path, "precious").unwrap(),
            "folder" => fs::create_dir(&path).unwrap(),
            _ => std::os::unix::fs::symlink("nowhere", &path).unwrap(),
        }
        let before = fs::symlink_metadata(&path).unwrap();
        let output = setup.run_to_end();
        assert_eq!(output.status.code(), Some(4), "{precious}: {}", stderr(&output));
        assert!(stderr(&output).contains("not a socket"), "{precious}: {}", stderr(&output));
        let after = fs::symlink_metadata(&path).unwrap();
        assert_eq!((before.file_type(), before.len()), (after.file_type(), after.len()), "{precious}");
    }
}

#[test]
fn a_place_where_no_socket_can_be_is_a_clear_error() {
    let setup = Setup::tone();
    fs::write(setup.dir().join("blocked"), "").unwrap();
    for place in [setup.dir().join("blocked/talasd.sock"), Path::new("/proc/talas/talasd.sock").to_owned()] {
        let mut command = setup.command();
        let output = command.env("TALAS_CONTROL__SOCKET", &place).output().unwrap();
        assert_eq!(output.status.code(), Some(4), "{}", stderr(&output));
        assert!(stderr(&output).contains(place.parent().unwrap().to_str().unwrap()), "{}", stderr(&output));
    }
}

#[test]
fn a_socket_that_became_anothers_is_not_removed() {
    let mut first = Setup::tone().start();
    let path = first.socket();
    // Somebody tidied up, and a second daemon took the path.
    fs::remove_file(&path).unwrap();
    let second = Setup::tone().env("TALAS_CONTROL__SOCKET", &path).start();
    assert_eq!(first.stop().code(), Some(0));
    assert!(path.exists(), "the second one still answers there");
    let output = Command::new(talasctl()).arg("--socket").arg(&path).arg("status").output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    drop(second);
}

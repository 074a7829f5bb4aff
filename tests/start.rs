//! Starting: the command line, the configuration's layers, and what is refused with which exit code.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use common::*;

/// The daemon with no more than the folders of a test, as a service manager would name them.
fn talasd(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_talasd"));
    for name in ["NOTIFY_SOCKET", "WATCHDOG_USEC", "STREAM_SERVER_PORT", "STREAM_SERVER_HOST"] {
        command.env_remove(name);
    }
    command
        .env("STATE_DIRECTORY", dir.join("state"))
        .env("CONFIGURATION_DIRECTORY", dir)
        .env("NO_COLOR", "1");
    command.stdin(Stdio::null());
    command
}

fn run(dir: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> (Option<i32>, String, String) {
    let mut command = talasd(dir);
    let output = command.args(arguments).envs(environment.iter().copied()).output().unwrap();
    let Output { status, stdout, stderr } = output;
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

#[test]
fn it_says_what_it_is_and_what_it_takes() {
    let dir = tempfile::tempdir().unwrap();
    let (code, out, err) = run(dir.path(), &["--version"], &[]);
    let version = format!("talasd {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!((code, out, err), (Some(0), version, String::new()));
    let (code, out, err) = run(dir.path(), &["--help"], &[]);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    for word in ["--config", "--check", "--print-config", "--version", "Exit codes"] {
        assert!(out.contains(word), "{word} in {out}");
    }
    for wrong in
        [&["--nonsense"][..], &["stray"], &["--config"], &["--check", "--print-config"], &["--check=1"]]
    {
        let (code, out, err) = run(dir.path(), wrong, &[]);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{wrong:?}");
        assert!(err.contains("--help"), "{wrong:?}: {err}");
    }
}

#[test]
fn check_tells_every_error_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("talasd.toml");
    let path = file.to_str().unwrap();
    fs::write(&file, "http.max_streams = 5\n[capture.tone]\n").unwrap();
    let (code, out, err) = run(dir.path(), &["--config", path, "--check"], &[]);
    assert_eq!((code, out, err), (Some(0), format!("{path}: ok\n"), String::new()));
    fs::write(
        &file,
        "htp.max_streams = 5\nhttp.max_json_mb = 0\n\n[capture.tone]\nlevel_dbfs = 3\n[capture.file]\n",
    )
    .unwrap();
    let (code, out, err) = run(dir.path(), &["--config", path, "--check"], &[("TALAS_LOG__LEVEL", "loud")]);
    assert_eq!((code, out.as_str()), (Some(3), ""));
    for part in
        ["talasd.toml:1:1", "talasd.toml:2:20", "talasd.toml:5:14", "TALAS_LOG__LEVEL", "capture.file", "^"]
    {
        assert!(err.contains(part), "{part} in\n{err}");
    }
    // The daemon itself says the same and does not start.
    let (code, _, started) = run(dir.path(), &["--config", path], &[("TALAS_LOG__LEVEL", "loud")]);
    assert_eq!((code, started), (Some(3), err));
}

#[test]
fn the_printed_configuration_is_the_configuration() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("mine.toml");
    fs::write(
        &file,
        "http.listen = [\"127.0.0.1:8099\", \"[::1]:8099\"]\nhttp.hosts = [\"studio.local\"]\nlog.level = \"debug\"\n\
         [http.cors]\norigins = []\ncredentials = false\n[capture]\nblock_frames = 960\nsample_rate = 44100\n\
         [capture.file]\npath = \"a \\\"quoted\\\" name.flac\"\nloop = false\n",
    )
    .unwrap();
    let environment = [("TALAS_HTTP__MAX_STREAMS", "7"), ("TALAS_CAPTURE__CHANNELS", "4")];
    let (code, printed, err) =
        run(dir.path(), &["--config", file.to_str().unwrap(), "--print-config"], &environment);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    for part in ["studio.local", "max_streams = 7", "channels = 4", "block_frames = 960", "loop = false"] {
        assert!(printed.contains(part), "{part} in\n{printed}");
    }
    let again = dir.path().join("printed.toml");
    fs::write(&again, &printed).unwrap();
    let again = again.to_str().unwrap();
    assert_eq!(run(dir.path(), &["--config", again, "--check"], &[]).0, Some(0));
    assert_eq!(
        run(dir.path(), &["--config", again, "--print-config"], &[]),
        (Some(0), printed, String::new())
    );
}

#[test]
fn a_configuration_that_is_not_there_or_not_understood_ends_with_3() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("missing.toml");
    for arguments in [&["--check"][..], &[], &["--print-config"]] {
        let arguments = [&["--config", missing.to_str().unwrap()], arguments].concat();
        let (code, _, err) = run(dir.path(), &arguments, &[]);
        assert_eq!(code, Some(3), "{err}");
        assert!(err.contains("missing.toml"), "{err}");
    }
    let (code, _, err) = run(dir.path(), &["--config", dir.path().to_str().unwrap(), "--check"], &[]);
    assert_eq!(code, Some(3), "a folder: {err}");
    for (name, value) in [
        ("TALAS_NONSENSE", "1"),
        ("TALAS_HTTP__LISTN", "127.0.0.1:1"),
        ("TALAS_HTTP__MAX_STREAMS", "many"),
        ("TALAS_HTTP__LISTEN", "localhost:8080"),
        ("TALAS_CAPTURE__SAMPLE_RATE", "1"),
        ("PROMETHEUS_PORT", "none"),
        ("REDIS_URL", "redis://localhost"),
        ("DATABASE_URL", "postgres://user:hunter2@db"),
        ("STREAM_SERVER_PORT", "99999"),
        ("MAX_CONCURRENT_STREAMS", "-1"),
    ] {
        let (code, _, err) = run(dir.path(), &["--check"], &[(name, value)]);
        assert_eq!(code, Some(3), "{name}: {err}");
        assert!(err.contains(name), "{name} is named: {err}");
        assert!(!err.contains("hunter2"), "a password may be in it: {err}");
    }
}

#[test]
fn the_founding_names_still_work() {
    let dir = tempfile::tempdir().unwrap();
    let environment = [
        ("STREAM_SERVER_HOST", "127.0.0.2"),
        ("STREAM_SERVER_PORT", "9123"),
        ("MAX_CONCURRENT_STREAMS", "9"),
        ("PROMETHEUS_PORT", "9124"),
    ];
    let (code, printed, err) = run(dir.path(), &["--print-config"], &environment);
    assert_eq!(code, Some(0), "{err}");
    assert!(printed.contains("\nlisten = [\"127.0.0.2:9123\"]\n"), "one address then: {printed}");
    assert!(printed.contains("max_streams = 9"), "{printed}");
    assert!(printed.contains("metrics_listen = \"127.0.0.1:9124\""), "{printed}");
    let daemon =
        Running::start(dir.path(), &[("STREAM_SERVER_PORT", "0"), ("TALAS_CAPTURE__TONE__LEVEL_DBFS", "-6")]);
    assert_eq!(request(daemon.address, "GET", "/readyz", &[], b"").status, 200);
}

#[test]
fn open_doors_off_this_machine_are_refused() {
    for listen in ["0.0.0.0:0", "[::]:0"] {
        let listen_there = format!("http.listen = [\"127.0.0.1:0\", \"{listen}\"]");
        let setup = Setup::new(&format!("{listen_there}\naccess.mode = \"open\"\n[capture.tone]\n"));
        let output = setup.run_to_end();
        let err = String::from_utf8(output.stderr).unwrap();
        if err.contains("has no IPv6") {
            continue;
        }
        assert_eq!(output.status.code(), Some(3), "{listen}: {err}");
        assert!(err.contains("access.mode"), "{err}");
        assert!(!setup.dir().join("talasd.sock").exists(), "nothing is left behind");
    }
}

/// A daemon without a configuration file.
struct Running {
    child: Child,
    address: SocketAddr,
}

impl Running {
    fn start(dir: &Path, environment: &[(&str, &str)]) -> Self {
        let mut command = talasd(dir);
        command.env("TALAS_CONTROL__SOCKET", dir.join("talasd.sock")).envs(environment.iter().copied());
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let mut seen = Vec::new();
        let mut wait_for = |part: &str| {
            let line =
                lines.by_ref().inspect(|line| seen.push(line.clone())).find(|line| line.contains(part));
            line.unwrap_or_else(|| panic!("it ended before {part}: {seen:?}"))
        };
        let listening = wait_for("event=\"http_listening\"");
        wait_for("event=\"ready\"");
        // Nobody reads on: that must not matter, but it may not block either.
        std::thread::spawn(move || lines.for_each(drop));
        let (_, url) = listening.split_once("url=\"http://").unwrap();
        Self { child, address: url.split('"').next().unwrap().parse().unwrap() }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Already ended is fine too.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn without_any_configuration_it_runs_on_the_defaults_and_waits_for_a_card() {
    let dir = tempfile::tempdir().unwrap();
    // An alsa-lib that knows no device at all, as on a machine without /dev/snd.
    let no_devices = dir.path().join("asound.conf");
    fs::write(&no_devices, "").unwrap();
    let no_devices = no_devices.to_str().unwrap();
    let mut machines = vec![vec![("ALSA_CONFIG_PATH", no_devices)]];
    if !Path::new("/dev/snd").exists() {
        machines.push(Vec::new());
    }
    for machine in machines {
        let environment = [&[("TALAS_HTTP__LISTEN", "127.0.0.1:0")], &machine[..]].concat();
        let daemon = Running::start(dir.path(), &environment);
        let answer = request(daemon.address, "GET", "/readyz", &[], b"");
        assert_eq!(answer.status, 503, "{}", answer.text());
        let reason = answer.json()["reasons"][0].as_str().unwrap().to_owned();
        assert!(reason.starts_with("the programme is absent: ") && reason.contains("default"), "{reason}");
        assert_eq!(request(daemon.address, "GET", "/healthz", &[], b"").status, 200);
        let mut stream = Sse::open(daemon.address, "/api/audio/stream");
        let state = stream.event().unwrap().json();
        assert_eq!(state["state"], "absent");
        assert!(reason.ends_with(state["reason"].as_str().unwrap()), "{state} and {reason} tell the same");
    }
}

#[test]
fn a_required_source_that_cannot_be_had_ends_with_4() {
    for source in
        ["[capture.alsa]\ndevice = \"nothing_of_that_name\"", "[capture.file]\npath = \"missing.wav\""]
    {
        let setup = Setup::new(&format!("capture.required = true\n{source}\n"));
        let output = setup.run_to_end();
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(4), "{err}");
        assert!(err.contains("capture.required"), "{err}");
        assert!(!setup.dir().join("talasd.sock").exists(), "nothing is left behind");
    }
    let daemon = Setup::new("capture.required = true\n[capture.tone]\n").start();
    assert_eq!(daemon.status()["state"], "running");
}

//! On a terminal: colour, widths, and a page that is redrawn in place.
//!
//! The terminal is a real one, a pseudo-terminal of the kernel's.

mod support;

use std::io::Read;
use std::process::{Child, Command};
use std::sync::mpsc;

use support::pty::Pty;
use support::{Daemon, FOREVER, HELLO};

/// Starts `talasctl` on the terminal.
fn spawn(daemon: &Daemon, terminal: &Pty, args: &[&str], environment: &[(&str, &str)]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_talasctl"))
        .env_clear()
        .env("TERM", "xterm")
        .envs(environment.iter().copied())
        .arg("--socket")
        .arg(&daemon.socket)
        .args(args)
        .stdout(terminal.theirs().try_clone().expect("another handle"))
        .spawn()
        .expect("talasctl runs")
}

/// Everything that was written until the program closed its end. The kernel reports that as an error.
fn rest(terminal: &mut Pty) -> String {
    terminal.close_theirs();
    let mut bytes = Vec::new();
    let _ = terminal.ours.read_to_end(&mut bytes);
    // A terminal turns line feeds into CR LF.
    String::from_utf8(bytes).expect("UTF-8").replace("\r\n", "\n")
}

fn seen(args: &[&str], environment: &[(&str, &str)], result: &str) -> String {
    let daemon = Daemon::answering(&[result]);
    let mut terminal = Pty::open(60, 10);
    let mut child = spawn(&daemon, &terminal, args, environment);
    let text = rest(&mut terminal);
    assert!(child.wait().expect("talasctl ends").success());
    text
}

const DEVICES: &str = r#"{"devices":[{"name":"hw:0","description":"","in_use":true,"ability":{"formats":["S16_LE"],"rates":[48000,96000],"channels":{"min":2,"max":2},"period_frames":{"min":32,"max":16384}},"problem":null}]}"#;

#[test]
fn colour_is_for_terminals_and_those_who_want_it() {
    let paused = r#"{"state":"paused"}"#;
    let coloured = "\x1b[33mpaused\x1b[0m: no captured sound goes anywhere\n";
    let plain = "paused: no captured sound goes anywhere\n";
    assert_eq!(seen(&["pause"], &[], paused), coloured);
    assert_eq!(seen(&["pause"], &[("NO_COLOR", "")], paused), coloured);
    assert_eq!(seen(&["pause"], &[("NO_COLOR", "1")], paused), plain);
    assert_eq!(seen(&["pause"], &[("TERM", "dumb")], paused), plain);
    assert_eq!(seen(&["pause", "--json"], &[], paused), format!("{paused}\n"));
}

#[test]
fn pages_fit_the_terminal_or_what_columns_says() {
    let head = "● hw:0  in use\n";
    let without_colour = ("NO_COLOR", "1");
    assert_eq!(
        seen(&["devices"], &[without_colour], DEVICES),
        format!("{head}    S16_LE · 48, 96 kHz · 2 channels\n    period 32 to 16,384 frames\n")
    );
    assert_eq!(
        seen(&["devices"], &[without_colour, ("COLUMNS", "80")], DEVICES),
        format!("{head}    S16_LE · 48, 96 kHz · 2 channels · period 32 to 16,384 frames\n")
    );
}

#[test]
fn a_watch_redraws_in_place() {
    let (go_on, when_seen) = mpsc::channel();
    let meters = |timestamp_ms: u64, dbfs: &str| {
        let channel = format!(r#"{{"rms_dbfs":{dbfs},"peak_dbfs":{dbfs},"clipped":0}}"#);
        format!(r#"{{"id":1,"result":{{"timestamp_ms":{timestamp_ms},"channels":[{channel}]}},"more":true}}"#)
    };
    let daemon = Daemon::start(move |talk| {
        talk.say(HELLO);
        talk.listen();
        talk.say(&meters(1000, "null"));
        when_seen.recv_timeout(FOREVER).expect("the first page is seen");
        talk.say(&meters(1100, "-60.0").replace(r#","more":true"#, ""));
    });
    let mut terminal = Pty::open(60, 10);
    let mut child = spawn(&daemon, &terminal, &["meters", "--watch"], &[("NO_COLOR", "1")]);
    let mut first = Vec::new();
    while !first.ends_with(b"\x1b[J") {
        let mut byte = [0];
        terminal.ours.read_exact(&mut byte).expect("the first page");
        first.push(byte[0]);
    }
    go_on.send(()).expect("the daemon waits");
    let scale = "     -60         -30           0   rms dB  peak dB  clipped\x1b[K\n";
    let page = |figures: &str| {
        let bar = "·".repeat(27);
        format!("{scale}  1  {bar}{figures}        0\x1b[K\n\x1b[J")
    };
    let first = String::from_utf8(first).expect("UTF-8").replace("\r\n", "\n");
    assert_eq!(first, page("  silence  silence"));
    // Redraws of the first page, which a slow machine may fit in between, look the same.
    let rest = rest(&mut terminal);
    assert!(rest.ends_with(&format!("\x1b[2A\r{}\n", page("    -60.0    -60.0"))), "{rest:?}");
    assert!(child.wait().expect("talasctl ends").success());
}

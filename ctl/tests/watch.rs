//! Watches: changes, lagging, and the ways in which one ends.

mod support;

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;

use support::{Daemon, FOREVER, HELLO, assert_output, run, talasctl};

fn meters_json(timestamp_ms: u64, level_dbfs: &str) -> String {
    format!(
        r#"{{"timestamp_ms":{timestamp_ms},"channels":[{{"rms_dbfs":{level_dbfs},"peak_dbfs":-3.0,"clipped":1}}]}}"#
    )
}

fn change(result: &str) -> String {
    format!(r#"{{"id":1,"result":{result},"more":true}}"#)
}

/// Starts a watch whose output is read here.
fn spawn(daemon: &Daemon, args: &[&str]) -> Child {
    talasctl(&daemon.socket, args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("talasctl runs")
}

fn interrupt(child: &Child) {
    let killed = Command::new("sh").arg("-c").arg(format!("kill -INT {}", child.id())).status();
    assert!(killed.expect("sh runs").success());
}

#[test]
fn each_change_is_a_line_for_programs() {
    let daemon = Daemon::start(|talk| {
        talk.say(HELLO);
        talk.listen();
        talk.say(&change(r#"{"a":1}"#));
        talk.say(&change(r#"{"lagged":3}"#));
        talk.say(r#"{"id":1,"result":{ "a" : 2 }}"#);
        talk.listen();
    });
    let output = run(&daemon.socket, &["status", "--watch", "--json"]);
    assert_output(&output, 0, "{\"a\":1}\n{\"lagged\":3}\n{ \"a\" : 2 }\n", "");
    assert_eq!(daemon.asked(), ["{\"id\":1,\"method\":\"status\",\"more\":true}\n"]);
}

#[test]
fn what_was_missed_is_told() {
    let daemon = Daemon::start(|talk| {
        talk.say(HELLO);
        talk.listen();
        talk.say(&change(&meters_json(1000, "-20.0")));
        talk.say(&change(r#"{"lagged":2}"#));
        talk.say(&change(r#"{"lagged":1}"#));
        talk.say(&format!(r#"{{"id":1,"result":{}}}"#, meters_json(1100, "null")));
    });
    let output = run(&daemon.socket, &["meters", "--watch"]);
    let scale =
        "     -60        -48         -36         -24         -12         0   rms dB  peak dB  clipped\n";
    let at_20 = format!("  1  {}{}│··    -20.0     -3.0        1\n", "█".repeat(40), "·".repeat(17));
    let silent = format!("  1  {}│··  silence     -3.0        2\n", "·".repeat(57));
    let missed = |changes| format!("! missed {changes} changes: this terminal is slower than the news\n");
    let text = format!(
        "{scale}{at_20}\n{scale}{at_20}{}\n{scale}{at_20}{}\n{scale}{silent}{}\n",
        missed(2),
        missed(3),
        missed(3)
    );
    assert_output(&output, 0, &text, "");
}

#[test]
fn an_interrupt_ends_a_watch_well() {
    for args in [&["status", "--watch", "--json"][..], &["meters", "--watch"]] {
        let daemon = Daemon::start(|talk| {
            talk.say(HELLO);
            talk.listen();
            talk.say(&change(&meters_json(1000, "-20.0")));
            // Returns when the client has closed the connection.
            talk.listen();
        });
        let mut child = spawn(&daemon, args);
        let mut line = String::new();
        let stdout = child.stdout.as_mut().expect("it is piped");
        BufReader::new(stdout).read_line(&mut line).expect("the first line");
        interrupt(&child);
        let output = child.wait_with_output().expect("talasctl ends");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{args:?}");
        assert_eq!(output.status.code(), Some(0), "{args:?}");
        daemon.asked();
    }
}

#[test]
fn a_reader_that_goes_away_ends_a_watch_quietly() {
    let (closed, when_closed) = mpsc::channel();
    let daemon = Daemon::start(move |talk| {
        talk.say(HELLO);
        talk.listen();
        talk.say(&change(r#"{"a":1}"#));
        when_closed.recv_timeout(FOREVER).expect("the test closes the output");
        // More than once: a test that forks just now holds the closed end open until it execs, and
        // what is written meanwhile has a reader.
        while talk.send(&format!("{}\n", change(r#"{"a":2}"#))) {}
    });
    let mut child = spawn(&daemon, &["status", "--watch", "--json"]);
    let mut first = [0; 8];
    let mut stdout = child.stdout.take().expect("it is piped");
    stdout.read_exact(&mut first).expect("the first line");
    drop(stdout);
    closed.send(()).expect("the daemon waits");
    let output = child.wait_with_output().expect("talasctl ends");
    assert_eq!(&first, b"{\"a\":1}\n");
    assert_output(&output, 0, "", "");
}

#[test]
fn a_daemon_that_stops_is_not_the_users_wish() {
    let daemon = Daemon::start(|talk| {
        talk.say(HELLO);
        talk.listen();
        talk.say(&change(r#"{"a":1}"#));
    });
    let said = "talasctl: the daemon closed the connection\nhint: systemctl status talasd\n";
    assert_output(&run(&daemon.socket, &["status", "--watch", "--json"]), 3, "{\"a\":1}\n", said);

    let daemon = Daemon::start(|talk| {
        talk.say(HELLO);
        talk.listen();
        talk.say(r#"{"id":1,"error":{"code":"unavailable","message":"talasd is stopping"}}"#);
    });
    let output = run(&daemon.socket, &["status", "--watch", "--json"]);
    assert_output(&output, 1, "", "talasctl: talasd is stopping\n");
}

//! Setting up and reporting, as far as no systemd is needed: who may, what is asked, and what a bundle holds.

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use support::{Daemon, assert_output, run, talasctl};

#[test]
fn setup_without_a_terminal_says_how_to_do_without() {
    let output = run(Path::new("/nonexistent/talasd.sock"), &["setup"]);
    assert_output(
        &output,
        2,
        "",
        "talasctl: setup asks questions, and there is no terminal to ask them on\n\
         hint: say what to do: talasctl setup --device NAME --listen ADDRESS:PORT --token WHO\n",
    );
}

#[test]
fn setup_is_for_those_who_may_do_everything() {
    let daemon = Daemon::answering(&[]);
    let config = tempfile::tempdir().expect("a directory");
    let config = config.path().join("talasd.toml");
    let file = config.to_str().expect("UTF-8");
    let output = run(&daemon.socket, &["setup", "--device", "hw:0", "--config", file]);
    assert_eq!(output.status.code(), Some(4));
    assert!(String::from_utf8_lossy(&output.stderr).contains("hint: sudo talasctl setup"));
    assert!(!config.exists(), "nothing was written");
}

#[test]
fn a_wrong_address_is_wrong_usage() {
    let output = run(Path::new("/nonexistent"), &["setup", "--listen", "localhost"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--listen <ADDRESS:PORT>"));
}

#[test]
fn a_bundle_has_the_daemons_answers_without_who_it_was() {
    let connections =
        r#"{"connections":[{"id":"01a1","ip_address":"192.0.2.7","user_agent":"secret-player"}],"total":1}"#;
    let daemon = Daemon::answering(&[r#"{"state":"stalled"}"#, "{}", "{}", "{}", "{}", connections]);
    let output = run(&daemon.socket, &["support-bundle", "-"]);
    let bundle = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0));
    for part in
        ["\"state\": \"stalled\"", "\"id\": \"01a1\"", "===== the daemon's devices", "===== journalctl"]
    {
        assert!(bundle.contains(part), "{part} is not in\n{bundle}");
    }
    for secret in ["192.0.2.7", "secret-player"] {
        assert!(!bundle.contains(secret), "{secret} is in\n{bundle}");
    }
}

#[test]
fn a_bundle_is_made_without_a_daemon_too_and_is_its_owners_alone() {
    let dir = tempfile::tempdir().expect("a directory");
    let missing = Path::new("/nonexistent/talasd.sock");
    let make = |file: &str| {
        talasctl(missing, &["support-bundle", file]).current_dir(dir.path()).output().expect("talasctl runs")
    };
    assert_output(&make("bundle.txt"), 0, "bundle.txt\n", "");
    let path = dir.path().join("bundle.txt");
    let bundle = fs::read_to_string(&path).expect("written");
    assert!(bundle.contains("there is no socket /nonexistent/talasd.sock"), "{bundle}");
    assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
    let again = make("bundle.txt");
    assert_eq!(again.status.code(), Some(1), "nothing is overwritten");
    assert!(
        String::from_utf8_lossy(&again.stderr).contains("hint: name a new file, or - for standard output")
    );
}

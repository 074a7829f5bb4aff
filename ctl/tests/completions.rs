//! Completions: made without a daemon, and taken by the shells that are installed.

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;

use support::run;

fn script(shell: &str) -> String {
    let output = run(Path::new("/nonexistent/talasd.sock"), &["completions", shell]);
    assert_eq!(output.status.code(), Some(0), "{shell}");
    assert!(output.stderr.is_empty(), "{shell}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn each_shell_gets_every_command() {
    for shell in ["bash", "zsh", "fish"] {
        let script = script(shell);
        let commands =
            ["status", "pause", "connections", "kick", "selftest", "top", "completions", "tone", "--socket"];
        for command in commands {
            let word = if shell == "fish" { command.trim_start_matches("--") } else { command };
            assert!(script.contains(word), "{shell} is not told of {word}");
        }
    }
}

#[test]
fn another_shell_is_wrong_usage() {
    let output = run(Path::new("/nonexistent"), &["completions", "tcsh"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("[possible values: bash, zsh, fish]"));
}

/// What bash offers after `words`, the last of which is still being typed.
fn offered(words: &[&str]) -> Vec<String> {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("talasctl.bash");
    fs::write(&file, script("bash")).expect("written");
    let list: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
    let ask = format!(
        "source {}\nCOMP_WORDS=({})\nCOMP_CWORD={}\n_talasctl talasctl '{}' '{}'\nprintf '%s\\n' \"${{COMPREPLY[@]}}\"",
        file.display(),
        list.join(" "),
        words.len() - 1,
        words[words.len() - 1],
        words[words.len() - 2],
    );
    let output = Command::new("bash").args(["--norc", "-c", &ask]).output().expect("bash runs");
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes() {
    assert_eq!(offered(&["talasctl", "conn"]), ["connections"]);
    assert_eq!(offered(&["talasctl", "connections", "ki"]), ["kick"]);
    assert_eq!(offered(&["talasctl", "completions", "f"]), ["fish"]);
    assert_eq!(offered(&["talasctl", "tone", "fault", "sus"]), ["suspend"]);
    assert_eq!(offered(&["talasctl", "selftest", "--fo"]), ["--for"]);
}

//! Asks other programs, none of which may hold up or flood a bundle.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// How long each of them may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Most of what each of them says, in bytes.
const MOST_BYTES: u64 = 4 * 1024 * 1024;

/// What a program prints on both outputs, and how it ended where it did not end well.
pub fn output(words: &[&str]) -> String {
    let Some((program, arguments)) = words.split_first() else { return String::new() };
    let started = Command::new(program)
        .args(arguments)
        .env("LC_ALL", "C.UTF-8")
        .env("NO_COLOR", "1")
        .env("SYSTEMD_COLORS", "0")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    match started {
        Ok(child) => follow(child),
        Err(error) => format!("cannot be run: {error}"),
    }
}

fn follow(mut child: Child) -> String {
    let (sender, said) = mpsc::channel();
    let outputs: [Option<Box<dyn Read + Send>>; 2] = [
        child.stdout.take().map(|out| Box::new(out) as _),
        child.stderr.take().map(|err| Box::new(err) as _),
    ];
    for (at, output) in outputs.into_iter().flatten().enumerate() {
        let sender = sender.clone();
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            // What was read before an error is worth having.
            let _ = output.take(MOST_BYTES).read_to_end(&mut bytes);
            // Nobody waits any more: too late.
            let _ = sender.send((at, bytes));
        });
    }
    drop(sender);
    let mut parts = Vec::new();
    while parts.len() < 2 {
        match said.recv_timeout(PATIENCE) {
            Ok(part) => parts.push(part),
            Err(_) => break,
        }
    }
    let is_late = parts.len() < 2;
    if is_late {
        // It may have ended by itself just now.
        let _ = child.kill();
    }
    parts.sort_by_key(|(at, _)| *at);
    let mut text: String = parts.iter().map(|(_, bytes)| String::from_utf8_lossy(bytes)).collect();
    match child.wait() {
        _ if is_late => text.push_str("\n(it was ended: it did not answer in time)"),
        Ok(status) if !status.success() => text.push_str(&format!("\n({status})")),
        Ok(_) => {}
        Err(error) => text.push_str(&format!("\n({error})")),
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_outputs_and_a_bad_end_are_told() {
        assert_eq!(output(&["sh", "-c", "echo one; echo two >&2"]), "one\ntwo\n");
        assert!(output(&["sh", "-c", "echo one; exit 3"]).contains("exit status: 3"));
        assert!(output(&["/nonexistent/program"]).starts_with("cannot be run: "));
    }

    #[test]
    fn a_flood_is_cut() {
        let said = output(&["head", "-c", "50000000", "/dev/zero"]);
        assert!(said.len() < 2 * MOST_BYTES as usize, "{}", said.len());
    }
}

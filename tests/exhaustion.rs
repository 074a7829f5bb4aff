//! What the system has no more of: descriptors, room on the disk.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use common::*;

fn ask(address: SocketAddr, path: &str) -> TcpStream {
    let mut stream = connect(address);
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    stream
}

/// Lines about an event, of which there may be one a second since this moment.
fn assert_one_a_second(lines: &[String], since: Instant) {
    let most = since.elapsed().as_secs() + 2;
    assert!(!lines.is_empty(), "said");
    assert!(lines.len() as u64 <= most, "{} lines in {:?}", lines.len(), since.elapsed());
}

#[test]
fn a_crowd_larger_than_the_descriptors_waits_its_turn() {
    let daemon = Setup::tone().under(&["prlimit", "--nofile=160"]).start();
    let mut first = daemon.stream("?encoding=s16");
    first.frames(5);
    let began = Instant::now();
    let crowd: Vec<_> =
        (0..300).map(|_| ask(daemon.address(), "/api/audio/stream?encoding=s16&max_fps=1")).collect();
    let full = daemon.wait_for_status("a full house", |status| {
        status["listeners"]["http"].as_u64().unwrap() >= 40 && !daemon.events("door_full").is_empty()
    });
    assert!(full["listeners"]["http"].as_u64().unwrap() < 80, "{full}");
    // Who came first notices nothing, and operators come in.
    first.frames(100);
    assert!(daemon.ctl(&["pause"]).status.success() && daemon.ctl(&["resume"]).status.success());
    assert_one_a_second(&daemon.events("door_full"), began);
    assert_eq!(daemon.events("accept_failed").len(), 0, "there are descriptors left: {:?}", daemon.log());
    drop(crowd);
    daemon.stream("?encoding=s16").frames(2);
}

/// Bounds the descriptors of a running process. Those that are open stay open.
fn bound_descriptors(daemon: &Daemon, most: u32) {
    let pid = daemon.pid().to_string();
    let done = Command::new("prlimit").args(["--pid", &pid, &format!("--nofile={most}:")]).status();
    assert!(done.unwrap().success());
}

#[test]
fn a_system_that_gives_no_descriptor_stops_nobody_who_has_one() {
    let daemon = Setup::tone().start();
    let address = daemon.address();
    let mut stream = daemon.stream("?encoding=s16");
    let mut control = BufReader::new(UnixStream::connect(daemon.socket()).unwrap());
    let mut hello = String::new();
    control.read_line(&mut hello).unwrap();
    stream.frames(5);
    let began = Instant::now();
    bound_descriptors(&daemon, 3);
    let mut late = ask(address, "/healthz");
    let waiting = UnixStream::connect(daemon.socket()).unwrap();
    // Two seconds and more.
    stream.frames(120);
    control.get_mut().write_all(b"{\"id\":1,\"method\":\"status\"}\n").unwrap();
    let mut reply = String::new();
    control.read_line(&mut reply).unwrap();
    assert!(reply.contains("\"state\":\"running\""), "{reply}");
    let failed = daemon.events("accept_failed");
    for door in ["http", "control"] {
        let lines: Vec<_> = failed.iter().filter(|line| line.contains(door)).cloned().collect();
        assert_one_a_second(&lines, began);
        // It rests between its attempts: ten a second, where a loop that spins makes a hundred thousand.
        let count = |line: &String| {
            let (_, rest) = line.split_once("count=").unwrap();
            rest.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse::<u64>().unwrap()
        };
        let attempts = lines.iter().map(count).sum::<u64>();
        assert!(attempts <= 20 * (began.elapsed().as_secs() + 1), "{attempts} attempts");
    }
    bound_descriptors(&daemon, 256);
    let mut answer = String::new();
    late.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let mut hello = String::new();
    BufReader::new(waiting).read_line(&mut hello).unwrap();
    assert!(hello.contains("talasd"), "{hello}");
    stream.frames(5);
    assert!(daemon.ctl(&["status"]).status.success());
}

/// How to get a mount namespace of one's own here; `None`, said loudly, where nobody may have one.
fn own_mounts() -> Option<Vec<&'static str>> {
    let ways = [vec!["unshare", "--mount"], vec!["unshare", "--user", "--map-root-user", "--mount"]];
    let works = |way: &Vec<&str>| {
        let mount = ["sh", "-c", "mount -t tmpfs -o size=64k full /mnt"];
        Command::new(way[0]).args(&way[1..]).args(mount).output().is_ok_and(|run| run.status.success())
    };
    let found = ways.into_iter().find(works);
    if found.is_none() {
        eprintln!("NOT TESTED: the full disk, because this machine lets nobody have mounts of their own");
    }
    found
}

const SMALL_DISK: &str = "mkdir -p \"$STATE_DIRECTORY\" && mount -t tmpfs -o size=64k full \"$STATE_DIRECTORY\" && exec \"$0\" \"$@\"";

/// A daemon whose state directory is a file system of 64 kB, and that directory as seen from here.
fn on_small_disk() -> Option<(Daemon, PathBuf)> {
    let mut under = own_mounts()?;
    under.extend(["sh", "-c", SMALL_DISK]);
    let daemon = Setup::tone().under(&under).start();
    let root = PathBuf::from(format!("/proc/{}/root", daemon.pid()));
    let dir = root.join(daemon.dir().strip_prefix("/").unwrap()).join("state");
    Some((daemon, dir))
}

fn fill(dir: &Path) -> PathBuf {
    let ballast = dir.join("ballast");
    let mut file = fs::File::create(&ballast).unwrap();
    while file.write_all(&[b'x'; 4096]).is_ok() {}
    ballast
}

fn warns_of(status: &serde_json::Value, what: &str) -> bool {
    let warnings = status["warnings"].as_array().unwrap();
    warnings.iter().any(|warning| warning.as_str().unwrap().contains(what))
}

#[test]
fn on_a_full_disk_what_cannot_be_remembered_is_told_until_it_can() {
    let Some((daemon, dir)) = on_small_disk() else { return };
    let mut stream = daemon.stream("?encoding=s16");
    stream.frames(5);
    let ballast = fill(&dir);
    let status = daemon.status();
    assert_eq!(status["disk"]["free_bytes"], 0);
    assert!(warns_of(&status, "nearly full: 0 kB are free"), "{status}");
    let answer = daemon.control(r#"{"action":"pause"}"#);
    assert_eq!(answer.status, 200);
    let message = answer.json()["message"].as_str().unwrap().to_owned();
    assert!(message.starts_with("Stream paused; ") && message.contains("No space left"), "{message}");
    stream.until_state("paused");
    assert_eq!(daemon.events("state_not_saved").len(), 1);
    assert!(warns_of(&daemon.status(), "will not survive a restart: "), "{}", daemon.status());
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 1, "nothing half written is left");
    fs::remove_file(ballast).unwrap();
    assert_eq!(daemon.control(r#"{"action":"resume"}"#).json()["message"], "Stream resumed");
    assert!(!warns_of(&daemon.status(), "will not survive"), "mended: {}", daemon.status());
    stream.until_state("running");
    assert_eq!(stream.until_gap()["reason"], "paused");
    stream.frames(5);
}

#[test]
fn on_a_full_disk_what_was_remembered_before_can_be_changed() {
    let Some((daemon, dir)) = on_small_disk() else { return };
    for action in ["pause", "resume"] {
        assert!(daemon.ctl(&[action]).status.success());
    }
    fill(&dir);
    for (action, message, paused) in [("pause", "Stream paused", true), ("resume", "Stream resumed", false)] {
        let answer = daemon.control(&format!("{{\"action\":\"{action}\"}}")).json();
        assert_eq!(answer["message"], message, "without a warning");
        let remembered = fs::read(dir.join("station.json")).unwrap();
        let remembered: serde_json::Value = serde_json::from_slice(&remembered).unwrap();
        assert_eq!(remembered["paused"], paused);
    }
    daemon.stream("?encoding=s16").frames(5);
}

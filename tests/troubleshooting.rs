//! `docs/troubleshooting.md`, played: each of its numbered faults is staged, and what the page says that one
//! sees is looked for in what `talasctl` and the journal really say.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::f32::consts::TAU;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use common::*;

const RATE: u32 = 48_000;

/// A row of the page's tables: its number, what is wrong, and where what is to be seen.
struct Row {
    number: usize,
    fault: String,
    seen: Vec<String>,
    journal: Vec<String>,
}

fn rows() -> Vec<Row> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/troubleshooting.md");
    let page = fs::read_to_string(page).unwrap();
    let row = |line: &str| {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let number = cells.first()?.parse().ok()?;
        let quoted = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        Some(Row { number, fault: cells[1].to_owned(), seen: quoted(cells[2]), journal: quoted(cells[3]) })
    };
    page.lines().filter(|line| line.starts_with('|')).filter_map(row).collect()
}

/// A fault that lasts while this does.
enum Stage {
    /// A running daemon, and the card below it.
    Daemon { daemon: Box<Daemon>, _card: Option<SimCard> },
    /// A program that has ended, and said why.
    Ended(Output),
}

impl Stage {
    /// What an operator sees, and the journal.
    fn look(&self) -> (String, String) {
        match self {
            Self::Daemon { daemon, .. } => {
                let status = text(&daemon.ctl(&["status"]));
                (status, daemon.log().join("\n"))
            }
            Self::Ended(output) => (text(output), text(output)),
        }
    }
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// As a line on standard error shows what the journal has as a field.
fn as_logged(field: &str) -> String {
    match field.strip_prefix("TALAS_").and_then(|field| field.split_once('=')) {
        Some((name, value)) => format!("{}=\"{value}\"", name.to_lowercase()),
        None => field.to_owned(),
    }
}

#[test]
fn every_fault_is_seen_as_the_page_says() {
    let rows = rows();
    let stages = stages();
    let numbers: Vec<usize> = rows.iter().map(|row| row.number).collect();
    assert_eq!(numbers, (1..=stages.len()).collect::<Vec<_>>(), "each row is staged");
    let missed: Vec<String> =
        rows.iter().zip(stages).filter_map(|(row, stage)| miss(row, &stage())).collect();
    assert!(missed.is_empty(), "{}", missed.join("\n\n"));
}

/// Looks until all is seen that the row quotes; what was seen last, if it is not.
fn miss(row: &Row, stage: &Stage) -> Option<String> {
    assert!(!row.seen.is_empty(), "{} shows nothing", row.fault);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let (seen, journal) = stage.look();
        let is_seen = row.seen.iter().all(|part| seen.contains(part));
        if is_seen && row.journal.iter().all(|part| journal.contains(&as_logged(part))) {
            return None;
        }
        if Instant::now() >= deadline {
            let Row { number, fault, seen: wanted, journal: logged } = row;
            return Some(format!(
                "{number} ({fault}): {wanted:?} {logged:?}\n{seen}\n--- journal\n{journal}"
            ));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A second of sound, both channels of it.
fn content(sound: impl Fn(f32) -> (f32, f32)) -> Vec<i16> {
    let frame = |n: u32| {
        let (left, right) = sound(n as f32 / RATE as f32);
        [left, right].map(|sample| (sample * 32_767.0) as i16)
    };
    (0..RATE).flat_map(frame).collect()
}

fn tone(hz: f32, level: f32, second: f32) -> f32 {
    level * (TAU * hz * second).sin()
}

fn playing(sound: impl Fn(f32) -> (f32, f32)) -> Stage {
    let samples = content(sound);
    let card = SimCard::new(|card| card.samples_s16(&samples));
    let daemon = card.setup("").start();
    Stage::Daemon { daemon: Box::new(daemon), _card: Some(card) }
}

/// A card that runs, and then has this happen to it.
fn stricken(fault: impl FnOnce(&SimCard, &Daemon)) -> Stage {
    let card = SimCard::new(|card| card.ramp());
    let daemon = card.setup("").start();
    daemon.wait_for_status("running", |status| status["state"] == "running");
    fault(&card, &daemon);
    Stage::Daemon { daemon: Box::new(daemon), _card: Some(card) }
}

/// A daemon on a card that is like this from the beginning.
fn card_from_the_beginning(shape: impl FnOnce(&SimCard), rates: &[u32], more: &str) -> Stage {
    let card = SimCard::new(|card| card.ramp().rates(rates));
    shape(&card);
    let daemon = card.setup(more).start();
    Stage::Daemon { daemon: Box::new(daemon), _card: Some(card) }
}

fn started(config: &str) -> Stage {
    Stage::Daemon { daemon: Box::new(Setup::new(config).start()), _card: None }
}

fn file(name: &str, rate: u32, more: &str) -> Stage {
    let setup = Setup::new(&format!("[capture.file]\npath = \"{name}\"\n{more}"));
    fs::write(setup.dir().join("sound.wav"), wav_file(1, rate, 2, 16, &[100; 4 * 4800])).unwrap();
    Stage::Daemon { daemon: Box::new(setup.start()), _card: None }
}

fn ended(config: &str) -> Stage {
    Stage::Ended(Setup::new(config).run_to_end())
}

fn request_of(daemon: &Daemon, host: &str) -> Output {
    let url = format!("http://{}/api/audio/stats", daemon.address());
    Command::new("curl").args(["-sS", "-H", &format!("Host: {host}"), &url]).output().unwrap()
}

fn stages() -> Vec<Box<dyn FnOnce() -> Stage>> {
    vec![
        // Nothing is captured.
        Box::new(|| started("[capture.alsa]\ndevice = \"nothing_of_that_name\"\n")),
        Box::new(|| stricken(|card, _| card.card.unplug().unwrap())),
        Box::new(|| stricken(|card, _| card.card.stall(true).unwrap())),
        Box::new(|| card_from_the_beginning(|card| card.card.busy(true).unwrap(), &[RATE], "")),
        Box::new(|| card_from_the_beginning(|_| (), &[44_100], "")),
        Box::new(|| card_from_the_beginning(|_| (), &[RATE], "[capture]\nchannels = 8\nchannel_a = 5\n")),
        Box::new(|| file("missing.wav", RATE, "")),
        Box::new(|| file("sound.wav", 44_100, "")),
        Box::new(|| file("sound.wav", RATE, "loop = false\n")),
        Box::new(|| stricken(|_, daemon| assert!(daemon.ctl(&["pause"]).status.success()))),
        // Something is captured, and it is not what it should be.
        Box::new(|| playing(|_| (0.0, 0.0))),
        Box::new(|| playing(|t| (tone(1000.0, 0.0005, t), tone(1000.0, 0.0005, t)))),
        Box::new(|| playing(|t| (tone(1000.0, 0.3, t), 0.0))),
        Box::new(|| playing(|t| (tone(100.0, 4.0, t), tone(100.0, 4.0, t)))),
        Box::new(|| playing(|t| (0.1 + tone(1000.0, 0.2, t), 0.1 + tone(1000.0, 0.2, t)))),
        Box::new(|| playing(|t| (tone(1000.0, 0.3, t), -tone(1000.0, 0.3, t)))),
        Box::new(|| playing(|t| (tone(50.0, 0.05, t), tone(50.0, 0.05, t)))),
        // Sound is lost on the way.
        Box::new(|| stricken(|card, _| card.card.overrun().unwrap())),
        Box::new(|| stricken(|card, _| card.card.suspend().unwrap())),
        Box::new(without_real_time),
        // Nobody is let in.
        Box::new(|| ended("capture.sampel_rate = 44100\n[capture.tone]\n")),
        Box::new(address_in_use),
        Box::new(no_daemon),
        Box::new(another_host),
        Box::new(no_token),
    ]
}

fn without_real_time() -> Stage {
    let card = SimCard::new(|card| card.ramp());
    let refused = ["prlimit", "--rtprio=0:0", "setpriv", "--bounding-set=-sys_nice", "--inh-caps=-sys_nice"];
    let daemon = card.setup("").under(&refused).start();
    Stage::Daemon { daemon: Box::new(daemon), _card: Some(card) }
}

fn address_in_use() -> Stage {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let setup = Setup::tone().env("TALAS_HTTP__LISTEN", PathBuf::from(address.to_string()));
    Stage::Ended(setup.run_to_end())
}

fn no_daemon() -> Stage {
    let status = Command::new(talasctl()).args(["--socket", "/nonexistent/talasd.sock", "status"]).output();
    Stage::Ended(status.unwrap())
}

fn another_host() -> Stage {
    Stage::Ended(request_of(&Setup::tone().start(), "studio.example"))
}

fn no_token() -> Stage {
    let daemon = Setup::new("access.mode = \"token\"\n[capture.tone]\n").start();
    let host = daemon.address().to_string();
    Stage::Ended(request_of(&daemon, &host))
}

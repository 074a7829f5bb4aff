//! `support-bundle`: everything that somebody needs who is asked why there is no sound, in one text that
//! its sender can read first.
//!
//! In here: what is gathered. What is left out of it is `redact`, how programs are asked is `programs`, how
//! the journal looks is `journal`. What cannot be had is told in its place: a bundle is wanted most when
//! things do not work.

mod journal;
mod programs;
mod redact;

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::args::{Args, Question};
use crate::call::{self, Call, call};
use crate::client::Client;
use crate::error::{CLIENT_VERSION, Error, Kind, Result};
use crate::screen::Screen;
use redact::Redactor;

/// Where the bundle goes to standard output.
const STDOUT: &str = "-";
/// Most of a file that is put in, in bytes.
const FILE_BYTES: u64 = 64 * 1024;
/// Only its owner may read the bundle, until its owner says otherwise.
const MODE: u32 = 0o600;

const HEAD: &str = "\
Support bundle of Talas. Read it before you send it: tokens, keys, addresses of other machines, names of
listeners and of this machine were taken out of it, but only you know what else is nobody's business.
";

/// Files that say what machine this is.
const FILES: [&str; 4] = ["/etc/os-release", "/proc/version", "/proc/asound/cards", "/proc/asound/pcm"];

/// Programs that know more.
const PROGRAMS: [&[&str]; 7] = [
    &["talasd", "--version"],
    &["talasd", "--check"],
    &["talasd", "--print-config"],
    &[
        "systemctl",
        "status",
        "--no-pager",
        "--full",
        "--lines=0",
        "talasd.service",
        "talasd-http.socket",
        "talasd-control.socket",
    ],
    &["systemctl", "show", "--no-pager", "talasd.service"],
    &["systemctl", "cat", "--no-pager", "talasd.service", "talasd-http.socket", "talasd-control.socket"],
    &["ls", "-l", "/dev/snd"],
];

/// And the journal of it all: seconds since 1970, how grave (4 is a warning), what, and the fields of ours.
const JOURNAL: [&str; 8] = [
    "journalctl",
    "--unit=talasd",
    "--no-pager",
    "--output=json",
    "--since=-2 days",
    "--lines=2000",
    "--quiet",
    "--all",
];

/// Gathers the bundle and writes it.
pub fn run<W: Write>(args: &Args, file: Option<&Path>, screen: &mut Screen<W>) -> Result<()> {
    let bundle = gather(args);
    if file == Some(Path::new(STDOUT)) {
        return screen.text(&bundle);
    }
    let path = file.map_or_else(|| PathBuf::from(format!("talas-support-{}.txt", seconds())), Path::to_owned);
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(MODE)
        .open(&path)
        .and_then(|mut file| file.write_all(bundle.as_bytes()));
    written.map_err(|error| {
        Error::new(Kind::Failed, format!("cannot write {}: {error}", path.display()))
            .hint("name a new file, or - for standard output")
    })?;
    let shown = path.display().to_string();
    screen.line(&if args.json { serde_json::json!({ "file": shown }).to_string() } else { shown })
}

fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

fn gather(args: &Args) -> String {
    let host = read_file("/proc/sys/kernel/hostname").unwrap_or_default();
    let redactor = Redactor::new(host.trim());
    let mut bundle = Bundle { text: HEAD.to_owned(), redactor };
    bundle.section("talasctl", &format!("version {CLIENT_VERSION}, {} s since 1970", seconds()));
    for (name, answer) in ask_daemon(args) {
        bundle.section(&name, &answer);
    }
    for file in FILES {
        bundle.section(file, &read_file(file).unwrap_or_else(|error| format!("cannot be read: {error}")));
    }
    for words in PROGRAMS {
        bundle.section(&words.join(" "), &programs::output(words));
    }
    bundle.section(&JOURNAL.join(" "), &journal::lines(&programs::output(&JOURNAL)));
    bundle.text
}

struct Bundle {
    text: String,
    redactor: Redactor,
}

impl Bundle {
    fn section(&mut self, title: &str, content: &str) {
        // Writing to a string cannot fail.
        let _ = write!(self.text, "\n===== {title}\n\n{}\n", self.redactor.text(content.trim_end()));
    }
}

/// What the daemon says to each question, or why it says nothing.
fn ask_daemon(args: &Args) -> Vec<(String, String)> {
    let questions: [(&str, Call); 6] = [
        ("status", call(&Question::Status { watch: false })),
        ("stats", call(&Question::Stats)),
        ("meters", call(&Question::Meters { watch: false })),
        ("devices", call(&Question::Devices)),
        ("effects", call(&Question::Process { wish: None })),
        ("connections, the first of them", call::connections(None)),
    ];
    let mut client = match Client::connect(&args.socket(), args.timeout) {
        Ok(client) => client,
        Err(error) => return vec![("the daemon".to_owned(), error.to_string())],
    };
    let said = questions.into_iter().map(|(name, question)| {
        let answer = client.ask(&question).and_then(|answer| answer.read::<Value>());
        let text = match answer {
            Ok(mut value) => {
                redact::value(&mut value);
                serde_json::to_string_pretty(&value).unwrap_or_default()
            }
            Err(error) => error.to_string(),
        };
        (format!("the daemon's {name}"), text)
    });
    said.collect()
}

fn read_file(path: &str) -> std::io::Result<String> {
    let mut content = Vec::new();
    File::open(path)?.take(FILE_BYTES).read_to_end(&mut content)?;
    Ok(String::from_utf8_lossy(&content).into_owned())
}

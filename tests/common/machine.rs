//! A machine made of namespaces, with systemd as its process 1 and a simulated card.

#![allow(dead_code, clippy::unwrap_used, missing_docs, reason = "each test file uses a part of it")]

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;
use talas_simcard_control::Card;
use tempfile::TempDir;

use super::common::{eventually, plugin_path};

const PLUGIN: &str = "/usr/lib/talas-test/libasound_module_pcm_talassim.so";

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn script() -> PathBuf {
    root().join("tests/boot/machine.sh")
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Tells whoever runs the tests that this one did not. Not by a macro: what those print is shown for tests
/// that fail only.
pub fn skip(what: &str, obstacle: &str) {
    let told = format!("\nSKIPPED: {what}: {obstacle}\n");
    std::io::stderr().write_all(told.as_bytes()).unwrap();
}

/// The folders that a machine is made of.
pub struct Tree {
    pub dir: TempDir,
    pub card: Card,
}

impl Tree {
    /// With a card that is the machine's default one, and what the tests want of systemd.
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        // Users of the machine have to get through to what is shared.
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).unwrap();
        for folder in ["root", "shared", "etc", "usr"] {
            fs::create_dir(dir.path().join(folder)).unwrap();
        }
        put(&dir, &plugin_path(), &PLUGIN[1..], "755");
        for file in [
            "systemd/system/default.target",
            "systemd/system/talasd.service.d/test.conf",
            "sysusers.d/test.conf",
        ] {
            put(&dir, &root().join("tests/boot/etc").join(file), &format!("etc/{file}"), "644");
        }
        let card = make_card(dir.path());
        Self { dir, card }
    }

    pub fn put(&self, from: impl AsRef<Path>, to: &str, mode: &str) {
        put(&self.dir, from.as_ref(), to, mode);
    }

    /// Further lines of the machine's `/etc/asound.conf`.
    pub fn define_pcm(&self, definition: &str) {
        let path = self.dir.path().join("etc/asound.conf");
        fs::File::options().append(true).open(path).unwrap().write_all(definition.as_bytes()).unwrap();
    }
}

fn put(dir: &TempDir, from: &Path, to: &str, mode: &str) {
    let to = dir.path().join(to);
    let done = Command::new("install").args(["-D", "-m", mode]).args([from, &to]).status().unwrap();
    assert!(done.success(), "{} to {}", from.display(), to.display());
}

fn make_card(dir: &Path) -> Card {
    let shared = dir.join("shared");
    let card = Card::builder(&shared).default_pcm(true).plugin(&plugin_path()).create().unwrap();
    for file in ["card.ctl", "card.lock"] {
        fs::set_permissions(shared.join(file), fs::Permissions::from_mode(0o666)).unwrap();
    }
    let definition = fs::read_to_string(shared.join("card.conf")).unwrap();
    let shared = shared.canonicalize().unwrap();
    let definition = definition
        .replace(shared.to_str().unwrap(), "/srv/shared")
        .replace(plugin_path().to_str().unwrap(), PLUGIN);
    fs::write(dir.join("etc/asound.conf"), definition).unwrap();
    card
}

/// A booted machine.
pub struct Machine {
    script: Child,
    /// Its process 1, as seen from here.
    pub init: String,
    pub card: Card,
    pub dir: TempDir,
}

impl Machine {
    /// Why this machine is not able to boot another one, if it is not.
    pub fn obstacle() -> Option<String> {
        let checked = Command::new("bash").arg(script()).arg("check").output().unwrap();
        assert!(checked.status.success(), "{}", text(&checked.stderr));
        Some(text(&checked.stdout)).filter(|reason| !reason.is_empty())
    }

    /// Boots it over this machine's own programs, or over a system of its own below `system`.
    pub fn boot(Tree { dir, card }: Tree, system: Option<&Path>) -> Self {
        let mut script = Command::new("bash")
            .arg(script())
            .args([dir.path(), &dir.path().join("shared")])
            .args(system)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut told = String::new();
        BufReader::new(script.stdout.take().unwrap()).read_line(&mut told).unwrap();
        let init = told.trim_end().strip_prefix("init ").unwrap_or_default().to_owned();
        let machine = Self { script, init, card, dir };
        assert!(!machine.init.is_empty(), "machine.sh: {told}");
        eventually("the machine's boot", || {
            machine.run(&["systemctl", "is-active", "default.target"]).status.success().then_some(())
        });
        machine
    }

    /// Runs a command in it, as root.
    pub fn run(&self, words: &[&str]) -> Output {
        Command::new("nsenter")
            .args(["--target", &self.init, "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--"])
            .args(["env", "-i", "PATH=/usr/sbin:/usr/bin", "NO_COLOR=1", "SYSTEMD_COLORS=0"])
            .args(words)
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// Runs a command that succeeds, and returns what it prints.
    pub fn ask(&self, words: &[&str]) -> String {
        let output = self.run(words);
        assert!(output.status.success(), "{words:?}: {}{}", text(&output.stdout), text(&output.stderr));
        text(&output.stdout).trim_end().to_owned()
    }

    /// Runs `talasctl` as a user, in that user's groups, and returns its exit code.
    pub fn ctl(&self, user: &str, words: &[&str]) -> i32 {
        let gid = self.ask(&["id", "-g", user]);
        let who = ["setpriv", "--reuid", user, "--regid", &gid, "--init-groups", "talasctl"];
        self.run(&[&who, words].concat()).status.code().unwrap()
    }

    pub fn property(&self, name: &str) -> String {
        self.ask(&["systemctl", "show", "--value", "--property", name, "talasd"])
    }

    pub fn wait_for_property(&self, name: &str, value: &str) {
        eventually(&format!("{name}={value}"), || (self.property(name) == value).then_some(()));
    }

    pub fn state(&self) -> Value {
        let status: Value = serde_json::from_str(&self.ask(&["talasctl", "--json", "status"])).unwrap();
        status["state"].clone()
    }

    /// Waits for a line of the daemon in the journal that has these fields.
    pub fn journal(&self, fields: &[&str]) -> Value {
        let query = ["journalctl", "--unit", "talasd", "--output", "json", "--no-pager"];
        eventually(&fields.join(" "), || {
            let lines = self.ask(&[&query, fields].concat());
            lines.lines().next_back().map(|line| serde_json::from_str(line).unwrap())
        })
    }

    /// Where a file of the machine is, as seen from here.
    pub fn path(&self, path: &str) -> PathBuf {
        format!("/proc/{}/root{path}", self.init).into()
    }

    pub fn configure(&self, config: &str) {
        // Through the machine's own root: its /etc is not a folder of ours.
        fs::write(self.path("/etc/talas/talasd.toml"), config).unwrap();
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if std::thread::panicking() && !self.init.is_empty() {
            let journal = self.run(&["journalctl", "--no-pager", "--lines", "100"]);
            eprintln!("--- the machine's journal ---\n{}", text(&journal.stdout));
        }
        // The end of its stdin is the script's sign to take everything down.
        drop(self.script.stdin.take());
        let _ = self.script.wait();
    }
}

//! The units as they are shipped, under a real systemd: a machine made of namespaces is booted, Talas is
//! installed in it with a simulated card, and what an operator would look at is looked at.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;
#[path = "common/stuck.rs"]
mod stuck;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use common::*;
use serde_json::Value;
use stuck::stuck_pcm;
use talas_simcard_control::Card;
use tempfile::TempDir;

/// The worst exposure, in tenths, that `systemd-analyze security` may find.
const EXPOSURE: &str = "13";
const PLUGIN: &str = "/usr/lib/talas-test/libasound_module_pcm_talassim.so";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn script() -> PathBuf {
    root().join("tests/boot/machine.sh")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A booted machine.
struct Machine {
    script: Child,
    /// Its process 1, as seen from here.
    init: String,
    card: Card,
    dir: TempDir,
}

impl Machine {
    /// Why this machine is not able to boot another one, if it is not.
    fn obstacle() -> Option<String> {
        let checked = Command::new("bash").arg(script()).arg("check").output().unwrap();
        assert!(checked.status.success(), "{}", text(&checked.stderr));
        Some(text(&checked.stdout)).filter(|reason| !reason.is_empty())
    }

    fn boot() -> Self {
        let dir = tempfile::tempdir().unwrap();
        // Users of the machine have to get through to what is shared.
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).unwrap();
        let card = install(dir.path());
        let mut script = Command::new("bash")
            .arg(script())
            .args([dir.path(), &dir.path().join("shared")])
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
    fn run(&self, words: &[&str]) -> Output {
        Command::new("nsenter")
            .args(["--target", &self.init, "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--"])
            .args(["env", "-i", "PATH=/usr/sbin:/usr/bin", "NO_COLOR=1", "SYSTEMD_COLORS=0"])
            .args(words)
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// Runs a command that succeeds, and returns what it prints.
    fn ask(&self, words: &[&str]) -> String {
        let output = self.run(words);
        assert!(output.status.success(), "{words:?}: {}{}", text(&output.stdout), text(&output.stderr));
        text(&output.stdout).trim_end().to_owned()
    }

    /// Runs `talasctl` as a user, in that user's groups, and returns its exit code.
    fn ctl(&self, user: &str, words: &[&str]) -> i32 {
        let gid = self.ask(&["id", "-g", user]);
        let who = ["setpriv", "--reuid", user, "--regid", &gid, "--init-groups", "talasctl"];
        self.run(&[&who, words].concat()).status.code().unwrap()
    }

    fn property(&self, name: &str) -> String {
        self.ask(&["systemctl", "show", "--value", "--property", name, "talasd"])
    }

    fn wait_for_property(&self, name: &str, value: &str) {
        eventually(&format!("{name}={value}"), || (self.property(name) == value).then_some(()));
    }

    fn state(&self) -> Value {
        let status: Value = serde_json::from_str(&self.ask(&["talasctl", "--json", "status"])).unwrap();
        status["state"].clone()
    }

    /// Waits for a line of the daemon in the journal that has these fields.
    fn journal(&self, fields: &[&str]) -> Value {
        let query = ["journalctl", "--unit", "talasd", "--output", "json", "--no-pager"];
        eventually(&fields.join(" "), || {
            let lines = self.ask(&[&query, fields].concat());
            lines.lines().next_back().map(|line| serde_json::from_str(line).unwrap())
        })
    }

    fn configure(&self, config: &str) {
        // Through the machine's own root: its /etc is not a folder of ours.
        let path = format!("/proc/{}/root/etc/talas/talasd.toml", self.init);
        fs::write(path, config).unwrap();
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

/// Makes the folders that become the machine: programs and units where a package puts them.
fn install(dir: &Path) -> Card {
    let put = |from: PathBuf, to: &str, mode: &str| {
        let to = dir.join(to);
        let done = Command::new("install").args(["-D", "-m", mode]).args([&from, &to]).status().unwrap();
        assert!(done.success(), "{} to {}", from.display(), to.display());
    };
    put(env!("CARGO_BIN_EXE_talasd").into(), "usr/bin/talasd", "755");
    put(talasctl(), "usr/bin/talasctl", "755");
    put(plugin_path(), &PLUGIN[1..], "755");
    for unit in ["talasd.service", "talasd-http.socket", "talasd-control.socket"] {
        put(root().join("systemd").join(unit), &format!("usr/lib/systemd/system/{unit}"), "644");
    }
    for kind in ["sysusers.d", "tmpfiles.d"] {
        put(root().join(format!("systemd/{kind}/talas.conf")), &format!("usr/lib/{kind}/talas.conf"), "644");
    }
    for file in
        ["systemd/system/default.target", "systemd/system/talasd.service.d/test.conf", "sysusers.d/test.conf"]
    {
        put(root().join("tests/boot/etc").join(file), &format!("etc/{file}"), "644");
    }
    put(root().join("etc/talasd.toml"), "etc/talas/talasd.toml", "644");
    for folder in ["root", "shared"] {
        fs::create_dir(dir.join(folder)).unwrap();
    }
    make_card(dir)
}

/// A card that is the machine's default one, and a PCM that hangs whoever reads it.
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
    fs::write(dir.join("etc/asound.conf"), format!("{definition}{}", stuck_pcm("/srv/shared/pipe"))).unwrap();
    card
}

#[test]
fn a_machine_runs_talas_as_an_operator_expects() {
    if let Some(obstacle) = Machine::obstacle() {
        // Not by a macro: what those print is shown for tests that fail only.
        let told = format!("\nSKIPPED: the systemd units are NOT tested: {obstacle}\n");
        return std::io::stderr().write_all(told.as_bytes()).unwrap();
    }
    let machine = Machine::boot();
    the_units_are_sound(&machine);
    it_starts_and_says_how_it_is(&machine);
    it_is_confined(&machine);
    callers_have_the_rights_of_their_users(&machine);
    a_gap_is_in_the_journal(&machine);
    a_reload_tells_how_it_went(&machine);
    a_killed_daemon_comes_back_as_it_was(&machine);
    it_stops_in_time(&machine);
    sockets_start_it_and_outlive_it(&machine);
    a_hung_thread_ends_in_a_restart(&machine);
    a_wrong_configuration_is_not_tried_again(&machine);
}

fn the_units_are_sound(machine: &Machine) {
    let folder = "/usr/lib/systemd/system";
    let units = ["talasd.service", "talasd-http.socket", "talasd-control.socket"];
    let paths = units.map(|unit| format!("{folder}/{unit}"));
    let verify = ["systemd-analyze", "verify", &paths[0], &paths[1], &paths[2]];
    let verified = machine.run(&verify);
    assert!(verified.status.success() && verified.stderr.is_empty(), "{}", text(&verified.stderr));
    let threshold = format!("--threshold={EXPOSURE}");
    machine.ask(&["systemd-analyze", "security", "--no-pager", "--offline=true", &threshold, &paths[0]]);
}

fn it_starts_and_says_how_it_is(machine: &Machine) {
    machine.ask(&["systemctl", "start", "talasd"]);
    assert_eq!(machine.property("ActiveState"), "active");
    machine.wait_for_property("StatusText", "running");
    let status = machine.ask(&["systemctl", "status", "--no-pager", "talasd"]);
    assert!(status.contains("Status: \"running\""), "{status}");
    let owners = machine.ask(&[
        "stat",
        "--format=%n %U %a",
        "/run/talas",
        "/run/talas/talasd.sock",
        "/var/lib/talas",
        "/var/cache/talas",
    ]);
    let expected = "/run/talas talasd 755\n/run/talas/talasd.sock talasd 666\n/var/lib/talas talasd 750\n\
                    /var/cache/talas talasd 750";
    assert_eq!(owners, expected);
    let groups = machine.ask(&["id", "--groups", "--name", "talasd"]);
    assert!(groups.split(' ').any(|group| group == "audio"), "{groups}");
}

fn it_is_confined(machine: &Machine) {
    let process = machine.ask(&["cat", &format!("/proc/{}/status", machine.property("MainPID"))]);
    for fact in ["CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"] {
        assert!(process.contains(fact), "{fact} is not in\n{process}");
    }
}

fn callers_have_the_rights_of_their_users(machine: &Machine) {
    const NOT_PERMITTED: i32 = 4;
    for (user, change, admin) in
        [("root", 0, 0), ("ann", 0, NOT_PERMITTED), ("bob", NOT_PERMITTED, NOT_PERMITTED)]
    {
        assert_eq!(machine.ctl(user, &["status"]), 0, "{user} looks");
        assert_eq!(machine.ctl(user, &["pause"]), change, "{user} pauses");
        assert_eq!(machine.ctl(user, &["resume"]), change, "{user} resumes");
        assert_eq!(machine.ctl(user, &["reload"]), admin, "{user} reloads");
    }
    assert_eq!(machine.ctl("nobody", &["pause"]), NOT_PERMITTED);
    machine.wait_for_property("StatusText", "running");
}

fn a_gap_is_in_the_journal(machine: &Machine) {
    // Bursts become one line a second, and the pauses have just left gaps.
    std::thread::sleep(Duration::from_millis(1100));
    machine.card.overrun().unwrap();
    let line = machine.journal(&["TALAS_EVENT=capture_gap", "TALAS_REASON=overrun"]);
    assert_eq!(line["TALAS_SOURCE"], "default");
    assert!(line["TALAS_FRAMES"].as_str().unwrap().parse::<u64>().unwrap() > 0, "{line}");
    assert_eq!(line["SYSLOG_IDENTIFIER"], "talasd");
    assert_eq!(line["PRIORITY"], "4");
}

fn a_reload_tells_how_it_went(machine: &Machine) {
    machine.configure("log.level = \"debug\"\n");
    machine.ask(&["systemctl", "reload", "talasd"]);
    assert_eq!(machine.journal(&["TALAS_EVENT=reloaded"])["TALAS_APPLIED"], "log.level");
    machine.configure("log.level = \"loud\"\n");
    let refused = machine.run(&["systemctl", "reload", "talasd"]);
    assert!(!refused.status.success(), "a refused configuration is a failed reload");
    let line = machine.journal(&["TALAS_EVENT=reload_failed"]);
    assert!(line["TALAS_REASON"].as_str().unwrap().contains("log.level"), "{line}");
    assert_eq!(machine.property("ActiveState"), "active");
    machine.configure("");
    machine.ask(&["systemctl", "reload", "talasd"]);
    machine.wait_for_property("StatusText", "running");
}

fn a_killed_daemon_comes_back_as_it_was(machine: &Machine) {
    assert_eq!(machine.ctl("ann", &["pause"]), 0);
    machine.wait_for_property("StatusText", "paused");
    let before = machine.property("MainPID");
    machine.ask(&["systemctl", "kill", "--kill-who=main", "--signal=KILL", "talasd"]);
    machine.wait_for_property("NRestarts", "1");
    machine.wait_for_property("ActiveState", "active");
    assert_ne!(machine.property("MainPID"), before);
    assert_eq!(machine.state(), "paused");
    assert_eq!(machine.ctl("ann", &["resume"]), 0);
    machine.wait_for_property("StatusText", "running");
}

fn it_stops_in_time(machine: &Machine) {
    let began = Instant::now();
    machine.ask(&["systemctl", "stop", "talasd"]);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(machine.property("Result"), "success");
    assert_eq!(machine.property("ExecMainStatus"), "0");
    assert!(!machine.run(&["test", "-e", "/run/talas/talasd.sock"]).status.success());
}

fn sockets_start_it_and_outlive_it(machine: &Machine) {
    machine.ask(&["systemctl", "start", "talasd-control.socket", "talasd-http.socket"]);
    assert_eq!(machine.property("ActiveState"), "inactive");
    for _ in 0..2 {
        assert_eq!(machine.ctl("bob", &["status"]), 0, "the first question starts the daemon");
        let get = "exec 3<>/dev/tcp/127.0.0.1/8080 &&
            printf 'GET /healthz HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n' >&3 && cat <&3";
        let answer = machine.ask(&["bash", "-c", get]);
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert_eq!(machine.ctl("bob", &["pause"]), 4, "an inherited socket tells its callers apart too");
        machine.ask(&["systemctl", "stop", "talasd.service"]);
    }
    let socket = machine.ask(&["stat", "--format=%a", "/run/talas/talasd.sock"]);
    assert_eq!(socket, "666", "the socket outlives the daemon");
    machine.ask(&["systemctl", "stop", "talasd-control.socket", "talasd-http.socket"]);
}

fn a_hung_thread_ends_in_a_restart(machine: &Machine) {
    machine.ask(&["mkfifo", "--mode=666", "/srv/shared/pipe"]);
    // Whoever opens the pipe finds a writer, and nothing to read.
    let _writer =
        fs::File::options().read(true).write(true).open(machine.dir.path().join("shared/pipe")).unwrap();
    machine.configure("[capture.alsa]\ndevice = \"stuck\"\n");
    machine.ask(&["systemctl", "start", "talasd"]);
    let line = machine.journal(&["TALAS_EVENT=thread_hangs"]);
    assert_eq!(line["TALAS_THREAD"], "capture", "{line}");
    machine.wait_for_property("NRestarts", "1");
    let told = machine.ask(&["journalctl", "--unit", "talasd", "--no-pager", "--grep", "Watchdog timeout"]);
    assert!(told.contains("talasd.service: Watchdog timeout"), "{told}");
    machine.ask(&["systemctl", "stop", "talasd"]);
}

fn a_wrong_configuration_is_not_tried_again(machine: &Machine) {
    machine.configure("[captur]\n");
    assert!(!machine.run(&["systemctl", "start", "talasd"]).status.success());
    let facts = ["ActiveState", "ExecMainStatus", "NRestarts"].map(|name| machine.property(name));
    assert_eq!(facts, ["failed", "3", "0"]);
    let told = machine.ask(&["journalctl", "--unit", "talasd", "--no-pager", "--lines", "20"]);
    assert!(told.contains("/etc/talas/talasd.toml:1:2"), "{told}");
}

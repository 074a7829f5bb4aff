//! The packages on a bare Debian that is booted for them: installed by apt, used as an operator would,
//! attacked from inside, upgraded under listeners, and purged. `make test-appliance` builds what this needs.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;
#[path = "common/machine.rs"]
mod machine;
#[path = "common/operator.rs"]
mod operator;
#[path = "common/stuck.rs"]
mod stuck;

use std::fs;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use common::*;
use machine::{Machine, Tree, root, text};
use operator::*;
use stuck::stuck_pcm;

/// A version before the one that is tested, made of the same files.
const OLD: &str = "0.0.9";
/// Listeners of frames through a restart.
const LISTENERS: usize = 200;
/// What they listen to: little enough that this machine can be all of them.
const STREAM: &str = "/api/audio/stream?encoding=s16&quality=0.125";

const UNITS: [&str; 3] = ["talasd.service", "talasd-http.socket", "talasd-control.socket"];

#[test]
#[ignore = "needs the packages and a Debian: make test-appliance"]
fn the_packages_make_an_appliance() {
    let system =
        PathBuf::from(std::env::var_os("TALAS_SYSTEM").expect("TALAS_SYSTEM: see make test-appliance"));
    let tree = Tree::new();
    tree.define_pcm(&stuck_pcm("/srv/shared/pipe"));
    put_packages(&tree);
    let machine = Machine::boot(tree, Some(&system));
    it_installs_and_sounds(&machine);
    everything_is_where_debian_people_look(&machine);
    it_is_confined(&machine);
    nothing_gets_out_of_the_sandbox(&machine);
    the_drop_in_opens_the_network(&machine);
    callers_have_the_rights_of_their_users(&machine);
    a_gap_is_in_the_journal(&machine);
    a_reload_tells_how_it_went(&machine);
    a_killed_daemon_comes_back_as_it_was(&machine);
    idle_is_cheap(&machine);
    // What autopkgtest runs.
    machine.ask(&["/usr/lib/talas-test/smoke"]);
    it_is_set_up_and_reported_on(&machine);
    a_restart_under_listeners(&machine, "a restart", &["systemctl", "restart", "talasd"]);
    an_upgrade_keeps_what_it_held(&machine);
    going_back_is_told(&machine);
    a_hung_thread_ends_in_a_restart(&machine);
    a_wrong_configuration_is_not_tried_again(&machine);
    a_purge_leaves_nothing(&machine);
}

/// A measured figure, for whoever runs this.
fn figure(what: &str, value: impl std::fmt::Display) {
    eprintln!("figure: {what}: {value}");
}

/// Puts the packages into the shared folder: as `new`, and as `old` under a lower version.
fn put_packages(tree: &Tree) {
    let packages =
        PathBuf::from(std::env::var_os("TALAS_PACKAGES").expect("TALAS_PACKAGES: see make test-appliance"));
    let shared = tree.dir.path().join("shared");
    for folder in ["new", "old"] {
        fs::create_dir(shared.join(folder)).unwrap();
    }
    let mut names = Vec::new();
    for package in fs::read_dir(&packages).unwrap_or_else(|error| panic!("{}: {error}", packages.display())) {
        let package = package.unwrap().path();
        let name = package.file_name().unwrap().to_string_lossy().into_owned();
        if name.ends_with(".deb") && !name.contains("-dbgsym") {
            fs::copy(&package, shared.join("new").join(&name)).unwrap();
            make_old(&package, &shared.join("old").join(&name));
            names.push(name);
        }
    }
    assert_eq!(names.len(), 2, "talasd and talasctl are in {}: {names:?}", packages.display());
    tree.put(root().join("tests/boot/probe.sh"), "usr/lib/talas-test/probe.sh", "755");
    tree.put(root().join("debian/tests/smoke"), "usr/lib/talas-test/smoke", "755");
}

fn make_old(package: &Path, to: &Path) {
    let dir = tempfile::tempdir().unwrap();
    let tree = dir.path().join("package");
    let run = |command: &mut Command| {
        let output = command.output().unwrap();
        assert!(output.status.success(), "{command:?}: {}", text(&output.stderr));
    };
    run(Command::new("dpkg-deb").arg("--raw-extract").args([package, &tree]));
    for file in fs::read_dir(tree.join("DEBIAN")).unwrap() {
        let path = file.unwrap().path();
        if let Ok(content) = fs::read_to_string(&path) {
            fs::write(&path, content.replace(env!("CARGO_PKG_VERSION"), OLD)).unwrap();
        }
    }
    run(Command::new("dpkg-deb").args(["--root-owner-group", "-Zgzip", "--build"]).args([&tree, to]));
}

fn apt(machine: &Machine, words: &str) -> String {
    machine.ask(&["bash", "-c", &format!("DEBIAN_FRONTEND=noninteractive apt-get -q -y {words} 2>&1")])
}

fn it_installs_and_sounds(machine: &Machine) {
    let began = Instant::now();
    let told = apt(machine, "install /srv/shared/old/*.deb");
    let installed = began.elapsed();
    let listen =
        "curl -sN --max-time 20 http://127.0.0.1:8080/api/audio/stream | grep -m 1 '^event: audio-frame'";
    machine.ask(&["bash", "-o", "pipefail", "-c", &format!("{listen} || true")]);
    figure("install to first frame", format!("{:.2} s", began.elapsed().as_secs_f64()));
    figure("of that, apt", format!("{:.2} s", installed.as_secs_f64()));
    assert!(!told.contains("warning") && !told.contains("Failed"), "{told}");
    machine.wait_for_property("StatusText", "running");
    let page = machine.ask(&["curl", "-sS", "http://127.0.0.1:8080/"]);
    assert!(page.contains("<html") || page.contains("<!doctype html"), "{page}");
}

fn everything_is_where_debian_people_look(machine: &Machine) {
    for unit in UNITS {
        assert_eq!(machine.ask(&["systemctl", "is-enabled", unit]), "enabled");
        assert_eq!(machine.ask(&["systemctl", "is-active", unit]), "active");
    }
    let stat = |path: &str| machine.ask(&["stat", "--format=%U:%G %a", path]);
    assert_eq!(stat("/etc/credstore/talasd.jwt"), "root:root 600");
    assert_eq!(stat("/etc/talas/talasd.toml"), "root:root 644");
    assert_eq!(stat("/var/lib/talas"), "talasd:talasd 750");
    assert_eq!(stat("/run/talas/talasd.sock"), "root:root 666");
    for file in [
        "/usr/share/man/man8/talasd.8.gz",
        "/usr/share/man/man5/talasd.toml.5.gz",
        "/usr/share/man/man1/talasctl-status.1.gz",
        "/usr/share/bash-completion/completions/talasctl",
        "/usr/share/zsh/vendor-completions/_talasctl",
        "/usr/share/fish/vendor_completions.d/talasctl.fish",
        "/usr/share/doc/talasd/third-party.gz",
        "/usr/libexec/talas/talas-confine",
        "/dev/snd",
    ] {
        assert!(machine.path(file).exists(), "{file} is missing");
    }
    let conffiles = machine.ask(&["dpkg-query", "--show", "--showformat=${Conffiles}", "talasd"]);
    assert_eq!(conffiles.lines().filter(|line| line.contains("/etc/")).count(), 1, "{conffiles}");
    let size = machine.ask(&["bash", "-c", "dpkg-query -W -f '${Installed-Size}\\n' talasd talasctl | paste -sd+ | xargs -I{} bash -c 'echo $(({}))'"]);
    figure("installed", format!("{size} KiB"));
    let paths: Vec<String> = UNITS.iter().map(|unit| format!("/lib/systemd/system/{unit}")).collect();
    let verify = [
        &["systemd-analyze", "verify", "--man=no"][..],
        &paths.iter().map(String::as_str).collect::<Vec<_>>(),
    ]
    .concat();
    let verified = machine.run(&verify);
    assert!(verified.status.success() && verified.stderr.is_empty(), "{}", text(&verified.stderr));
    figure("exposure", exposure(machine));
    exposure_is_at_most(machine, EXPOSURE);
}

/// The same sandbox with the probe in it instead of the daemon.
fn nothing_gets_out_of_the_sandbox(machine: &Machine) {
    let unit = machine.ask(&["cat", "/lib/systemd/system/talasd.service"]);
    let drops =
        ["Type=", "NotifyAccess=", "Sockets=", "WatchdogSec=", "Restart=", "Requires=", "ExecReload="];
    let kept = unit.lines().filter(|line| !drops.iter().any(|drop| line.starts_with(drop)));
    let unit: Vec<String> = kept
        .map(|line| {
            if line.starts_with("ExecStart=") {
                "ExecStart=/usr/lib/talas-test/probe.sh\nType=oneshot".to_owned()
            } else {
                line.to_owned()
            }
        })
        .collect();
    fs::write(machine.path("/etc/systemd/system/talas-probe.service"), unit.join("\n")).unwrap();
    machine.ask(&["systemctl", "daemon-reload"]);
    let started = machine.run(&["systemctl", "start", "talas-probe"]);
    let told = machine.ask(&["journalctl", "--unit", "talas-probe", "--output", "cat", "--no-pager"]);
    assert!(started.status.success(), "{told}");
    assert!(told.lines().any(|line| line == "the end"), "{told}");
    assert!(!told.contains("through: "), "{told}");
}

fn exposure(machine: &Machine) -> String {
    let told = machine.ask(&["systemd-analyze", "security", "--no-pager", "talasd.service"]);
    told.lines().last().unwrap_or_default().to_owned()
}

fn idle_is_cheap(machine: &Machine) {
    let pid = machine.property("MainPID");
    let process = |file: &str| machine.ask(&["cat", &format!("/proc/{pid}/{file}")]);
    let ticks = || -> u64 {
        let stat = process("stat");
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    };
    let seconds = 10;
    let before = ticks();
    std::thread::sleep(Duration::from_secs(seconds));
    let used = ticks() - before;
    let status = process("status");
    let resident = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
    figure("idle, capturing: memory", resident);
    figure("idle, capturing: of a core", format!("{:.1} %", used as f64 / seconds as f64));
}

/// Enters the machine's network with this thread alone.
fn enter_network(machine: &Machine) -> impl Fn() + Clone + Send + 'static {
    let namespace = fs::File::open(format!("/proc/{}/ns/net", machine.init)).unwrap();
    let namespace = Arc::new(namespace);
    move || {
        #[expect(unsafe_code, reason = "there is no safe binding in the tree")]
        // SAFETY: the descriptor is open, and the call concerns this thread only.
        let result = unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) };
        assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
    }
}

/// Listeners who come back when they are cut off, each at once.
struct Crowd {
    /// Listeners that have heard something since the restart; the test ends when all have.
    back: Arc<AtomicUsize>,
    /// Connections that were taken and reset without an answer.
    reset: Arc<AtomicUsize>,
    over: Arc<AtomicBool>,
    /// What of the time line each did not hear, in ms.
    threads: Vec<JoinHandle<Vec<f64>>>,
}

impl Crowd {
    fn gather(machine: &Machine) -> Self {
        let mut crowd =
            Self { back: Arc::default(), reset: Arc::default(), over: Arc::default(), threads: Vec::new() };
        let heard = Arc::new(AtomicUsize::new(0));
        let enter = enter_network(machine);
        for _ in 0..LISTENERS {
            let (enter, heard) = (enter.clone(), heard.clone());
            let (back, reset, over) = (crowd.back.clone(), crowd.reset.clone(), crowd.over.clone());
            crowd.threads.push(std::thread::spawn(move || {
                enter();
                listen(&heard, &back, &reset, &over)
            }));
        }
        eventually("a crowd that listens", || (heard.load(Ordering::Relaxed) == LISTENERS).then_some(()));
        crowd
    }

    /// What each missed, once all are back.
    fn missed(self) -> Vec<f64> {
        eventually("all of the crowd are back", || {
            (self.back.load(Ordering::Relaxed) >= LISTENERS).then_some(())
        });
        self.over.store(true, Ordering::Relaxed);
        self.threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    }
}

/// Listens until it is over. A refused connection, a torn event or a number that is out of order panics.
fn listen(heard: &AtomicUsize, back: &AtomicUsize, reset: &AtomicUsize, over: &AtomicBool) -> Vec<f64> {
    let address = SocketAddr::from(([127, 0, 0, 1], 8080));
    let mut stream = Sse::open(address, STREAM);
    let mut last: Option<AudioFrame> = None;
    let mut missed = Vec::new();
    let mut is_back = false;
    while !over.load(Ordering::Relaxed) {
        match stream.next() {
            Some(Heard::Frame(frame)) => {
                match last.replace(frame.clone()) {
                    None => drop(heard.fetch_add(1, Ordering::Relaxed)),
                    Some(before) if is_back => {
                        missed.push(frame.timestamp as f64 - before.timestamp as f64 - before.duration_ms);
                        back.fetch_add(1, Ordering::Relaxed);
                    }
                    Some(_) => {}
                }
                is_back = false;
            }
            Some(Heard::Gap(gap)) if is_back => {
                let last = last.as_ref().expect("it was there before");
                assert_eq!(
                    gap["from_frame"],
                    last.number + 1,
                    "what it heard is whole up to the restart: {gap}"
                );
            }
            Some(_) => {}
            None => {
                let before = last.as_ref().expect("it heard something before it was cut off");
                stream = come_back(address, before.number, reset);
                is_back = true;
            }
        }
    }
    missed
}

/// Resumes after a block. A daemon that is about to end may still take a connection and reset it unanswered:
/// that is counted, and tried again, as players and browsers do.
fn come_back(address: SocketAddr, after: u64, reset: &AtomicUsize) -> Sse {
    loop {
        let stream = Sse::ask(address, STREAM, &format!("Last-Event-ID: frame-{after}\r\n"));
        if matches!(stream.peek(&mut [0]), Ok(1)) {
            return Sse::over(stream);
        }
        reset.fetch_add(1, Ordering::Relaxed);
    }
}

fn a_restart_under_listeners(machine: &Machine, what: &str, command: &[&str]) {
    // Whoever starts a service ten times within a minute meets its limit, and with it the sockets'.
    machine.ask(&["systemctl", "reset-failed", "talasd"]);
    let crowd = Crowd::gather(machine);
    let before = machine.property("MainPID");
    machine.ask(command);
    let reset = crowd.reset.clone();
    let missed = crowd.missed();
    assert_ne!(machine.property("MainPID"), before, "it was restarted");
    let most = missed.iter().copied().fold(0.0, f64::max);
    figure(&format!("{what} under {LISTENERS} listeners: not captured"), format!("{most:.0} ms at most"));
    figure(
        &format!("{what} under {LISTENERS} listeners: reset while coming back"),
        reset.load(Ordering::Relaxed),
    );
    // A bound for a machine under load; the figure is what is aimed at.
    assert!(most < PATIENCE.as_secs_f64() * 1000.0, "{missed:?}");
}

/// `talasctl setup` without questions, from a machine beside, and `talasctl support-bundle`.
fn it_is_set_up_and_reported_on(machine: &Machine) {
    let setup = ["talasctl", "setup", "--device", "default", "--listen", "0.0.0.0:8080", "--token", "ada"];
    let told = machine.ask(&setup);
    assert!(
        told.contains("Capturing from default: it runs.") && told.contains("Serving on 0.0.0.0:8080."),
        "{told}"
    );
    let token = told.rsplit("?token=").next().unwrap().trim();
    let status = |url: &str| {
        machine.ask(&["curl", "-s", "--max-time", "5", "-o", "/dev/null", "-w", "%{http_code}", url])
    };
    assert_eq!(status("http://127.0.0.1:8080/api/audio/stats"), "401", "off loopback a token is needed");
    let listen =
        format!("curl -s --max-time 2 'http://127.0.0.1:8080/live.mp3?token={token}' | head -c 4000 | wc -c");
    assert_eq!(machine.ask(&["bash", "-c", &listen]), "4000");
    let config = machine.ask(&["cat", "/etc/talas/talasd.toml"]);
    assert!(config.contains("device = \"default\""), "{config}");
    assert_eq!(machine.ctl("ann", &["setup", "--listen", "127.0.0.1:8080"]), 4, "not everybody's business");
    let wrong = machine.run(&["talasctl", "setup"]);
    assert_eq!(wrong.status.code(), Some(2), "no terminal to ask on");

    machine.run(&["curl", "-s", &format!("http://127.0.0.1:8080/api/audio/stats?token={token}")]);
    let bundle = machine.ask(&["talasctl", "support-bundle", "-"]);
    for part in [
        "===== the daemon's status",
        "\"state\": \"running\"",
        "===== journalctl",
        "capture_running",
        "[capture.alsa]",
    ] {
        assert!(bundle.contains(part), "{part} is not in\n{bundle}");
    }
    assert!(!bundle.contains(token), "the token is in the bundle");
    assert!(
        !bundle.contains(&machine.ask(&["cat", "/etc/credstore/talasd.jwt"])),
        "the secret is in the bundle"
    );

    let back = ["talasctl", "--json", "setup", "--listen", "127.0.0.1:8080", "--listen", "[::1]:8080"];
    assert_eq!(machine.ask(&back), "", "programs get objects alone");
    assert_eq!(status("http://127.0.0.1:8080/api/audio/stats"), "200", "on loopback none is needed");
}

fn an_upgrade_keeps_what_it_held(machine: &Machine) {
    let token = machine.ask(&["talasctl", "--json", "token", "mint", "--sub", "ada"]);
    machine.ask(&["talasctl", "key", "add", "kitchen"]);
    machine.configure("# mine\n");
    let secret = machine.ask(&["cat", "/etc/credstore/talasd.jwt"]);
    let upgrade = "DEBIAN_FRONTEND=noninteractive apt-get -q -y install /srv/shared/new/*.deb 2>&1";
    a_restart_under_listeners(machine, "an upgrade", &["bash", "-c", upgrade]);
    assert_eq!(machine.ask(&["cat", "/etc/credstore/talasd.jwt"]), secret);
    assert_eq!(machine.ask(&["cat", "/etc/talas/talasd.toml"]), "# mine", "a changed configuration stays");
    let keys = machine.ask(&["talasctl", "--json", "key", "list"]);
    assert!(keys.contains("kitchen"), "{keys}");
    let tokens = machine.ask(&["talasctl", "--json", "token", "list"]);
    let token: serde_json::Value = serde_json::from_str(&token).unwrap();
    assert!(tokens.contains(token["jti"].as_str().unwrap_or_else(|| panic!("{token}"))), "{tokens}");
    assert_eq!(machine.ctl("ann", &["pause"]), 0);
    apt(machine, "install --reinstall /srv/shared/new/*.deb");
    machine.wait_for_property("StatusText", "paused");
    assert_eq!(machine.ctl("ann", &["resume"]), 0);
    machine.wait_for_property("StatusText", "running");
}

fn going_back_is_told(machine: &Machine) {
    let told = apt(machine, "install --allow-downgrades /srv/shared/old/*.deb");
    assert!(told.contains("this goes back from version"), "{told}");
    machine.wait_for_property("StatusText", "running");
    let told = apt(machine, "install /srv/shared/new/*.deb");
    assert!(!told.contains("goes back"), "{told}");
}

fn a_purge_leaves_nothing(machine: &Machine) {
    machine.ask(&["bash", "-c", "echo mine >/etc/talas/notes; systemctl reset-failed"]);
    apt(machine, "purge talasd talasctl");
    for gone in [
        "/var/lib/talas",
        "/var/cache/talas",
        "/run/talas",
        "/etc/talas/talasd.toml",
        "/etc/credstore/talasd.jwt",
        "/usr/bin/talasd",
        "/lib/systemd/system/talasd.service",
    ] {
        assert!(!machine.path(gone).exists(), "{gone} is left behind");
    }
    assert!(machine.path("/etc/talas/notes").exists(), "what somebody else put there stays");
    let left = machine.ask(&["bash", "-c", "systemctl list-units --all --plain --no-legend 'talasd*'; find /etc/systemd -name 'talasd*' -not -name '*.d'"]);
    assert_eq!(left, "", "units are left behind");
}

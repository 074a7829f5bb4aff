//! What an operator expects of Talas on a machine, however it came there.

#![allow(dead_code, clippy::unwrap_used, missing_docs, reason = "each test file uses a part of it")]

use std::fs;
use std::time::Duration;

use super::machine::{Machine, text};

/// The worst exposure, in tenths, that `systemd-analyze security` may find: of the service, and of the
/// service with the drop-in that opens it to the network.
pub const EXPOSURE: f64 = 6.0;
pub const EXPOSURE_WITH_NETWORK: f64 = 15.0;

pub fn it_is_confined(machine: &Machine) {
    let process = machine.ask(&["cat", &format!("/proc/{}/status", machine.property("MainPID"))]);
    for fact in ["CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"] {
        assert!(process.contains(fact), "{fact} is not in\n{process}");
    }
}

pub fn callers_have_the_rights_of_their_users(machine: &Machine) {
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

pub fn a_gap_is_in_the_journal(machine: &Machine) {
    // Bursts become one line a second, and the pauses have just left gaps.
    std::thread::sleep(Duration::from_millis(1100));
    machine.card.overrun().unwrap();
    let line = machine.journal(&["TALAS_EVENT=capture_gap", "TALAS_REASON=overrun"]);
    assert_eq!(line["TALAS_SOURCE"], "default");
    assert!(line["TALAS_FRAMES"].as_str().unwrap().parse::<u64>().unwrap() > 0, "{line}");
    assert_eq!(line["SYSLOG_IDENTIFIER"], "talasd");
    assert_eq!(line["PRIORITY"], "4");
}

pub fn a_reload_tells_how_it_went(machine: &Machine) {
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

pub fn a_killed_daemon_comes_back_as_it_was(machine: &Machine) {
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

pub fn a_hung_thread_ends_in_a_restart(machine: &Machine) {
    machine.ask(&["mkfifo", "--mode=666", "/srv/shared/pipe"]);
    // Whoever opens the pipe finds a writer, and nothing to read.
    let _writer =
        fs::File::options().read(true).write(true).open(machine.dir.path().join("shared/pipe")).unwrap();
    machine.configure("[capture.alsa]\ndevice = \"stuck\"\n");
    machine.ask(&["systemctl", "restart", "talasd"]);
    let line = machine.journal(&["TALAS_EVENT=thread_hangs"]);
    assert_eq!(line["TALAS_THREAD"], "capture", "{line}");
    machine.wait_for_property("NRestarts", "1");
    let told = machine.ask(&["journalctl", "--unit", "talasd", "--no-pager", "--grep", "Watchdog timeout"]);
    assert!(told.contains("talasd.service: Watchdog timeout"), "{told}");
    machine.ask(&["systemctl", "stop", "talasd"]);
}

pub fn a_wrong_configuration_is_not_tried_again(machine: &Machine) {
    machine.configure("[captur]\n");
    assert!(!machine.run(&["systemctl", "restart", "talasd"]).status.success());
    let facts = ["ActiveState", "ExecMainStatus", "NRestarts"].map(|name| machine.property(name));
    assert_eq!(facts, ["failed", "3", "0"]);
    let told = machine.ask(&["journalctl", "--unit", "talasd", "--no-pager", "--lines", "20"]);
    assert!(told.contains("/etc/talas/talasd.toml:1:2"), "{told}");
}

pub fn exposure_is_at_most(machine: &Machine, tenths: f64) {
    // Of the unit as it is loaded, with its drop-ins.
    let security = ["systemd-analyze", "security", "--no-pager", "talasd.service"];
    let told = machine.ask(&security);
    let score = told.lines().last().and_then(|line| line.split(": ").nth(1)).unwrap_or_default();
    let score: f64 = score.split(' ').next().unwrap_or_default().parse().unwrap_or_else(|_| panic!("{told}"));
    assert!(score * 10.0 <= tenths + 1e-9, "{told}");
}

pub fn the_drop_in_opens_the_network(machine: &Machine) {
    let drop_in = "/etc/systemd/system/talasd.service.d/network.conf";
    let example = "/usr/share/doc/talasd/examples/talasd-network.conf";
    let apply = |change: &[&str]| {
        machine.ask(change);
        machine.ask(&["systemctl", "daemon-reload"]);
        machine.ask(&["systemctl", "restart", "talasd"]);
    };
    // What asks for more network than there is ends with the reason, and --check says what to do.
    machine.configure("http.metrics_listen = \"127.0.0.1:9100\"\n");
    let checked = machine.run(&["talasd", "--check"]);
    let told = text(&checked.stderr);
    assert!(checked.status.success() && told.contains("talasd-network.conf"), "{told}");
    assert!(!machine.run(&["systemctl", "restart", "talasd"]).status.success());
    let line = machine.journal(&["TALAS_EVENT=daemon_failed"]);
    assert!(line["TALAS_REASON"].as_str().unwrap().contains("PrivateNetwork="), "{line}");
    machine.run(&["systemctl", "stop", "talasd"]);
    machine.ask(&["systemctl", "reset-failed", "talasd"]);
    apply(&["install", "-D", "-m", "644", example, drop_in]);
    exposure_is_at_most(machine, EXPOSURE_WITH_NETWORK);
    machine.journal(&["TALAS_EVENT=metrics_listening"]);
    machine.configure("");
    apply(&["rm", drop_in]);
    exposure_is_at_most(machine, EXPOSURE);
    machine.wait_for_property("StatusText", "running");
}

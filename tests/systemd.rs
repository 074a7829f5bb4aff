//! The units as they are shipped, under a real systemd: a machine made of namespaces is booted, Talas is
//! installed in it with a simulated card, and what an operator would look at is looked at.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;
#[path = "common/machine.rs"]
mod machine;
#[path = "common/operator.rs"]
mod operator;
#[path = "common/stuck.rs"]
mod stuck;

use std::time::{Duration, Instant};

use common::*;
use machine::{Machine, Tree, root, skip, text};
use operator::*;
use stuck::stuck_pcm;

/// Puts programs and units where a package puts them.
fn install() -> Tree {
    let tree = Tree::new();
    tree.put(env!("CARGO_BIN_EXE_talasd"), "usr/bin/talasd", "755");
    tree.put(talasctl(), "usr/bin/talasctl", "755");
    for unit in ["talasd.service", "talasd-http.socket", "talasd-control.socket"] {
        tree.put(root().join("systemd").join(unit), &format!("usr/lib/systemd/system/{unit}"), "644");
    }
    for kind in ["sysusers.d", "tmpfiles.d"] {
        tree.put(
            root().join(format!("systemd/{kind}/talas.conf")),
            &format!("usr/lib/{kind}/talas.conf"),
            "644",
        );
    }
    tree.put(
        root().join("systemd/talasd-network.conf"),
        "usr/share/doc/talasd/examples/talasd-network.conf",
        "644",
    );
    tree.put(root().join("etc/talasd.toml"), "etc/talas/talasd.toml", "644");
    // A PCM that hangs whoever reads it.
    tree.define_pcm(&stuck_pcm("/srv/shared/pipe"));
    tree
}

#[test]
fn a_machine_runs_talas_as_an_operator_expects() {
    if let Some(obstacle) = Machine::obstacle() {
        return skip("the systemd units are NOT tested", &obstacle);
    }
    let machine = Machine::boot(install(), None);
    the_units_are_sound(&machine);
    it_starts_and_says_how_it_is(&machine);
    it_is_confined(&machine);
    the_drop_in_opens_the_network(&machine);
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
    // The manual pages come with the package, and are looked for where that is tested.
    let verify = ["systemd-analyze", "verify", "--man=no", &paths[0], &paths[1], &paths[2]];
    let verified = machine.run(&verify);
    assert!(verified.status.success() && verified.stderr.is_empty(), "{}", text(&verified.stderr));
    exposure_is_at_most(machine, EXPOSURE);
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
    let expected = "/run/talas talasd 755\n/run/talas/talasd.sock root 666\n/var/lib/talas talasd 750\n\
                    /var/cache/talas talasd 750";
    assert_eq!(owners, expected);
    let groups = machine.ask(&["id", "--groups", "--name", "talasd"]);
    assert!(groups.split(' ').any(|group| group == "audio"), "{groups}");
}

fn it_stops_in_time(machine: &Machine) {
    let began = Instant::now();
    machine.ask(&["systemctl", "stop", "talasd"]);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(machine.property("Result"), "success");
    assert_eq!(machine.property("ExecMainStatus"), "0");
    machine.ask(&["systemctl", "stop", "talasd-control.socket", "talasd-http.socket"]);
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

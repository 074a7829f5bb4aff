//! Every exit code, with the whole of what is said on the way.

mod support;

use std::fs::{self, Permissions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use support::{Daemon, HELLO, Talk, assert_output, run, talasctl};

const IS_IT_TALASD: &str = "hint: does the socket belong to talasd, and are both of the same version?\n";

#[test]
fn a_refusal_is_1() {
    let daemon = Daemon::refusing("conflict", "the source is no tone");
    assert_output(&run(&daemon.socket, &["pause"]), 1, "", "talasctl: the source is no tone\n");
    let daemon = Daemon::refusing("no_such_method", "there is no method meters");
    let hint = format!("hint: the daemon has version 0.1.0, this program {}\n", env!("CARGO_PKG_VERSION"));
    let said = format!("talasctl: there is no method meters\n{hint}");
    assert_output(&run(&daemon.socket, &["meters"]), 1, "", &said);
}

#[test]
fn no_room_for_a_connection_is_1() {
    let busy = r#"{"id":0,"error":{"code":"busy","message":"8 connections of one user are enough"}}"#;
    let daemon = Daemon::start(|talk| talk.say(busy));
    let said = "talasctl: 8 connections of one user are enough\n";
    assert_output(&run(&daemon.socket, &["status"]), 1, "", said);
}

#[test]
fn a_refusal_cannot_write_to_the_terminal() {
    let daemon = Daemon::refusing("bad_params", r"no profile \u001b]0;owned\u0007\ntalasctl: done");
    let said = "talasctl: no profile \\u{1b}]0;owned\\u{7}\\ntalasctl: done\n";
    assert_output(&run(&daemon.socket, &["quality", "x"]), 1, "", said);
}

#[test]
fn output_that_cannot_be_written_is_1() {
    let daemon = Daemon::answering(&[r#"{"state":"paused"}"#]);
    let full = fs::File::options().write(true).open("/dev/full").expect("/dev/full");
    let output = talasctl(&daemon.socket, &["pause"]).stdout(full).output().expect("talasctl runs");
    let said = "talasctl: cannot write to standard output: No space left on device (os error 28)\n";
    assert_output(&output, 1, "", said);
}

#[test]
fn wrong_usage_is_2_and_asks_nobody() {
    let nobody = Path::new("/nonexistent/talasd.sock");
    let cases: [(&[&str], &str); 8] = [
        (&["quality", "1.5"], "a scale is a number from 0.1 to 1.0"),
        (&["quality", "-1"], "a scale is a number from 0.1 to 1.0"),
        (&["quality", "50%"], "neither a profile's name nor a scale from 0.1 to 1.0"),
        (&["log", "loud"], "[possible values: error, warn, info, debug, trace]"),
        (&["tone", "level", "3"], "a level in dB of full scale is a number, 0 or less"),
        (&["tone", "fault", "fire"], "[possible values: overrun, suspend, stall, unplug]"),
        (&["status", "--timeout", "0"], "a number of seconds above 0 and up to 86400"),
        (&[], "Usage: talasctl"),
    ];
    for (args, reason) in cases {
        let output = run(nobody, args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains(reason), "{args:?}: {said}");
        assert!(output.stdout.is_empty(), "{args:?}");
    }
}

#[test]
fn a_missing_socket_is_3() {
    let said = "talasctl: there is no socket /nonexistent/talasd.sock\n\
                hint: is talasd running? systemctl status talasd; another place: --socket PATH\n";
    assert_output(&run(Path::new("/nonexistent/talasd.sock"), &["status"]), 3, "", said);
}

#[test]
fn the_clients_version_needs_no_daemon() {
    let output = run(Path::new("/nonexistent/talasd.sock"), &["version"]);
    assert_eq!(output.status.code(), Some(3));
    let version = format!("talasctl {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(String::from_utf8_lossy(&output.stdout), version);
}

#[test]
fn the_environment_names_the_socket() {
    let output = Command::new(env!("CARGO_BIN_EXE_talasctl"))
        .env_clear()
        .env("TALAS_CONTROL__SOCKET", "/nonexistent/by-environment.sock")
        .arg("status")
        .output()
        .expect("talasctl runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.starts_with("talasctl: there is no socket /nonexistent/by-environment.sock\n"), "{said}");
}

#[test]
fn what_is_no_socket_is_3() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("talasd.sock");
    fs::write(&file, "not a socket").expect("written");
    let hint = "hint: name the daemon's control socket: --socket PATH\n";
    for path in [file.as_path(), dir.path()] {
        let said = format!("talasctl: {} is not a socket\n{hint}", path.display());
        assert_output(&run(path, &["status"]), 3, "", &said);
    }
}

#[test]
fn a_socket_left_behind_is_3() {
    let dir = tempfile::tempdir().expect("a directory");
    let socket = dir.path().join("talasd.sock");
    drop(UnixListener::bind(&socket).expect("a socket"));
    let said = format!(
        "talasctl: nobody listens on {}\nhint: did talasd stop? systemctl status talasd\n",
        socket.display()
    );
    assert_output(&run(&socket, &["status"]), 3, "", &said);
}

/// Root may enter any directory, so it runs the client as somebody else: user and group `nobody`.
#[test]
fn a_closed_directory_is_3() {
    const NOBODY: u32 = 65_534;
    let dir = tempfile::tempdir().expect("a directory");
    let (closed, program) = (dir.path().join("closed"), dir.path().join("talasctl"));
    fs::create_dir(&closed).expect("a directory");
    let socket = closed.join("talasd.sock");
    let _listener = UnixListener::bind(&socket).expect("a socket");
    // By another process: what this one holds open for writing, a test that forks just now would keep
    // open, and a program that is open for writing cannot be run.
    let copied = Command::new("cp").arg(env!("CARGO_BIN_EXE_talasctl")).arg(&program).status();
    assert!(copied.expect("cp runs").success(), "copied where anybody may run it");
    fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).expect("opened");
    fs::set_permissions(&closed, Permissions::from_mode(0o000)).expect("closed");
    let mut command = Command::new(&program);
    command.env_clear().arg("--socket").arg(&socket).arg("status");
    if dir.path().metadata().expect("it is there").uid() == 0 {
        command.uid(NOBODY).gid(NOBODY);
    }
    let output = command.output().expect("talasctl runs");
    fs::set_permissions(&closed, Permissions::from_mode(0o755)).expect("opened for its removal");
    let shown = socket.display();
    let said = format!(
        "talasctl: no permission to connect to {shown}\n\
         hint: the socket is meant for everybody; which directory is not? namei -l {shown}\n"
    );
    assert_output(&output, 3, "", &said);
}

#[test]
fn a_connection_that_ends_is_3() {
    let said = "talasctl: the daemon closed the connection\nhint: systemctl status talasd\n";
    let daemon = Daemon::start(|talk| {
        talk.say(HELLO);
        talk.listen();
    });
    assert_output(&run(&daemon.socket, &["status"]), 3, "", said);

    let daemon = Daemon::start(|_| {});
    let said = format!(
        "talasctl: {} closed the connection without a word\n\
         hint: is talasd starting or stopping? systemctl status talasd\n",
        daemon.socket.display()
    );
    assert_output(&run(&daemon.socket, &["status"]), 3, "", &said);
}

#[test]
fn a_denial_is_4_and_names_the_group() {
    let daemon = Daemon::refusing("denied", "capture.pause needs level change");
    let said = "talasctl: not permitted: capture.pause needs level change\n\
                hint: members of group talas may steer what plays (usermod -aG talas USER, then log in again); \
                root and user talasd may do everything\n";
    assert_output(&run(&daemon.socket, &["pause"]), 4, "", said);
}

#[test]
fn another_major_version_is_5() {
    let hello = r#"{"hello":"talasd","version":"2.3.0","proto":[2,1],"rank":"captain"}"#;
    let daemon = Daemon::start(|talk| {
        talk.say(hello);
        talk.listen();
    });
    let said = "talasctl: talasd 2.3.0 speaks protocol 2.1, this talasctl 1.0\n\
                hint: install talasctl and talasd of the same version\n";
    assert_output(&run(&daemon.socket, &["status"]), 5, "", said);
    assert!(daemon.asked().is_empty(), "it is not asked anything");
}

#[test]
fn a_later_minor_version_is_fine() {
    let hello = r#"{"hello":"talasd","version":"0.9.0","proto":[1,9],"level":"admin","news":[]}"#;
    let daemon = Daemon::start(|talk| {
        talk.say(hello);
        talk.listen();
        talk.say(r#"{"id":1,"result":{"state":"paused","news":1},"news":2}"#);
    });
    assert_output(&run(&daemon.socket, &["pause"]), 0, "paused: no captured sound goes anywhere\n", "");
}

#[test]
fn garbage_is_5() {
    for (hello, shown) in [
        ("220 mail.example.org ESMTP", "220 mail.example.org ESMTP"),
        ("\x1b[31m", "\\u{1b}[31m"),
        ("", ""),
        (r#"{"hello":"smtpd","proto":[1,0]}"#, r#"{"hello":"smtpd","proto":[1,0]}"#),
    ] {
        let daemon = Daemon::start(|talk| talk.say(hello));
        let said = format!("talasctl: not talasd's hello: {shown}\n{IS_IT_TALASD}");
        assert_output(&run(&daemon.socket, &["status"]), 5, "", &said);
    }
    for reply in ["oops", r#"{"id":2,"result":{}}"#, r#"{"id":1}"#, r#"{"id":1,"result":null}"#] {
        let daemon = Daemon::start(|talk| {
            talk.say(HELLO);
            talk.listen();
            talk.say(reply);
        });
        let output = run(&daemon.socket, &["status", "--json"]);
        assert_eq!(output.status.code(), Some(5), "{reply}");
        assert!(output.stdout.is_empty(), "{reply}");
    }
}

#[test]
fn an_answer_of_another_shape_is_5() {
    let daemon = Daemon::answering(&[r#"{"state":"floating"}"#]);
    let output = run(&daemon.socket, &["pause"]);
    assert_eq!(output.status.code(), Some(5));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.starts_with("talasctl: the daemon's answer is not what was expected: "), "{said}");
}

#[test]
fn a_line_without_an_end_is_5() {
    let daemon = Daemon::start(|talk| {
        talk.say(HELLO);
        talk.listen();
        talk.say(&"x".repeat(5 * 1024 * 1024));
    });
    let said = "talasctl: the daemon sent a line of more than 4 MiB\n";
    assert_output(&run(&daemon.socket, &["status"]), 5, "", said);
}

const TOO_LATE: &str = "talasctl: the daemon did not answer within 0.3 s\n\
                        hint: systemctl status talasd; or wait longer: --timeout SECONDS\n";

#[test]
fn silence_is_6() {
    // No hello; a hello and no answer; a hello and half an answer. Each waits for the client's end.
    let scripts: [fn(&mut Talk); 3] = [
        |_| {},
        |talk| talk.say(HELLO),
        |talk| {
            talk.send(&format!("{HELLO}\n{{\"id\":1,"));
        },
    ];
    for script in scripts {
        let daemon = Daemon::start(move |talk| {
            script(talk);
            talk.listen();
            talk.listen();
        });
        assert_output(&run(&daemon.socket, &["status", "--timeout", "0.3"]), 6, "", TOO_LATE);
    }
}

#[test]
fn a_watch_without_a_first_answer_is_6() {
    let daemon = Daemon::start(|talk| {
        talk.say(HELLO);
        talk.listen();
        talk.listen();
    });
    assert_output(&run(&daemon.socket, &["status", "--watch", "--timeout", "0.3"]), 6, "", TOO_LATE);
}

#[test]
#[expect(unsafe_code, reason = "the standard library has no way to shorten a listener's queue")]
fn a_daemon_that_no_longer_accepts_is_6() {
    let dir = tempfile::tempdir().expect("a directory");
    let socket = dir.path().join("talasd.sock");
    let listener = UnixListener::bind(&socket).expect("a socket");
    // SAFETY: the descriptor is open; listening again only sets the length of its queue.
    assert_eq!(unsafe { libc::listen(listener.as_raw_fd(), 0) }, 0);
    let _queued = UnixStream::connect(&socket).expect("room for one");
    assert_output(&run(&socket, &["status", "--timeout", "0.3"]), 6, "", TOO_LATE);
}

#[test]
fn a_closed_output_is_quiet() {
    let daemon = Daemon::answering(&[r#"{"state":"paused"}"#]);
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let mut command = talasctl(&daemon.socket, &["pause"]);
    let output = command.stdout(Stdio::from(writer)).output().expect("talasctl runs");
    assert_output(&output, 0, "", "");
}

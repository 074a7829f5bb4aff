//! Feeding Icecast: what arrives there, and what becomes of a server that is gone, says no or stands still.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;
mod icecast;

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::*;
use icecast::*;
use serde_json::Value;

const TONE: &str = "[capture.tone]\nfrequency_hz = 997.0\nlevel_dbfs = -12.0\n";
const TONE_HZ: f64 = 997.0;

/// Every format: what the mount point is called, the profile, and how clean a tone is in it, in dB.
const FORMATS: [(&str, &str, &str, f64); 5] = [
    ("mp3", "/low.mp3", "low", 40.0),
    ("aac", "/medium.aac", "medium", 40.0),
    ("opus", "/high.opus", "high", 30.0),
    ("ogg", "/high.ogg", "high", 40.0),
    ("flac", "/hifi.oga", "hifi", 60.0),
];

fn table(url: &str, more: &str) -> String {
    format!("[[live.push]]\nurl = \"{url}\"\npassword = \"{PASSWORD}\"\n{more}\n")
}

fn daemon(tables: &str) -> Daemon {
    Setup::new(&format!("{TONE}{tables}")).start()
}

fn push(daemon: &Daemon, number: usize) -> Value {
    daemon.status()["pushes"][number].clone()
}

fn wait_for_push(daemon: &Daemon, number: usize, state: &str) -> Value {
    eventually(&format!("push {number} is {state}"), || {
        Some(push(daemon, number)).filter(|push| push["state"] == state)
    })
}

/// Some seconds of a stream as ffmpeg plays it, which must have nothing to complain about.
fn play(url: &str, seconds: u32) -> Vec<f32> {
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-i", url, "-t", &seconds.to_string()])
        .args(["-f", "f32le", "-ar", "48000", "-ac", "1", "pipe:1"])
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("ffmpeg is installed by scripts/setup.sh: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{url}: {said}");
    let (samples, _) = output.stdout.as_chunks::<4>();
    samples.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

#[test]
fn every_format_is_played_from_icecast_without_an_error() {
    let icecast = Icecast::start();
    let tables = FORMATS.map(|(format, mount, profile, _)| {
        table(
            &icecast.url(mount),
            &format!("format = \"{format}\"\nprofile = \"{profile}\"\ngenre = \"Sine\""),
        )
    });
    let daemon = daemon(&tables.concat());
    std::thread::scope(|scope| {
        for (at, (_, mount, _, clean)) in FORMATS.iter().enumerate() {
            let (daemon, icecast) = (&daemon, &icecast);
            scope.spawn(move || {
                wait_for_push(daemon, at, "connected");
                eventually(mount, || icecast.source(mount));
                let heard = play(&format!("http://{}{mount}", icecast.address), 4);
                assert!(heard.len() > 3 * 48_000, "{mount}: {} samples", heard.len());
                let clarity = tone_to_rest_db(&heard[48_000..3 * 48_000], 48_000, TONE_HZ);
                assert!(clarity > *clean, "{mount}: {clarity:.1} dB");
            });
        }
    });
    let shown = icecast.source("/low.mp3").unwrap();
    assert_eq!((&shown["server_name"], &shown["genre"]), (&"Talas".into(), &"Sine".into()), "{shown}");
    assert_eq!(shown["server_type"], "audio/mpeg");
    let told = push(&daemon, 0);
    assert_eq!((&told["url"], &told["rendition"]), (&icecast.url("/low.mp3").into(), &"live/low.mp3".into()));
    assert!(told["bytes"].as_u64().unwrap() > 3 * 16_000 && told["failures"] == 0, "{told}");
    let metrics = daemon.get_any("/metrics").text();
    for line in ["talas_push_connected{push=\"", "talas_push_connections_total{push=\""] {
        let line = format!("{line}{}\"}} 1", icecast.url("/low.mp3"));
        assert!(metrics.contains(&line), "{line}\n{metrics}");
    }
    let page = String::from_utf8(daemon.ctl(&["status"]).stdout).unwrap();
    assert!(page.contains("pushes") && page.contains("connected for"), "{page}");
}

#[test]
fn a_title_arrives_with_its_sound() {
    let icecast = Icecast::start();
    let mounts = [("mp3", "/t.mp3"), ("aac", "/t.aac"), ("ogg", "/t.ogg"), ("opus", "/t.opus")];
    let tables = mounts.map(|(format, mount)| table(&icecast.url(mount), &format!("format = \"{format}\"")));
    let daemon = daemon(&tables.concat());
    (0..mounts.len()).for_each(|at| drop(wait_for_push(&daemon, at, "connected")));
    // Its page and its listeners have letters beyond ASCII in ways of its own.
    let title = "Sturm & Drang = 100 %";
    assert!(daemon.ctl(&["title", title]).status.success());
    // Of what stands in Opus this server shows nothing; it hands it on.
    for (_, mount) in &mounts[..3] {
        eventually(mount, || icecast.source(mount).filter(|source| source["title"] == title));
    }
    eventually("the title in Opus", || {
        let mut player = icecast.listener("/t.opus");
        player.listen(300);
        String::from_utf8_lossy(&player.body).contains("TITLE=Sturm & Drang").then_some(())
    });
    eventually("the title at a listener", || {
        let mut player = icecast.listener("/t.mp3");
        let interval: usize = player.header("icy-metaint").unwrap().parse().unwrap();
        player.listen(interval + 300);
        let (_, titles) = parse_icy(&player.body, interval);
        titles.iter().any(|(_, heard)| heard == title).then_some(())
    });
    assert!(daemon.ctl(&["title", "Zoë & Ω"]).status.success());
    eventually("letters beyond ASCII", || {
        icecast.log().contains("/t.mp3 changed to \"Zoë & Ω\"").then_some(())
    });
    assert_eq!(daemon.events("push_title_failed"), Vec::<String>::new());
}

#[test]
fn a_server_that_comes_back_is_fed_again() {
    let mut icecast = Icecast::start();
    let daemon = daemon(&table(&icecast.url("/live.mp3"), ""));
    wait_for_push(&daemon, 0, "connected");
    icecast.kill();
    let waiting = wait_for_push(&daemon, 0, "waiting");
    assert!(waiting["reason"].is_string(), "{waiting}");
    // Nobody listens any more, and an encoder needs somebody.
    assert_eq!(daemon.status()["renditions"][0]["listeners"].as_u64().unwrap_or(0), 0);
    icecast.start_again();
    let again = wait_for_push(&daemon, 0, "connected");
    assert_eq!((&again["connections"], &again["reason"]), (&2.into(), &Value::Null), "{again}");
    assert!(play(&format!("http://{}/live.mp3", icecast.address), 1).len() > 24_000);
    assert_eq!(daemon.events("push_connected").len(), 2);
    // The end of the connection, and the first time that there was none to be had.
    let told = daemon.events("push_failed");
    assert!((1..=3).contains(&told.len()), "{told:#?}");
}

#[test]
fn a_wrong_password_is_told_once_tried_rarely_and_never_shown() {
    let icecast = Icecast::start();
    let url = icecast.url("/live.mp3");
    let daemon = daemon(&format!("[[live.push]]\nurl = \"{url}\"\npassword = \"not-this-one\"\n"));
    let waiting = wait_for_push(&daemon, 0, "waiting");
    assert!(waiting["reason"].as_str().unwrap().contains("401"), "{waiting}");
    std::thread::sleep(Duration::from_secs(4));
    assert_eq!(daemon.events("push_refused").len(), 1);
    assert_eq!(push(&daemon, 0)["failures"], 1, "an operator has to come");
    assert_eq!(icecast.attempts(), 1);
    let path = daemon.dir().join("talasd.toml");
    let text = fs::read_to_string(&path).unwrap();
    let mut print = Command::new(env!("CARGO_BIN_EXE_talasd"));
    let printed = print.arg("--print-config").arg("--config").arg(&path).output().unwrap();
    let shown =
        [String::from_utf8(printed.stdout).unwrap(), daemon.log().concat(), daemon.status().to_string()];
    assert!(shown[0].contains("password is set, and not shown"), "{}", shown[0]);
    assert!(!shown.concat().contains("not-this-one"));
    fs::write(&path, text.replace("not-this-one", PASSWORD)).unwrap();
    let report = daemon.ctl(&["--json", "reload"]);
    let report: Value = serde_json::from_slice(&report.stdout).unwrap();
    assert_eq!(report["applied"], serde_json::json!(["live.push.0.password"]));
    wait_for_push(&daemon, 0, "connected");
}

#[test]
fn a_password_may_be_in_a_file_that_others_cannot_read() {
    let icecast = Icecast::start();
    let setup = Setup::new(&format!(
        "{TONE}[[live.push]]\nurl = \"{}\"\npassword_file = \"push.password\"\n",
        icecast.url("/live.mp3")
    ));
    let path = setup.dir().join("push.password");
    fs::write(&path, format!("{PASSWORD}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let daemon = setup.start();
    let waiting = wait_for_push(&daemon, 0, "waiting");
    assert!(waiting["reason"].as_str().unwrap().contains("chmod 0600"), "{waiting}");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    // Nothing else changed; who asks for a reload wants to see it tried.
    assert!(daemon.ctl(&["reload"]).status.success());
    wait_for_push(&daemon, 0, "connected");
}

#[test]
fn two_pushes_and_a_listener_share_one_encoder() {
    let icecast = Icecast::start();
    let tables = ["/one.mp3", "/two.mp3"].map(|mount| table(&icecast.url(mount), ""));
    let daemon = daemon(&tables.concat());
    let mut player = Player::open(daemon.address(), "/live/high.mp3");
    player.listen(20_000);
    daemon.wait_for_status("one encoder for three", |status| {
        let all = status["renditions"].as_array().unwrap();
        all.len() == 1 && all[0]["name"] == "live/high.mp3" && all[0]["listeners"] == 3
    });
    assert_eq!(daemon.events("rendition_started").len(), 1);
}

#[test]
fn a_pause_is_silence_and_no_end() {
    let icecast = Icecast::start();
    let daemon = daemon(&table(&icecast.url("/live.mp3"), ""));
    wait_for_push(&daemon, 0, "connected");
    assert!(daemon.ctl(&["pause"]).status.success());
    // What Icecast still has of the time before.
    std::thread::sleep(Duration::from_secs(4));
    let heard = play(&format!("http://{}/live.mp3", icecast.address), 2);
    let loudest = heard.iter().fold(0.0_f32, |most, sample| most.max(sample.abs()));
    assert!(heard.len() > 48_000 && loudest < 1e-4, "{} samples, {loudest}", heard.len());
    assert!(daemon.ctl(&["resume"]).status.success());
    eventually("the tone", || {
        let heard = play(&format!("http://{}/live.mp3", icecast.address), 1);
        heard.iter().any(|sample| sample.abs() > 0.1).then_some(())
    });
    assert_eq!(push(&daemon, 0)["connections"], 1);
}

#[test]
fn other_settings_are_taken_on_while_running() {
    let icecast = Icecast::start();
    let daemon = daemon(&table(&icecast.url("/kept.mp3"), ""));
    wait_for_push(&daemon, 0, "connected");
    let path = daemon.dir().join("talasd.toml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{text}{}", table(&icecast.url("/new.mp3"), "profile = \"low\""))).unwrap();
    assert!(daemon.ctl(&["reload"]).status.success());
    wait_for_push(&daemon, 1, "connected");
    assert_eq!(push(&daemon, 0)["connections"], 1, "what did not change goes on");
    fs::write(&path, text.split("[[live.push]]").next().unwrap()).unwrap();
    assert!(daemon.ctl(&["reload"]).status.success());
    assert_eq!(daemon.status()["pushes"], serde_json::json!([]));
    eventually("icecast has no source", || icecast.source("/kept.mp3").is_none().then_some(()));
}

#[test]
fn an_old_server_is_spoken_to_in_its_own_way() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("icecast://{}/old", listener.local_addr().unwrap());
    let daemon = daemon(&table(&url, ""));
    // It does not know the method, and says nothing.
    let (line, head) = read_request(&mut accept(&listener));
    assert_eq!(line, "PUT /old HTTP/1.1");
    assert!(head.contains("Expect: 100-continue\r\n"), "{head}");
    let mut source = accept(&listener);
    let (line, head) = read_request(&mut source);
    assert_eq!(line, "SOURCE /old HTTP/1.0");
    assert!(head.contains("Content-Type: audio/mpeg\r\n") && !head.contains("Expect"), "{head}");
    say(&mut source, "HTTP/1.0 200 OK\r\n\r\n");
    let sound = take(&mut source, 60_000);
    assert!(mp3_frames(whole_mp3(&sound)).len() > 30);
    assert_eq!(wait_for_push(&daemon, 0, "connected")["failures"], 0, "that is no failure");
}

#[test]
fn a_server_that_stands_still_is_cut_and_nobody_else_notices() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    // The least that the kernel gives: what it takes for the server is not the server's.
    socket2::SockRef::from(&listener).set_recv_buffer_size(2048).unwrap();
    let url = format!("icecast://{}/still", listener.local_addr().unwrap());
    let daemon = daemon(&format!("[live]\nlag_s = 2\n{}", table(&url, "")));
    let mut player = Player::open(daemon.address(), "/live/high.mp3");
    let mut still = accept(&listener);
    read_request(&mut still);
    say(&mut still, "HTTP/1.1 100 Continue\r\n\r\n");
    let began = Instant::now();
    let waiting = eventually("it is cut", || {
        player.listen_for(Duration::from_millis(200));
        Some(push(&daemon, 0)).filter(|push| push["state"] == "waiting")
    });
    let reason = waiting["reason"].as_str().unwrap();
    assert!(reason.contains("2 s") || reason.contains("too slowly") || reason.contains("broke"), "{reason}");
    assert!(began.elapsed() > Duration::from_secs(2), "it had its time");
    // Whole frames without a hole, at their pace.
    player.listen_for(Duration::from_millis(500));
    let frames = mp3_frames(whole_mp3(&player.body)).len() as f64 * 1152.0 / 44_100.0;
    assert!(frames > began.elapsed().as_secs_f64() - 1.0, "{frames} s of sound");
    let (line, _) = read_request(&mut accept(&listener));
    assert!(line.contains("/still"), "and tried again: {line}");
}

#[test]
fn what_a_server_says_is_passed_on_in_one_line() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("icecast://{}/x", listener.local_addr().unwrap());
    let daemon = daemon(&table(&url, ""));
    for (answer, part) in [
        (
            "HTTP/1.0 403 Forbidden\r\n\r\n<b>Mountpoint\x1b[31m in use</b>",
            "403 Forbidden: Mountpoint [31m in use",
        ),
        ("SSH-2.0-OpenSSH_9.2\r\n\r\n", "no HTTP"),
        ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 507 Full\r\n\r\n", "ends with 507 Full"),
    ] {
        let mut stream = accept(&listener);
        read_request(&mut stream);
        say(&mut stream, answer);
        drop(stream);
        eventually(part, || {
            push(&daemon, 0)["reason"].as_str().filter(|reason| reason.contains(part)).map(drop)
        });
    }
}

#[test]
fn a_server_behind_tls_is_fed_if_it_is_who_it_says() {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let (authority, pem) = certificate(dir.path());
    let icecast = Icecast::with_tls(&pem);
    let url = format!("https://{}/live.mp3", icecast.address);
    let config = format!("{TONE}{}", table(&url, ""));
    let stranger = Setup::new(&config).start();
    let waiting = wait_for_push(&stranger, 0, "waiting");
    assert!(waiting["reason"].as_str().unwrap().contains("no TLS"), "{waiting}");
    drop(stranger);
    let daemon = Setup::new(&config).env("SSL_CERT_FILE", &authority).start();
    wait_for_push(&daemon, 0, "connected");
    eventually("sound", || push(&daemon, 0)["bytes"].as_u64().filter(|bytes| *bytes > 80_000));
    assert!(daemon.ctl(&["title", "Secret"]).status.success());
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(daemon.events("push_title_failed"), Vec::<String>::new());
}

/// An authority, and a certificate of its making for this process's address, with its key, in one file.
fn certificate(dir: &std::path::Path) -> (std::path::PathBuf, std::path::PathBuf) {
    let script = "set -e; \
        openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -subj /CN=Test -days 2; \
        openssl req -newkey rsa:2048 -nodes -keyout key.pem -out leaf.csr -subj /CN=localhost; \
        printf \"subjectAltName=IP:$1\" > ext; \
        openssl x509 -req -in leaf.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out leaf.pem -days 2 -extfile ext; \
        cat leaf.pem key.pem > both.pem; chmod 644 both.pem";
    let output = Command::new("sh")
        .args(["-c", script, "sh", &own_ip().to_string()])
        .current_dir(dir)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    (dir.join("ca.pem"), dir.join("both.pem"))
}

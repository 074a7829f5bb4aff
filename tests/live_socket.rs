//! Low-latency sound over WebSocket: what comes, in which order, and what becomes of those who do not keep
//! to the rules.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::io::Write;
use std::time::{Duration, Instant, SystemTime};

use common::*;
use serde_json::{Value, json};
use talas_simcard_control::clock::monotonic_ns;
use talas_simcard_control::content::ramp_number_s16;

const LIVE: &str = "/api/audio/live";
const PCM: &str = "/api/audio/live?codec=pcm";
/// A tone that fits no packet.
const TONE: &str = "[capture.tone]\nfrequency_hz = 997.0\nlevel_dbfs = -12.0\n";

fn tone() -> Daemon {
    Setup::new(TONE).start()
}

fn open(daemon: &Daemon, path: &str) -> LiveSocket {
    LiveSocket::open(daemon.address(), path)
}

/// What a packet of S16 says of each frame: its number in the ramp.
fn ramp_numbers(packet: &LivePacket) -> Vec<u32> {
    let frames = packet.sound.as_chunks::<4>().0;
    frames
        .iter()
        .map(|[a, b, c, d]| ramp_number_s16(i16::from_le_bytes([*a, *b]), i16::from_le_bytes([*c, *d])))
        .collect()
}

/// Follows what is told: each frame once, in a packet or in a gap.
#[derive(Default)]
struct Account {
    due: Option<u64>,
    sequence: Option<u64>,
}

impl Account {
    fn take(&mut self, said: &Said) {
        let (from, frames) = match said {
            Said::Packet(packet) => {
                assert!(self.sequence.is_none_or(|before| packet.sequence > before), "{packet:?}");
                self.sequence = Some(packet.sequence);
                (packet.position, u64::from(packet.frames))
            }
            Said::Text(text) if text["type"] == "gap" => {
                (text["position"].as_u64().unwrap(), text["lost_samples"].as_u64().unwrap())
            }
            _ => return,
        };
        assert!(self.due.is_none_or(|due| due == from), "{:?} is due, and {said:?} comes", self.due);
        self.due = Some(from + frames);
    }
}

#[test]
fn packets_carry_the_cards_own_frames_with_their_time() {
    let card = SimCard::new(|b| b.ramp());
    let daemon = card.setup("").start();
    let mut socket = open(&daemon, PCM);
    let Some(Said::Text(first)) = socket.next() else { panic!("first of all a text") };
    let expected = json!({
        "type": "connected", "id": first["id"], "header_version": 1, "header_bytes": 32, "codec": "pcm",
        "encoding": "s16", "sample_rate": 48_000, "channels": 2, "capture_rate": 48_000, "setup": ""
    });
    assert_eq!(first, expected);
    let state = socket.text("state");
    assert_eq!(state["state"], "running");
    let (mut account, mut offset) = (Account::default(), None);
    for n in 0..200 {
        let packet = socket.packet();
        assert_eq!((packet.codec, packet.channels, packet.skip), (2, 2, 0));
        assert_eq!(packet.is_start(), n == 0, "{packet:?}");
        account.take(&Said::Packet(packet.clone()));
        let numbers = ramp_numbers(&packet);
        assert_eq!(numbers.len(), usize::from(packet.frames));
        let offset = *offset.get_or_insert(u64::from(numbers[0]) - packet.position);
        for (number, position) in numbers.iter().zip(packet.position..) {
            assert_eq!(u64::from(*number), position + offset, "the card's own frame");
        }
        // The card's clock and ours, both as wall time.
        let wall_ns = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos();
        let ago_ns = monotonic_ns() - card.card.clock().mono_ns_of(packet.position + offset, 48_000);
        let captured_us = (wall_ns - u128::from(ago_ns)) / 1000;
        assert!(u128::from(packet.captured_us).abs_diff(captured_us) < 3000, "{packet:?}: {captured_us}");
    }
}

#[test]
fn every_form_sounds_as_it_should() {
    let daemon = tone();
    let forms = [
        ("?codec=pcm&encoding=f32", 100.0),
        ("?codec=pcm&encoding=s16", 80.0),
        ("", 30.0),
        ("?frame_ms=5&bitrate=256", 30.0),
        ("?frame_ms=20&bitrate=64", 20.0),
    ];
    for (query, clean) in forms {
        let mut socket = open(&daemon, &format!("{LIVE}{query}"));
        let about = socket.text("connected");
        let mut decoder = opus::Decoder::new(48_000, opus::Channels::Stereo).unwrap();
        let (mut account, mut heard) = (Account::default(), Vec::new());
        while heard.len() < 48_000 {
            let packet = socket.packet();
            account.take(&Said::Packet(packet.clone()));
            let samples: Vec<f32> = match packet.codec {
                1 => {
                    let mut samples = vec![0.0; 2 * 5760];
                    let frames = decoder.decode_float(&packet.sound, &mut samples, false).unwrap();
                    assert_eq!(frames as u64, about["frame_ms"].as_u64().unwrap() * 48, "{query}");
                    samples.truncate(2 * frames);
                    samples
                }
                2 => packet
                    .sound
                    .as_chunks::<2>()
                    .0
                    .iter()
                    .map(|b| f32::from(i16::from_le_bytes(*b)) / 32_768.0)
                    .collect(),
                _ => packet.sound.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
            };
            let frames = samples.chunks(2).skip(packet.skip.into()).take(packet.frames.into());
            heard.extend(frames.map(|frame| frame[0]));
        }
        let clarity = tone_to_rest_db(&heard[9600..], 48_000, 997.0);
        assert!(clarity > clean, "{query}: {clarity:.1} dB");
    }
}

#[test]
fn what_cannot_be_is_refused_before_the_upgrade() {
    let daemon = tone();
    let refused = |path: &str, headers: &str| {
        let Err(answer) = LiveSocket::try_open(daemon.address(), path, headers) else {
            panic!("{path} opened")
        };
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{path}");
        (answer.status, answer.json()["code"].as_str().unwrap().to_owned())
    };
    for query in ["?codec=mp3", "?bitrate=127", "?frame_ms=40", "?encoding=s16", "?codec=pcm&bitrate=128"] {
        assert_eq!(refused(&format!("{LIVE}{query}"), ""), (400, "invalid_query".to_owned()));
    }
    let foreign = refused(LIVE, "Origin: http://evil.example\r\n");
    assert_eq!(foreign, (403, "origin_not_allowed".to_owned()));
    let plain = daemon.get_any(LIVE);
    assert_eq!((plain.status, plain.json()["code"].as_str()), (426, Some("upgrade_required")));
    assert_eq!(plain.header("upgrade"), Some("websocket"));
    assert_eq!(daemon.status()["renditions"], json!([]), "nothing was started for them");
    assert_eq!(daemon.status()["listeners"]["websocket"], 0);
    let own = format!("Origin: http://{}\r\n", daemon.address());
    assert!(LiveSocket::try_open(daemon.address(), LIVE, &own).is_ok());
}

#[test]
fn listeners_are_counted_share_an_encoder_and_can_be_thrown_out() {
    let daemon = Setup::new(&format!("http.max_streams = 2\n{TONE}")).start();
    let mut stays = open(&daemon, LIVE);
    let mut goes = open(&daemon, LIVE);
    let id = goes.text("connected")["id"].as_str().unwrap().to_owned();
    goes.packet();
    let status = daemon.status();
    assert_eq!((&status["listeners"]["websocket"], &status["listeners"]["sse"]), (&2.into(), &0.into()));
    let rendition = &status["renditions"][0];
    assert_eq!((&rendition["name"], &rendition["listeners"]), (&"packets/opus/10".into(), &2.into()));
    let connections = daemon.ask("connections", &json!({}));
    let one = &connections["result"]["connections"][1];
    assert_eq!(
        (&one["id"], &one["kind"], &one["path"]),
        (&id.as_str().into(), &"websocket".into(), &LIVE.into())
    );
    let Err(full) = LiveSocket::try_open(daemon.address(), LIVE, "") else { panic!("a third found room") };
    assert_eq!((full.status, full.json()["code"].as_str()), (503, Some("too_many_streams")));
    assert!(daemon.ask("connections.kick", &json!({ "id": id }))["result"].is_object());
    assert!(!goes.until_end().iter().any(|said| matches!(said, Said::Close(..))), "reset without a word");
    (0..50).for_each(|_| drop(stays.packet()));
    let metrics = daemon.get_any("/metrics").text();
    for line in [
        "talas_websocket_listeners 1\n",
        "talas_websocket_begun_total 2\n",
        "talas_websocket_ended_total 1\n",
    ] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
    drop(stays);
    eventually("rest", || (daemon.status()["renditions"] == json!([])).then_some(()));
    let status = daemon.status();
    assert_eq!((&status["listeners"]["websocket"], &status["listeners"]["http"]), (&0.into(), &0.into()));
}

#[test]
fn gaps_and_states_stand_where_they_belong() {
    let daemon = tone();
    for path in [LIVE, PCM] {
        let mut socket = open(&daemon, path);
        let mut account = Account::default();
        account.take(&Said::Packet(socket.packet()));
        assert!(daemon.ctl(&["tone", "fault", "unplug", "--ms", "300"]).status.success());
        let mut told = Vec::new();
        loop {
            let said = socket.next().expect("the stream goes on");
            account.take(&said);
            match said {
                Said::Text(text) => told.push(text),
                Said::Packet(packet) if told.len() >= 3 => {
                    assert!(packet.is_start(), "the codec begins anew behind a gap");
                    break;
                }
                _ => {}
            }
        }
        let words: Vec<&str> = told
            .iter()
            .filter(|text| text["state"] != "starting")
            .map(|text| text["type"].as_str().unwrap())
            .collect();
        assert_eq!(words.last(), Some(&"gap"), "{told:?}");
        assert_eq!(told.last().unwrap()["reason"], "absent");
        let lost_s = told.last().unwrap()["lost_samples"].as_f64().unwrap() / 48_000.0;
        assert!((0.25..5.0).contains(&lost_s), "{told:?}");
        assert!(told.iter().any(|text| text["state"] == "absent"), "{told:?}");
    }
}

#[test]
fn nothing_captured_during_a_pause_is_heard() {
    let card = SimCard::new(|b| b.ramp());
    let daemon = card.setup("").start();
    let mut socket = open(&daemon, PCM);
    let mut opus = open(&daemon, LIVE);
    let (mut account, mut account_opus) = (Account::default(), Account::default());
    let first = socket.packet();
    let offset = u64::from(ramp_numbers(&first)[0]) - first.position;
    account.take(&Said::Packet(first));
    // Who has heard nothing yet misses nothing.
    account_opus.take(&Said::Packet(opus.packet()));
    assert_eq!(daemon.control(r#"{"action":"pause"}"#).status, 200);
    let paused_at = card.card.frame_now(48_000) - offset;
    std::thread::sleep(Duration::from_millis(300));
    let resumed_at = card.card.frame_now(48_000) - offset;
    assert_eq!(daemon.control(r#"{"action":"resume"}"#).status, 200);
    for (socket, account) in [(&mut socket, &mut account), (&mut opus, &mut account_opus)] {
        let mut gap = None;
        let after = loop {
            let said = socket.next().expect("the stream goes on");
            account.take(&said);
            match said {
                Said::Text(text) if text["type"] == "gap" => gap = Some(text),
                Said::Packet(packet) if gap.is_some() => break packet,
                Said::Packet(packet) => {
                    let end = packet.position + u64::from(packet.frames);
                    assert!(end <= paused_at, "heard up to {end}, paused at {paused_at}");
                }
                _ => {}
            }
        };
        assert!(after.position >= resumed_at, "heard from {}, resumed at {resumed_at}", after.position);
        let gap = gap.unwrap();
        assert_eq!(gap["reason"], "paused", "{gap}");
        assert!(gap["lost_samples"].as_u64().unwrap() >= resumed_at - paused_at, "{gap}");
    }
}

#[test]
fn the_slow_are_told_what_they_missed_to_the_frame() {
    let card = SimCard::new(|b| b.ramp());
    let daemon = card.setup("").start();
    let mut socket = open(&daemon, "/api/audio/live?codec=pcm&encoding=f32");
    // What the kernel takes in for a client that does not read is no concern of the daemon's.
    socket2::SockRef::from(socket.stream()).set_recv_buffer_size(4096).unwrap();
    let memory = || daemon.get("/api/audio/stats")["memory_usage"]["used_bytes"].as_u64().unwrap();
    let mut account = Account::default();
    account.take(&Said::Packet(socket.packet()));
    let before = memory();
    std::thread::sleep(Duration::from_secs(6));
    let after = memory();
    assert!(after < before + (8 << 20), "from {before} to {after} bytes");
    let gap = loop {
        let said = socket.next().expect("the stream goes on");
        account.take(&said);
        match said {
            Said::Text(text) if text["type"] == "gap" => break text,
            _ => {}
        }
    };
    assert_eq!(gap["reason"], "slow_listener", "{gap}");
    assert!(gap["lost_samples"].as_u64().unwrap() > 48_000, "{gap}");
    for _ in 0..100 {
        account.take(&socket.next().unwrap());
    }
    let late = daemon.get_any("/metrics").text();
    assert!(!late.contains("talas_websocket_late_total 0\n"), "it is counted");
}

#[test]
fn who_takes_nothing_at_all_is_reset_in_time() {
    let daemon = Setup::new(&format!("http.stale_after_s = 10\nhttp.sse_heartbeat_s = 5\n{TONE}")).start();
    let socket = open(&daemon, "/api/audio/live?codec=pcm&encoding=f32");
    socket2::SockRef::from(socket.stream()).set_recv_buffer_size(4096).unwrap();
    daemon.wait_for_status("a listener", |status| status["listeners"]["websocket"] == 1);
    let began = Instant::now();
    while daemon.status()["listeners"]["websocket"] != 0 {
        assert!(began.elapsed() < Duration::from_secs(30), "it is thrown out");
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn the_clock_can_be_asked_and_pings_are_answered() {
    let daemon = Setup::new(&format!("http.sse_heartbeat_s = 1\n{TONE}")).start();
    let mut socket = open(&daemon, LIVE);
    socket.say(1, br#"{"type":"clock","sent":12.5}"#);
    let told = socket.text("clock");
    let wall_us = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_micros();
    assert_eq!(told["sent"], 12.5);
    assert!(u128::from(told["now_us"].as_u64().unwrap()).abs_diff(wall_us) < 1_000_000, "{told}");
    socket.say(9, b"are you there");
    while socket.next().unwrap() != Said::Pong(b"are you there".to_vec()) {}
    // And it pings by itself.
    while !matches!(socket.next().unwrap(), Said::Ping(_)) {}
    socket.say(8, &[0x03, 0xe8]);
    let rest = socket.until_end();
    assert!(matches!(rest.last(), Some(Said::Close(1000, _))), "{:?}", rest.last());
}

#[test]
fn nonsense_ends_the_session_and_says_why() {
    let daemon = tone();
    let last_words = |say: &dyn Fn(&mut LiveSocket)| {
        let mut socket = open(&daemon, LIVE);
        socket.packet();
        say(&mut socket);
        let said = socket.until_end();
        let word = said.iter().rev().find_map(|said| match said {
            Said::Text(text) if text["type"] == "error" => Some(text["code"].as_str().unwrap().to_owned()),
            _ => None,
        });
        match said.last() {
            Some(Said::Close(code, _)) => (*code, word),
            other => panic!("{other:?}"),
        }
    };
    let told = |code: u16, word: &str| (code, Some(word.to_owned()));
    assert_eq!(last_words(&|socket| socket.say(1, b"stop")), told(1003, "message_unknown"));
    assert_eq!(last_words(&|socket| socket.say(2, &[0; 100])), told(1003, "message_unknown"));
    assert_eq!(last_words(&|socket| socket.say(1, &[b' '; 5000])), told(1003, "message_unknown"));
    assert_eq!(
        last_words(&|socket| (0..200).for_each(|_| socket.say(9, b"x"))),
        told(1008, "too_many_messages")
    );
    let unmasked = |socket: &mut LiveSocket| drop(socket.stream().write_all(b"\x81\x02{}"));
    assert_eq!(last_words(&unmasked), told(1002, "protocol_error"));
    let reserved = |socket: &mut LiveSocket| drop(socket.stream().write_all(&[0xff; 64]));
    assert_eq!(last_words(&reserved), told(1002, "protocol_error"));
    assert_eq!(daemon.get_any("/healthz").status, 200);
    eventually("all gone", || (daemon.status()["listeners"]["http"] == 0).then_some(()));
}

#[test]
fn it_ends_with_the_programme_and_says_so() {
    let mut daemon = tone();
    let mut socket = open(&daemon, LIVE);
    socket.packet();
    let listening = std::thread::spawn(move || socket.until_end());
    assert!(daemon.stop().success());
    let said = listening.join().unwrap();
    assert!(said.iter().any(|said| matches!(said, Said::Text(text) if text["state"] == "stopping")));
    assert_eq!(said.last(), Some(&Said::Close(1001, "the programme ended".to_owned())));
}

#[test]
fn it_ends_with_the_token_and_says_so() {
    let settings = format!("http.listen = [\"127.0.0.1:0\"]\naccess.mode = \"token\"\n{TONE}");
    let daemon = Setup::new(&settings).start();
    let Err(refused) = LiveSocket::try_open(daemon.address(), LIVE, "") else { panic!("open to all") };
    assert_eq!((refused.status, refused.json()["code"].as_str()), (401, Some("token_missing")));
    let minted = daemon.ctl(&["--json", "token", "mint", "--sub", "ada"]);
    let minted: Value = serde_json::from_slice(&minted.stdout).unwrap();
    let token = minted["token"].as_str().unwrap();
    let mut talks = open(&daemon, &format!("{LIVE}?token={token}"));
    let silent = open(&daemon, &format!("{PCM}&encoding=f32&token={token}"));
    socket2::SockRef::from(silent.stream()).set_recv_buffer_size(4096).unwrap();
    talks.packet();
    // Until nothing more fits on the way to the one who does not read.
    std::thread::sleep(Duration::from_secs(4));
    let asked = Instant::now();
    assert!(daemon.ctl(&["token", "revoke", minted["jti"].as_str().unwrap()]).status.success());
    let word = talks.text("error");
    assert_eq!(word["code"], "access_revoked");
    assert_eq!(talks.until_end().last(), Some(&Said::Close(1008, "access_revoked".to_owned())));
    assert!(asked.elapsed() < Duration::from_secs(2), "within a second of the order");
    daemon.wait_for_status("nobody", |status| status["listeners"]["websocket"] == 0);
    assert!(asked.elapsed() < Duration::from_secs(4), "who does not read is cut");
}

/// The example of the documentation, as it stands there.
#[test]
fn the_documented_client_hears_sound() {
    let is_there = std::process::Command::new("node").arg("--version").output();
    if !is_there.is_ok_and(|version| version.status.success()) {
        eprintln!(
            "\n*** SKIPPED: the documented client: there is no nodejs here (apt-get install nodejs) ***\n"
        );
        return;
    }
    let page = include_str!("../docs/websocket.md");
    let script = page.split("```js\n").nth(1).and_then(|rest| rest.split("```").next()).expect("an example");
    let daemon = tone();
    let file = daemon.dir().join("client.mjs");
    std::fs::write(&file, script).unwrap();
    let mut child = std::process::Command::new("node")
        .args(["--no-warnings", "--experimental-websocket"])
        .arg(&file)
        .arg(format!("ws://{}{PCM}", daemon.address()))
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
    let said: Vec<String> = lines.map_while(Result::ok).take(60).collect();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(said[0].starts_with("connected"), "{said:?}");
    assert!(said.iter().any(|line| line.starts_with("state running")), "{said:?}");
    let levels: Vec<&str> = said.iter().filter_map(|line| line.split("peak ").nth(1)).collect();
    assert!(levels.len() > 30 && levels.iter().all(|peak| *peak == "-12.0 dBFS"), "{said:?}");
}

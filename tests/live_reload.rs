//! Profiles and live listening, changed while people listen.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;
mod sound;

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use common::*;
use serde_json::{Value, json};
use sound::by_ffmpeg;

const TONE: &str = "[capture.tone]\nfrequency_hz = 997.0\nlevel_dbfs = -12.0\n";
const TONE_HZ: f64 = 997.0;
/// The transforms of two encoders do not quite fit where they meet, which leaves 32 dB; a packet of 1152 frames
/// too many or too few moves the tone by 16 degrees, which leaves 17 dB.
const SEAMLESS_DB: f64 = 25.0;

/// Writes these settings behind the tone and has them read.
fn reload(daemon: &Daemon, settings: &str) -> Value {
    let path = daemon.dir().join("talasd.toml");
    let text = fs::read_to_string(&path).unwrap();
    let (before, _) = text.split_once(TONE).unwrap();
    fs::write(&path, format!("{before}{TONE}{settings}")).unwrap();
    let output = daemon.ctl(&["--json", "reload"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_profile_becomes_another_without_a_break_where_the_codec_allows() {
    let daemon = Setup::new(TONE).start();
    let mut mp3 = Player::open(daemon.address(), "/live/high.mp3");
    let mut follower = Player::open(daemon.address(), "/live.mp3");
    let mut opus = Player::open(daemon.address(), "/live/high.opus");
    std::thread::scope(|scope| {
        for player in [&mut mp3, &mut follower, &mut opus] {
            scope.spawn(|| player.listen_for(Duration::from_secs(7)));
        }
        std::thread::sleep(Duration::from_secs(2));
        let report = reload(&daemon, "[profile.high]\nbitrate_kbps = 128\n");
        assert_eq!(report, json!({ "applied": ["profile.high.bitrate_kbps"], "needs_restart": [] }));
    });
    for player in [&mp3, &follower] {
        let whole = whole_mp3(&player.body);
        let rates: Vec<u32> = mp3_frames(whole).iter().map(|frame| frame.bitrate_kbps).collect();
        assert_eq!((rates.first(), rates.last()), (Some(&320), Some(&128)));
        assert!(rates.is_sorted_by(|one, other| one >= other), "once: {rates:?}");
        let heard = by_ffmpeg(whole, 44_100, 2).channel(0);
        let clarity = tone_to_rest_db(&heard[44_100..heard.len() - 22_050], 44_100, TONE_HZ);
        assert!(clarity > SEAMLESS_DB, "{clarity:.1} dB");
    }
    // Opus counts its packets: who listens keeps what it has, who comes gets the new.
    assert!(by_ffmpeg(&opus.body, 48_000, 2).frames() > 6 * 48_000);
    assert_eq!(request(daemon.address(), "HEAD", "/live/high.opus", &[], b"").header("icy-br"), Some("128"));
}

#[test]
fn a_listener_over_http_2_follows_the_chosen_profile() {
    let daemon = Setup::new(&format!("{TONE}[profile.less]\ncodec = \"mp3\"\nbitrate_kbps = 96\n")).start();
    let curl = Command::new("curl")
        .args([
            "--http2-prior-knowledge",
            "--silent",
            "--max-time",
            "7",
            "--write-out",
            "%{stderr}%{http_version}",
        ])
        .arg(format!("http://{}/live.mp3", daemon.address()))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let curl = curl.unwrap_or_else(|error| panic!("curl is installed by scripts/setup.sh: {error}"));
    daemon.wait_for_status("a listener", |status| status["listeners"]["live"] == 1);
    std::thread::sleep(Duration::from_secs(2));
    assert!(daemon.ctl(&["quality", "less"]).status.success());
    let output = curl.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "2");
    let whole = whole_mp3(&output.stdout);
    let rates: Vec<u32> = mp3_frames(whole).iter().map(|frame| frame.bitrate_kbps).collect();
    assert_eq!((rates.first(), rates.last()), (Some(&320), Some(&96)));
    let heard = by_ffmpeg(whole, 44_100, 2).channel(0);
    let clarity = tone_to_rest_db(&heard[44_100..heard.len() - 22_050], 44_100, TONE_HZ);
    assert!(clarity > SEAMLESS_DB, "no break: {clarity:.1} dB");
}

#[test]
fn profiles_come_and_go_and_so_do_the_figures_of_live() {
    let daemon = Setup::new(TONE).start();
    let report = reload(&daemon, "[live]\nname = \"Radio\"\nflush_ms = 80\n[profile.new]\ncodec = \"mp3\"\n");
    let applied: Vec<&str> =
        report["applied"].as_array().unwrap().iter().map(|key| key.as_str().unwrap()).collect();
    assert!(
        applied.starts_with(&["live.flush_ms", "live.name"]) && applied.contains(&"profile.new.codec"),
        "{report}"
    );
    assert_eq!(report["needs_restart"], json!([]));
    let mut player = Player::open(daemon.address(), "/live/new.mp3");
    assert_eq!((player.status, player.header("icy-name")), (200, Some("Radio")));
    player.listen(20_000);
    assert!(daemon.ctl(&["quality", "new"]).status.success());
    reload(&daemon, "");
    assert_eq!(daemon.get_any("/live/new.mp3").status, 404);
    assert_eq!(daemon.status()["quality"]["profile"], "high", "the chosen one is gone");
    assert_eq!(daemon.events("profile_gone").len(), 1);
    // Who listens to it may go on.
    player.listen(80_000);
    assert!(mp3_frames(whole_mp3(&player.body)).len() > 20);
}

#[test]
fn a_pause_reaches_those_who_listen_to_what_was() {
    let daemon = Setup::new(TONE).start();
    let mut player = Player::open(daemon.address(), "/live/high.opus");
    player.listen(40_000);
    reload(&daemon, "[profile.high]\nbitrate_kbps = 128\n");
    assert!(daemon.ctl(&["pause"]).status.success());
    std::thread::sleep(Duration::from_millis(500));
    let before = player.body.len();
    player.listen_for(Duration::from_secs(3));
    // At 320 kbit/s sound has 40 kB a second, and silence next to nothing.
    let rate = (player.body.len() - before) as f64 / 3.0;
    assert!(rate < 20_000.0, "{rate} bytes a second");
}

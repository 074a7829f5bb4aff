//! Live streams in the programs that people listen with.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::io::Read;
use std::process::{Command, Stdio};

use common::*;

const STREAMS: [&str; 8] = [
    "/live.mp3",
    "/live.aac",
    "/live.m4a",
    "/live.opus",
    "/live.ogg",
    "/live.oga",
    "/live.flac",
    "/live.wav",
];

/// Plays a stream for some seconds of sound and returns what the program has to say.
fn play(program: &str, arguments: &[&str], url: &str) -> String {
    let output = Command::new(program)
        .args(arguments)
        .arg(url)
        .env("SDL_AUDIODRIVER", "dummy")
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{program} is installed by scripts/setup.sh: {error}"));
    let said =
        [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    assert!(output.status.success(), "{program} {url}: {said}");
    said
}

#[test]
fn mpv_plays_every_stream_and_shows_the_title() {
    let daemon = Setup::tone().start();
    assert!(daemon.ctl(&["title", "Ouverture"]).status.success());
    // The burst of the past has no title.
    std::thread::sleep(std::time::Duration::from_millis(1500));
    for path in STREAMS {
        let url = format!("http://{}{path}", daemon.address());
        let arguments = [
            "--no-config",
            "--no-video",
            "--ao=null",
            "--length=4",
            "--msg-level=all=warn,display-tags=info",
        ];
        let said = play("mpv", &arguments, &url);
        let complaints: Vec<&str> = said
            .lines()
            // A stream without an end cannot be sought in, nor has it a length.
            .filter(|line| !line.contains("maximum wav data size"))
            .filter(|line| line.contains("rror") || line.contains("nvalid"))
            .collect();
        assert!(complaints.is_empty(), "{path}: {said}");
        if path == "/live.mp3" {
            assert!(said.contains("Ouverture"), "{said}");
        }
    }
}

#[test]
fn ffplay_plays_every_stream() {
    let daemon = Setup::tone().start();
    // It never ends by itself while a stream goes on.
    let mut players = STREAMS.map(|path| {
        let child = Command::new("ffplay")
            .args(["-nodisp", "-v", "error"])
            .arg(format!("http://{}{path}", daemon.address()))
            .env("SDL_AUDIODRIVER", "dummy")
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn();
        (path, child.unwrap_or_else(|error| panic!("ffplay is installed by scripts/setup.sh: {error}")))
    });
    daemon.wait_for_status("six listeners", |status| status["listeners"]["live"] == STREAMS.len());
    std::thread::sleep(std::time::Duration::from_secs(4));
    assert_eq!(daemon.status()["listeners"]["live"], STREAMS.len(), "they go on");
    for (path, player) in &mut players {
        player.kill().unwrap();
        let mut said = String::new();
        player.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        player.wait().unwrap();
        assert!(said.trim().is_empty(), "{path}: {said}");
    }
}

#[test]
fn a_browser_plays_what_it_has_a_decoder_for() {
    let Some(program) = chromium() else {
        eprintln!("\n*** SKIPPED: there is no chromium here (apt-get install chromium) ***\n");
        return;
    };
    let daemon = Setup::tone().start();
    let mut browser = Browser::launch(&program);
    // What is no page of ours may load nothing, not even sound.
    browser.open(&format!("http://{}/", daemon.address()));
    for path in STREAMS {
        browser.eval(&format!(
            "(() => {{ window.a = new Audio('{path}'); a.muted = true; a.play().catch(e => a.why = e); }})()"
        ));
        browser.wait_until(&format!("{path} to play"), "a.currentTime > 3 || a.error !== null || a.why");
        assert_eq!(browser.eval("a.error && a.error.message"), serde_json::Value::Null, "{path}");
        assert!(
            browser.eval("a.currentTime").as_f64().unwrap() > 3.0,
            "{path}: {}",
            browser.eval("String(a.why)")
        );
        browser.eval("(() => { a.pause(); a.src = ''; })()");
    }
}

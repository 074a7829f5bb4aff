//! Live sound for players: what they are told, what they hear, and what becomes of the slow.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;
mod sound;

use std::io::Write;
use std::time::Duration;

use common::*;
use sound::{by_ffmpeg, errors_of_ffmpeg};
use talas_simcard_control::content::ramp_number_s16;

/// A tone that fits no packet and no block.
const TONE: &str = "[capture.tone]\nfrequency_hz = 997.0\nlevel_dbfs = -12.0\n";
const TONE_HZ: f64 = 997.0;

/// Every stream: address, media type, sample rate, and how clean a tone is in it, in dB.
const STREAMS: [(&str, &str, u32, f64); 13] = [
    ("/live.mp3", "audio/mpeg", 44_100, 40.0),
    ("/live.aac", "audio/aac", 44_100, 40.0),
    ("/live.m4a", "audio/mp4", 44_100, 40.0),
    ("/live/mobile.m4a?latency=low", "audio/mp4", 22_050, 35.0),
    ("/live.opus", "audio/ogg; codecs=opus", 48_000, 30.0),
    ("/live.oga", "audio/ogg; codecs=flac", 44_100, 60.0),
    ("/live.ogg", "audio/ogg; codecs=vorbis", 44_100, 40.0),
    ("/live.flac", "audio/flac", 44_100, 60.0),
    ("/live.wav", "audio/wav", 44_100, 60.0),
    ("/live/low.mp3", "audio/mpeg", 22_050, 40.0),
    ("/live/mobile.aac", "audio/aac", 22_050, 35.0),
    ("/live/hifi.flac", "audio/flac", 48_000, 60.0),
    ("/live/podcast.mp3?latency=low", "audio/mpeg", 44_100, 30.0),
];

fn tone() -> Daemon {
    Setup::new(TONE).start()
}

fn renditions(daemon: &Daemon) -> Vec<(String, u64)> {
    let status = daemon.status();
    let list = status["renditions"].as_array().unwrap().clone();
    list.iter()
        .map(|one| (one["name"].as_str().unwrap().to_owned(), one["listeners"].as_u64().unwrap()))
        .collect()
}

fn wait_for_renditions(daemon: &Daemon, expected: &[(&str, u64)]) {
    let expected: Vec<_> =
        expected.iter().map(|(name, listeners)| ((*name).to_owned(), *listeners)).collect();
    eventually(&format!("{expected:?}"), || (renditions(daemon) == expected).then_some(()));
}

#[test]
fn every_stream_is_played_by_ffmpeg_without_a_complaint() {
    let mut daemon = tone();
    let mut players = STREAMS.map(|(path, ..)| Player::open(daemon.address(), path));
    std::thread::scope(|scope| {
        for player in &mut players {
            scope.spawn(|| player.listen_to_end());
        }
        std::thread::sleep(Duration::from_secs(4));
        // Streams end with whole packets.
        assert!(daemon.stop().success());
    });
    for (player, (path, kind, rate, clean)) in players.iter().zip(STREAMS) {
        assert_eq!((player.status, player.header("content-type")), (200, Some(kind)), "{path}");
        let heard = by_ffmpeg(&player.body, rate, 2);
        assert!(heard.frames() > rate as usize * 3, "{path}: {} frames", heard.frames());
        for channel in 0..2 {
            let samples = heard.channel(channel);
            let middle = &samples[rate as usize..samples.len() - rate as usize / 2];
            let clarity = tone_to_rest_db(middle, rate, TONE_HZ);
            assert!(clarity > clean, "{path}: {clarity:.1} dB");
        }
    }
}

#[test]
fn heads_say_what_players_of_every_kind_want_to_hear() {
    let daemon = tone();
    for (path, kind, rate, _) in STREAMS {
        let head = request(daemon.address(), "HEAD", path, &[], b"");
        assert_eq!((head.status, head.header("content-type")), (200, Some(kind)), "{path}");
        let ranged = Player::with(daemon.address(), path, "Range: bytes=0-1\r\n");
        assert_eq!(ranged.status, 200, "{path}: an endless stream has no part");
        for name in ["content-type", "icy-name", "cache-control", "accept-ranges", "connection"] {
            assert_eq!(head.header(name), ranged.header(name), "{path}: {name}");
        }
        assert_eq!(ranged.header("accept-ranges"), Some("none"));
        assert_eq!(ranged.header("connection"), Some("close"));
        assert_eq!((ranged.header("transfer-encoding"), ranged.header("content-length")), (None, None));
        assert!(ranged.header("cache-control").unwrap().contains("no-store"));
        let info = ranged.header("ice-audio-info").unwrap();
        assert!(info.contains(&format!("samplerate={rate};channels=2")), "{path}: {info}");
        assert_eq!(ranged.header("icy-metaint"), None, "{path}: nobody asked for titles");
    }
    assert_eq!(request(daemon.address(), "HEAD", "/live/low.mp3", &[], b"").header("icy-br"), Some("128"));
    assert!(renditions(&daemon).len() <= STREAMS.len());
}

#[test]
fn asking_for_heads_starts_no_encoding() {
    let daemon = tone();
    for (path, ..) in STREAMS {
        request(daemon.address(), "HEAD", path, &[], b"");
    }
    assert_eq!(renditions(&daemon), []);
}

#[test]
fn a_player_of_the_last_century_is_served() {
    let daemon = tone();
    let mut player = Player::on(connect(daemon.address()), "GET /live.mp3 HTTP/1.0\r\n\r\n");
    assert_eq!(player.status, 200);
    player.listen(40_000);
    assert!(mp3_frames(whole_mp3(&player.body)).len() > 30);
}

#[test]
fn what_does_not_exist_is_told() {
    let daemon = tone();
    for (path, status) in [
        ("/live.m4b", 404),
        ("/live/nobody.mp3", 404),
        ("/live/high.exe", 404),
        ("/live/high", 404),
        ("/live.mp3?latency=none", 400),
        ("/live.mp3?latency=low&latency=low", 400),
        ("/live.m3u?format=exe", 400),
        ("/live.pls?profile=nobody", 404),
    ] {
        let answer = daemon.get_any(path);
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{path}");
    }
    let told = daemon.get_any("/live/nobody.mp3").json();
    assert!(told["detail"].as_str().unwrap().contains("high"), "{told}");
    assert_eq!(request(daemon.address(), "POST", "/live.mp3", &[], b"").status, 405);
}

#[test]
fn two_listeners_share_one_encoder_and_it_stops_after_them() {
    let daemon = Setup::new(&format!("live.idle_s = 1\n{TONE}")).start();
    let mut first = Player::open(daemon.address(), "/live.mp3");
    first.listen(80_000);
    let mut second = Player::open(daemon.address(), "/live/high.mp3");
    wait_for_renditions(&daemon, &[("live/high.mp3", 2)]);
    assert_eq!(daemon.status()["listeners"]["live"], 2);
    second.listen(80_000);
    first.listen(240_000);
    let piece = &second.body[..20_000];
    assert!(first.body.windows(piece.len()).any(|window| window == piece), "the same bytes");
    assert_eq!(daemon.events("rendition_started").len(), 1);
    drop((first, second));
    wait_for_renditions(&daemon, &[]);
    assert_eq!(daemon.status()["listeners"]["live"], 0);
    assert_eq!(daemon.status()["listeners"]["http"], 0);
    assert_eq!(daemon.events("rendition_stopped").len(), 1);
}

#[test]
fn a_stream_begins_with_a_burst_and_low_latency_with_none() {
    let daemon = Setup::new(&format!("live.burst_ms = 3000\n{TONE}")).start();
    // The encoder runs, and has a past.
    let mut other = Player::open(daemon.address(), "/live.mp3");
    std::thread::sleep(Duration::from_secs(4));
    other.listen(40_000);
    // 320 kbit/s are 40 bytes for each millisecond.
    let mut lively = Player::open(daemon.address(), "/live.mp3");
    lively.listen_for(Duration::from_millis(500));
    let burst_ms = lively.body.len() / 40;
    assert!((2800..4500).contains(&burst_ms), "{burst_ms} ms at once");
    let mut prompt = Player::open(daemon.address(), "/live.mp3?latency=low");
    prompt.listen_for(Duration::from_millis(1000));
    let prompt_ms = prompt.body.len() / 40;
    assert!((300..1500).contains(&prompt_ms), "{prompt_ms} ms in a second");
    mp3_frames(whole_mp3(&prompt.body));
    wait_for_renditions(&daemon, &[("live/high.mp3", 3)]);
}

#[test]
fn titles_come_with_the_sound_that_they_belong_to() {
    const INTERVAL: usize = 16_000;
    let daemon = Setup::new(&format!("live.burst_ms = 3000\n{TONE}")).start();
    let mut early = Player::with(daemon.address(), "/live.mp3", "Icy-MetaData: 1\r\n");
    assert_eq!(early.header("icy-metaint"), Some("16000"));
    early.listen(40_000);
    assert!(daemon.ctl(&["title", "Ouverture"]).status.success());
    early.listen_for(Duration::from_secs(4));
    let title = r#"{"title":"It's \"über\"; 日本"}"#;
    let json = [("Content-Type", "application/json")];
    let answer = request(daemon.address(), "POST", "/api/audio/title", &json, title.as_bytes());
    assert_eq!((answer.status, &answer.json()["title"]), (200, &"It's \"über\"; 日本".into()));
    // One who comes now hears three seconds of the past first, and its title with it.
    let mut late = Player::with(daemon.address(), "/live.mp3", "icy-metadata: 1\r\n");
    late.listen(400_000);
    early.listen(early.body.len() + 200_000);
    let (sound, titles) = parse_icy(&early.body, INTERVAL);
    mp3_frames(whole_mp3(&sound));
    let names: Vec<&str> = titles.iter().map(|(_, title)| title.as_str()).collect();
    assert_eq!(names, ["", "Ouverture", "It’s \"über\", 日本"]);
    let (sound, titles) = parse_icy(&late.body, INTERVAL);
    mp3_frames(whole_mp3(&sound));
    let [(0..=16_000, first), (at, second)] = &titles[..] else { panic!("{titles:?}") };
    assert_eq!((first.as_str(), second.as_str()), ("Ouverture", "It’s \"über\", 日本"));
    // The title changed about three seconds after the beginning, and the next block is never far.
    let seconds = *at as f64 / 40_000.0;
    assert!((2.5..4.5).contains(&seconds), "after {seconds} s");
    let output = daemon.ctl(&["title"]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "It's \"über\"; 日本\n");
    assert_eq!(daemon.status()["title"], "It's \"über\"; 日本");
}

#[test]
fn no_title_harms() {
    let daemon = tone();
    let long = "x".repeat(1001);
    for wrong in [&*format!(r#"{{"title":"{long}"}}"#), r#"{"title":"a\nb"}"#, r#"{"titel":"a"}"#, "7"] {
        let json = [("Content-Type", "application/json")];
        let answer = request(daemon.address(), "POST", "/api/audio/title", &json, wrong.as_bytes());
        assert_eq!(answer.status, 400, "{wrong:.40}: {}", answer.text());
    }
    assert_eq!(request(daemon.address(), "POST", "/api/audio/title", &[], b"{}").status, 415);
    assert_eq!(daemon.ctl(&["title", "a\u{7}b"]).status.code(), Some(1));
    assert_eq!(daemon.get("/api/audio/title")["title"], "");
}

#[test]
fn another_profile_drops_nobody() {
    let daemon = tone();
    let mut player = Player::open(daemon.address(), "/live.mp3");
    let mut fixed = Player::open(daemon.address(), "/live/high.mp3");
    player.listen(80_000);
    assert!(daemon.ctl(&["quality", "medium"]).status.success());
    wait_for_renditions(&daemon, &[("live/high.mp3", 1), ("live/medium.mp3", 1)]);
    player.listen_for(Duration::from_secs(3));
    fixed.listen(player.body.len());
    assert!(daemon.ctl(&["quality", "low"]).status.success());
    assert_eq!(daemon.status()["quality"], serde_json::json!({"profile": "low", "scale": 0.25}));
    player.listen_for(Duration::from_secs(2));
    let stream = whole_mp3(&player.body);
    let frames = mp3_frames(stream);
    let rates: Vec<u32> = frames.iter().map(|frame| frame.bitrate_kbps).collect();
    let high = rates.iter().take_while(|rate| **rate == 320).count();
    assert!(high > 50 && rates[high..].iter().all(|rate| *rate == 192) && rates.len() > high + 100);
    // The tone goes on where it was: a frame doubled or missing would show as a click.
    let heard = by_ffmpeg(stream, 44_100, 2).channel(0);
    for (at, window) in heard[8_820..].chunks_exact(4_410).enumerate() {
        let clarity = tone_to_rest_db(window, 44_100, TONE_HZ);
        assert!(clarity > 30.0, "{clarity:.1} dB in tenth {at} of {}", heard.len() / 4_410);
    }
    assert!(mp3_frames(whole_mp3(&fixed.body)).iter().all(|frame| frame.bitrate_kbps == 320));
    let mut new = Player::open(daemon.address(), "/live.mp3");
    new.listen(20_000);
    assert!(mp3_frames(whole_mp3(&new.body)).iter().all(|frame| frame.sample_rate == 22_050));
    drop((player, fixed, new));
    let daemon = daemon.restart();
    assert_eq!(daemon.status()["quality"]["profile"], "low", "remembered");
    assert_eq!(daemon.ctl(&["quality", "best"]).status.code(), Some(1));
}

#[test]
fn a_stalled_player_is_cut_at_the_border_of_a_packet() {
    let daemon = Setup::new(&format!("live.lag_s = 2\n{TONE}")).start();
    let connection = connect(daemon.address());
    socket2::SockRef::from(&connection).set_recv_buffer_size(16_384).unwrap();
    let mut stalled = Player::on(connection, "GET /live.mp3 HTTP/1.0\r\n\r\n");
    let mut other = Player::open(daemon.address(), "/live.mp3");
    stalled.listen(4_000);
    let line = eventually("the cut", || {
        other.listen_for(Duration::from_millis(200));
        daemon.events("listener_cut").into_iter().next()
    });
    assert!(line.contains("too far behind") && line.contains("live/high.mp3"), "{line}");
    stalled.listen_to_end();
    assert!(mp3_frames(&stalled.body).len() > 20, "whole frames to the last byte");
    mp3_frames(whole_mp3(&other.body));
    wait_for_renditions(&daemon, &[("live/high.mp3", 1)]);
}

#[test]
fn listeners_are_listed_counted_kicked_and_limited() {
    let daemon = Setup::new(&format!("http.max_streams = 2\n{TONE}")).start();
    let lines = "User-Agent: a player\r\n";
    let mut first = Player::with(daemon.address(), "/live.mp3", lines);
    let mut second = Player::open(daemon.address(), "/live/low.mp3");
    assert_eq!(daemon.get_any("/live.mp3").status, 503);
    first.listen(30_000);
    second.listen(10_000);
    let stats = daemon.get("/api/audio/stats");
    assert_eq!((&stats["connection_count"], &stats["active_subscribers"]), (&2.into(), &0.into()));
    let listed = &stats["connections"][0];
    assert_eq!((&listed["path"], &listed["user_agent"]), (&"/live.mp3".into(), &"a player".into()));
    assert!(listed["bytes_sent"].as_u64().unwrap() >= 30_000 && listed["frames_sent"].as_u64().unwrap() > 20);
    let id = listed["id"].as_str().unwrap();
    assert!(daemon.ctl(&["connections", "kick", id]).status.success());
    eventually("the end", || first.has_ended().then_some(()));
    second.listen(40_000);
    let metrics = daemon.get_any("/metrics").text();
    for line in ["talas_live_listeners 1", "talas_live_begun_total 2", "talas_live_ended_total 1"] {
        assert!(metrics.contains(line), "{line}");
    }
}

#[test]
fn playlists_lead_to_the_streams() {
    let daemon = tone();
    let address = daemon.address();
    let m3u = daemon.get_any("/live.m3u");
    assert_eq!(m3u.header("content-type"), Some("audio/x-mpegurl"));
    assert_eq!(m3u.text().lines().last(), Some(format!("http://{address}/live.mp3").as_str()));
    let pls = daemon.get_any("/live.pls?profile=low&format=opus&latency=low");
    let url = format!("File1=http://{address}/live/low.opus?latency=low");
    assert!(pls.text().lines().any(|line| line == url), "{}", pls.text());
    let named = request(address, "GET", "/live.m3u", &[("Host", "localhost:9")], b"").text();
    assert!(named.ends_with("\nhttp://localhost:9/live.mp3\n"), "{named}");
    assert_eq!(request(address, "GET", "/live.m3u", &[("Host", "evil.example")], b"").status, 403);
}

#[test]
fn silence_stands_for_a_pause_and_nothing_of_it_is_heard() {
    let card = SimCard::new(|b| b.ramp());
    let profile = "[profile.exact]\ncodec = \"wav\"\nsample_rate = 48000\n";
    let daemon = card.setup(profile).start();
    let mut player = Player::open(daemon.address(), "/live/exact.wav");
    let mut stalled = Player::open(daemon.address(), "/live/exact.wav");
    player.listen(400_000);
    let tell = |action: &str| assert!(daemon.ctl(&[action]).status.success());
    tell("pause");
    let paused_at = card.card.frame_now(48_000);
    player.listen_for(Duration::from_millis(1500));
    let resumed_at = card.card.frame_now(48_000);
    tell("resume");
    player.listen_for(Duration::from_millis(1500));
    stalled.listen(player.body.len() / 2);
    for body in [&player.body, &stalled.body] {
        let frames = body[44..].chunks_exact(4).enumerate();
        let mut offset = None;
        let mut silent = 0_u64;
        for (at, frame) in frames {
            let sample = |at: usize| i16::from_le_bytes([frame[at], frame[at + 1]]);
            let number = u64::from(ramp_number_s16(sample(0), sample(2)));
            if number == 0 {
                silent += 1;
                continue;
            }
            assert!(!(paused_at..resumed_at).contains(&number), "frame {number} of the card was heard");
            let here = i64::try_from(number).unwrap() - i64::try_from(at).unwrap();
            assert_eq!(
                *offset.get_or_insert(here),
                here,
                "frame {number} of the card at {at}, after {silent} silent ones"
            );
        }
        // Of the other one only a part was read.
        let is_whole = std::ptr::eq(body, &player.body);
        assert!(!is_whole || silent + 4800 >= resumed_at - paused_at, "{silent} silent frames");
    }
}

#[test]
fn a_stop_ends_the_streams() {
    let mut daemon = tone();
    let mut players =
        ["/live.mp3", "/live.opus", "/live.wav"].map(|path| Player::open(daemon.address(), path));
    players.iter_mut().for_each(|player| player.listen(10_000));
    assert!(daemon.stop().success());
    players.iter_mut().for_each(Player::listen_to_end);
    mp3_frames(&players[0].body);
    assert!(daemon.events("drain_cut").is_empty());
}

#[test]
fn what_a_player_says_after_its_request_harms_nobody() {
    let daemon = tone();
    let mut connection = connect(daemon.address());
    let mut player =
        Player::on(connection.try_clone().unwrap(), "GET /live.mp3 HTTP/1.1\r\nHost: localhost\r\n\r\n");
    for _ in 0..50 {
        connection.write_all(&[b'x'; 10_000]).unwrap();
        player.listen(player.body.len() + 2_000);
    }
    mp3_frames(whole_mp3(&player.body));
}

/// The pages of Ogg: serial number, flags, and all of each.
fn pages(stream: &[u8]) -> Vec<(u32, u8, &[u8])> {
    let (mut rest, mut pages) = (stream, Vec::new());
    while rest.starts_with(b"OggS") && rest.len() >= 27 {
        let segments = usize::from(rest[26]);
        let Some(table) = rest.get(27..27 + segments) else { break };
        let length = 27 + segments + table.iter().map(|length| usize::from(*length)).sum::<usize>();
        let Some(page) = rest.get(..length) else { break };
        pages.push((u32::from_le_bytes(page[14..18].try_into().unwrap()), page[5], page));
        rest = &rest[length..];
    }
    pages
}

#[test]
fn titles_are_links_of_a_chain_and_the_sound_goes_on_over_them() {
    let daemon = tone();
    assert!(daemon.ctl(&["title", "One"]).status.success());
    // The past has no title.
    std::thread::sleep(Duration::from_millis(1500));
    let streams = [("/live.opus", 48_000, 30.0), ("/live.ogg", 44_100, 40.0), ("/live.oga", 44_100, 60.0)];
    let mut players = streams.map(|(path, ..)| Player::open(daemon.address(), &format!("{path}?chain=1")));
    std::thread::scope(|scope| {
        for player in &mut players {
            scope.spawn(|| player.listen_for(Duration::from_secs(6)));
        }
        std::thread::sleep(Duration::from_secs(2));
        assert!(daemon.ctl(&["title", "Zwei ♫"]).status.success());
    });
    for (player, (path, rate, clean)) in players.iter().zip(streams) {
        let pages = pages(&player.body);
        let mut links: Vec<(u32, Vec<u8>)> = Vec::new();
        for (serial, flags, page) in &pages {
            assert_eq!(flags & 2 != 0, links.last().is_none_or(|(last, _)| last != serial), "{path}");
            if flags & 2 != 0 {
                links.push((*serial, Vec::new()));
            }
            links.last_mut().unwrap().1.extend_from_slice(page);
        }
        assert_eq!(links.len(), 2, "{path}");
        let ends = pages.iter().filter(|(_, flags, _)| flags & 4 != 0);
        assert_eq!(ends.count(), 1, "{path}: the first link has an end");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(
            text(&links[0].1).contains("TITLE=One") && text(&links[1].1).contains("TITLE=Zwei ♫"),
            "{path}"
        );
        // Each is a stream by itself, and the second begins where the first ends.
        let heard: Vec<f32> =
            links.iter().flat_map(|(_, link)| by_ffmpeg(link, rate, 2).channel(0)).collect();
        let clarity = tone_to_rest_db(&heard[rate as usize..heard.len() - rate as usize / 2], rate, TONE_HZ);
        assert!(heard.len() > rate as usize * 5 && clarity > clean, "{path}: {clarity:.1} dB");
        // Together they are one for a player.
        let whole: Vec<u8> = links.iter().flat_map(|(_, link)| link.clone()).collect();
        assert_eq!(errors_of_ffmpeg(&whole), "", "{path}");
    }
    for wrong in ["/live.mp3?chain=1", "/live.opus?chain=1&latency=low", "/live.opus?chain=x"] {
        assert_eq!(daemon.get_any(wrong).status, 400, "{wrong}");
    }
}

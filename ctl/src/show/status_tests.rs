//! The status page, in the situations that an operator meets.

use super::*;
use crate::samples::status;

const NOW_MS: u64 = 1_700_000_000_000;
const MINUTE_MS: u64 = 60_000;

/// A daemon that captures and has nothing to complain about.
fn healthy() -> Status {
    let usual = status();
    let since_ms = NOW_MS - 133 * MINUTE_MS;
    Status {
        since_ms,
        uptime_seconds: 8040,
        addresses: vec!["http://127.0.0.1:8080".to_owned(), "http://[::1]:8080".to_owned()],
        source: Source { name: "hw:CARD=Device,DEV=0".to_owned(), since_ms, ..usual.source },
        capture: Capture {
            format: Some("S24_3LE".to_owned()),
            captured_samples: 383_040_000,
            drift_ppm: Some(12.34),
            ring_peak: 0.12,
            ..usual.capture
        },
        ..usual
    }
}

fn text(status: &Status, columns: usize) -> String {
    let view = View { now_ms: NOW_MS, columns: Some(columns) };
    page(status, &view).iter().map(|line| line.paint(false, None) + "\n").collect()
}

#[test]
fn all_is_well() {
    let expected = "\
● running for 2 h 13 min · ALSA hw:CARD=Device,DEV=0 · 48 kHz S24_3LE 2 ch

  capture     period 256, buffer 4,096 frames (85 ms) · drift +12.3 ppm · realtime
              ring at most 12 % full
  lost        nothing
  serving     http://127.0.0.1:8080 · http://[::1]:8080
  listeners   nobody
  quality     high · full rate
  renditions  none, nobody needs one
  disk        /var/lib/talas · 12.3 GB free
  daemon      talasd 0.1.0 · up 2 h 14 min
";
    assert_eq!(text(&healthy(), 84), expected);
}

#[test]
fn nothing_is_well() {
    let mut status = healthy();
    status.state = State::Absent;
    status.reason = Some("no such device".to_owned());
    status.since_ms = NOW_MS - 5000;
    status.source.state = State::Absent;
    status.capture = Capture {
        overruns: 1,
        unplugs: 2,
        lost_samples: 4800,
        ring_dropped_samples: 480,
        filler_samples: 96_000,
        nonfinite_samples: 3,
        drift_ppm: None,
        realtime: Realtime::Denied,
        ..status.capture
    };
    let last = LastGap { reason: "absent".to_owned(), lost_samples: 2400, ended_ms: NOW_MS - 3 * MINUTE_MS };
    status.gaps = Gaps { total: 3, last: Some(last) };
    status.disk.writable = false;
    status.disk.free_bytes = None;
    status.warnings = vec!["The state directory cannot be written: recordings are off.".to_owned()];
    let expected = "\
● absent for 5 s · ALSA hw:CARD=Device,DEV=0
  48 kHz S24_3LE 2 ch

  reason      no such device
  capture     period 256, buffer 4,096 frames (85 ms)
              drift not measured yet · realtime refused
              ring at most 12 % full
  lost        4,800 frames (100 ms) in 3 gaps
              1 overrun · 2 unplugs
              10 ms dropped, the ring was full
              2 s filled with silence
              3 samples not a number
  last gap    the device was gone for 50 ms
              sound went on 3 min ago
  serving     http://127.0.0.1:8080 · http://[::1]:8080
  listeners   nobody
  quality     high · full rate
  renditions  none, nobody needs one
  disk        /var/lib/talas · not writable
  daemon      talasd 0.1.0 · up 2 h 14 min

! The state directory cannot be written: recordings are
  off.
";
    assert_eq!(text(&status, 55), expected);
}

#[test]
fn a_paused_programme_still_says_how_its_source_is() {
    let mut status = healthy();
    status.state = State::Paused;
    status.source.state = State::Stalled;
    status.source.reason = Some("no period for 2 s".to_owned());
    status.source.since_ms = NOW_MS - 2000;
    let text = text(&status, 100);
    assert!(text.starts_with("● paused for 2 h 13 min"), "{text}");
    assert!(text.contains("  source      stalled for 2 s · no period for 2 s\n"), "{text}");
}

#[test]
fn renditions_stand_in_columns() {
    let mut status = healthy();
    let rendition = |name: &str, listeners| Rendition {
        name: name.to_owned(),
        listeners,
        entries: 12,
        bytes: 45_200_000,
        since_ms: NOW_MS - 2 * MINUTE_MS,
    };
    status.renditions = vec![rendition("frames/json/1", 2), rendition("frames/f32/0.5", 1)];
    status.listeners = Listeners { sse: 3, live: 0, websocket: 1, http: 5 };
    let text = text(&status, 100);
    let expected = "  listeners   4 · 3 SSE · 1 WebSocket · 5 HTTP connections
  quality     high · full rate
  renditions  frames/json/1  · 2 listeners · 45.2 MB · for 2 min
              frames/f32/0.5 · 1 listener · 45.2 MB · for 2 min
";
    assert!(text.contains(expected), "{text}");
}

#[test]
fn a_source_that_was_never_opened_shows_no_figures() {
    let mut status = healthy();
    status.state = State::Starting;
    status.capture.format = None;
    status.capture.channels = 0;
    let text = text(&status, 100);
    assert!(text.starts_with("● starting for 2 h 13 min · ALSA hw:CARD=Device,DEV=0\n"), "{text}");
    assert!(text.contains("no device was opened yet"), "{text}");
}

#[test]
fn servers_that_are_fed_show_their_state() {
    let mut status = healthy();
    let push = |mount: &str, state, reason: Option<&str>| Push {
        url: format!("icecast://radio.example:8000{mount}"),
        rendition: "live/high.mp3".to_owned(),
        state,
        reason: reason.map(str::to_owned),
        since_ms: NOW_MS - 3 * MINUTE_MS,
        bytes: 7_200_000,
        connections: 1,
        failures: 0,
    };
    status.pushes = vec![
        push("/live", PushState::Connected, None),
        push("/other", PushState::Waiting, Some("cannot connect: \u{1b}[31mno route")),
    ];
    let page = text(&status, 110);
    let rows: Vec<&str> = page.lines().skip_while(|line| !line.contains("pushes")).take(3).collect();
    assert_eq!(
        rows,
        [
            "  pushes      icecast://radio.example:8000/live · connected for 3 min · live/high.mp3 · 7.2 MB",
            "              icecast://radio.example:8000/other · failing for 3 min · live/high.mp3 · 7.2 MB",
            "              cannot connect: \\u{1b}[31mno route",
        ]
    );
}

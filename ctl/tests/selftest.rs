//! `selftest` whole: what it asks, what it prints, and how it ends.

mod support;

use std::process::Output;
use std::time::Instant;

use support::{Daemon, HELLO, run};

/// How the fake appliance fares.
#[derive(Clone, Copy)]
struct Fate {
    /// Frames captured for each second of the real clock.
    frames_per_second: f64,
    /// Gaps at the end of the test.
    gaps: u64,
    /// What the state directory has free.
    free_bytes: u64,
}

const HEALTHY: Fate = Fate { frames_per_second: 48_000.0, gaps: 0, free_bytes: 12_300_000_000 };

fn status(fate: Fate, seconds: f64) -> String {
    let captured = (seconds * fate.frames_per_second) as u64;
    let gaps = if seconds < 0.5 { 0 } else { fate.gaps };
    format!(
        r#"{{"state":"running","reason":null,"since_ms":0,"version":"0.1.0","uptime_seconds":3600,"source":{{"kind":"alsa","name":"hw:0","state":"running","reason":null,"since_ms":0}},"capture":{{"sample_rate":48000,"format":"S16_LE","channels":2,"period_frames":256,"buffer_frames":4096,"captured_samples":{captured},"overruns":{gaps},"suspends":0,"stalls":0,"unplugs":0,"lost_samples":{lost},"ring_dropped_samples":0,"filler_samples":0,"nonfinite_samples":0,"drift_ppm":null,"realtime":"denied","ring_peak":0.03}},"gaps":{{"total":{gaps},"last":null}},"renditions":[],"listeners":{{"sse":0,"live":0,"websocket":0,"http":0}},"quality":{{"profile":"high","scale":1.0}},"disk":{{"state_dir":"/var/lib/talas","writable":true,"free_bytes":{free}}},"warnings":[]}}"#,
        lost = gaps * 480,
        free = fate.free_bytes
    )
}

fn answer(method: &str, fate: Fate, seconds: f64) -> String {
    match method {
        "status" => status(fate, seconds),
        "stats" => format!(
            r#"{{"total_frames":{},"frames_per_second":46.875,"active_subscribers":0,"dropped_frames":0,"connection_count":0,"connections":[],"memory_usage":{{"used_bytes":1,"virtual_bytes":1,"available_bytes":1}},"cpu_usage":1.0,"uptime_seconds":1,"average_latency_ms":0,"bandwidth_usage_mbps":0,"error_rate_percent":0}}"#,
            (seconds * 46.875) as u64
        ),
        "meters" => format!(
            r#"{{"timestamp_ms":{},"channels":[{{"rms_dbfs":-21.0,"peak_dbfs":-18.0,"clipped":0}},{{"rms_dbfs":-21.0,"peak_dbfs":-17.5,"clipped":0}}]}}"#,
            1 + (seconds * 10.0) as u64
        ),
        other => panic!("asked for {other}"),
    }
}

/// A daemon whose figures run with the clock.
fn appliance(fate: Fate) -> Daemon {
    Daemon::start(move |talk| {
        talk.say(HELLO);
        let began = Instant::now();
        for id in 1.. {
            let Some(line) = talk.hear() else { return };
            let request: serde_json::Value = serde_json::from_str(&line).expect("a request");
            let method = request["method"].as_str().expect("a method");
            let result = answer(method, fate, began.elapsed().as_secs_f64());
            talk.say(&format!(r#"{{"id":{id},"result":{result}}}"#));
        }
    })
}

fn tested(fate: Fate, args: &[&str]) -> Output {
    let daemon = appliance(fate);
    run(&daemon.socket, &[&["selftest", "--for", "1s"], args].concat())
}

/// The line of a check, its figures that depend on the clock left out.
fn line<'a>(text: &'a str, check: &str) -> &'a str {
    let fits = |line: &&str| line.split_whitespace().nth(1) == Some(check);
    text.lines().find(fits).unwrap_or_else(|| panic!("no line of {check} in\n{text}"))
}

#[test]
fn a_healthy_appliance_passes() {
    let output = tested(HEALTHY, &[]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(output.stderr.is_empty());
    assert!(text.starts_with("ALSA hw:0 · talasd 0.1.0 · watched for 1."), "{text}");
    assert!(
        line(&text, "control")
            .starts_with("✓ control   protocol 1.0, your level is read; half of 10 answers")
    );
    assert!(line(&text, "pace").starts_with("✓ pace      4"), "{text}");
    assert!(line(&text, "blocks").starts_with("✓ blocks    4"), "{text}");
    assert_eq!(line(&text, "levels"), "✓ levels    peaks of -18.0, -17.5 dBFS");
    assert_eq!(line(&text, "drift"), "✓ drift     not measured yet");
    assert_eq!(line(&text, "disk"), "✓ disk      /var/lib/talas can be written; 12.3 GB free");
    assert_eq!(
        line(&text, "realtime"),
        "! realtime  refused: sound may be lost while the machine is busy",
        "{text}"
    );
    assert!(
        text.contains("            → grant it: LimitRTPRIO= in the unit, or rtprio in limits.conf\n"),
        "{text}"
    );
    assert!(text.ends_with("\nall is well, 1 thing to look at\n"), "{text}");
}

#[test]
fn a_sick_appliance_fails_with_1_and_says_why() {
    let fate = Fate { gaps: 2, free_bytes: 5, ..HEALTHY };
    let output = tested(fate, &[]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "talasctl: 2 of 12 checks failed\n", "{text}");
    assert_eq!(
        line(&text, "gaps"),
        "✗ gaps      during the test: 960 frames (20 ms) in 2 new gaps, 2 overruns"
    );
    assert_eq!(line(&text, "disk"), "✗ disk      /var/lib/talas can be written; 5 B free");
    assert!(text.ends_with("\n2 failed, 1 thing to look at\n"), "{text}");
}

#[test]
fn a_wrong_rate_fails() {
    let output = tested(Fate { frames_per_second: 32_000.0, ..HEALTHY }, &["--json"]);
    assert_eq!(output.status.code(), Some(1));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("one object");
    assert_eq!(output.stdout.iter().filter(|&&byte| byte == b'\n').count(), 1, "on one line");
    assert_eq!(report["ok"], false);
    let pace = report["checks"].as_array().expect("checks").iter().find(|check| check["check"] == "pace");
    let pace = pace.expect("a pace");
    assert_eq!(pace["verdict"], "failed");
    let rate = pace["figures"]["frames_per_second"].as_f64().expect("a rate");
    assert!((30_000.0..34_000.0).contains(&rate), "{rate}");
}

#[test]
fn nonsense_and_nobody_are_told() {
    let nobody = "/nonexistent/talasd.sock".as_ref();
    assert_eq!(run(nobody, &["selftest", "--for", "soon"]).status.code(), Some(2));
    assert_eq!(run(nobody, &["selftest"]).status.code(), Some(3));
    let daemon = Daemon::refusing("unavailable", "talasd is stopping");
    let output = run(&daemon.socket, &["selftest"]);
    assert_eq!(String::from_utf8_lossy(&output.stderr), "talasctl: talasd is stopping\n");
    assert_eq!(output.status.code(), Some(1));
}

//! What each command asks and prints, whole.

mod support;

use support::{Daemon, assert_output, hours_ago_ms, run};

/// Runs a command against a daemon that answers it; asserts the question and the text.
#[track_caller]
fn golden(args: &[&str], asked: &str, result: &str, text: &str) {
    let daemon = Daemon::answering(&[result]);
    let output = run(&daemon.socket, args);
    assert_eq!(daemon.asked(), [format!("{asked}\n")]);
    assert_output(&output, 0, text, "");
}

fn status_json() -> String {
    let (long_ago, lately) = (hours_ago_ms(61), hours_ago_ms(25));
    format!(
        r#"{{"state":"running","reason":null,"since_ms":{long_ago},"version":"0.1.0","uptime_seconds":223200,
        "source":{{"kind":"alsa","name":"hw:CARD=Device,DEV=0","state":"running","reason":null,
        "since_ms":{long_ago}}},"capture":{{"sample_rate":48000,"format":"S24_3LE","channels":2,
        "period_frames":256,"buffer_frames":4096,"captured_samples":10627200000,"overruns":1,"suspends":0,
        "stalls":0,"unplugs":1,"lost_samples":76800,"ring_dropped_samples":0,"filler_samples":72000,
        "nonfinite_samples":0,"drift_ppm":-4.31,"realtime":"denied","ring_peak":0.03}},
        "gaps":{{"total":2,"last":{{"reason":"absent","lost_samples":72000,"ended_ms":{lately}}}}},
        "renditions":[{{"name":"frames/json/1","listeners":2,"entries":10000,"bytes":45200000,
        "since_ms":{lately}}}],"listeners":{{"sse":2,"live":0,"websocket":0,"http":3}},
        "quality":{{"profile":"high","scale":1.0}},"disk":{{"state_dir":"/var/lib/talas","writable":true,
        "free_bytes":12300000000}},"warnings":["Realtime scheduling was refused: sound may be lost under load."],
        "news":"fields of a later minor version are not looked at"}}"#
    )
    .replace('\n', "")
}

#[test]
fn status() {
    let text = "\
● running for 2 d 13 h · ALSA hw:CARD=Device,DEV=0 · 48 kHz S24_3LE 2 ch

  capture     period 256, buffer 4,096 frames (85 ms) · drift -4.3 ppm · realtime refused
              ring at most 3 % full
  lost        76,800 frames (1.6 s) in 2 gaps · 1 overrun · 1 unplug · 1.5 s filled with silence
  last gap    the device was gone for 1.5 s · sound went on 1 d 1 h ago
  listeners   2 · 2 SSE · 3 HTTP connections
  quality     high · full rate
  renditions  frames/json/1 · 2 listeners · 45.2 MB · for 1 d 1 h
  disk        /var/lib/talas · 12.3 GB free
  daemon      talasd 0.1.0 · up 2 d 14 h

! Realtime scheduling was refused: sound may be lost under load.
";
    golden(&["status"], r#"{"id":1,"method":"status"}"#, &status_json(), text);
}

#[test]
fn pause_and_resume() {
    let pause = r#"{"id":1,"method":"capture.pause"}"#;
    golden(&["pause"], pause, r#"{"state":"paused"}"#, "paused: no captured sound goes anywhere\n");
    let resume = r#"{"id":1,"method":"capture.resume"}"#;
    golden(&["resume"], resume, r#"{"state":"running"}"#, "running: the pause has ended\n");
}

#[test]
fn quality() {
    let get = r#"{"id":1,"method":"quality.get"}"#;
    golden(&["quality"], get, r#"{"profile":"high","scale":1.0}"#, "high · full rate\n");
    let name = r#"{"id":1,"method":"quality.set","params":{"profile":"low"}}"#;
    golden(&["quality", "low"], name, r#"{"profile":"low","scale":0.25}"#, "low · 1/4 of the rate\n");
    let scale = r#"{"id":1,"method":"quality.set","params":{"scale":0.6}}"#;
    golden(&["quality", "0.6"], scale, r#"{"profile":"high","scale":0.5}"#, "high · 1/2 of the rate\n");
    let name = r#"{"id":1,"method":"quality.set","params":{"profile":"hifi"}}"#;
    let answer = r#"{"profile":"hifi","scale":1.0,"warning":"this will not survive a restart: disk full"}"#;
    let shown = "hifi · full rate\n! this will not survive a restart: disk full\n";
    golden(&["quality", "hifi"], name, answer, shown);
}

#[test]
fn title() {
    let get = r#"{"id":1,"method":"title.get"}"#;
    golden(&["title"], get, r#"{"title":""}"#, "no title\n");
    let set = r#"{"id":1,"method":"title.set","params":{"title":"Ouverture"}}"#;
    golden(&["title", "Ouverture"], set, r#"{"title":"Ouverture"}"#, "Ouverture\n");
    let none = r#"{"id":1,"method":"title.set","params":{"title":""}}"#;
    golden(&["title", ""], none, r#"{"title":""}"#, "no title\n");
}

#[test]
fn stats() {
    let result = r#"{"total_frames":10462500,"frames_per_second":46.875,"active_subscribers":2,
        "dropped_frames":0,"connection_count":2,"connections":[],"memory_usage":{"used_bytes":24100000,
        "virtual_bytes":412000000,"available_bytes":3100000000},"cpu_usage":3.21,"uptime_seconds":223200,
        "average_latency_ms":24.6,"bandwidth_usage_mbps":18.432,"error_rate_percent":0.0}"#;
    let text = "  frames     10,462,500 · 46.9 per second
  listeners  2 listeners
  missed     nothing
  latency    24.6 ms from capture to socket
  bandwidth  18.43 Mbit/s
  processor  3.2 % of one core
  memory     24.1 MB used · 412.0 MB virtual · 3.1 GB available on this machine
  uptime     2 d 14 h
";
    golden(&["stats"], r#"{"id":1,"method":"stats"}"#, &result.replace('\n', ""), text);
}

/// A listener who arrives in the far future: the text says `0 s` at any time.
fn connection_json(id: &str, user_agent: &str) -> String {
    format!(
        r#"{{"id":"{id}","user_id":null,"ip_address":"192.0.2.7","user_agent":"{user_agent}",
        "connected_at":"9999-01-01T00:00:00Z","last_heartbeat":"9999-01-01T00:00:00Z",
        "frames_sent":12345,"bytes_sent":45200000,"errors_count":1}}"#
    )
    .replace('\n', "")
}

fn connection_pages() -> [String; 2] {
    // JSON's own escapes: the terminal must not see an ESC, nor a line feed, nor a reversed line.
    let stranger = connection_json("c2", "evil\\u001b[2J\\n\\u202ec9 root");
    [
        format!(r#"{{"connections":[{}],"next":"c1","total":2}}"#, connection_json("c1", "VLC/3.0")),
        format!(r#"{{"connections":[{stranger}],"next":null,"total":2}}"#),
    ]
}

const CONNECTION_QUESTIONS: [&str; 2] = [
    "{\"id\":1,\"method\":\"connections\",\"params\":{\"limit\":100}}\n",
    "{\"id\":2,\"method\":\"connections\",\"params\":{\"after\":\"c1\",\"limit\":100}}\n",
];

#[test]
fn connections_come_in_pages_and_harmless() {
    let [first, second] = connection_pages();
    let daemon = Daemon::answering(&[&first, &second]);
    let output = run(&daemon.socket, &["connections"]);
    assert_eq!(daemon.asked(), CONNECTION_QUESTIONS);
    let text = r"ID  ADDRESS    USER  SINCE  FRAMES     SENT  GAPS  CLIENT
c1  192.0.2.7  -       0 s  12,345  45.2 MB     1  VLC/3.0
c2  192.0.2.7  -       0 s  12,345  45.2 MB     1  evil\u{1b}[2J\n\u{202e}c9 root

2 listeners
";
    assert_output(&output, 0, text, "");
}

#[test]
fn connections_for_programs_are_one_page_per_line() {
    let [first, second] = connection_pages();
    let daemon = Daemon::answering(&[&first, &second]);
    let output = run(&daemon.socket, &["connections", "--json"]);
    assert_eq!(daemon.asked(), CONNECTION_QUESTIONS);
    assert_output(&output, 0, &format!("{first}\n{second}\n"), "");
}

#[test]
fn pages_that_do_not_end_are_refused() {
    let [first, _] = connection_pages();
    let daemon = Daemon::answering(&[&first, &first]);
    let output = run(&daemon.socket, &["connections"]);
    assert_output(&output, 5, "", "talasctl: the daemon's pages of connections do not end\n");
}

#[test]
fn meters() {
    let result = r#"{"timestamp_ms":1700000000000,"channels":[
        {"rms_dbfs":-22.4,"peak_dbfs":-9.1,"clipped":0},{"rms_dbfs":-4.0,"peak_dbfs":0.0,"clipped":17}]}"#;
    let text = "     \
-60        -48         -36         -24         -12         0   rms dB  peak dB  clipped
  1  █████████████████████████████████████▋············│·········    -22.4     -9.1        0
  2  ████████████████████████████████████████████████████████···│     -4.0      0.0       17
";
    golden(&["meters"], r#"{"id":1,"method":"meters"}"#, &result.replace('\n', ""), text);
}

#[test]
fn devices() {
    let result = r#"{"devices":[{"name":"hw:CARD=Device,DEV=0","description":"USB Audio Device","in_use":true,
        "ability":{"formats":["S24_3LE","S16_LE"],"rates":[44100,48000,96000],"channels":{"min":1,"max":2},
        "period_frames":{"min":32,"max":16384}},"problem":null},{"name":"hw:CARD=C920,DEV=0",
        "description":"HD Pro Webcam","in_use":false,"ability":null,"problem":"in use by another program"}]}"#;
    let text = "\
● hw:CARD=Device,DEV=0  in use
    USB Audio Device
    S24_3LE, S16_LE · 44.1, 48, 96 kHz · 1 to 2 channels · period 32 to 16,384 frames

  hw:CARD=C920,DEV=0
    HD Pro Webcam
    in use by another program
";
    golden(&["devices"], r#"{"id":1,"method":"devices"}"#, &result.replace('\n', ""), text);
}

#[test]
fn reload_and_log() {
    let result = r#"{"applied":["log.level"],"needs_restart":["http.listen","capture.alsa.device"]}"#;
    let text =
        "in force now:\n  log.level\nonly after a restart of talasd:\n  http.listen\n  capture.alsa.device\n";
    golden(&["reload"], r#"{"id":1,"method":"reload"}"#, result, text);
    let asked = r#"{"id":1,"method":"log.set","params":{"level":"debug"}}"#;
    golden(&["log", "debug"], asked, r#"{"level":"debug"}"#, "talasd logs at level debug\n");
}

#[test]
fn version() {
    let text = format!("talasctl {}\ntalasd 0.7.1 (protocol 1.0)\n", env!("CARGO_PKG_VERSION"));
    let asked = r#"{"id":1,"method":"version"}"#;
    golden(&["version"], asked, r#"{"daemon":"0.7.1","proto":[1,0]}"#, &text);
}

#[test]
fn tone() {
    let now = r#"{"frequency_hz":440.0,"level_dbfs":-30.0,"silence":false}"#;
    let level = r#"{"id":1,"method":"tone.set","params":{"level_dbfs":-30.0}}"#;
    golden(&["tone", "level", "-30"], level, now, "tone: 440 Hz at -30 dBFS\n");
    let frequency = r#"{"id":1,"method":"tone.set","params":{"frequency_hz":440.0}}"#;
    golden(&["tone", "frequency", "440"], frequency, now, "tone: 440 Hz at -30 dBFS\n");
    let silence = r#"{"id":1,"method":"tone.set","params":{"silence":true}}"#;
    golden(&["tone", "silence"], silence, r#"{"silence":true}"#, "tone: silence\n");
    let fault = r#"{"id":1,"method":"tone.fault","params":{"fault":"unplug","ms":2500}}"#;
    golden(&["tone", "fault", "unplug", "--ms", "2500"], fault, "{}", "rehearsing: unplug of 2.5 s\n");
}

#[test]
fn json_is_the_daemons_own_bytes() {
    // Spaces, an order that no map keeps, numbers that no parser prints again.
    let odd = r#"{ "z": 1.50, "a":1e2,  "big": 123456789012345678901234567890, "text": "\u00e9\u001b" }"#;
    for command in [
        &["status"][..],
        &["pause"],
        &["resume"],
        &["quality"],
        &["stats"],
        &["meters"],
        &["devices"],
        &["reload"],
        &["log", "info"],
        &["version"],
        &["tone", "silence"],
        &["tone", "fault", "stall"],
    ] {
        let daemon = Daemon::answering(&[odd]);
        let args = [&["--json"], command].concat();
        assert_output(&run(&daemon.socket, &args), 0, &format!("{odd}\n"), "");
    }
}

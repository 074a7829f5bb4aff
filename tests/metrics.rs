//! `/metrics` of the real daemon: valid by the letter, in step with the other answers, and bounded; its
//! own listener; and the compression of answers.

#![allow(clippy::unwrap_used, reason = "a test ends by panicking")]

mod common;

use std::collections::BTreeSet;
use std::io::Read;
use std::net::SocketAddr;

use common::{Answer, Daemon, Exposition, Setup, SimCard, Sse, demo, eventually, request};
use serde_json::Value;

/// What a page of metrics may grow to with every rendition running: 16 of them, three series each.
const LARGEST_PAGE: usize = 26_000;

fn scrape_at(address: SocketAddr) -> Exposition {
    let answer = request(address, "GET", "/metrics", &[], b"");
    assert_eq!(answer.status, 200, "{}", answer.text());
    let kind = answer.header("content-type").unwrap();
    assert_eq!(kind, "application/openmetrics-text; version=1.0.0; charset=utf-8");
    assert!(answer.body.len() < LARGEST_PAGE, "{} bytes", answer.body.len());
    Exposition::parse(&answer.text())
}

fn scrape(daemon: &Daemon) -> Exposition {
    scrape_at(daemon.address())
}

fn stats(daemon: &Daemon) -> Value {
    daemon.get("/api/audio/stats")
}

/// One label value is 1, every other of the family 0.
fn one_state(page: &Exposition, family: &str) -> String {
    let prefix = format!("{family}{{state=\"");
    let states = page.series.iter().filter(|(name, _)| name.starts_with(&prefix));
    let on: Vec<&str> = states
        .filter(|(_, value)| {
            assert!([0.0, 1.0].contains(*value));
            **value == 1.0
        })
        .map(|(name, _)| name[prefix.len()..].strip_suffix("\"}").unwrap())
        .collect();
    assert_eq!(on.len(), 1, "{family}: {on:?}");
    on[0].to_owned()
}

#[test]
fn the_page_is_valid_and_has_the_founding_names() {
    let daemon = Setup::tone().start();
    daemon.stream("?encoding=s16").frames(3);
    let page = scrape(&daemon);
    let kind = |family: &str| page.kinds.get(family).map(String::as_str);
    for (family, expected) in [
        ("audio_sse_connections_active", "gauge"),
        ("audio_frames_sent", "counter"),
        ("audio_sse_latency_seconds", "histogram"),
        ("veza_streams_active_total", "gauge"),
        ("veza_streams_created", "counter"),
        ("veza_streams_ended", "counter"),
        ("veza_stream_latency_seconds", "gauge"),
        ("veza_memory_usage_bytes", "gauge"),
        ("veza_cpu_usage_percent", "gauge"),
        ("veza_disk_usage_bytes", "gauge"),
    ] {
        assert_eq!(kind(family), Some(expected), "{family}");
    }
    let own = |family: &&String| family.starts_with("talas_");
    assert!(page.kinds.keys().filter(own).count() > 30);
    for unbuilt in ["veza_audio", "cache"] {
        assert!(
            !page.kinds.keys().any(|family| family.contains(unbuilt)),
            "{unbuilt} counts what is not there"
        );
    }
}

/// The rows of the tables: a name and its type.
fn documented() -> BTreeSet<(String, String)> {
    let text = std::fs::read_to_string("docs/metrics.md").unwrap();
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.map(|row| {
        let (name, rest) = row.split_once("` | ").unwrap();
        (name.to_owned(), rest.split(" |").next().unwrap().to_owned())
    })
    .collect()
}

#[test]
fn what_is_documented_is_there_and_the_other_way_round() {
    let samples: Vec<i16> = demo().iter().map(|sample| (sample * 32_768.0) as i16).collect();
    let card = SimCard::new(|builder| builder.samples_s16(&samples));
    let daemon = card.setup("").start();
    let _stream = daemon.stream("?encoding=s16");
    // The drift takes the longest: five seconds of pairs.
    let page = eventually("a drift measured", || {
        Some(scrape(&daemon)).filter(|page| page.kinds.contains_key("talas_capture_drift_ppm"))
    });
    let named = page.kinds.iter().map(|(family, kind)| {
        let suffix = match kind.as_str() {
            "counter" => "_total",
            "info" => "_info",
            _ => "",
        };
        (format!("{family}{suffix}"), kind.clone())
    });
    // Those about TLS are there where TLS is, which this daemon does without.
    let due = documented().into_iter().filter(|(family, _)| !family.starts_with("talas_tls_"));
    assert_eq!(named.collect::<BTreeSet<_>>(), due.collect::<BTreeSet<_>>());
    let drift = page.get("talas_capture_drift_ppm");
    assert!(drift.abs() < 20_000.0, "{drift} ppm");
}

#[test]
fn streams_are_counted_as_the_other_answers_count_them() {
    let daemon = Setup::tone().start();
    let first = scrape(&daemon);
    assert_eq!(first.count("audio_frames_sent_total"), 0);
    let mut streams: Vec<_> = (0..3).map(|_| daemon.stream("")).collect();
    streams.iter_mut().for_each(|stream| drop(stream.frames(10)));
    let page = scrape(&daemon);
    for active in ["audio_sse_connections_active", "veza_streams_active_total"] {
        assert_eq!(page.count(active), 3);
    }
    assert_eq!(stats(&daemon)["active_subscribers"], 3);
    assert_eq!(daemon.status()["listeners"]["sse"], 3);
    assert_eq!(page.count("talas_rendition_listeners{rendition=\"frames/json/1\"}"), 3);
    assert!(page.count("talas_http_connections") >= 3);
    drop(streams);
    eventually("the listeners' leaving", || {
        Some(()).filter(|()| scrape(&daemon).count("talas_streams_ended_total") == 3)
    });
    // Nobody listens: what was sent stands still.
    let (page, stats) = (scrape(&daemon), stats(&daemon));
    let sent = page.count("audio_frames_sent_total");
    assert!(sent >= 30, "{sent} blocks sent, and 30 were read");
    assert_eq!(sent, page.count("audio_sse_latency_seconds_count"));
    assert_eq!(page.count("veza_streams_created_total"), 3);
    assert_eq!(page.count("veza_streams_ended_total"), 3);
    assert_eq!(page.count("audio_sse_connections_active"), 0);
    assert_eq!(page.get("talas_stream_dropped_blocks_total"), stats["dropped_frames"].as_f64().unwrap());
    assert!(page.count("talas_stream_bytes_total") > 30 * 2048);
}

#[test]
fn latency_is_a_blocks_length_and_little_more() {
    let daemon = Setup::tone().start();
    daemon.stream("?encoding=f32").frames(60);
    let page = scrape(&daemon);
    let count = page.get("audio_sse_latency_seconds_count");
    let mean = page.get("audio_sse_latency_seconds_sum") / count;
    // 1024 frames at 48 kHz take 21.3 ms; the upper bound is for a busy machine.
    assert!((0.0213..0.5).contains(&mean), "{mean} s");
    assert_eq!(page.count("audio_sse_latency_seconds_bucket{le=\"0.02\"}"), 0, "sooner than captured");
    assert!(page.get("audio_sse_latency_seconds_bucket{le=\"0.25\"}") > count / 2.0);
}

#[test]
fn the_programme_is_told_as_the_status_tells_it() {
    let daemon = Setup::tone().start();
    daemon.wait_for_status("running", |status| status["state"] == "running");
    assert_eq!(one_state(&scrape(&daemon), "talas_programme_state"), "running");
    assert_eq!(daemon.control(r#"{"action":"pause"}"#).status, 200);
    let page = scrape(&daemon);
    assert_eq!(one_state(&page, "talas_programme_state"), "paused");
    assert_eq!(one_state(&page, "talas_source_state"), "running");
    assert_eq!(daemon.control(r#"{"action":"resume"}"#).status, 200);
    let paused = "talas_capture_gaps_total{reason=\"paused\"}";
    eventually("the gap's end", || Some(()).filter(|()| scrape(&daemon).count(paused) == 1));
    let (before, page, after) = (daemon.status(), scrape(&daemon), daemon.status());
    assert_eq!(page.get("talas_capture_lost_frames_total"), 0.0, "a pause is no loss");
    let filler = page.get("talas_capture_filler_frames_total{reason=\"paused\"}");
    assert!(filler > 0.0);
    assert_eq!(Some(filler), before["capture"]["filler_samples"].as_f64());
    let between = |series: &str, field: &dyn Fn(&Value) -> &Value| {
        let (low, high) = (field(&before).as_f64().unwrap(), field(&after).as_f64().unwrap());
        let value = page.get(series);
        assert!(low <= value && value <= high && high > 0.0, "{series}: {low} <= {value} <= {high}");
    };
    between("talas_capture_frames_total", &|status| &status["capture"]["captured_samples"]);
    assert!(page.get("talas_uptime_seconds") >= before["uptime_seconds"].as_f64().unwrap());
    let realtime = one_state(&page, "talas_capture_realtime");
    assert_eq!(Some(realtime.as_str()), after["capture"]["realtime"].as_str());
    let version = format!("talas_build_info{{version={}}}", after["version"]);
    assert_eq!(page.get(&version), 1.0);
}

#[test]
fn the_process_is_told_as_the_system_tells_it() {
    let daemon = Setup::tone().start();
    let page = scrape(&daemon);
    let resident = page.get("talas_process_resident_memory_bytes");
    assert!(resident > 1e6 && resident < page.get("talas_process_virtual_memory_bytes"));
    let entries =
        |folder: &str| std::fs::read_dir(format!("/proc/{}/{folder}", daemon.pid())).unwrap().count() as f64;
    // Threads of the pool, and the scrape's own connection, come and go.
    assert!((page.get("talas_process_threads") - entries("task")).abs() <= 2.0);
    assert!((page.get("talas_process_open_fds") - entries("fd")).abs() <= 4.0);
    assert!(page.get("talas_process_max_fds") >= 1024.0);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
    let started = page.get("talas_process_start_time_seconds");
    assert!((now - started - page.get("talas_uptime_seconds")).abs() < 2.0, "{started}");
    let spent = |page: &Exposition| page.get("talas_process_cpu_seconds_total");
    eventually("time spent", || Some(()).filter(|()| spent(&scrape(&daemon)) > spent(&page)));
    let disk = page.get("veza_disk_usage_bytes");
    assert!(disk > 0.0 && page.get("talas_disk_free_bytes") > 0.0);
}

#[test]
fn faults_of_a_card_are_counted_by_reason() {
    let card = SimCard::new(|builder| builder);
    let daemon = card.setup("").start();
    let mut stream = daemon.stream("?encoding=s16");
    stream.frames(5);
    card.card.overrun().unwrap();
    assert_eq!(stream.until_gap()["reason"], "overrun");
    card.card.unplug().unwrap();
    stream.until_state("absent");
    assert_eq!(one_state(&scrape(&daemon), "talas_source_state"), "absent");
    card.card.replug().unwrap();
    stream.until_state("running");
    assert_eq!(stream.until_gap()["reason"], "absent");
    let (page, status) = (scrape(&daemon), daemon.status());
    let gaps = |reason: &str| page.count(&format!("talas_capture_gaps_total{{reason=\"{reason}\"}}"));
    assert_eq!((gaps("absent"), gaps("paused"), gaps("suspend")), (1, 0, 0));
    assert!(gaps("overrun") >= 1);
    let holes = ["overrun", "suspend", "stalled", "absent", "paused", "ring_full"].map(gaps);
    assert_eq!(Some(holes.iter().sum()), status["gaps"]["total"].as_u64());
    let capture = &status["capture"];
    for (series, field) in [
        ("talas_capture_overruns_total", "overruns"),
        ("talas_capture_unplugs_total", "unplugs"),
        ("talas_capture_stalls_total", "stalls"),
        ("talas_capture_suspends_total", "suspends"),
        ("talas_capture_lost_frames_total", "lost_samples"),
        ("talas_capture_nonfinite_samples_total", "nonfinite_samples"),
    ] {
        assert_eq!(Some(page.count(series)), capture[field].as_u64(), "{series}");
    }
    assert!(page.count("talas_capture_lost_frames_total") > 0);
}

#[test]
fn labels_do_not_grow_with_listeners() {
    let daemon = Setup::tone().start();
    // What is measured over seconds comes late.
    let measured = |page: &Exposition| {
        ["talas_loudness_range_lu", "talas_dynamic_range_db", "talas_quality_score"]
            .iter()
            .all(|family| page.kinds.contains_key(*family))
    };
    let without: BTreeSet<String> =
        eventually("everything measured", || Some(scrape(&daemon)).filter(measured)).names();
    let encodings = ["json", "f32", "s16", "deflate"];
    let mut streams = Vec::new();
    for (number, encoding) in (0..48).zip(encodings.iter().cycle()) {
        let scale = [1.0, 0.5, 0.25, 0.125][number / 4 % 4];
        streams.push(daemon.stream(&format!("?encoding={encoding}&quality={scale}&made_up={number}")));
    }
    for stranger in ["/made/up", "/metrics/", "/metrics?x=1", "/api/audio/stream?encoding=made_up"] {
        request(daemon.address(), "GET", stranger, &[("User-Agent", "made_up")], b"");
    }
    let page = scrape(&daemon);
    assert_eq!(page.count("audio_sse_connections_active"), 48);
    let new: Vec<_> = page.names().difference(&without).cloned().collect();
    assert_eq!(new.len(), 3 * 16, "three series for each rendition: {new:#?}");
    assert!(new.iter().all(|name| name.starts_with("talas_rendition_")));
    let listeners = page.series.iter().filter(|(name, _)| name.starts_with("talas_rendition_listeners"));
    assert_eq!(listeners.map(|(_, value)| value).sum::<f64>(), 48.0);
}

fn get(address: SocketAddr, path: &str) -> Answer {
    request(address, "GET", path, &[], b"")
}

/// Where the metrics have a listener of their own.
fn metrics_address(daemon: &Daemon) -> SocketAddr {
    let line = daemon.wait_for_log("event=\"metrics_listening\"");
    line.split_once("address=").unwrap().1.split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
fn the_founding_port_serves_metrics_and_nothing_else() {
    let daemon = Setup::tone().env("PROMETHEUS_PORT", "0").start();
    let address = metrics_address(&daemon);
    assert_eq!(address.ip().to_string(), "127.0.0.1");
    daemon.wait_for_status("running", |status| status["state"] == "running");
    assert!(scrape_at(address).get("talas_uptime_seconds") > 0.0);
    assert_eq!(get(address, "/healthz").json()["status"], "ok");
    assert_eq!(get(address, "/readyz").json()["status"], "ready");
    for elsewhere in ["/api/audio/stats", "/api/audio/stream", "/", "/api/audio/control"] {
        assert_eq!(get(address, elsewhere).status, 404, "{elsewhere}");
    }
    assert_eq!(request(address, "POST", "/metrics", &[], b"").status, 405);
    assert_eq!(request(address, "HEAD", "/metrics", &[], b"").status, 200);
    assert_eq!(request(address, "GET", "/metrics", &[("Host", "evil.example")], b"").status, 403);
    assert_eq!(daemon.get_any("/metrics").status, 404, "on that listener only");
    assert_eq!(daemon.get_any("/healthz").status, 200, "but this is on both");
    assert!(!daemon.status()["addresses"].to_string().contains(&address.port().to_string()));
}

#[test]
fn idle_connections_at_the_metrics_do_not_shut_the_main_door() {
    let mut daemon = Setup::tone().env("TALAS_HTTP__METRICS_LISTEN", "127.0.0.1:0").start();
    let address = metrics_address(&daemon);
    // More than that listener serves at a time.
    let idle: Vec<_> = (0..40).map(|_| common::connect(address)).collect();
    assert_eq!(daemon.get_any("/healthz").status, 200);
    daemon.stream("").frames(3);
    drop(idle);
    scrape_at(address);
    assert!(daemon.stop().success(), "both doors close");
}

#[test]
fn open_metrics_off_this_machine_are_refused() {
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:9090"] {
        let setup = Setup::tone().env("TALAS_ACCESS__MODE", "open");
        let output = setup.env("TALAS_HTTP__METRICS_LISTEN", address).run_to_end();
        assert_eq!(output.status.code(), Some(3), "{address}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("not a loopback address"));
    }
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = Setup::tone().env("PROMETHEUS_PORT", port).run_to_end();
    assert_eq!(output.status.code(), Some(4));
}

/// The body without its chunks.
fn dechunk(answer: &Answer) -> Vec<u8> {
    assert_eq!(answer.header("transfer-encoding"), Some("chunked"));
    let (mut rest, mut body) = (&answer.body[..], Vec::new());
    loop {
        let line = rest.iter().position(|byte| *byte == b'\r').unwrap();
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..line]).unwrap(), 16).unwrap();
        body.extend_from_slice(&rest[line + 2..][..size]);
        rest = &rest[line + 2 + size + 2..];
        if size == 0 {
            assert!(rest.is_empty());
            return body;
        }
    }
}

#[test]
fn answers_are_compressed_and_decode_to_the_same() {
    let daemon = Setup::tone().start();
    let _streams: Vec<_> = (0..5).map(|_| daemon.stream("?encoding=s16")).collect();
    let compressed = |encoding: &str, path: &str| {
        let answer = request(daemon.address(), "GET", path, &[("Accept-Encoding", encoding)], b"");
        assert_eq!(answer.header("content-encoding"), Some(encoding), "{path}");
        assert!(answer.headers.contains(&("vary".to_owned(), "accept-encoding".to_owned())));
        let packed = dechunk(&answer);
        let mut plain = Vec::new();
        match encoding {
            "gzip" => flate2::read::GzDecoder::new(&packed[..]).read_to_end(&mut plain).unwrap(),
            _ => brotli::Decompressor::new(&packed[..], 4096).read_to_end(&mut plain).unwrap(),
        };
        assert!(packed.len() < plain.len() * 2 / 3, "{} of {}", packed.len(), plain.len());
        plain
    };
    let fixed = |stats: &Value| {
        let listeners = stats["connections"].as_array().unwrap().iter();
        let ids: Vec<_> = listeners.map(|listener| listener["id"].clone()).collect();
        (ids, stats.as_object().unwrap().keys().cloned().collect::<Vec<_>>())
    };
    let plain = daemon.get("/api/audio/stats");
    assert_eq!(plain["connections"].as_array().unwrap().len(), 5);
    for encoding in ["gzip", "br"] {
        let stats: Value = serde_json::from_slice(&compressed(encoding, "/api/audio/stats")).unwrap();
        assert_eq!(fixed(&stats), fixed(&plain));
        let page = String::from_utf8(compressed(encoding, "/metrics")).unwrap();
        assert_eq!(Exposition::parse(&page).names(), scrape(&daemon).names());
    }
    let short = request(daemon.address(), "GET", "/healthz", &[("Accept-Encoding", "gzip")], b"");
    assert_eq!(short.header("content-encoding"), None);
    assert_eq!(short.json()["status"], "ok");
}

#[test]
fn a_stream_is_never_compressed() {
    let daemon = Setup::tone().start();
    for wish in ["gzip", "br", "gzip, br, deflate", "*", "identity;q=0"] {
        let mut stream =
            Sse::open_with(daemon.address(), "/api/audio/stream", &format!("Accept-Encoding: {wish}\r\n"));
        assert_eq!(stream.header("content-encoding"), None, "{wish}");
        stream.frames(2);
    }
}

//! The page: as files over HTTP, its modules under node, and the whole of it in a real Chromium.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use common::*;
use serde_json::Value;

/// A part of these tests that this machine lacks a program for: said so that nobody takes it for passed.
fn skipped(what: &str, package: &str) {
    eprintln!("\n*** SKIPPED: {what}: there is no {package} here (apt-get install {package}) ***\n");
}

#[test]
fn files_come_with_their_type_their_tag_and_their_policy() {
    let daemon = Setup::tone().start();
    let expected = [
        ("/", "text/html; charset=utf-8"),
        ("/style.css", "text/css; charset=utf-8"),
        ("/icon.svg", "image/svg+xml"),
        ("/page.js", "text/javascript; charset=utf-8"),
        ("/talas-client.js", "text/javascript; charset=utf-8"),
        ("/player-worklet.js", "text/javascript; charset=utf-8"),
    ];
    for (path, mime) in expected {
        let answer = daemon.get_any(path);
        assert_eq!((answer.status, answer.header("content-type")), (200, Some(mime)), "{path}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
        assert_eq!(answer.header("cache-control"), Some("no-cache"));
        let policy = answer.header("content-security-policy").unwrap();
        let own = if path == "/" { "script-src 'self';" } else { "frame-ancestors 'none'" };
        assert!(policy.starts_with("default-src 'none'; ") && policy.contains(own), "{path}: {policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        let tag = answer.header("etag").unwrap().to_owned();
        let again = request(daemon.address(), "GET", path, &[("If-None-Match", &tag)], b"");
        assert_eq!((again.status, again.body.len(), again.header("etag")), (304, 0, Some(tag.as_str())));
        let head = request(daemon.address(), "HEAD", path, &[], b"");
        assert_eq!(head.status, 200);
        assert_eq!(head.header("content-length"), Some(answer.body.len().to_string().as_str()));
    }
    assert_eq!(request(daemon.address(), "POST", "/", &[], b"").status, 405);
    assert_eq!(daemon.get_any("/index.html").status, 404);
    assert_eq!(daemon.get_any("/../Cargo.toml").status, 404);
}

#[test]
fn the_client_may_resume_from_an_allowed_page() {
    let headers = "[http.cors]\nheaders = [\"Authorization\", \"Last-Event-ID\"]\n[capture.tone]\n";
    let daemon = Setup::new(headers).start();
    let asking = [
        ("Origin", "http://localhost:3000"),
        ("Access-Control-Request-Method", "GET"),
        ("Access-Control-Request-Headers", "authorization,last-event-id"),
    ];
    let answer = request(daemon.address(), "OPTIONS", "/api/audio/stream", &asking, b"");
    assert_eq!(answer.header("access-control-allow-origin"), Some("http://localhost:3000"));
    let allowed = answer.header("access-control-allow-headers").unwrap().to_ascii_lowercase();
    for header in ["authorization", "last-event-id"] {
        assert!(allowed.split(',').any(|one| one.trim() == header), "{allowed}");
    }
}

#[test]
fn modules_do_what_their_tests_say() {
    let node = Command::new("node").arg("--version").output();
    if !node.is_ok_and(|version| version.status.success()) {
        return skipped("the tests of the page's modules", "nodejs");
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut tests: Vec<_> =
        std::fs::read_dir(root.join("web/test")).unwrap().map(|entry| entry.unwrap().path()).collect();
    tests.retain(|path| path.extension().is_some_and(|extension| extension == "mjs"));
    assert!(!tests.is_empty());
    let output = Command::new("node").arg("--test").args(&tests).current_dir(root).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

/// A port that is free now: the page must find the daemon there again after a restart.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn daemon_on(port: u16) -> Daemon {
    Setup::new(&format!(
        "http.listen = [\"127.0.0.1:{port}\"]\nhttp.hosts = [\"talas.test\"]\n\
         [capture.tone]\nfrequency_hz = 440.0\nlevel_dbfs = -12.0\n"
    ))
    .start()
}

const STATE: &str = "document.querySelector('#state').dataset.state";

fn wait_for_state(browser: &mut Browser, state: &str) -> Duration {
    browser.wait_until(state, &format!("{STATE} === '{state}'"))
}

/// Which part of the waveform's pixels shows sound, as `[upper lane, lower lane]`.
const INK: &str = "(() => {
    const shown = document.querySelector('#wave');
    // Read from a copy: the page's own canvas stays where it is drawn fastest.
    const canvas = new OffscreenCanvas(shown.width, shown.height);
    const pen = canvas.getContext('2d', { willReadFrequently: true });
    pen.drawImage(shown, 0, 0);
    const lane = (top) => {
        const pixels = pen.getImageData(0, top, canvas.width, canvas.height / 2).data;
        let inked = 0;
        for (let n = 0; n < pixels.length; n += 4) {
            const [red, green, blue, alpha] = pixels.subarray(n, n + 4);
            // The grid is grey, sound is not.
            inked += alpha > 100 && Math.max(red, green, blue) - Math.min(red, green, blue) > 60;
        }
        return inked / (pixels.length / 4);
    };
    return [lane(0), lane(canvas.height / 2)];
})()";

fn ink(browser: &mut Browser) -> [f64; 2] {
    let ink = browser.eval(INK);
    [ink[0].as_f64().unwrap(), ink[1].as_f64().unwrap()]
}

#[test]
fn shows_plays_and_steers_in_a_real_browser() {
    let Some(program) = chromium() else { return skipped("the page in a browser", "chromium") };
    let port = free_port();
    let daemon = daemon_on(port);
    let mut browser = Browser::launch(&program);
    browser.dress(1280, 860, 2.0, "dark");
    browser.open(&format!("http://127.0.0.1:{port}/"));
    wait_for_state(&mut browser, "running");
    shows_sound(&daemon, &mut browser);
    tells_gaps(&daemon, &mut browser);
    plays(&daemon, &mut browser, "worklet", "packets/opus/10");
    changes_quality(&daemon, &mut browser);
    pauses(&daemon, &mut browser);
    looks(&mut browser);
    assert_eq!(browser.complaints, Vec::<String>::new(), "console and content security policy are quiet");
    comes_back(daemon, &mut browser);
}

#[test]
fn works_under_tls() {
    let Some(program) = chromium() else { return skipped("the page under TLS", "chromium") };
    let setup = Setup::new(
        "http.listen = [\"127.0.0.1:0\"]\n[http.tls]\ncert = \"cert.pem\"\nkey = \"key.pem\"\n\
         [capture.tone]\nfrequency_hz = 440.0\nlevel_dbfs = -12.0\n",
    );
    Pair::new().put(setup.dir());
    let daemon = setup.start();
    let mut browser = Browser::launch(&program);
    browser.open(&format!("https://{}/", daemon.address()));
    wait_for_state(&mut browser, "running");
    browser.wait_until("both lanes", &format!("{INK}.every((ink) => ink > 0.05)"));
    plays(&daemon, &mut browser, "worklet", "packets/opus/10");
    // A change, which is refused to pages of another origin.
    browser.eval("document.querySelector('#pause').click()");
    wait_for_state(&mut browser, "paused");
    let spoken = "performance.getEntriesByType('navigation')[0].nextHopProtocol";
    assert_eq!(browser.eval(spoken), "h2");
    assert_eq!(browser.complaints, Vec::<String>::new(), "console and content security policy are quiet");
}

fn shows_sound(daemon: &Daemon, browser: &mut Browser) {
    browser.wait_until("both lanes", &format!("{INK}.every((ink) => ink > 0.05)"));
    for lane in ["#meter-a", "#meter-b"] {
        browser.wait_until(
            "levels",
            &format!("document.querySelector('{lane} .value').textContent === '−12.0'"),
        );
    }
    browser.wait_until("statistics", "document.querySelector('[data-stat=listeners]').textContent === '1'");
    let stats = daemon.get("/api/audio/stats");
    assert_eq!(stats["connection_count"], 1, "one stream for each page: {stats}");
    let name = stats["connections"][0]["user_agent"].as_str().unwrap();
    assert!(name.contains("Chrome"), "{name}");
    assert_eq!(browser.eval("document.querySelectorAll('[name=quality]:checked')[0].value"), "1");
}

fn tells_gaps(daemon: &Daemon, browser: &mut Browser) {
    assert!(daemon.ctl(&["tone", "fault", "unplug", "--ms", "700"]).status.success());
    wait_for_state(browser, "absent");
    wait_for_state(browser, "running");
    browser.wait_until("the gap", "document.querySelector('#gaps').rows.length === 1");
    let row =
        browser.eval("[...document.querySelector('#gaps').rows[0].cells].map((cell) => cell.innerText)");
    assert_eq!(row[1], "device absent");
    let samples: f64 = row[3].as_str().unwrap().replace(',', "").parse().unwrap();
    assert!((0.6..3.0).contains(&(samples / 48_000.0)), "{row}");
    assert!(daemon.ctl(&["tone", "fault", "overrun", "--ms", "40"]).status.success());
    browser.wait_until("the second gap", "document.querySelector('#gaps').rows.length === 2");
    browser.picture("gap");
}

const LEVEL_OUT: &str = "import('/page.js').then(({ player }) => {
    if (!player.analyser) return 0;
    const samples = new Float32Array(player.analyser.fftSize);
    player.analyser.getFloatTimeDomainData(samples);
    return Math.max(...samples.map(Math.abs));
})";

/// Listens for ten seconds: low-latency sound at the right level, a buffer that neither drains nor grows, and
/// the delay in sight.
fn plays(daemon: &Daemon, browser: &mut Browser, way: &str, rendition: &str) {
    browser.eval("document.querySelector('#listen').click()");
    browser.wait_until("sound", "import('/page.js').then(({ player }) => player.report?.isPlaying === true)");
    assert_eq!(browser.eval("import('/page.js').then(({ player }) => player.way)"), way);
    browser
        .wait_until("packets", "import('/page.js').then(({ listening }) => listening.source === 'socket')");
    let status = daemon.status();
    let names: Vec<_> = status["renditions"].as_array().unwrap().iter().map(|one| &one["name"]).collect();
    assert!(names.contains(&&Value::from(rendition)), "{names:?}");
    assert_eq!((&status["listeners"]["sse"], &status["listeners"]["websocket"]), (&1.into(), &1.into()));
    browser.wait_until("its delay", "/^Delay \\d+ ms/.test(document.querySelector('#player').textContent)");
    let begun = Instant::now();
    let mut fills = Vec::new();
    while begun.elapsed() < Duration::from_secs(10) {
        std::thread::sleep(Duration::from_millis(500));
        fills.push(report(browser)["fillS"].as_f64().unwrap());
    }
    // A machine that stood still for a moment may drain it once; it must not grow, nor stay empty.
    assert!(fills.iter().all(|fill| *fill < 0.6), "the buffer is bounded: {fills:?}");
    let filled = fills.iter().filter(|fill| **fill > 0.02).count();
    assert!(2 * filled > fills.len(), "the buffer holds something: {fills:?}");
    browser.wait_until("sound", "import('/page.js').then(({ player }) => player.report?.isPlaying === true)");
    // -12 dBFS times the slider's 80 %, squared; the fine print is the wave's shape between samples.
    let peak = browser.eval(LEVEL_OUT).as_f64().unwrap();
    assert!((0.13..0.18).contains(&peak), "{peak} comes out");
    // What the buffer holds is in it, and what a busy machine adds to it is bounded.
    let is_sensible =
        "import('/page.js').then(({ listening: { delayMs } }) => delayMs > 10 && delayMs < 1500)";
    browser.wait_until("a sensible delay", is_sensible);
    let after = report(browser);
    assert!((after["ratio"].as_f64().unwrap() - 1.0).abs() < 0.0031);
    browser.picture("listening");
}

fn report(browser: &mut Browser) -> Value {
    browser.eval("import('/page.js').then(({ player }) => player.report)")
}

fn changes_quality(daemon: &Daemon, browser: &mut Browser) {
    browser.eval("document.querySelector('[name=quality][value=\"0.125\"]').click()");
    browser.wait_until("6 of 48 kHz", "document.querySelector('#format').textContent === '6 of 48 kHz'");
    assert_eq!(daemon.status()["quality"]["scale"], 0.125);
    std::thread::sleep(Duration::from_millis(600));
    let peak = browser.eval(LEVEL_OUT).as_f64().unwrap();
    assert!((0.13..0.18).contains(&peak), "{peak} comes out of an eighth of the samples");
    // By somebody else: the page follows.
    assert!(daemon.ctl(&["quality", "1.0"]).status.success());
    browser.wait_until("48 kHz", "document.querySelector('[name=quality]:checked').value === '1'");
}

fn pauses(daemon: &Daemon, browser: &mut Browser) {
    browser.eval("document.querySelector('#pause').click()");
    wait_for_state(browser, "paused");
    assert_eq!(daemon.status()["state"], "paused");
    let shown = "document.querySelector('#veil-title').checkVisibility() \
        && document.querySelector('#veil').innerText.includes('nothing is captured')";
    assert_eq!(browser.eval(shown), true);
    browser.wait_until("silent meters", "document.querySelector('#meter-a .value').textContent === '−∞'");
    std::thread::sleep(Duration::from_millis(400));
    assert!(browser.eval(LEVEL_OUT).as_f64().unwrap() < 0.001, "silence comes out");
    browser.picture("paused");
    browser.eval("document.querySelector('#pause').click()");
    wait_for_state(browser, "running");
    browser.wait_until(
        "a gap for the pause",
        "document.querySelector('#gaps').rows[0].cells[1].textContent === 'paused'",
    );
}

/// Pictures in both schemes and widths; nothing is wider than the window.
fn looks(browser: &mut Browser) {
    let cases = [
        ("wide-dark", 1280, 860, 2.0, "dark"),
        ("wide-light", 1280, 860, 1.0, "light"),
        ("narrow-dark", 390, 1500, 2.0, "dark"),
        ("narrow-light", 320, 1500, 2.0, "light"),
    ];
    for (name, width, height, scale, scheme) in cases {
        browser.dress(width, height, scale, scheme);
        let fits = "document.documentElement.scrollWidth <= innerWidth \
            && document.querySelector('#wave').width === Math.round(document.querySelector('#wave').clientWidth * devicePixelRatio)";
        browser.wait_until("a fitting page", fits);
        browser.eval("new Promise((done) => setTimeout(done, 300))");
        browser.picture(name);
    }
    browser.eval("document.querySelector('[name=view][value=scope]').click()");
    browser.dress(1280, 860, 2.0, "light");
    browser.eval("new Promise((done) => setTimeout(done, 300))");
    assert!(ink(browser).iter().all(|ink| *ink > 0.005), "the scope draws both channels");
    browser.picture("scope");
    browser.dress(1280, 860, 2.0, "dark");
}

fn comes_back(daemon: Daemon, browser: &mut Browser) {
    let mut daemon = daemon;
    assert!(daemon.stop().success());
    wait_for_state(browser, "lost");
    browser.wait_until(
        "a countdown",
        "/Next attempt in \\d+ s/.test(document.querySelector('#veil').innerText)",
    );
    browser.picture("lost");
    let daemon = daemon.start_again();
    wait_for_state(browser, "running");
    browser.wait_until("sound", &format!("{INK}.every((ink) => ink > 0.005)"));
    // Listening goes on too: one stream for what is seen, one for what is heard.
    daemon.wait_for_status("both", |status| {
        (&status["listeners"]["sse"], &status["listeners"]["websocket"]) == (&1.into(), &1.into())
    });
    browser.wait_until("sound", "import('/page.js').then(({ player }) => player.report?.isPlaying === true)");
    let unexpected: Vec<_> = browser
        .complaints
        .iter()
        .filter(|complaint| {
            !complaint.contains("ERR_CONNECTION_REFUSED") && !complaint.contains("ERR_INCOMPLETE")
        })
        .collect();
    assert!(unexpected.is_empty(), "{unexpected:?}");
}

/// The module as a page of somebody else would use it.
fn hears_every_encoding(browser: &mut Browser) {
    for encoding in ["json", "f32", "s16", "deflate"] {
        let heard = browser.eval(&format!(
            "import('/talas-client.js').then(({{ AudioStreamClient }}) => new Promise((done, fail) => {{
                const client = new AudioStreamClient('', null, {{ encoding: '{encoding}', maxFps: 20 }});
                client.onError = fail;
                client.onFrame = (frame) => {{
                    client.disconnect();
                    done([frame.channel_a.length, client.calculateRMS(frame.channel_b)]);
                }};
                client.connect();
            }}))"
        ));
        assert_eq!(heard[0], 1024, "{encoding}");
        let rms = heard[1].as_f64().unwrap();
        assert!(
            (20.0 * rms.log10() + 15.0).abs() < 0.3,
            "{encoding}: a sine of -12 dBFS with an RMS of {rms}"
        );
    }
}

#[test]
fn plays_without_a_secure_context() {
    let Some(program) = chromium() else { return skipped("the page in a browser", "chromium") };
    let port = free_port();
    let daemon = daemon_on(port);
    let mut browser = Browser::launch(&program);
    browser.open(&format!("http://talas.test:{port}/"));
    assert_eq!(browser.eval("isSecureContext"), false);
    wait_for_state(&mut browser, "running");
    hears_every_encoding(&mut browser);
    plays(&daemon, &mut browser, "scheduled", "packets/s16");
    assert_eq!(browser.complaints, Vec::<String>::new());
}

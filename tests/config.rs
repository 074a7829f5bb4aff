//! The configuration from outside: what is read, what wins, and what is said about a broken one.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use talasd::capture::settings::{AlsaSettings, FileSettings, SourceSettings, ToneSettings};
use talasd::config::{self, Config, Difference, Environment, Loaded};
use talasd::error::{Error, Kind, Result};

/// Broken files, each beside the whole text that is said about it.
const BROKEN: &str = "tests/broken_config";

/// Set to write the texts instead of comparing them; read every line of the difference then.
const REWRITE: &str = "REWRITE_EXPECTED";

#[test]
fn broken_files_are_told_in_full() {
    let mut files: Vec<PathBuf> = fs::read_dir(BROKEN)
        .expect("directory of broken files")
        .map(|entry| entry.expect("entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    files.sort();
    assert!(files.len() > 25, "only {} broken files", files.len());
    let mut differences = String::new();
    for file in files {
        let error = config::load(Some(&file), &Environment::default()).expect_err(&file.to_string_lossy());
        assert_eq!(error.kind(), Kind::Config);
        let told = format!("{}\n", error.message());
        let expected = file.with_extension("txt");
        if std::env::var_os(REWRITE).is_some() {
            fs::write(&expected, &told).expect("write");
        }
        let expected = fs::read_to_string(&expected).unwrap_or_default();
        if told != expected {
            let _ = writeln!(differences, "{}: expected\n{expected}\ngot\n{told}", file.display());
        }
    }
    assert!(differences.is_empty(), "{differences}");
}

fn environment(variables: &[(&str, &str)]) -> Environment {
    variables.iter().copied().collect()
}

/// Loads a file with such text; gone with the directory.
fn load(text: &str, variables: &[(&str, &str)]) -> Result<Loaded> {
    let directory = tempfile::tempdir().expect("directory");
    let file = directory.path().join("talasd.toml");
    fs::write(&file, text).expect("write");
    config::load(Some(&file), &environment(variables))
}

fn good(text: &str, variables: &[(&str, &str)]) -> Config {
    load(text, variables).unwrap_or_else(|error| panic!("{error}")).config
}

/// What is said, for an empty file.
fn told(variables: &[(&str, &str)]) -> String {
    load("", variables).expect_err("an error").message().to_owned()
}

fn addresses(config: &Config) -> Vec<String> {
    config.http.listen.iter().map(ToString::to_string).collect()
}

fn error_of(path: &Path) -> Error {
    config::load(Some(path), &Environment::default()).expect_err("an error")
}

#[test]
fn environment_over_alias_over_file_over_default() {
    let file = "[http]\nmax_streams = 5\nmax_json_mb = 20\n[log]\nlevel = \"warn\"\n";
    let config = good(file, &[]);
    assert_eq!((config.http.max_streams, config.http.max_json_mb), (5, 20));
    assert_eq!(config.http.stale_after, Duration::from_secs(300));
    assert_eq!(good(file, &[("MAX_CONCURRENT_STREAMS", "6")]).http.max_streams, 6);
    assert_eq!(good(file, &[("TALAS_HTTP__MAX_STREAMS", "7")]).http.max_streams, 7);
    let config = good(file, &[("TALAS_LOG__LEVEL", "debug")]);
    assert_eq!((config.log.level.as_str(), config.http.max_streams), ("debug", 5));
}

#[test]
fn a_variable_is_toml_or_a_string_or_a_list_by_commas() {
    let both = ["127.0.0.1:1", "[::1]:2"];
    for value in [
        "127.0.0.1:1,[::1]:2",
        " 127.0.0.1:1 , [::1]:2, ",
        "['127.0.0.1:1', \"[::1]:2\"]",
        "'127.0.0.1:1','[::1]:2'",
    ] {
        assert_eq!(addresses(&good("", &[("TALAS_HTTP__LISTEN", value)])), both, "{value}");
    }
    assert_eq!(addresses(&good("", &[("TALAS_HTTP__LISTEN", "127.0.0.1:1")])), ["127.0.0.1:1"]);
    assert!(good("", &[("TALAS_HTTP__CORS__ORIGINS", "")]).http.cors.origins.is_empty());
    // What would be another type of TOML is a string where a string is wanted.
    for device in ["0", "true", "inf", "2026-11-20", "hw:CARD=Q,DEV=0", "[x", "'quoted"] {
        let SourceSettings::Alsa(alsa) = good("", &[("TALAS_CAPTURE__ALSA__DEVICE", device)]).capture.source
        else {
            panic!("not the card");
        };
        assert_eq!(alsa.device, device);
    }
    let config =
        good("", &[("TALAS_CAPTURE__TONE__LEVEL_DBFS", "-inf"), ("TALAS_CAPTURE__REQUIRED", "true")]);
    assert_eq!(
        config.capture.source,
        SourceSettings::Tone(ToneSettings { level_dbfs: f64::NEG_INFINITY, ..ToneSettings::default() })
    );
    assert!(config.capture.required);
}

#[test]
fn a_higher_source_replaces_a_lower_one() {
    let file = "[capture.alsa]\ndevice = \"hw:CARD=Q\"\n";
    let config = good(file, &[("TALAS_CAPTURE__FILE__PATH", "/srv/a.flac")]);
    let played = SourceSettings::File(FileSettings { path: "/srv/a.flac".into(), repeat: true });
    assert_eq!(config.capture.source, played);
    // Of the same source, key by key.
    let config = good("capture.tone.frequency_hz = 1000", &[("TALAS_CAPTURE__TONE__LEVEL_DBFS", "-6")]);
    let tone = SourceSettings::Tone(ToneSettings { frequency_hz: 1000.0, level_dbfs: -6.0 });
    assert_eq!(config.capture.source, tone);
    // An empty table chooses too; none is the card.
    assert_eq!(good("[capture.tone]", &[]).capture.source, SourceSettings::Tone(ToneSettings::default()));
    assert_eq!(good("[capture]", &[]).capture.source, SourceSettings::Alsa(AlsaSettings::default()));
}

#[test]
fn founding_names_replace_half_an_address() {
    let listen = |file: &str, variables: &[(&str, &str)]| addresses(&good(file, variables));
    assert_eq!(listen("", &[("STREAM_SERVER_PORT", "9000")]), ["127.0.0.1:9000"]);
    assert_eq!(listen("", &[("STREAM_SERVER_HOST", "127.0.0.2")]), ["127.0.0.2:8080"]);
    assert_eq!(listen("", &[("STREAM_SERVER_HOST", "::1"), ("STREAM_SERVER_PORT", "1")]), ["[::1]:1"]);
    assert_eq!(
        listen("", &[("STREAM_SERVER_HOST", "localhost"), ("STREAM_SERVER_PORT", "")]),
        ["127.0.0.1:8080"]
    );
    let file = "http.listen = ['[::1]:7', '127.0.0.1:7']";
    assert_eq!(listen(file, &[("STREAM_SERVER_PORT", "8")]), ["[::1]:8"]);
    // Both names are fine where they agree.
    let same = [("STREAM_SERVER_PORT", "9000"), ("TALAS_HTTP__LISTEN", "['127.0.0.1:9000']")];
    assert_eq!(listen("", &same), ["127.0.0.1:9000"]);
    assert_eq!(
        good("", &[("MAX_CONCURRENT_STREAMS", "16"), ("TALAS_HTTP__MAX_STREAMS", "0x10")]).http.max_streams,
        16
    );
}

#[test]
fn other_variables_are_nobodys_business() {
    let config =
        good("", &[("PATH", "/bin"), ("STATE_DIRECTORY", "x"), ("XTALAS_HTTP", "1"), ("REDIS_URL", "")]);
    assert_eq!(config, Config::default());
}

#[test]
fn wrong_values_name_their_variable() {
    let message = told(&[
        ("TALAS_CAPTURE__SAMPLE_RATE", "44.1k"),
        ("TALAS_CAPTURE__CHANNELS", "64"),
        ("TALAS_HTTP__LISTEN", "127.0.0.1:80, localhost:81"),
        ("TALAS_LOG__LEVEL", "\"loud\""),
    ]);
    assert_eq!(
        message,
        r#"error: wrong value for `capture.channels`
 |
 | TALAS_CAPTURE__CHANNELS=64
 |                         ^^ expected a whole number from 1 to 32

error: wrong value for `capture.sample_rate`
 |
 | TALAS_CAPTURE__SAMPLE_RATE=44.1k
 |                            ^^^^^ expected a whole number from 8000 to 384000, found a string

error: wrong value for `http.listen`
 |
 | TALAS_HTTP__LISTEN=127.0.0.1:80, localhost:81
 |                                  ^^^^^^^^^^^^ an IP address, not a name: "127.0.0.1:81"

error: wrong value for `log.level`
 |
 | TALAS_LOG__LEVEL="loud"
 |                  ^^^^^^ expected one of "error", "warn", "info", "debug", "trace"

4 errors in the environment"#
    );
}

#[test]
fn unknown_variables_are_errors_and_show_no_value() {
    let message = told(&[
        ("TALAS_CAPTURE__ALSA", "{}"),
        ("TALAS_HTTP_LISTEN", "secret"),
        ("TALAS_SERVICE_HOST", "10.0.0.1"),
        ("TALAS_STORE__URL", "postgres://me:secret@db"),
        ("TALAS_WHATEVER", "secret"),
    ]);
    assert!(!message.contains("secret"), "{message}");
    assert_eq!(
        message,
        r#"error: `TALAS_CAPTURE__ALSA` names a table, not a key
 |
 | TALAS_CAPTURE__ALSA
 | ^^^^^^^^^^^^^^^^^^^ set its keys, as in `TALAS_CAPTURE__ALSA__DEVICE`

error: unknown variable `TALAS_HTTP_LISTEN`
 |
 | TALAS_HTTP_LISTEN
 | ^^^^^^^^^^^^^^^^^ did you mean `TALAS_HTTP__LISTEN`?

error: unknown variable `TALAS_SERVICE_HOST`
 |
 | TALAS_SERVICE_HOST
 | ^^^^^^^^^^^^^^^^^^ names no key of the configuration
 |
 = help: Kubernetes sets it for a Service; `enableServiceLinks: false` in the pod stops that

error: `TALAS_STORE__URL` sets `store.url`, which is not built yet in this version
 |
 | TALAS_STORE__URL
 | ^^^^^^^^^^^^^^^^ unset it

error: unknown variable `TALAS_WHATEVER`
 |
 | TALAS_WHATEVER
 | ^^^^^^^^^^^^^^ names no key of the configuration
 |
 = help: `talasd --print-config` lists the keys

5 errors in the environment"#
    );
}

#[test]
fn founding_names_of_what_is_not_built_are_refused() {
    let message = told(&[("DATABASE_URL", "postgres://me:secret@db"), ("STREAM_CHUNK_SIZE", "4096")]);
    assert_eq!(
        message,
        r#"error: `DATABASE_URL` sets `store.url`, which is not built yet in this version
 |
 | DATABASE_URL
 | ^^^^^^^^^^^^ unset it

error: `STREAM_CHUNK_SIZE` sets `http.chunk_bytes`, which is not built yet in this version
 |
 | STREAM_CHUNK_SIZE
 | ^^^^^^^^^^^^^^^^^ unset it

2 errors in the environment"#
    );
    for name in [
        "STREAM_BUFFER_SIZE",
        "REDIS_URL",
        "NATS_URL",
        "AUDIO_CACHE_DIR",
        "AUDIO_UPLOAD_DIR",
        "MAX_AUDIO_FILE_SIZE",
    ] {
        let message = told(&[(name, "1")]);
        assert!(message.contains(name) && message.contains("not built yet"), "{message}");
    }
}

#[test]
fn the_founding_port_of_the_metrics_is_on_this_machine() {
    let metrics = |variables: &[(&str, &str)]| good("", variables).http.metrics_listen;
    assert_eq!(metrics(&[]), None);
    assert_eq!(metrics(&[("PROMETHEUS_PORT", "")]), None);
    assert_eq!(metrics(&[("PROMETHEUS_PORT", "9090")]), "127.0.0.1:9090".parse().ok());
    assert_eq!(metrics(&[("TALAS_HTTP__METRICS_LISTEN", "[::1]:9090")]), "[::1]:9090".parse().ok());
    assert_eq!(metrics(&[("TALAS_HTTP__METRICS_LISTEN", "")]), None);
    let message = told(&[("PROMETHEUS_PORT", "99999")]);
    assert_eq!(
        message,
        r#"error: wrong value for `PROMETHEUS_PORT`
 |
 | PROMETHEUS_PORT=99999
 |                 ^^^^^ expected a port from 0 to 65535

1 error in the environment"#
    );
    let message = told(&[("PROMETHEUS_PORT", "8080")]);
    assert!(message.contains("127.0.0.1:8080 is in `http.listen` already"), "{message}");
    let message = told(&[("PROMETHEUS_PORT", "9090"), ("TALAS_HTTP__METRICS_LISTEN", "127.0.0.1:9091")]);
    assert!(message.contains("two variables differ about `http.metrics_listen`"), "{message}");
}

#[test]
fn founding_names_are_judged() {
    let message = told(&[
        ("STREAM_SERVER_HOST", "radio.local"),
        ("STREAM_SERVER_PORT", "http"),
        ("MAX_CONCURRENT_STREAMS", "-1"),
    ]);
    assert_eq!(
        message,
        r#"error: wrong value for `http.max_streams`
 |
 | MAX_CONCURRENT_STREAMS=-1
 |                        ^^ expected a whole number from 0 to 1000000

error: wrong value for `STREAM_SERVER_HOST`
 |
 | STREAM_SERVER_HOST=radio.local
 |                    ^^^^^^^^^^^ expected an IP address, such as 127.0.0.1 or ::1

error: wrong value for `STREAM_SERVER_PORT`
 |
 | STREAM_SERVER_PORT=http
 |                    ^^^^ expected a port from 0 to 65535

3 errors in the environment"#
    );
    let message = told(&[("STREAM_SERVER_HOST", "0.0.0.0"), ("TALAS_HTTP__LISTEN", "127.0.0.1:8080")]);
    assert_eq!(
        message,
        r#"error: two variables differ about `http.listen`
 |
 | TALAS_HTTP__LISTEN=127.0.0.1:8080
 |                    ^^^^^^^^^^^^^^ another value than STREAM_SERVER_HOST=0.0.0.0
 |
 = help: unset one of them

1 error in the environment"#
    );
    let message = told(&[("STREAM_SERVER_HOST", "0.0.0.0"), ("TALAS_ACCESS__MODE", "open")]);
    assert_eq!(
        message,
        r#"error: the door would be open to the network
 |
 | STREAM_SERVER_HOST=0.0.0.0
 |                    ^^^^^^^ not a loopback address
 |
 = help: access.mode is "open", which serves loopback addresses only, and http.listen has 0.0.0.0:8080: set access.mode to "token", or listen on 127.0.0.1 or [::1]

1 error in the environment"#
    );
}

#[test]
fn rules_reach_across_layers() {
    let variables = [
        ("TALAS_CAPTURE__PERIOD_MS", "50"),
        ("TALAS_CAPTURE__FILE__LOOP", "true"),
        ("TALAS_CAPTURE__TONE__LEVEL_DBFS", "-1"),
    ];
    let directory = tempfile::tempdir().expect("directory");
    let file = directory.path().join("talasd.toml");
    fs::write(&file, "[capture]\nbuffer_ms = 100\n").expect("write");
    let error = config::load(Some(&file), &environment(&variables)).expect_err("an error");
    assert_eq!(
        error.message().replace(&directory.path().to_string_lossy().into_owned(), "/etc/talas"),
        r#"error: the buffer holds fewer than 4 periods
 --> /etc/talas/talasd.toml:2:13
  |
2 | buffer_ms = 100
  |             ^^^ expected 200 or more, beside a period of 50 ms
  |
  = note: TALAS_CAPTURE__PERIOD_MS=50: expected 25 or less, beside a buffer of 100 ms

error: `capture.file.path` is missing
 |
 | TALAS_CAPTURE__FILE__LOOP=true
 |                           ^^^^ expected a `path`: the sound file to play

error: two sources of sound
 |
 | TALAS_CAPTURE__TONE__LEVEL_DBFS=-1
 |                                 ^^ [capture.tone] is another
 |
 = note: TALAS_CAPTURE__FILE__LOOP=true: [capture.file] is one
 = help: exactly one of [capture.alsa], [capture.file] and [capture.tone] may be given

1 error in /etc/talas/talasd.toml, 2 in the environment"#
    );
}

#[cfg(unix)]
#[test]
fn a_variable_that_is_no_text_is_told() {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;
    let value = OsString::from_vec(b"caf\xe9".to_vec());
    let environment: Environment = [("TALAS_CONTROL__GROUP", value.clone())].into_iter().collect();
    let error = config::load(Some(Path::new("etc/talasd.toml")), &environment).expect_err("an error");
    assert!(error.message().contains("the value of `TALAS_CONTROL__GROUP` is not UTF-8"), "{error}");
    // Of no concern where the name is none of ours.
    let environment: Environment = [("LS_COLORS", value)].into_iter().collect();
    assert!(config::load(Some(Path::new("etc/talasd.toml")), &environment).is_ok());
}

#[test]
fn files_that_cannot_be_read() {
    let directory = tempfile::tempdir().expect("directory");
    let path = |name: &str| directory.path().join(name);
    fs::write(path("huge.toml"), "#".repeat(300 * 1024)).expect("write");
    for (file, reason) in [
        (path("none.toml"), "there is no configuration file"),
        (directory.path().to_owned(), "it is a directory"),
        (path("huge.toml"), "it is larger than 256 KiB"),
        (path("huge.toml/under.toml"), "Not a directory"),
        (PathBuf::from("/dev/zero"), "it is larger than 256 KiB"),
        (PathBuf::from("a\0b"), "cannot read"),
    ] {
        let error = error_of(&file);
        assert_eq!(error.kind(), Kind::Config);
        assert!(error.message().contains(reason), "{error}");
    }
}

#[test]
fn other_ways_to_save_a_file() {
    let config = good("\u{feff}[capture]\r\nchannels = 1\r\n\r\n[log]\r\n\tlevel\t= 'warn'\r\n", &[]);
    assert_eq!((config.capture.channels, config.log.level.as_str()), (1, "warn"));
    assert_eq!(good("", &[]), Config::default());
    assert_eq!(good("http = { max_streams = 0b11, cors.credentials = false }", &[]).http.max_streams, 3);
}

#[test]
fn a_path_is_relative_to_its_file() {
    let directory = tempfile::tempdir().expect("directory");
    let file = directory.path().join("talasd.toml");
    fs::write(&file, "capture.file.path = 'music/a.wav'").expect("write");
    let loaded = config::load(Some(&file), &Environment::default()).expect("valid");
    let path = directory.path().join("music/a.wav");
    assert_eq!(loaded.config.capture.source, SourceSettings::File(FileSettings { path, repeat: true }));
    assert_eq!(loaded.file.as_deref(), Some(file.as_path()));
}

#[test]
fn the_unwise_is_warned_about() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().expect("directory");
    let file = directory.path().join("talasd.toml");
    fs::write(&file, "[capture]\nrealtime_priority = 95\nalsa.device = \"hw:1,0\"\n").expect("write");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).expect("mode");
    let loaded = config::load(Some(&file), &Environment::default()).expect("valid");
    let shown =
        loaded.warnings.join("\n").replace(&directory.path().to_string_lossy().into_owned(), "/etc/talas");
    assert_eq!(
        shown,
        r#"/etc/talas/talasd.toml: everybody may write to it (mend it with chmod o-w)
/etc/talas/talasd.toml:2:21: capture.realtime_priority is 95: above 89 the kernel's own threads may have to wait
/etc/talas/talasd.toml:3:15: capture.alsa.device "hw:1,0" counts cards, whose order may change at any boot: `talasctl devices` lists names that stay"#
    );
    for (device, is_warned) in
        [("plughw:CARD=0,DEV=0", true), ("hw:CARD=Q,DEV=0", false), ("hw:Q", false), ("default", false)]
    {
        let loaded = load("", &[("TALAS_CAPTURE__ALSA__DEVICE", device)]).expect("valid");
        assert_eq!(!loaded.warnings.is_empty(), is_warned, "{device}");
    }
}

#[test]
fn differences_know_their_keys() {
    let old = good("[log]\nlevel = 'warn'\n", &[]);
    let new = good("[capture.tone]\n[http]\nhosts = ['radio.local']\n", &[]);
    let text = |value: &str| Some(value.to_owned());
    let difference =
        |key: &str, old: Option<String>, new: Option<String>| Difference { key: key.to_owned(), old, new };
    assert_eq!(config::differences(&old, &old), []);
    assert_eq!(
        config::differences(&old, &new),
        [
            difference("capture.alsa.device", text("\"default\""), None),
            difference("capture.tone.frequency_hz", None, text("440.0")),
            difference("capture.tone.level_dbfs", None, text("-18.0")),
            difference("http.hosts", text("[]"), text("[\"radio.local\"]")),
            difference("log.level", text("\"warn\""), text("\"info\"")),
        ]
    );
}

/// What a stranger hands in as a file must not hold the daemon up, whatever it is.
#[test]
fn garbage_is_refused_soon() {
    let lines = |line: &str| line.repeat(200 * 1024 / line.len());
    for text in [
        lines("=\n"),
        lines("x\n"),
        lines("["),
        lines("a = [\n"),
        lines("\n[a]"),
        lines("\"\"\"\n"),
        lines("\0"),
    ] {
        let start = Instant::now();
        assert!(load(&text, &[]).is_err());
        assert!(start.elapsed() < Duration::from_secs(20), "{:?} for {:?}", start.elapsed(), &text[..8]);
    }
    let many: String = (0..10_000).map(|number| format!("key{number} = 1\n")).collect();
    let error = load(&many, &[]).expect_err("an error");
    assert!(error.message().ends_with("; the first 40 are shown"), "{error}");
}

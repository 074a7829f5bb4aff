//! Laws of the configuration, over configurations and files that nobody wrote.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use proptest::sample::select;

use talasd::access::{Limits, Quota};
use talasd::capture::settings::{self as capture, AlsaSettings, FileSettings, SourceSettings, ToneSettings};
use talasd::config::{self, Config, Environment};
use talasd::dsp::effect::Effect;
use talasd::error::Result;
use talasd::http::settings::{self as http, Cors};
use talasd::station::live::Suffix;
use talasd::station::push::Settings as Push;
use talasd::tools::journal::Verbosity;

/// Text that has quotes, backslashes, hashes and letters of all sorts, and no control character.
const ANY_TEXT: &str = "[^\\p{C}]{0,20}";

fn load(text: &str) -> Result<Config> {
    let file = tempfile::NamedTempFile::new().expect("file");
    fs::write(file.path(), text).expect("write");
    config::load(Some(file.path()), &Environment::default()).map(|loaded| loaded.config)
}

fn listen() -> impl Strategy<Value = Vec<SocketAddr>> {
    let v4 = any::<[u8; 3]>().prop_map(|[b, c, d]| IpAddr::V4(Ipv4Addr::new(127, b, c, d)));
    let ip = prop_oneof![v4, Just(IpAddr::V6(Ipv6Addr::LOCALHOST))];
    btree_set((ip, any::<u16>()), 1..5).prop_map(|set| set.into_iter().map(SocketAddr::from).collect())
}

fn cors() -> impl Strategy<Value = Cors> {
    let origin = "(http|https|app\\+x)://([a-z0-9]{1,9}(\\.[a-z0-9]{1,9}){0,2}|\\[::1\\]|10\\.0\\.0\\.1)(:[1-9][0-9]{3})?";
    let methods = vec(select(vec!["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]), 0..4);
    (vec(origin, 0..3), methods, vec("[A-Za-z][A-Za-z0-9-]{0,12}", 0..3), any::<bool>()).prop_map(
        |(origins, methods, headers, credentials)| Cors {
            origins,
            methods: methods.into_iter().map(str::to_owned).collect(),
            headers,
            credentials,
        },
    )
}

fn tls() -> impl Strategy<Value = http::Tls> {
    let on = (listen(), 0..=63_072_000_u64).prop_map(|(redirect_listen, hsts_s)| http::Tls {
        cert: Some("/etc/talas/tls/cert.pem".into()),
        key: Some("/etc/talas/tls/key.pem".into()),
        redirect_listen,
        hsts_max_age: Duration::from_secs(hsts_s),
    });
    prop_oneof![Just(http::Tls::default()), on]
}

fn doors() -> impl Strategy<Value = http::Settings> {
    let hosts = vec("[a-z0-9]{1,9}(\\.[a-z0-9]{1,9}){0,2}|::1|192\\.168\\.1\\.4", 0..3);
    // Never an address of `listen`: those are 127.x.x.x or ::1 with any port, this one has a family alone.
    let metrics =
        proptest::option::of(any::<u16>().prop_map(|port| {
            SocketAddr::new(IpAddr::V6(Ipv4Addr::new(127, 0, 0, 1).to_ipv6_mapped()), port)
        }));
    let proxies = vec((any::<IpAddr>(), 0..=32_u8), 0..3).prop_map(|proxies| {
        let networks =
            proxies.into_iter().map(|(ip, bits)| format!("{ip}/{bits}").parse().expect("a network"));
        networks.collect()
    });
    let names = (hosts, proxies, cors(), tls());
    let sizes = (1..=100_u32, 1..=60_u32, 8..=1024_u32);
    let numbers = (1..=60_u64, 61..=86_400_u64, sizes, 0..=1_000_000_u32);
    (listen(), metrics, names, numbers).prop_map(
        |(
            listen,
            metrics_listen,
            (hosts, trusted_proxies, cors, tls),
            (heartbeat, stale, (max_json_mb, max_url_kb, max_head_kb), max_streams),
        )| http::Settings {
            listen,
            metrics_listen,
            hosts,
            trusted_proxies,
            tls,
            cors,
            sse_heartbeat: Duration::from_secs(heartbeat),
            stale_after: Duration::from_secs(stale),
            max_json_mb,
            max_url_kb,
            max_head_kb,
            max_streams,
        },
    )
}

fn source() -> impl Strategy<Value = SourceSettings> {
    let device = ANY_TEXT.prop_filter("a name", |name| !name.trim().is_empty());
    let level = prop_oneof![Just(f64::NEG_INFINITY), -200.0..=0.0];
    prop_oneof![
        device.prop_map(|device| SourceSettings::Alsa(AlsaSettings { device })),
        (ANY_TEXT, any::<bool>()).prop_map(|(name, repeat)| {
            let path = format!("/srv/{}x", name.replace('/', "_")).into();
            SourceSettings::File(FileSettings { path, repeat })
        }),
        (0.001..3999.0, level).prop_map(|(frequency_hz, level_dbfs)| SourceSettings::Tone(ToneSettings {
            frequency_hz,
            level_dbfs
        })),
    ]
}

fn sound() -> impl Strategy<Value = capture::Settings> {
    let shape = (8000..=384_000_u32, 1..=32_u16, 8..=2048_u32, 0..=31_u16, 0..=31_u16);
    let time = (1..=100_u32, 400..=10_000_u32, 0..=98_u8, any::<bool>());
    (shape, time, source()).prop_map(
        |((sample_rate, channels, eighths, channel_a, channel_b), time, source)| {
            let (period_ms, buffer_ms, realtime_priority, required) = time;
            capture::Settings {
                sample_rate,
                channels,
                block_frames: eighths * 8,
                channel_a,
                channel_b,
                period_ms,
                buffer_ms,
                realtime_priority,
                required,
                source,
            }
        },
    )
}

/// Any settings within their ranges, and frequencies for the lowest sample rate.
fn effects() -> impl Strategy<Value = Vec<Effect>> {
    let effect = (select(Effect::kinds()), vec(0.0..1.0_f64, 8)).prop_map(|(mut effect, parts)| {
        for ((parameter, _), part) in effect.parameters().into_iter().zip(parts) {
            let most = if parameter.name == "frequency_hz" { 3_999.0 } else { parameter.most };
            effect.set(parameter.name, parameter.least + (most - parameter.least) * part);
        }
        effect
    });
    vec(effect, 0..5)
}

/// Passwords are not printed, so they cannot be read back.
fn pushes() -> impl Strategy<Value = Vec<Push>> {
    let formats = vec![Suffix::Mp3, Suffix::Aac, Suffix::Opus, Suffix::Ogg, Suffix::Oga];
    let words = (ANY_TEXT, ANY_TEXT, any::<bool>(), select(formats));
    let scheme = select(vec!["icecast", "http", "https"]);
    let push = (scheme, "/[a-z0-9%~./_-]{1,20}[a-z]", words).prop_filter_map(
        "a mount point",
        |(scheme, mount, (name, description, public, format))| {
            let url = format!("{scheme}://radio.example{mount}").parse().ok();
            url.is_some().then(|| Push { url, name, description, public, format, ..Push::default() })
        },
    );
    vec(push, 0..4).prop_map(|mut pushes| {
        let mut seen: Vec<Push> = Vec::new();
        pushes.retain(|push| {
            let mount = push.url.as_ref().map(|url| (url.port(), url.mount().to_owned()));
            let is_new = seen
                .iter()
                .all(|other| other.url.as_ref().map(|url| (url.port(), url.mount().to_owned())) != mount);
            seen.push(push.clone());
            is_new
        });
        pushes
    })
}

fn limits() -> impl Strategy<Value = Limits> {
    let count = || 0..=1_000_000_u32;
    let quota = move || {
        (count(), count(), count(), any::<u32>()).prop_map(
            |(requests_per_s, new_streams_per_s, streams, bytes_per_s)| Quota {
                requests_per_s,
                new_streams_per_s,
                streams,
                bytes_per_s,
            },
        )
    };
    (1..=3600_u32, quota(), quota(), quota(), quota())
        .prop_map(|(burst_s, address, user, token, key)| Limits { burst_s, address, user, token, key })
}

fn whole() -> impl Strategy<Value = Config> {
    let level = select(Verbosity::ALL.map(|(_, level)| level).to_vec());
    let control = (ANY_TEXT, "[a-z_][a-z0-9_-]{0,31}");
    (doors(), sound(), effects(), limits(), level, control, pushes()).prop_map(
        |(http, capture, effects, limits, level, (socket, group), push)| {
            let mut config = Config { http, capture, push, ..Config::default() };
            config.process.effects = effects;
            config.access.limits = limits;
            config.log.level = level;
            config.control.socket = format!("/run/{}x", socket.replace('/', "_")).into();
            config.control.group = group;
            config
        },
    )
}

/// The shipped file with a stretch of it replaced: nearly right, as broken files are.
fn damaged() -> impl Strategy<Value = String> {
    let sample: Vec<char> = config::sample().chars().filter(|letter| *letter != '#').collect();
    let length = sample.len();
    let with = prop_oneof!["\\PC{0,4}", "[\\[\\]{}=\"',.\\n\r\t \u{0}]{0,6}"];
    vec((0..length, 0..60_usize, with), 1..4).prop_map(move |damages| {
        let mut text = sample.clone();
        for (at, gone, with) in damages {
            let at = at.min(text.len());
            let end = (at + gone).min(text.len());
            text.splice(at..end, with.chars());
        }
        text.into_iter().collect()
    })
}

proptest! {
    #[test]
    fn what_is_printed_reads_back(config in whole()) {
        let printed = config::print(&config);
        let read = load(&printed).map_err(|error| TestCaseError::fail(format!("{error}\n{printed}")))?;
        prop_assert_eq!(&read, &config);
        prop_assert_eq!(config::differences(&read, &config), []);
    }

    #[test]
    fn what_differs_is_named(old in whole(), new in whole()) {
        let differences = config::differences(&old, &new);
        prop_assert_eq!(differences.is_empty(), old == new);
        prop_assert!(differences.iter().all(|difference| difference.old != difference.new));
    }

    #[test]
    fn a_damaged_file_is_read_or_told(text in damaged()) {
        if let Err(error) = load(&text) {
            let (_, sum) = error.message().rsplit_once("\n\n").unwrap_or(("", error.message()));
            prop_assert!(sum.contains(" error"), "{}", error);
        }
    }

    #[test]
    fn any_text_is_read_or_told(text in "(?s).{0,200}") {
        let _ = load(&text);
    }
}

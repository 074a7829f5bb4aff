//! The founding names of settings, which came before the configuration had a file.
//!
//! Some set a key. Those whose part is not built yet are refused with that reason: a daemon that
//! ignored them would not do what its operator asked for. An alias that is set to nothing is not
//! set, as container tools write it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use toml::Spanned;
use toml::de::{DeArray, DeValue};

use super::complaint::{Complaint, Place};
use super::environment::Environment;
use super::layer::{Entry, Layer};

/// Aliases that set a key as it is.
const SAME: [(&str, &str); 1] = [("MAX_CONCURRENT_STREAMS", "http.max_streams")];

const HOST: &str = "STREAM_SERVER_HOST";
const PORT: &str = "STREAM_SERVER_PORT";
const LISTEN: &str = "http.listen";

const METRICS_PORT: &str = "PROMETHEUS_PORT";
const METRICS_LISTEN: &str = "http.metrics_listen";

/// Where a daemon listens that is told one half of an address only.
const ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);

const EXPECTED_PORT: &str = "expected a port from 0 to 65535";

/// Aliases of keys that are not built yet.
const NOT_BUILT: [(&str, &str); 8] = [
    ("AUDIO_CACHE_DIR", "transcode.cache_dir"),
    ("AUDIO_UPLOAD_DIR", "library.upload_dir"),
    ("DATABASE_URL", "store.url"),
    ("MAX_AUDIO_FILE_SIZE", "library.max_file_size"),
    ("NATS_URL", "cluster.nats_url"),
    ("REDIS_URL", "cache.redis_url"),
    ("STREAM_BUFFER_SIZE", "http.read_ahead_bytes"),
    ("STREAM_CHUNK_SIZE", "http.chunk_bytes"),
];

/// The keys that aliases set. `listen` is what lower layers have: half an address replaces half of it.
pub(super) fn layer<'a>(
    environment: &'a Environment,
    listen: &[SocketAddr],
    complaints: &mut Vec<Complaint>,
) -> Layer<'a> {
    let mut layer = Layer::default();
    for (name, path) in SAME {
        if let Some(text) = set(environment, name, complaints) {
            layer.entries.insert(path.to_owned(), Entry::Variable { name, text });
        }
    }
    if let Some(entry) = address(environment, listen, complaints) {
        layer.entries.insert(LISTEN.to_owned(), entry);
    }
    if let Some(entry) = metrics_address(environment, complaints) {
        layer.entries.insert(METRICS_LISTEN.to_owned(), entry);
    }
    for (name, path) in NOT_BUILT {
        if set(environment, name, complaints).is_some() {
            complaints.push(Complaint::new(
                format!("`{name}` sets `{path}`, which is not built yet in this version"),
                // Its value may hold a password.
                Place::name_of_variable(name),
                "unset it",
            ));
        }
    }
    layer
}

fn set<'a>(environment: &'a Environment, name: &str, complaints: &mut Vec<Complaint>) -> Option<&'a str> {
    environment.text(name, complaints).filter(|text| !text.is_empty())
}

fn address<'a>(
    environment: &'a Environment,
    listen: &[SocketAddr],
    complaints: &mut Vec<Complaint>,
) -> Option<Entry<'a>> {
    let (host, port) = (set(environment, HOST, complaints), set(environment, PORT, complaints));
    let (name, text) = host.map(|host| (HOST, host)).or(port.map(|port| (PORT, port)))?;
    let mut address = listen.first().copied().unwrap_or(ADDRESS);
    if let Some(host) = host {
        match ip(host) {
            Some(ip) => address.set_ip(ip),
            None => complaints.push(wrong(HOST, host, "expected an IP address, such as 127.0.0.1 or ::1")),
        }
    }
    if let Some(port) = port {
        match port.parse() {
            Ok(port) => address.set_port(port),
            Err(_) => complaints.push(wrong(PORT, port, EXPECTED_PORT)),
        }
    }
    let span = 0..text.len();
    let mut addresses = DeArray::new();
    addresses.push(Spanned::new(span.clone(), DeValue::String(address.to_string().into())));
    Some(Entry::Alias { name, text, value: Spanned::new(span, DeValue::Array(addresses)) })
}

/// The founding documents knew a port; who scrapes it is on this machine.
fn metrics_address<'a>(environment: &'a Environment, complaints: &mut Vec<Complaint>) -> Option<Entry<'a>> {
    let text = set(environment, METRICS_PORT, complaints)?;
    let Ok(port) = text.parse() else {
        complaints.push(wrong(METRICS_PORT, text, EXPECTED_PORT));
        return None;
    };
    let address = SocketAddr::new(ADDRESS.ip(), port).to_string();
    let value = Spanned::new(0..text.len(), DeValue::String(address.into()));
    Some(Entry::Alias { name: METRICS_PORT, text, value })
}

fn wrong(name: &str, text: &str, label: &str) -> Complaint {
    let place = Place::in_variable(name, text, &(0..text.len()));
    Complaint::new(format!("wrong value for `{name}`"), place, label)
}

fn ip(host: &str) -> Option<IpAddr> {
    match host {
        "localhost" => Some(ADDRESS.ip()),
        _ => host.trim_matches(['[', ']']).parse().ok(),
    }
}

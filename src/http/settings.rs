//! `[http]` and `[http.cors]`.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::tls::Files;
use crate::access::Network;

/// `[http]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// TCP addresses to listen on.
    pub listen: Vec<SocketAddr>,
    /// Where `/metrics` is served instead of there.
    pub metrics_listen: Option<SocketAddr>,
    /// Further names that a `Host` header may carry, beside loopback names and the listen addresses:
    /// names in lower case and IP addresses, an IPv6 one without its brackets.
    pub hosts: Vec<String>,
    /// Proxies whose word on who asks is taken.
    pub trusted_proxies: Vec<Network>,
    /// `[http.tls]`.
    pub tls: Tls,
    /// `[http.cors]`.
    pub cors: Cors,
    /// Time between two heartbeats of a stream.
    pub sse_heartbeat: Duration,
    /// A connection whose peer accepts no byte for so long is reset.
    pub stale_after: Duration,
    /// Largest JSON body, in MiB.
    pub max_json_mb: u32,
    /// Longest path and query, in KiB.
    pub max_url_kb: u32,
    /// Largest head of a request, in KiB; of a connection that is open, what it was when that began.
    pub max_head_kb: u32,
    /// Streams at a time; 0 is no limit of its own.
    pub max_streams: u32,
}

/// `[http.tls]`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tls {
    /// The certificate, in PEM. With it and the key, `listen` speaks TLS.
    pub cert: Option<PathBuf>,
    /// Its private key, in PEM.
    pub key: Option<PathBuf>,
    /// TCP addresses where clients are sent to TLS who came without.
    pub redirect_listen: Vec<SocketAddr>,
    /// For how long browsers are to come by TLS only; none is not to say so.
    pub hsts_max_age: Duration,
}

impl Tls {
    /// The certificate and its key, where both are set.
    pub fn files(&self) -> Option<Files> {
        let (cert, key) = self.cert.clone().zip(self.key.clone())?;
        Some(Files { cert, key })
    }
}

/// `[http.cors]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cors {
    /// Origins of pages that may use the API from a browser.
    pub origins: Vec<String>,
    /// Methods they may use.
    pub methods: Vec<String>,
    /// Headers they may send.
    pub headers: Vec<String>,
    /// Whether they may send credentials.
    pub credentials: bool,
}

/// The port of the founding documents.
const PORT: u16 = 8080;

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: vec![(Ipv4Addr::LOCALHOST, PORT).into(), (Ipv6Addr::LOCALHOST, PORT).into()],
            metrics_listen: None,
            hosts: Vec::new(),
            trusted_proxies: Vec::new(),
            tls: Tls::default(),
            cors: Cors::default(),
            sse_heartbeat: Duration::from_secs(15),
            stale_after: Duration::from_secs(300),
            max_json_mb: 10,
            max_url_kb: 16,
            max_head_kb: 64,
            max_streams: 0,
        }
    }
}

impl Default for Cors {
    fn default() -> Self {
        let words = |list: &[&str]| list.iter().map(|&word| word.to_owned()).collect();
        Self {
            origins: words(&["http://localhost:3000", "http://localhost:8080"]),
            methods: words(&["GET", "POST", "OPTIONS"]),
            headers: words(&["Authorization", "Accept", "Content-Type", "Cache-Control"]),
            credentials: true,
        }
    }
}

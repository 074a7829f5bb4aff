//! TLS at the HTTP door: what certificate it shows, and how handshakes went.

use serde::{Deserialize, Serialize};

/// TLS at the door.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tls {
    /// What new connections are shown.
    pub certificate: Certificate,
    /// Where it came from.
    pub cert_file: String,
    /// Where its private key came from.
    pub key_file: String,
    /// Since when it is in force.
    pub since_ms: u64,
    /// Why what is in the files now is not in force; `null` where it is.
    pub problem: Option<String>,
    /// Handshakes since the daemon started.
    pub handshakes: Handshakes,
}

/// A certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// Whose it is, as RFC 4514 writes names.
    pub subject: String,
    /// Who signed it.
    pub issuer: String,
    /// Names and addresses of hosts that it is for.
    pub names: Vec<String>,
    /// From when it is good.
    pub not_before_ms: u64,
    /// Until when it is good.
    pub not_after_ms: u64,
    /// Its SHA-256 fingerprint, in hexadecimal with colons, as browsers show it.
    pub sha256: String,
}

/// Handshakes by how they ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handshakes {
    /// Not ended yet.
    pub under_way: u64,
    /// A connection came of it.
    pub done: u64,
    /// The two did not come together: no common version, a certificate that the client does not trust, rubbish.
    pub failed: u64,
    /// The client spoke HTTP without TLS.
    pub not_tls: u64,
    /// It took too long.
    pub late: u64,
    /// It was the oldest of too many.
    pub displaced: u64,
    /// The client left without a word.
    pub left: u64,
}

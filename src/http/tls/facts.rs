//! What a certificate says of itself.

use std::fmt::Write;
use std::net::IpAddr;

use sha2::{Digest, Sha256};
use talas_wire::Certificate;
use x509_cert::der::Decode;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::time::Time;

use crate::error::{Error, Kind, Result};

/// Reads a certificate (X.509, DER).
///
/// # Errors
/// [`Kind::Config`] for something else.
pub fn of(der: &[u8]) -> Result<Certificate> {
    let wrong = |error| Error::caused(Kind::Config, "it is not X.509", std::io::Error::other(error));
    let certificate = x509_cert::Certificate::from_der(der).map_err(wrong)?;
    let signed = certificate.tbs_certificate();
    let names = signed.get_extension::<SubjectAltName>().map_err(wrong)?;
    let names = names.map_or_else(Vec::new, |(_, names)| names.0.iter().filter_map(name).collect());
    let validity = signed.validity();
    Ok(Certificate {
        subject: signed.subject().to_string(),
        issuer: signed.issuer().to_string(),
        names,
        not_before_ms: milliseconds(validity.not_before),
        not_after_ms: milliseconds(validity.not_after),
        sha256: fingerprint(der),
    })
}

/// Names and addresses of hosts; others mean nothing here.
fn name(name: &GeneralName) -> Option<String> {
    match name {
        GeneralName::DnsName(name) => Some(name.as_str().to_owned()),
        GeneralName::IpAddress(octets) => {
            let octets = octets.as_bytes();
            let v4 = <[u8; 4]>::try_from(octets).map(IpAddr::from);
            v4.or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from)).ok().map(|ip| ip.to_string())
        }
        _ => None,
    }
}

fn milliseconds(time: Time) -> u64 {
    u64::try_from(time.to_unix_duration().as_millis()).unwrap_or(u64::MAX)
}

/// SHA-256 in hexadecimal with colons.
fn fingerprint(der: &[u8]) -> String {
    let mut text = String::new();
    for (n, byte) in Sha256::digest(der).iter().enumerate() {
        let colon = if n == 0 { "" } else { ":" };
        // Writing into a string does not fail.
        let _ = write!(text, "{colon}{byte:02X}");
    }
    text
}

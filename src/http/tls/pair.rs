//! A certificate and its private key, read, held against each other, and made ready to shake hands with.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::{Ticketer, default_provider};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::version::{TLS12, TLS13};
use sha2::{Digest, Sha256};

use super::{Files, facts};
use crate::error::{Context, Error, Kind, Result};
use crate::tools::clock::{self, NS_PER_MS};
use crate::tools::key_file;

/// Bits of the mode that a private key may not have: the group may read it, as keys are shared with services.
const OTHERS: u32 = 0o037;
/// Longest file: a chain has a few kilobytes.
const MOST_BYTES: usize = 128 * 1024;
/// What is spoken inside, the best first (RFC 7301).
const INSIDE: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// A certificate with its key.
#[derive(Debug)]
pub struct Pair {
    config: Arc<ServerConfig>,
    facts: talas_wire::Certificate,
    /// Of both files.
    print: [u8; 32],
    since_ms: u64,
}

impl Pair {
    /// What is in the files.
    ///
    /// # Errors
    /// [`Kind::Config`], with what is wrong in which file and what would be right.
    pub fn read(files: &Files) -> Result<Self> {
        let (cert, key) = (files.cert.display(), files.key.display());
        let wrong = |message: String| Error::new(Kind::Config, message);
        let chain_pem = key_file::read(&files.cert, MOST_BYTES)?;
        let key_pem = key_file::read_secret(&files.key, OTHERS, MOST_BYTES)?;
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&chain_pem)
            .collect::<Result<_, _>>()
            .map_err(|error| wrong(format!("{cert} is no PEM: {error}")))?;
        let leaf = chain.first().ok_or_else(|| {
            wrong(format!("{cert} holds no certificate: it has to begin with -----BEGIN CERTIFICATE-----"))
        })?;
        let facts = facts::of(leaf).context(|| format!("{cert} holds no certificate"))?;
        let private = PrivateKeyDer::from_pem_slice(&key_pem).map_err(|_| {
            wrong(format!("{key} holds no private key in PEM: it has to be there without a passphrase"))
        })?;
        let config = config(chain, private).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => {
                wrong(format!("the certificate in {cert} is for another key than the one in {key}"))
            }
            error => wrong(format!("the certificate in {cert} cannot be used with {key}: {error}")),
        })?;
        let print = Sha256::new().chain_update(&*chain_pem).chain_update(&*key_pem).finalize().into();
        let since_ms = u64::try_from(clock::wall_ns() / NS_PER_MS).unwrap_or(0);
        Ok(Self { config: Arc::new(config), facts, print, since_ms })
    }

    /// Whether both files held the same.
    pub fn is_same(&self, other: &Self) -> bool {
        self.print == other.print
    }

    /// What handshakes are made with.
    pub fn config(&self) -> Arc<ServerConfig> {
        self.config.clone()
    }

    /// What is known of the certificate.
    pub fn facts(&self) -> &talas_wire::Certificate {
        &self.facts
    }

    /// When it was read, in milliseconds since the epoch.
    pub fn since_ms(&self) -> u64 {
        self.since_ms
    }

    /// A line in the journal, and another one where its time has not come.
    pub fn tell(&self, files: &Files) {
        let talas_wire::Certificate { subject, sha256, not_before_ms, .. } = &self.facts;
        let file = files.cert.display();
        tracing::info!(event = "certificate_loaded", %file, subject, sha256, "the certificate is in force");
        if *not_before_ms > self.since_ms {
            tracing::warn!(event = "certificate_early", subject, "the certificate's time has not come");
        }
    }
}

/// The key to resume by is made anew with each pair: whoever comes back is shown the new certificate.
fn config(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ServerConfig, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[&TLS13, &TLS12])?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = INSIDE.iter().map(|name| name.to_vec()).collect();
    config.ticketer = Ticketer::new()?;
    Ok(config)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use rcgen::{CertifiedKey, generate_simple_self_signed};

    use super::*;

    fn made() -> (String, String) {
        let names = vec!["radio.example".to_owned(), "192.0.2.7".to_owned(), "2001:db8::7".to_owned()];
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(names).expect("made");
        (cert.pem(), signing_key.serialize_pem())
    }

    fn files(cert: &str, key: &str, mode: u32) -> (tempfile::TempDir, Files) {
        let dir = tempfile::tempdir().expect("temporary folder");
        let files = Files { cert: dir.path().join("cert.pem"), key: dir.path().join("key.pem") };
        fs::write(&files.cert, cert).expect("written");
        fs::write(&files.key, key).expect("written");
        fs::set_permissions(&files.key, fs::Permissions::from_mode(mode)).expect("set");
        (dir, files)
    }

    #[test]
    fn a_pair_is_known_by_what_is_in_it() {
        let (cert, key) = made();
        let (_dir, own) = files(&cert, &key, 0o640);
        let pair = Pair::read(&own).expect("a pair");
        assert_eq!(pair.facts().names, ["radio.example", "192.0.2.7", "2001:db8::7"]);
        assert_eq!(pair.facts().sha256.len(), 32 * 3 - 1);
        assert!(pair.facts().not_before_ms < pair.facts().not_after_ms);
        assert!(pair.is_same(&Pair::read(&own).expect("again")));
        let (other_cert, other_key) = made();
        let (_dir, other) = files(&other_cert, &other_key, 0o600);
        assert!(!pair.is_same(&Pair::read(&other).expect("another")));
    }

    #[test]
    fn what_is_no_pair_is_told_apart() {
        let (cert, key) = made();
        let (_, other) = made();
        let garbled = cert.replacen("MII", "AAA", 1);
        for (cert, key, mode, words) in [
            (cert.as_str(), other.as_str(), 0o600, "another key"),
            (&cert, &key, 0o644, "chmod 0600"),
            (&cert, &key, 0o604, "chmod 0600"),
            (&cert, &key, 0o660, "chmod 0600"),
            ("", &key, 0o600, "no certificate"),
            (&key, &key, 0o600, "no certificate"),
            (&garbled, &key, 0o600, "no certificate"),
            (&cert, "", 0o600, "no private key"),
            (&cert, &cert, 0o600, "no private key"),
        ] {
            let (_dir, files) = files(cert, key, mode);
            let error = Pair::read(&files).expect_err(words);
            assert_eq!(error.kind(), Kind::Config);
            assert!(error.chain().contains(words), "{words}: {}", error.chain());
        }
    }
}

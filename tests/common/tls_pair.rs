//! Certificates for tests and benchmarks, and the handshake of a client that trusts one.

use std::fs::{self, Permissions};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion};

/// Longest time that a socket may be silent.
const PATIENCE: Duration = Duration::from_secs(20);

pub const CERT: &str = "cert.pem";
pub const KEY: &str = "key.pem";

/// A key and a certificate that vouches for itself.
pub struct Pair {
    pub cert_pem: String,
    pub key_pem: String,
    pub der: CertificateDer<'static>,
}

impl Pair {
    /// For loopback.
    pub fn new() -> Self {
        Self::with(|_| {})
    }

    pub fn with(change: impl FnOnce(&mut CertificateParams)) -> Self {
        let mut parameters =
            CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        change(&mut parameters);
        let key = KeyPair::generate().unwrap();
        let certificate = parameters.self_signed(&key).unwrap();
        let (cert_pem, key_pem) = (certificate.pem(), key.serialize_pem());
        Self { cert_pem, key_pem, der: certificate.der().clone() }
    }

    /// Puts it where the daemon looks, as tools do: renamed over what was there, one file after the other.
    pub fn put(&self, dir: &Path) {
        put(dir, KEY, &self.key_pem);
        put(dir, CERT, &self.cert_pem);
    }
}

/// Renames a file with this content into place.
pub fn put(dir: &Path, name: &str, text: &str) {
    let new = dir.join(format!("{name}.new"));
    fs::write(&new, text).unwrap();
    fs::set_permissions(&new, Permissions::from_mode(0o600)).unwrap();
    fs::rename(new, dir.join(name)).unwrap();
}

pub type Tls = StreamOwned<ClientConnection, TcpStream>;

/// Shakes hands: trusting this certificate alone, with these protocols inside.
pub fn shake(
    address: SocketAddr,
    trusted: &Pair,
    inside: &[&str],
    versions: &[&'static SupportedProtocolVersion],
) -> std::io::Result<Tls> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.der.clone()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = inside.iter().map(|name| name.as_bytes().to_vec()).collect();
    let name = address.ip().into();
    let mut connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut socket = TcpStream::connect(address)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.set_write_timeout(Some(PATIENCE))?;
    while connection.is_handshaking() {
        connection.complete_io(&mut socket)?;
    }
    Ok(StreamOwned::new(connection, socket))
}

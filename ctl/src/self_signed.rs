//! `tls self-signed`: a key, and a certificate for the names and addresses of this machine that vouches for itself.
//! Made here, without the daemon: the key goes nowhere but into its file.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::net::{IpAddr, Ipv6Addr};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::ifaddrs::getifaddrs;
use nix::unistd::{User, geteuid, gethostname};
use rcgen::{
    CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
};
use serde::Serialize;
use sha2::{Digest, Sha256};
use time::{Duration, OffsetDateTime};

use crate::args::SelfSigned;
use crate::error::{Error, Kind, Result};

/// Root's files are for the daemon.
const DAEMON: &str = "talasd";
/// A clock that is behind takes the certificate all the same.
const EARLIER: Duration = Duration::days(1);

/// What was made.
#[derive(Debug, Serialize)]
pub struct Made {
    /// Where the certificate is.
    pub cert_file: PathBuf,
    /// Where its key is.
    pub key_file: PathBuf,
    /// What it is for.
    pub names: Vec<String>,
    /// For how many days.
    pub days: i64,
    /// Its SHA-256 fingerprint, in hexadecimal with colons, as browsers show it.
    pub sha256: String,
}

/// Makes it and writes both files.
pub fn make(wish: &SelfSigned) -> Result<Made> {
    let owner = owner(wish.owner.as_deref())?;
    if !wish.force
        && let Some(there) = [&wish.cert, &wish.key].into_iter().find(|path| path.symlink_metadata().is_ok())
    {
        let message = format!("{} is there already", there.display());
        return Err(Error::new(Kind::Failed, message).hint("--force replaces it"));
    }
    let names = names(&wish.names);
    let failed = |error: rcgen::Error| Error::new(Kind::Failed, format!("no certificate: {error}"));
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(failed)?;
    let certificate = parameters(&names, wish.days)?.self_signed(&key).map_err(failed)?;
    // The key first: a daemon that sees the certificate finds its key beside it.
    write(&wish.key, key.serialize_pem().as_bytes(), 0o600, owner.as_ref(), wish.force)?;
    write(&wish.cert, certificate.pem().as_bytes(), 0o644, owner.as_ref(), wish.force)?;
    Ok(Made {
        cert_file: wish.cert.clone(),
        key_file: wish.key.clone(),
        names,
        days: wish.days,
        sha256: fingerprint(certificate.der()),
    })
}

fn parameters(names: &[String], days: i64) -> Result<CertificateParams> {
    let wrong = |error| Error::new(Kind::Usage, format!("a name cannot be: {error}"));
    let mut parameters = CertificateParams::new(names).map_err(wrong)?;
    let now = OffsetDateTime::now_utc();
    parameters.not_before = now - EARLIER;
    parameters.not_after = now + Duration::days(days);
    let first = names.first().map_or("talas", String::as_str);
    parameters.distinguished_name.push(DnType::CommonName, first);
    parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    Ok(parameters)
}

/// What people on the network call this machine, and those further names.
fn names(further: &[String]) -> Vec<String> {
    let host = gethostname().ok().and_then(|name| name.into_string().ok()).filter(|name| is_host_name(name));
    // What mDNS calls a machine without a domain.
    let local = host.as_ref().filter(|name| !name.contains('.')).map(|name| format!("{name}.local"));
    let addresses = getifaddrs().into_iter().flatten().filter_map(|interface| {
        let address = interface.address?;
        let v4 = address.as_sockaddr_in().map(|address| IpAddr::from(address.ip()));
        v4.or_else(|| address.as_sockaddr_in6().map(|address| IpAddr::from(address.ip())))
    });
    let addresses = addresses.filter(|ip| !ip.is_loopback() && !is_of_one_link(ip)).map(|ip| ip.to_string());
    let here = ["localhost".to_owned(), "127.0.0.1".to_owned(), Ipv6Addr::LOCALHOST.to_string()];
    let mut names = Vec::new();
    for name in further.iter().cloned().chain(host).chain(local).chain(here).chain(addresses) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// A certificate takes names of the DNS only; machines may be called otherwise.
fn is_host_name(name: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    name.split('.').all(is_label)
}

/// Addresses that mean something only together with the name of an interface.
fn is_of_one_link(ip: &IpAddr) -> bool {
    matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local())
}

/// Who is to have the files; `None` is whoever runs this.
fn owner(wish: Option<&str>) -> Result<Option<User>> {
    let find = |name: &str| User::from_name(name).ok().flatten();
    match wish {
        Some(name) => {
            let missing = || Error::new(Kind::Usage, format!("there is no user {name}"));
            find(name).ok_or_else(missing).map(Some)
        }
        None if geteuid().is_root() => Ok(find(DAEMON)),
        None => Ok(None),
    }
}

/// Writes beside, then puts it in place: whoever reads finds all of it or what was there before.
fn write(path: &Path, content: &[u8], mode: u32, owner: Option<&User>, replaces: bool) -> Result<()> {
    let failed = |error: io::Error| {
        let kind = if error.kind() == io::ErrorKind::PermissionDenied { Kind::Denied } else { Kind::Failed };
        Error::new(kind, format!("cannot write {}: {error}", path.display()))
    };
    let name = path.file_name().ok_or_else(|| failed(io::ErrorKind::InvalidFilename.into()))?;
    let beside = path.with_file_name(format!(".{}.new", name.to_string_lossy()));
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory).map_err(failed)?;
    }
    let placed = write_new(&beside, content, mode, owner).and_then(|()| match replaces {
        true => fs::rename(&beside, path),
        // Unlike a rename, a link does not replace what came in between.
        false => fs::hard_link(&beside, path).and_then(|()| fs::remove_file(&beside)),
    });
    if placed.is_err() {
        // It may not be there.
        let _ = fs::remove_file(&beside);
    }
    placed.map_err(failed)
}

fn write_new(path: &Path, content: &[u8], mode: u32, owner: Option<&User>) -> io::Result<()> {
    // What an earlier run left behind may be open to somebody.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    if let Some(owner) = owner {
        std::os::unix::fs::fchown(&file, Some(owner.uid.as_raw()), Some(owner.gid.as_raw()))?;
    }
    file.write_all(content)?;
    file.sync_all()
}

/// SHA-256 in hexadecimal with colons.
fn fingerprint(der: &[u8]) -> String {
    let bytes: Vec<String> = Sha256::digest(der).iter().map(|byte| format!("{byte:02X}")).collect();
    bytes.join(":")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_this_machine_and_of_ones_own_stand_once() {
        let names = names(&["radio.example".to_owned(), "localhost".to_owned()]);
        assert_eq!(names[0], "radio.example");
        for name in ["localhost", "127.0.0.1", "::1"] {
            assert_eq!(names.iter().filter(|known| *known == name).count(), 1, "{names:?}");
        }
        assert!(!names.iter().any(|name| name.starts_with("fe80:")), "{names:?}");
    }

    #[test]
    fn a_machine_may_be_called_what_no_certificate_takes() {
        for good in ["radio", "radio-1.local", "a.b.c"] {
            assert!(is_host_name(good), "{good}");
        }
        for bad in ["", "my_box", "a..b", "b\u{e4}r", "a b"] {
            assert!(!is_host_name(bad), "{bad}");
        }
    }
}

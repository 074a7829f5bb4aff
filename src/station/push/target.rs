//! Where a push goes: the address of a mount point.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

/// The port of Icecast where `icecast://` names none.
const ICECAST_PORT: u16 = 8000;
/// Longest mount point. Icecast has no limit of its own; its log lines have.
const MOUNT_BYTES: usize = 200;

/// How the server is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scheme {
    Icecast,
    Http,
    Https,
}

impl Scheme {
    const ALL: [(&'static str, Self); 3] =
        [("icecast", Self::Icecast), ("http", Self::Http), ("https", Self::Https)];

    const fn port(self) -> u16 {
        match self {
            Self::Icecast => ICECAST_PORT,
            Self::Http => 80,
            Self::Https => 443,
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Icecast => "icecast",
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// A mount point of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    scheme: Scheme,
    /// A name, or an address without brackets.
    host: String,
    port: u16,
    /// Begins with `/`.
    mount: String,
}

impl Target {
    /// The server's name or address.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Its TCP port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The mount point, with its slash.
    pub fn mount(&self) -> &str {
        &self.mount
    }

    /// Whether it is reached by TLS.
    pub fn is_tls(&self) -> bool {
        self.scheme == Scheme::Https
    }

    /// Whether another one is the same mount point of the same server, as far as the words tell.
    pub fn is_same_mount(&self, other: &Self) -> bool {
        (&self.host, self.port, &self.mount) == (&other.host, other.port, &other.mount)
    }

    /// Server and port, as they stand in a `Host` header.
    pub fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme.as_str(), self.authority(), self.mount)
    }
}

impl FromStr for Target {
    type Err = String;

    /// Reads `icecast://HOST[:PORT]/MOUNT`, or the same with `http` or `https`.
    fn from_str(text: &str) -> Result<Self, String> {
        let example = "\"icecast://HOST:8000/MOUNT\"";
        let (word, rest) = text.split_once("://").ok_or_else(|| format!("expected {example}"))?;
        let scheme = Scheme::ALL.iter().find(|(name, _)| word.eq_ignore_ascii_case(name));
        let (_, scheme) = scheme.ok_or("expected an address with icecast://, http:// or https://")?;
        let (authority, mount) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err("user and password have no place in it: see `user` and `password_file`".to_owned());
        }
        let (host, port) = host_and_port(authority)?;
        Ok(Self { scheme: *scheme, host, port: port.unwrap_or(scheme.port()), mount: checked_mount(mount)? })
    }
}

fn host_and_port(authority: &str) -> Result<(String, Option<u16>), String> {
    let (host, port) = match authority.rsplit_once(':') {
        // The last colon of `[::1]` is no colon before a port.
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let port = match port {
        None => None,
        Some(text) => match text.parse::<u16>() {
            Ok(port) if port > 0 => Some(port),
            _ => return Err("expected a port from 1 to 65535 after the host".to_owned()),
        },
    };
    if let Some(inside) = host.strip_prefix('[') {
        let address = inside.strip_suffix(']').and_then(|inside| inside.parse::<Ipv6Addr>().ok());
        let address = address.ok_or("expected an IPv6 address between the brackets")?;
        return Ok((address.to_string(), port));
    }
    let host = host.to_ascii_lowercase();
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if host.is_empty() || host.len() > 253 || !host.bytes().all(is_letter) {
        return Err("expected a host name or an IP address, IPv6 in brackets".to_owned());
    }
    Ok((host, port))
}

fn checked_mount(mount: &str) -> Result<String, String> {
    if mount.len() < 2 {
        return Err("the mount point is missing: \"…/MOUNT\"".to_owned());
    }
    if mount.len() > MOUNT_BYTES {
        return Err(format!("a mount point has at most {MOUNT_BYTES} bytes"));
    }
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.~!$&'()*+,;=:@%".contains(&byte);
    if !mount.bytes().all(is_letter) {
        return Err("a mount point is a path of an address, without spaces, ? and #".to_owned());
    }
    if mount.starts_with("/admin/") || mount.contains("//") {
        return Err("no server has a mount point there".to_owned());
    }
    Ok(mount.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_and_shown() {
        for (text, shown) in [
            ("icecast://radio.example/live.mp3", "icecast://radio.example:8000/live.mp3"),
            ("http://10.0.0.1/a/b", "http://10.0.0.1:80/a/b"),
            ("HTTPS://Radio.Example/x", "https://radio.example:443/x"),
            ("icecast://[::1]:9000/x", "icecast://[::1]:9000/x"),
            ("icecast://[::1]/x", "icecast://[::1]:8000/x"),
        ] {
            let target: Target = text.parse().expect(text);
            assert_eq!(target.to_string(), shown);
            assert_eq!(shown.parse::<Target>().as_ref(), Ok(&target), "what is shown reads back");
        }
        assert!("https://a/x".parse::<Target>().is_ok_and(|target| target.is_tls() && target.port() == 443));
    }

    #[test]
    fn what_is_no_mount_point_says_why() {
        for (text, part) in [
            ("", "icecast://HOST"),
            ("radio.example:8000/x", "icecast://HOST"),
            ("ftp://a/x", "icecast://, http:// or https://"),
            ("icecast://source:hackme@a/x", "no place"),
            ("icecast://a", "mount point is missing"),
            ("icecast://a/", "mount point is missing"),
            ("icecast:///x", "host name"),
            ("icecast://a b/x", "host name"),
            ("icecast://a:0/x", "port from 1"),
            ("icecast://a:80000/x", "port from 1"),
            ("icecast://[::1/x", "between the brackets"),
            ("icecast://a/x?y", "without spaces"),
            ("icecast://a/x y", "without spaces"),
            ("icecast://a/x\r\ny", "without spaces"),
            ("icecast://a/admin/metadata", "no server"),
        ] {
            let why = text.parse::<Target>().expect_err(text);
            assert!(why.contains(part), "{text}: {why}");
        }
        assert!(format!("icecast://a/{}", "x".repeat(300)).parse::<Target>().is_err());
    }
}

//! What is inside a string: names, origins, addresses and paths, and what is wrong with one.
//!
//! Each judgement says what would be right in words that stand beside a caret.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::DeValue;

use crate::access::{Network, Permission, Permissions};
use crate::station::push::PASSWORD_BYTES;
use crate::tools::secret::Secret;

use super::form::{Form, Read, Wrong};

/// Room for a path in `sockaddr_un`, without the NUL that ends it.
const SOCKET_PATH_BYTES: usize = 107;

/// Longest name of a group that the system's tools make.
const GROUP_NAME_BYTES: usize = 32;

/// Methods that a page may be allowed to use.
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// A string that becomes a value, or words about why not.
pub(super) struct Text<T> {
    /// What is right, as it stands after "expected".
    pub(super) expects: &'static str,
    /// Reads it; relative paths start at the directory given.
    pub(super) read: fn(&str, &Path) -> Result<T, String>,
    /// Writes it.
    pub(super) write: fn(&T) -> String,
    /// Whether the key may be left out.
    pub(super) has_default: bool,
}

impl<T> Form<T> for Text<T> {
    fn expects(&self) -> String {
        self.expects.to_owned()
    }

    fn read(&self, value: &Spanned<DeValue<'_>>, base: &Path) -> Read<T> {
        let Some(text) = value.get_ref().as_str() else {
            return Err(Wrong::kind(value, self.expects));
        };
        if text.chars().any(char::is_control) {
            return Err(Wrong::value(value, "it has a control character inside"));
        }
        (self.read)(text, base).map_err(|why| Wrong::value(value, why))
    }

    fn write(&self, value: &T) -> String {
        toml::Value::String((self.write)(value)).to_string()
    }

    fn has_default(&self) -> bool {
        self.has_default
    }
}

const fn string(expects: &'static str, read: fn(&str, &Path) -> Result<String, String>) -> Text<String> {
    Text { expects, read, write: String::clone, has_default: true }
}

/// `IP:PORT`.
pub(super) const ADDRESS: Text<SocketAddr> = Text {
    expects: "an address \"IP:PORT\"",
    read: address,
    write: SocketAddr::to_string,
    has_default: true,
};

/// `IP:PORT`, or nothing.
pub(super) const ADDRESS_OR_NONE: Text<Option<SocketAddr>> = Text {
    expects: "an address \"IP:PORT\", or \"\" for none",
    read: |text, base| if text.is_empty() { Ok(None) } else { address(text, base).map(Some) },
    write: |address| address.map_or_else(String::new, |address| address.to_string()),
    has_default: true,
};

/// A name that a `Host` header may carry.
pub(super) const HOST: Text<String> = string("a host name or IP address", host);

/// An origin of pages.
pub(super) const ORIGIN: Text<String> = string("an origin \"scheme://host[:port]\"", origin);

/// A method of HTTP.
pub(super) const METHOD: Text<String> = string("a method of HTTP", method);

/// The name of a header.
pub(super) const HEADER: Text<String> = string("the name of a header", header);

/// A group of the system.
pub(super) const GROUP: Text<String> = string("the name of a group", group);

/// An ALSA device.
pub(super) const DEVICE: Text<String> = string("the name of an ALSA device", device);

/// A permission.
pub(super) const PERMISSION: Text<Permission> = Text {
    expects: "a permission",
    read: |text, _| text.parse().map_err(|_| format!("expected one of {}", Permissions::ALL)),
    write: |permission| permission.as_str().to_owned(),
    has_default: true,
};

/// An address, or a range of them.
pub(super) const NETWORK: Text<Network> = Text {
    expects: "an address or a range of them",
    read: |text, _| {
        text.parse().map_err(|_| {
            "expected an address such as \"192.0.2.7\", or a range such as \"192.0.2.0/24\"".to_owned()
        })
    },
    write: Network::to_string,
    has_default: true,
};

/// The path of a Unix socket.
pub(super) const SOCKET_PATH: Text<PathBuf> = Text {
    expects: "an absolute path of at most 107 bytes",
    read: socket_path,
    write: |path| path_text(path),
    has_default: true,
};

/// A file of sound.
pub(super) const SOUND_FILE: Text<PathBuf> =
    Text { expects: "a path", read: sound_file, write: |path| path_text(path), has_default: false };

/// A file.
pub(super) const FILE: Text<PathBuf> =
    Text { expects: "the path of a file", read: file, write: |path| path_text(path), has_default: true };

/// A file, or nothing.
pub(super) const FILE_OR_NONE: Text<Option<PathBuf>> = Text {
    expects: "the path of a file, or \"\" for none",
    read: |text, base| if text.is_empty() { Ok(None) } else { file(text, base).map(Some) },
    write: |path| path.as_deref().map_or_else(String::new, path_text),
    has_default: true,
};

/// The name of somebody who makes or takes tokens.
pub(super) const NAME: Text<String> = string("a name", |text, _| {
    if text.trim().is_empty() {
        Err("expected a name, such as \"talas\"".to_owned())
    } else {
        Ok(text.to_owned())
    }
});

/// An address of the web, or nothing.
pub(super) const URL_OR_NONE: Text<Option<String>> = Text {
    expects: "an address \"https://…\", or \"\" for none",
    read: |text, _| if text.is_empty() { Ok(None) } else { url(text).map(Some) },
    write: |url| url.clone().unwrap_or_default(),
    has_default: true,
};

/// What players show as the name of the station.
pub(super) const STATION_NAME: Text<String> = string("a name of at most 100 letters", station_name);

/// A password, or nothing.
pub(super) const PASSWORD: Password = Password;

/// How a password is written. It is not written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Password;

impl Form<Secret> for Password {
    fn expects(&self) -> String {
        format!("a string of at most {PASSWORD_BYTES} bytes")
    }

    fn read(&self, value: &Spanned<DeValue<'_>>, _: &Path) -> Read<Secret> {
        let Some(text) = value.get_ref().as_str() else {
            return Err(Wrong::kind(value, self.expects()));
        };
        if text.len() > PASSWORD_BYTES || text.chars().any(char::is_control) {
            return Err(Wrong::value(value, "expected one line of at most 256 bytes"));
        }
        Ok(Secret::new(text))
    }

    fn write(&self, _: &Secret) -> String {
        "\"\"".to_owned()
    }

    fn is_secret(&self) -> bool {
        true
    }

    fn compared(&self, value: &Secret) -> String {
        if value.is_empty() { String::new() } else { value.fingerprint().to_string() }
    }
}

/// A directory.
pub(super) const DIRECTORY: Text<PathBuf> = Text {
    expects: "the path of a directory",
    read: directory,
    write: |path| path_text(path),
    has_default: true,
};

fn path_text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn address(text: &str, _: &Path) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| address_help(text))
}

fn address_help(text: &str) -> String {
    let (host, port) = text.rsplit_once(':').unwrap_or((text, ""));
    let is_port = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    match host.trim_matches(['[', ']']).parse::<IpAddr>() {
        Ok(_) if is_port && port.parse::<u16>().is_err() => {
            return "expected a port from 0 to 65535".to_owned();
        }
        Ok(ip @ IpAddr::V6(_)) if is_port => {
            return format!("an IPv6 address stands in brackets: \"[{ip}]:{port}\"");
        }
        _ => {}
    }
    if let Ok(ip) = text.trim_matches(['[', ']']).parse::<IpAddr>() {
        return format!("the port is missing: \"{}\"", SocketAddr::new(ip, 8080));
    }
    match host {
        "localhost" => format!("an IP address, not a name: \"127.0.0.1:{port}\""),
        "" | "*" => format!("the IP address is missing: \"127.0.0.1:{port}\""),
        _ => "expected \"IP:PORT\", such as \"127.0.0.1:8080\" or \"[::1]:8080\"".to_owned(),
    }
}

/// Whether a text is a name of the DNS, in the form that goes over the wire.
fn is_host_name(text: &str) -> bool {
    let is_label = |label: &str| {
        let inside =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
        (1..=63).contains(&label.len())
            && label.bytes().all(inside)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(is_label)
}

fn host(text: &str, _: &Path) -> Result<String, String> {
    let lower = text.to_ascii_lowercase();
    if is_host_name(&lower) || text.parse::<IpAddr>().is_ok() {
        return Ok(lower);
    }
    Err(if text == "*" {
        "name every host: any name at all would let DNS rebinding in".to_owned()
    } else if !text.is_ascii() {
        "write the name as the DNS has it, beginning with \"xn--\"".to_owned()
    } else if let Some((_, rest)) = text.split_once("://") {
        format!("the host alone, without scheme: \"{}\"", rest.split(['/', ':']).next().unwrap_or(rest))
    } else if let Ok(address) = text.parse::<SocketAddr>() {
        format!("without port: \"{}\"", address.ip())
    } else if let Some((name, _)) = text.split_once(':').filter(|(name, _)| is_host_name(name)) {
        format!("without port: \"{name}\"")
    } else if let Ok(ip) = text.trim_matches(['[', ']']).parse::<IpAddr>() {
        format!("without brackets: \"{ip}\"")
    } else {
        "expected a host name or IP address, without scheme, port or path".to_owned()
    })
}

fn origin(text: &str, _: &Path) -> Result<String, String> {
    let expected = || "expected \"scheme://host[:port]\"".to_owned();
    if text == "*" {
        return Err("name every origin: any page at all would be let in".to_owned());
    }
    let (scheme, rest) = text.split_once("://").ok_or_else(expected)?;
    if let Some((authority, _)) = rest.split_once(['/', '?', '#']) {
        return Err(format!("an origin has no path: \"{scheme}://{authority}\""));
    }
    let lower = text.to_ascii_lowercase();
    if lower != text {
        return Err(format!("browsers send it in lower case: \"{lower}\""));
    }
    let is_scheme = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-.".contains(&byte);
    let (host, port) = match rest.rsplit_once(':') {
        // The last colon of `[::1]` is no colon before a port.
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (rest, None),
    };
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let is_host = bare.map_or(is_host_name(host), |ip| ip.parse::<std::net::Ipv6Addr>().is_ok());
    let port_is_right = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|number| number > 0));
    if !(scheme.bytes().all(is_scheme) && scheme.starts_with(|first: char| first.is_ascii_lowercase())) {
        return Err(expected());
    }
    if !is_host || !port_is_right {
        return Err(expected());
    }
    match (scheme, port) {
        ("http", Some("80")) | ("https", Some("443")) => {
            Err(format!("browsers leave that port out: \"{scheme}://{host}\""))
        }
        _ => Ok(text.to_owned()),
    }
}

fn method(text: &str, _: &Path) -> Result<String, String> {
    let upper = text.to_ascii_uppercase();
    if METHODS.contains(&text) {
        Ok(upper)
    } else if METHODS.contains(&upper.as_str()) {
        Err(format!("methods are written in capitals: \"{upper}\""))
    } else {
        Err(format!("expected one of {}", METHODS.join(", ")))
    }
}

fn header(text: &str, _: &Path) -> Result<String, String> {
    if text == "*" {
        return Err("name every header: beside credentials \"*\" means nothing".to_owned());
    }
    match ::http::HeaderName::from_bytes(text.as_bytes()) {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err("expected the name of a header, such as \"Content-Type\"".to_owned()),
    }
}

fn group(text: &str, _: &Path) -> Result<String, String> {
    let is_name = !text.is_empty()
        && text.len() <= GROUP_NAME_BYTES
        && !text.contains(|character: char| character.is_whitespace() || ":,".contains(character));
    if is_name {
        Ok(text.to_owned())
    } else {
        Err("expected the name of a group, such as \"talas\"".to_owned())
    }
}

fn station_name(text: &str, _: &Path) -> Result<String, String> {
    if text.chars().count() > 100 {
        return Err("expected at most 100 letters".to_owned());
    }
    Ok(text.to_owned())
}

fn device(text: &str, _: &Path) -> Result<String, String> {
    if text.trim().is_empty() {
        return Err("expected the name of a device: `talasctl devices` lists them".to_owned());
    }
    Ok(text.to_owned())
}

fn socket_path(text: &str, _: &Path) -> Result<PathBuf, String> {
    let path = Path::new(text);
    if !path.is_absolute() || path.file_name().is_none() || text.ends_with('/') {
        return Err("expected an absolute path, such as \"/run/talas/talasd.sock\"".to_owned());
    }
    if text.len() > SOCKET_PATH_BYTES {
        let length = text.len();
        return Err(format!("a socket's path has at most {SOCKET_PATH_BYTES} bytes, this one has {length}"));
    }
    Ok(path.to_owned())
}

fn sound_file(text: &str, base: &Path) -> Result<PathBuf, String> {
    if text.is_empty() || text.ends_with('/') {
        return Err("expected the path of a sound file".to_owned());
    }
    Ok(base.join(text))
}

fn file(text: &str, base: &Path) -> Result<PathBuf, String> {
    if text.is_empty() || text.ends_with('/') {
        return Err("expected the path of a file".to_owned());
    }
    Ok(base.join(text))
}

/// Keys that come over the open network must not be exchanged on the way.
fn url(text: &str) -> Result<String, String> {
    let expected = || "expected \"https://…\", or \"http://\" and a loopback address".to_owned();
    let url: ::http::Uri = text.parse().map_err(|_| expected())?;
    let host = url.host().filter(|host| !host.is_empty()).ok_or_else(expected)?;
    let ip = host.trim_matches(['[', ']']).parse::<IpAddr>();
    let is_here = host == "localhost" || ip.is_ok_and(|ip| ip.is_loopback());
    if url.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err("a password has no place in it".to_owned());
    }
    match url.scheme_str() {
        Some("https") => Ok(text.to_owned()),
        Some("http") if is_here => Ok(text.to_owned()),
        _ => Err(expected()),
    }
}

fn directory(text: &str, base: &Path) -> Result<PathBuf, String> {
    if text.is_empty() {
        return Err("expected the path of a directory, such as \"/srv/music\"".to_owned());
    }
    Ok(base.join(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(form: &Text<String>, text: &str) -> Option<String> {
        (form.read)(text, Path::new("/")).ok()
    }

    #[test]
    fn hosts() {
        for good in [
            "localhost",
            "radio.local",
            "a",
            "10.0.0.1",
            "::1",
            "fe80::1",
            "xn--bcher-kva.example",
            "my_host",
        ] {
            assert_eq!(judge(&HOST, good).as_deref(), Some(good));
        }
        assert_eq!(judge(&HOST, "Radio.LOCAL").as_deref(), Some("radio.local"));
        for bad in
            ["", ".", "a.", "-a", "a b", "a:80", "[::1]", "[::1]:80", "http://a", "*", "*.a", "ü", "a/b"]
        {
            assert_eq!(judge(&HOST, bad), None, "{bad}");
        }
    }

    #[test]
    fn origins() {
        for good in [
            "http://localhost:3000",
            "https://radio.example",
            "http://[::1]:8080",
            "http://[::1]",
            "app+x://id",
            "https://a:80",
        ] {
            assert_eq!(judge(&ORIGIN, good).as_deref(), Some(good));
        }
        for bad in [
            "",
            "*",
            "null",
            "localhost",
            "//a",
            "http://",
            "http://a/",
            "http://a?b",
            "http://A",
            "http://a:",
            "http://a:0",
            "http://a:x",
            "http://a:80",
            "https://a:443",
            "http://[::1",
            "http://::1",
            "1http://a",
            "http://a b",
        ] {
            assert_eq!(judge(&ORIGIN, bad), None, "{bad}");
        }
    }

    #[test]
    fn the_path_of_a_socket_fits_its_address() {
        let read =
            |length: usize| (SOCKET_PATH.read)(&format!("/{}", "x".repeat(length - 1)), Path::new("/"));
        assert!(read(SOCKET_PATH_BYTES).is_ok());
        assert!(read(SOCKET_PATH_BYTES + 1).is_err());
        for bad in ["", "a", "./a", "/", "/run/", "/run/.."] {
            assert!((SOCKET_PATH.read)(bad, Path::new("/")).is_err(), "{bad}");
        }
    }
}

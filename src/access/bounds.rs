//! What a token or key is bound to: tracks, paths, addresses. Each bound that is there must hold.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use crate::error::{Error, Kind};

/// Bounds; `None` binds nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Bounds {
    /// Ids of tracks, the claim `audio_id`.
    pub tracks: Option<Vec<String>>,
    /// Paths, the claim `paths`.
    pub paths: Option<Vec<PathPattern>>,
    /// Addresses that may use it.
    pub networks: Option<Vec<Network>>,
}

/// A path, or with `*` at its end all that begin so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathPattern(String);

impl FromStr for PathPattern {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let fixed = text.strip_suffix('*').unwrap_or(text);
        if fixed.starts_with('/') && is_plain(fixed) && !fixed.contains('*') {
            return Ok(Self(text.to_owned()));
        }
        let help = "a path begins with / and has no %, //, /./ or /../; a * may stand at its end";
        Err(Error::new(Kind::Invalid, format!("{text:?} is no path: {help}")))
    }
}

impl PathPattern {
    /// Whether a path, as it came over the wire, is meant. One that could be written in another way is not:
    /// what reads it later might read it that way.
    pub fn fits(&self, path: &str) -> bool {
        is_plain(path)
            && match self.0.strip_suffix('*') {
                Some(beginning) => path.starts_with(beginning),
                None => path == self.0,
            }
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether a path has one way of writing only.
fn is_plain(path: &str) -> bool {
    let is_dots = |part: &str| part == "." || part == "..";
    path.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'%' | b'\\' | b'?' | b'#'))
        && !path.contains("//")
        && !path.split('/').any(is_dots)
}

/// A range of addresses, in CIDR notation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    /// Whether an address is in it. An IPv4 address is the same when it comes over an IPv6 socket.
    pub fn has(&self, address: IpAddr) -> bool {
        let skipped = |width: u32| width - u32::from(self.bits);
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                (own.to_bits() ^ other.to_bits()).checked_shr(skipped(32)).unwrap_or(0) == 0
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                (own.to_bits() ^ other.to_bits()).checked_shr(skipped(128)).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = || {
            let help = "an address such as 192.0.2.7, or a range such as 192.0.2.0/24 or 2001:db8::/32";
            Error::new(Kind::Invalid, format!("{text:?} is not {help}"))
        };
        let (address, bits) =
            text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => width,
            // `u8::from_str` would take a sign.
            Some(bits) if bits.bytes().all(|byte| byte.is_ascii_digit()) => {
                bits.parse().map_err(|_| wrong())?
            }
            Some(_) => return Err(wrong()),
        };
        let network = Self { address, bits };
        (bits <= width).then_some(network).ok_or_else(wrong)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_written_in_another_way_is_another_path() {
        let pattern: PathPattern = "/hls/7/*".parse().expect("a pattern");
        for inside in ["/hls/7/", "/hls/7/high/playlist.m3u8", "/hls/7/a..b"] {
            assert!(pattern.fits(inside), "{inside}");
        }
        for outside in [
            "/hls/7",
            "/hls/70/",
            "/HLS/7/x",
            "//hls/7/x",
            "/hls//7/x",
            "/hls/7//x",
            "/hls/7/../8/x",
            "/hls/./7/x",
            "/hls/7/..",
            "/hls/7/%2e%2e/8",
            "/hls/7/%2f",
            "/hls%2f7/x",
            "/hls/7/x\\..\\8",
            "/hls/7/\u{e9}",
            "/stream/7",
        ] {
            assert!(!pattern.fits(outside), "{outside}");
        }
        let whole: PathPattern = "/stream/7".parse().expect("a pattern");
        assert!(whole.fits("/stream/7") && !whole.fits("/stream/70") && !whole.fits("/stream/7/"));
        for wrong in ["", "stream/7", "*", "/a*b", "/a/**", "/%41", "//", "/a/../b", "/a?b"] {
            assert!(wrong.parse::<PathPattern>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn networks_hold_what_begins_like_them() {
        let has = |network: &str, address: &str| {
            let network: Network = network.parse().expect("a network");
            network.has(address.parse().expect("an address"))
        };
        for (network, inside, outside) in [
            ("192.0.2.0/24", "192.0.2.255", "192.0.3.0"),
            ("192.0.2.7", "192.0.2.7", "192.0.2.6"),
            ("192.0.2.0/24", "::ffff:192.0.2.9", "2001:db8::1"),
            ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::1"),
            ("::1", "::1", "::2"),
            ("10.0.0.0/7", "11.255.255.255", "12.0.0.0"),
        ] {
            assert!(has(network, inside), "{inside} in {network}");
            assert!(!has(network, outside), "{outside} not in {network}");
        }
        assert!(has("0.0.0.0/0", "255.1.2.3") && !has("0.0.0.0/0", "::1") && has("::/0", "ffff::"));
        for wrong in
            ["", "a", "1.2.3", "1.2.3.4/33", "::/129", "1.2.3.4/", "1.2.3.4/+8", "1.2.3.4/-1", "/8", "::/256"]
        {
            assert!(wrong.parse::<Network>().is_err(), "{wrong}");
        }
    }
}

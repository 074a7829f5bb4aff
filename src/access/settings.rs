//! `[access]`, and how it is guarded: by what, judged by the addresses really bound or inherited.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::claims::Expected;
use super::limits::Limits;
use super::permission::{Permission, Permissions};
use crate::error::{Error, Kind, Result};

/// `[access]`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settings {
    /// How callers of the HTTP door are told apart.
    pub mode: Mode,
    /// What everybody may do who shows nothing.
    pub anonymous: Vec<Permission>,
    /// Roles beside the built-in ones.
    pub roles: BTreeMap<String, Permissions>,
    /// `[access.jwt]`.
    pub jwt: Jwt,
    /// `[access.limits]`.
    pub limits: Limits,
}

/// `[access.jwt]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Jwt {
    /// A file with the secret for HS256.
    pub key_file: Option<PathBuf>,
    /// Files with public keys in PEM.
    pub public_keys: Vec<PathBuf>,
    /// Where another issuer has its keys.
    pub jwks_url: Option<String>,
    /// Who may have made a token. The first is this daemon's own name.
    pub issuers: Vec<String>,
    /// For whom a token must have been made.
    pub audience: String,
    /// By how much another issuer's clock may differ.
    pub leeway: Duration,
    /// How long a token may last, in days.
    pub longest_days: u32,
}

impl Default for Jwt {
    fn default() -> Self {
        Self {
            key_file: None,
            public_keys: Vec::new(),
            jwks_url: None,
            issuers: vec!["talas".to_owned()],
            audience: "talas".to_owned(),
            leeway: Duration::from_secs(5),
            longest_days: 366,
        }
    }
}

impl Settings {
    /// What everybody may do who shows nothing, as a set.
    pub fn anonymous(&self) -> Permissions {
        self.anonymous.iter().copied().collect()
    }

    /// What must be true of a token's claims.
    pub fn expected(&self) -> Expected {
        Expected {
            issuers: self.jwt.issuers.clone(),
            audience: self.jwt.audience.clone(),
            leeway_s: i64::try_from(self.jwt.leeway.as_secs()).unwrap_or(0),
            longest_days: self.jwt.longest_days,
        }
    }
}

/// How callers are to be told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// As the addresses ask for: open on loopback only, else by tokens.
    #[default]
    Auto,
    /// Not at all: whoever reaches the door may do everything. On loopback only.
    Open,
    /// By tokens and API keys.
    Token,
}

/// How callers are told apart, decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    /// Not at all.
    Open,
    /// By tokens and API keys.
    Token,
}

impl Guard {
    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Token => "token",
        }
    }
}

fn is_exposed(address: &SocketAddr) -> bool {
    !address.ip().to_canonical().is_loopback()
}

/// Refuses addresses, set by this key of the configuration, that the mode does not guard.
///
/// # Errors
/// [`Kind::Config`] for an open door off loopback.
pub fn judge(mode: Mode, key: &str, bound: &[SocketAddr]) -> Result<()> {
    let exposed = bound.iter().find(|address| is_exposed(address));
    let Some(exposed) = exposed.filter(|_| mode == Mode::Open) else { return Ok(()) };
    Err(Error::new(
        Kind::Config,
        format!(
            "access.mode is \"open\", which serves loopback addresses only, and {key} has {exposed}: \
             set access.mode to \"token\", or listen on 127.0.0.1 or [::1]"
        ),
    ))
}

/// What guards a daemon that listens at these addresses. A mode that does not fit them was refused before.
/// Behind a trusted proxy a loopback address is not only for this machine: who wants it open has to say so.
pub fn guard<'a>(
    mode: Mode,
    bound: impl IntoIterator<Item = &'a SocketAddr>,
    is_behind_proxy: bool,
) -> Guard {
    match mode {
        Mode::Token => Guard::Token,
        Mode::Auto if is_behind_proxy => Guard::Token,
        Mode::Auto | Mode::Open => {
            if bound.into_iter().any(is_exposed) {
                Guard::Token
            } else {
                Guard::Open
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(list: &[&str]) -> Vec<SocketAddr> {
        list.iter().map(|address| address.parse().expect("address")).collect()
    }

    #[test]
    fn open_means_loopback() {
        let loopback = addresses(&["127.0.0.1:80", "127.9.9.9:80", "[::1]:80", "[::ffff:127.0.0.1]:80"]);
        assert!(judge(Mode::Open, "http.listen", &loopback).is_ok());
        assert_eq!(guard(Mode::Auto, &loopback, false), Guard::Open);
        assert_eq!(guard(Mode::Auto, &loopback, true), Guard::Token, "who knows whom the proxy lets in");
        assert_eq!(guard(Mode::Open, &loopback, true), Guard::Open, "somebody said so");
        assert_eq!(guard(Mode::Token, &loopback, false), Guard::Token);
        for exposed in ["0.0.0.0:80", "[::]:80", "192.168.1.4:80", "[fe80::1]:80", "[::ffff:10.0.0.1]:80"] {
            let bound = addresses(&["127.0.0.1:80", exposed]);
            assert_eq!(judge(Mode::Open, "http.listen", &bound).expect_err(exposed).kind(), Kind::Config);
            for mode in [Mode::Auto, Mode::Token, Mode::Open] {
                assert_eq!(guard(mode, &bound, false), Guard::Token, "{exposed}");
            }
            assert!(judge(Mode::Auto, "http.listen", &bound).is_ok());
        }
    }
}

//! Who may do what. For now one rule: without tokens, the doors stay on the machine itself.
//!
//! Pure: no sockets here. The addresses judged are those really bound or inherited.

use std::net::SocketAddr;

use crate::error::{Error, Kind, Result};

/// `[access]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// How callers of the HTTP door are told apart.
    pub mode: Mode,
}

/// How callers are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Not at all: whoever reaches the door may use it. On loopback only.
    Open,
}

impl Default for Settings {
    fn default() -> Self {
        Self { mode: Mode::Open }
    }
}

/// Refuses addresses, set by this key of the configuration, that the mode does not guard.
///
/// # Errors
/// [`Kind::Config`] for an open door off loopback.
pub fn judge(settings: Settings, key: &str, bound: &[SocketAddr]) -> Result<()> {
    let Mode::Open = settings.mode;
    let Some(exposed) = bound.iter().find(|address| !address.ip().to_canonical().is_loopback()) else {
        return Ok(());
    };
    Err(Error::new(
        Kind::Config,
        format!(
            "access.mode is \"open\", which serves loopback addresses only, and {key} has {exposed}: \
             listen on 127.0.0.1 or [::1] (tokens, which guard other addresses, are not built yet)"
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_means_loopback() {
        let judge_all = |list: &[&str]| {
            let bound: Vec<SocketAddr> = list.iter().map(|a| a.parse().expect("address")).collect();
            judge(Settings::default(), "http.listen", &bound)
        };
        assert!(judge_all(&["127.0.0.1:80", "127.9.9.9:80", "[::1]:80", "[::ffff:127.0.0.1]:80"]).is_ok());
        for exposed in ["0.0.0.0:80", "[::]:80", "192.168.1.4:80", "[fe80::1]:80", "[::ffff:10.0.0.1]:80"] {
            let error = judge_all(&["127.0.0.1:80", exposed]).expect_err(exposed);
            assert_eq!(error.kind(), Kind::Config);
        }
    }
}

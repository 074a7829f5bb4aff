//! API keys: 256 random bits that are shown once and kept as a hash.
//!
//! SHA-256 by itself is right here, and no slow hash: those make guessing words expensive, and nobody
//! guesses 256 random bits. A slow one would make every request expensive instead.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::random;
use crate::access::{Bounds, Network, Pass, Permissions, Via};
use crate::error::{Error, Kind, Result};

/// What every key begins with, so that it is known as one, also by those who look for leaked secrets.
pub const PREFIX: &str = "talas_";

/// A key as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiKey {
    /// Eight hexadecimal digits, the part of the key that is no secret.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// SHA-256 of the whole key, in base64url.
    hash: String,
    /// Names of the permissions it gives.
    pub permissions: Vec<String>,
    /// Addresses and ranges that may use it; empty is from anywhere.
    pub addresses: Vec<String>,
    /// When it was made, in seconds since the epoch.
    pub created_s: i64,
    /// Until when; `None` is for good.
    pub expires_s: Option<i64>,
    /// When it was last used, to the minute.
    pub last_used_s: Option<i64>,
}

/// What a new key is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewKey {
    /// What people call it.
    pub name: String,
    /// What it gives.
    pub permissions: Permissions,
    /// From where; empty is from anywhere.
    pub addresses: Vec<Network>,
    /// Until when, in seconds since the epoch; `None` is for good.
    pub expires_s: Option<i64>,
}

impl ApiKey {
    /// Makes a key: what is kept, and what is shown once.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub fn generate(wish: NewKey, now_s: i64) -> Result<(Self, Zeroizing<String>)> {
        let (id, secret) = (random::<4>()?, random::<32>()?);
        let id = u32::from_be_bytes(*id);
        let id = format!("{id:08x}");
        let shown = Zeroizing::new(format!("{PREFIX}{id}_{}", BASE64_URL_SAFE_NO_PAD.encode(*secret)));
        let key = Self {
            id,
            name: wish.name,
            hash: hash(&shown),
            permissions: wish.permissions.names(),
            addresses: wish.addresses.iter().map(Network::to_string).collect(),
            created_s: now_s,
            expires_s: wish.expires_s,
            last_used_s: None,
        };
        Ok((key, shown))
    }

    /// The id that a key shows.
    pub fn id_of(shown: &str) -> Option<&str> {
        shown.strip_prefix(PREFIX)?.split_once('_').map(|(id, _)| id)
    }

    /// Whether this is the key that is shown. Takes as long whether much of it is right or nothing.
    pub fn is(&self, shown: &str) -> bool {
        hash(shown).as_bytes().ct_eq(self.hash.as_bytes()).into()
    }

    /// What it lets its bearer do.
    ///
    /// # Errors
    /// [`Kind::Config`] where what is kept means nothing.
    pub fn pass(&self) -> Result<Pass> {
        let wrong = |error: Error| Error::caused(Kind::Config, format!("the API key {}", self.id), error);
        let permissions: Permissions =
            self.permissions.iter().map(|name| name.parse()).collect::<Result<_>>().map_err(wrong)?;
        let networks: Vec<Network> =
            self.addresses.iter().map(|text| text.parse()).collect::<Result<_>>().map_err(wrong)?;
        let networks = (!networks.is_empty()).then_some(networks);
        Ok(Pass {
            via: Via::Key(self.id.clone()),
            subject: Some(self.name.clone()),
            permissions,
            bounds: Bounds { networks, ..Bounds::default() },
            issued_s: Some(self.created_s),
            expires_s: self.expires_s,
        })
    }
}

fn hash(shown: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(shown))
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::access::Permission;

    fn wish() -> NewKey {
        NewKey {
            name: "kitchen".to_owned(),
            permissions: Permissions::of(&[Permission::Listen]),
            addresses: vec!["192.0.2.0/24".parse().expect("a range")],
            expires_s: None,
        }
    }

    #[test]
    fn a_key_is_known_by_itself_alone_and_kept_as_a_hash() {
        let (key, shown) = ApiKey::generate(wish(), 7).expect("a key");
        assert_eq!(ApiKey::id_of(&shown), Some(key.id.as_str()));
        assert!(key.is(&shown) && shown.len() == PREFIX.len() + 8 + 1 + 43);
        let kept = serde_json::to_string(&key).expect("JSON");
        assert!(!kept.contains(shown.rsplit('_').next().expect("a secret")), "{kept}");
        let (other, another) = ApiKey::generate(wish(), 7).expect("a key");
        assert!(!key.is(&another) && key.id != other.id);
        let mut near = shown.to_string();
        let last = near.pop().expect("a character");
        near.push(if last == 'A' { 'E' } else { 'A' });
        for wrong in [near.as_str(), "", &shown[..shown.len() - 1], &shown.to_uppercase()] {
            assert!(!key.is(wrong));
        }
        for none in ["", "talas", "talas_", "talas_abc", "a.b.c", "Talas_00000000_x"] {
            assert_eq!(ApiKey::id_of(none), None, "{none}");
        }
    }

    #[test]
    fn it_gives_what_was_wished_from_where_it_was_wished() {
        let pass = ApiKey::generate(wish(), 7).expect("a key").0.pass().expect("a pass");
        assert_eq!(pass.permissions, Permissions::of(&[Permission::Listen]));
        let networks = pass.bounds.networks.expect("bound");
        let has =
            |ip: &str| networks.iter().any(|network| network.has(ip.parse::<IpAddr>().expect("an address")));
        assert!(has("192.0.2.9") && !has("192.0.3.9"));
    }
}

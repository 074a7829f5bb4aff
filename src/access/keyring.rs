//! Keys that signatures are checked with. Each is for one algorithm, fixed when it was read: what a token
//! says of its algorithm chooses among keys and never how a key is used.

use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::Value;

use crate::error::{Error, Kind, Result};

/// Least length of a secret: that of the hash (RFC 7518, 3.2).
const SECRET_BYTES: usize = 32;
/// Length of a modulus of RSA, from 2048 to 8192 bits (RFC 7518, 3.3, and what the library takes).
const MODULUS_BYTES: std::ops::RangeInclusive<usize> = 256..=1024;
/// Length of a coordinate of P-256, and of a key of Ed25519.
const COORDINATE_BYTES: usize = 32;
/// An uncompressed point of P-256.
const POINT_BYTES: usize = 1 + 2 * COORDINATE_BYTES;
/// Most keys of a set from elsewhere.
const MOST_KEYS: usize = 32;

/// A key.
#[derive(Clone)]
pub struct Key {
    /// Its name, where it has one: a token that names another key is not checked with it.
    kid: Option<String>,
    algorithm: Algorithm,
    decoding: DecodingKey,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({:?}, {:?})", self.algorithm, self.kid)
    }
}

impl Key {
    /// A shared secret, for HS256.
    ///
    /// # Errors
    /// [`Kind::Config`] for one that could be guessed.
    pub fn secret(secret: &[u8]) -> Result<Self> {
        if secret.len() < SECRET_BYTES {
            let length = secret.len();
            let message =
                format!("the key has {length} bytes, and needs {SECRET_BYTES} random ones at least");
            return Err(Error::new(Kind::Config, message));
        }
        Ok(Self { kid: None, algorithm: Algorithm::HS256, decoding: DecodingKey::from_secret(secret) })
    }

    /// A public key in PEM: RSA for RS256, P-256 for ES256, Ed25519 for EdDSA.
    ///
    /// # Errors
    /// [`Kind::Config`] for anything else.
    pub fn from_pem(pem: &[u8]) -> Result<Self> {
        let wrong = |what: &str| Err(Error::new(Kind::Config, what));
        if String::from_utf8_lossy(pem).contains("PRIVATE KEY") {
            return wrong("it is a private key, and only the public one belongs here");
        }
        let of = |algorithm, decoding| Ok(Self { kid: None, algorithm, decoding });
        if let Ok(decoding) = DecodingKey::from_ed_pem(pem) {
            return of(Algorithm::EdDSA, decoding);
        }
        if let Ok(decoding) = DecodingKey::from_ec_pem(pem) {
            let is_p256 = decoding.try_get_as_bytes().is_ok_and(|point| point.len() == POINT_BYTES);
            return if is_p256 {
                of(Algorithm::ES256, decoding)
            } else {
                wrong("of the elliptic curves only P-256 and Ed25519 are taken")
            };
        }
        match DecodingKey::from_rsa_pem(pem) {
            Ok(decoding) => {
                let is_long =
                    decoding.try_get_as_bytes().is_ok_and(|der| der.len() >= *MODULUS_BYTES.start());
                if is_long { of(Algorithm::RS256, decoding) } else { wrong("RSA needs 2048 bits at least") }
            }
            Err(_) => wrong("it is no public key in PEM, of RSA, P-256 or Ed25519"),
        }
    }

    /// A key of a JWKS (RFC 7517); `None` for one that is not for checking signatures of ours. A shared
    /// secret has no business in a public document, so it is none.
    fn from_jwk(jwk: &Value) -> Option<Self> {
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        let says = |name: &str, word: &str| jwk.get(name).is_none_or(|value| value.as_str() == Some(word));
        if !says("use", "sig") || jwk.get("kid").is_some_and(|kid| !kid.is_string()) {
            return None;
        }
        if let Some(uses) = jwk.get("key_ops") {
            uses.as_array()?.iter().find(|one| one.as_str() == Some("verify"))?;
        }
        let bytes = |name: &str| BASE64_URL_SAFE_NO_PAD.decode(text(name)?).ok();
        let coordinate = |name: &str| bytes(name).filter(|bytes| bytes.len() == COORDINATE_BYTES);
        let (algorithm, name, decoding) = match (text("kty")?, text("crv")) {
            ("RSA", None) => {
                let (modulus, exponent) = (bytes("n")?, bytes("e")?);
                // A modulus may not begin with zeros, which would make it look longer than it is.
                let is_long = MODULUS_BYTES.contains(&modulus.len()) && modulus.first() != Some(&0);
                let decoding = DecodingKey::from_rsa_raw_components(&modulus, &exponent);
                is_long.then_some((Algorithm::RS256, "RS256", decoding))?
            }
            ("EC", Some("P-256")) => {
                let point = [vec![4], coordinate("x")?, coordinate("y")?].concat();
                (Algorithm::ES256, "ES256", DecodingKey::from_ec_der(&point))
            }
            ("OKP", Some("Ed25519")) => {
                (Algorithm::EdDSA, "EdDSA", DecodingKey::from_ed_der(&coordinate("x")?))
            }
            _ => return None,
        };
        says("alg", name).then(|| Self { kid: text("kid").map(str::to_owned), algorithm, decoding })
    }

    /// Whether this key may check a token that says this of itself.
    pub fn fits(&self, algorithm: &str, kid: Option<&str>) -> bool {
        self.is_for(algorithm) && (kid.is_none() || self.kid.is_none() || self.kid.as_deref() == kid)
    }

    /// Whether this key is for an algorithm.
    pub fn is_for(&self, algorithm: &str) -> bool {
        let own = match self.algorithm {
            Algorithm::HS256 => "HS256",
            Algorithm::RS256 => "RS256",
            Algorithm::ES256 => "ES256",
            Algorithm::EdDSA => "EdDSA",
            _ => return false,
        };
        own == algorithm
    }

    /// Whether a signature, in base64url, is this key's of a message. The library compares in constant time.
    pub fn verify(&self, message: &str, signature: &str) -> bool {
        let verified =
            jsonwebtoken::crypto::verify(signature, message.as_bytes(), &self.decoding, self.algorithm);
        verified.unwrap_or(false)
    }
}

/// The usable keys of a JWKS.
///
/// # Errors
/// [`Kind::Invalid`] where it is none, has no usable key, or more than anybody has.
pub fn keys_of_jwks(document: &[u8]) -> Result<Vec<Key>> {
    let wrong = |what: &str| Error::new(Kind::Invalid, what);
    let document: Value = serde_json::from_slice(document).map_err(|_| wrong("it is no JSON"))?;
    let listed =
        document.get("keys").and_then(Value::as_array).ok_or_else(|| wrong("it has no list of keys"))?;
    if listed.len() > MOST_KEYS {
        return Err(wrong("it has more than 32 keys"));
    }
    let keys: Vec<Key> = listed.iter().filter_map(Key::from_jwk).collect();
    if keys.is_empty() {
        return Err(wrong("it has no key for RS256, ES256 or EdDSA"));
    }
    Ok(keys)
}

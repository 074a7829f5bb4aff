//! Tokens (RFC 7515, 7519) in their compact form: checked, and made.
//!
//! The order is that of distrust: length, form, header, key, signature, and only then what it says.
//! Nothing that a header names is ever fetched or opened.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey};
use serde::Serialize;

use super::claims::{Claims, Expected, Object};
use super::keyring::Key;
use super::refusal::Refusal;
use crate::error::{Error, Kind, Result as Outcome};

/// Longest token, in bytes: more would not pass most servers' headers.
pub const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// Checks a token at this time, in seconds since the epoch.
///
/// # Errors
/// Why it lets nobody in.
pub fn verify<'k>(
    token: &str,
    keys: impl Iterator<Item = &'k Key> + Clone,
    expected: &Expected,
    now_s: i64,
) -> Result<Claims, Refusal> {
    if token.len() > MAX_TOKEN_BYTES {
        return Err(Refusal::TooLong);
    }
    let (message, signature) = token.rsplit_once('.').ok_or(Refusal::Malformed("it has one part"))?;
    let (header, claims) = message.split_once('.').ok_or(Refusal::Malformed("it has two parts"))?;
    // A dot more is no base64url, and neither is a signature written in another way.
    let read = |part: &str| BASE64_URL_SAFE_NO_PAD.decode(part).ok();
    let header = read(header).and_then(|json| Object::read(&json)).ok_or(Refusal::Malformed("its header"))?;
    let claims = read(claims).ok_or(Refusal::Malformed("its claims"))?;
    if read(signature).is_none_or(|signature| signature.is_empty()) {
        return Err(Refusal::Malformed("it has no signature"));
    }
    check_signature(&header, message, signature, keys)?;
    let claims = Object::read(&claims).ok_or(Refusal::Malformed("its claims"))?;
    Claims::read(&claims, expected, now_s)
}

fn check_signature<'k>(
    header: &Object,
    message: &str,
    signature: &str,
    mut keys: impl Iterator<Item = &'k Key> + Clone,
) -> Result<(), Refusal> {
    // What is critical to somebody else is not understood here (RFC 7515, 4.1.11).
    if header.has("crit") || header.has("b64") || header.has("zip") {
        return Err(Refusal::Malformed("its header asks for an extension"));
    }
    if header
        .text("typ")?
        .is_some_and(|kind| !["jwt", "at+jwt"].contains(&kind.to_ascii_lowercase().as_str()))
    {
        return Err(Refusal::Malformed("it is of another type"));
    }
    let algorithm = header.text("alg")?.ok_or(Refusal::Algorithm)?;
    let kid = header.text("kid")?;
    if keys.clone().next().is_none() {
        return Err(Refusal::NoKey);
    }
    if !keys.clone().any(|key| key.is_for(algorithm)) {
        return Err(Refusal::Algorithm);
    }
    let mut fitting = keys.clone().filter(|key| key.fits(algorithm, kid)).peekable();
    if fitting.peek().is_none() {
        return Err(Refusal::UnknownKey);
    }
    let is_good = keys.any(|key| key.fits(algorithm, kid) && key.verify(message, signature));
    is_good.then_some(()).ok_or(Refusal::Signature)
}

/// The claims of a token that this daemon makes.
#[derive(Debug, Clone, Serialize)]
pub struct NewClaims {
    /// This daemon.
    pub iss: String,
    /// This daemon.
    pub aud: String,
    /// Who it is for.
    pub sub: String,
    /// Its own name.
    pub jti: String,
    /// When it is made, in seconds since the epoch.
    pub iat: i64,
    /// Until when.
    pub exp: i64,
    /// What its bearer is.
    pub roles: Vec<String>,
    /// The tracks that it is for, where it is for some only.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub audio_id: Vec<String>,
    /// The paths that it is for, where it is for some only.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<String>,
}

/// Makes a token, signed by HS256.
///
/// # Errors
/// [`Kind::Internal`] when the library cannot sign.
pub fn mint(claims: &NewClaims, key: &EncodingKey) -> Outcome<String> {
    let failed = |error| Error::caused(Kind::Internal, "the token cannot be signed", error);
    let claims = serde_json::to_vec(claims)
        .map_err(|error| Error::caused(Kind::Internal, "the claims cannot be written", error))?;
    let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    let message = format!("{}.{}", encode(br#"{"alg":"HS256","typ":"JWT"}"#), encode(&claims));
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), key, Algorithm::HS256).map_err(failed)?;
    Ok(format!("{message}.{signature}"))
}

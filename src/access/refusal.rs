//! Why a token or key does not let somebody in. For the journal and for an operator who asks; a stranger
//! hears no more than that it is not accepted, or has expired.

use std::fmt;

/// Why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Longer than any token is.
    TooLong,
    /// Not three parts of base64url with JSON objects in the first two; in these words.
    Malformed(&'static str),
    /// It is signed in a way that no key here is for.
    Algorithm,
    /// It names a key that is not known here.
    UnknownKey,
    /// There is no key here at all.
    NoKey,
    /// The signature does not fit.
    Signature,
    /// A claim is missing or means nothing: this one.
    Claim(&'static str),
    /// It was made by somebody who is not listened to.
    Issuer,
    /// It was made for somebody else.
    Audience,
    /// Its time is over.
    Expired,
    /// Its time has not come.
    Early,
    /// Its time ends later than any token's may.
    TooFar,
    /// It, or its subject, was revoked.
    Revoked,
    /// No API key is this one.
    UnknownApiKey,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(f, "it is longer than {} bytes", super::token::MAX_TOKEN_BYTES),
            Self::Malformed(how) => write!(f, "it is no token: {how}"),
            Self::Algorithm => f.write_str("no key here is for its algorithm"),
            Self::UnknownKey => f.write_str("the key that it names is not known here"),
            Self::NoKey => f.write_str("there is no key here to check it with"),
            Self::Signature => f.write_str("its signature does not fit"),
            Self::Claim(name) => write!(f, "its claim {name} is missing or means nothing"),
            Self::Issuer => f.write_str("its issuer is none of access.jwt.issuers"),
            Self::Audience => f.write_str("its audience is not access.jwt.audience"),
            Self::Expired => f.write_str("it has expired"),
            Self::Early => f.write_str("its time has not come"),
            Self::TooFar => f.write_str("it lasts longer than access.jwt.longest_days"),
            Self::Revoked => f.write_str("it was revoked"),
            Self::UnknownApiKey => f.write_str("there is no such API key, or it was removed"),
        }
    }
}

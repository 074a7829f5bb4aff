//! Who is let in: tokens, API keys, roles, and what runs on under them.

use serde::{Deserialize, Serialize};

/// A new token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenMinted {
    /// The token itself; it is not kept, and never shown again.
    pub token: String,
    /// Its own name, by which it can be revoked.
    pub jti: String,
    /// Who it is for.
    pub sub: String,
    /// Until when it is good.
    pub expires_ms: u64,
}

/// Tokens that were made by the daemon and have not expired.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenList {
    /// Oldest first; at most 1000.
    pub tokens: Vec<TokenInfo>,
}

/// What is known of a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenInfo {
    /// Its own name.
    pub jti: String,
    /// Who it is for.
    pub sub: String,
    /// What its bearer is.
    pub roles: Vec<String>,
    /// The tracks that it is for; empty is not bound.
    pub audio_id: Vec<String>,
    /// The paths that it is for; empty is not bound.
    pub paths: Vec<String>,
    /// When it was made.
    pub issued_ms: u64,
    /// Until when it is good.
    pub expires_ms: u64,
    /// It, or all that its subject had, was revoked.
    pub revoked: bool,
}

/// A new API key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyAdded {
    /// The key itself; only its hash is kept, and it is never shown again.
    pub key: String,
    /// What is known of it.
    #[serde(flatten)]
    pub info: KeyInfo,
}

/// The API keys.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyList {
    /// By id; at most 1000.
    pub keys: Vec<KeyInfo>,
}

/// What is known of an API key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyInfo {
    /// Eight hexadecimal digits, which the key has after `talas_`.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// What it gives.
    pub permissions: Vec<String>,
    /// Addresses and ranges that may use it; empty is from anywhere.
    pub addresses: Vec<String>,
    /// When it was made.
    pub created_ms: u64,
    /// Until when it is good; `null` is until it is removed.
    pub expires_ms: Option<u64>,
    /// When it was last used; `null` is never.
    pub last_used_ms: Option<u64>,
}

/// The roles.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleList {
    /// The built-in ones first.
    pub roles: Vec<RoleInfo>,
}

/// A role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleInfo {
    /// Its name.
    pub name: String,
    /// What it gives.
    pub permissions: Vec<String>,
    /// It is always there; the others are of the configuration.
    pub built_in: bool,
}

/// What would come of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessTest {
    /// Whether it would be let through.
    pub allowed: bool,
    /// How that was decided, in the order in which it was.
    pub steps: Vec<String>,
}

/// What runs on: streams and long answers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionList {
    /// Oldest first; at most 500.
    pub sessions: Vec<SessionInfo>,
    /// All there are.
    pub total: u64,
}

/// A stream or a long answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionInfo {
    /// Who: the subject of a token, the name of a key.
    pub sub: Option<String>,
    /// By what they were let in: `token`, `key` or `anonymous`.
    pub via: String,
    /// The token's `jti`, the key's id.
    pub credential: Option<String>,
    /// The route.
    pub route: String,
    /// Where it goes.
    pub address: Option<String>,
    /// Since when.
    pub since_ms: u64,
    /// When it ends by itself; `null` is never.
    pub expires_ms: Option<u64>,
    /// How its address, user, token or key stands against its limits.
    #[serde(default)]
    pub uses: Vec<LimitUse>,
}

/// How an address, a user, a token or a key stands against its limits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitUse {
    /// What of: `address`, `user`, `token` or `key`.
    pub of: String,
    /// Streams that it has now.
    pub streams: u32,
    /// Streams that it may have at a time; `null` is no limit.
    pub most_streams: Option<u32>,
    /// Requests that it may make at once now; `null` is no limit.
    pub requests_left: Option<u64>,
    /// Requests that it may make at once after a rest; `null` is no limit.
    pub most_requests: Option<u64>,
}

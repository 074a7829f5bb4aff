//! What operators do: make and revoke tokens and keys, look who is there, ask why somebody is not let in.
//! What writes to the disk blocks until it is there.

use std::net::IpAddr;

use talas_wire::{
    AccessTest, KeyAdded, KeyInfo, KeyList, LimitUse, RoleInfo, RoleList, SessionInfo, SessionList,
    TokenInfo, TokenList, TokenMinted,
};
use uuid::Uuid;

use super::api_key::{self, ApiKey, NewKey};
use super::files::SecretFile;
use super::gate::{Gate, now_s};
use super::random;
use super::sessions::Session;
use super::store::{Kept, MOST, MOST_REVOKED, Minted};
use crate::access::{
    self, Guard, Network, NewClaims, Pass, PathPattern, Permissions, Place, Refusal, Roles, Via, mint,
};
use crate::error::{Context, Error, Kind, Result};
use crate::tools::atomic_file;

/// Most sessions of a list.
pub const SESSIONS: usize = 500;
/// Seconds in a day.
const DAY_S: i64 = 86_400;
/// Longest name of a key or subject, in bytes.
const LONGEST_NAME: usize = 256;

/// What a token is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MintWish {
    /// Who it is for.
    pub subject: String,
    /// What its bearer is.
    pub roles: Vec<String>,
    /// For how long, in seconds.
    pub for_s: u32,
    /// The tracks that it is for; empty is not bound.
    pub tracks: Vec<String>,
    /// The paths that it is for; empty is not bound.
    pub paths: Vec<String>,
}

fn invalid(message: String) -> Error {
    Error::new(Kind::Invalid, message)
}

fn check_name(what: &str, name: &str) -> Result<()> {
    let is_fine =
        !name.trim().is_empty() && name.len() <= LONGEST_NAME && !name.chars().any(char::is_control);
    let help = || invalid(format!("a {what} has 1 to {LONGEST_NAME} bytes and no control characters"));
    is_fine.then_some(()).ok_or_else(help)
}

fn ms(seconds: i64) -> u64 {
    u64::try_from(seconds.saturating_mul(1000)).unwrap_or(0)
}

impl Gate {
    /// Makes a token.
    ///
    /// # Errors
    /// [`Kind::Invalid`] for a wish that cannot be met, [`Kind::Conflict`] when there are too many.
    pub fn mint(&self, wish: MintWish) -> Result<TokenMinted> {
        check_name("subject", &wish.subject)?;
        wish.paths.iter().try_for_each(|path| path.parse::<PathPattern>().map(drop))?;
        if self.rules().signing.is_none() {
            self.make_key()?;
        }
        let rules = self.rules();
        if let Some(unknown) = wish.roles.iter().find(|role| rules.roles.get(role).is_none()) {
            let known: Vec<&str> = rules.roles.iter().map(|(name, _)| name).collect();
            return Err(invalid(format!("there is no role {unknown:?}: the roles are {}", known.join(", "))));
        }
        let longest_days = rules.expected.longest_days;
        if wish.for_s == 0 || i64::from(wish.for_s) > i64::from(longest_days) * DAY_S {
            let limit = format!("access.jwt.longest_days is {longest_days}");
            return Err(invalid(format!("a token lasts a second at least, and {limit}")));
        }
        let signing = rules
            .signing
            .as_ref()
            .ok_or_else(|| Error::new(Kind::Internal, "there is no key to sign with"))?;
        let now_s = now_s();
        // A subject whose tokens up to this second were revoked gets one of the next.
        let cut_s = self.store.with(|kept| kept.revoked.cut_of(&wish.subject));
        let issued_s = cut_s.map_or(now_s, |cut_s| now_s.max(cut_s + 1));
        let claims = NewClaims {
            iss: rules.expected.issuers.first().cloned().unwrap_or_default(),
            aud: rules.expected.audience.clone(),
            sub: wish.subject,
            jti: Uuid::now_v7().to_string(),
            iat: issued_s,
            exp: now_s + i64::from(wish.for_s),
            roles: wish.roles,
            audio_id: wish.tracks,
            paths: wish.paths,
        };
        let token = mint(&claims, &signing.0)?;
        self.remember(&claims, now_s)?;
        tracing::info!(
            event = "token_minted",
            token = claims.jti,
            subject = claims.sub,
            roles = claims.roles.join(" "),
            expires_s = claims.exp,
            "token made"
        );
        Ok(TokenMinted { token, jti: claims.jti, sub: claims.sub, expires_ms: ms(claims.exp) })
    }

    fn remember(&self, claims: &NewClaims, now_s: i64) -> Result<()> {
        let minted = Minted {
            subject: claims.sub.clone(),
            roles: claims.roles.clone(),
            tracks: claims.audio_id.clone(),
            paths: claims.paths.clone(),
            issued_s: claims.iat,
            expires_s: claims.exp,
        };
        self.store.change(now_s, |kept| {
            if kept.tokens.len() >= MOST {
                let message = format!("there are {MOST} tokens that have not expired: revoke some, or wait");
                return Err(Error::new(Kind::Conflict, message));
            }
            kept.tokens.insert(claims.jti.clone(), minted);
            Ok(())
        })
    }

    /// The daemon's own key, for the first token where nothing else is configured.
    fn make_key(&self) -> Result<()> {
        let file = SecretFile::own(self.state_dir());
        let secret = random::<32>()?;
        atomic_file::replace(file.path(), &secret[..], 0o600).context(|| "cannot make a key".to_owned())?;
        tracing::info!(event = "key_made", path = %file.path().display(), "made a key to sign tokens with");
        self.reread()
    }

    /// The tokens made here that have not expired, oldest first.
    pub fn tokens(&self) -> TokenList {
        let kept = self.store.kept();
        let is_revoked = |id: &str, token: &Minted| {
            let cut = kept.revoked.cut_of(&token.subject).is_some_and(|cut_s| token.issued_s <= cut_s);
            kept.revoked.has_token(id) || cut
        };
        let now_s = now_s();
        let live = kept.tokens.iter().filter(|(_, token)| token.expires_s > now_s);
        let tokens = live.map(|(id, token)| TokenInfo {
            jti: id.clone(),
            sub: token.subject.clone(),
            roles: token.roles.clone(),
            audio_id: token.tracks.clone(),
            paths: token.paths.clone(),
            issued_ms: ms(token.issued_s),
            expires_ms: ms(token.expires_s),
            revoked: is_revoked(id, token),
        });
        TokenList { tokens: tokens.collect() }
    }

    /// Revokes one token by its `jti`, also one that was made elsewhere; what runs under it ends.
    ///
    /// # Errors
    /// It cannot be written: nothing changed.
    pub fn revoke_token(&self, id: &str) -> Result<()> {
        check_name("jti", id)?;
        let until_s = |kept: &Kept| kept.tokens.get(id).map(|token| token.expires_s);
        self.revoke(|kept, latest_s| {
            let until_s = until_s(kept).unwrap_or(latest_s);
            kept.revoked.add_token(id, until_s);
        })?;
        tracing::info!(event = "token_revoked", token = id, "token revoked");
        Ok(())
    }

    /// Revokes all tokens of a subject that were made up to now; what runs under them ends.
    ///
    /// # Errors
    /// It cannot be written: nothing changed.
    pub fn revoke_subject(&self, subject: &str) -> Result<()> {
        check_name("subject", subject)?;
        let now_s = now_s();
        self.revoke(|kept, latest_s| kept.revoked.add_subject(subject, now_s, latest_s))?;
        tracing::info!(event = "subject_revoked", subject, "all tokens of a subject revoked");
        Ok(())
    }

    fn revoke(&self, act: impl FnOnce(&mut Kept, i64)) -> Result<()> {
        let now_s = now_s();
        let expected = &self.rules().expected;
        // No token that is good now is good after this.
        let latest_s = now_s + i64::from(expected.longest_days) * DAY_S + expected.leeway_s + 1;
        self.store.change(now_s, |kept| {
            if kept.revoked.count() >= MOST_REVOKED {
                let message = format!("{MOST_REVOKED} revocations are in force: exchange the key instead");
                return Err(Error::new(Kind::Conflict, message));
            }
            act(kept, latest_s);
            Ok(())
        })?;
        self.sweep();
        Ok(())
    }

    /// Makes an API key. The answer is the only place where it is shown.
    ///
    /// # Errors
    /// [`Kind::Invalid`] for a wish that cannot be met, [`Kind::Conflict`] for a name that is taken.
    pub fn add_key(
        &self,
        name: &str,
        permissions: &[String],
        addresses: &[String],
        for_s: Option<u32>,
    ) -> Result<KeyAdded> {
        check_name("name", name)?;
        let now_s = now_s();
        let permissions: Permissions = permissions.iter().map(|name| name.parse()).collect::<Result<_>>()?;
        if permissions.is_empty() {
            return Err(invalid(format!("a key gives one permission or more, of {}", Permissions::ALL)));
        }
        let wish = NewKey {
            name: name.to_owned(),
            permissions,
            addresses: addresses.iter().map(|text| text.parse::<Network>()).collect::<Result<_>>()?,
            expires_s: for_s.map(|for_s| now_s + i64::from(for_s)),
        };
        let (key, shown) = ApiKey::generate(wish, now_s)?;
        let info = self.info(&key);
        self.store.change(now_s, |kept| {
            if kept.keys.values().any(|other| other.name == name) {
                return Err(Error::new(
                    Kind::Conflict,
                    format!("there is an API key of the name {name:?} already"),
                ));
            }
            if kept.keys.len() >= MOST {
                return Err(Error::new(Kind::Conflict, format!("there are {MOST} API keys: remove some")));
            }
            kept.keys.insert(key.id.clone(), key);
            Ok(())
        })?;
        tracing::info!(event = "key_added", key = info.id, name, "API key made");
        Ok(KeyAdded { key: shown.to_string(), info })
    }

    fn info(&self, key: &ApiKey) -> KeyInfo {
        KeyInfo {
            id: key.id.clone(),
            name: key.name.clone(),
            permissions: key.permissions.clone(),
            addresses: key.addresses.clone(),
            created_ms: ms(key.created_s),
            expires_ms: key.expires_s.map(ms),
            last_used_ms: self.last_used_s(key).map(ms),
        }
    }

    /// The API keys.
    pub fn api_keys(&self) -> KeyList {
        KeyList { keys: self.store.kept().keys.values().map(|key| self.info(key)).collect() }
    }

    /// Removes an API key by its id or name; what runs under it ends.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when there is none.
    pub fn remove_key(&self, wish: &str) -> Result<KeyInfo> {
        let removed = self.store.change(now_s(), |kept| {
            let is_meant = |key: &&ApiKey| key.id == wish || key.name == wish;
            let id = kept.keys.values().find(is_meant).map(|key| key.id.clone());
            let none = || Error::new(Kind::NotFound, format!("there is no API key {wish:?}"));
            id.and_then(|id| kept.keys.remove(&id)).ok_or_else(none)
        })?;
        self.sweep();
        tracing::info!(event = "key_removed", key = removed.id, name = removed.name, "API key removed");
        Ok(self.info(&removed))
    }

    /// The roles, and what each gives.
    pub fn roles(&self) -> RoleList {
        let rules = self.rules();
        let roles = rules.roles.iter().map(|(name, permissions)| RoleInfo {
            name: name.to_owned(),
            permissions: permissions.names(),
            built_in: Roles::is_built_in(name),
        });
        RoleList { roles: roles.collect() }
    }

    /// What runs on, oldest first.
    pub fn list_sessions(&self) -> SessionList {
        let all = self.sessions.all();
        let listed = all.iter().take(SESSIONS).map(|session| SessionInfo {
            sub: session.pass.subject.clone(),
            via: via(&session.pass).to_owned(),
            credential: credential(&session.pass),
            route: session.route.to_owned(),
            address: session.address.map(|address| address.to_string()),
            since_ms: u64::try_from(session.since_ms).unwrap_or(0),
            expires_ms: session.pass.expires_s.map(ms),
            uses: self.uses(session),
        });
        SessionList { sessions: listed.collect(), total: all.len() as u64 }
    }

    fn uses(&self, session: &Session) -> Vec<LimitUse> {
        let limiter = self.limiter();
        let address = session.address.map(|address| limiter.address(address)).unwrap_or_default();
        limiter.uses(&address.and(limiter.bearer(&session.pass)))
    }

    /// What would come of a request with this token or key, or with none, and why. Nothing is done, and no
    /// use is noted.
    pub fn explain(
        &self,
        shown: Option<&str>,
        method: &str,
        path: &str,
        address: Option<IpAddr>,
    ) -> AccessTest {
        let mut steps = Vec::new();
        let rule = access::route_of(method, path);
        let needs_nobody = rule.is_some_and(|rule| rule.needs.is_none());
        let pass = match self.identify(shown.filter(|_| !needs_nobody), &mut steps) {
            Ok(pass) => pass,
            Err(refusal) => {
                steps.push(format!("what was shown is not accepted: {refusal}"));
                return AccessTest { allowed: false, steps };
            }
        };
        let place = Place { path, address };
        let decided = access::decide(rule, &pass, place, &mut |step| steps.push(step.to_string()));
        steps.push(decided.map_or_else(|denial| format!("no: {denial}"), |()| "yes".to_owned()));
        AccessTest { allowed: decided.is_ok(), steps }
    }

    fn identify(&self, shown: Option<&str>, steps: &mut Vec<String>) -> Result<Pass, Refusal> {
        if self.guard == Guard::Open {
            steps.push("the door is open: nothing that is shown is looked at".to_owned());
            return Ok(Pass::open());
        }
        let Some(shown) = shown else {
            steps.push("nothing is shown".to_owned());
            return Ok(self.stranger());
        };
        let is_key = shown.starts_with(api_key::PREFIX);
        let now_s = now_s();
        let pass = if is_key { self.check_key(shown)? } else { self.check(shown, now_s)? };
        let what = if is_key { "the API key" } else { "the token" };
        let who = pass.subject.as_deref().unwrap_or("nobody");
        steps.push(format!("{what} is good, and names {who:?}"));
        self.stands_at(&pass, now_s)?;
        let left = pass.expires_s.map(|expires_s| format!("it is good for {} s more", expires_s - now_s));
        steps.push(left.unwrap_or_else(|| "it is good until it is removed".to_owned()));
        Ok(pass)
    }
}

fn via(pass: &Pass) -> &'static str {
    match pass.via {
        Via::Open => "open",
        Via::Anonymous => "anonymous",
        Via::Level(_) => "control",
        Via::Token(_) => "token",
        Via::Key(_) => "key",
    }
}

fn credential(pass: &Pass) -> Option<String> {
    match &pass.via {
        Via::Token(id) => id.clone(),
        Via::Key(id) => Some(id.clone()),
        Via::Open | Via::Anonymous | Via::Level(_) => None,
    }
}

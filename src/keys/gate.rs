//! Who somebody is, by what they show; and whether that still stands.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use jsonwebtoken::EncodingKey;
use tokio::time::{MissedTickBehavior, interval};

use super::api_key::{self, ApiKey};
use super::cache::{self, Cache};
use super::files::{self, SecretFile};
use super::jwks::Jwks;
use super::limiter::Limiter;
use super::sessions::{Seat, Sessions};
use super::store::Store;
use crate::access::{
    Claims, Expected, Guard, Key, Pass, Permissions, ROLE_OF_THE_UNNAMED, Refusal, Roles, Settings, Via,
    verify,
};
use crate::error::{Context, Result};
use crate::tools::clock::{self, NS_PER_S};
use crate::tools::lock::lock;
use crate::tools::stop::Stop;

/// How often it is looked whether what runs on still may: a stream ends within this after its pass is
/// over, and is cut within twice this.
const SWEEP: Duration = Duration::from_millis(250);
/// How often the last use of keys is written, and what time has settled is forgotten.
const TIDY: Duration = Duration::from_secs(60);

/// What settings and key files make; replaced whole.
#[derive(Debug)]
pub(super) struct Rules {
    /// Whoever shows nothing.
    stranger: Arc<Pass>,
    pub(super) roles: Roles,
    pub(super) expected: Expected,
    keys: Vec<Key>,
    /// The key that tokens are made with.
    pub(super) signing: Option<Signing>,
}

/// A key that signs; never shown.
pub(super) struct Signing(pub(super) EncodingKey);

impl std::fmt::Debug for Signing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Signing")
    }
}

impl Rules {
    fn read(settings: &Settings, guard: Guard, state_dir: &Path) -> Result<Self> {
        let jwt = &settings.jwt;
        let mut keys: Vec<Key> =
            jwt.public_keys.iter().map(|path| files::public_key(path)).collect::<Result<_>>()?;
        let mut signing = None;
        if let Some(file) = SecretFile::find(jwt.key_file.as_deref(), state_dir) {
            let secret = file.read()?;
            keys.push(Key::secret(&secret).context(|| file.path().display().to_string())?);
            signing = Some(Signing(EncodingKey::from_secret(&secret)));
        }
        let stranger = match guard {
            Guard::Open => Pass::open(),
            Guard::Token => Pass::anonymous(settings.anonymous()),
        };
        let roles = Roles::new(settings.roles.clone());
        Ok(Self { stranger: Arc::new(stranger), roles, expected: settings.expected(), keys, signing })
    }

    fn pass(&self, claims: Claims) -> Pass {
        let unnamed = claims.roles.is_empty() && claims.permissions.is_empty();
        let named = claims.roles.iter().map(String::as_str);
        let roles = named.chain(unnamed.then_some(ROLE_OF_THE_UNNAMED));
        // What another issuer calls its roles and is not known here gives nothing.
        let of_roles =
            roles.filter_map(|role| self.roles.get(role)).fold(Permissions::NONE, Permissions::and);
        let own: Permissions = claims.permissions.iter().filter_map(|name| name.parse().ok()).collect();
        Pass {
            via: Via::Token(claims.id),
            subject: Some(claims.subject),
            permissions: of_roles.and(own),
            bounds: claims.bounds,
            issued_s: claims.issued_s,
            expires_s: Some(claims.expires_s),
        }
    }
}

/// Tells callers apart.
#[derive(Debug)]
pub struct Gate {
    pub(super) guard: Guard,
    state_dir: PathBuf,
    settings: Mutex<Settings>,
    rules: ArcSwap<Rules>,
    jwks: Option<Jwks>,
    pub(super) store: Store,
    cache: Cache,
    limiter: Arc<Limiter>,
    pub(super) sessions: Arc<Sessions>,
    /// When keys were used since that was last written, in seconds since the epoch, by id.
    used: Mutex<BTreeMap<String, i64>>,
}

/// Now, in seconds since the epoch.
pub(super) fn now_s() -> i64 {
    clock::wall_ns() / NS_PER_S
}

impl Gate {
    /// A gate for a daemon that is guarded so.
    ///
    /// # Errors
    /// A key cannot be read, or what was kept cannot.
    pub fn new(settings: &Settings, guard: Guard, state_dir: &Path) -> Result<Self> {
        let jwks = settings.jwt.jwks_url.as_deref().filter(|_| guard == Guard::Token);
        Ok(Self {
            guard,
            state_dir: state_dir.to_owned(),
            settings: Mutex::new(settings.clone()),
            rules: ArcSwap::from_pointee(Rules::read(settings, guard, state_dir)?),
            jwks: jwks.map(Jwks::new).transpose()?,
            store: Store::open(state_dir)?,
            cache: Cache::default(),
            limiter: Arc::new(Limiter::new(settings.limits.clone())),
            sessions: Arc::default(),
            used: Mutex::default(),
        })
    }

    /// Puts new settings into force, for requests to come, and reads the key files again. The mode and the
    /// address of a JWKS stay as they were.
    ///
    /// # Errors
    /// A key cannot be read: nothing changed.
    pub fn apply(&self, settings: &Settings) -> Result<()> {
        let rules = Rules::read(settings, self.guard, &self.state_dir)?;
        *lock(&self.settings) = settings.clone();
        self.limiter.apply(settings.limits.clone());
        self.rules.store(Arc::new(rules));
        self.cache.clear();
        Ok(())
    }

    /// Reads the key files again, one of which is new.
    pub(super) fn reread(&self) -> Result<()> {
        let settings = lock(&self.settings).clone();
        self.apply(&settings)
    }

    /// Who has used how much, and may use how much.
    pub fn limiter(&self) -> &Arc<Limiter> {
        &self.limiter
    }

    pub(super) fn state_dir(&self) -> &Path {
        &self.state_dir
    }

    /// Whoever shows nothing.
    pub(super) fn stranger(&self) -> Pass {
        Pass::clone(&self.rules.load().stranger)
    }

    pub(super) fn rules(&self) -> Arc<Rules> {
        self.rules.load_full()
    }

    /// How the door is guarded, for people.
    pub fn describe(&self) -> talas_wire::Access {
        let anonymous = match self.guard {
            Guard::Open => Vec::new(),
            Guard::Token => self.rules.load().stranger.permissions.names(),
        };
        let refused = self.limiter.refused();
        talas_wire::Access { mode: self.guard.as_str().to_owned(), anonymous, refused }
    }

    /// Who somebody is who shows this, or nothing.
    ///
    /// # Errors
    /// What was shown opens nothing here.
    pub async fn admit(&self, shown: Option<&str>) -> Result<Arc<Pass>, Refusal> {
        let now_s = now_s();
        let Some(shown) = shown.filter(|_| self.guard == Guard::Token) else {
            // An open door looks at nothing.
            return Ok(self.rules.load().stranger.clone());
        };
        if shown.starts_with(api_key::PREFIX) {
            return self.admit_key(shown, now_s);
        }
        let print = cache::print(shown);
        if let Some(pass) = self.cache.get(&print) {
            return self.stands_at(&pass, now_s).map(|()| pass);
        }
        let pass = match self.check(shown, now_s) {
            // Its issuer may have changed its keys.
            Err(Refusal::UnknownKey | Refusal::NoKey) if self.looks_again().await => {
                self.check(shown, now_s)?
            }
            checked => checked?,
        };
        self.stands_at(&pass, now_s)?;
        let pass = Arc::new(pass);
        self.cache.put(print, pass.clone());
        Ok(pass)
    }

    async fn looks_again(&self) -> bool {
        match &self.jwks {
            Some(jwks) => jwks.look_again().await,
            None => false,
        }
    }

    /// Checks a token as if for the first time.
    pub(super) fn check(&self, token: &str, now_s: i64) -> Result<Pass, Refusal> {
        let rules = self.rules.load();
        let fetched = self.jwks.as_ref().and_then(|jwks| jwks.keys(clock::mono_ns()));
        let keys = rules.keys.iter().chain(fetched.iter().flat_map(|fetched| &fetched.keys));
        verify(token, keys, &rules.expected, now_s).map(|claims| rules.pass(claims))
    }

    pub(super) fn check_key(&self, shown: &str) -> Result<Pass, Refusal> {
        let is_it = |key: &&ApiKey| key.is(shown);
        self.store.with(|kept| {
            let key = ApiKey::id_of(shown).and_then(|id| kept.keys.get(id)).filter(is_it);
            // What is kept was read, or made here: it has a meaning.
            key.and_then(|key| key.pass().ok()).ok_or(Refusal::UnknownApiKey)
        })
    }

    fn admit_key(&self, shown: &str, now_s: i64) -> Result<Arc<Pass>, Refusal> {
        let pass = self.check_key(shown)?;
        self.stands_at(&pass, now_s)?;
        if let Via::Key(id) = &pass.via {
            lock(&self.used).insert(id.clone(), now_s);
        }
        Ok(Arc::new(pass))
    }

    /// Whether a pass still stands.
    ///
    /// # Errors
    /// Its time is over, or it was taken back.
    pub(super) fn stands_at(&self, pass: &Pass, now_s: i64) -> Result<(), Refusal> {
        if pass.expires_s.is_some_and(|expires_s| expires_s <= now_s) {
            return Err(Refusal::Expired);
        }
        self.store.with(|kept| match &pass.via {
            Via::Token(_) if kept.revoked.has(pass) => Err(Refusal::Revoked),
            Via::Key(id) if !kept.keys.contains_key(id) => Err(Refusal::UnknownApiKey),
            _ => Ok(()),
        })
    }

    /// Puts something that runs on under a pass on the list, to be ended with it; nothing where the door is
    /// open, and no pass is ever over.
    pub fn begin(
        &self,
        pass: &Arc<Pass>,
        route: &'static str,
        address: Option<IpAddr>,
        reset: impl Fn() + Send + Sync + 'static,
    ) -> Option<Seat> {
        (self.guard == Guard::Token).then(|| self.sessions.begin(pass.clone(), route, address, reset))
    }

    /// Ends what runs on and may no longer.
    pub fn sweep(&self) {
        let now_s = now_s();
        self.sessions.sweep(|pass| self.stands_at(pass, now_s));
    }

    /// Looks after all that until the stop: streams whose pass is over, keys of the other issuer, the file.
    pub async fn run(self: Arc<Self>, stop: Stop) {
        let jwks = async {
            match &self.jwks {
                Some(jwks) => jwks.run(&stop, || self.cache.clear()).await,
                None => stop.stopped().await,
            }
        };
        tokio::join!(jwks, self.look_after(&stop));
        self.tidy().await;
    }

    async fn look_after(self: &Arc<Self>, stop: &Stop) {
        let mut sweep = interval(SWEEP);
        let mut tidy = interval(TIDY);
        sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tidy.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.stopped() => return,
                _ = sweep.tick() => self.sweep(),
                _ = tidy.tick() => self.tidy().await,
            }
        }
    }

    async fn tidy(self: &Arc<Self>) {
        let gate = self.clone();
        let tidied = tokio::task::spawn_blocking(move || gate.write_uses()).await;
        if let Ok(Err(error)) = tidied {
            let reason = error.chain();
            tracing::warn!(event = "access_not_saved", reason, "the last use of API keys cannot be written");
        }
    }

    fn write_uses(&self) -> Result<()> {
        let now_s = now_s();
        let used = std::mem::take(&mut *lock(&self.used));
        if used.is_empty() {
            return self.store.prune(now_s);
        }
        self.store.change(now_s, |kept| {
            for (id, used_s) in used {
                if let Some(key) = kept.keys.get_mut(&id) {
                    key.last_used_s = Some(used_s);
                }
            }
            Ok(())
        })
    }

    /// When a key was last used, also where that is not yet written.
    pub(super) fn last_used_s(&self, key: &ApiKey) -> Option<i64> {
        lock(&self.used).get(&key.id).copied().or(key.last_used_s)
    }
}

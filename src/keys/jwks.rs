//! Keys of another issuer, by the address of its JWKS (RFC 7517).
//!
//! Fetched at start and every ten minutes, and out of turn when a token names a key that is not there:
//! twice a minute at most, whoever asks. While the issuer cannot be reached, or answers with what is no set
//! of keys, the last good ones stay for a day; then their tokens are refused. Redirects are not followed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::sync::{Notify, watch};

use crate::access::{Key, keys_of_jwks};
use crate::error::{Error, Kind, Result};
use crate::tools::clock::{self, NS_PER_S};
use crate::tools::stop::Stop;

/// How often the keys are looked at.
const EVERY: Duration = Duration::from_secs(600);
/// How soon after a failure.
const AFTER_FAILURE: Duration = Duration::from_secs(30);
/// Least time between two looks out of turn, in nanoseconds.
const LEAST_BETWEEN_NS: i64 = 30 * NS_PER_S;
/// How long the last good keys are good, in nanoseconds.
const KEPT_NS: i64 = 24 * 3600 * NS_PER_S;
/// How long a fetch may take.
const FETCH_DEADLINE: Duration = Duration::from_secs(5);
/// How long a request waits for the key that its token names.
const PATIENCE: Duration = Duration::from_secs(3);
/// Longest document, in bytes: 32 keys of RSA have a tenth of it.
const MOST_BYTES: usize = 256 * 1024;

/// Keys that were fetched.
#[derive(Debug)]
pub struct Fetched {
    /// The keys.
    pub keys: Vec<Key>,
    document: Vec<u8>,
    at_ns: i64,
}

/// Keys from elsewhere.
#[derive(Debug)]
pub struct Jwks {
    url: String,
    client: reqwest::Client,
    fetched: ArcSwapOption<Fetched>,
    /// When it was last tried; 0 is never.
    tried_ns: AtomicI64,
    /// It is being tried, or asked for.
    is_looking: AtomicBool,
    wanted: Notify,
    looks: watch::Sender<u64>,
}

impl Jwks {
    /// The keys at this address, not yet fetched.
    ///
    /// # Errors
    /// The library cannot be set up for TLS.
    pub fn new(url: &str) -> Result<Self> {
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(FETCH_DEADLINE)
            .user_agent(concat!("talasd/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| Error::caused(Kind::Internal, "cannot set up the client for the JWKS", error))?;
        Ok(Self {
            url: url.to_owned(),
            client,
            fetched: ArcSwapOption::empty(),
            tried_ns: AtomicI64::new(0),
            is_looking: AtomicBool::new(false),
            wanted: Notify::new(),
            looks: watch::Sender::new(0),
        })
    }

    /// The keys that are good at this time of the monotonic clock.
    pub fn keys(&self, now_ns: i64) -> Option<Arc<Fetched>> {
        self.fetched.load_full().filter(|fetched| now_ns - fetched.at_ns < KEPT_NS)
    }

    /// Asks for a look out of turn and waits for it. Whether there was one.
    pub async fn look_again(&self) -> bool {
        let mut looks = self.looks.subscribe();
        if !self.is_looking.load(Ordering::Acquire) {
            let tried_ns = self.tried_ns.load(Ordering::Relaxed);
            if tried_ns != 0 && clock::mono_ns() - tried_ns < LEAST_BETWEEN_NS {
                return false;
            }
            // Of a crowd that comes at once one asks, and all wait for the same answer.
            if !self.is_looking.swap(true, Ordering::AcqRel) {
                self.wanted.notify_one();
            }
        }
        matches!(tokio::time::timeout(PATIENCE, looks.changed()).await, Ok(Ok(())))
    }

    /// Keeps the keys fresh until the stop. `changed` is called when there are others.
    pub async fn run(&self, stop: &Stop, changed: impl Fn()) {
        loop {
            self.is_looking.store(true, Ordering::Release);
            let wait = match self.look().await {
                Ok(is_new) => {
                    if is_new {
                        changed();
                    }
                    EVERY
                }
                Err(error) => {
                    let reason = error.chain();
                    tracing::warn!(
                        event = "jwks_failed",
                        reason,
                        "keys of the other issuer cannot be fetched"
                    );
                    AFTER_FAILURE
                }
            };
            self.tried_ns.store(clock::mono_ns(), Ordering::Relaxed);
            self.is_looking.store(false, Ordering::Release);
            self.looks.send_modify(|looks| *looks += 1);
            tokio::select! {
                () = stop.stopped() => return,
                () = self.wanted.notified() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Fetches once. Whether the keys are others than before.
    async fn look(&self) -> Result<bool> {
        let document = self.fetch().await.map_err(|error| {
            // The error of the library names the address, with what may be in its query.
            Error::caused(Kind::Unavailable, "the JWKS cannot be fetched", error.without_url())
        })?;
        let document = document?;
        let is_new = self.fetched.load().as_ref().is_none_or(|fetched| fetched.document != document);
        let keys = keys_of_jwks(&document)?;
        if is_new {
            tracing::info!(event = "jwks_fetched", keys = keys.len(), "keys of the other issuer");
        }
        self.fetched.store(Some(Arc::new(Fetched { keys, document, at_ns: clock::mono_ns() })));
        Ok(is_new)
    }

    async fn fetch(&self) -> std::result::Result<Result<Vec<u8>>, reqwest::Error> {
        let mut response = self.client.get(&self.url).header("accept", "application/json").send().await?;
        if !response.status().is_success() {
            let message = format!("the server of the JWKS answers {}", response.status());
            return Ok(Err(Error::new(Kind::Unavailable, message)));
        }
        let mut document = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            if document.len() + chunk.len() > MOST_BYTES {
                return Ok(Err(Error::new(Kind::Invalid, "the JWKS is longer than any is")));
            }
            document.extend_from_slice(&chunk);
        }
        Ok(Ok(document))
    }
}

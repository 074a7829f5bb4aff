//! What is known of a push from outside: its state, and what it has sent.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::tools::lock::lock;
use talas_wire::{Push, PushState};

/// State and figures of one push.
#[derive(Debug)]
pub struct Figures {
    url: String,
    rendition: String,
    /// State, why, and since when, in milliseconds since the epoch.
    state: Mutex<(PushState, Option<String>, u64)>,
    bytes: AtomicU64,
    connections: AtomicU64,
    failures: AtomicU64,
}

impl Figures {
    /// Of a push that has not begun.
    pub fn new(url: String, rendition: String, now_ms: u64) -> Self {
        Self {
            url,
            rendition,
            state: Mutex::new((PushState::Connecting, None, now_ms)),
            bytes: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            failures: AtomicU64::new(0),
        }
    }

    /// Where it goes.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What it sends.
    pub fn rendition(&self) -> &str {
        &self.rendition
    }

    /// The server takes sound now.
    pub fn connected(&self, now_ms: u64) {
        self.connections.fetch_add(1, Ordering::Relaxed);
        *lock(&self.state) = (PushState::Connected, None, now_ms);
    }

    /// It does not, and is tried again later. The moment stays that of the first failure.
    pub fn failed(&self, reason: &str, now_ms: u64) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        let mut state = lock(&self.state);
        let since_ms = if state.0 == PushState::Waiting { state.2 } else { now_ms };
        *state = (PushState::Waiting, Some(reason.to_owned()), since_ms);
    }

    /// So many bytes of sound were handed over.
    pub fn sent(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// All of it.
    pub fn read(&self) -> Push {
        let (state, reason, since_ms) = lock(&self.state).clone();
        Push {
            url: self.url.clone(),
            rendition: self.rendition.clone(),
            state,
            reason,
            since_ms,
            bytes: self.bytes.load(Ordering::Relaxed),
            connections: self.connections.load(Ordering::Relaxed),
            failures: self.failures.load(Ordering::Relaxed),
        }
    }
}

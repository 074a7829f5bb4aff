//! Tokens that were found good, by the hash of their bytes, so that a signature is checked once and not
//! for each request. Two halves: when the young one is full it becomes the old one, and the old one goes;
//! what is used again comes back. So it is bounded without an order to keep.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use sha2::{Digest, Sha256};

use crate::access::Pass;
use crate::tools::lock::lock;

/// Tokens in a half.
const HALF: usize = 8192;

/// A token's bytes cannot be had back from it.
type Print = [u8; 32];

#[derive(Debug, Default)]
struct Halves {
    young: HashMap<Print, Arc<Pass>>,
    old: HashMap<Print, Arc<Pass>>,
}

/// The tokens.
#[derive(Debug, Default)]
pub struct Cache {
    halves: Mutex<Halves>,
}

/// The hash that a token is known by.
pub fn print(token: &str) -> Print {
    Sha256::digest(token).into()
}

impl Cache {
    /// Who a token was found to be.
    pub fn get(&self, print: &Print) -> Option<Arc<Pass>> {
        let mut halves = lock(&self.halves);
        if let Some(pass) = halves.young.get(print) {
            return Some(pass.clone());
        }
        let pass = halves.old.remove(print)?;
        halves.put(*print, pass.clone());
        Some(pass)
    }

    /// Remembers who a token is.
    pub fn put(&self, print: Print, pass: Arc<Pass>) {
        lock(&self.halves).put(print, pass);
    }

    /// Forgets all: keys have changed.
    pub fn clear(&self) {
        *lock(&self.halves) = Halves::default();
    }
}

impl Halves {
    fn put(&mut self, print: Print, pass: Arc<Pass>) {
        if self.young.len() >= HALF {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(print, pass);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Permissions;

    #[test]
    fn what_is_used_stays_and_the_rest_is_bounded() {
        let cache = Cache::default();
        let pass = Arc::new(Pass::anonymous(Permissions::NONE));
        let used = print("used");
        cache.put(used, pass.clone());
        for n in 0..5 * HALF {
            cache.put(print(&n.to_string()), pass.clone());
            assert!(n % 100 != 0 || cache.get(&used).is_some(), "{n}");
        }
        let halves = lock(&cache.halves);
        assert!(halves.young.len() + halves.old.len() <= 2 * HALF);
        drop(halves);
        assert!(cache.get(&print("0")).is_none(), "long not used");
        cache.clear();
        assert!(cache.get(&used).is_none());
    }
}

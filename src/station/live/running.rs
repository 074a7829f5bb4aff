//! The renditions that run: for each key the one that newcomers get, and those that are made in a way that is
//! configured no more, until the last of their listeners has gone.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use super::rendition::{Key, Plan, Running};

/// As the threads of the renditions have it: each takes itself off.
pub type Map = Arc<Mutex<All>>;

/// All that run.
#[derive(Debug, Default)]
pub struct All {
    current: HashMap<Key, Arc<Running>>,
    retired: Vec<Arc<Running>>,
}

impl All {
    /// The one that newcomers get.
    pub fn get(&self, key: &Key) -> Option<&Arc<Running>> {
        self.current.get(key)
    }

    /// One more, that newcomers get.
    pub fn insert(&mut self, running: Arc<Running>) {
        self.current.insert(running.plan.key.clone(), running);
    }

    /// Each, whether newcomers get it or not.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Running>> {
        self.current.values().chain(&self.retired)
    }

    /// Newcomers do not get those any more whose plan is told to be old: how many there are.
    pub fn retire(&mut self, is_old: impl Fn(&Plan) -> bool) -> usize {
        let old: Vec<_> = self.current.extract_if(|_, running| is_old(&running.plan)).collect();
        let count = old.len();
        self.retired.extend(old.into_iter().map(|(_, running)| running));
        count
    }

    /// Takes one off.
    pub fn remove(&mut self, running: &Arc<Running>) {
        self.current.retain(|_, other| !Arc::ptr_eq(other, running));
        self.retired.retain(|other| !Arc::ptr_eq(other, running));
    }
}

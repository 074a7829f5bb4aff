//! The daemon's `tools::spread`, the very file, on loom's mutex and condition variable instead of the
//! standard library's: `tests/spread.rs` runs it through every order in which its threads can meet.
//!
//! Nothing else of the daemon is here, so that this is built in seconds and no cfg goes through its
//! dependencies.

// The module brings its own tests, which run in the daemon, on real threads.
#![cfg(not(test))]

/// The daemon's has the standard library's.
mod sync {
    pub use loom::sync::{Arc, Condvar, Mutex, MutexGuard};
}

#[path = "../../../src/tools/lock.rs"]
mod lock;
#[path = "../../../src/tools/relay.rs"]
pub mod relay;
#[path = "../../../src/tools/spread.rs"]
pub mod spread;

//! Locking a mutex whose holder cannot have failed: a panic ends the process (see `contain`), so poison
//! can only mean a test's own panic, and what it guards is as good as before.

use std::sync::PoisonError;

use super::sync::{Mutex, MutexGuard};

/// Locks.
pub fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

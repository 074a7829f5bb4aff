//! What threads of the spread log meet by. In a place of its own, so that `tests/loom` can compile the
//! log with loom's instead and try it in every order that threads can run in.

pub use std::sync::{Arc, Condvar, Mutex, MutexGuard};

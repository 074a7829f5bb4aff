//! Tools that know nothing of sound: clocks, the stop signal, rings and logs, names and counters.

pub mod atomic_file;
pub mod backoff;
pub mod buffers;
pub mod burst;
pub mod clock;
pub mod confine;
pub mod contain;
#[cfg(test)]
pub mod fuzz;
pub mod histogram;
pub mod journal;
pub mod key_file;
pub mod listen;
pub mod lock;
pub mod page_cache;
pub mod paged_file;
pub mod paths;
pub mod pulse;
pub mod relay;
pub mod ring;
pub mod secret;
pub mod spread;
pub mod stop;
pub mod sync;
pub mod tally;
pub mod tasks;
pub mod workers;

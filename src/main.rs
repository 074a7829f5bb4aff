//! `talasd`: see the library's documentation for what it is and how it is built.

use std::process::ExitCode;

/// In a build for tests, allocating inside the capture loop aborts.
#[cfg(feature = "assert-no-alloc")]
#[global_allocator]
static ALLOCATOR: assert_no_alloc::AllocDisabler = assert_no_alloc::AllocDisabler;

fn main() -> ExitCode {
    talasd::daemon::main()
}

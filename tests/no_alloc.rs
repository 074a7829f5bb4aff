//! The watch over the capture thread is awake: in the build that has it, an allocation inside aborts.

#![cfg(feature = "assert-no-alloc")]

use std::os::unix::process::ExitStatusExt;
use std::process::Command;

#[global_allocator]
static ALLOCATOR: assert_no_alloc::AllocDisabler = assert_no_alloc::AllocDisabler;

/// Set in the process that is to abort.
const VICTIM: &str = "TALASD_TEST_ALLOCATES";

#[test]
fn an_allocation_inside_aborts() {
    if std::env::var_os(VICTIM).is_some() {
        assert_no_alloc::assert_no_alloc(|| std::hint::black_box(vec![0_u8; 100]));
        return;
    }
    let victim = Command::new(std::env::current_exe().expect("this test"))
        .args(["an_allocation_inside_aborts", "--exact"])
        .env(VICTIM, "1")
        .output()
        .expect("started");
    assert!(victim.status.signal().is_some(), "it ended by itself: {:?}", victim.status);
}

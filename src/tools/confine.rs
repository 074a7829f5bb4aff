//! Other people's programs, run where they can do no harm.
//!
//! A sandbox cannot be set up between `fork` and `exec` in a process with threads, so a helper does it: it
//! shuts itself in and becomes the program. It is looked for beside this executable, and where packages
//! put what is not for people.
//!
//! What the walls are is written in the helper (`confine/main.rs`).

use std::path::PathBuf;
use std::process::{Child, Command};

use crate::error::{Error, Kind, Result};

const HELPER: &str = "talas-confine";

/// Where packages install it.
const LIBEXEC: &str = "/usr/libexec/talas";

/// How the helper ends when the walls cannot be built, and when the program is not there.
const NO_WALLS: i32 = 125;
const NO_PROGRAM: i32 = 127;

/// The program under its helper, without anything of this process's environment: no socket to notify, no
/// watchdog to feed, no secrets. Arguments and pipes are the caller's to add.
///
/// # Errors
/// [`Kind::Unavailable`] when the helper is not installed.
pub fn command(program: &str) -> Result<Command> {
    let beside = std::env::current_exe().ok().and_then(|own| own.parent().map(|dir| dir.join(HELPER)));
    let places = beside.into_iter().chain([PathBuf::from(LIBEXEC).join(HELPER)]);
    let Some(helper) = places.into_iter().find(|path| path.is_file()) else {
        let message = format!("{HELPER} is neither beside talasd nor in {LIBEXEC}");
        return Err(Error::new(Kind::Unavailable, message));
    };
    let mut command = Command::new(helper);
    command.arg(program).env_clear();
    Ok(command)
}

/// Waits for a child that is at its end, and says why it is; `otherwise` when it ran as it should.
pub fn why_it_ended(mut child: Child, program: &str, otherwise: &str) -> Error {
    match child.wait().ok().and_then(|status| status.code()) {
        Some(NO_WALLS) => {
            let message =
                format!("{program} is not run, as this kernel cannot confine it (Landlock, seccomp)");
            Error::new(Kind::Unavailable, message)
        }
        Some(NO_PROGRAM) => Error::new(
            Kind::Unavailable,
            format!("{program} is not installed (Debian: apt install {program})"),
        ),
        _ => Error::new(Kind::Invalid, otherwise),
    }
}

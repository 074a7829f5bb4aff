//! `talasctl`: steers `talasd` over its control socket.
//!
//! One way through: `args` (the command line as data) → `call` (what to ask) → `client` (ask it) →
//! `show` (the answer as text for people) → `screen` (out) → `error` (the exit code). Everything
//! that decides is pure; only `client`, `lines`, `interrupt` and `screen` touch the world.
//!
//! Not in here: ALSA, codecs, an async runtime, or anything of the daemon but the wire types.

mod args;
mod call;
mod client;
mod completions;
mod error;
mod human;
mod interrupt;
mod lines;
mod listeners;
mod manual;
mod run;
mod screen;
mod self_signed;
mod selftest;
mod setup;
mod show;
mod support;
mod text;
mod top;

#[cfg(test)]
#[path = "../tests/support/pty.rs"]
mod pty;
#[cfg(test)]
mod samples;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let args = args::Args::parse();
    match run::run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => error.report(),
    }
}

//! `talas-confine PROGRAM ARGUMENT…`: shuts itself in and becomes the program.
//!
//! The walls, in the order in which they are built:
//!
//! - limits: 2 GiB of address space, an hour of processor time, no file may be written, no core;
//! - Landlock: of the file system it can read the system's programs and libraries, and the file that is its
//!   standard input; it can write nothing;
//! - seccomp: no sockets, no look at other processes, nothing of the kernel's administration;
//! - descriptors above standard error are closed, and new privileges are ruled out.
//!
//! If a wall cannot be built, nothing is run: 125 is the exit code then, 127 when the program is not there.

#![allow(clippy::print_stderr, reason = "a program")]

use std::collections::BTreeMap;
use std::error::Error;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use landlock::{
    ABI, Access, AccessFs, PathBeneath, PathFd, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetStatus,
};
use nix::sys::resource::{Resource, setrlimit};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};

type Outcome<T> = Result<T, Box<dyn Error>>;

const NO_WALLS: u8 = 125;
const NO_PROGRAM: u8 = 127;
const USAGE: u8 = 2;

/// Room for a decoder with all of its libraries.
const ADDRESS_SPACE_BYTES: u64 = 2 << 30;
/// Hundreds of hours of sound, and the end of what goes round in circles.
const PROCESSOR_SECONDS: u64 = 3600;
const MOST_DESCRIPTORS: u64 = 64;

/// Where programs, their libraries and the list of libraries are.
const READABLE: &[&str] =
    &["/usr", "/bin", "/lib", "/lib32", "/lib64", "/etc/ld.so.cache", "/etc/alternatives", "/dev/null"];

/// Where the program is looked for.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let Some(program) = arguments.next() else {
        eprintln!("usage: talas-confine PROGRAM ARGUMENT...");
        return ExitCode::from(USAGE);
    };
    if let Err(error) = build_walls() {
        eprintln!("talas-confine: {error}");
        return ExitCode::from(NO_WALLS);
    }
    let error = become_program(program, arguments);
    eprintln!("talas-confine: {error}");
    ExitCode::from(if error.kind() == io::ErrorKind::NotFound { NO_PROGRAM } else { NO_WALLS })
}

fn build_walls() -> Outcome<()> {
    limit()?;
    // Standard input before anything is closed to us.
    close_inherited()?;
    shut_files()?;
    shut_calls()
}

/// Never returns but for an error.
fn become_program(program: OsString, arguments: impl Iterator<Item = OsString>) -> io::Error {
    Command::new(program).args(arguments).env_clear().env("PATH", PATH).env("LC_ALL", "C").exec()
}

fn limit() -> Outcome<()> {
    for (resource, most) in [
        (Resource::RLIMIT_AS, ADDRESS_SPACE_BYTES),
        (Resource::RLIMIT_CPU, PROCESSOR_SECONDS),
        (Resource::RLIMIT_NOFILE, MOST_DESCRIPTORS),
        (Resource::RLIMIT_FSIZE, 0),
        (Resource::RLIMIT_CORE, 0),
    ] {
        setrlimit(resource, most, most)?;
    }
    Ok(())
}

/// What the daemon has open closes itself; this is for what somebody gave the daemon.
#[expect(unsafe_code, reason = "a call that the bindings do not have")]
fn close_inherited() -> Outcome<()> {
    // SAFETY: only standard input, output and error are in use, and they are below 3.
    let closed = unsafe { libc::close_range(3, libc::c_uint::MAX, 0) };
    if closed == 0 { Ok(()) } else { Err(io::Error::last_os_error().into()) }
}

fn shut_files() -> Outcome<()> {
    let abi = ABI::V3;
    let mut rules = Ruleset::default().handle_access(AccessFs::from_all(abi))?.create()?;
    let readable = AccessFs::from_read(abi);
    for path in READABLE {
        // What is not there needs no permission.
        if let Ok(path) = PathFd::new(path) {
            rules = rules.add_rule(PathBeneath::new(path, readable))?;
        }
    }
    let input = File::open("/proc/self/fd/0");
    if let Some(input) = input.ok().filter(|input| input.metadata().is_ok_and(|data| data.is_file())) {
        rules = rules.add_rule(PathBeneath::new(input.as_fd(), AccessFs::ReadFile))?;
    }
    match rules.restrict_self()?.ruleset {
        RulesetStatus::NotEnforced => Err("this kernel has no Landlock".into()),
        RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced => Ok(()),
    }
}

/// What a decoder never calls, and what gets out of a sandbox or into the kernel.
const FORBIDDEN: &[libc::c_long] = &[
    libc::SYS_socket,
    libc::SYS_socketpair,
    libc::SYS_connect,
    libc::SYS_bind,
    libc::SYS_listen,
    libc::SYS_accept4,
    libc::SYS_sendto,
    libc::SYS_sendmsg,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_pidfd_getfd,
    libc::SYS_kill,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_kexec_load,
    libc::SYS_open_by_handle_at,
    libc::SYS_truncate,
    libc::SYS_fchmodat,
    libc::SYS_utimensat,
];

fn shut_calls() -> Outcome<()> {
    let rules: BTreeMap<i64, Vec<_>> = FORBIDDEN.iter().map(|call| (*call, Vec::new())).collect();
    let denied = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, denied, std::env::consts::ARCH.try_into()?)?;
    let program: BpfProgram = filter.try_into()?;
    // Rules out new privileges as well.
    seccompiler::apply_filter(&program)?;
    Ok(())
}

//! Terminals of the kernel's own making, and programs on them.

// Each test file is a crate of its own and uses what it needs.
#![allow(dead_code)]

use std::fs::File;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

/// A pseudo-terminal: our end, and the program's.
pub struct Pty {
    /// What the program writes comes out here; what is written here are its keys.
    pub ours: File,
    theirs: Option<OwnedFd>,
}

impl Pty {
    /// A terminal of this size.
    #[expect(unsafe_code, reason = "the standard library has no pseudo-terminals")]
    pub fn open(columns: u16, rows: u16) -> Self {
        let size = size(columns, rows);
        let (mut ours, mut theirs) = (-1, -1);
        // SAFETY: both descriptors are written before it returns 0; name and attributes may be null.
        let opened = unsafe {
            libc::openpty(
                &raw mut ours,
                &raw mut theirs,
                std::ptr::null_mut(),
                std::ptr::null(),
                &raw const size,
            )
        };
        assert_eq!(opened, 0, "a pseudo-terminal");
        // SAFETY: both are open, and nobody else owns them.
        unsafe { Self { ours: File::from_raw_fd(ours), theirs: Some(OwnedFd::from_raw_fd(theirs)) } }
    }

    /// The program's end.
    pub fn theirs(&self) -> &OwnedFd {
        self.theirs.as_ref().expect("it is open")
    }

    /// Closes our handle on the program's end: when the program closes its own, that is the end.
    pub fn close_theirs(&mut self) {
        self.theirs = None;
    }

    /// Gives it another size; who runs on it gets SIGWINCH.
    #[expect(unsafe_code, reason = "the standard library has no terminals")]
    pub fn resize(&self, columns: u16, rows: u16) {
        let size = size(columns, rows);
        // SAFETY: the descriptor is open and the size outlives the call.
        let set = unsafe { libc::ioctl(self.ours.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) };
        assert_eq!(set, 0, "another size");
    }

    /// How the kernel treats what is typed: canonical, echoing, with signals, or raw.
    #[expect(unsafe_code, reason = "the standard library has no terminals")]
    pub fn modes(&self) -> [libc::tcflag_t; 4] {
        // SAFETY: all zeros is a valid value of this plain structure.
        let mut modes: libc::termios = unsafe { std::mem::zeroed() };
        // SAFETY: the descriptor is open and the structure outlives the call.
        let got = unsafe { libc::tcgetattr(self.ours.as_raw_fd(), &raw mut modes) };
        assert_eq!(got, 0, "the modes");
        [modes.c_iflag, modes.c_oflag, modes.c_cflag, modes.c_lflag]
    }
}

fn size(columns: u16, rows: u16) -> libc::winsize {
    libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }
}

/// The command in a session of its own, with this as its terminal for everything.
#[expect(unsafe_code, reason = "a controlling terminal is taken between fork and exec")]
pub fn on_terminal<'a>(command: &'a mut Command, pty: &mut Pty) -> &'a mut Command {
    let end = || pty.theirs().try_clone().expect("another handle");
    command.stdin(end()).stdout(end()).stderr(end());
    // SAFETY: setsid and ioctl are async-signal-safe and touch no memory.
    unsafe {
        command.pre_exec(|| {
            if libc::setsid() < 0 || libc::ioctl(0, libc::TIOCSCTTY, 0) < 0 {
                return Err(std::io::Error::last_os_error());
            }
            Ok(())
        })
    }
}

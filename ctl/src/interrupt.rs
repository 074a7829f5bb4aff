//! Ctrl-C as an orderly end of a watch.
//!
//! The signal closes the connection, so that whoever reads from it wakes up and finds the end; no
//! read can slip between a look at a flag and the wait that follows. A second signal means now: it
//! ends the process even while its output is blocked.

use std::io;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// Whether the user has ended the watch.
#[derive(Debug, Clone)]
pub struct Interrupt {
    came: Arc<AtomicBool>,
}

impl Interrupt {
    /// From here on Ctrl-C and a polite `kill` close `stream` instead of ending the process.
    pub fn closing(stream: UnixStream) -> io::Result<Self> {
        let came = Arc::new(AtomicBool::new(false));
        let mut signals = Signals::new([SIGINT, SIGTERM])?;
        let seen = Arc::clone(&came);
        // Detached on purpose: it waits for signals as long as the process lives.
        std::thread::Builder::new().name("interrupt".to_owned()).spawn(move || {
            for _ in signals.forever() {
                if seen.swap(true, Ordering::SeqCst) {
                    std::process::exit(0);
                }
                // It fails only when the daemon has closed already, which wakes the reader as well.
                let _ = stream.shutdown(Shutdown::Both);
            }
        })?;
        Ok(Self { came })
    }

    /// Whether the signal came.
    pub fn came(&self) -> bool {
        self.came.load(Ordering::SeqCst)
    }
}

//! What the system counts of this process. Reads files of `/proc`, which are made from memory and wait
//! for no disk.

/// Figures of this process.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Process {
    /// User and system time, in seconds.
    pub cpu_s: f64,
    /// Threads.
    pub threads: u64,
    /// Open file descriptors.
    pub open_fds: u64,
    /// File descriptors that it may have open.
    pub max_fds: u64,
}

impl Process {
    /// As they are now; `None` where `/proc` cannot be read.
    pub fn now() -> Option<Self> {
        let own = procfs::process::Process::myself().ok()?;
        let stat = own.stat().ok()?;
        let (limit, _) = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE).ok()?;
        Some(Self {
            cpu_s: (stat.utime + stat.stime) as f64 / procfs::ticks_per_second() as f64,
            threads: u64::try_from(stat.num_threads).unwrap_or(0),
            open_fds: own.fd_count().ok()? as u64,
            max_fds: limit,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_runs_has_files_open_and_spends_time() {
        let before = Process::now().expect("/proc is there");
        assert!(before.threads > 0 && before.open_fds > 2 && before.max_fds >= before.open_fds);
        while Process::now().expect("/proc is there").cpu_s <= before.cpu_s {}
    }
}

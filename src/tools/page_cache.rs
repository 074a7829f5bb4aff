//! What the page cache holds of a file, asked without waiting for a disk.

use std::fs::File;
use std::io::{self, IoSliceMut};
use std::os::fd::AsRawFd;
use std::sync::LazyLock;

use rustix::io::{Errno, ReadWriteFlags, preadv2};

/// Reads what is held of a place: possibly less than there is room for, and nothing at the end of the file.
/// `None` when a disk would have to be waited for.
///
/// # Errors
/// The file cannot be read.
pub fn read(file: &File, space: &mut [u8], offset: u64) -> io::Result<Option<usize>> {
    match preadv2(file, &mut [IoSliceMut::new(space)], offset, ReadWriteFlags::NOWAIT) {
        Ok(read) => Ok(Some(read)),
        // Also on file systems that cannot tell.
        Err(Errno::AGAIN | Errno::OPNOTSUPP | Errno::NOSYS | Errno::INTR) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Whether the kernel can be asked about pages without reading them (`cachestat`, Linux 6.5).
pub fn can_tell() -> bool {
    static CAN_TELL: LazyLock<bool> = LazyLock::new(|| {
        // Any file does; the program's own is always there.
        File::open("/proc/self/exe").is_ok_and(|file| count(&file, 0, 1).is_ok())
    });
    *CAN_TELL
}

/// Whether every page of a place is held and read to its end. What lies beyond the end of the file is
/// not held.
pub fn holds(file: &File, offset: u64, length: u64) -> bool {
    let Some(last) = offset.checked_add(length).and_then(|end| end.checked_sub(1)) else { return false };
    let page = page_bytes();
    let pages = last / page - offset / page + 1;
    // A page that is on its way from the disk is counted already; reading ahead ends with the last one.
    let is_read = || matches!(read(file, &mut [0], last), Ok(Some(1)));
    length > 0 && count(file, offset, length).is_ok_and(|held| held >= pages) && is_read()
}

fn page_bytes() -> u64 {
    static PAGE_BYTES: LazyLock<u64> = LazyLock::new(|| rustix::param::page_size() as u64);
    *PAGE_BYTES
}

/// Number of the system call on every architecture with the common table; libc has it for some only.
const CACHESTAT: libc::c_long = 451;

/// `struct cachestat_range`.
#[repr(C)]
struct Place {
    offset: u64,
    length: u64,
}

/// `struct cachestat`.
#[repr(C)]
#[derive(Default)]
struct Pages {
    held: u64,
    dirty: u64,
    writeback: u64,
    evicted: u64,
    recently_evicted: u64,
}

/// Pages of a place that the cache has.
fn count(file: &File, offset: u64, length: u64) -> io::Result<u64> {
    let (mut place, mut pages) = (Place { offset, length }, Pages::default());
    #[expect(unsafe_code, reason = "neither libc nor rustix has a wrapper of cachestat")]
    // SAFETY: both pointers are to live, exclusively borrowed structs laid out as the kernel has them, which
    // it reads and writes during the call only; the descriptor is open as long as `file` is borrowed.
    let done = unsafe { libc::syscall(CACHESTAT, file.as_raw_fd(), &raw mut place, &raw mut pages, 0_u32) };
    if done == 0 { Ok(pages.held) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn what_was_just_written_is_held_and_what_is_not_there_is_not() {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(&[7; 10_000]).expect("written");
        assert_eq!(read(&file, &mut [0; 10], 9_995).expect("readable"), Some(5));
        assert_eq!(read(&file, &mut [0; 10], 10_000).expect("readable"), Some(0));
        if can_tell() {
            assert!(holds(&file, 0, 10_000) && holds(&file, 9_999, 1) && holds(&file, 4_095, 2));
            assert!(!holds(&file, 0, 10_001) && !holds(&file, 20_000, 1) && !holds(&file, 0, 0));
            assert!(!holds(&file, u64::MAX, 2));
        }
    }
}

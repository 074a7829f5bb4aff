//! A file that the kernel sends from the page cache with one copy, without the bytes coming by here.
//!
//! The file is mapped, and nobody looks at the mapping: only its addresses are named to the kernel, in a write. A
//! page that is gone by then, because the file was cut, makes that write fail with `EFAULT`. It is reading
//! a lost page from here that would end the process by `SIGBUS`; so nothing gives out a slice.
//!
//! `sendfile` spares even the one copy, and costs more up to a megabyte: it takes its way through a pipe page
//! by page, and the head of an answer needs a call of its own.

use std::ffi::c_void;
use std::fs::File;
use std::io;
use std::ops::{Deref, Range};
use std::os::fd::{AsFd, AsRawFd};
use std::ptr;
use std::sync::OnceLock;

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// A file, mapped by the first send.
#[derive(Debug)]
pub struct PagedFile {
    file: File,
    pages: OnceLock<Option<Pages>>,
}

/// The mapping, as addresses.
#[derive(Debug)]
struct Pages {
    start: *mut c_void,
    length: usize,
}

#[expect(unsafe_code, reason = "a raw pointer says nothing of threads")]
// SAFETY: the addresses are never read or written through, only compared and handed to the kernel; they
// mean the same mapping on every thread, until the one drop.
unsafe impl Send for Pages {}
#[expect(unsafe_code, reason = "as above")]
// SAFETY: as for `Send`.
unsafe impl Sync for Pages {}

impl From<File> for PagedFile {
    fn from(file: File) -> Self {
        Self { file, pages: OnceLock::new() }
    }
}

impl Deref for PagedFile {
    type Target = File;

    fn deref(&self) -> &File {
        &self.file
    }
}

impl PagedFile {
    /// Sends bytes and then a place of the file, in one write; says how many of both were taken. `None` when
    /// the file cannot be mapped, or had not come so far when it was. Waits for a disk where the page
    /// cache lacks anything.
    ///
    /// # Errors
    /// The socket's; and `EFAULT` where the file no longer has the place.
    pub fn send(&self, socket: impl AsFd, head: &[u8], place: &Range<u64>) -> io::Result<Option<usize>> {
        let Some(pages) = self.pages.get_or_init(|| Pages::of(&self.file).ok()) else { return Ok(None) };
        let Some((start, length)) = pages.address(place) else { return Ok(None) };
        let mut parts = [
            libc::iovec { iov_base: head.as_ptr().cast_mut().cast(), iov_len: head.len() },
            libc::iovec { iov_base: start, iov_len: length },
        ];
        #[expect(unsafe_code, reason = "a slice of a mapped file must not exist; so no wrapper fits")]
        // SAFETY: `msghdr` may be all zeros. The kernel reads the two parts and writes to neither: the first is
        // borrowed memory, the second lies within a mapping that lives as long as `pages`, and a page of it that
        // is gone is an error of the call. The descriptor is open as long as `socket` is borrowed.
        let sent = unsafe {
            let mut message: libc::msghdr = std::mem::zeroed();
            message.msg_iov = parts.as_mut_ptr();
            message.msg_iovlen = parts.len();
            libc::sendmsg(socket.as_fd().as_raw_fd(), &raw const message, libc::MSG_NOSIGNAL)
        };
        usize::try_from(sent).map(Some).map_err(|_| io::Error::last_os_error())
    }
}

impl Pages {
    fn of(file: &File) -> io::Result<Self> {
        let length = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
        #[expect(unsafe_code, reason = "a mapping")]
        // SAFETY: a new mapping at a place of the kernel's choice disturbs no memory that is in use.
        let start = unsafe { mmap(ptr::null_mut(), length, ProtFlags::READ, MapFlags::SHARED, file, 0)? };
        Ok(Self { start, length })
    }

    /// Where a place of the file lies.
    fn address(&self, place: &Range<u64>) -> Option<(*mut c_void, usize)> {
        let from = usize::try_from(place.start).ok()?;
        let to = usize::try_from(place.end).ok().filter(|to| from <= *to && *to <= self.length)?;
        Some((self.start.wrapping_byte_add(from), to - from))
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        #[expect(unsafe_code, reason = "the end of the mapping")]
        // SAFETY: it was mapped by `of` with this length, nobody else unmaps it, and nobody has an address
        // of it any longer: a send borrows its owner.
        let _ = unsafe { munmap(self.start, self.length) };
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    use super::*;

    fn file(bytes: &[u8]) -> PagedFile {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(bytes).expect("written");
        file.into()
    }

    #[test]
    fn a_head_and_a_place_are_sent_as_one() {
        let (near, mut far) = UnixStream::pair().expect("sockets");
        let bytes: Vec<u8> = (0..20_000_u32).map(|n| n.to_le_bytes()[1]).collect();
        let file = file(&bytes);
        let sent = file.send(&near, b"head", &(5_000..15_000)).expect("a write");
        assert_eq!(sent, Some(10_004));
        let mut got = vec![0; 10_004];
        far.read_exact(&mut got).expect("what was sent");
        assert!(got.starts_with(b"head") && got[4..] == bytes[5_000..15_000]);
    }

    #[test]
    fn what_was_never_there_is_not_sent() {
        let (near, _far) = UnixStream::pair().expect("sockets");
        let backwards = Range { start: 2, end: 1 };
        for (length, place) in [(10, 5..11), (10, 11..12), (10, backwards), (0, 0..0), (10, 0..u64::MAX)] {
            let sent = file(&vec![7; length]).send(&near, b"head", &place).expect("no write");
            assert_eq!(sent, None, "{place:?} of {length}");
        }
    }

    #[test]
    fn a_page_that_is_gone_is_an_error_and_not_the_end() {
        let (near, _far) = UnixStream::pair().expect("sockets");
        let file = file(&[7; 100_000]);
        assert_eq!(file.send(&near, b"", &(0..1)).expect("a write"), Some(1));
        let again = tempfile_again(&file);
        again.set_len(10).expect("cut");
        let error = file.send(&near, b"", &(50_000..60_000)).expect_err("nothing is there");
        assert_eq!(error.raw_os_error(), Some(libc::EFAULT));
    }

    fn tempfile_again(file: &File) -> File {
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        File::options().write(true).open(path).expect("opened again")
    }
}

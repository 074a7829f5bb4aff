//! The listening sockets: inherited from systemd, or bound here.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::socket::{
    AddressFamily, SockType, SockaddrLike, SockaddrStorage, getsockname, getsockopt, sockopt,
};

use super::internal;
use crate::error::{Error, Kind, Result};
use crate::tools::listen;

/// Who is connected decides what is allowed, so everybody may connect.
const CONTROL_MODE: u32 = 0o666;

/// Sockets that systemd handed over, by purpose.
#[derive(Debug, Default)]
pub struct Inherited {
    /// Named `http`.
    pub http: Vec<TcpListener>,
    /// Named `control`.
    pub control: Option<UnixListener>,
}

impl Inherited {
    /// Takes them out of the environment. Called once, before any other descriptor is made.
    ///
    /// # Errors
    /// A socket has another type than its name says.
    pub fn take() -> Result<Self> {
        let mut inherited = Self::default();
        let named =
            sd_notify::listen_fds_with_names().map_err(|error| internal("inherited sockets", error))?;
        for (fd, name) in named {
            #[expect(unsafe_code, reason = "systemd hands descriptors over as bare numbers")]
            // SAFETY: the service manager opened this descriptor for us, and each is taken here once.
            let fd = unsafe { OwnedFd::from_raw_fd(fd) };
            inherited.sort(fd, &name)?;
        }
        Ok(inherited)
    }

    fn sort(&mut self, fd: OwnedFd, name: &str) -> Result<()> {
        let family = listening_family(&fd);
        match (name, family) {
            ("http", Some(AddressFamily::Inet | AddressFamily::Inet6)) => {
                self.http.push(TcpListener::from(fd))
            }
            ("control", Some(AddressFamily::Unix)) if self.control.is_none() => {
                self.control = Some(UnixListener::from(fd));
            }
            ("http" | "control", _) => {
                let message = format!(
                    "the inherited socket {name:?} is not a listening socket of the kind {name} needs"
                );
                return Err(Error::new(Kind::Required, message));
            }
            _ => tracing::warn!(event = "socket_unused", name, "an inherited socket is not used"),
        }
        Ok(())
    }
}

fn listening_family(fd: &OwnedFd) -> Option<AddressFamily> {
    use std::os::fd::AsRawFd;
    let is_stream = getsockopt(fd, sockopt::SockType).ok()? == SockType::Stream;
    let listens = getsockopt(fd, sockopt::AcceptConn).ok()?;
    let address: SockaddrStorage = getsockname(fd.as_raw_fd()).ok()?;
    (is_stream && listens).then(|| address.family()).flatten()
}

/// The HTTP listeners: inherited ones replace the configured addresses.
///
/// # Errors
/// [`Kind::Required`] when an address cannot be had.
pub fn http(inherited: Vec<TcpListener>, configured: &[SocketAddr]) -> Result<Vec<TcpListener>> {
    if inherited.is_empty() {
        return bind_all(configured);
    }
    let bound: Vec<SocketAddr> = inherited.iter().filter_map(|listener| listener.local_addr().ok()).collect();
    if bound != configured {
        tracing::warn!(event = "listen_replaced", inherited = ?bound, configured = ?configured,
            "inherited sockets replace http.listen");
    }
    Ok(inherited)
}

/// Binds every address. A machine without IPv6 has no `::1`: then the other addresses are enough.
fn bind_all(addresses: &[SocketAddr]) -> Result<Vec<TcpListener>> {
    let mut listeners = Vec::with_capacity(addresses.len());
    let mut missing = None;
    for address in addresses {
        match listen::bind_tcp(*address) {
            Ok(listener) => listeners.push(listener),
            Err(error) if address.is_ipv6() && is_without_ipv6(&error) => {
                tracing::warn!(event = "listen_skipped", %address, "this machine has no IPv6");
                missing = Some(error);
            }
            Err(error) => return Err(error),
        }
    }
    match (listeners.is_empty(), missing) {
        (true, Some(error)) => Err(error),
        _ => Ok(listeners),
    }
}

fn is_without_ipv6(error: &Error) -> bool {
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref::<std::io::Error>());
    matches!(source.and_then(std::io::Error::raw_os_error), Some(libc::EAFNOSUPPORT | libc::EADDRNOTAVAIL))
}

/// The control socket's file, if it is ours: removed when dropped.
#[derive(Debug)]
pub struct ControlSocket {
    own: Option<(PathBuf, FileId)>,
}

/// Device and inode.
type FileId = (u64, u64);

impl ControlSocket {
    fn of(path: &Path) -> Self {
        Self { own: file_id(path).map(|id| (path.to_owned(), id)) }
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        // Somebody may have removed it, and another daemon have taken its place: that one's stays.
        if let Some((path, id)) = &self.own
            && file_id(path) == Some(*id)
        {
            let _ = std::fs::remove_file(path);
        }
    }
}

fn file_id(path: &Path) -> Option<FileId> {
    let meta = std::fs::symlink_metadata(path).ok()?;
    Some((meta.dev(), meta.ino()))
}

/// The control listener: the inherited one, or one bound at the configured path.
///
/// # Errors
/// [`Kind::Required`] when the path cannot be had.
pub fn control(inherited: Option<UnixListener>, path: &Path) -> Result<(UnixListener, ControlSocket)> {
    match inherited {
        Some(listener) => {
            listener.set_nonblocking(true)?;
            Ok((listener, ControlSocket { own: None }))
        }
        None => Ok((listen::bind_unix(path, CONTROL_MODE)?, ControlSocket::of(path))),
    }
}

/// A crowd of listeners needs a descriptor each: take what the system allows.
pub fn raise_descriptor_limit() {
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        // Refused: then the soft limit stays, and the door keeps to it.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

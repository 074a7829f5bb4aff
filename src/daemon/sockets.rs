//! The listening sockets: inherited from systemd, or bound here.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::{Path, PathBuf};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::socket::{
    AddressFamily, SockType, SockaddrLike, SockaddrStorage, getsockname, getsockopt, sockopt,
};

use super::cli::NETWORK_DROP_IN;
use super::internal;
use crate::error::{Error, Kind, Result};
use crate::http;
use crate::tools::listen;

/// Who is connected decides what is allowed, so everybody may connect.
const CONTROL_MODE: u32 = 0o666;

/// Sockets that systemd handed over, by purpose.
#[derive(Debug, Default)]
pub struct Inherited {
    /// Named `http`.
    pub http: Vec<TcpListener>,
    /// Named `https`.
    pub https: Vec<TcpListener>,
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
            ("https", Some(AddressFamily::Inet | AddressFamily::Inet6)) => {
                self.https.push(TcpListener::from(fd))
            }
            ("control", Some(AddressFamily::Unix)) if self.control.is_none() => {
                self.control = Some(UnixListener::from(fd));
            }
            ("http" | "https" | "control", _) => {
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
    let is_stream = getsockopt(fd, sockopt::SockType).ok()? == SockType::Stream;
    let listens = getsockopt(fd, sockopt::AcceptConn).ok()?;
    let address: SockaddrStorage = getsockname(fd.as_raw_fd()).ok()?;
    (is_stream && listens).then(|| address.family()).flatten()
}

/// The HTTP listeners: inherited ones replace `http.listen`. With a certificate that is TLS, and so is what
/// replaces it; but beside an inherited `https`, `http` is where clients come who do not know of TLS yet.
///
/// # Errors
/// [`Kind::Required`] when an address cannot be had, or when nobody could reach it, [`Kind::Config`] for an
/// inherited `https` without a certificate.
pub fn http(inherited: &mut Inherited, settings: &http::Settings) -> Result<http::Listeners> {
    let has_certificate = settings.tls.files().is_some();
    if !inherited.https.is_empty() && !has_certificate {
        let message = "the inherited socket \"https\" needs http.tls.cert and http.tls.key";
        return Err(Error::new(Kind::Config, message));
    }
    let metrics = metrics(inherited, settings.metrics_listen)?;
    if !settings.tls.redirect_listen.is_empty() {
        ensure_reachable(inherited, "http.tls.redirect_listen", "leave it out, or")?;
    }
    let mut redirect = bind_all(&settings.tls.redirect_listen)?;
    if inherited.http.is_empty() && inherited.https.is_empty() {
        let otherwise = "start talasd-http.socket, whose listeners are inherited, or";
        ensure_reachable(inherited, "http.listen", otherwise)?;
    }
    let (http, https) = (std::mem::take(&mut inherited.http), std::mem::take(&mut inherited.https));
    let main = match (https.is_empty(), http.is_empty()) {
        (true, true) => bind_all(&settings.listen)?,
        (true, false) => told_replaced(http, &settings.listen),
        (false, _) => {
            redirect.extend(http);
            told_replaced(https, &settings.listen)
        }
    };
    let (plain, tls) = if has_certificate { (Vec::new(), main) } else { (main, Vec::new()) };
    Ok(http::Listeners { plain, tls, redirect, metrics })
}

/// Inherited listeners, after a warning where the configuration says otherwise.
fn told_replaced(inherited: Vec<TcpListener>, configured: &[SocketAddr]) -> Vec<TcpListener> {
    let bound: Vec<SocketAddr> = inherited.iter().filter_map(|listener| listener.local_addr().ok()).collect();
    if bound != configured {
        tracing::warn!(event = "listen_replaced", inherited = ?bound, configured = ?configured,
            "inherited sockets replace http.listen");
    }
    inherited
}

/// The listener of the metrics alone, where one is configured.
///
/// # Errors
/// As [`http`].
fn metrics(inherited: &Inherited, configured: Option<SocketAddr>) -> Result<Option<TcpListener>> {
    let Some(address) = configured else { return Ok(None) };
    ensure_reachable(inherited, "http.metrics_listen", "leave it out, or")?;
    listen::bind_tcp(address).map(Some)
}

/// Refuses to listen where nobody is: in a network namespace that a unit's `PrivateNetwork=` made.
fn ensure_reachable(inherited: &Inherited, key: &str, otherwise: &str) -> Result<()> {
    if !is_in_private_network(inherited) {
        return Ok(());
    }
    let message = format!(
        "{key} would be heard by nobody, as this service has a network of its own (PrivateNetwork=): \
         {otherwise} give the service the drop-in {NETWORK_DROP_IN}"
    );
    Err(Error::new(Kind::Required, message))
}

/// Whether a service manager shut this process off from the machine's network: then the sockets that it made
/// for this process, standard error among them, are of another network than those made here.
fn is_in_private_network(inherited: &Inherited) -> bool {
    let stderr = std::io::stderr();
    let http = inherited.http.iter().chain(&inherited.https).map(AsFd::as_fd);
    let control = inherited.control.iter().map(AsFd::as_fd);
    let of_manager = http.chain(control).chain([stderr.as_fd()]).find_map(network_cookie);
    let own = UnixDatagram::unbound().ok().and_then(|socket| network_cookie(socket.as_fd()));
    of_manager.zip(own).is_some_and(|(managers, own)| managers != own)
}

/// What the kernel numbers the network of a socket by; nothing before Linux 5.14, and for what is no socket.
fn network_cookie(socket: BorrowedFd<'_>) -> Option<u64> {
    let mut cookie = 0u64;
    let mut length = size_of_val(&cookie) as libc::socklen_t;
    #[expect(unsafe_code, reason = "no binding knows SO_NETNS_COOKIE")]
    // SAFETY: the descriptor is open, and the kernel writes at most `length` bytes, which `cookie` has.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_NETNS_COOKIE,
            (&raw mut cookie).cast(),
            &raw mut length,
        )
    };
    (result == 0).then_some(cookie)
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

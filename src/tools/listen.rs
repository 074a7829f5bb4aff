//! Listening sockets, and an accept that never fails and never spins.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener as StdTcpListener};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener as StdUnixListener, UnixStream as StdUnixStream};
use std::path::Path;
use std::time::Duration;

use nix::sys::socket::{self, AddressFamily, Backlog, SockFlag, SockType, SockaddrStorage, sockopt};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use super::tally::Tally;
use crate::error::{Context, Error, Kind, Result};

/// Connections the kernel queues while all are being served: a crowd that comes back at once must not
/// be refused. The kernel cuts it to `net.core.somaxconn`.
const BACKLOG: i32 = 4096;

/// How long accept rests when the process is out of descriptors or memory.
const EXHAUSTED_REST: Duration = Duration::from_millis(100);

/// Binds a TCP address. An IPv6 address takes IPv6 only, so that `0.0.0.0` and `[::]` can stand side by side.
///
/// # Errors
/// [`Kind::Required`] when the address is in use, forbidden or not of this machine.
pub fn bind_tcp(address: SocketAddr) -> Result<StdTcpListener> {
    let bind = || -> nix::Result<StdTcpListener> {
        let family = if address.is_ipv6() { AddressFamily::Inet6 } else { AddressFamily::Inet };
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let fd = socket::socket(family, SockType::Stream, flags, None)?;
        socket::setsockopt(&fd, sockopt::ReuseAddr, &true)?;
        if address.is_ipv6() {
            socket::setsockopt(&fd, sockopt::Ipv6V6Only, &true)?;
        }
        socket::bind(fd.as_raw_fd(), &SockaddrStorage::from(address))?;
        socket::listen(&fd, Backlog::new(BACKLOG)?)?;
        Ok(StdTcpListener::from(fd))
    };
    bind().map_err(|error| {
        Error::caused(Kind::Required, format!("cannot listen on {address}"), io::Error::from(error))
    })
}

/// Binds a Unix stream socket with a mode. A dead socket in its place is replaced; a living one, and a
/// file that is no socket, are left alone.
///
/// # Errors
/// [`Kind::Required`] when the path is taken or cannot be made.
pub fn bind_unix(path: &Path, mode: u32) -> Result<StdUnixListener> {
    let required = |message: String| Error::new(Kind::Required, message);
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|error| {
            Error::caused(Kind::Required, format!("cannot make {}", folder.display()), error)
        })?;
    }
    match fs::symlink_metadata(path) {
        Ok(meta) if !meta.file_type().is_socket() => {
            return Err(required(format!(
                "{} exists and is not a socket: it was left alone",
                path.display()
            )));
        }
        Ok(_) if StdUnixStream::connect(path).is_ok() => {
            return Err(required(format!("another talasd answers at {}", path.display())));
        }
        Ok(_) => {
            fs::remove_file(path).context(|| format!("cannot replace the dead socket {}", path.display()))?
        }
        Err(_) => {}
    }
    let listener = bind_beside(path, mode).map_err(|error| {
        Error::caused(Kind::Required, format!("cannot listen at {}", path.display()), error)
    })?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Binds under another name, sets the mode, then renames: nobody can connect before the mode is right.
fn bind_beside(path: &Path, mode: u32) -> io::Result<StdUnixListener> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let beside = path.with_file_name(format!(".{name}.{}", std::process::id()));
    let _ = fs::remove_file(&beside);
    let listener = StdUnixListener::bind(&beside)?;
    let placed = fs::set_permissions(&beside, fs::Permissions::from_mode(mode))
        .and_then(|()| fs::rename(&beside, path));
    if placed.is_err() {
        let _ = fs::remove_file(&beside);
    }
    placed.map(|()| listener)
}

/// What an accept error asks for.
fn rest_after(error: &io::Error) -> Option<Duration> {
    match error.raw_os_error() {
        Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM | libc::ENOBUFS) => Some(EXHAUSTED_REST),
        // The peer gave up in the queue, or the network had a fault: the next one may be well.
        _ => None,
    }
}

async fn settle(error: io::Error, door: &'static str, tally: &Tally) {
    if let Some(count) = tally.hit() {
        tracing::warn!(event = "accept_failed", door, count, reason = %error, "accept failed");
    }
    match rest_after(&error) {
        Some(rest) => tokio::time::sleep(rest).await,
        None => tokio::task::yield_now().await,
    }
}

/// The next TCP connection.
pub async fn accept_tcp(listener: &TcpListener, tally: &Tally) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) => settle(error, "http", tally).await,
        }
    }
}

/// The next connection on a Unix socket.
pub async fn accept_unix(listener: &UnixListener, tally: &Tally) -> UnixStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(error) => settle(error, "control", tally).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_no_socket_is_left_alone() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let path = dir.path().join("talasd.sock");
        fs::write(&path, "precious").expect("written");
        let error = bind_unix(&path, 0o666).expect_err("taken");
        assert_eq!(error.kind(), Kind::Required);
        assert_eq!(fs::read_to_string(&path).expect("still there"), "precious");
    }

    #[test]
    fn a_dead_socket_is_replaced_and_a_living_one_is_not() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let path = dir.path().join("deep/talasd.sock");
        drop(bind_unix(&path, 0o666).expect("folder is made"));
        let living = bind_unix(&path, 0o640).expect("the dead one is replaced");
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o640);
        let error = bind_unix(&path, 0o666).expect_err("somebody listens");
        assert!(error.message().contains("another talasd"), "{error}");
        drop(living);
    }

    #[test]
    fn both_families_can_have_the_same_port() {
        let v4 = bind_tcp("0.0.0.0:0".parse().expect("address")).expect("bound");
        let port = v4.local_addr().expect("address").port();
        bind_tcp(format!("[::]:{port}").parse().expect("address")).expect("IPv6 only");
        let taken = bind_tcp(v4.local_addr().expect("address")).expect_err("in use");
        assert_eq!(taken.kind(), Kind::Required);
    }
}

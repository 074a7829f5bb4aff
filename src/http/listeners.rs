//! The listening sockets of the door, by what is spoken there. Who bound them is the daemon's to know.

use std::net::{SocketAddr, TcpListener};

use crate::error::{Context, Result};

/// Sockets that listen, by what is spoken there.
#[derive(Debug, Default)]
pub struct Listeners {
    /// HTTP without TLS.
    pub plain: Vec<TcpListener>,
    /// HTTP under TLS.
    pub tls: Vec<TcpListener>,
    /// HTTP without TLS, to send clients to TLS.
    pub redirect: Vec<TcpListener>,
    /// That of `http.metrics_listen`, without TLS.
    pub metrics: Option<TcpListener>,
}

impl Listeners {
    /// The addresses at which the door serves everything.
    ///
    /// # Errors
    /// A listener has no address.
    pub fn main_addresses(&self) -> Result<Vec<SocketAddr>> {
        addresses(self.plain.iter().chain(&self.tls))
    }
}

/// Where these listen.
///
/// # Errors
/// A listener has no address.
pub fn addresses<'a>(listeners: impl IntoIterator<Item = &'a TcpListener>) -> Result<Vec<SocketAddr>> {
    let bound: std::io::Result<_> = listeners.into_iter().map(TcpListener::local_addr).collect();
    bound.context(|| "an HTTP listener has no address".to_owned())
}

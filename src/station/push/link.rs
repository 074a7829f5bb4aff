//! A connection to a server, plain or by TLS, on which nothing waits for ever.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls_platform_verifier::BuilderVerifierExt;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::ServerName;

use super::request::{Answer, HEAD_BYTES};
use super::target::Target;
use crate::error::{Error, Kind, Result};

/// How long finding the server, connecting and TLS may take together; and an answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// And one of a server's addresses.
const ADDRESS_PATIENCE: Duration = Duration::from_secs(4);
/// How long the page under a refusal is waited for.
const PAGE_PATIENCE: Duration = Duration::from_millis(500);
/// Most of that page that is read.
const PAGE_BYTES: usize = 1024;
/// What may wait in the kernel unsent: about two seconds of sound at 320 kbit/s. More would only hide that a
/// server takes nothing.
const UNSENT_BYTES: u32 = 64 * 1024;

/// Both directions of a connection.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A connection.
pub type Link = Box<dyn Stream>;

/// Connects. A peer that takes nothing for `stall` is given up by the kernel too.
///
/// # Errors
/// [`Kind::Unavailable`] with what was in the way.
pub async fn connect(target: &Target, stall: Duration) -> Result<Link> {
    let connected = timeout(PATIENCE, connect_patiently(target, stall)).await;
    connected.map_err(|_| unavailable("the server cannot be reached in time"))?
}

async fn connect_patiently(target: &Target, stall: Duration) -> Result<Link> {
    let stream = connect_any(target)
        .await
        .map_err(|error| Error::caused(Kind::Unavailable, "cannot connect", error))?;
    set_up(&stream, stall)?;
    if !target.is_tls() {
        return Ok(Box::new(stream));
    }
    let name = ServerName::try_from(target.host().to_owned())
        .map_err(|error| Error::caused(Kind::Unavailable, "the host has no name for TLS", error))?;
    let stream = TlsConnector::from(tls()?)
        .connect(name, stream)
        .await
        .map_err(|error| Error::caused(Kind::Unavailable, "no TLS with the server", error))?;
    Ok(Box::new(stream))
}

/// Tries every address that the name has: one of a kind that is not routed here must not use up the time.
async fn connect_any(target: &Target) -> io::Result<TcpStream> {
    let mut failed = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in lookup_host((target.host(), target.port())).await? {
        match timeout(ADDRESS_PATIENCE, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => failed = error,
            Err(_) => failed = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(failed)
}

fn set_up(stream: &TcpStream, stall: Duration) -> Result<()> {
    let socket = SockRef::from(stream);
    let set = socket.set_tcp_nodelay(true);
    let set = set.and_then(|()| socket.set_tcp_notsent_lowat(UNSENT_BYTES));
    let set = set.and_then(|()| socket.set_tcp_user_timeout(Some(stall)));
    set.map_err(|error| Error::caused(Kind::Internal, "cannot set up the socket", error))
}

/// TLS with the authorities that the system trusts. Made for each connection: they may have changed.
fn tls() -> Result<Arc<ClientConfig>> {
    let failed = |error| Error::caused(Kind::Internal, "cannot set up TLS", error);
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(failed)?
        .with_platform_verifier()
        .map_err(failed)?
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// An answer, and what came after its head.
pub type Answered = (Answer, Vec<u8>);

/// Sends a head and reads the head of the answer; `None` when the server closes without one, as it may do
/// when it does not know the method.
///
/// # Errors
/// [`Kind::Unavailable`] when there is no answer in time, or what comes is no HTTP.
pub async fn ask(link: &mut Link, head: &str) -> Result<Option<Answered>> {
    let answered = timeout(PATIENCE, async {
        // A server that refuses may close before it has read all: its answer says more than a broken pipe.
        if link.write_all(head.as_bytes()).await.is_ok() {
            let _ = link.flush().await;
        }
        read_answer(link).await
    });
    answered.await.map_err(|_| unavailable("the server does not answer in time"))?
}

/// The next answer; `None` when there is none to the end.
async fn read_answer(link: &mut Link) -> Result<Option<Answered>> {
    let mut bytes = Vec::with_capacity(1024);
    loop {
        if let Some(answer) = Answer::parse(&bytes)? {
            let rest = bytes.split_off(answer.head_bytes);
            return Ok(Some((answer, rest)));
        }
        let room = (HEAD_BYTES - bytes.len()) as u64;
        match (&mut *link).take(room).read_buf(&mut bytes).await {
            Ok(0) | Err(_) => return Ok(None),
            Ok(_) => {}
        }
    }
}

/// The beginning of the page under an answer that says no.
pub async fn read_page(link: &mut Link, mut page: Vec<u8>) -> Vec<u8> {
    let read = async {
        while page.len() < PAGE_BYTES {
            let room = (PAGE_BYTES - page.len()) as u64;
            match (&mut *link).take(room).read_buf(&mut page).await {
                Ok(0) | Err(_) => break,
                Ok(_) => {}
            }
        }
    };
    // What came until then will do.
    let _ = timeout(PAGE_PATIENCE, read).await;
    page
}

fn unavailable(message: &str) -> Error {
    Error::new(Kind::Unavailable, message)
}

//! Accepting connections and seeing them to their end.

use std::convert::Infallible;
use std::future::Future;
use std::net::{SocketAddr, TcpListener as StdTcpListener, TcpStream as StdTcpStream};
use std::os::fd::OwnedFd;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::Router;
use axum::body::Body;
use futures_util::StreamExt;
use http::StatusCode;
use http::header::CONTENT_LENGTH;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use super::counted::Counted;
use super::fate::{HEAD_DEADLINE, Turn, fate};
use super::heir::{Estate, Held, Sequel, Upgrade};
use super::listeners::{Listeners, addresses};
use super::live::Lanes;
use super::repeat;
use super::settings::Settings;
use super::site::{Peer, Site, metrics_router, router};
use super::socket::Handed;
use super::tls::{Lender, Pair, Tls, redirect_router};
use super::wire::{Meter, Wire};
use crate::error::Result;
use crate::keys::Gate;
use crate::library::Library;
use crate::station::Station;
use crate::tools::listen::accept_tcp;
use crate::tools::stop::Stop;
use crate::tools::tally::Tally;
use crate::tools::workers::{self, Workers};

/// Requests that one HTTP/2 connection may have open: one page with all it shows.
const H2_STREAMS: u32 = 64;
/// Connections that the listener of `http.metrics_listen` serves at a time: its own, so that a crowd at
/// the main door does not keep the scraper out.
const METRICS_CONNECTIONS: usize = 16;
/// Descriptors that a connection takes: its socket, and a second one to reset it by.
const DESCRIPTORS_EACH: u64 = 2;
/// Descriptors kept for everything that is not a connection of the main door: the control socket's
/// peers, the metrics, files, devices. A quarter of all, within these bounds.
const RESERVED_DESCRIPTORS: std::ops::RangeInclusive<u64> = 64..=512;

/// Connections that the listeners of `http.tls.redirect_listen` serve at a time.
const REDIRECT_CONNECTIONS: usize = 64;

/// The door, bound and not yet open.
pub struct Door {
    listeners: Listeners,
    tls: Option<Arc<Tls>>,
    /// The addresses of its own that it is reached by, as URLs.
    urls: Vec<String>,
    site: Arc<Site>,
}

/// Steers an open door.
#[derive(Debug, Clone)]
pub struct Handle {
    site: Arc<Site>,
    tls: Option<Arc<Tls>>,
}

impl Handle {
    /// Puts new settings into force for requests to come. What needs a restart is the caller's to know.
    pub fn apply(&self, settings: Settings) {
        self.site.settings.store(Arc::new(settings));
    }

    /// Reads the certificate again, where there is one; what was read is for [`use_certificate`](Self::use_certificate).
    ///
    /// # Errors
    /// It cannot be used: the old one stays.
    pub fn read_certificate(&self) -> Result<Option<Pair>> {
        self.tls.as_ref().map(|tls| tls.read()).transpose()
    }

    /// Shows this to connections to come.
    pub fn use_certificate(&self, pair: Option<Pair>) {
        if let (Some(tls), Some(pair)) = (&self.tls, pair) {
            tls.put(pair);
        }
    }
}

struct Loop {
    router: Router,
    /// What is spoken here, if it is TLS.
    tls: Option<Arc<Tls>>,
    site: Arc<Site>,
    permits: Arc<Semaphore>,
    workers: Workers,
    tracker: TaskTracker,
    tally: Tally,
    /// Times that all places were taken.
    full: Tally,
    stop: Stop,
}

impl Loop {
    /// A connection's place; `None` when there are no more. When all are taken, the journal hears of it.
    async fn place(&self) -> Option<OwnedSemaphorePermit> {
        if let Ok(permit) = self.permits.clone().try_acquire_owned() {
            return Some(permit);
        }
        if let Some(count) = self.full.hit() {
            tracing::warn!(
                event = "door_full",
                count,
                "every connection that the descriptor limit allows is taken: new ones wait"
            );
        }
        self.permits.clone().acquire_owned().await.ok()
    }

    fn accept_on(self: Arc<Self>, listener: StdTcpListener) -> Result<()> {
        listener.set_nonblocking(true)?;
        let workers = self.workers.clone();
        let _first = workers.first().enter();
        let listener = TcpListener::from_std(listener)?;
        self.tracker.clone().spawn(accept(self, listener));
        Ok(())
    }
}

impl Door {
    /// A door behind these listeners; that of `http.metrics_listen` serves metrics alone.
    ///
    /// # Errors
    /// A listener has no address, or the certificate cannot be used.
    pub fn new(
        listeners: Listeners,
        settings: Settings,
        gate: Arc<Gate>,
        station: Arc<Station>,
        library: Arc<Library>,
    ) -> Result<Self> {
        let (plain, sealed) = (addresses(&listeners.plain)?, addresses(&listeners.tls)?);
        let bound = listeners.main_addresses()?;
        let urls = plain.iter().map(|address| format!("http://{address}"));
        let urls = urls.chain(sealed.iter().map(|address| format!("https://{address}"))).collect();
        let tls = settings.tls.files().map(Tls::open).transpose()?.map(Arc::new);
        if let Some(tls) = tls.clone() {
            station.set_tls(move || tls.describe());
        }
        let lanes = Lanes::new(station.clone());
        let settings = ArcSwap::from_pointee(settings);
        let site = Arc::new(Site { station, gate, library, lanes, settings, bound });
        Ok(Self { listeners, tls, urls, site })
    }

    /// The addresses really listened on, as URLs.
    pub fn urls(&self) -> &[String] {
        &self.urls
    }

    /// The addresses whence clients are sent to TLS.
    ///
    /// # Errors
    /// A listener has no address.
    pub fn redirect_bound(&self) -> Result<Vec<SocketAddr>> {
        addresses(&self.listeners.redirect)
    }

    /// The address that serves metrics alone, if there is one.
    pub fn metrics_bound(&self) -> Option<SocketAddr> {
        self.listeners.metrics.as_ref().and_then(|listener| listener.local_addr().ok())
    }

    /// Steers the door once it is open.
    pub fn handle(&self) -> Handle {
        Handle { site: self.site.clone(), tls: self.tls.clone() }
    }

    /// Opens the door: the first worker accepts until the stop signal, the least busy one serves; then every
    /// connection may finish its answer. Streams end by themselves when the programme does.
    ///
    /// # Errors
    /// A listener cannot be handed to the worker.
    pub fn open(self, workers: &Workers, stop: &Stop) -> Result<impl Future<Output = ()> + use<>> {
        let tracker = TaskTracker::new();
        let door = |router: Router, tls: Option<Arc<Tls>>, permits: Arc<Semaphore>| {
            Arc::new(Loop {
                router,
                tls,
                site: self.site.clone(),
                permits,
                workers: workers.clone(),
                tracker: tracker.clone(),
                tally: Tally::new(),
                full: Tally::new(),
                stop: stop.clone(),
            })
        };
        let places = |connections: usize| Arc::new(Semaphore::new(connections));
        let (main, permits) = (router(&self.site), places(connection_limit()));
        let Listeners { plain, tls, redirect, metrics } = self.listeners;
        let https = tls.first().and_then(|listener| listener.local_addr().ok());
        accept_all(&door(main.clone(), None, permits.clone()), plain)?;
        accept_all(&door(main, self.tls.clone(), permits), tls)?;
        if let Some(https) = https {
            let router = redirect_router(&self.site, https.port());
            accept_all(&door(router, None, places(REDIRECT_CONNECTIONS)), redirect)?;
        }
        accept_all(&door(metrics_router(&self.site), None, places(METRICS_CONNECTIONS)), metrics)?;
        if let Some(tls) = self.tls {
            let stop = stop.clone();
            tracker.spawn_blocking_on(move || tls.run(&stop), workers.first());
        }
        tracker.close();
        Ok(async move { tracker.wait().await })
    }
}

/// Connections at a time: what the descriptor limit leaves.
fn connection_limit() -> usize {
    let limit = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE)
        .map_or(1024, |(soft, _)| soft);
    let reserved = (limit / 4).clamp(*RESERVED_DESCRIPTORS.start(), *RESERVED_DESCRIPTORS.end());
    usize::try_from(limit.saturating_sub(reserved) / DESCRIPTORS_EACH)
        .unwrap_or(Semaphore::MAX_PERMITS)
        .clamp(1, 1 << 20)
}

fn accept_all(door: &Arc<Loop>, listeners: impl IntoIterator<Item = StdTcpListener>) -> Result<()> {
    listeners.into_iter().try_for_each(|listener| door.clone().accept_on(listener))
}

async fn accept(shared: Arc<Loop>, listener: TcpListener) {
    loop {
        // The permit first: a connection that cannot be served stays in the kernel's queue.
        let Some(permit) = shared.place().await else { return };
        tokio::select! {
            // The end comes first: who comes back when a stream ends waits for the daemon that comes next.
            biased;
            () = shared.stop.stopped() => return,
            (stream, address) = accept_tcp(&listener, &shared.tally) => {
                // From the events of this thread's runtime to those of another's.
                let Ok(stream) = stream.into_std() else { continue };
                let worker = shared.workers.least_busy();
                let handle = worker.handle.clone();
                let held = Held::new(shared.site.station.clone(), permit, shared.tracker.token());
                shared.tracker.spawn_on(serve(shared.clone(), stream, address, held, worker), &handle);
            }
        }
    }
}

async fn serve(
    shared: Arc<Loop>,
    stream: StdTcpStream,
    address: SocketAddr,
    held: Held,
    worker: workers::Seat,
) {
    // Fails where the kernel watches no more descriptors: the connection is closed then.
    let Ok(stream) = TcpStream::from_std(stream) else { return };
    let stale_after = shared.site.settings.load().stale_after;
    let (wire, meter) = Wire::new(stream, stale_after);
    let spare = wire.duplicate();
    let peer = Peer { address, meter: meter.clone(), is_tls: shared.tls.is_some() };
    let lender = Lender::default();
    let end = match &shared.tls {
        None => converse_plainly(&shared, wire, peer).await,
        // In memory of its own: what TLS needs must not weigh on connections without.
        Some(tls) => Box::pin(converse_under_tls(&shared, tls, wire, peer, &lender)).await,
    };
    let end = match end {
        End::Upgraded(sequel) => go_on(&shared, sequel, &meter, spare.as_ref().ok()).await,
        end => end,
    };
    let heir = meter.take_heir();
    let spare = match (lender.take(), spare) {
        (Some(sealed), _) => Ok(Handed::Sealed(sealed)),
        (None, spare) => spare.map(Handed::Plain),
    };
    match (end, spare) {
        (End::Bequeathed, Ok(socket)) => {
            if let Some(heir) = heir {
                heir.inherit(&meter, Estate { socket, held, worker });
            }
        }
        (End::Reset(reason), spare) => {
            tracing::debug!(event = "connection_reset", address = %address, reason, "connection reset");
            if let Ok(spare) = &spare {
                spare.reset_on_close();
            }
        }
        (End::Done | End::Bequeathed | End::Upgraded(_), _) => {}
    }
}

/// How a conversation ended.
enum End {
    /// Either side had enough.
    Done,
    /// The connection is to be reset, for this reason.
    Reset(&'static str),
    /// Somebody else goes on with it.
    Bequeathed,
    /// It speaks another protocol from now on.
    Upgraded(Sequel),
}

/// Serves requests without TLS: by the short way, then by the usual one.
async fn converse_plainly(shared: &Arc<Loop>, mut wire: Wire, peer: Peer) -> End {
    if let Over::Yes(reason) = converse_shortly(shared, &mut wire, &peer).await {
        return reason.map_or(End::Done, End::Reset);
    }
    wire.hold_usual();
    converse(shared, wire, peer).await
}

/// Shakes hands, and then serves requests.
async fn converse_under_tls(shared: &Arc<Loop>, tls: &Tls, wire: Wire, peer: Peer, lender: &Lender) -> End {
    let sealed = tokio::select! {
        sealed = tls.accept(wire, peer.address) => sealed,
        () = shared.stop.stopped() => None,
    };
    match sealed {
        Some(sealed) => converse(shared, lender.lend(sealed), peer).await,
        None => End::Done,
    }
}

/// Serves requests until either side has enough.
async fn converse<S>(shared: &Arc<Loop>, stream: S, peer: Peer) -> End
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let builder = builder(shared.site.settings.load().max_head_kb);
    let meter = peer.meter.clone();
    let mut connection =
        pin!(builder.serve_connection_with_upgrades(TokioIo::new(stream), service(shared, peer)));
    let mut fate = fate(&shared.stop, &shared.site, &meter);
    loop {
        tokio::select! {
            biased;
            // An error here is the peer's own doing: nobody is left to tell.
            _ = connection.as_mut() => return meter.take_sequel().map_or(End::Done, End::Upgraded),
            Some(turn) = fate.next() => match turn {
                Turn::Reset(reason) => return End::Reset(reason),
                Turn::Freed => return End::Bequeathed,
                Turn::Stop => connection.as_mut().graceful_shutdown(),
            },
        }
    }
}

/// Sees what goes on on an upgraded connection to its end.
async fn go_on(shared: &Loop, mut sequel: Sequel, meter: &Meter, socket: Option<&OwnedFd>) -> End {
    if let Some(socket) = socket {
        // As in `Wire::new`, it fails when the peer has left.
        let _ = socket2::SockRef::from(socket).set_tcp_notsent_lowat(sequel.unsent_bytes);
    }
    let mut fate = fate(&shared.stop, &shared.site, meter);
    loop {
        tokio::select! {
            biased;
            () = &mut sequel.task => return End::Done,
            Some(turn) = fate.next() => match turn {
                Turn::Reset(reason) => return End::Reset(reason),
                // It ends when the programme does.
                Turn::Stop | Turn::Freed => {}
            },
        }
    }
}

/// Whether a connection is over, and for what reason it is to be reset if it is.
enum Over {
    No,
    Yes(Option<&'static str>),
}

/// Serves what can be answered past the HTTP library, which comes next unless the connection is over.
async fn converse_shortly(shared: &Loop, wire: &mut Wire, peer: &Peer) -> Over {
    let mut repeats =
        pin!(repeat::serve(wire, &shared.router, shared.site.gate.limiter(), peer, &shared.stop));
    let mut fate = fate(&shared.stop, &shared.site, &peer.meter);
    loop {
        tokio::select! {
            biased;
            end = repeats.as_mut() => return match end {
                Ok(repeat::End::Unusual) => Over::No,
                Ok(repeat::End::Closed) => Over::Yes(None),
                Err(error) => {
                    // The peer's own doing, or that of a file that is not what was promised.
                    tracing::debug!(event = "answer_broken", reason = %error, "an answer breaks off");
                    Over::Yes(None)
                }
            },
            Some(turn) = fate.next() => match turn {
                Turn::Reset(reason) => return Over::Yes(Some(reason)),
                // Nothing that is answered here has an heir.
                Turn::Freed => {}
                // The answer under way is the last.
                Turn::Stop if peer.meter.is_answering() => {}
                Turn::Stop => return Over::Yes(None),
            },
        }
    }
}

/// The router, for one connection of the HTTP library.
fn service(
    shared: &Loop,
    peer: Peer,
) -> impl hyper::service::Service<
    hyper::Request<hyper::body::Incoming>,
    Response = http::Response<Counted>,
    Error = Infallible,
    Future: Send,
> + use<> {
    let router = shared.router.clone();
    service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
        let (meter, in_flight) = (peer.meter.clone(), peer.meter.begin_request());
        request.extensions_mut().insert(peer.clone());
        let response = router.clone().oneshot(request.map(Body::new));
        async move {
            let response = response.await;
            // The answer's body goes on beyond this; it holds its own mark.
            response.map(|mut response| {
                if response.status() == StatusCode::NOT_MODIFIED {
                    // The length would be that of the body which is not sent; the router says 0.
                    response.headers_mut().remove(CONTENT_LENGTH);
                }
                if let Some(sequel) = response.extensions().get::<Upgrade>().and_then(Upgrade::take) {
                    meter.go_on_with(sequel);
                }
                response.map(|body| Counted::new(body, in_flight))
            })
        }
    })
}

/// The HTTP library, for heads of at most so many KiB; it answers 431 beyond.
fn builder(max_head_kb: u32) -> auto::Builder<TokioExecutor> {
    let head_bytes = max_head_kb * 1024;
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_DEADLINE)
        .max_buf_size(head_bytes as usize)
        .max_headers(128)
        .half_close(false);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(H2_STREAMS)
        .max_header_list_size(head_bytes)
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(HEAD_DEADLINE);
    builder
}

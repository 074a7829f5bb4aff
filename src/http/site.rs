//! The routes, and what stands before them: the names the door answers to, the pages that may use it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderName,
    ORIGIN, RETRY_AFTER, USER_AGENT,
};
use http::{HeaderValue, Method, StatusCode, Version};
use http_body_util::{BodyExt, Limited};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tower_http::cors::{AllowHeaders, AllowMethods, AllowOrigin, CorsLayer};

use super::client::{self, ClientAddress};
use super::guard::Asked;
use super::headers::{self, Way};
use super::heir::Bequest;
use super::limit::{self, Visit};
use super::live::Lanes;
use super::reply::{self, Problem};
use super::routes::Routes;
use super::settings::{Cors, Settings};
use super::stream::{self, StreamBody, Transport};
use super::watched::StayPlace;
use super::wire::Meter;
use super::{compress, files, guard, line, live, live_socket, metrics, page, permit, query, tracks};
use crate::access::{Pass, Permission, Rule};
use crate::audio::State as Programme;
use crate::keys::Gate;
use crate::library::Library;
use crate::station::{self, Arrival, LastEvent, Registered, Reset, Scale, Station, Stream};
use crate::tools::clock;

/// How long a client may take for the body of a request.
const BODY_DEADLINE: Duration = Duration::from_secs(10);
/// A loop that has not turned for so long hangs.
const HANGS_AFTER_NS: i64 = 10 * clock::NS_PER_S;

/// What every request can see.
#[derive(Debug)]
pub struct Site {
    /// The pipeline.
    pub station: Arc<Station>,
    /// Who is let in.
    pub gate: Arc<Gate>,
    /// The files that are served.
    pub library: Arc<Library>,
    /// Where listeners of live streams sit.
    pub lanes: Lanes,
    /// `[http]`; replaced by a reload.
    pub settings: ArcSwap<Settings>,
    /// The addresses really listened on.
    pub bound: Vec<SocketAddr>,
}

/// The connection that a request came by; who asks is [`ClientAddress`].
#[derive(Debug, Clone)]
pub struct Peer {
    /// Address of the other end.
    pub address: SocketAddr,
    /// I/O of the connection.
    pub meter: Arc<Meter>,
    /// Whether it is encrypted.
    pub is_tls: bool,
}

/// The whole door as one service.
pub fn router(site: &Arc<Site>) -> Router {
    let has_own_door = site.settings.load().metrics_listen.is_some();
    let routes = if has_own_door { routes() } else { all_routes(site) };
    guarded_routes(site, routes)
}

/// Routes behind everything that stands before them.
pub(super) fn guarded_routes(site: &Arc<Site>, routes: Routes) -> Router {
    permitted(site, routes)
        .layer(middleware::from_fn(compress::behind))
        .layer(compress::layer())
        .layer(middleware::from_fn(compress::before))
        .layer(cors(site))
        .layer(middleware::from_fn_with_state(site.clone(), guarded))
        .with_state(site.clone())
}

/// The door of `http.metrics_listen`: for the scraper beside the daemon, under the same guards. Pages of
/// other origins have no business here.
pub fn metrics_router(site: &Arc<Site>) -> Router {
    let routes = Routes::default()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .merge(metrics::routes(&site.station));
    permitted(site, routes)
        .layer(compress::layer())
        .layer(middleware::from_fn_with_state(site.clone(), guarded))
        .with_state(site.clone())
}

/// Routes with the question of permission nearest to them: what is not found or not allowed is said
/// without asking who asks.
fn permitted(site: &Arc<Site>, routes: Routes) -> Router<Arc<Site>> {
    routes
        .into_router()
        .route_layer(middleware::from_fn_with_state(site.clone(), permit::permitted))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
}

/// Every route there is.
pub(super) fn all_routes(site: &Arc<Site>) -> Routes {
    routes().merge(metrics::routes(&site.station))
}

/// Every route but `/metrics`, which may have a door of its own.
fn routes() -> Routes {
    Routes::default()
        .route("/api/audio/stream", get(stream))
        .route("/api/audio/live", get(live_socket::open))
        .route("/api/audio/stats", get(stats))
        .route("/api/audio/quality", get(quality))
        .route("/api/audio/performance", get(performance))
        .route("/api/audio/control", post(control))
        .route("/api/audio/debug/connections", get(debug_connections))
        .route("/tracks", get(tracks::list))
        .route("/stream/{id}", get(files::stream))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .merge(live::routes())
        .merge(page::routes())
}

fn cors(site: &Arc<Site>) -> CorsLayer {
    let Cors { methods, headers, credentials, .. } = site.settings.load().cors.clone();
    let methods = methods.iter().filter_map(|method| method.parse::<Method>().ok());
    let headers = headers.iter().filter_map(|header| header.parse::<HeaderName>().ok());
    let origins = site.clone();
    CorsLayer::new()
        .allow_origin(AllowOrigin::predicate(move |origin, _| {
            origin.to_str().is_ok_and(|origin| guard::allows_origin(origin, &origins.settings.load()))
        }))
        .allow_methods(AllowMethods::list(methods))
        .allow_headers(AllowHeaders::list(headers))
        .allow_credentials(credentials)
        // What a page needs to know of a range, and of limits.
        .expose_headers(
            [ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, ETAG, RETRY_AFTER]
                .into_iter()
                .chain(limit::FIELDS)
                .collect::<Vec<_>>(),
        )
}

async fn guarded(State(site): State<Arc<Site>>, mut request: Request, next: Next) -> Response {
    let rule = permit::rule(&request);
    let settings = site.settings.load();
    let client = client_of(&request, &settings);
    let way = way_of(&request, client.as_ref().ok(), &settings);
    // Whoever cannot be told is counted by the address at the other end.
    let peer = request.extensions().get::<Peer>().map(|peer| peer.address.ip());
    let address = client.as_ref().map_or(peer, |client| Some(client.ip));
    let visit = match Visit::begin(&site, &request, address, rule) {
        Ok(visit) => visit,
        Err(over) => {
            let mut response = limit::refuse(&site, &over, address);
            limit::tell_page(response.headers_mut(), request.headers().get(ORIGIN), &settings);
            headers::dress(response.headers_mut(), way);
            return response;
        }
    };
    let examined = client.and_then(|client| examine(&site, &request, rule, client));
    drop(settings);
    let mut response = match examined {
        Ok(client) => {
            request.extensions_mut().insert(client);
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    };
    headers::dress(response.headers_mut(), way);
    visit.end(&site, response)
}

/// How an answer to this client travels.
fn way_of(request: &Request, client: Option<&ClientAddress>, settings: &Settings) -> Way {
    let is_tls = request.extensions().get::<Peer>().is_some_and(|peer| peer.is_tls);
    let hsts = settings.tls.hsts_max_age;
    Way {
        is_https: client.map_or(is_tls, |client| client.is_https),
        hsts: (is_tls && !hsts.is_zero()).then_some(hsts),
    }
}

fn client_of(request: &Request, settings: &Settings) -> Result<ClientAddress, Problem> {
    let peer = request.extensions().get::<Peer>().ok_or_else(no_peer)?;
    client::resolve(peer.address.ip(), peer.is_tls, request.headers(), &settings.trusted_proxies)
}

/// Who asks, when by a name of the door's own and from a page that may.
fn examine(
    site: &Site,
    request: &Request,
    rule: Option<&Rule>,
    client: ClientAddress,
) -> Result<ClientAddress, Problem> {
    let settings = site.settings.load();
    let (uri, headers) = (request.uri(), request.headers());
    guard::check_length(uri, &settings)?;
    let asked = Asked { version: request.version(), uri, headers, client: &client };
    guard::check_host(asked, &site.bound, &settings)?;
    // A stream is not changed by a stranger's page, but it would be held open by one.
    if guard::changes(request.method()) || rule.is_some_and(Rule::checks_origin) {
        guard::check_origin(asked, &settings)?;
    }
    Ok(client)
}

async fn not_found() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "not_found", "there is nothing here")
}

async fn method_not_allowed() -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        "this route has other methods, see Allow",
    )
}

async fn stream(State(site): State<Arc<Site>>, request: Request) -> Result<Response, Problem> {
    let wanted = query::stream(request.uri().query().unwrap_or(""))?;
    let mut response = Response::new(Body::empty());
    if request.method() != Method::HEAD {
        response = open_stream(&site, &request, wanted)?;
    }
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, no-transform"));
    // nginx holds a stream back otherwise.
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    Ok(response)
}

fn open_stream(site: &Arc<Site>, request: &Request, wanted: query::StreamQuery) -> Result<Response, Problem> {
    let station = &site.station;
    let peer = request.extensions().get::<Peer>().cloned().ok_or_else(no_peer)?;
    let meter = peer.meter.clone();
    let reset = Reset::new(move || meter.kick());
    let transport = match request.version() {
        Version::HTTP_11 => Transport::Chunked,
        Version::HTTP_2 | Version::HTTP_3 => Transport::Multiplexed,
        _ => Transport::Plain,
    };
    let registered = arrive(site, request, Stream::Frames { needs_mbps: wanted.needs_mbps(station) }, reset)?;
    let last =
        request.headers().get("last-event-id").and_then(|id| id.to_str().ok()).and_then(LastEvent::parse);
    let heartbeat = site.settings.load().sse_heartbeat;
    let body = StreamBody::new(station, &wanted, last, registered, transport, heartbeat)?;
    if transport == Transport::Multiplexed {
        return Ok(Response::new(Body::new(body)));
    }
    let stay = StayPlace::default();
    let heir = line::heir(site.clone(), body, transport, stay.clone());
    let mut response = Response::new(Body::new(Bequest::new(peer.meter, heir)));
    response.extensions_mut().insert(stay);
    // Nothing follows it: the connection ends with the stream.
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    Ok(response)
}

/// Puts whoever asks for a stream on the list of listeners.
pub fn arrive(site: &Site, request: &Request, stream: Stream, reset: Reset) -> Result<Registered, Problem> {
    let ip = request.extensions().get::<ClientAddress>().ok_or_else(no_peer)?.ip;
    let user_agent =
        request.headers().get(USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or("unknown");
    let user_id = request.extensions().get::<Arc<Pass>>().and_then(|pass| pass.subject.as_deref());
    let most = site.settings.load().max_streams;
    let path = request.uri().path();
    let arrival = Arrival { ip, user_id, user_agent, path, stream, reset };
    let registered = site.station.register(arrival, most).ok_or_else(|| {
        site.gate.limiter().count_full();
        let detail = format!("all {most} streams are taken (http.max_streams)");
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too_many_streams", detail)
    })?;
    if stream::is_worth_a_line() {
        let connection = registered.listener.id;
        tracing::info!(event = "listener_joined", %connection, address = %ip, path, "listener joined");
    }
    Ok(registered)
}

/// A request that was made by no connection.
pub fn no_peer() -> Problem {
    // Set for every connection; a request without it was not made by one.
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the connection is unknown")
}

async fn debug_connections(State(site): State<Arc<Site>>) -> Response {
    reply::json(&site.station.diagnosis())
}

async fn stats(State(site): State<Arc<Site>>, Extension(pass): Extension<Arc<Pass>>) -> Response {
    let mut stats = site.station.stats(usize::MAX);
    // Who the others are is for those who look after them.
    if !pass.permissions.has(Permission::DebugAccess) {
        stats.connections.iter_mut().for_each(station::redact);
    }
    reply::json(&stats)
}

async fn quality(State(site): State<Arc<Site>>) -> Response {
    reply::json(&site.station.audio_quality())
}

async fn performance(State(site): State<Arc<Site>>) -> Response {
    reply::json(&site.station.audio_performance())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Command {
    action: String,
    #[serde(default)]
    params: Map<String, Value>,
}

#[derive(Serialize)]
struct CommandResponse {
    success: bool,
    message: String,
    timestamp: u64,
}

async fn control(State(site): State<Arc<Site>>, request: Request) -> Result<Response, Problem> {
    let command: Command = read_json(&site, request, "a command").await?;
    let message = run(&site.station, &command).await?;
    let timestamp = site.station.wall().now_ms();
    Ok(reply::json(&CommandResponse { success: true, message, timestamp }))
}

async fn run(station: &Arc<Station>, command: &Command) -> Result<String, Problem> {
    let founded = match command.action.as_str() {
        "pause" => return Ok(with_warning("Stream paused", station.pause(true).await?)),
        "resume" => return Ok(with_warning("Stream resumed", station.pause(false).await?)),
        "adjust_quality" => command.params.get("quality"),
        _ => {
            let detail = "action is pause, resume or adjust_quality";
            return Err(Problem::bad_request("unknown_action", detail));
        }
    };
    let wish = match founded {
        None | Some(Value::Null) => 1.0,
        Some(value) => value.as_f64().ok_or_else(|| {
            Problem::bad_request("invalid_params", "params.quality is a number from 0.1 to 1.0")
        })?,
    };
    let scale =
        Scale::nearest(wish).map_err(|error| Problem::bad_request("invalid_params", error.message()))?;
    station.set_quality(scale);
    Ok(format!("Quality adjusted to {}", scale.value()))
}

fn with_warning(message: &str, warning: Option<String>) -> String {
    warning.map_or_else(|| message.to_owned(), |warning| format!("{message}; {warning}"))
}

/// Reads the body of a request, which is to be `what`.
///
/// # Errors
/// It is no JSON, not `what`, too large or too slow.
pub async fn read_json<T: DeserializeOwned>(site: &Site, request: Request, what: &str) -> Result<T, Problem> {
    check_json(&request)?;
    let limit = site.settings.load().max_json_mb as usize * 1024 * 1024;
    let body = read_body(request, limit).await?;
    serde_json::from_slice(&body)
        .map_err(|error| Problem::bad_request("invalid_json", format!("the body is not {what}: {error}")))
}

fn check_json(request: &Request) -> Result<(), Problem> {
    let content_type =
        request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let essence = content_type.split(';').next().unwrap_or("").trim();
    // A form or plain text can be sent by any page without asking; JSON cannot.
    if essence.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    let detail = "the body must be application/json";
    Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail))
}

async fn read_body(request: Request, limit: usize) -> Result<bytes::Bytes, Problem> {
    let collected = Limited::new(request.into_body(), limit).collect();
    match tokio::time::timeout(BODY_DEADLINE, collected).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => Err(Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "body_too_large",
            format!("the body is larger than {} MiB (http.max_json_mb)", limit >> 20),
        )),
        Ok(Err(_)) => Err(Problem::bad_request("body_incomplete", "the body ended early")),
        Err(_) => {
            Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "body_timeout", "the body did not arrive in time"))
        }
    }
}

#[derive(Serialize)]
struct Health {
    status: &'static str,
    reasons: Vec<String>,
}

fn health(good: &'static str, bad: &'static str, reasons: Vec<String>) -> Response {
    let status = if reasons.is_empty() { good } else { bad };
    let mut response = reply::json(&Health { status, reasons });
    if status == bad {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    response
}

/// Alive: every loop turns.
async fn healthz(State(site): State<Arc<Site>>) -> Response {
    let pulses = site.station.pulses(clock::mono_ns());
    let hanging = pulses.into_iter().filter(|(_, age_ns)| *age_ns > HANGS_AFTER_NS);
    health("ok", "hanging", hanging.map(|(name, _)| format!("the {name} thread hangs")).collect())
}

/// Ready: sound flows, or an operator paused it.
async fn readyz(State(site): State<Arc<Site>>) -> Response {
    let mark = site.station.state();
    let reasons = match mark.state {
        Programme::Running | Programme::Paused => Vec::new(),
        state => {
            let reason = mark.reason.map_or_else(String::new, |reason| format!(": {reason}"));
            vec![format!("the programme is {}{reason}", state.as_str())]
        }
    };
    health("ready", "not ready", reasons)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::access::{self, Guard};
    use crate::capture;
    use crate::capture::settings::{SourceSettings, ToneSettings};

    /// The connection of a request that came by none.
    pub fn peer() -> Peer {
        Peer { address: ([127, 0, 0, 1], 1).into(), meter: Arc::new(Meter::new()), is_tls: false }
    }

    /// A site that stands still, and the directory of its state.
    pub fn site(access: &access::Settings, guard: Guard) -> (Arc<Site>, tempfile::TempDir) {
        let state = tempfile::tempdir().expect("temporary folder");
        let source = SourceSettings::Tone(ToneSettings::default());
        let capture = capture::Settings { source, realtime_priority: 0, ..capture::Settings::default() };
        let (station, _) = Station::build(
            &capture,
            crate::station::live::Settings::default(),
            &Default::default(),
            state.path(),
            Vec::new(),
        )
        .expect("built");
        let site = Site {
            lanes: Lanes::new(station.clone()),
            station,
            gate: Arc::new(Gate::new(access, guard, state.path()).expect("a gate")),
            library: Arc::new(Library::new(crate::library::Settings::default())),
            settings: ArcSwap::from_pointee(Settings::default()),
            bound: Vec::new(),
        };
        (Arc::new(site), state)
    }
}

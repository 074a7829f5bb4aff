//! `GET /live.*`: the programme for players, endless.
//!
//! In here: the routes, what the head of the answer says, and the lanes that write to the listeners'
//! sockets. Not in here: encoding, and what a profile is (`station::live`).

mod address;
mod body;
mod lane;
mod lanes;
mod playlist;
mod seat;
mod title;
mod woven;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use axum::routing::{get, post};
use http::header::{ACCEPT_RANGES, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderName};
use http::{HeaderMap, HeaderValue, Method, Version};

use super::heir::{Bequest, Heir};
use super::reply::Problem;
use super::routes::Routes;
use super::site::{Peer, Site, arrive, no_peer};
use super::watched::StayPlace;
use crate::mux::icy::{self, Weaver};
use crate::station::live::{Cadence, Suffix};
use crate::station::{Reset, Stream};
use address::Wish;
use body::Pulled;
pub use lanes::Lanes;
use seat::Ticket;

/// The routes of live streams.
pub fn routes() -> Routes {
    let routes = Routes::default()
        .route("/live/{file}", get(of_profile))
        .route("/live.m3u", get(playlist::m3u))
        .route("/live.pls", get(playlist::pls))
        .route("/api/audio/title", post(title::set).get(title::show));
    STREAMS.iter().fold(routes, |routes, (pattern, suffix)| {
        let stream = move |State(site): State<Arc<Site>>, request: Request| async move {
            answer(&site, &request, None, *suffix)
        };
        routes.route(pattern, get(stream))
    })
}

/// The streams of the chosen profile.
const STREAMS: [(&str, Suffix); 8] = [
    ("/live.mp3", Suffix::Mp3),
    ("/live.aac", Suffix::Aac),
    ("/live.m4a", Suffix::M4a),
    ("/live.opus", Suffix::Opus),
    ("/live.ogg", Suffix::Ogg),
    ("/live.oga", Suffix::Oga),
    ("/live.flac", Suffix::Flac),
    ("/live.wav", Suffix::Wav),
];

async fn of_profile(
    State(site): State<Arc<Site>>,
    Path(file): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let (profile, suffix) = address::file(&file)?;
    answer(&site, &request, Some(profile), suffix)
}

fn answer(
    site: &Site,
    request: &Request,
    profile: Option<&str>,
    suffix: Suffix,
) -> Result<Response, Problem> {
    let cadence = address::cadence(request.uri().query().unwrap_or(""))?;
    if cadence == Cadence::Chained && !suffix.can_be_chained() {
        let detail = "titles are chained in Ogg only: .opus, .ogg and .oga";
        return Err(Problem::bad_request("invalid_query", detail));
    }
    let wish = Wish { profile: profile.map(str::to_owned), suffix, cadence };
    let icy = suffix.has_icy() && wants_titles(request.headers());
    let mut response = Response::new(Body::empty());
    describe(site, &wish, icy, response.headers_mut())?;
    if request.version() < Version::HTTP_2 {
        // To the end of the connection, without chunks: what players of every age understand.
        *response.version_mut() = Version::HTTP_10;
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    if request.method() == Method::HEAD {
        return Ok(response);
    }
    open(site, request, &wish, icy, response)
}

/// A player that wants titles says so with 1; some say something else by mistake and mean it.
fn wants_titles(headers: &HeaderMap) -> bool {
    headers.get("icy-metadata").is_some_and(|value| value.as_bytes().trim_ascii() == b"1")
}

/// What the head says of a stream, for players of every kind.
fn describe(site: &Site, wish: &Wish, icy: bool, headers: &mut HeaderMap) -> Result<(), Problem> {
    let live = site.station.live();
    let key = live.key(wish.profile.as_deref(), wish.suffix)?;
    let encoding = live.profile(&key.profile)?.encoding_in(wish.suffix.codec());
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(wish.suffix.content_type()));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, no-store"));
    // A player must not look for its end, nor for a part of it.
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("none"));
    let mut tell = |name: &'static str, value: &str| {
        if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    tell("icy-name", &live.settings().name);
    tell("icy-pub", "0");
    let (rate, channels) = (encoding.sample_rate, encoding.channels);
    let mut info = format!("samplerate={rate};channels={channels}");
    if !encoding.codec.is_lossless() {
        let kbps = encoding.bitrate();
        tell("icy-br", &kbps.to_string());
        info = format!("bitrate={kbps};{info}");
    }
    tell("ice-audio-info", &info);
    if icy {
        tell("icy-metaint", &icy::INTERVAL_BYTES.to_string());
    }
    // nginx holds a stream back otherwise.
    tell("x-accel-buffering", "no");
    Ok(())
}

fn open(
    site: &Site,
    request: &Request,
    wish: &Wish,
    icy: bool,
    response: Response,
) -> Result<Response, Problem> {
    let live = site.station.live();
    let key = live.key(wish.profile.as_deref(), wish.suffix)?;
    let lane = site.lanes.fewest()?;
    let peer = request.extensions().get::<Peer>().cloned().ok_or_else(no_peer)?;
    let meter = peer.meter.clone();
    let registered = arrive(site, request, Stream::Live, Reset::new(move || meter.kick()))?;
    let source = live.subscribe(&key, wish.cadence)?;
    let ticket = Ticket {
        next: source.begin().number(),
        head: source.head(),
        follows: wish.profile.is_none().then_some(wish.suffix),
        icy: icy.then(Weaver::default),
        source,
        registered,
    };
    if request.version() >= Version::HTTP_2 || peer.is_tls {
        return Ok(response.map(|_| Body::new(Pulled::new(site.station.clone(), ticket))));
    }
    let (way, id) = (lane.clone(), ticket.registered.listener.id);
    let stay = StayPlace::default();
    let place = stay.clone();
    let heir = Heir::new(move |estate| lane.seat(estate, ticket, place.take()), move || way.kick(id));
    let mut response = response.map(|_| Body::new(Bequest::new(peer.meter, heir)));
    response.extensions_mut().insert(stay);
    Ok(response)
}

//! `/live.m3u` and `/live.pls`: small files that players open, with the addresses of the streams.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Uri};

use super::address;
use crate::http::client::ClientAddress;
use crate::http::guard::Asked;
use crate::http::reply::Problem;
use crate::http::site::{Site, no_peer};
use crate::station::live::Suffix;

/// Which stream, by the same query as the rest: `format=`, `profile=`; without them what most players know.
pub async fn m3u(State(site): State<Arc<Site>>, request: Request) -> Result<Response, Problem> {
    let url = stream_url(&site, &request)?;
    let settings = site.station.live().settings();
    let name = &settings.name;
    let text = format!("#EXTM3U\n#EXTINF:-1,{name}\n{url}\n");
    Ok(file("audio/x-mpegurl", text))
}

/// The same for players that like it the other way.
pub async fn pls(State(site): State<Arc<Site>>, request: Request) -> Result<Response, Problem> {
    let url = stream_url(&site, &request)?;
    let settings = site.station.live().settings();
    let name = &settings.name;
    let text = format!("[playlist]\nNumberOfEntries=1\nFile1={url}\nTitle1={name}\nLength1=-1\nVersion=2\n");
    Ok(file("audio/x-scpls", text))
}

fn file(kind: &'static str, text: String) -> Response {
    let mut response = Response::new(Body::from(text));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    // It names the host that was asked for.
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The address of a stream, at the host by which this request came.
fn stream_url(site: &Site, request: &Request) -> Result<String, Problem> {
    let wanted = address::playlist(request.uri().query().unwrap_or(""))?;
    let path = match &wanted.profile {
        Some(name) => {
            let profile = site.station.live().profile(name)?;
            let suffix = wanted.suffix.unwrap_or(Suffix::of(profile.codec));
            format!("/live/{name}.{}", suffix.as_str())
        }
        None => format!("/live.{}", wanted.suffix.unwrap_or(Suffix::Mp3).as_str()),
    };
    let client = request.extensions().get::<ClientAddress>().ok_or_else(no_peer)?;
    let (version, uri, headers) = (request.version(), request.uri(), request.headers());
    let host = Asked { version, uri, headers, client }.public_authority();
    // Very old players name no host: then the address that they reached is all there is.
    let host =
        host.map_or_else(|| site.bound.first().map(ToString::to_string).unwrap_or_default(), str::to_owned);
    let query = address::query(wanted.cadence);
    let scheme = if client.is_https { "https" } else { "http" };
    let url = format!("{scheme}://{host}{path}{query}");
    // What is no address must not get into a file that a player obeys.
    url.parse::<Uri>().map_err(|_| Problem::bad_request("host_invalid", "the Host header is no host"))?;
    Ok(url)
}

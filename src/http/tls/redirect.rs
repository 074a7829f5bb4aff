//! The listener that sends clients to TLS who came without: the same address, by `https`. It sends nobody
//! anywhere else, so it asks for a name of the door's own first.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, LOCATION};
use http::uri::PathAndQuery;
use http::{HeaderValue, StatusCode};

use crate::http::client::ClientAddress;
use crate::http::guard::{self, Asked};
use crate::http::reply::Problem;
use crate::http::site::{Peer, Site, no_peer};

/// The port that an `https` URL means where it names none.
const HTTPS: u16 = 443;

/// Every request is sent to the same address at the port of TLS.
pub fn router(site: &Arc<Site>, port: u16) -> Router {
    let to_tls = move |State(site): State<Arc<Site>>, request: Request| async move {
        redirect(&site, port, &request).unwrap_or_else(IntoResponse::into_response)
    };
    Router::new().fallback(to_tls).with_state(site.clone())
}

fn redirect(site: &Site, port: u16, request: &Request) -> Result<Response, Problem> {
    let peer = request.extensions().get::<Peer>().ok_or_else(no_peer)?;
    let (version, uri, headers) = (request.version(), request.uri(), request.headers());
    let client = &ClientAddress { ip: peer.address.ip(), is_https: false, host: None };
    let asked = Asked { version, uri, headers, client };
    guard::check_host(asked, &site.bound, &site.settings.load())?;
    let nameless = || Problem::bad_request("host_missing", "the request has no usable Host header");
    let host = asked.public_authority().and_then(guard::host_name).ok_or_else(nameless)?;
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    let port = if port == HTTPS { String::new() } else { format!(":{port}") };
    // `OPTIONS *` names no path.
    let path = uri.path_and_query().map(PathAndQuery::as_str).filter(|path| path.starts_with('/'));
    let path = path.unwrap_or("/");
    let wrong = |_| Problem::bad_request("host_invalid", "the Host header is no host");
    let location = HeaderValue::try_from(format!("https://{host}{port}{path}")).map_err(wrong)?;
    let mut response = Response::new(Body::empty());
    // Method and body stay what they are.
    *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
    response.headers_mut().insert(LOCATION, location);
    // Who changes their mind about TLS must not be held to it by every browser's memory.
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

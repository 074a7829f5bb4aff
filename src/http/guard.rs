//! Who may talk to the door from a browser: the names it answers to (against DNS rebinding) and the
//! pages that may use it. Pure rules; `site` applies them to requests.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, Method, Uri, Version, header};

use super::reply::Problem;
use super::settings::Settings;
use http::StatusCode;

/// The name in a `Host` header or authority, without its port; `None` when it is no such thing.
fn host_name(authority: &str) -> Option<&str> {
    let name = match authority.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?.0,
        None => authority.rsplit_once(':').map_or(authority, |(name, _)| name),
    };
    (!name.is_empty()).then_some(name)
}

/// Whether the door answers to a name: loopback names, the addresses it listens on, and configured ones.
fn answers_to(name: &str, bound: &[SocketAddr], hosts: &[String]) -> bool {
    if name.eq_ignore_ascii_case("localhost") || hosts.iter().any(|host| host.eq_ignore_ascii_case(name)) {
        return true;
    }
    // An address in the header was typed by a person or comes from a link: no name was resolved, so none was rebound.
    let Ok(ip) = name.parse::<IpAddr>() else { return false };
    ip.to_canonical().is_loopback() || bound.iter().any(|address| address.ip() == ip)
}

/// The authority that a request names: HTTP/2 puts it into the URI, and so may HTTP/1.1.
fn authority<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Option<&'a str> {
    uri.authority().map(http::uri::Authority::as_str).or_else(|| headers.get(header::HOST)?.to_str().ok())
}

/// Refuses a request for a name that is not ours.
///
/// # Errors
/// 400 without a name (HTTP/1.0 may leave it out: no browser speaks that) or with several, 403 for another's.
pub fn check_host(
    version: Version,
    uri: &Uri,
    headers: &HeaderMap,
    bound: &[SocketAddr],
    settings: &Settings,
) -> Result<(), Problem> {
    if headers.get_all(header::HOST).iter().nth(1).is_some() {
        return Err(Problem::bad_request("host_ambiguous", "the request has more than one Host header"));
    }
    let Some(authority) = authority(uri, headers) else {
        if version < Version::HTTP_11 && !headers.contains_key(header::HOST) {
            return Ok(());
        }
        return Err(Problem::bad_request("host_missing", "the request has no usable Host header"));
    };
    match host_name(authority) {
        Some(name) if answers_to(name, bound, &settings.hosts) => Ok(()),
        _ => Err(Problem::new(
            StatusCode::FORBIDDEN,
            "host_not_allowed",
            "the request names a host that this daemon does not answer to; http.hosts lists further names",
        )),
    }
}

/// Whether a page of this origin may use the door.
pub fn allows_origin(origin: &str, settings: &Settings) -> bool {
    settings.cors.origins.iter().any(|allowed| allowed == origin)
}

/// Whether the origin is the door itself: same authority as the request's.
fn is_same_origin(origin: &str, uri: &Uri, headers: &HeaderMap) -> bool {
    let Some((_, from)) = origin.split_once("://") else { return false };
    authority(uri, headers).is_some_and(|own| own.eq_ignore_ascii_case(from))
}

/// Refuses pages that are not allowed. Simple requests reach a server before any preflight could stop
/// them, so whatever changes something or holds something open looks at the `Origin` itself.
///
/// # Errors
/// 403 for another page's request.
pub fn check_origin(uri: &Uri, headers: &HeaderMap, settings: &Settings) -> Result<(), Problem> {
    let Some(origin) = headers.get(header::ORIGIN) else { return Ok(()) };
    let origin = origin.to_str().unwrap_or("");
    if is_same_origin(origin, uri, headers) || allows_origin(origin, settings) {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::FORBIDDEN,
        "origin_not_allowed",
        "pages of this origin may not do this; http.cors.origins lists those that may",
    ))
}

/// Whether a method changes something.
pub fn changes(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(host: &str) -> Result<(), Problem> {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().expect("header"));
        let settings = Settings { hosts: vec!["studio.local".to_owned()], ..Settings::default() };
        let bound = ["192.168.7.7:8080".parse().expect("address")];
        check_host(Version::HTTP_11, &Uri::from_static("/"), &headers, &bound, &settings)
    }

    #[test]
    fn answers_to_its_own_names_only() {
        for own in [
            "localhost",
            "LOCALHOST:9999",
            "127.0.0.1:8080",
            "127.3.4.5",
            "[::1]:8080",
            "[::1]",
            "192.168.7.7:1",
            "studio.local",
            "Studio.Local:8080",
        ] {
            assert!(check(own).is_ok(), "{own}");
        }
        for other in [
            "evil.example",
            "evil.example:8080",
            "localhost.evil.example",
            "192.168.7.8",
            "",
            ":80",
            "[::1",
            "[::2]:80",
            "127.0.0.1.evil.example",
            "0x7f.1",
            "localhost@evil.example",
        ] {
            assert!(check(other).is_err(), "{other}");
        }
    }

    #[test]
    fn no_host_is_for_the_old_only() {
        let none = HeaderMap::new();
        let settings = Settings::default();
        let check = |version| check_host(version, &Uri::from_static("/"), &none, &[], &settings);
        assert!(check(Version::HTTP_10).is_ok());
        assert_eq!(check(Version::HTTP_11).expect_err("required").status, StatusCode::BAD_REQUEST);
    }

    #[test]
    fn the_uri_goes_before_the_header() {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, "localhost".parse().expect("header"));
        let uri = Uri::from_static("http://evil.example/api");
        assert!(check_host(Version::HTTP_11, &uri, &headers, &[], &Settings::default()).is_err());
    }

    #[test]
    fn pages_of_others_are_refused() {
        let check = |origin: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, "127.0.0.1:4000".parse().expect("header"));
            headers.insert(header::ORIGIN, origin.parse().expect("header"));
            check_origin(&Uri::from_static("/"), &headers, &Settings::default())
        };
        for allowed in ["http://localhost:3000", "http://localhost:8080", "http://127.0.0.1:4000"] {
            assert!(check(allowed).is_ok(), "{allowed}");
        }
        for refused in ["null", "http://evil.example", "http://localhost:3001", "http://127.0.0.1:4001", ""] {
            assert!(check(refused).is_err(), "{refused}");
        }
        let without = HeaderMap::new();
        assert!(
            check_origin(&Uri::from_static("/"), &without, &Settings::default()).is_ok(),
            "not a browser"
        );
    }
}

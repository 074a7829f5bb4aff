//! Who may talk to the door from a browser: the names it answers to (against DNS rebinding) and the
//! pages that may use it. Pure rules; `site` applies them to requests.

use std::net::{IpAddr, SocketAddr};

use http::uri::Authority;
use http::{HeaderMap, Method, StatusCode, Uri, Version, header};

use super::client::ClientAddress;
use super::reply::Problem;
use super::settings::Settings;

/// The name in a `Host` header or authority, without its port; `None` when it is no such thing.
pub fn host_name(authority: &str) -> Option<&str> {
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

/// What a request says of the door: by what name it was reached, and from which page.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// Of HTTP.
    pub version: Version,
    /// Its target.
    pub uri: &'a Uri,
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// Who asks.
    pub client: &'a ClientAddress,
}

impl<'a> Asked<'a> {
    /// The authority that the request names: HTTP/2 puts it into the URI, and so may HTTP/1.1.
    fn authority(&self) -> Option<&'a str> {
        let host = || self.headers.get(header::HOST)?.to_str().ok();
        self.uri.authority().map(Authority::as_str).or_else(host)
    }

    /// The authority by which the client knows the door, which a proxy may have replaced.
    pub fn public_authority(&self) -> Option<&'a str> {
        self.client.host.as_ref().map(Authority::as_str).or_else(|| self.authority())
    }
}

/// Refuses a request for a name that is not ours. A proxy's word does not take the place of the name: a page
/// that reaches the door by rebinding may write what a proxy would.
///
/// # Errors
/// 400 without a name (HTTP/1.0 may leave it out: no browser speaks that) or with several, 403 for another's.
pub fn check_host(asked: Asked<'_>, bound: &[SocketAddr], settings: &Settings) -> Result<(), Problem> {
    if asked.headers.get_all(header::HOST).iter().nth(1).is_some() {
        return Err(Problem::bad_request("host_ambiguous", "the request has more than one Host header"));
    }
    let mut names = asked.authority().into_iter().chain(asked.public_authority()).peekable();
    if names.peek().is_none() {
        if asked.version < Version::HTTP_11 && !asked.headers.contains_key(header::HOST) {
            return Ok(());
        }
        return Err(Problem::bad_request("host_missing", "the request has no usable Host header"));
    }
    let is_ours =
        |authority| host_name(authority).is_some_and(|name| answers_to(name, bound, &settings.hosts));
    if names.all(is_ours) {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::FORBIDDEN,
        "host_not_allowed",
        "the request names a host that this daemon does not answer to; http.hosts lists further names",
    ))
}

/// Whether a page of this origin may use the door.
pub fn allows_origin(origin: &str, settings: &Settings) -> bool {
    settings.cors.origins.iter().any(|allowed| allowed == origin)
}

/// Whether the origin is the door itself: same authority as the request's. A page that came without TLS is another
/// than one that came with it; the other way round a proxy may speak TLS that nobody told of.
fn is_same_origin(origin: &str, asked: Asked<'_>) -> bool {
    let Some((scheme, from)) = origin.split_once("://") else { return false };
    (scheme == "https" || !asked.client.is_https)
        && asked.public_authority().is_some_and(|own| own.eq_ignore_ascii_case(from))
}

/// Refuses pages that are not allowed. Simple requests reach a server before any preflight could stop
/// them, so whatever changes something or holds something open looks at the `Origin` itself.
///
/// # Errors
/// 403 for another page's request.
pub fn check_origin(asked: Asked<'_>, settings: &Settings) -> Result<(), Problem> {
    let Some(origin) = asked.headers.get(header::ORIGIN) else { return Ok(()) };
    let origin = origin.to_str().unwrap_or("");
    if is_same_origin(origin, asked) || allows_origin(origin, settings) {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::FORBIDDEN,
        "origin_not_allowed",
        "pages of this origin may not do this; http.cors.origins lists those that may",
    ))
}

/// Refuses an address that is longer than any that is meant.
///
/// # Errors
/// 414 beyond `http.max_url_kb`.
pub fn check_length(uri: &Uri, settings: &Settings) -> Result<(), Problem> {
    let length = uri.path().len() + uri.query().map_or(0, str::len);
    let most_kb = settings.max_url_kb;
    if length <= most_kb as usize * 1024 {
        return Ok(());
    }
    let detail = format!("the address is longer than {most_kb} KiB (http.max_url_kb)");
    Err(Problem::new(StatusCode::URI_TOO_LONG, "uri_too_long", detail))
}

/// Whether a method changes something.
pub fn changes(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings { hosts: vec!["studio.local".to_owned()], ..Settings::default() }
    }

    fn client(is_https: bool, host: Option<&str>) -> ClientAddress {
        let host = host.map(|host| host.parse().expect("a host"));
        ClientAddress { ip: IpAddr::from([127, 0, 0, 1]), is_https, host }
    }

    fn headers(list: &[(header::HeaderName, &str)]) -> HeaderMap {
        list.iter().map(|(name, value)| (name.clone(), value.parse().expect("a header"))).collect()
    }

    fn check(host: &str, client: &ClientAddress) -> Result<(), Problem> {
        let (uri, headers) = (Uri::from_static("/"), headers(&[(header::HOST, host)]));
        let bound = ["192.168.7.7:8080".parse().expect("address")];
        let asked = Asked { version: Version::HTTP_11, uri: &uri, headers: &headers, client };
        check_host(asked, &bound, &settings())
    }

    #[test]
    fn answers_to_its_own_names_only() {
        let direct = client(false, None);
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
            assert!(check(own, &direct).is_ok(), "{own}");
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
            assert!(check(other, &direct).is_err(), "{other}");
        }
    }

    #[test]
    fn behind_a_proxy_both_names_are_ours() {
        assert!(check("127.0.0.1:8080", &client(true, Some("studio.local"))).is_ok());
        assert!(check("127.0.0.1:8080", &client(true, Some("evil.example"))).is_err());
        assert!(check("evil.example", &client(true, Some("studio.local"))).is_err());
    }

    #[test]
    fn no_host_is_for_the_old_only() {
        let (uri, headers, client) = (Uri::from_static("/"), HeaderMap::new(), client(false, None));
        let check = |version| {
            let asked = Asked { version, uri: &uri, headers: &headers, client: &client };
            check_host(asked, &[], &Settings::default())
        };
        assert!(check(Version::HTTP_10).is_ok());
        assert_eq!(check(Version::HTTP_11).expect_err("required").status, StatusCode::BAD_REQUEST);
    }

    #[test]
    fn the_uri_goes_before_the_header() {
        let headers = headers(&[(header::HOST, "localhost")]);
        let (uri, client) = (Uri::from_static("http://evil.example/api"), client(false, None));
        let asked = Asked { version: Version::HTTP_11, uri: &uri, headers: &headers, client: &client };
        assert!(check_host(asked, &[], &Settings::default()).is_err());
    }

    fn from_page(origin: Option<&str>, client: &ClientAddress) -> Result<(), Problem> {
        let mut headers = headers(&[(header::HOST, "127.0.0.1:4000")]);
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, origin.parse().expect("header"));
        }
        let uri = Uri::from_static("/");
        let asked = Asked { version: Version::HTTP_11, uri: &uri, headers: &headers, client };
        check_origin(asked, &Settings::default())
    }

    #[test]
    fn pages_of_others_are_refused() {
        let direct = client(false, None);
        for allowed in ["http://localhost:3000", "http://localhost:8080", "http://127.0.0.1:4000"] {
            assert!(from_page(Some(allowed), &direct).is_ok(), "{allowed}");
        }
        for refused in ["null", "http://evil.example", "http://localhost:3001", "http://127.0.0.1:4001", ""] {
            assert!(from_page(Some(refused), &direct).is_err(), "{refused}");
        }
        assert!(from_page(None, &direct).is_ok(), "not a browser");
    }

    #[test]
    fn the_own_page_is_where_the_client_found_it() {
        let (direct, proxied) = (client(true, None), client(true, Some("studio.local")));
        assert!(from_page(Some("https://127.0.0.1:4000"), &direct).is_ok());
        assert!(from_page(Some("http://127.0.0.1:4000"), &direct).is_err(), "it came without TLS");
        assert!(from_page(Some("https://studio.local"), &proxied).is_ok());
        assert!(from_page(Some("https://127.0.0.1:4000"), &proxied).is_err());
    }
}

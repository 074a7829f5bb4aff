//! Who asks: the client's end of a request, through the proxies that are trusted.
//!
//! A proxy says for whom it asks in `Forwarded` (RFC 7239) or in `X-Forwarded-For`, and adds the end that it
//! saw at the right. So the lists are walked from the right: an entry is believed for as long as whoever
//! wrote it is trusted, and the first end that is not is the client. What a client itself wrote stands further
//! left, and is not reached. Pure rules; `site` applies them to requests.

use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;
use http::header::{FORWARDED, HeaderName};
use http::uri::Authority;

use super::reply::Problem;
use crate::access::Network;

const FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// The client's end of a request, in the extensions of every request that the guards have let through: where
/// the client is, and by what address it knows the door.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientAddress {
    /// Where it is; an IPv4 address that came over an IPv6 socket is an IPv4 address.
    pub ip: IpAddr,
    /// Whether it speaks TLS, with the door or with a trusted proxy.
    pub is_https: bool,
    /// Host and port that it asked for, where a trusted proxy says so.
    pub host: Option<Authority>,
}

/// Finds the client's end of a request that came from `peer`.
///
/// # Errors
/// 400 for what a trusted proxy cannot have meant: headers that are not written as they should be, or two that
/// name different clients. One of them was then passed on and not written by it.
pub fn resolve(
    peer: IpAddr,
    is_tls: bool,
    headers: &HeaderMap,
    trusted: &[Network],
) -> Result<ClientAddress, Problem> {
    let peer = peer.to_canonical();
    let itself = ClientAddress { ip: peer, is_https: is_tls, host: None };
    if !is_among(trusted, peer) {
        return Ok(itself);
    }
    let by_forwarded = value(headers, &FORWARDED)?.map(|text| forwarded(&text)).transpose()?;
    let by_x = x_forwarded(headers)?;
    let reached = |hops: Vec<Hop>| walk(peer, &hops, trusted);
    let (ip, hop) = match (by_forwarded.map(reached), by_x.map(reached)) {
        (Some((ip, _)), Some((other, _))) if ip != other => return Err(ambiguous()),
        (Some(found), _) | (None, Some(found)) => found,
        (None, None) => return Ok(itself),
    };
    Ok(ClientAddress { ip, is_https: hop.is_https.unwrap_or(is_tls), host: hop.host })
}

/// What one proxy says of whoever asked it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Hop {
    /// `None` where it does not know, or keeps it to itself.
    ip: Option<IpAddr>,
    is_https: Option<bool>,
    host: Option<Authority>,
}

fn is_among(trusted: &[Network], ip: IpAddr) -> bool {
    trusted.iter().any(|network| network.has(ip))
}

/// The first end from the right that is not trusted, or the last of all, and the entry that names it.
fn walk(peer: IpAddr, hops: &[Hop], trusted: &[Network]) -> (IpAddr, Hop) {
    let (mut ip, mut by) = (peer, &Hop::default());
    for hop in hops.iter().rev() {
        if !is_among(trusted, ip) {
            break;
        }
        by = hop;
        match hop.ip {
            Some(further) => ip = further,
            None => break,
        }
    }
    (ip, by.clone())
}

/// A header's values as the one list that they are (RFC 9110, 5.3).
fn value(headers: &HeaderMap, name: &HeaderName) -> Result<Option<String>, Problem> {
    let values: Result<Vec<&str>, _> = headers.get_all(name).iter().map(http::HeaderValue::to_str).collect();
    let values = values.map_err(|_| invalid(name))?;
    Ok((!values.is_empty()).then(|| values.join(",")))
}

/// The `X-Forwarded-*` headers, if any is there. What they say of scheme and host is the last word of each: that of
/// the proxy at the door.
fn x_forwarded(headers: &HeaderMap) -> Result<Option<Vec<Hop>>, Problem> {
    let (ends, proto, host) = (value(headers, &FOR)?, value(headers, &PROTO)?, value(headers, &HOST)?);
    if ends.is_none() && proto.is_none() && host.is_none() {
        return Ok(None);
    }
    let last = |list: Option<String>| list.and_then(|list| Some(list.rsplit(',').next()?.trim().to_owned()));
    let is_https = last(proto).map(|proto| is_https(&proto).ok_or_else(|| invalid(&PROTO))).transpose()?;
    let host = last(host).map(|host| host.parse().map_err(|_| invalid(&HOST))).transpose()?;
    let mut hops: Vec<Hop> = ends
        .iter()
        .flat_map(|ends| ends.split(','))
        .map(|end| Hop { ip: node(end.trim()), is_https, host: Option::clone(&host) })
        .collect();
    if hops.is_empty() {
        hops.push(Hop { ip: None, is_https, host });
    }
    Ok(Some(hops))
}

/// The entries of `Forwarded`.
fn forwarded(text: &str) -> Result<Vec<Hop>, Problem> {
    let wrong = || invalid(&FORWARDED);
    let elements = split(text, ',').ok_or_else(wrong)?;
    let elements = elements.into_iter().map(str::trim).filter(|element| !element.is_empty());
    elements.map(|element| hop(element).ok_or_else(wrong)).collect()
}

/// One entry: pairs such as `for="[2001:db8::7]:4711"`, each name once, those that mean nothing here included.
fn hop(element: &str) -> Option<Hop> {
    let mut hop = Hop::default();
    let mut seen = Vec::new();
    for pair in split(element, ';')?.into_iter().map(str::trim).filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=')?;
        let (name, value) = (name.to_ascii_lowercase(), unquoted(value)?);
        match name.as_str() {
            "for" => hop.ip = node(&value),
            "proto" => hop.is_https = Some(is_https(&value)?),
            "host" => hop.host = Some(value.parse().ok()?),
            _ => {}
        }
        if seen.contains(&name) {
            return None;
        }
        seen.push(name);
    }
    Some(hop)
}

/// Splits where the separator stands outside of quotes; `None` when they do not close.
fn split(text: &str, separator: char) -> Option<Vec<&str>> {
    let (mut parts, mut begin) = (Vec::new(), 0);
    let (mut is_quoted, mut is_escaped) = (false, false);
    for (at, character) in text.char_indices() {
        match character {
            _ if is_escaped => is_escaped = false,
            '\\' if is_quoted => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            _ if character == separator && !is_quoted => {
                parts.push(&text[begin..at]);
                begin = at + character.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(&text[begin..]);
    (!is_quoted).then_some(parts)
}

/// A token, or what is in a quoted string.
fn unquoted(value: &str) -> Option<String> {
    let Some(quoted) = value.strip_prefix('"') else {
        let is_token = !value.is_empty() && !value.contains(['"', ' ', '\t']);
        return is_token.then(|| value.to_owned());
    };
    let mut plain = String::new();
    let mut characters = quoted.chars();
    loop {
        match characters.next()? {
            '"' => return characters.next().is_none().then_some(plain),
            '\\' => plain.push(characters.next()?),
            character => plain.push(character),
        }
    }
}

/// An address with or without port, IPv6 with or without brackets. `unknown`, and names that hide an address
/// (RFC 7239, 6), are none.
fn node(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let ip = bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()));
    ip.map(|ip: IpAddr| ip.to_canonical())
}

/// Whether a scheme is that of TLS; `None` for one that has no business here.
fn is_https(scheme: &str) -> Option<bool> {
    let is = |names: [&str; 2]| names.iter().any(|name| scheme.eq_ignore_ascii_case(name));
    (is(["https", "wss"]) || is(["http", "ws"])).then(|| is(["https", "wss"]))
}

fn invalid(name: &HeaderName) -> Problem {
    let detail = format!("the proxy's {name} is not written as it should be");
    Problem::bad_request("forwarded_invalid", detail)
}

fn ambiguous() -> Problem {
    let detail = "Forwarded and X-Forwarded-For name different clients: the proxy must remove the one that it \
                  does not write";
    Problem::bad_request("forwarded_ambiguous", detail)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tools::fuzz::{as_text, fuzz};

    const PROXY: &str = "10.0.0.1";

    fn trusted() -> Vec<Network> {
        ["10.0.0.0/8", "2001:db8:f::/48"].iter().map(|text| text.parse().expect("a network")).collect()
    }

    fn asked(peer: &str, headers: &[(&'static str, &str)]) -> Result<ClientAddress, &'static str> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().expect("a header"));
        }
        let peer = peer.parse().expect("an address");
        resolve(peer, false, &map, &trusted()).map_err(|problem| problem.code)
    }

    fn ip(peer: &str, headers: &[(&'static str, &str)]) -> Result<String, &'static str> {
        asked(peer, headers).map(|client| client.ip.to_string())
    }

    #[test]
    fn strangers_are_believed_nothing() {
        let claims = [
            ("x-forwarded-for", "192.0.2.9"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "evil.example"),
            ("forwarded", "for=192.0.2.8;proto=https;host=evil.example"),
        ];
        let client = asked("198.51.100.7", &claims).expect("not looked at");
        let ip = "198.51.100.7".parse().expect("an address");
        assert_eq!(client, ClientAddress { ip, is_https: false, host: None });
    }

    #[test]
    fn the_client_is_the_first_from_the_right_that_is_not_trusted() {
        for (list, client) in [
            ("192.0.2.9", "192.0.2.9"),
            ("1.2.3.4, 192.0.2.9", "192.0.2.9"),
            ("1.2.3.4, 192.0.2.9, 10.7.7.7", "192.0.2.9"),
            ("1.2.3.4,2001:db8:f::1 ,10.7.7.7", "1.2.3.4"),
            ("10.3.3.3, 10.2.2.2", "10.3.3.3"),
            ("192.0.2.9:4711", "192.0.2.9"),
            ("[2001:db8::9]:4711", "2001:db8::9"),
            ("[2001:db8::9]", "2001:db8::9"),
            ("::ffff:192.0.2.9", "192.0.2.9"),
            ("1.2.3.4, unknown", PROXY),
            ("1.2.3.4, _secret, 10.7.7.7", "10.7.7.7"),
            ("1.2.3.4, ", PROXY),
            ("", PROXY),
        ] {
            assert_eq!(ip(PROXY, &[("x-forwarded-for", list)]).as_deref(), Ok(client), "{list:?}");
        }
        let twice = [("x-forwarded-for", "1.2.3.4"), ("x-forwarded-for", "192.0.2.9")];
        assert_eq!(ip(PROXY, &twice).as_deref(), Ok("192.0.2.9"), "two lines are one list");
        assert_eq!(ip("::ffff:10.0.0.1", &twice).as_deref(), Ok("192.0.2.9"), "over an IPv6 socket");
    }

    #[test]
    fn forwarded_is_read_as_it_is_written() {
        for (list, client) in [
            ("for=192.0.2.9", "192.0.2.9"),
            ("For=192.0.2.9;proto=http;by=203.0.113.43", "192.0.2.9"),
            ("for=\"192.0.2.9:80\"", "192.0.2.9"),
            ("for=1.2.3.4, for=\"[2001:db8::9]:4711\"", "2001:db8::9"),
            ("for=1.2.3.4;x=\",for=5.6.7.8\", for=192.0.2.9 ;y=\"\\\"\"", "192.0.2.9"),
            ("for=192.0.2.9, for=10.7.7.7", "192.0.2.9"),
            ("for=1.2.3.4, for=unknown", PROXY),
            ("for=1.2.3.4, proto=https", PROXY),
            (",, for=192.0.2.9;,", "192.0.2.9"),
        ] {
            assert_eq!(ip(PROXY, &[("forwarded", list)]).as_deref(), Ok(client), "{list:?}");
        }
        for wrong in [
            "192.0.2.9",
            "for",
            "for=",
            "for=\"192.0.2.9",
            "for=\"192.0.2.9\"x",
            "for=1.2.3.4;for=5.6.7.8",
            "for=1.2.3.4;proto=gopher",
            "for=1.2.3.4;host=\"a b\"",
            "for=1.2.3.4 5.6.7.8",
        ] {
            assert_eq!(ip(PROXY, &[("forwarded", wrong)]), Err("forwarded_invalid"), "{wrong:?}");
        }
    }

    #[test]
    fn scheme_and_host_come_with_the_client() {
        let both = asked(PROXY, &[("forwarded", "for=192.0.2.9;proto=HTTPS;host=\"radio.example:8443\"")]);
        let both = both.expect("well written");
        assert!(both.is_https);
        assert_eq!(both.host.as_ref().map(Authority::as_str), Some("radio.example:8443"));
        let last =
            [("x-forwarded-proto", "http, https"), ("x-forwarded-host", "evil.example, radio.example")];
        let last = asked(PROXY, &last).expect("well written");
        assert_eq!((last.ip.to_string().as_str(), last.is_https), (PROXY, true));
        assert_eq!(last.host.as_ref().map(Authority::as_str), Some("radio.example"));
        assert_eq!(asked(PROXY, &[("x-forwarded-proto", "gopher")]), Err("forwarded_invalid"));
        assert_eq!(asked(PROXY, &[("x-forwarded-host", "a b")]), Err("forwarded_invalid"));
    }

    #[test]
    fn a_header_that_the_proxy_only_passed_on_is_not_believed() {
        let same = [("forwarded", "for=192.0.2.9"), ("x-forwarded-for", "192.0.2.9")];
        assert_eq!(ip(PROXY, &same).as_deref(), Ok("192.0.2.9"));
        let other = [("forwarded", "for=1.2.3.4"), ("x-forwarded-for", "192.0.2.9")];
        assert_eq!(ip(PROXY, &other), Err("forwarded_ambiguous"));
    }

    proptest! {
        #[test]
        fn no_text_is_too_strange(text in "[ -~]{0,60}") {
            for name in ["forwarded", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"] {
                let _ = asked(PROXY, &[(name, text.as_str())]);
            }
        }

        #[test]
        fn what_a_client_writes_changes_nothing(text in "[a-z0-9.:, \\[\\]_-]{0,60}") {
            let list = format!("{text}, 192.0.2.9");
            let found = ip(PROXY, &[("x-forwarded-for", list.as_str())]);
            prop_assert_eq!(found.as_deref(), Ok("192.0.2.9"));
        }
    }

    #[test]
    fn fuzz_forwarded() {
        const SEEDS: &[&str] = &[
            "for=192.0.2.9;proto=https;host=\"radio.example:8443\"",
            "for=\"[2001:db8::9]:4711\", for=10.7.7.7;by=_secret",
            "1.2.3.4, 192.0.2.9:80, ::1, unknown",
            "For=\"_a\\\"b\";PROTO=http",
        ];
        const WORDS: &[&str] = &[
            "for=", "by=", "host=", "proto=", "\"", "\\", ",", ";", "[", "]", ":", "10.0.0.1", "::",
            "unknown", "_",
        ];
        fuzz(
            SEEDS,
            WORDS,
            as_text(|text| {
                let Ok(value) = http::HeaderValue::from_str(text) else { return };
                for name in [FORWARDED, FOR, PROTO, HOST] {
                    let map = HeaderMap::from_iter([(name, value.clone())]);
                    let stranger: IpAddr = "198.51.100.7".parse().expect("an address");
                    let told = resolve(stranger, false, &map, &trusted())
                        .expect("a stranger's word is not looked at");
                    assert_eq!(told, ClientAddress { ip: stranger, is_https: false, host: None });
                    let proxy = PROXY.parse().expect("an address");
                    if let Ok(client) = resolve(proxy, false, &map, &trusted()) {
                        assert_eq!(client.ip, client.ip.to_canonical());
                    }
                }
            }),
        );
    }
}

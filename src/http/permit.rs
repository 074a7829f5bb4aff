//! Before every route: who asks, and whether they may. What stands here is run for a route that the
//! router found, and judges by the router's own name for it, so that there is no way of writing a path
//! that one understands and the other does not.

use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, StatusCode};

use super::client::ClientAddress;
use super::limit::{self, Checked};
use super::repeat::OneRange;
use super::reply::Problem;
use super::site::{Peer, Site};
use super::watched::{self, Stay};
use crate::access::{self, Denial, Pass, Place, Refusal, Rule, Via};
use crate::tools::burst::Burst;
use crate::tools::clock;
use crate::tools::lock::lock;

/// The row of the table about a request that the router found a route for.
pub fn rule(request: &Request) -> Option<&'static Rule> {
    let pattern = request.extensions().get::<MatchedPath>()?;
    access::route(request.method().as_str(), pattern.as_str())
}

/// Lets a request through to its route, or says why not.
pub async fn permitted(State(site): State<Arc<Site>>, mut request: Request, next: Next) -> Response {
    let rule = rule(&request);
    if rule.is_some_and(|rule| rule.needs.is_none()) {
        return next.run(request).await;
    }
    let admitted = match shown(request.headers(), request.uri().query(), rule) {
        Ok(shown) => site.gate.admit(shown.as_deref()).await.map_err(No::refused),
        Err(no) => Err(no),
    };
    let pass = match admitted.and_then(|pass| judge(rule, pass, &request)) {
        Ok(pass) => pass,
        Err(no) => {
            no.record(&request, rule);
            return no.answer();
        }
    };
    let (address, peer) = (address(&request), request.extensions().get::<Peer>().cloned());
    let mut checked = match Checked::new(&site, &request, rule, &pass) {
        Ok(checked) => checked,
        Err(over) => return limit::refuse(&site, &over, address),
    };
    request.extensions_mut().insert(pass.clone());
    let mut response = next.run(request).await;
    checked.mark(&mut response);
    if matches!(pass.via, Via::Token(_) | Via::Key(_)) {
        // What is repeated past the router could go on when the pass is over.
        response.extensions_mut().remove::<OneRange>();
    }
    if !watched::goes_on(&response) {
        return response;
    }
    let lease = match checked.lease(&site) {
        Ok(lease) => lease,
        Err(over) => return limit::refuse(&site, &over, address),
    };
    let reset = move || peer.iter().for_each(|peer| peer.meter.kick());
    let seat = site.gate.begin(&pass, pattern(rule), address, reset);
    watched::watch(response, Stay::new(seat, lease))
}

/// A refusal: how it is answered, and what the journal says.
#[derive(Debug)]
struct No {
    problem: Problem,
    /// For `WWW-Authenticate`.
    challenge: Option<&'static str>,
    reason: String,
}

/// Nothing was shown.
const SHOW: &str = "Bearer realm=\"talas\"";
/// What was shown is not good.
const SHOW_ANOTHER: &str = "Bearer realm=\"talas\", error=\"invalid_token\"";
/// It is good, and not for this.
const SHOW_MORE: &str = "Bearer realm=\"talas\", error=\"insufficient_scope\"";

fn judge(rule: Option<&Rule>, pass: Arc<Pass>, request: &Request) -> Result<Arc<Pass>, No> {
    let place = Place { path: request.uri().path(), address: address(request) };
    match access::decide(rule, &pass, place, &mut |_| {}) {
        Ok(()) => Ok(pass),
        Err(denial) => Err(No::denied(denial, &pass)),
    }
}

fn pattern(rule: Option<&'static Rule>) -> &'static str {
    match rule.map(|rule| rule.subject) {
        Some(access::Subject::Route(_, pattern)) => pattern,
        _ => "unlisted",
    }
}

/// The address that a request comes from; `None` for one that no connection made.
pub fn address(request: &Request) -> Option<IpAddr> {
    request.extensions().get::<ClientAddress>().map(|client| client.ip)
}

/// The one token or key that a request shows: in `Authorization`, or, where a browser can set no headers,
/// as `?token=`.
fn shown(headers: &HeaderMap, query: Option<&str>, rule: Option<&Rule>) -> Result<Option<String>, No> {
    let in_query = rule.is_some_and(Rule::takes_token_in_query).then(|| query.unwrap_or(""));
    let by_query = form_urlencoded::parse(in_query.unwrap_or("").as_bytes())
        .filter(|(name, _)| name == "token")
        .map(|(_, value)| Ok(value.into_owned()));
    let by_header = headers.get_all(AUTHORIZATION).iter().map(bearer);
    let mut all = by_header.chain(by_query);
    let first = all.next().transpose()?;
    if all.next().is_some() {
        return Err(No::misshown("credentials_ambiguous", "the request shows more than one token"));
    }
    Ok(first)
}

/// What follows `Bearer`, a word in any case (RFC 9110, 11.1).
fn bearer(value: &HeaderValue) -> Result<String, No> {
    let wrong = || No::misshown("credentials_invalid", "Authorization is \"Bearer\" and a token or API key");
    let (scheme, rest) = value.to_str().ok().and_then(|text| text.split_once(' ')).ok_or_else(wrong)?;
    let rest = rest.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !rest.is_empty()).then(|| rest.to_owned()).ok_or_else(wrong)
}

impl No {
    fn misshown(code: &'static str, detail: &str) -> Self {
        Self { problem: Problem::bad_request(code, detail), challenge: None, reason: detail.to_owned() }
    }

    fn refused(refusal: Refusal) -> Self {
        let (code, detail) = match refusal {
            // Said only of what was good once: it asks for another, not for a guess.
            Refusal::Expired => ("token_expired", "what the request shows has expired: show a newer one"),
            // Why a signature does not fit is nobody's business but the operator's.
            _ => ("token_invalid", "the token or API key that the request shows is not accepted here"),
        };
        Self {
            problem: Problem::new(StatusCode::UNAUTHORIZED, code, detail),
            challenge: Some(SHOW_ANOTHER),
            reason: refusal.to_string(),
        }
    }

    fn denied(denial: Denial, pass: &Pass) -> Self {
        let is_anonymous = pass.via == Via::Anonymous;
        let (status, code, detail, challenge) = match denial {
            Denial::Missing(needed) if is_anonymous => (
                StatusCode::UNAUTHORIZED,
                "token_missing",
                format!(
                    "this needs the permission {}: show a token or API key that gives it, as \
                     \"Authorization: Bearer\"",
                    needed.as_str()
                ),
                Some(SHOW),
            ),
            Denial::Missing(needed) => (
                StatusCode::FORBIDDEN,
                "permission_missing",
                format!(
                    "this needs the permission {}, and what was shown gives {}",
                    needed.as_str(),
                    pass.permissions
                ),
                Some(SHOW_MORE),
            ),
            Denial::OtherTrack | Denial::OtherPath | Denial::OtherAddress => {
                (StatusCode::FORBIDDEN, "out_of_bounds", denial.to_string(), Some(SHOW_MORE))
            }
            Denial::Unlisted => (StatusCode::FORBIDDEN, "unlisted", denial.to_string(), None),
        };
        Self { problem: Problem::new(status, code, detail), challenge, reason: denial.to_string() }
    }

    fn answer(self) -> Response {
        let mut response = self.problem.into_response();
        if let Some(challenge) = self.challenge {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        response
    }

    /// A line in the journal; a burst becomes a sum. The route is named as the table has it: a path could
    /// hold anything, a token too.
    fn record(&self, request: &Request, rule: Option<&'static Rule>) {
        static DENIALS: Mutex<Burst> = Mutex::new(Burst::new());
        let now_ns = clock::mono_ns();
        let mut burst = lock(&DENIALS);
        if let Some(sum) = burst.due(now_ns) {
            tracing::info!(event = "access_denied", count = sum.count, "requests were denied");
        }
        if !burst.happened(1, now_ns) {
            return;
        }
        let route = pattern(rule);
        let address = address(request).map_or_else(|| "unknown".to_owned(), |address| address.to_string());
        let (reason, code) = (self.reason.as_str(), self.problem.code);
        let method = request.method().as_str();
        tracing::info!(event = "access_denied", method, route, address, code, reason, "a request was denied");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::fuzz::{as_text, fuzz};

    fn show(headers: &[&str], query: &str, pattern: &str) -> Result<Option<String>, &'static str> {
        let mut map = HeaderMap::new();
        for value in headers {
            map.append(AUTHORIZATION, value.parse().expect("a header"));
        }
        shown(&map, Some(query), access::route("GET", pattern)).map_err(|no| no.problem.code)
    }

    const STREAM: &str = "/api/audio/stream";

    #[test]
    fn one_token_is_shown_in_one_place() {
        let one = |text: &str| Ok(Some(text.to_owned()));
        assert_eq!(show(&[], "", STREAM), Ok(None));
        assert_eq!(show(&["Bearer a.b.c"], "", STREAM), one("a.b.c"));
        assert_eq!(show(&["bEARER  a"], "x=1", STREAM), one("a"));
        assert_eq!(show(&[], "x=1&token=a%2Eb", STREAM), one("a.b"));
        assert_eq!(show(&[], "Token=a", STREAM), Ok(None));
        for (headers, query) in [
            (&["Bearer a", "Bearer a"][..], ""),
            (&["Bearer a"][..], "token=a"),
            (&[][..], "token=a&token=a"),
        ] {
            assert_eq!(show(headers, query, STREAM), Err("credentials_ambiguous"), "{headers:?} {query}");
        }
        for wrong in ["", "Bearer", "Bearer ", "Basic YTpi", "a.b.c", "Bearer\ta"] {
            assert_eq!(show(&[wrong], "", STREAM), Err("credentials_invalid"), "{wrong:?}");
        }
    }

    #[test]
    fn only_what_a_browser_holds_open_takes_a_token_in_its_address() {
        for (pattern, takes) in [
            (STREAM, true),
            ("/stream/{id}", true),
            ("/api/audio/stats", false),
            ("/tracks", false),
            ("/metrics", false),
        ] {
            assert_eq!(show(&[], "token=a", pattern), Ok(takes.then(|| "a".to_owned())), "{pattern}");
        }
    }

    #[test]
    fn fuzz_credentials() {
        const SEEDS: &[&str] = &["Bearer a.b.c", "bearer  talas_00000000_AAAA", "Basic YTpi"];
        const WORDS: &[&str] = &["Bearer", " ", "\t", ",", "token=", "%41", "&", "talas_", "="];
        fuzz(
            SEEDS,
            WORDS,
            as_text(|text| {
                if let Ok(value) = HeaderValue::from_str(text) {
                    let token = bearer(&value).ok();
                    assert!(token.is_none_or(|token| !token.is_empty() && text.contains(&token)), "{text:?}");
                }
                // In a query a token is taken once or not at all.
                let found = shown(&HeaderMap::new(), Some(text), access::route("GET", STREAM));
                let count =
                    form_urlencoded::parse(text.as_bytes()).filter(|(name, _)| name == "token").count();
                assert_eq!(found.is_err(), count > 1);
            }),
        );
    }
}

//! Limits, as requests meet them: counted before every route, by the address that a request comes from and
//! by what it shows; told in the head of each answer; and refused with 429 and the time to wait.
//!
//! The head says it as three fields, `RateLimit-Limit`, `-Remaining` and `-Reset`, after the drafts of the
//! IETF up to draft-ietf-httpapi-ratelimit-headers-07: they are what clients read. They tell of requests,
//! and of the limit that is nearest where several hold.

use std::net::IpAddr;
use std::sync::Mutex;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_ORIGIN, HeaderName, RETRY_AFTER, VARY,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};

use super::guard;
use super::repeat::OneRange;
use super::reply::Problem;
use super::settings::Settings;
use super::site::Site;
use super::throttle::Throttled;
use crate::access::{Limit, Pass, Rule, Scope, Standing, Use};
use crate::keys::{self, Lease, Overrun, Parties, nearer};
use crate::tools::burst::Burst;
use crate::tools::clock;
use crate::tools::lock::lock;

/// The fields that tell how a client stands.
pub const FIELDS: [HeaderName; 3] = [LIMIT, REMAINING, RESET];
const LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("ratelimit-reset");

/// When to try again where nobody knows when one of somebody's streams will end.
const TRY_STREAM_AGAIN: Duration = Duration::from_secs(5);

/// On a request whose answer nobody gets: it is counted when it is asked in earnest.
#[derive(Debug, Clone, Copy)]
pub struct Rehearsal;

/// Whether a request's answer is for nobody.
fn is_rehearsal(request: &Request) -> bool {
    request.extensions().get::<Rehearsal>().is_some()
}

/// A request that was counted by its address.
#[derive(Debug)]
pub struct Visit {
    by: Parties,
    standing: Option<Standing>,
    is_rehearsal: bool,
    /// Live sound goes at its own rate.
    is_live: bool,
}

/// What a request is beyond its address, and how that stands; left in the answer by who found it out.
#[derive(Debug, Clone, Copy)]
struct Bearer {
    by: Parties,
    standing: Option<Standing>,
}

impl Visit {
    /// Counts a request by its address.
    ///
    /// # Errors
    /// The address has no more requests.
    pub fn begin(
        site: &Site,
        request: &Request,
        address: Option<IpAddr>,
        rule: Option<&Rule>,
    ) -> Result<Self, Overrun> {
        let limiter = site.gate.limiter();
        let by = address.map(|address| limiter.address(address)).unwrap_or_default();
        let is_live = rule.is_some_and(|rule| rule.usage == Use::Hold);
        let is_rehearsal = is_rehearsal(request);
        let standing = if is_rehearsal { None } else { limiter.request(&by)? };
        Ok(Self { by, standing, is_rehearsal, is_live })
    }

    /// The answer with what is to be told of limits, at the rate that they leave it.
    pub fn end(self, site: &Site, mut response: Response) -> Response {
        let bearer = response.extensions_mut().remove::<Bearer>();
        let by = bearer.map_or(self.by, |bearer| self.by.and(bearer.by));
        let standing = nearer(self.standing, bearer.and_then(|bearer| bearer.standing));
        if let Some(standing) = standing.filter(|_| !response.headers().contains_key(LIMIT)) {
            tell(response.headers_mut(), &standing);
        }
        let limiter = site.gate.limiter();
        let rate = limiter.bytes_per_s(&by).filter(|_| !self.is_live);
        let Some(bytes_per_s) = rate else {
            if let Some(repeatable) = response.extensions_mut().get_mut::<OneRange>() {
                repeatable.by = by;
            }
            return response;
        };
        // The short way knows no rate.
        response.extensions_mut().remove::<OneRange>();
        if self.is_rehearsal {
            return response;
        }
        response.map(|body| Body::new(Throttled::new(body, limiter.clone(), by, bytes_per_s)))
    }
}

/// Lets an answer say what was found out about whoever asked.
#[derive(Debug)]
pub struct Checked {
    bearer: Bearer,
    by: Parties,
    is_rehearsal: bool,
    /// The place of a live stream.
    lease: Option<Lease>,
}

impl Checked {
    /// Counts a request by what it shows, and a live stream as one.
    ///
    /// # Errors
    /// A limit is reached.
    pub fn new(site: &Site, request: &Request, rule: Option<&Rule>, pass: &Pass) -> Result<Self, Overrun> {
        let limiter = site.gate.limiter();
        let address = super::permit::address(request);
        let is_rehearsal = is_rehearsal(request);
        let by = limiter.bearer(pass);
        let standing = if is_rehearsal { None } else { limiter.request(&by)? };
        let of_address = address.map(|address| limiter.address(address)).unwrap_or_default();
        let all = of_address.and(by);
        let mut checked = Self { bearer: Bearer { by, standing }, by: all, is_rehearsal, lease: None };
        let is_live = rule.is_some_and(|rule| rule.usage == Use::Hold);
        if is_live && request.method() != Method::HEAD {
            checked.lease = Some(limiter.begin_stream(&checked.by, true)?);
        }
        Ok(checked)
    }

    /// Leaves in an answer what it is to tell.
    pub fn mark(&self, response: &mut Response) {
        if !self.bearer.by.is_empty() {
            response.extensions_mut().insert(self.bearer);
        }
    }

    /// The place of an answer that goes on.
    ///
    /// # Errors
    /// There are as many as there may be.
    pub fn lease(&mut self, site: &Site) -> Result<Option<Lease>, Overrun> {
        match self.lease.take() {
            None if !self.is_rehearsal => site.gate.limiter().begin_stream(&self.by, false).map(Some),
            lease => Ok(lease),
        }
    }
}

/// Counts, tells the journal and answers that a limit is reached.
pub fn refuse(site: &Site, over: &Overrun, address: Option<IpAddr>) -> Response {
    site.gate.limiter().count(over);
    record(over, address);
    answer(over)
}

fn answer(over: &Overrun) -> Response {
    let whose = match over.scope {
        Scope::Address => "the address that this comes from",
        Scope::User => "the user that the token names",
        Scope::Token => "the token",
        Scope::Key => "the API key",
    };
    let wait_s = seconds(over.wait.unwrap_or(TRY_STREAM_AGAIN)).max(1);
    let (code, what) = match over.limit {
        Limit::Requests => ("rate_limited", "made as many requests"),
        Limit::NewStreams => ("rate_limited", "begun as many streams"),
        Limit::Streams => ("streams_limited", "as many streams at a time"),
    };
    let key = keys::key(over.scope, over.limit);
    let detail = format!("{whose} has {what} as it may ({key}): try again in {wait_s} s");
    let mut response = Problem::new(StatusCode::TOO_MANY_REQUESTS, code, detail).into_response();
    let headers = response.headers_mut();
    headers.insert(RETRY_AFTER, HeaderValue::from(wait_s));
    if let Some(standing) = &over.standing {
        tell(headers, standing);
    }
    response
}

/// What is told of how a client stands.
pub fn fields(standing: &Standing) -> [(HeaderName, u64); 3] {
    [(LIMIT, standing.limit), (REMAINING, standing.remaining), (RESET, seconds(standing.reset))]
}

fn tell(headers: &mut HeaderMap, standing: &Standing) {
    headers.extend(fields(standing).map(|(name, value)| (name, HeaderValue::from(value))));
}

/// Whole seconds, none too few.
fn seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

/// Lets a page that may use the door read an answer that is given outside of what lets it.
pub fn tell_page(headers: &mut HeaderMap, origin: Option<&HeaderValue>, settings: &Settings) {
    let allowed =
        |origin: &&HeaderValue| origin.to_str().is_ok_and(|origin| guard::allows_origin(origin, settings));
    let Some(origin) = origin.filter(allowed) else { return };
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    headers.insert(VARY, HeaderValue::from_static("origin"));
    if settings.cors.credentials {
        headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    }
}

/// A line in the journal; a burst becomes a sum.
fn record(over: &Overrun, address: Option<IpAddr>) {
    static REFUSALS: Mutex<Burst> = Mutex::new(Burst::new());
    let now_ns = clock::mono_ns();
    let mut burst = lock(&REFUSALS);
    if let Some(sum) = burst.due(now_ns) {
        tracing::info!(event = "limit_reached", count = sum.count, "requests were refused by limits");
    }
    if burst.happened(1, now_ns) {
        let limit = keys::key(over.scope, over.limit);
        let address = address.map_or_else(|| "unknown".to_owned(), |address| address.to_string());
        tracing::info!(event = "limit_reached", limit, address, "a request was refused by a limit");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_whole_seconds_and_none_too_few() {
        let standing = Some(Standing { limit: 20, remaining: 0, reset: Duration::from_millis(9001) });
        let (scope, limit) = (Scope::Token, Limit::Requests);
        let over = Overrun { scope, limit, standing, wait: Some(Duration::from_millis(1)) };
        let response = answer(&over);
        let header = |name: &HeaderName| response.headers()[name].to_str().expect("text").to_owned();
        assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(header(&RETRY_AFTER), "1");
        assert_eq!(FIELDS.map(|name| header(&name)), ["20", "0", "10"]);
        let endless = Overrun { limit: Limit::Streams, standing: None, wait: None, ..over };
        let response = answer(&endless);
        assert_eq!(response.headers()[RETRY_AFTER], "5");
        assert!(!response.headers().contains_key(LIMIT), "streams at a time are no rate");
    }
}

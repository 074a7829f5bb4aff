//! `GET|HEAD /stream/{id}`: a track as it is on disk, whole or in ranges.
//!
//! In here: from a request and an open file to a status, headers and the pieces of a body. The arithmetic
//! is in `range`, the conditions are in `validators`, the reading is in `file_body`.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG,
    LAST_MODIFIED, RANGE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use uuid::Uuid;

use super::file_body::{FileBody, Piece};
use super::promise::Promise;
use super::range::{self, Selection};
use super::repeat::OneRange;
use super::reply::Problem;
use super::site::{Peer, Site};
use super::validators::{Validators, Verdict, Version};
use super::wire::Meter;
use crate::keys::Parties;
use crate::library::{Opened, Track, TrackId};

/// Where the tracks are.
const PREFIX: &str = "/stream/";

/// Bytes that stand for themselves in `filename*` (RFC 8187).
const ATTRIBUTE: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'!')
    .remove(b'#')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b'-')
    .remove(b'.')
    .remove(b'^')
    .remove(b'_')
    .remove(b'`')
    .remove(b'|')
    .remove(b'~');

/// Answers for a track.
pub async fn stream(State(site): State<Arc<Site>>, request: Request) -> Result<Response, Problem> {
    // The raw path: an id has no byte that would be written with a percent sign.
    let id = request.uri().path().strip_prefix(PREFIX).and_then(|id| id.parse::<TrackId>().ok());
    let id = id.ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, "not_found", "there is no such track"))?;
    let (track, opened) = site.library.open(id).await?;
    Ok(answer(&track, opened, &request, SystemTime::now()))
}

fn answer(track: &Track, opened: Opened, request: &Request, now: SystemTime) -> Response {
    let headers = request.headers();
    let version = version(&opened);
    let validators = Validators::new(&version, now);
    let ranges = match validators.judge(request.method(), headers) {
        Verdict::Answer { ranges } => ranges,
        Verdict::NotModified => {
            let mut response = StatusCode::NOT_MODIFIED.into_response();
            describe_version(response.headers_mut(), &validators);
            return response;
        }
        Verdict::Failed => {
            let detail = "the track is another version than the request is about";
            return Problem::new(StatusCode::PRECONDITION_FAILED, "precondition_failed", detail)
                .into_response();
        }
    };
    let selection = match asked_for(headers).filter(|_| ranges) {
        Some(header) => range::select(header, version.size),
        None => Selection::Whole,
    };
    let mut response = select(track, opened, request, version.size, selection);
    let status = response.status();
    let headers = response.headers_mut();
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if status.is_success() {
        describe_version(headers, &validators);
    }
    response
}

fn version(opened: &Opened) -> Version {
    let stat = &opened.stat;
    Version {
        inode: stat.st_ino,
        size: u64::try_from(stat.st_size).unwrap_or(0),
        modified: time(stat.st_mtime, stat.st_mtime_nsec),
        changed: time(stat.st_ctime, stat.st_ctime_nsec),
    }
}

/// A time of a file; before 1970 it is 1970, which is all that HTTP dates and tags need of it.
fn time(seconds: i64, ns: impl TryInto<u32>) -> SystemTime {
    let ns = ns.try_into().unwrap_or(0);
    let since = u64::try_from(seconds).map_or(Duration::ZERO, |seconds| Duration::new(seconds, ns));
    SystemTime::UNIX_EPOCH.checked_add(since).unwrap_or(SystemTime::UNIX_EPOCH)
}

/// The one `Range` header; several of them are no range set.
fn asked_for(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(RANGE).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

/// What an answer with a version, or about having it already, says of it.
fn describe_version(headers: &mut HeaderMap, validators: &Validators) {
    set(headers, ETAG, validators.etag());
    set(headers, LAST_MODIFIED, validators.last_modified());
    // Kept by whoever asked, and asked about again before use: a track may be exchanged at any time.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: String) {
    // Made of visible ASCII throughout.
    if let Ok(value) = HeaderValue::from_maybe_shared(Bytes::from(value)) {
        headers.insert(name, value);
    }
}

fn select(track: &Track, opened: Opened, request: &Request, size: u64, selection: Selection) -> Response {
    let promise = Promise::new(size, (opened.stat.st_mtime, nanoseconds(opened.stat.st_mtime_nsec)));
    let one_range = match &selection {
        Selection::Single(range) => Some(OneRange {
            file: opened.file.clone(),
            promise,
            changed: (opened.stat.st_ctime, nanoseconds(opened.stat.st_ctime_nsec)),
            range: range.clone(),
            // Whoever counted the request knows.
            by: Parties::default(),
        }),
        _ => None,
    };
    let (status, content_type, pieces, content_range) = match selection {
        Selection::Unsatisfiable => return unsatisfiable(size),
        Selection::Whole => (StatusCode::OK, None, VecDeque::from([Piece::Span(0..size)]), None),
        Selection::Single(range) => {
            let content_range = range::content_range(&range, size);
            (StatusCode::PARTIAL_CONTENT, None, VecDeque::from([Piece::Span(range)]), Some(content_range))
        }
        Selection::Several(ranges) => {
            let boundary = Uuid::now_v7().simple().to_string();
            let pieces = multipart(&ranges, size, track.media_type, &boundary);
            let content_type = format!("multipart/byteranges; boundary={boundary}");
            (StatusCode::PARTIAL_CONTENT, Some(content_type), pieces, None)
        }
    };
    let body = FileBody::new(opened.file, promise, pieces, connection(request));
    let length = body.left();
    let body = if *request.method() == Method::HEAD { Body::empty() } else { Body::new(body) };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    match content_type {
        Some(content_type) => set(headers, CONTENT_TYPE, content_type),
        None => {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(track.media_type));
        }
    }
    if let Some(content_range) = content_range {
        set(headers, CONTENT_RANGE, content_range);
    }
    set(headers, CONTENT_DISPOSITION, disposition(&track.name()));
    if let Some(one_range) = one_range {
        response.extensions_mut().insert(one_range);
    }
    response
}

/// The connection, where this answer has it to itself and as it is: HTTP/2 would cut and interleave what it
/// writes, and TLS encrypts it.
fn connection(request: &Request) -> Option<Arc<Meter>> {
    let is_alone = request.version() <= http::Version::HTTP_11;
    request.extensions().get::<Peer>().filter(|peer| is_alone && !peer.is_tls).map(|peer| peer.meter.clone())
}

fn nanoseconds(ns: impl TryInto<i64>) -> i64 {
    ns.try_into().unwrap_or(0)
}

fn unsatisfiable(size: u64) -> Response {
    let detail = format!("the track has {size} bytes, and none of those asked for");
    let mut response =
        Problem::new(StatusCode::RANGE_NOT_SATISFIABLE, "range_not_satisfiable", detail).into_response();
    set(response.headers_mut(), CONTENT_RANGE, range::unsatisfied(size));
    response
}

/// The pieces of a `multipart/byteranges` body.
fn multipart(ranges: &[Range<u64>], size: u64, media_type: &str, boundary: &str) -> VecDeque<Piece> {
    let mut pieces = VecDeque::with_capacity(2 * ranges.len() + 1);
    for (n, range) in ranges.iter().enumerate() {
        let line_end = if n == 0 { "" } else { "\r\n" };
        let content_range = range::content_range(range, size);
        let head = format!(
            "{line_end}--{boundary}\r\nContent-Type: {media_type}\r\nContent-Range: {content_range}\r\n\r\n"
        );
        pieces.push_back(Piece::Text(head.into()));
        pieces.push_back(Piece::Span(range.clone()));
    }
    pieces.push_back(Piece::Text(format!("\r\n--{boundary}--\r\n").into()));
    pieces
}

/// `Content-Disposition`: played in place, and saved under the file's own name.
fn disposition(name: &str) -> String {
    let is_plain = |c: char| (c.is_ascii_graphic() || c == ' ') && !matches!(c, '"' | '\\' | '%');
    let plain: String = name.chars().map(|c| if is_plain(c) { c } else { '_' }).collect();
    let encoded = utf8_percent_encode(name, ATTRIBUTE);
    format!("inline; filename=\"{plain}\"; filename*=UTF-8''{encoded}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_any_kind_fit_into_a_header() {
        assert_eq!(disposition("a b.mp3"), "inline; filename=\"a b.mp3\"; filename*=UTF-8''a%20b.mp3");
        assert_eq!(
            disposition("Grüße \"100%\" \\ \r\n.flac"),
            "inline; filename=\"Gr__e _100__ _ __.flac\"; \
             filename*=UTF-8''Gr%C3%BC%C3%9Fe%20%22100%25%22%20%5C%20%0D%0A.flac"
        );
        for byte in 0..=255_u8 {
            let value = disposition(&String::from_utf8_lossy(&[b'a', byte]));
            assert!(value.bytes().all(|byte| (0x20..0x7f).contains(&byte)), "{value:?}");
        }
    }

    #[test]
    fn times_before_the_epoch_and_beyond_all_bounds_are_times() {
        assert_eq!(time(-1, 5_u32), SystemTime::UNIX_EPOCH);
        let _ = time(i64::MAX, 999_999_999_u32);
    }
}

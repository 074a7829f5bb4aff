//! Compression of answers for programs and people, gzip or brotli as the client likes; never of sound.
//!
//! Two rules, each enough by itself: routes of sound do not get to hear that the client would take
//! compressed bytes, and only listed types are compressed. Sound does not shrink, a byte range of
//! compressed bytes is another range, and an event that waits in a compressor is late.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use http::header::{ACCEPT_ENCODING, ACCEPT_RANGES, CONTENT_TYPE, ETAG};
use http::{Extensions, HeaderMap, HeaderValue, Method, StatusCode, Version};
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{Predicate, SizeAbove};

/// Answers shorter than this fit into one packet as they are.
const LEAST_BYTES: u64 = 1024;

/// Types that shrink and are read whole.
const TYPES: [&str; 9] = [
    "application/javascript",
    "application/json",
    "application/openmetrics-text",
    "application/problem+json",
    "image/svg+xml",
    "text/css",
    "text/html",
    "text/javascript",
    "text/plain",
];

/// Whether a route gives sound, live or stored.
fn is_sound(path: &str) -> bool {
    let whole = ["/api/audio/stream", "/api/audio/live", "/api/ws"];
    let beginnings = ["/live.", "/live/", "/stream/", "/preview/"];
    whole.contains(&path) || beginnings.iter().any(|beginning| path.starts_with(beginning))
}

/// Whether an answer may be compressed, by what its head says.
fn is_packable(status: StatusCode, headers: &HeaderMap) -> bool {
    let declared = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let essence = declared.split(';').next().unwrap_or("").trim();
    status != StatusCode::PARTIAL_CONTENT && !headers.contains_key(ACCEPT_RANGES) && TYPES.contains(&essence)
}

/// The layer that compresses. At the fastest level: an answer is made for one reader and read once.
pub fn layer() -> CompressionLayer<impl Predicate + Send + Sync + 'static> {
    let by_head =
        |status: StatusCode, _: Version, headers: &HeaderMap, _: &Extensions| is_packable(status, headers);
    CompressionLayer::new()
        .quality(CompressionLevel::Fastest)
        .compress_when(SizeAbove::new(LEAST_BYTES).and(by_head))
}

/// Stands before the layer: what is not to be compressed must not be refused for that either, and an
/// order that was carried out is not answered with "not acceptable".
pub async fn before(mut request: Request, next: Next) -> Response {
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    if !is_read || is_sound(request.uri().path()) {
        request.headers_mut().remove(ACCEPT_ENCODING);
    }
    next.run(request).await
}

/// Stands behind the layer: an answer with two forms has no validator for its bytes.
pub async fn behind(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    if is_packable(response.status(), response.headers())
        && let Some(tag) = response.headers().get(ETAG)
        && !tag.as_bytes().starts_with(b"W/")
        && let Ok(weak) = HeaderValue::from_bytes(&[b"W/", tag.as_bytes()].concat())
    {
        response.headers_mut().insert(ETAG, weak);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::body::Body;
    use axum::middleware;
    use axum::routing::get;
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    const LONG: usize = 4096;

    /// What a route that answers with these headers makes of a wish for gzip: its encoding and its tag.
    async fn answer(path: &str, headers: &'static [(&'static str, &'static str)], wish: &str) -> Response {
        let route = move || async move {
            let mut response = Response::new(Body::from(vec![b'x'; LONG]));
            for (name, value) in headers {
                response.headers_mut().insert(*name, HeaderValue::from_static(value));
            }
            if headers.iter().any(|(name, _)| *name == "content-range") {
                *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            }
            response
        };
        let router = Router::new()
            .fallback(get(route).post(route))
            .layer(middleware::from_fn(behind))
            .layer(layer())
            .layer(middleware::from_fn(before));
        let request = http::Request::get(path).header(ACCEPT_ENCODING, wish).body(Body::empty());
        router.oneshot(request.expect("a request")).await.expect("an answer")
    }

    async fn encoding(path: &str, headers: &'static [(&'static str, &'static str)]) -> Option<String> {
        let answer = answer(path, headers, "gzip, br").await;
        let encoding = answer.headers().get("content-encoding").cloned();
        let body = answer.into_body().collect().await.expect("a body").to_bytes();
        assert_eq!(encoding.is_none(), body.len() == LONG, "the header tells the truth");
        encoding.map(|encoding| encoding.to_str().expect("text").to_owned())
    }

    #[tokio::test]
    async fn listed_types_are_compressed() {
        for kind in TYPES {
            let headers = [("content-type", kind)];
            let headers: &'static [(&str, &str)] = Box::leak(Box::new(headers));
            assert!(encoding("/api/anything", headers).await.is_some(), "{kind}");
        }
        assert!(encoding("/", &[("content-type", "text/html; charset=utf-8")]).await.is_some());
    }

    #[tokio::test]
    async fn sound_is_not_whatever_its_type_says() {
        for kind in ["audio/mpeg", "audio/wav", "text/event-stream", "application/octet-stream"] {
            let headers: &'static [(&str, &str)] = Box::leak(Box::new([("content-type", kind)]));
            assert_eq!(encoding("/anywhere", headers).await, None, "{kind}");
        }
        const PLAIN: &[(&str, &str)] = &[("content-type", "text/plain")];
        for path in [
            "/api/audio/stream",
            "/api/audio/live",
            "/live.mp3",
            "/live/high.wav",
            "/stream/17",
            "/preview/17",
            "/api/ws",
        ] {
            assert_eq!(encoding(path, PLAIN).await, None, "{path}");
        }
        for path in ["/api/audio/stats", "/livestock", "/streams", "/api/v1/streams"] {
            assert!(encoding(path, PLAIN).await.is_some(), "{path}");
        }
    }

    #[tokio::test]
    async fn ranges_are_never_compressed() {
        const RANGE: &[(&str, &str)] = &[("content-type", "text/plain"), ("content-range", "bytes 0-9/20")];
        const RANGED: &[(&str, &str)] = &[("content-type", "text/plain"), ("accept-ranges", "bytes")];
        assert_eq!(encoding("/", RANGE).await, None);
        assert_eq!(encoding("/", RANGED).await, None);
    }

    #[tokio::test]
    async fn a_client_that_takes_nothing_still_gets_its_stream() {
        const EVENTS: &[(&str, &str)] = &[("content-type", "text/event-stream")];
        let stream = answer("/api/audio/stream", EVENTS, "identity;q=0").await;
        assert_eq!(stream.status(), StatusCode::OK);
    }

    #[tokio::test]
    async fn a_tag_of_bytes_becomes_a_tag_of_meaning() {
        const STRONG: &[(&str, &str)] = &[("content-type", "text/html"), ("etag", "\"one\"")];
        const WEAK: &[(&str, &str)] = &[("content-type", "text/html"), ("etag", "W/\"one\"")];
        const SOUND: &[(&str, &str)] = &[("content-type", "audio/mpeg"), ("etag", "\"one\"")];
        for (headers, expected) in [(STRONG, "W/\"one\""), (WEAK, "W/\"one\""), (SOUND, "\"one\"")] {
            assert_eq!(answer("/", headers, "gzip").await.headers()["etag"], expected);
        }
    }
}

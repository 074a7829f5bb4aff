//! The page at `/`, its modules and its looks: plain files of `web/`, carried in the binary.
//!
//! In here: which files there are, and how long browsers keep them. Not in here: what they do; each says
//! that itself.

use std::hash::{DefaultHasher, Hasher};
use std::sync::LazyLock;

use axum::body::Body;
use axum::response::Response;
use axum::routing::get;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderMap, IF_NONE_MATCH};
use http::{HeaderValue, StatusCode};

use super::routes::Routes;

/// Kept, but asked for again each time: the names do not change with the content, and an unchanged file
/// costs a 304.
const FRESHNESS: &str = "no-cache";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

macro_rules! files {
    ($($path:literal $file:literal $mime:expr;)*) => {
        /// Path, MIME type and content of every file.
        const FILES: &[(&str, &str, &[u8])] =
            &[$(($path, $mime, include_bytes!(concat!("../../web/", $file)))),*];
    };
}

files! {
    "/" "index.html" HTML;
    "/style.css" "style.css" CSS;
    "/icon.svg" "icon.svg" SVG;
    "/page.js" "page.js" SCRIPT;
    "/waveform.js" "waveform.js" SCRIPT;
    "/levels.js" "levels.js" SCRIPT;
    "/talas-client.js" "talas-client.js" SCRIPT;
    "/event-stream.js" "event-stream.js" SCRIPT;
    "/live-socket.js" "live-socket.js" SCRIPT;
    "/listening.js" "listening.js" SCRIPT;
    "/player.js" "player.js" SCRIPT;
    "/player-worklet.js" "player-worklet.js" SCRIPT;
    "/jitter-buffer.js" "jitter-buffer.js" SCRIPT;
}

/// A file as it is served.
#[derive(Debug, Clone)]
struct Asset {
    mime: &'static str,
    tag: HeaderValue,
    content: &'static [u8],
}

impl Asset {
    fn new(mime: &'static str, content: &'static [u8]) -> Self {
        // Another release of the hasher gives other tags, which costs each browser one download.
        let mut hasher = DefaultHasher::new();
        hasher.write(content);
        let tag = format!("\"{:016x}\"", hasher.finish());
        // Quotes and hexadecimal digits are always a header value.
        let tag = HeaderValue::try_from(tag).unwrap_or(HeaderValue::from_static("\"\""));
        Self { mime, tag, content }
    }

    fn answer(&self, asked: &HeaderMap) -> Response {
        let is_known = is_known(asked, &self.tag);
        let body = if is_known { Body::empty() } else { Body::from(Bytes::from_static(self.content)) };
        let mut response = Response::new(body);
        if is_known {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        }
        let headers = response.headers_mut();
        headers.insert(ETAG, self.tag.clone());
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.mime));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static(FRESHNESS));
        response
    }
}

/// Whether the client holds just this (RFC 9110, 13.1.2: any of several tags, compared weakly, or `*`).
fn is_known(asked: &HeaderMap, tag: &HeaderValue) -> bool {
    let values = asked.get_all(IF_NONE_MATCH).into_iter().filter_map(|value| value.to_str().ok());
    let mut tags = values.flat_map(|value| value.split(',')).map(str::trim);
    tags.any(|held| held == "*" || held.strip_prefix("W/").unwrap_or(held).as_bytes() == tag.as_bytes())
}

/// Every file on its route.
pub fn routes() -> Routes {
    static ASSETS: LazyLock<Vec<(&'static str, Asset)>> = LazyLock::new(|| {
        FILES.iter().map(|(path, mime, content)| (*path, Asset::new(mime, content))).collect()
    });
    ASSETS.iter().fold(Routes::default(), |routes, (path, asset)| {
        routes.route(path, get(move |asked: HeaderMap| async move { asset.answer(&asked) }))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asset(path: &str) -> Asset {
        let (_, mime, content) = FILES.iter().find(|(known, ..)| *known == path).expect("a file");
        Asset::new(mime, content)
    }

    fn asking(tags: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for tag in tags {
            headers.append(IF_NONE_MATCH, tag.parse().expect("a header"));
        }
        headers
    }

    #[test]
    fn what_a_client_holds_is_not_sent_again() {
        let asset = asset("/");
        let tag = asset.tag.to_str().expect("text").to_owned();
        for held in [tag.clone(), format!("W/{tag}"), format!("\"x\", {tag} ,\"y\""), "*".to_owned()] {
            assert_eq!(asset.answer(&asking(&[&held])).status(), StatusCode::NOT_MODIFIED, "{held}");
        }
        assert_eq!(asset.answer(&asking(&["\"x\"", &tag])).status(), StatusCode::NOT_MODIFIED);
        for held in ["\"x\"", "", ",", tag.trim_matches('"'), "W/\"x\"", "**"] {
            assert_eq!(asset.answer(&asking(&[held])).status(), StatusCode::OK, "{held}");
        }
        assert_eq!(asset.answer(&HeaderMap::new()).status(), StatusCode::OK);
    }

    #[test]
    fn tags_differ_as_contents_do() {
        let mut tags: Vec<_> =
            FILES.iter().map(|(_, mime, content)| format!("{:?}", Asset::new(mime, content).tag)).collect();
        tags.sort();
        tags.dedup();
        assert_eq!(tags.len(), FILES.len());
    }

    #[test]
    fn every_file_that_a_file_names_is_served() {
        let scripts = FILES.iter().filter(|(_, mime, _)| *mime != SVG);
        let mut named = 0;
        for (path, _, content) in scripts {
            let text = std::str::from_utf8(content).expect("text");
            for quote in ['\'', '"'] {
                for word in text.split(quote).filter_map(|word| word.strip_prefix("./")) {
                    named += 1;
                    assert!(
                        FILES.iter().any(|(known, ..)| known[1..] == *word),
                        "{path} names {word:?}, which is not served"
                    );
                }
            }
        }
        assert!(named > 8, "the names were found");
    }
}

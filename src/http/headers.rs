//! What browsers are told about every answer, beside what it says: how little it may do, who may show it, and
//! whether to come back without TLS. All of it is set here.

use std::time::Duration;

use http::header::{
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderValue};

/// What the page may do: load from here and talk to here. Nothing inline, nothing from elsewhere, and no
/// foreign page around it.
const PAGE: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'",
);
/// An answer that is no page does nothing, should a browser take it for one. Sound has no policy: browsers
/// play what is opened by itself in a page of their own making, and would not under this.
const DATA: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
/// Devices of the visitor that the page, and what could get into it, has no business with.
const DEVICES: HeaderValue = HeaderValue::from_static(
    "accelerometer=(), camera=(), geolocation=(), gyroscope=(), magnetometer=(), microphone=(), payment=(), \
     usb=()",
);

const PERMISSIONS_POLICY: HeaderName = HeaderName::from_static("permissions-policy");
const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// What a browser is to make of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Page,
    Sound,
    Data,
}

impl Kind {
    fn of(headers: &HeaderMap) -> Self {
        let declared = headers.get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
        if declared.starts_with(b"text/html") {
            Self::Page
        } else if declared.starts_with(b"audio/") || declared.starts_with(b"application/ogg") {
            Self::Sound
        } else {
            Self::Data
        }
    }
}

/// How an answer travels.
#[derive(Debug, Clone, Copy, Default)]
pub struct Way {
    /// The client speaks TLS, with the door or with a trusted proxy.
    pub is_https: bool,
    /// For how long it is to come by TLS only; `None` is not to say so.
    pub hsts: Option<Duration>,
}

/// Sets them.
pub fn dress(headers: &mut HeaderMap, way: Way) {
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    let kind = Kind::of(headers);
    // A radio is there to be embedded; what it says of itself is for its own pages, and for those that CORS names.
    let embedding = if kind == Kind::Sound { "cross-origin" } else { "same-origin" };
    headers.insert(RESOURCE_POLICY, HeaderValue::from_static(embedding));
    match kind {
        Kind::Page => {
            headers.insert(CONTENT_SECURITY_POLICY, PAGE);
            headers.insert(PERMISSIONS_POLICY, DEVICES);
            // Browsers take it over TLS only, and complain of it elsewhere.
            if way.is_https {
                headers.insert(OPENER_POLICY, HeaderValue::from_static("same-origin"));
            }
        }
        Kind::Data => {
            headers.insert(CONTENT_SECURITY_POLICY, DATA);
        }
        Kind::Sound => {}
    }
    if let Some(hsts) = way.hsts {
        // Digits are always a header value.
        if let Ok(value) = HeaderValue::try_from(format!("max-age={}", hsts.as_secs())) {
            headers.insert(STRICT_TRANSPORT_SECURITY, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dressed(content_type: &'static str, way: Way) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        dress(&mut headers, way);
        headers
    }

    #[test]
    fn each_kind_is_told_what_it_may() {
        let policy = |content_type| {
            let headers = dressed(content_type, Way::default());
            assert_eq!(headers[X_CONTENT_TYPE_OPTIONS], "nosniff", "{content_type}");
            assert_eq!(headers[REFERRER_POLICY], "no-referrer", "{content_type}");
            (headers.get(CONTENT_SECURITY_POLICY).cloned(), headers[RESOURCE_POLICY].clone())
        };
        let same = HeaderValue::from_static("same-origin");
        assert_eq!(policy("text/html; charset=utf-8"), (Some(PAGE), same.clone()));
        for data in ["application/json", "application/problem+json", "text/event-stream", "image/svg+xml"] {
            assert_eq!(policy(data), (Some(DATA), same.clone()), "{data}");
        }
        for sound in ["audio/mpeg", "audio/wav", "application/ogg"] {
            assert_eq!(policy(sound), (None, HeaderValue::from_static("cross-origin")), "{sound}");
        }
    }

    #[test]
    fn what_holds_for_tls_is_said_over_tls() {
        let plain = dressed("text/html", Way::default());
        assert!(!plain.contains_key(OPENER_POLICY) && !plain.contains_key(STRICT_TRANSPORT_SECURITY));
        let sealed = dressed("text/html", Way { is_https: true, hsts: Some(Duration::from_secs(60)) });
        assert_eq!(sealed[OPENER_POLICY], "same-origin");
        assert_eq!(sealed[STRICT_TRANSPORT_SECURITY], "max-age=60");
    }

    #[test]
    fn nothing_inline_is_allowed() {
        for policy in [PAGE, DATA] {
            let policy = policy.to_str().expect("text").to_owned();
            assert!(!policy.contains("unsafe") && policy.contains("frame-ancestors"), "{policy}");
        }
    }
}

//! Answers: JSON, and problem documents (RFC 9457) with a stable `code` for what was refused or failed.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, SEC_WEBSOCKET_VERSION, UPGRADE};
use http::{HeaderValue, StatusCode};
use serde::Serialize;

use crate::error::{Error, Kind};

/// A refusal or a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// HTTP status.
    pub status: StatusCode,
    /// Stable word for programs.
    pub code: &'static str,
    /// A sentence for people: what was wrong and what would be right.
    pub detail: String,
}

#[derive(Serialize)]
struct Document<'a> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    code: &'a str,
    detail: &'a str,
}

impl Problem {
    /// A problem.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into() }
    }

    /// 400, for a request that is wrong.
    pub fn bad_request(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail)
    }
}

/// The one table from kinds of errors to HTTP.
impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let (status, code) = match error.kind() {
            Kind::Invalid | Kind::Usage | Kind::Config => (StatusCode::BAD_REQUEST, "invalid"),
            Kind::Denied => (StatusCode::FORBIDDEN, "denied"),
            Kind::NotFound => (StatusCode::NOT_FOUND, "not_found"),
            Kind::Conflict => (StatusCode::CONFLICT, "conflict"),
            Kind::Unavailable | Kind::Gone | Kind::Busy => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
            Kind::Required | Kind::Internal => {
                // What failed inside is for the journal, not for a stranger.
                tracing::error!(event = "request_failed", reason = error.chain(), "a request failed");
                let detail = "the daemon failed; its journal says more";
                return Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail);
            }
        };
        Self::new(status, code, error.chain())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let document = Document {
            r#type: "about:blank",
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            code: self.code,
            detail: &self.detail,
        };
        let mut response = json(&document);
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if self.status == StatusCode::UPGRADE_REQUIRED {
            headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
            headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        }
        response
    }
}

/// 200 with JSON that nobody may keep.
pub fn json(value: &impl Serialize) -> Response {
    let body = serde_json::to_vec(value).unwrap_or_else(|_| b"null".to_vec());
    let mut response = Response::new(Body::from(body));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

//! The handshake of WebSocket (RFC 6455), and the socket that comes of it. Not in here: what is said on it.

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{
    CONNECTION, HeaderName, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderMap, HeaderValue, StatusCode, Version};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use super::reply::Problem;

/// An open WebSocket.
pub type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// The version of the protocol.
const VERSION: &[u8] = b"13";
/// Bytes of a key, decoded.
const KEY_BYTES: usize = 16;
/// Bytes that one read may bring. Clients here have little to say.
const READ_BYTES: usize = 1024;

/// A handshake that can be answered with yes.
#[derive(Debug)]
pub struct Handshake {
    accept: String,
    upgrade: OnUpgrade,
}

impl Handshake {
    /// Of this request.
    ///
    /// # Errors
    /// 426 for a request that is no handshake or of another version; 400 for one without a usable key.
    pub fn of(request: &mut Request) -> Result<Self, Problem> {
        let (version, headers) = (request.version(), request.headers());
        let is_asked = version == Version::HTTP_11
            && has_word(headers, &CONNECTION, "upgrade")
            && has_word(headers, &UPGRADE, "websocket");
        if !is_asked {
            let detail = "this is a WebSocket: ask for it over HTTP/1.1 with Upgrade: websocket";
            return Err(Problem::new(StatusCode::UPGRADE_REQUIRED, "upgrade_required", detail));
        }
        if headers.get(SEC_WEBSOCKET_VERSION).is_none_or(|version| version != VERSION) {
            let detail = "Sec-WebSocket-Version must be 13";
            return Err(Problem::new(StatusCode::UPGRADE_REQUIRED, "websocket_version", detail));
        }
        let key = headers.get(SEC_WEBSOCKET_KEY).map(HeaderValue::as_bytes).unwrap_or_default();
        if !STANDARD.decode(key).is_ok_and(|key| key.len() == KEY_BYTES) {
            let detail = "Sec-WebSocket-Key must be 16 bytes in base64";
            return Err(Problem::bad_request("websocket_key", detail));
        }
        let accept = derive_accept_key(key);
        Ok(Self { accept, upgrade: hyper::upgrade::on(request) })
    }

    /// The answer that says yes.
    pub fn answer(&self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        // Base64 is always a header value.
        if let Ok(accept) = HeaderValue::try_from(&self.accept) {
            headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
        }
        response
    }

    /// The socket, once the answer is on its way; `None` when the peer left before.
    pub async fn socket(self) -> Option<Socket> {
        let io = TokioIo::new(self.upgrade.await.ok()?);
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BYTES)
            .max_message_size(Some(READ_BYTES))
            .max_frame_size(Some(READ_BYTES));
        Some(WebSocketStream::from_raw_socket(io, Role::Server, Some(config)).await)
    }
}

/// Whether a header, a list of words with commas between them, has this word in any case.
fn has_word(headers: &HeaderMap, name: &HeaderName, word: &str) -> bool {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|found| found.trim().eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: [(&str, &str); 4] = [
        ("Connection", "keep-alive, Upgrade"),
        ("Upgrade", "WebSocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];

    fn shake(version: Version, headers: &[(&str, &str)]) -> Result<Handshake, Problem> {
        let mut request = Request::get("/api/audio/live").version(version);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Handshake::of(&mut request.body(Body::empty()).expect("a request"))
    }

    #[test]
    fn the_answer_has_the_key_of_the_standards_own_example() {
        let answer = shake(Version::HTTP_11, &GOOD).expect("a handshake").answer();
        assert_eq!(answer.status(), StatusCode::SWITCHING_PROTOCOLS);
        assert_eq!(answer.headers()["sec-websocket-accept"], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn what_is_no_handshake_is_told_what_is_missing() {
        let with = |at: usize, value: &'static str| {
            let mut headers = GOOD;
            headers[at].1 = value;
            shake(Version::HTTP_11, &headers).expect_err(value)
        };
        assert_eq!(with(0, "close").code, "upgrade_required");
        assert_eq!(with(1, "h2c").code, "upgrade_required");
        assert_eq!(with(2, "8").code, "websocket_version");
        for key in ["", "short", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZSBub25jZSBsb25nZXI="] {
            assert_eq!(with(3, key).code, "websocket_key");
        }
        assert_eq!(shake(Version::HTTP_2, &GOOD).expect_err("another way").code, "upgrade_required");
        assert_eq!(shake(Version::HTTP_10, &GOOD).expect_err("too old").code, "upgrade_required");
    }
}

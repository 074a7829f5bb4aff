//! The body of an answer that goes on under somebody's pass: it ends when the pass does, and says why
//! where the format has words for it.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http_body::{Frame, SizeHint};
use serde_json::json;

use crate::access::Refusal;
use crate::keys::{Lease, Seat};
use crate::mux::sse::{self, Event};
use crate::tools::lock::lock;

/// Answers up to this length are on their way before anybody could end them, in bytes.
pub const SHORT_BYTES: u64 = 64 * 1024;

/// What an answer that goes on holds for as long as it does.
#[derive(Debug)]
pub struct Stay {
    /// Its place on the list of what is ended with its pass.
    seat: Option<Seat>,
    /// Its place among the streams of its client.
    _lease: Option<Lease>,
}

impl Stay {
    /// Without a seat where no pass is ever over.
    pub fn new(seat: Option<Seat>, lease: Option<Lease>) -> Self {
        Self { seat, _lease: lease }
    }

    /// Why it is to end; pending while it may go on. Asked in one task at a time.
    pub fn poll_ended(&self, cx: &Context<'_>) -> Poll<Refusal> {
        self.seat.as_ref().map_or(Poll::Pending, |seat| seat.poll_ended(cx))
    }
}

/// The body.
#[derive(Debug)]
pub struct Watched {
    body: Body,
    stay: Stay,
    /// The format has a word for its end.
    is_events: bool,
    is_over: bool,
}

/// In an answer whose connection somebody else takes over: where its stay goes along.
#[derive(Debug, Clone, Default)]
pub struct StayPlace(Arc<Mutex<Option<Stay>>>);

impl StayPlace {
    /// Leaves it there.
    pub fn put(&self, stay: Stay) {
        *lock(&self.0) = Some(stay);
    }

    /// Takes it along, if there is one.
    pub fn take(&self) -> Option<Stay> {
        lock(&self.0).take()
    }
}

/// Whether an answer, or what comes after it on the connection, goes on for so long that its pass may end
/// before it does.
pub fn goes_on(response: &Response) -> bool {
    if response.extensions().get::<StayPlace>().is_some() {
        return true;
    }
    let length = http_body::Body::size_hint(response.body()).exact();
    length.is_none_or(|length| length > SHORT_BYTES)
}

/// The answer, ended when its pass is.
pub fn watch(response: Response, stay: Stay) -> Response {
    if let Some(place) = response.extensions().get::<StayPlace>() {
        place.put(stay);
        return response;
    }
    let kind = response.headers().get(CONTENT_TYPE).map(http::HeaderValue::as_bytes);
    let is_events = kind.is_some_and(|kind| kind.starts_with(b"text/event-stream"));
    response.map(|body| Body::new(Watched { body, stay, is_events, is_over: false }))
}

/// Why a stream ends with its pass, for programs and for people.
pub fn last_words(refusal: Refusal) -> (&'static str, String) {
    let code = match refusal {
        Refusal::Expired => "token_expired",
        _ => "access_revoked",
    };
    (code, format!("what you were let in by is over: {refusal}"))
}

/// The event that says why.
pub fn last_word(refusal: Refusal) -> Event {
    let (code, message) = last_words(refusal);
    let told = json!({ "code": code, "message": message });
    sse::event("error", None, told.to_string().as_bytes())
}

impl http_body::Body for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        let Poll::Ready(refusal) = self.stay.poll_ended(cx) else {
            return Pin::new(&mut self.body).poll_frame(cx);
        };
        self.is_over = true;
        Poll::Ready(Some(if self.is_events {
            Ok(Frame::data(last_word(refusal).bytes()))
        } else {
            // Its length, or its end, was promised: an answer that breaks off is how HTTP says otherwise.
            Err(axum::Error::new(std::io::Error::other("what the listener was let in by is over")))
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.is_over || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

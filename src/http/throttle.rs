//! The body of an answer whose bytes leave at a limited rate. It is cut into pieces; each is counted for all
//! whom the limit is about, so that what they fetch at the same time shares the rate, and waits for its turn.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::keys::{Limiter, Parties};

/// Pieces in a second: no pause is long enough to look like a connection that died.
const PIECES_PER_S: u32 = 8;
/// Shortest piece: one packet.
const LEAST_BYTES: u32 = 1024;
/// Longest piece.
const MOST_BYTES: u32 = 256 * 1024;

/// The body.
pub struct Throttled {
    body: Body,
    limiter: Arc<Limiter>,
    by: Parties,
    piece_bytes: usize,
    /// Not counted yet.
    rest: Bytes,
    /// Counted, and waiting for its turn.
    waiting: Option<(Bytes, Pin<Box<Sleep>>)>,
}

impl Throttled {
    /// Counted for these, the slowest of whom may be sent so much.
    pub fn new(body: Body, limiter: Arc<Limiter>, by: Parties, bytes_per_s: u32) -> Self {
        let piece_bytes = (bytes_per_s / PIECES_PER_S).clamp(LEAST_BYTES, MOST_BYTES) as usize;
        Self { body, limiter, by, piece_bytes, rest: Bytes::new(), waiting: None }
    }

    /// Counts the next piece: it can go, or waits.
    fn next_piece(&mut self) -> Option<Bytes> {
        let piece = self.rest.split_to(self.piece_bytes.min(self.rest.len()));
        let wait = self.limiter.send(&self.by, piece.len() as u64);
        if wait.is_zero() {
            return Some(piece);
        }
        self.waiting = Some((piece, Box::pin(sleep_until(Instant::now() + wait))));
        None
    }

    /// Bytes that the inner body has given and that have not left.
    fn held(&self) -> u64 {
        let waiting = self.waiting.as_ref().map_or(0, |(piece, _)| piece.len());
        (self.rest.len() + waiting) as u64
    }
}

impl http_body::Body for Throttled {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        loop {
            if let Some((_, turn)) = &mut self.waiting {
                ready!(turn.as_mut().poll(cx));
                let piece = self.waiting.take().map(|(piece, _)| Ok(Frame::data(piece)));
                return Poll::Ready(piece);
            }
            if !self.rest.is_empty() {
                if let Some(piece) = self.next_piece() {
                    return Poll::Ready(Some(Ok(Frame::data(piece))));
                }
                continue;
            }
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(bytes) if bytes.is_empty() => {}
                    Ok(bytes) => self.rest = bytes,
                    Err(other) => return Poll::Ready(Some(Ok(other))),
                },
                end => return Poll::Ready(end),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.held() == 0 && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let inner = self.body.size_hint();
        let mut hint = SizeHint::new();
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper + self.held());
        }
        hint.set_lower(inner.lower() + self.held());
        hint
    }
}

#[cfg(test)]
mod tests {
    use http_body::Body as _;
    use http_body_util::BodyExt;

    use super::*;
    use crate::access::{Limits, Quota};

    fn limiter(bytes_per_s: u32) -> Arc<Limiter> {
        let address = Quota { bytes_per_s, ..Limits::default().address };
        Arc::new(Limiter::new(Limits { burst_s: 1, address, ..Limits::default() }))
    }

    fn throttled(limiter: &Arc<Limiter>, bytes: &'static [u8]) -> Throttled {
        let by = limiter.address("192.0.2.7".parse().expect("address"));
        let rate = limiter.bytes_per_s(&by).expect("limited");
        Throttled::new(Body::from(bytes), limiter.clone(), by, rate)
    }

    static BYTES: [u8; 40_000] = {
        let mut bytes = [0; 40_000];
        let mut at = 0;
        while at < bytes.len() {
            bytes[at] = (at % 251) as u8;
            at += 1;
        }
        bytes
    };

    #[tokio::test]
    async fn all_bytes_leave_in_order_and_two_answers_share_the_rate() {
        let limiter = limiter(100_000);
        let (one, other) = (throttled(&limiter, &BYTES), throttled(&limiter, &BYTES));
        assert_eq!(one.size_hint().exact(), Some(40_000));
        let began = Instant::now();
        // 80 kB fit into the first second's worth; the next 80 kB come 60 kB too early, at 100 kB/s.
        let (one, other) = tokio::join!(one.collect(), other.collect());
        assert_eq!(one.expect("whole").to_bytes(), &BYTES[..]);
        assert_eq!(other.expect("whole").to_bytes(), &BYTES[..]);
        let again = throttled(&limiter, &BYTES);
        let last = throttled(&limiter, &BYTES);
        let (again, last) = tokio::join!(again.collect(), last.collect());
        assert_eq!(again.expect("whole").to_bytes().len() + last.expect("whole").to_bytes().len(), 80_000);
        assert!(began.elapsed().as_millis() >= 550, "{:?}", began.elapsed());
    }

    #[tokio::test]
    async fn a_body_without_bytes_ends_at_once() {
        let limiter = limiter(1);
        let body = throttled(&limiter, b"");
        assert!(body.is_end_stream());
        assert!(body.collect().await.expect("whole").to_bytes().is_empty());
    }
}

//! One conversation: hello, then one request after the other until the peer hangs up, says too much, or
//! says nothing for too long. In here is also the judgement whether the peer may call a method.
//!
//! A request is answered before the next is read, so a peer that asks faster than it listens waits for
//! itself.

use std::sync::Arc;

use serde::Deserialize;
use talas_wire::{Hello, MAX_LINE_BYTES, PROTO, Request, code};
use tokio::time::{Instant, timeout_at};

use super::Shared;
use super::answer::{Params, answer, code_of};
use super::lines::{Flow, Lines, Turn};
use super::methods::{self, Method};
use super::peer::Peer;
use super::watch::{Topic, watch};
use crate::access::{self, Pass, Place, Rule};
use crate::tools::stop::Stop;
use crate::tools::tally::Tally;

/// Said to whoever is connected when the daemon stops.
pub const STOPPING: &str = "the daemon is stopping";

/// Refused calls are told as one line a second.
static DENIED: Tally = Tally::new();

/// A conversation.
#[derive(Debug)]
pub struct Talk {
    pub peer: Peer,
    pub lines: Lines,
    pub shared: Arc<Shared>,
    pub stop: Stop,
}

/// Why there is no result: code and message.
type Refusal = (&'static str, String);

impl Talk {
    /// Talks until the end.
    pub async fn run(mut self) {
        // However it ended, the peer was told, as far as it listens.
        let _ = self.converse().await;
    }

    async fn converse(&mut self) -> Flow {
        let hello = Hello {
            hello: "talasd".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            proto: PROTO,
            level: self.peer.level,
        };
        self.lines.greet(&hello).await?;
        let mut patience = Instant::now() + self.shared.limits.idle;
        loop {
            match self.next(patience).await? {
                // Not a request: a seat cannot be held by empty lines.
                Turn::Line(line) if line.trim_ascii().is_empty() => {}
                Turn::Line(line) => {
                    self.turn(&line).await?;
                    patience = Instant::now() + self.shared.limits.idle;
                }
                Turn::TooLong => {
                    let message = format!("a line may have {MAX_LINE_BYTES} bytes; the connection is closed");
                    self.lines.refuse(0, code::TOO_LONG, &message).await?;
                    return Flow::Break(());
                }
                Turn::End => return Flow::Break(()),
            }
            // Whoever asks without a pause waits for its turn like everybody else.
            tokio::task::yield_now().await;
        }
    }

    /// What the peer says next; breaks off when it says nothing for too long, or the daemon stops.
    async fn next(&mut self, patience: Instant) -> Flow<Turn> {
        let (code, reason) = tokio::select! {
            biased;
            () = self.stop.stopped() => (code::UNAVAILABLE, STOPPING.to_owned()),
            turn = timeout_at(patience, self.lines.next()) => match turn {
                Ok(turn) => return Flow::Continue(turn),
                Err(_) => {
                    let seconds = self.shared.limits.idle.as_secs();
                    (code::BUSY, format!("nothing was asked for {seconds} s; the connection is closed"))
                }
            },
        };
        self.lines.refuse(0, code, &reason).await?;
        Flow::Break(())
    }

    /// Answers one line.
    async fn turn(&mut self, line: &[u8]) -> Flow {
        let request = match read(line) {
            Ok(request) => request,
            Err((id, reason)) => return self.lines.refuse(id, code::BAD_REQUEST, &reason).await,
        };
        let Request { id, params, more, .. } = request;
        let (method, topic) = match self.judge(&request.method, more) {
            Ok(judged) => judged,
            Err((code, reason)) => return self.lines.refuse(id, code, &reason).await,
        };
        let params = Params::new(method, params);
        let answered = match topic {
            Some(topic) => match params.none() {
                Ok(()) => return watch(&self.shared, topic, id, &mut self.lines, &self.stop).await,
                Err(error) => Err(error),
            },
            None => answer(&self.shared, &params, self.peer.level).await,
        };
        match answered {
            Ok(result) => {
                self.record(method);
                self.lines.answer(id, result, false).await
            }
            Err(error) => self.lines.refuse(id, code_of(error.kind()), &error.chain()).await,
        }
    }

    /// The method asked for, if this peer may call it so, and what the watch is about if it is one.
    fn judge(&self, name: &str, more: bool) -> Result<(&'static Method, Option<Topic>), Refusal> {
        let Some(method) = methods::find(name) else {
            return Err((code::NO_SUCH_METHOD, format!("there is no method {name:?}")));
        };
        let rule = method.rule();
        let pass = Pass::of_level(self.peer.level);
        if let Err(denial) = access::decide(rule, &pass, Place::default(), &mut |_| {}) {
            self.record_denied(method);
            let reason = match rule.map(access::least_level) {
                Some(needed) => {
                    let (own, needed) = (self.peer.level.as_str(), needed.as_str());
                    format!("{} needs level {needed}, and yours is {own}", method.name)
                }
                None => denial.to_string(),
            };
            return Err((code::DENIED, reason));
        }
        let topic = Topic::of(method.call).filter(|_| more);
        if more && topic.is_none() {
            return Err((code::BAD_REQUEST, format!("{} cannot be watched: leave out more", method.name)));
        }
        Ok((method, topic))
    }

    /// Who changed something can be read in the journal.
    fn record(&self, method: &Method) {
        if method.rule().is_none_or(Rule::checks_origin) {
            let (method, Peer { uid, pid, .. }) = (method.name, self.peer);
            tracing::info!(event = "control_change", method, uid, pid, "changed over the control socket");
        }
    }

    fn record_denied(&self, method: &Method) {
        if let Some(count) = DENIED.hit() {
            let (method, Peer { uid, pid, .. }) = (method.name, self.peer);
            tracing::info!(
                event = "control_denied",
                method,
                uid,
                pid,
                count,
                "a peer asked for more than it may"
            );
        }
    }
}

/// The request on a line; else its id as far as it can be read, and what is wrong.
fn read(line: &[u8]) -> Result<Request, (u64, String)> {
    #[derive(Deserialize)]
    struct OnlyId {
        id: u64,
    }
    // A derived reader would take an array for an object whose names were left out.
    if !line.trim_ascii_start().starts_with(b"{") {
        return Err((0, "not a request: a line is one JSON object".to_owned()));
    }
    serde_json::from_slice(line).map_err(|error| {
        let id = serde_json::from_slice(line).map_or(0, |OnlyId { id }| id);
        (id, format!("not a request: {error}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::fuzz::fuzz;

    #[test]
    fn a_line_that_is_no_request_is_told_what_is_wrong_with_it() {
        for (line, id, word) in [
            (&br#"{"id":7,"method":"status","extra":1}"#[..], 7, "unknown field `extra`"),
            (br#"{"id":7,"method":8}"#, 7, "expected a string"),
            (br#"{"id":7}"#, 7, "missing field `method`"),
            (br#"{"id":-7,"method":"status"}"#, 0, "-7"),
            (br#"{"method":"status"}"#, 0, "missing field `id`"),
            (br#"{"id":7,"id":8,"method":"status"}"#, 0, "duplicate field `id`"),
            (br#"{"id":7,"method":"status"} {}"#, 0, "trailing characters"),
            (br#"[7,"status"]"#, 0, "one JSON object"),
            (b"\xff\xfe\x00", 0, "one JSON object"),
            (b"{\"id\":7,\"method\":\"\xff\"}", 7, "unicode"),
            (b"GET / HTTP/1.1", 0, "one JSON object"),
        ] {
            let (told, reason) = read(line).expect_err("no request");
            assert_eq!(told, id, "{reason}");
            assert!(reason.contains(word), "{reason}");
        }
        let deep = [b"{\"id\":1,\"method\":\"x\",\"params\":".as_slice(), &b"[".repeat(60_000)].concat();
        assert!(read(&deep).expect_err("too deep").1.contains("recursion"));
    }

    #[test]
    fn fuzz_control_line() {
        const SEEDS: &[&str] = &[
            r#"{"id":1,"method":"status"}"#,
            r#"{"id":2,"method":"quality.set","params":{"scale":0.5}}"#,
            r#"{"id":3,"method":"token.mint","params":{"sub":"ada","roles":["listener"],"for_s":60,"paths":["/x*"]}}"#,
            r#"{"id":18446744073709551615,"method":"meters","more":true}"#,
        ];
        const WORDS: &[&str] = &[
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            "\"",
            "\\u0000",
            "\\ud800",
            "null",
            "true",
            "-1",
            "1e999",
            "\"id\":1,",
            "\"params\":{}",
        ];
        fuzz(SEEDS, WORDS, |line| match read(line) {
            Ok(request) => {
                let written = serde_json::to_vec(&request).expect("written");
                let again = read(&written).expect("what was read reads back");
                assert_eq!(serde_json::to_vec(&again).expect("written"), written);
            }
            Err((_, reason)) => {
                assert!(!reason.is_empty() && reason.len() <= 2 * line.len() + 200, "{reason}")
            }
        });
    }
}

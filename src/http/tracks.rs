//! `GET /tracks`: the library in pages.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use serde::Serialize;

use super::reply::{self, Problem};
use super::site::Site;
use crate::library::{Place, Track};

/// Tracks of a page unless asked otherwise.
const LIMIT: usize = 100;
/// Most tracks of a page.
const MOST: usize = 1000;

#[derive(Serialize)]
struct Page<'a> {
    tracks: Vec<Entry<'a>>,
    /// What `after` is for the next page; `null` on the last.
    next: Option<String>,
    total: usize,
}

#[derive(Serialize)]
struct Entry<'a> {
    id: String,
    title: std::borrow::Cow<'a, str>,
    name: std::borrow::Cow<'a, str>,
    path: std::borrow::Cow<'a, str>,
    size_bytes: u64,
    modified_ms: i64,
    mime: &'static str,
}

impl<'a> Entry<'a> {
    fn new(track: &'a Track) -> Self {
        Self {
            id: track.id.to_string(),
            title: track.title(),
            name: track.name(),
            path: track.path.to_string_lossy(),
            size_bytes: track.size_bytes,
            modified_ms: track.modified_ms,
            mime: track.media_type,
        }
    }
}

/// Answers a page.
pub async fn list(State(site): State<Arc<Site>>, request: Request) -> Result<Response, Problem> {
    let query = Query::read(request.uri().query().unwrap_or(""))?;
    let listing = site.library.listing().await;
    let (tracks, next) = listing.page(query.after.as_ref(), query.limit);
    Ok(reply::json(&Page {
        tracks: tracks.iter().map(|track| Entry::new(track)).collect(),
        next: next.map(|place| place.to_token()),
        total: listing.total(),
    }))
}

#[derive(Debug, PartialEq)]
struct Query {
    after: Option<Place>,
    limit: usize,
}

impl Query {
    fn read(query: &str) -> Result<Self, Problem> {
        let (mut after, mut limit) = (None, None);
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let is_first = match name.as_ref() {
                "after" => after.replace(place(&value)?).is_none(),
                "limit" => limit.replace(count(&value)?).is_none(),
                _ => true,
            };
            if !is_first {
                return Err(Problem::bad_request("invalid_query", format!("{name} is given twice")));
            }
        }
        Ok(Self { after, limit: limit.unwrap_or(LIMIT) })
    }
}

fn place(value: &str) -> Result<Place, Problem> {
    Place::from_token(value)
        .ok_or_else(|| Problem::bad_request("invalid_query", "after is what `next` of another page says"))
}

fn count(value: &str) -> Result<usize, Problem> {
    value
        .parse()
        .ok()
        .filter(|limit| (1..=MOST).contains(limit))
        .ok_or_else(|| Problem::bad_request("invalid_query", format!("limit is a number from 1 to {MOST}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nonsense_is_told() {
        for query in [
            "limit=0",
            "limit=1001",
            "limit=-1",
            "limit=",
            "limit=1&limit=1",
            "after=",
            "after=..",
            "after=AAAA",
        ] {
            let problem = Query::read(query).expect_err(query);
            assert_eq!(problem.status, http::StatusCode::BAD_REQUEST);
        }
        let read = Query::read("limit=7&other=x").expect("valid");
        assert_eq!(read, Query { after: None, limit: 7 });
    }
}

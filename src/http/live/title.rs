//! `/api/audio/title`: what is playing.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use serde::{Deserialize, Serialize};

use crate::http::reply::{self, Problem};
use crate::http::site::{Site, read_json};

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Title {
    title: String,
}

/// `POST`: the sound that is captured from now on has this title.
pub async fn set(State(site): State<Arc<Site>>, request: Request) -> Result<Response, Problem> {
    let Title { title } = read_json(&site, request, "a title").await?;
    site.station.live().set_title(&title)?;
    Ok(show(State(site)).await)
}

/// `GET`: the title of the sound that is captured now; empty for none.
pub async fn show(State(site): State<Arc<Site>>) -> Response {
    reply::json(&Title { title: site.station.live().title() })
}

//! `GET /api/audio/live`: low-latency sound over WebSocket.
//!
//! In here: what may be asked for, and the conversation. Not in here: how packets are made
//! (`station::packets`), their header (`mux::packet`), and the handshake (`http::websocket`).

mod place;
mod query;
mod session;
mod words;

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;

use super::heir::{Sequel, Upgrade};
use super::reply::Problem;
use super::site::{Peer, Site, arrive, no_peer};
use super::watched::StayPlace;
use super::websocket::Handshake;
use crate::station::{Reset, Stream};
use session::Session;

/// Bytes that the kernel may hold unsent for a listener: half a second of a usual stream. One who is slow is
/// to be known by what the rendition keeps, not by what the kernel swallows.
const UNSENT_BYTES: u32 = 16 * 1024;

/// Upgrades the connection; what is said then is the session's.
pub async fn open(State(site): State<Arc<Site>>, mut request: Request) -> Result<Response, Problem> {
    let form = query::form(request.uri().query().unwrap_or(""))?;
    let handshake = Handshake::of(&mut request)?;
    let peer = request.extensions().get::<Peer>().cloned().ok_or_else(no_peer)?;
    let meter = peer.meter.clone();
    let registered = arrive(&site, &request, Stream::Packets, Reset::new(move || meter.kick()))?;
    let subscription = site.station.subscribe_packets(form)?;
    let mut response = handshake.answer();
    // What the listener was let in by is put there on the answer's way out.
    let stay = StayPlace::default();
    response.extensions_mut().insert(stay.clone());
    let heartbeat = site.settings.load().sse_heartbeat;
    let (station, in_flight) = (site.station.clone(), peer.meter.begin_request());
    let task = async move {
        let Some(socket) = handshake.socket().await else { return };
        Session::new(station, form, subscription, registered, stay.take()).run(socket, heartbeat).await;
        drop(in_flight);
    };
    let sequel = Sequel { unsent_bytes: UNSENT_BYTES, task: Box::pin(task) };
    response.extensions_mut().insert(Upgrade::to(sequel));
    Ok(response)
}

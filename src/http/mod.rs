//! The HTTP door: an accept loop of its own on hyper, so that it can take inherited sockets, know each
//! connection's I/O and end it in order; axum routes behind it.
//!
//! In here: accepting, deadlines, the guards, the routes. What a route needs is a row of `access`, and
//! `permit` asks before each; how much may be asked is in `limit`. Not in here: what the answers say,
//! which the station gathers.

mod client;
mod compress;
mod counted;
mod extra;
mod families;
mod fate;
mod feed;
mod file_body;
mod files;
mod guard;
mod headers;
mod heir;
mod limit;
mod line;
mod listeners;
mod live;
mod live_socket;
mod metrics;
mod pacing;
mod page;
mod passage;
mod permit;
mod place;
mod promise;
mod query;
mod range;
mod repeat;
mod reply;
mod routes;
mod serve;
pub mod settings;
mod site;
mod socket;
mod sound_metrics;
mod stream;
mod throttle;
mod tls;
mod tracks;
mod validators;
mod watched;
mod websocket;
mod wire;

pub use listeners::{Listeners, addresses};
pub use serve::{Door, Handle};
pub use settings::Settings;

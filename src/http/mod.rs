//! The HTTP door: an accept loop of its own on hyper, so that it can take inherited sockets, know each
//! connection's I/O and end it in order; axum routes behind it.
//!
//! In here: accepting, deadlines, the guards, the routes. What a route needs is a row of `access`, and
//! `permit` asks before each; how much may be asked is in `limit`. Not in here: what the answers say,
//! which the station gathers.

mod client;
mod compress;
mod extra;
mod families;
mod feed;
mod file_body;
mod files;
mod guard;
mod heir;
mod limit;
mod line;
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
mod sound_metrics;
mod stream;
mod throttle;
mod tracks;
mod validators;
mod watched;
mod websocket;
mod wire;

pub use serve::{Door, Handle};
pub use settings::Settings;

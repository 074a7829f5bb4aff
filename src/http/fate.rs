//! What befalls a connection from this side while it is served: the daemon's end, a kick, a deadline, an heir.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::{BoxStream, SelectAll, once, select_all};

use super::site::Site;
use super::wire::Meter;
use crate::tools::clock;
use crate::tools::stop::Stop;

/// How long a client may take for the head of its first request, and of each later one once begun.
pub const HEAD_DEADLINE: Duration = Duration::from_secs(10);
/// How long a connection may stay open between requests.
const IDLE_DEADLINE: Duration = Duration::from_secs(75);
/// How often a connection's clock is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// What befalls a connection from this side.
pub enum Turn {
    /// The daemon stops.
    Stop,
    /// It is to be reset, for this reason.
    Reset(&'static str),
    /// Its heir can have it.
    Freed,
}

/// What will befall a connection. It is a stream so that it is polled when it is woken itself, and not with
/// every block that the connection sends.
pub fn fate<'a>(stop: &'a Stop, site: &'a Site, meter: &'a Meter) -> SelectAll<BoxStream<'a, Turn>> {
    let stop = once(stop.stopped()).map(|()| Turn::Stop);
    let reset = once(reset(site, meter)).map(Turn::Reset);
    let freed = once(meter.freed()).map(|()| Turn::Freed);
    select_all([stop.boxed(), reset.boxed(), freed.boxed()])
}

/// Resolves with the reason when a connection is to be reset.
async fn reset(site: &Site, meter: &Meter) -> &'static str {
    let mut look = tokio::time::interval(LOOK);
    loop {
        tokio::select! {
            () = meter.kicked() => return "kicked",
            _ = look.tick() => {
                let stale_after = site.settings.load().stale_after;
                if let Some(reason) = overdue(meter, stale_after) {
                    return reason;
                }
            }
        }
    }
}

fn overdue(meter: &Meter, stale_after: Duration) -> Option<&'static str> {
    let now_ns = clock::mono_ns();
    if meter.stuck_for(now_ns) > stale_after {
        return Some("the peer takes nothing");
    }
    // Not since its last byte: one byte at a time would last for ever.
    if !meter.spoke() && meter.age(now_ns) > HEAD_DEADLINE {
        return Some("the peer asks for nothing");
    }
    (meter.idle_for(now_ns) > IDLE_DEADLINE).then_some("the peer says nothing")
}

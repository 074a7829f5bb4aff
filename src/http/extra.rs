//! Events that a stream carries on request: `meters` and `quality`.

use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::{Stream, StreamExt};
use tokio_stream::wrappers::WatchStream;

use crate::mux::sse::{self, Event};
use crate::station::{Levels, Scale, Station, meters};

/// Which of them a listener asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Levels of every channel, ten times a second.
    pub meters: bool,
    /// Changes of the global quality.
    pub quality: bool,
}

/// The events that were asked for.
pub struct Extra {
    station: Arc<Station>,
    meters: Option<WatchStream<Levels>>,
    quality: Option<WatchStream<Scale>>,
}

impl Extra {
    /// Those that are wanted, from now on; a `quality` event comes at once.
    pub fn new(station: &Arc<Station>, wanted: Wanted) -> Self {
        Self {
            station: station.clone(),
            meters: wanted.meters.then(|| WatchStream::from_changes(station.watch_meters())),
            quality: wanted.quality.then(|| WatchStream::new(station.watch_quality())),
        }
    }

    /// The next event. Of several that came while nobody asked, the newest.
    pub fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        if let Poll::Ready(Some(_)) = poll(self.quality.as_mut(), cx) {
            return Poll::Ready(event("quality", &self.station.quality()));
        }
        if let Poll::Ready(Some(levels)) = poll(self.meters.as_mut(), cx) {
            return Poll::Ready(event("meters", &meters(&levels)));
        }
        Poll::Pending
    }
}

fn poll<T: Clone + Send + Sync + 'static>(
    stream: Option<&mut WatchStream<T>>,
    cx: &mut Context<'_>,
) -> Poll<Option<T>>
where
    WatchStream<T>: Stream<Item = T> + Unpin,
{
    stream.map_or(Poll::Pending, |stream| stream.poll_next_unpin(cx))
}

fn event(name: &str, data: &impl serde::Serialize) -> Event {
    sse::event(name, None, &serde_json::to_vec(data).unwrap_or_default())
}

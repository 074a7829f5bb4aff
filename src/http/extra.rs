//! Events that a stream carries on request: `meters`, `quality` with `audio-quality`, and `spectrum`.

use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::{Stream, StreamExt};
use tokio_stream::wrappers::WatchStream;

use crate::mux::sse::{self, Event};
use crate::station::{Heard, Scale, Station, meters, spectrogram_column};

/// Which of them a listener asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Levels of every channel, ten times a second.
    pub meters: bool,
    /// Changes of the global quality; and what is measured of the sound, once a second and whenever a
    /// condition begins or ends.
    pub quality: bool,
    /// Columns of the spectrogram, ten times a second.
    pub spectrum: bool,
}

/// The events that were asked for.
pub struct Extra {
    station: Arc<Station>,
    meters: Option<WatchStream<Arc<Heard>>>,
    quality: Option<WatchStream<Scale>>,
    audio_quality: Option<WatchStream<Arc<Heard>>>,
    spectrum: Option<WatchStream<Arc<Heard>>>,
}

impl Extra {
    /// Those that are wanted, from now on; a `quality` event comes at once.
    pub fn new(station: &Arc<Station>, wanted: Wanted) -> Self {
        Self {
            station: station.clone(),
            meters: wanted.meters.then(|| WatchStream::from_changes(station.watch_meters())),
            quality: wanted.quality.then(|| WatchStream::new(station.watch_quality())),
            audio_quality: wanted.quality.then(|| WatchStream::from_changes(station.watch_heard())),
            spectrum: wanted.spectrum.then(|| WatchStream::from_changes(station.watch_meters())),
        }
    }

    /// The next event. Of several that came while nobody asked, the newest.
    pub fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        if let Poll::Ready(Some(_)) = poll(self.quality.as_mut(), cx) {
            return Poll::Ready(event("quality", &self.station.quality()));
        }
        if let Poll::Ready(Some(heard)) = poll(self.audio_quality.as_mut(), cx) {
            return Poll::Ready(event("audio-quality", &self.station.quality_of(&heard)));
        }
        if let Poll::Ready(Some(heard)) = poll(self.meters.as_mut(), cx) {
            return Poll::Ready(event("meters", &meters(&heard)));
        }
        while let Poll::Ready(Some(heard)) = poll(self.spectrum.as_mut(), cx) {
            if let Some(column) = spectrogram_column(&heard) {
                return Poll::Ready(event("spectrum", &column));
            }
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

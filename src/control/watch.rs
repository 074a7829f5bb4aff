//! Watches: a snapshot first, then a line for each change, until the peer says anything.
//!
//! News is made once for all that watch the same, and only while somebody does. A reader slower than
//! the news gets the newest and is told how much it missed; nothing is queued for it.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use talas_wire::{Status, code};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::Shared;
use super::answer::{code_of, json};
use super::lines::{Flow, Lines};
use super::methods::Call;
use super::talk::STOPPING;
use crate::error::Result;
use crate::station::{Station, meters};
use crate::tools::stop::Stop;

/// How often the status is looked at: changes within this time become one.
const LOOK: Duration = Duration::from_millis(200);
/// After so many looks the figures that always run are told, too.
const LOOKS_FOR_FIGURES: u32 = 5;

/// What can be watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic {
    Status,
    Meters,
}

impl Topic {
    /// What the watch of a call is about, if it can be watched.
    pub fn of(call: Call) -> Option<Self> {
        match call {
            Call::Status => Some(Self::Status),
            Call::Meters => Some(Self::Meters),
            _ => None,
        }
    }

    fn now(self, station: &Station) -> Result<Value> {
        match self {
            Self::Status => json(&station.status()),
            Self::Meters => json(&station.meters()),
        }
    }
}

/// Watches until the peer says anything, hangs up, or the daemon stops. What the peer says is only the
/// sign to end: it is not read as a request. The last reply tells how things stand then.
pub async fn watch(shared: &Shared, topic: Topic, id: u64, lines: &mut Lines, stop: &Stop) -> Flow {
    // The place in the feed comes before the snapshot, so that nothing falls between them.
    let mut watcher = shared.feeds.feed(topic).watch();
    snapshot(shared, topic, id, lines, true).await?;
    loop {
        tokio::select! {
            biased;
            () = stop.stopped() => {
                lines.refuse(id, code::UNAVAILABLE, STOPPING).await?;
                return Flow::Break(());
            }
            // Whatever it was; a line that is too long will be told so by the conversation.
            _ = lines.next() => return snapshot(shared, topic, id, lines, false).await,
            (missed, value) = watcher.next() => {
                if missed > 0 {
                    lines.answer(id, json!({ "lagged": missed }), true).await?;
                }
                lines.answer(id, Value::clone(&value), true).await?;
            }
        }
    }
}

async fn snapshot(shared: &Shared, topic: Topic, id: u64, lines: &mut Lines, more: bool) -> Flow {
    match topic.now(&shared.station) {
        Ok(value) => lines.answer(id, value, more).await,
        Err(error) => {
            lines.refuse(id, code_of(error.kind()), &error.chain()).await?;
            Flow::Break(())
        }
    }
}

/// Everything that can be watched.
#[derive(Debug, Default)]
pub struct Feeds {
    status: Feed,
    meters: Feed,
}

impl Feeds {
    /// The feed of a topic.
    pub fn feed(&self, topic: Topic) -> &Feed {
        match topic {
            Topic::Status => &self.status,
            Topic::Meters => &self.meters,
        }
    }

    /// Makes the news while somebody watches; never ends by itself.
    pub async fn run(&self, station: &Station) {
        tokio::join!(
            self.status.run(|| follow_status(station, &self.status)),
            self.meters.run(|| follow_meters(station, &self.meters)),
        );
    }
}

#[derive(Debug, Default)]
struct News {
    /// How many there have been.
    number: u64,
    value: Arc<Value>,
}

/// The news of one topic.
#[derive(Debug, Default)]
pub struct Feed {
    newest: watch::Sender<News>,
    wanted: Notify,
}

impl Feed {
    /// Follows what there is to tell whenever, and only while, somebody watches.
    async fn run<F: Future<Output = ()>>(&self, follow: impl Fn() -> F) {
        loop {
            self.wanted.notified().await;
            tokio::select! {
                () = self.newest.closed() => {}
                () = follow() => {}
            }
        }
    }

    /// Tells everybody who watches.
    pub fn publish(&self, value: Value) {
        self.newest.send_modify(|news| {
            news.number += 1;
            news.value = Arc::new(value);
        });
    }

    fn watch(&self) -> Watcher {
        let mut news = self.newest.subscribe();
        let seen = news.borrow_and_update().number;
        self.wanted.notify_one();
        Watcher { news, seen }
    }
}

/// A place in a feed.
#[derive(Debug)]
struct Watcher {
    news: watch::Receiver<News>,
    seen: u64,
}

impl Watcher {
    /// The newest that was not seen yet, and how many before it were missed.
    async fn next(&mut self) -> (u64, Arc<Value>) {
        if self.news.changed().await.is_err() {
            // Cannot be: the feeds outlive every conversation.
            return std::future::pending().await;
        }
        let news = self.news.borrow_and_update();
        let missed = (news.number - self.seen).saturating_sub(1);
        self.seen = news.number;
        (missed, news.value.clone())
    }
}

async fn follow_status(station: &Station, feed: &Feed) {
    let mut looks = interval_at(Instant::now() + LOOK, LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut told = Told::default();
    loop {
        looks.tick().await;
        let status = station.status();
        if told.is_news(&status)
            && let Ok(value) = json(&status)
        {
            feed.publish(value);
        }
    }
}

async fn follow_meters(station: &Station, feed: &Feed) {
    let mut levels = station.watch_meters();
    while levels.changed().await.is_ok() {
        let value = json(&meters(&levels.borrow_and_update()));
        if let Ok(value) = value {
            feed.publish(value);
        }
    }
}

/// What was told last, to know what is new.
#[derive(Debug, Default)]
struct Told {
    status: Option<Status>,
    looks: u32,
}

impl Told {
    /// Whether this is worth a line: at once when something happened, now and then when only figures ran.
    fn is_news(&mut self, status: &Status) -> bool {
        self.looks += 1;
        let is_news = match &self.status {
            None => true,
            Some(told) if self.looks >= LOOKS_FOR_FIGURES => told != status,
            Some(told) => without_figures(told) != without_figures(status),
        };
        if is_news {
            self.status = Some(status.clone());
            self.looks = 0;
        }
        is_news
    }
}

/// A status without the figures that run while nothing happens.
fn without_figures(status: &Status) -> Status {
    let mut status = status.clone();
    status.uptime_seconds = 0;
    status.disk.free_bytes = None;
    let capture = &mut status.capture;
    capture.captured_samples = 0;
    capture.lost_samples = 0;
    capture.filler_samples = 0;
    capture.nonfinite_samples = 0;
    capture.drift_ppm = None;
    capture.ring_peak = 0.0;
    for rendition in &mut status.renditions {
        rendition.entries = 0;
        rendition.bytes = 0;
    }
    for push in &mut status.pushes {
        push.bytes = 0;
        push.failures = 0;
    }
    status
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn status(overruns: u64, captured_samples: u64) -> Status {
        serde_json::from_value(json!({
            "state": "running", "reason": null, "since_ms": 1, "version": "0", "uptime_seconds": captured_samples,
            "source": { "kind": "tone", "name": "x", "state": "running", "reason": null, "since_ms": 1 },
            "capture": {
                "sample_rate": 48000, "format": null, "channels": 2, "period_frames": 0, "buffer_frames": 0,
                "captured_samples": captured_samples, "overruns": overruns, "suspends": 0, "stalls": 0,
                "unplugs": 0, "lost_samples": 0, "ring_dropped_samples": 0, "filler_samples": 0,
                "nonfinite_samples": 0, "drift_ppm": null, "realtime": "off", "ring_peak": 0.0
            },
            "gaps": { "total": 0, "last": null },
            "renditions": [],
            "listeners": { "sse": 0, "live": 0, "websocket": 0, "http": 0 },
            "quality": { "profile": "high", "scale": 1.0 },
            "disk": { "state_dir": "/", "writable": true, "free_bytes": captured_samples },
            "warnings": []
        }))
        .expect("a status")
    }

    #[test]
    fn what_happens_is_told_at_once_and_figures_now_and_then() {
        let mut told = Told::default();
        let news: Vec<_> = (0..12).map(|n| told.is_news(&status(u64::from(n > 6), n))).collect();
        let at: Vec<_> = news.iter().enumerate().filter(|(_, news)| **news).map(|(n, _)| n).collect();
        assert_eq!(at, [0, 5, 7], "the first, the figures, the overrun; the figures again from there");
        assert!(told.is_news(&status(1, 99)));
        assert!((0..20).all(|_| !told.is_news(&status(1, 99))), "nothing changed");
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_watcher_gets_the_newest_and_the_count_of_the_rest() {
        let feed = Feed::default();
        feed.publish(json!(0));
        let mut watcher = feed.watch();
        for n in 1..=5 {
            feed.publish(json!(n));
        }
        assert_eq!(watcher.next().await, (4, Arc::new(json!(5))), "nothing from before it watched");
        feed.publish(json!(6));
        assert_eq!(watcher.next().await, (0, Arc::new(json!(6))));
    }

    #[tokio::test(start_paused = true)]
    async fn news_are_made_only_while_somebody_watches() {
        let (feed, made) = (Feed::default(), Cell::new(0));
        let follow = || async {
            loop {
                tokio::time::sleep(LOOK).await;
                made.set(made.get() + 1);
                feed.publish(json!(made.get()));
            }
        };
        let script = async {
            tokio::time::sleep(LOOK * 10).await;
            assert_eq!(made.get(), 0);
            let (mut one, mut two) = (feed.watch(), feed.watch());
            assert_eq!((one.next().await.1, two.next().await.1), (Arc::new(json!(1)), Arc::new(json!(1))));
            drop(one);
            assert_eq!(two.next().await.1, Arc::new(json!(2)));
            drop(two);
            tokio::time::sleep(LOOK * 10).await;
            assert_eq!(made.get(), 2);
            assert_eq!(feed.watch().next().await, (0, Arc::new(json!(3))));
        };
        tokio::select! {
            () = feed.run(follow) => {}
            () = script => {}
        }
    }
}

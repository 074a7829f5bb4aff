//! Listening to the programme on the pump's thread: what the analysis finds becomes figures for everybody,
//! and lines in the journal when a condition begins and ends.
//!
//! Only sound is measured: filler is a hole, a pause forgets everything, and a source that delivers
//! nothing has no conditions.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::watch;

use super::shared::Shared;
use crate::audio::Payload;
use crate::dsp::analysis::{Analyzer, Condition, Conditions, REPORTS_PER_S, Report, Settings};
use crate::tools::burst::Burst;
use crate::tools::clock;

/// How many conditions there are.
const CONDITIONS: usize = Condition::ALL.len();

/// What was heard of the programme up to a moment.
#[derive(Debug, Clone, Default)]
pub struct Heard {
    /// The moment, in milliseconds since the epoch; 0 before the first.
    pub timestamp_ms: u64,
    /// The measurements; empty while paused or without a source.
    pub report: Report,
    /// Since when each condition that holds does, in milliseconds since the epoch.
    pub since_ms: [u64; CONDITIONS],
}

/// What was heard, for observers.
#[derive(Debug)]
pub struct Hearing {
    /// Every report, ten a second.
    pub meters: watch::Sender<Arc<Heard>>,
    /// One a second, and each in which a condition began or ended.
    pub quality: watch::Sender<Arc<Heard>>,
    /// How often each condition was seen since the daemon started: times it began; each click, dropout and
    /// clipped sample.
    pub counts: [AtomicU64; CONDITIONS],
    /// Time that the pump spent on sound, and the sound that it was, in nanoseconds and frames.
    pub work: [AtomicU64; 2],
    /// `[analysis]`.
    pub settings: arc_swap::ArcSwap<Settings>,
}

impl Hearing {
    /// Nothing heard yet.
    pub fn new(settings: Settings) -> Self {
        Self {
            meters: watch::Sender::default(),
            quality: watch::Sender::default(),
            counts: Default::default(),
            work: Default::default(),
            settings: arc_swap::ArcSwap::from_pointee(settings),
        }
    }

    /// The pump spent so long on so much sound.
    pub fn worked(&self, ns: i64, frames: u64) {
        let [time, sound] = &self.work;
        time.fetch_add(ns.unsigned_abs(), Ordering::Relaxed);
        sound.fetch_add(frames, Ordering::Relaxed);
    }
}

/// The pump's ear.
pub struct Listening {
    shared: Arc<Shared>,
    analyzer: Analyzer,
    settings: Arc<Settings>,
    /// How the conditions stood last.
    known: Conditions,
    since_ms: [u64; CONDITIONS],
    lines: Burst,
}

impl Listening {
    /// An ear that heard nothing.
    pub fn new(shared: Arc<Shared>) -> Self {
        let settings = shared.hearing.settings.load_full();
        let analyzer = Analyzer::new(Settings::clone(&settings), shared.settings.sample_rate);
        let (known, since_ms) = (Conditions::default(), [0; CONDITIONS]);
        Self { shared, analyzer, settings, known, since_ms, lines: Burst::new() }
    }

    /// Once a turn: new settings, and lines that had to wait.
    pub fn turn(&mut self) {
        let settings = self.shared.hearing.settings.load();
        if !Arc::ptr_eq(&settings, &self.settings) {
            self.settings = settings.clone();
            self.analyzer.apply(&settings);
        }
        if let Some(sum) = self.lines.due(clock::mono_ns()) {
            let source = self.shared.source_name.as_str();
            tracing::warn!(
                event = "conditions_changed",
                source,
                count = sum.count,
                "conditions came and went"
            );
        }
    }

    /// Hears what goes into the programme's log.
    pub fn hear(&mut self, payload: &Payload) {
        match payload {
            Payload::Sound { samples, channels } => {
                let Self { shared, analyzer, known, since_ms, lines, .. } = self;
                analyzer.sound(samples, usize::from(*channels), |report| {
                    let changed = follow(&report.conditions, known, since_ms, (shared, lines));
                    publish(shared, report.clone(), *since_ms, changed);
                });
            }
            Payload::Filler { .. } => self.analyzer.interrupt(),
            Payload::State(_) => {}
        }
    }

    /// Forgets everything that was heard: the programme is paused.
    pub fn forget(&mut self) {
        self.analyzer.forget();
        self.nothing();
    }

    /// The source delivers nothing.
    pub fn lose_source(&mut self) {
        self.analyzer.lose_source();
        self.nothing();
    }

    fn nothing(&mut self) {
        let Self { shared, known, since_ms, lines, .. } = self;
        follow(&Conditions::default(), known, since_ms, (shared, lines));
        publish(shared, Report::default(), *since_ms, true);
    }
}

fn publish(shared: &Shared, report: Report, since_ms: [u64; CONDITIONS], is_news: bool) {
    let is_second = report.intervals.is_multiple_of(REPORTS_PER_S.into());
    let heard = Arc::new(Heard { timestamp_ms: shared.wall.now_ms(), report, since_ms });
    if is_news || is_second {
        shared.hearing.quality.send_replace(heard.clone());
    }
    shared.hearing.meters.send_replace(heard);
}

/// Takes how the conditions stand now, counts, and tells the journal what began and ended. Says whether
/// anything did.
fn follow(
    now: &Conditions,
    known: &mut Conditions,
    since_ms: &mut [u64; CONDITIONS],
    (shared, lines): (&Shared, &mut Burst),
) -> bool {
    let mut changed = false;
    for condition in Condition::ALL {
        let (before, after) = (known.of(condition), now.of(condition));
        let at = condition as usize;
        // Counts begin anew when the analysis does.
        let seen = after.count.checked_sub(before.count).unwrap_or(after.count);
        shared.hearing.counts[at].fetch_add(seen, Ordering::Relaxed);
        if before.is_on == after.is_on {
            continue;
        }
        changed = true;
        since_ms[at] = if after.is_on { shared.wall.now_ms() } else { 0 };
        if lines.happened(1, clock::mono_ns()) {
            let channels = if after.is_on { after.channels } else { before.channels };
            tell(condition, after.is_on, channels, &shared.source_name);
        }
    }
    *known = *now;
    changed
}

fn tell(condition: Condition, began: bool, channels: u64, source: &str) {
    let reason = condition.as_str();
    let channels: Vec<String> = channels_of(channels).map(|channel| channel.to_string()).collect();
    let channels = channels.join(",");
    match (began, condition.is_defect()) {
        (true, true) => {
            tracing::warn!(
                event = "condition_began",
                reason,
                channels,
                source,
                "something is wrong with the sound"
            );
        }
        (true, false) => {
            tracing::info!(event = "condition_began", reason, channels, source, "nothing is playing");
        }
        (false, _) => tracing::info!(event = "condition_ended", reason, channels, source, "it is over"),
    }
}

/// The numbers of the channels whose bits are set.
pub fn channels_of(bits: u64) -> impl Iterator<Item = u32> {
    (0..u64::BITS).filter(move |channel| bits >> channel & 1 == 1)
}

//! The admin side, on the main thread and its own runtime: signals, reload, the watchdog, the second
//! hand. It depends on none of the workers, so it answers while they are drowned.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use signal_hook::consts::signal::{SIGHUP, SIGINT, SIGTERM};
use signal_hook_tokio::Signals;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use super::reload::Reloader;
use super::{internal, notify};
use crate::audio::{State, StateMark};
use crate::control::Order;
use crate::error::Result;
use crate::station::Station;
use crate::tools::clock;

/// The second hand.
const TICK: Duration = Duration::from_secs(1);
/// A start that has heard nothing from its source for so long is ready all the same.
const READY_WITHOUT_SOUND: Duration = Duration::from_secs(2);
/// A loop that has not turned for so long is dead to the watchdog. Opening a device may block for
/// seconds; nothing else comes near.
const DEAD_AFTER: Duration = Duration::from_secs(8);

/// Runs until a signal asks to stop.
///
/// # Errors
/// Signals cannot be handled.
pub async fn run(
    station: &Arc<Station>,
    orders: &mut mpsc::Receiver<Order>,
    mut reloader: Reloader,
) -> Result<()> {
    let mut signals =
        Signals::new([SIGTERM, SIGINT, SIGHUP]).map_err(|error| internal("cannot handle signals", error))?;
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut watch = Watch::new(notify::watchdog());
    let mut seen = station.state();
    let started = Instant::now();
    let mut is_ready = false;
    loop {
        if !is_ready && (seen.state != State::Starting || started.elapsed() >= READY_WITHOUT_SOUND) {
            is_ready = true;
            tracing::info!(event = "ready", state = seen.state.as_str(), "ready");
            notify::ready(&describe(&seen));
        }
        tokio::select! {
            Some(signal) = signals.next() => match signal {
                // Nobody waits for an answer; the journal has it.
                SIGHUP => drop(reloader.reload(&describe(&seen))),
                _ => break,
            },
            Some(order) = orders.recv() => match order {
                Order::Reload { reply } => {
                    // A client that left does not need the answer.
                    let _ = reply.send(reloader.reload(&describe(&seen)));
                }
            },
            mark = station.health().changed_from(&seen) => {
                seen = mark;
                notify::status(&describe(&seen));
            }
            _ = tick.tick() => {
                station.housekeep();
                watch.look(station);
            }
        }
    }
    let handle = signals.handle();
    tokio::spawn(async move {
        // Somebody is in a hurry: a second signal means now.
        while let Some(signal) = signals.next().await {
            if signal != SIGHUP {
                tracing::warn!(event = "killed", "second signal: ending at once");
                std::process::exit(1);
            }
        }
        drop(handle);
    });
    Ok(())
}

fn describe(mark: &StateMark) -> String {
    let reason = mark.reason.as_deref().map_or_else(String::new, |reason| format!(": {reason}"));
    format!("{}{reason}", mark.state.as_str())
}

/// Watches whether every loop turns, and feeds systemd's watchdog, if there is one, while they do.
struct Watch {
    is_fed: bool,
    dead_after: Duration,
    told_dead: bool,
}

impl Watch {
    fn new(limit: Option<Duration>) -> Self {
        let dead_after = limit.map_or(DEAD_AFTER, |limit| limit.min(DEAD_AFTER));
        Self { is_fed: limit.is_some(), dead_after, told_dead: false }
    }

    /// Called once a second: often enough for any watchdog of three seconds and more.
    fn look(&mut self, station: &Station) {
        let dead_after = i64::try_from(self.dead_after.as_nanos()).unwrap_or(i64::MAX);
        let pulses = station.pulses(clock::mono_ns());
        match pulses.into_iter().find(|(_, age_ns)| *age_ns > dead_after) {
            None => {
                self.told_dead = false;
                if self.is_fed {
                    notify::alive();
                }
            }
            Some((thread, age_ns)) if !self.told_dead => {
                self.told_dead = true;
                let seconds = age_ns / clock::NS_PER_S;
                tracing::error!(event = "thread_hangs", thread, seconds, "a thread hangs");
            }
            Some(_) => {}
        }
    }
}

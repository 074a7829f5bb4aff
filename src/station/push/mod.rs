//! Feeding servers of the Icecast kind: the programme in a profile, sent to a mount point.
//!
//! In here: where to and as whom (`target`, `settings`), what is said (`request`, pure), connections (`link`),
//! when to try again and what to tell of it (`patience`, pure), the life of one push (`feeder`). Not in here:
//! encoding (`live`: a push is one of its subscribers), and the configuration.
//!
//! Each push has a thread of its own, asleep for nearly all of its time: what one server does to it, the
//! others and the station do not feel.

mod feeder;
mod figures;
mod link;
mod patience;
mod request;
mod settings;
mod target;

use std::sync::{Arc, Mutex, OnceLock};

use tokio::runtime::Builder;
use tokio::sync::Notify;

pub use settings::{CREDENTIAL, PASSWORD_BYTES, Settings};
pub use target::Target;

use super::live::{Key, Live};
use crate::error::{Context, Result};
use crate::tools::clock::WallClock;
use crate::tools::lock::lock;
use crate::tools::stop::{self, Stop, StopOwner};
use crate::tools::tasks::Crew;
use feeder::Feeder;
use figures::Figures;

/// Most servers that can be fed.
pub const MOST_PUSHES: usize = 16;

/// All pushes.
#[derive(Debug)]
pub struct Pushes {
    live: Arc<Live>,
    wall: Arc<WallClock>,
    running: Mutex<Vec<Running>>,
    /// Ends all of them.
    stop: OnceLock<Stop>,
    threads: Crew,
}

/// A push that runs until it is dropped.
#[derive(Debug)]
struct Running {
    settings: Settings,
    figures: Arc<Figures>,
    /// Ends a wait.
    now: Arc<Notify>,
    _stop: StopOwner,
}

impl Pushes {
    /// Nothing runs.
    pub fn new(live: Arc<Live>, wall: Arc<WallClock>) -> Self {
        Self { live, wall, running: Mutex::default(), stop: OnceLock::new(), threads: Crew::default() }
    }

    /// Begins with these; the stop ends whatever runs.
    ///
    /// # Errors
    /// As [`Pushes::apply`].
    pub fn open(&self, wanted: &[Settings], stop: Stop) -> Result<()> {
        // The daemon starts once.
        let _ = self.stop.set(stop);
        self.apply(wanted)
    }

    /// Runs these and no others; those that ran with the same settings go on, and at once if they wait: what
    /// they wait for may be there now.
    ///
    /// # Errors
    /// The system gives no thread or descriptor: what began runs.
    pub fn apply(&self, wanted: &[Settings]) -> Result<()> {
        let Some(stop) = self.stop.get() else { return Ok(()) };
        let mut running = lock(&self.running);
        let mut before = std::mem::take(&mut *running);
        for settings in wanted {
            let next = match before.iter().position(|old| old.settings == *settings) {
                Some(at) => {
                    before[at].now.notify_waiters();
                    before.swap_remove(at)
                }
                None => match self.start(settings, stop)? {
                    Some(started) => started,
                    None => continue,
                },
            };
            running.push(next);
        }
        Ok(())
    }

    /// Starts one; nothing where there is no address, which the configuration does not let through.
    fn start(&self, settings: &Settings, stop: &Stop) -> Result<Option<Running>> {
        let Some(target) = settings.url.clone() else { return Ok(None) };
        let rendition = Key { profile: settings.profile.as_str().into(), suffix: settings.format }.name();
        let figures = Arc::new(Figures::new(target.to_string(), rendition, self.wall.now_ms()));
        let (owner, own) = stop::pair()?;
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .context(|| "cannot start the runtime of a push".to_owned())?;
        let (live, wall) = (self.live.clone(), self.wall.clone());
        let feeder = Feeder::new(live, wall, settings.clone(), target, figures.clone());
        let (all, now) = (stop.clone(), Arc::new(Notify::new()));
        let woken = now.clone();
        self.threads.start("push", move || {
            runtime.block_on(feeder.run([own, all], &woken));
            // A name that is being looked up is not waited for.
            runtime.shutdown_background();
        })?;
        Ok(Some(Running { settings: settings.clone(), figures, now, _stop: owner }))
    }

    /// All of them, in the order of the configuration.
    pub fn list(&self) -> Vec<talas_wire::Push> {
        lock(&self.running).iter().map(|push| push.figures.read()).collect()
    }

    /// Waits for the threads to end; the stop must have been given.
    pub fn join(&self) {
        self.threads.join();
    }
}

//! The log: to the journal with fields where there is one, as text to stderr elsewhere.
//!
//! Every line is fields plus a short lowercase phrase. Field names are written without prefix in the
//! code (`event`, `connection`, `source`, `track`, `frames`, `reason`) and reach the journal as
//! `TALAS_EVENT` and so on.

use std::env;
use std::os::fd::AsFd;
use std::str::FromStr;
use std::sync::OnceLock;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt};

use crate::error::{Error, Kind, Result};

/// `[log]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The least severe level that is written.
    pub level: Verbosity,
}

impl Default for Settings {
    fn default() -> Self {
        Self { level: Verbosity::Info }
    }
}

/// How much is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verbosity {
    /// Only what failed.
    Error,
    /// And what an operator should look at.
    Warn,
    /// And what happened.
    Info,
    /// And why.
    Debug,
    /// And everything else.
    Trace,
}

impl Verbosity {
    /// Every level, by name.
    pub const ALL: [(&'static str, Self); 5] = [
        ("error", Self::Error),
        ("warn", Self::Warn),
        ("info", Self::Info),
        ("debug", Self::Debug),
        ("trace", Self::Trace),
    ];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(_, level)| *level == self).map_or("info", |(name, _)| name)
    }

    fn filter(self) -> LevelFilter {
        match self {
            Self::Error => LevelFilter::ERROR,
            Self::Warn => LevelFilter::WARN,
            Self::Info => LevelFilter::INFO,
            Self::Debug => LevelFilter::DEBUG,
            Self::Trace => LevelFilter::TRACE,
        }
    }
}

impl FromStr for Verbosity {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, level)| *level).ok_or_else(|| {
            Error::new(
                Kind::Invalid,
                format!("log level is one of error, warn, info, debug, trace, not {name:?}"),
            )
        })
    }
}

static FILTER: OnceLock<reload::Handle<Targets, Registry>> = OnceLock::new();

fn targets(level: Verbosity) -> Targets {
    // Libraries speak of their insides: only their warnings concern an operator.
    Targets::new().with_target("talasd", level.filter()).with_default(level.filter().min(LevelFilter::WARN))
}

/// Whether stderr is connected to the journal: systemd names its device and inode.
fn stderr_is_journal() -> bool {
    let Some((device, inode)) = env::var("JOURNAL_STREAM").ok().and_then(|value| {
        let (device, inode) = value.split_once(':')?;
        Some((device.parse::<u64>().ok()?, inode.parse::<u64>().ok()?))
    }) else {
        return false;
    };
    nix::sys::stat::fstat(std::io::stderr().as_fd())
        .is_ok_and(|stat| stat.st_dev == device && stat.st_ino == inode)
}

/// Starts the log. Called once, before anything can have something to say.
pub fn start(level: Verbosity) {
    let (filter, handle) = reload::Layer::new(targets(level));
    let journal = if stderr_is_journal() { tracing_journald::layer().ok() } else { None };
    let text = if journal.is_none() {
        let colour =
            std::io::IsTerminal::is_terminal(&std::io::stderr()) && env::var_os("NO_COLOR").is_none();
        Some(fmt::layer().with_writer(std::io::stderr).with_target(false).with_ansi(colour))
    } else {
        None
    };
    let journal = journal.map(|layer| {
        layer.with_field_prefix(Some("TALAS".to_owned())).with_syslog_identifier("talasd".to_owned())
    });
    let layers = journal.map(Layer::boxed).or_else(|| text.map(Layer::boxed));
    let started = tracing_subscriber::registry().with(layers.with_filter(filter)).try_init();
    if started.is_ok() {
        // Set once: a second start (in a test) keeps the first log.
        let _ = FILTER.set(handle);
    }
}

/// Changes the level while running.
pub fn set_level(level: Verbosity) {
    if let Some(handle) = FILTER.get() {
        // Fails only when the log itself is gone.
        let _ = handle.reload(targets(level));
    }
}

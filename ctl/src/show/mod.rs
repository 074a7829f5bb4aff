//! Answers as text for people: pure functions from wire objects to pages, one file per topic.
//!
//! Not in here: clocks, terminals and sockets. What a page depends on besides its object is in
//! [`View`].

pub mod answer;
pub mod connections;
pub mod devices;
pub mod meters;
pub mod stats;
pub mod status;

use crate::args::{Command, ToneWish};
use crate::client::Answer;
use crate::error::Result;
use crate::text::Page;

/// What a page depends on besides its object.
#[derive(Debug, Clone, Copy)]
pub struct View {
    /// Now, in milliseconds since the epoch; durations are counted up to here.
    pub now_ms: u64,
    /// Columns to lay out for; `None` where lines may be as long as they like.
    pub columns: Option<usize>,
}

/// The page that answers this command.
pub fn page(command: &Command, answer: &Answer, view: &View) -> Result<Page> {
    Ok(match command {
        Command::Status { .. } => status::page(&answer.read()?, view),
        Command::Stats => stats::page(&answer.read()?, view),
        Command::Connections => {
            let page: talas_wire::ConnectionPage = answer.read()?;
            connections::page(&page.connections, view)
        }
        Command::Meters { .. } => meters::page(&meters::Ballistics::of(&answer.read()?), view),
        Command::Devices => devices::page(&answer.read()?, view),
        Command::Pause => answer::paused(&answer.read()?),
        Command::Resume => answer::resumed(&answer.read()?),
        Command::Quality { .. } => answer::quality(&answer.read()?),
        Command::Reload => answer::reloaded(&answer.read()?),
        Command::Log { .. } => answer::log_level(&answer.read()?),
        Command::Version => answer::version(&answer.read()?),
        Command::Tone(ToneWish::Fault { fault, ms }) => answer::fault(*fault, *ms),
        Command::Tone(_) => answer::tone(&answer.read()?),
    })
}

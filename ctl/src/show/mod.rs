//! Answers as text for people: pure functions from wire objects to pages, one file per topic.
//!
//! Not in here: clocks, terminals and sockets. What a page depends on besides its object is in
//! [`View`].

pub mod access;
pub mod answer;
pub mod connections;
pub mod devices;
pub mod meters;
pub mod process;
pub mod selftest;
pub mod stats;
pub mod status;
pub mod tls;

use crate::args::{AccessWish, KeyWish, Question, RoleWish, TokenWish, ToneWish};
use crate::client::Answer;
use crate::error::Result;
use crate::human::counted;
use crate::text::Page;

/// What a page depends on besides its object.
#[derive(Debug, Clone, Copy)]
pub struct View {
    /// Now, in milliseconds since the epoch; durations are counted up to here.
    pub now_ms: u64,
    /// Columns to lay out for; `None` where lines may be as long as they like.
    pub columns: Option<usize>,
}

/// What a watch says when its reader is slow; `None` where nothing was missed.
pub fn missed(changes: u64) -> Option<String> {
    let missed = || format!("missed {}: this terminal is slower than the news", counted(changes, "change"));
    (changes > 0).then(missed)
}

/// The page that answers this question.
pub fn page(question: &Question, answer: &Answer, view: &View) -> Result<Page> {
    Ok(match question {
        Question::Status { .. } => status::page(&answer.read()?, view),
        Question::Stats => stats::page(&answer.read()?, view),
        Question::Meters { .. } => meters::page(&meters::Ballistics::of(&answer.read()?), view),
        Question::Devices => devices::page(&answer.read()?, view),
        Question::Pause => answer::paused(&answer.read()?),
        Question::Resume => answer::resumed(&answer.read()?),
        Question::Quality { .. } => answer::quality(&answer.read()?),
        Question::Title { .. } => answer::title(&answer.read()?),
        Question::Process { .. } => process::page(&answer.read()?, view),
        Question::Reload => answer::reloaded(&answer.read()?),
        Question::Log { .. } => answer::log_level(&answer.read()?),
        Question::Version => answer::version(&answer.read()?),
        Question::Token(TokenWish::Mint { .. }) => access::minted(&answer.read()?, view),
        Question::Token(TokenWish::List) => access::tokens(&answer.read()?, view),
        Question::Token(TokenWish::Revoke(end)) => access::revoked(end),
        Question::Key(KeyWish::Add { .. }) => access::key_added(&answer.read()?),
        Question::Key(KeyWish::List) => access::keys(&answer.read()?, view),
        Question::Key(KeyWish::Remove { .. }) => access::key_removed(&answer.read()?),
        Question::Role(RoleWish::List) => access::roles(&answer.read()?, view),
        Question::Access(AccessWish::Test { .. }) => access::test(&answer.read()?),
        Question::Access(AccessWish::Sessions) => access::sessions(&answer.read()?, view),
        Question::Tone(ToneWish::Fault { fault, ms }) => answer::fault(*fault, *ms),
        Question::Tone(_) => answer::tone(&answer.read()?),
    })
}

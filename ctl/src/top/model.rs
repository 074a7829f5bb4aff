//! What the live view knows, and what a piece of news or a key does to it. No terminal, no socket.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use talas_wire::{ConnectionInfo, LastGap, Meters, State, Status};

use super::listing::Listing;
use crate::show::meters::Ballistics;
use crate::text::Ink;

/// Gaps that are remembered; no terminal shows more.
const GAPS: usize = 50;
/// What was done stays on the screen for so long.
const NOTE_LASTS: Duration = Duration::from_secs(6);
/// Rows that a page key moves.
const PAGE: isize = 10;

/// The conversations with the daemon, each on a connection of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// The watch of the status.
    Status,
    /// The watch of the meters.
    Meters,
    /// Pages of connections, and orders.
    Orders,
}

/// What the daemon's side has to tell.
#[derive(Debug)]
pub enum News {
    /// How things stand.
    Status(Box<Status>),
    /// Levels.
    Meters(Meters),
    /// Who listens.
    Connections(Vec<ConnectionInfo>),
    /// So many changes were missed.
    Missed(u64),
    /// This conversation has ended or hangs, and why; it is tried again.
    Lost(Link, String),
    /// An order was carried out or refused, in words.
    Done(Result<String, String>),
}

/// What an operator wants to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// Let no captured sound go anywhere.
    Pause,
    /// End a pause.
    Resume,
    /// Reset this listener's connection.
    Kick {
        /// The whole id.
        id: String,
        /// Who it is, in words.
        who: String,
    },
}

/// What a key leads to outside of the model.
#[derive(Debug, PartialEq, Eq)]
pub enum Act {
    /// Nothing.
    Stay,
    /// Carry this out.
    Do(Order),
    /// Leave.
    Quit,
}

/// A gap that was seen to happen, or the newest one before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GapSeen {
    /// What was lost, and when it ended.
    pub gap: LastGap,
    /// Gaps between the one before and this one, of which only the number is known.
    pub unseen: u64,
}

/// All that the view knows.
#[derive(Debug, Default)]
pub struct Model {
    /// The newest status; `None` before the first.
    pub status: Option<Status>,
    /// The meters.
    pub ballistics: Ballistics,
    /// The newest gap first.
    pub gaps: VecDeque<GapSeen>,
    /// Who listens.
    pub listing: Listing,
    /// Changes that this terminal was too slow for.
    pub missed: u64,
    /// What waits for a yes.
    pub asked: Option<Order>,
    /// Why each conversation is lost.
    lost: [Option<String>; 3],
    note: Option<(Ink, String, Instant)>,
}

impl Model {
    /// Takes a piece of news that came at this time.
    pub fn hear(&mut self, news: News, at: Instant) {
        match news {
            News::Status(status) => {
                self.lost[Link::Status as usize] = None;
                self.follow_gaps(&status);
                self.status = Some(*status);
            }
            News::Meters(meters) => {
                self.lost[Link::Meters as usize] = None;
                self.ballistics.follow(&meters);
            }
            News::Connections(all) => {
                self.lost[Link::Orders as usize] = None;
                self.listing.update(all, at);
            }
            News::Missed(changes) => self.missed += changes,
            News::Lost(link, why) => {
                match link {
                    Link::Status => {}
                    // Needles that stand still would look like sound.
                    Link::Meters => self.ballistics = Ballistics::default(),
                    Link::Orders => self.listing.clear(),
                }
                self.lost[link as usize] = Some(why);
            }
            News::Done(Ok(done)) => self.note = Some((Ink::Good, done, at)),
            News::Done(Err(why)) => self.note = Some((Ink::Bad, why, at)),
        }
    }

    /// Remembers the gaps that ended between two statuses.
    fn follow_gaps(&mut self, status: &Status) {
        let gaps = &status.gaps;
        let before = self.status.as_ref().map(|status| status.gaps.total);
        // A smaller total is another daemon's, counted from its own start.
        let new = match before {
            Some(before) if gaps.total >= before => gaps.total - before,
            Some(_) => gaps.total,
            None => gaps.total.min(1),
        };
        if let Some(gap) = gaps.last.clone().filter(|_| new > 0) {
            self.gaps.push_front(GapSeen { gap, unseen: new - 1 });
            self.gaps.truncate(GAPS);
        }
    }

    /// Why what is shown is old; each reason once.
    pub fn losses(&self) -> Vec<&str> {
        let mut losses: Vec<&str> = self.lost.iter().flatten().map(String::as_str).collect();
        losses.dedup();
        losses
    }

    /// What was done lately.
    pub fn note(&self, at: Instant) -> Option<(Ink, &str)> {
        let (ink, text, since) = self.note.as_ref()?;
        (at.saturating_duration_since(*since) < NOTE_LASTS).then_some((*ink, text))
    }

    /// Takes a key.
    pub fn press(&mut self, key: KeyEvent, at: Instant) -> Act {
        if key.kind == KeyEventKind::Release {
            return Act::Stay;
        }
        // In raw mode Ctrl-C is a key like any other.
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            return if key.code == KeyCode::Char('c') { Act::Quit } else { Act::Stay };
        }
        if let Some(order) = self.asked.take() {
            return self.confirm(order, key.code, at);
        }
        match key.code {
            KeyCode::Char('q') => return Act::Quit,
            KeyCode::Char('k') => self.ask_kick(at),
            KeyCode::Char('p') => self.ask_pause(at),
            KeyCode::Char('s') => self.listing.sort_by_neighbour(1),
            KeyCode::Char('S') => self.listing.sort_by_neighbour(-1),
            KeyCode::Char('r') => self.listing.reverse(),
            KeyCode::Down => self.listing.move_choice(1),
            KeyCode::Up => self.listing.move_choice(-1),
            KeyCode::PageDown => self.listing.move_choice(PAGE),
            KeyCode::PageUp => self.listing.move_choice(-PAGE),
            KeyCode::Home => self.listing.choose(0),
            KeyCode::End => self.listing.choose(usize::MAX),
            _ => {}
        }
        Act::Stay
    }

    /// Only a yes is a yes.
    fn confirm(&mut self, order: Order, key: KeyCode, at: Instant) -> Act {
        let is_yes = matches!(key, KeyCode::Char('y' | 'Y'));
        let is_lost = self.lost[Link::Orders as usize].is_some();
        if is_yes && !is_lost {
            return Act::Do(order);
        }
        let note = match is_yes {
            true => (Ink::Bad, "the daemon is not there: nothing was done".to_owned(), at),
            false => (Ink::Plain, "nothing was done".to_owned(), at),
        };
        self.note = Some(note);
        Act::Stay
    }

    fn ask_kick(&mut self, at: Instant) {
        match self.listing.chosen() {
            Some(listener) => {
                let info = &listener.info;
                let who = format!("{} ({}, {})", info.id, info.ip_address, info.user_agent);
                self.asked = Some(Order::Kick { id: info.id.clone(), who });
            }
            None => {
                self.note = Some((Ink::Warn, "choose a listener first, with ↑ and ↓".to_owned(), at));
            }
        }
    }

    fn ask_pause(&mut self, at: Instant) {
        match &self.status {
            Some(status) if status.state == State::Paused => self.asked = Some(Order::Resume),
            Some(_) => self.asked = Some(Order::Pause),
            None => self.note = Some((Ink::Warn, "nothing is known of the programme yet".to_owned(), at)),
        }
    }
}

impl Order {
    /// The question that precedes it.
    pub fn question(&self) -> String {
        match self {
            Self::Pause => "pause: no captured sound goes anywhere until somebody resumes?".to_owned(),
            Self::Resume => "end the pause: captured sound goes out again?".to_owned(),
            Self::Kick { who, .. } => format!("kick {who}?"),
        }
    }

    /// What to say once it is done.
    pub fn done(&self) -> String {
        match self {
            Self::Pause => "paused".to_owned(),
            Self::Resume => "the pause has ended".to_owned(),
            Self::Kick { who, .. } => format!("kicked {who}"),
        }
    }
}

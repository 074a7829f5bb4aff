//! Who listens, for the live view: rates from one look to the next, the order, the chosen one.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::time::{Duration, Instant};

use talas_wire::ConnectionInfo;

use crate::human::rfc3339_ms;

/// Fewer characters of an id look like a number.
const SHORTEST_ID: usize = 8;

/// Over less time a rate says when blocks happened to leave, and not how many do.
const SHORTEST_RATE: Duration = Duration::from_millis(700);

/// What the list can be sorted by; also its columns, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    Id,
    Address,
    Since,
    Frames,
    Rate,
    Sent,
    Gaps,
    Client,
}

impl Column {
    /// All of them, from left to right.
    pub const ALL: [Self; 8] = [
        Self::Id,
        Self::Address,
        Self::Since,
        Self::Frames,
        Self::Rate,
        Self::Sent,
        Self::Gaps,
        Self::Client,
    ];

    /// What stands over it.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Id => "ID",
            Self::Address => "ADDRESS",
            Self::Since => "SINCE",
            Self::Frames => "FRAMES/S",
            Self::Rate => "RATE",
            Self::Sent => "SENT",
            Self::Gaps => "GAPS",
            Self::Client => "CLIENT",
        }
    }

    /// Large figures interest first, texts are read from A.
    const fn begins_with_largest(self) -> bool {
        matches!(self, Self::Frames | Self::Rate | Self::Sent | Self::Gaps)
    }
}

/// A listener with what it gets now.
#[derive(Debug, Clone, PartialEq)]
pub struct Listener {
    /// As the daemon tells it.
    pub info: ConnectionInfo,
    /// Blocks written a second since the look before; `None` at the first.
    pub frames_per_second: Option<f64>,
    /// Bytes written a second, likewise.
    pub bytes_per_second: Option<f64>,
    /// When it came, in milliseconds since the epoch.
    pub since_ms: Option<u64>,
}

/// The list.
#[derive(Debug)]
pub struct Listing {
    listeners: Vec<Listener>,
    sorted_by: Column,
    is_reversed: bool,
    /// The id of the chosen one: it stays chosen wherever it moves to.
    chosen: Option<String>,
    base: Base,
}

/// The look that rates are counted from.
#[derive(Debug, Default)]
struct Base {
    at: Option<Instant>,
    /// Blocks and bytes written by then, by id.
    counts: HashMap<String, (u64, u64)>,
}

impl Default for Listing {
    fn default() -> Self {
        Self {
            listeners: Vec::new(),
            sorted_by: Column::Since,
            is_reversed: false,
            chosen: None,
            base: Base::default(),
        }
    }
}

impl Listing {
    /// Takes a new look.
    pub fn update(&mut self, all: Vec<ConnectionInfo>, at: Instant) {
        let place = self.chosen_at();
        let seconds = at.saturating_duration_since(self.base.at.unwrap_or(at)).as_secs_f64();
        let is_due = self.base.at.is_none() || seconds >= SHORTEST_RATE.as_secs_f64();
        let rates_before: HashMap<&str, &Listener> =
            self.listeners.iter().map(|one| (one.info.id.as_str(), one)).collect();
        let listener = |info: ConnectionInfo| {
            let rate =
                |now: u64, then: u64| (seconds > 0.0).then(|| now.saturating_sub(then) as f64 / seconds);
            let (frames_per_second, bytes_per_second) = if is_due {
                let then = self.base.counts.get(&info.id);
                let rates = then.map(|then| (rate(info.frames_sent, then.0), rate(info.bytes_sent, then.1)));
                rates.unwrap_or_default()
            } else {
                let before = rates_before.get(info.id.as_str());
                before.map(|one| (one.frames_per_second, one.bytes_per_second)).unwrap_or_default()
            };
            let since_ms = rfc3339_ms(&info.connected_at);
            Listener { info, frames_per_second, bytes_per_second, since_ms }
        };
        let listeners: Vec<Listener> = all.into_iter().map(listener).collect();
        if is_due {
            let count = |one: &Listener| (one.info.id.clone(), (one.info.frames_sent, one.info.bytes_sent));
            self.base = Base { at: Some(at), counts: listeners.iter().map(count).collect() };
        }
        self.listeners = listeners;
        self.sort();
        // The chosen one has gone: whoever stands there now.
        if self.chosen_at().is_none() {
            self.chosen = None;
            if let Some(place) = place {
                self.choose(place);
            }
        }
    }

    /// Nobody is known to listen, and what was known is no ground for rates.
    pub fn clear(&mut self) {
        self.listeners.clear();
        self.base = Base::default();
    }

    /// Whether anybody has looked who listens.
    pub fn is_known(&self) -> bool {
        self.base.at.is_some()
    }

    /// All, in order.
    pub fn listeners(&self) -> &[Listener] {
        &self.listeners
    }

    /// What the list is sorted by, and whether the other way round.
    pub fn order(&self) -> (Column, bool) {
        (self.sorted_by, self.is_reversed)
    }

    /// Sorts by the next column, or the one before.
    pub fn sort_by_neighbour(&mut self, step: isize) {
        let all = Column::ALL;
        let at = all.iter().position(|&column| column == self.sorted_by).unwrap_or(0);
        let next = at.checked_add_signed(step).unwrap_or(all.len() - 1) % all.len();
        self.sorted_by = all[next];
        self.is_reversed = false;
        self.sort();
    }

    /// Turns the order round.
    pub fn reverse(&mut self) {
        self.is_reversed = !self.is_reversed;
        self.sort();
    }

    /// The chosen one.
    pub fn chosen(&self) -> Option<&Listener> {
        self.chosen_at().map(|at| &self.listeners[at])
    }

    /// Its place in the list.
    pub fn chosen_at(&self) -> Option<usize> {
        let id = self.chosen.as_deref()?;
        self.listeners.iter().position(|one| one.info.id == id)
    }

    /// Chooses the one so many places further down, or up; the first key chooses the first.
    pub fn move_choice(&mut self, step: isize) {
        let place = self.chosen_at().map_or(0, |at| at.saturating_add_signed(step));
        self.choose(place);
    }

    /// Chooses the one at this place, or the last.
    pub fn choose(&mut self, place: usize) {
        let last = self.listeners.len().checked_sub(1);
        self.chosen = last.map(|last| self.listeners[place.min(last)].info.id.clone());
    }

    /// So many characters of the ids tell them all apart.
    pub fn id_length(&self) -> usize {
        let mut ids: Vec<&str> = self.listeners.iter().map(|one| one.info.id.as_str()).collect();
        ids.sort_unstable();
        let shared = |pair: &[&str]| pair[0].chars().zip(pair[1].chars()).take_while(|(a, b)| a == b).count();
        let longest = ids.windows(2).map(shared).max().unwrap_or(0);
        (longest + 1).max(SHORTEST_ID)
    }

    fn sort(&mut self) {
        let (column, is_reversed) = (self.sorted_by, self.is_reversed);
        let largest_first = column.begins_with_largest() != is_reversed;
        self.listeners.sort_by(|a, b| {
            let order = compare(column, a, b);
            let order = if largest_first { order.reverse() } else { order };
            // Equals keep their places from one look to the next.
            order.then_with(|| a.info.id.cmp(&b.info.id))
        });
    }
}

fn compare(column: Column, a: &Listener, b: &Listener) -> Ordering {
    let rates = |a: Option<f64>, b: Option<f64>| a.unwrap_or(0.0).total_cmp(&b.unwrap_or(0.0));
    match column {
        Column::Id => a.info.id.cmp(&b.info.id),
        Column::Address => a.info.ip_address.cmp(&b.info.ip_address),
        Column::Since => a.since_ms.cmp(&b.since_ms),
        Column::Frames => rates(a.frames_per_second, b.frames_per_second),
        Column::Rate => rates(a.bytes_per_second, b.bytes_per_second),
        Column::Sent => a.info.bytes_sent.cmp(&b.info.bytes_sent),
        Column::Gaps => a.info.errors_count.cmp(&b.info.errors_count),
        Column::Client => a.info.user_agent.cmp(&b.info.user_agent),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::listener;

    fn info(id: &str, frames_sent: u64, bytes_sent: u64) -> ConnectionInfo {
        ConnectionInfo { frames_sent, bytes_sent, ..listener(id) }
    }

    fn ids(listing: &Listing) -> Vec<&str> {
        listing.listeners().iter().map(|one| one.info.id.as_str()).collect()
    }

    #[test]
    fn rates_are_those_since_the_look_before() {
        let mut listing = Listing::default();
        let start = Instant::now();
        listing.update(vec![info("a", 100, 1000)], start);
        assert_eq!(listing.listeners()[0].bytes_per_second, None);
        let later = vec![info("a", 200, 3000), info("b", 5, 5)];
        listing.update(later, start + Duration::from_secs(2));
        assert_eq!(listing.listeners()[0].frames_per_second, Some(50.0));
        assert_eq!(listing.listeners()[0].bytes_per_second, Some(1000.0));
        assert_eq!(listing.listeners()[1].bytes_per_second, None, "it has just come");
        // A look that follows at once moves the figures, and not the rates.
        listing.update(vec![info("a", 299, 3900)], start + Duration::from_millis(2100));
        assert_eq!(listing.listeners()[0].frames_per_second, Some(50.0));
        assert_eq!(listing.listeners()[0].info.bytes_sent, 3900);
        listing.update(vec![info("a", 300, 4000)], start + Duration::from_secs(4));
        assert_eq!(listing.listeners()[0].frames_per_second, Some(50.0));
        assert_eq!(listing.listeners()[0].bytes_per_second, Some(500.0));
        listing.clear();
        listing.update(vec![info("a", 1, 1)], start + Duration::from_secs(5));
        assert_eq!(listing.listeners()[0].bytes_per_second, None, "another daemon's figures");
    }

    #[test]
    fn the_order_is_what_was_asked_and_stable() {
        let mut listing = Listing::default();
        listing.update(vec![info("b", 1, 10), info("c", 1, 30), info("a", 1, 10)], Instant::now());
        assert_eq!(ids(&listing), ["a", "b", "c"]);
        while listing.order().0 != Column::Sent {
            listing.sort_by_neighbour(1);
        }
        assert_eq!(ids(&listing), ["c", "a", "b"]);
        listing.reverse();
        assert_eq!(ids(&listing), ["a", "b", "c"]);
        for (step, column) in [
            (1, Column::Gaps),
            (1, Column::Client),
            (1, Column::Id),
            (-1, Column::Client),
            (-1, Column::Gaps),
        ] {
            listing.sort_by_neighbour(step);
            assert_eq!(listing.order(), (column, false));
        }
    }

    #[test]
    fn the_chosen_one_stays_chosen_until_it_leaves() {
        let mut listing = Listing::default();
        listing.move_choice(1);
        assert_eq!(listing.chosen(), None, "nobody is there");
        let at = Instant::now();
        listing.update(vec![info("a", 1, 10), info("b", 1, 20), info("c", 1, 30)], at);
        assert_eq!(listing.chosen(), None, "nobody was chosen");
        listing.move_choice(1);
        assert_eq!(listing.chosen_at(), Some(0));
        listing.move_choice(1);
        listing.reverse();
        listing.update(vec![info("0", 1, 1), info("b", 1, 20), info("c", 1, 30)], at);
        assert_eq!(listing.chosen().map(|one| one.info.id.as_str()), Some("b"));
        listing.update(vec![info("0", 1, 1), info("c", 1, 30)], at);
        assert_eq!(listing.chosen().map(|one| one.info.id.as_str()), Some("c"));
        listing.move_choice(-10);
        assert_eq!(listing.chosen_at(), Some(0));
        listing.choose(usize::MAX);
        assert_eq!(listing.chosen_at(), Some(1));
    }

    #[test]
    fn ids_are_shown_as_long_as_they_need_to_be() {
        let mut listing = Listing::default();
        listing.update(vec![info("0199a1b2-01", 1, 1), info("77", 1, 1)], Instant::now());
        assert_eq!(listing.id_length(), 8);
        listing.update(vec![info("0199a1b2-01", 1, 1), info("0199a1b2-02", 1, 1)], Instant::now());
        assert_eq!(listing.id_length(), 11);
    }
}

//! What the source and the programme are doing, and since when: written by the keeper and the pump,
//! read by everybody.

use std::sync::Arc;

use futures_util::{Stream, StreamExt};
use tokio::sync::watch;
use tokio_stream::wrappers::WatchStream;

use crate::audio::{State, StateMark};

/// The state of something, and when it began.
#[derive(Debug, Clone)]
pub struct Health {
    sender: Arc<watch::Sender<Told>>,
}

#[derive(Debug, Clone)]
struct Told {
    mark: StateMark,
    /// The capture session whose sound proves that the source runs; sound of an earlier one, still on
    /// its way when the source failed, proves nothing.
    session: u32,
}

impl Health {
    /// Begins as `starting`.
    pub fn new(now_ms: u64) -> Self {
        let mark = StateMark { state: State::Starting, reason: None, since_ms: now_ms };
        Self { sender: Arc::new(watch::Sender::new(Told { mark, session: 0 })) }
    }

    /// The state now.
    pub fn get(&self) -> StateMark {
        self.sender.borrow().mark.clone()
    }

    /// Waits until the state satisfies a condition, and returns it.
    pub async fn wait_for(&self, mut fits: impl FnMut(&StateMark) -> bool) -> StateMark {
        let mut receiver = self.sender.subscribe();
        // The sender lives in `self`, so waiting cannot fail.
        receiver.wait_for(|told| fits(&told.mark)).await.map_or_else(|_| self.get(), |told| told.mark.clone())
    }

    /// Yields at each change from now on.
    pub fn changes(&self) -> impl Stream<Item = ()> + Send + 'static {
        WatchStream::from_changes(self.sender.subscribe()).map(|_| ())
    }

    /// Waits for the next change after `seen`.
    pub async fn changed_from(&self, seen: &StateMark) -> StateMark {
        self.wait_for(|mark| mark != seen).await
    }

    /// Changes it. Returns whether the state or its reason is another now; the same again changes
    /// nothing, `since` included.
    pub fn set(&self, state: State, reason: Option<&str>, now_ms: u64) -> bool {
        self.sender.send_if_modified(|told| change(&mut told.mark, state, reason, now_ms))
    }

    /// From here on sound of this session proves that the source runs.
    pub fn begin_session(&self, session: u32) {
        self.sender.send_if_modified(|told| {
            told.session = session;
            false
        });
    }

    /// The session ended: from here on its sound proves nothing. Returns as [`set`](Self::set) does.
    pub fn end_session(&self, state: State, reason: Option<&str>, now_ms: u64) -> bool {
        self.sender.send_if_modified(|told| {
            told.session = 0;
            change(&mut told.mark, state, reason, now_ms)
        })
    }

    /// Sound of a session arrived. Returns whether the source runs only now.
    pub fn heard(&self, session: u32, now_ms: u64) -> bool {
        self.sender.send_if_modified(|told| {
            told.session == session && change(&mut told.mark, State::Running, None, now_ms)
        })
    }
}

fn change(mark: &mut StateMark, state: State, reason: Option<&str>, now_ms: u64) -> bool {
    if mark.state == state && mark.reason.as_deref() == reason {
        return false;
    }
    // Another reason for the same state does not begin it anew.
    let since_ms = if mark.state == state { mark.since_ms } else { now_ms };
    *mark = StateMark { state, reason: reason.map(Arc::from), since_ms };
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_again_changes_nothing_and_a_new_reason_keeps_the_beginning() {
        let health = Health::new(1);
        assert!(health.set(State::Absent, Some("no device"), 5));
        assert!(!health.set(State::Absent, Some("no device"), 9));
        assert!(health.set(State::Absent, Some("in use"), 12));
        let mark = health.get();
        assert_eq!((mark.since_ms, mark.reason.as_deref()), (5, Some("in use")));
        assert!(health.set(State::Running, None, 20));
        assert_eq!(health.get().since_ms, 20);
    }

    #[test]
    fn late_sound_of_a_session_that_failed_proves_nothing() {
        let health = Health::new(0);
        health.begin_session(1);
        assert!(health.heard(1, 1));
        assert!(!health.heard(1, 2), "once");
        health.end_session(State::Absent, None, 3);
        assert!(!health.heard(1, 4));
        assert_eq!(health.get().state, State::Absent);
        health.begin_session(2);
        assert!(!health.heard(1, 5));
        assert!(health.heard(2, 6));
    }
}

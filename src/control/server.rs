//! Lets peers in, seats them, and sees them out when the daemon stops.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

use super::answer::code_of;
use super::lines::Lines;
use super::talk::Talk;
use super::{Door, Shared};
use crate::error::{Context, Result};
use crate::tools::listen::accept_unix;
use crate::tools::stop::Stop;
use crate::tools::tally::Tally;

/// How many may be between the door and their seat. Who they are takes a question to the name service,
/// and those who wait for its answer must not take the seats of those who need none.
const ENTERING: usize = 16;
/// How long the conversations may take to end.
const CLOSING: Duration = Duration::from_millis(800);

/// Peers for whom there was no seat are told as one line a second.
static FULL: Tally = Tally::new();

/// Takes the listener into the current runtime. What is returned serves until `stop`; then it tells every
/// peer so, and within a second all are gone.
///
/// Runs on one thread and blocks it for no longer than a system call; what may block goes to the
/// runtime's blocking threads. A sound driver or name service that hangs stays there: shut the runtime
/// down with a deadline.
///
/// # Errors
/// The listener cannot be watched by the runtime.
pub fn open(door: Door, stop: Stop) -> Result<impl Future<Output = ()>> {
    let Door { listener, shared } = door;
    // An inherited listener need not be so already, and a blocking one would hold the thread.
    let listener = listener
        .set_nonblocking(true)
        .and_then(|()| UnixListener::from_std(listener))
        .context(|| "cannot serve the control socket".to_owned())?;
    Ok(serve(listener, shared, stop))
}

async fn serve(listener: UnixListener, shared: Arc<Shared>, stop: Stop) {
    let mut talks = JoinSet::new();
    tokio::select! {
        () = stop.stopped() => {}
        () = let_in(&listener, &shared, &stop, &mut talks) => {}
        () = shared.feeds.run(&shared.station) => {}
    }
    drop(listener);
    let all_gone = async { while talks.join_next().await.is_some() {} };
    if tokio::time::timeout(CLOSING, all_gone).await.is_err() {
        tracing::debug!(
            event = "control_hung_up",
            count = talks.len(),
            "hung up on those who did not listen"
        );
        talks.shutdown().await;
    }
}

/// Lets everybody in; never ends by itself.
async fn let_in(listener: &UnixListener, shared: &Arc<Shared>, stop: &Stop, talks: &mut JoinSet<()>) {
    let entrance = Arc::new(Semaphore::new(ENTERING));
    let failures = Tally::new();
    loop {
        // The semaphore is never closed.
        let Ok(entering) = entrance.clone().acquire_owned().await else { return };
        let stream = accept_unix(listener, &failures).await;
        // Conversations that ended are forgotten, so that the set is no larger than the house.
        while talks.try_join_next().is_some() {}
        talks.spawn(enter(stream, shared.clone(), stop.clone(), entering));
    }
}

async fn enter(stream: UnixStream, shared: Arc<Shared>, stop: Stop, entering: OwnedSemaphorePermit) {
    // A peer that the kernel says nothing about gets nothing.
    let Ok(peer) = shared.authority.identify(&stream).await else { return };
    let mut lines = Lines::new(stream, shared.limits.write);
    let seat = match shared.seats.take(peer.uid, peer.level) {
        Ok(seat) => seat,
        Err(error) => {
            if let Some(count) = FULL.hit() {
                let (uid, reason) = (peer.uid, error.message());
                tracing::info!(event = "control_full", uid, reason, count, "no seat for a peer");
            }
            // Nobody has said anything to it yet, so this line finds room in its socket at once.
            let _ = lines.refuse(0, code_of(error.kind()), error.message()).await;
            return;
        }
    };
    drop(entering);
    Talk { peer, lines, shared, stop }.run().await;
    drop(seat);
}

//! The conversations with the daemon, each on a thread and a connection of its own: a slow answer to
//! one never holds up another.
//!
//! A conversation that ends is begun again, so the view outlives a restart of the daemon. The threads
//! end with the process: each may be waiting for the daemon, and none holds anything.

use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use serde::Deserialize;

use super::Happening;
use super::model::{Link, News, Order};
use crate::args::Question;
use crate::call::{Call, call, kick};
use crate::client::{Client, Event};
use crate::error::{Error, Kind, Result};
use crate::listeners;

/// Between the end of a conversation and the next attempt.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(1);
/// Who listens is asked this often.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The list may take this share of the time: with thousands of listeners it is asked less often.
const LOOKS_ARE_ONE_IN: u32 = 5;
/// A status comes once a second and meters ten times: silence of this length is a daemon that hangs.
const LONGEST_SILENCE: Duration = Duration::from_secs(4);

/// Where the daemon is, and how long it may take to answer.
#[derive(Debug, Clone)]
pub struct Reach {
    /// Its control socket.
    pub socket: PathBuf,
    /// Patience with each answer.
    pub patience: Duration,
}

impl Reach {
    fn connect(&self) -> Result<Client> {
        Client::connect(&self.socket, self.patience)
    }
}

/// Begins all conversations; what is sent into the channel that comes back is carried out.
pub fn begin(reach: &Reach, happenings: &Sender<Happening>) -> std::io::Result<Sender<Order>> {
    for (link, question) in
        [(Link::Status, Question::Status { watch: true }), (Link::Meters, Question::Meters { watch: true })]
    {
        let call = call(&question);
        converse(link, reach, happenings, move |client, tell| watch(link, client, &call, tell))?;
    }
    let (orders, ordered) = mpsc::channel();
    converse(Link::Orders, reach, happenings, move |client, tell| serve(client, &ordered, tell))?;
    Ok(orders)
}

/// Tells a piece of news; false when nobody looks any more.
type Tell<'a> = &'a dyn Fn(News) -> bool;

/// Keeps one conversation going on a thread of its own.
fn converse(
    link: Link,
    reach: &Reach,
    happenings: &Sender<Happening>,
    talk: impl Fn(Client, Tell<'_>) -> Result<()> + Send + 'static,
) -> std::io::Result<()> {
    let (reach, happenings) = (reach.clone(), happenings.clone());
    std::thread::Builder::new().name(format!("{link:?}").to_lowercase()).spawn(move || {
        let tell = |news| happenings.send(Happening::News(news)).is_ok();
        loop {
            match reach.connect().and_then(|client| talk(client, &tell)) {
                // The view has ended.
                Ok(()) => return,
                Err(error) if !tell(News::Lost(link, error.message().to_owned())) => return,
                Err(_) => std::thread::sleep(TRY_AGAIN_AFTER),
            }
        }
    })?;
    Ok(())
}

fn watch(link: Link, client: Client, call: &Call, tell: Tell<'_>) -> Result<()> {
    let mut watch = client.follow(call)?;
    loop {
        let news = match (watch.next(Some(LONGEST_SILENCE))?, link) {
            (Event::Change(answer), Link::Meters) => News::Meters(answer.read()?),
            (Event::Change(answer), _) => News::Status(answer.read()?),
            (Event::Lagged(changes, _), _) => News::Missed(changes),
            (Event::Quiet, _) => {
                let silence = LONGEST_SILENCE.as_secs();
                News::Lost(link, format!("the daemon has said nothing for {silence} s"))
            }
            (Event::Over, _) => return Err(Error::new(Kind::Unreachable, "the daemon ended the watch")),
        };
        if !tell(news) {
            return Ok(());
        }
    }
}

/// Carries out orders as they come, and looks who listens in between.
fn serve(mut client: Client, ordered: &Receiver<Order>, tell: Tell<'_>) -> Result<()> {
    // What was ordered while the daemon was away may no longer be wished.
    for _ in ordered.try_iter() {
        tell(News::Done(Err("the daemon was not there: nothing was done".to_owned())));
    }
    loop {
        let began = Instant::now();
        if !tell(News::Connections(listeners::all(&mut client)?)) {
            return Ok(());
        }
        // An order is followed by a look: what it changed shows at once.
        match ordered.recv_timeout(LOOK_EVERY.max(began.elapsed() * (LOOKS_ARE_ONE_IN - 1))) {
            Ok(order) => match carry_out(&mut client, &order) {
                Ok(outcome) => {
                    tell(News::Done(outcome));
                }
                Err(error) => {
                    let why = format!("it is not known whether it was done: {}", error.message());
                    tell(News::Done(Err(why)));
                    return Err(error);
                }
            },
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
    }
}

/// What an answer may have besides.
#[derive(Deserialize)]
struct Caveat {
    #[serde(default)]
    warning: Option<String>,
}

/// What came of an order; an error of the connection is one of the conversation.
fn carry_out(client: &mut Client, order: &Order) -> Result<Result<String, String>> {
    let call = match order {
        Order::Pause => call(&Question::Pause),
        Order::Resume => call(&Question::Resume),
        Order::Kick { id, .. } => kick(id),
    };
    match client.ask(&call) {
        Ok(answer) => {
            let Caveat { warning } = answer.read()?;
            Ok(Ok(warning.into_iter().fold(order.done(), |done, warning| format!("{done}; {warning}"))))
        }
        Err(error) if matches!(error.kind(), Kind::Failed | Kind::Denied) => {
            Ok(Err(error.message().to_owned()))
        }
        Err(error) => Err(error),
    }
}
